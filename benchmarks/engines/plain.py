"""Hand-written asyncio: what a developer would write for this one workload, without events, checks or isolation."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.engines.base import Engine, Job
from benchmarks.workloads import CONCURRENT_NODES, SHORT, SLOW, WIDTH, combine, delays, neighbours


def _step() -> Callable[[int], Awaitable[int]]:
    async def step(x: int) -> int:
        return x + 1

    return step


def _add(i: int) -> Callable[[int], Awaitable[int]]:
    async def add(x: int) -> int:
        return x + i

    return add


async def _wait(x: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return x + 1


class Plain(Engine):
    """The floor: how fast the event loop itself is."""

    name = "asyncio"

    def chain(self, n: int) -> Job:
        steps = [_step() for _ in range(n)]

        async def run(_: Any) -> int:
            x = 0
            for step in steps:
                x = await step(x)
            return x

        return Job(run)

    def loop(self, n: int) -> Job:
        step = _step()

        async def run(_: Any) -> int:
            x = 0
            while x < n:
                x = await step(x)
            return x

        return Job(run)

    def fanout(self, n: int) -> Job:
        nodes = [_add(i) for i in range(n)]

        async def run(_: Any) -> int:
            return sum(await asyncio.gather(*(node(1) for node in nodes)))

        return Job(run)

    def map(self, n: int) -> Job:
        async def double(x: int) -> int:
            return x * 2

        async def run(_: Any) -> int:
            return sum(await asyncio.gather(*(double(x) for x in range(n))))

        return Job(run)

    def lattice(self, layers: int) -> Job:
        async def node(sources: list["asyncio.Task[int]"]) -> int:
            return combine([await source for source in sources])

        async def first(column: int) -> int:
            return combine([column])

        async def run(_: Any) -> int:
            async with asyncio.TaskGroup() as group:
                row = [group.create_task(first(column)) for column in range(WIDTH)]
                for _layer in range(layers - 1):
                    row = [group.create_task(node([row[c] for c in neighbours(column)])) for column in range(WIDTH)]
            return sum(task.result() for task in row)

        return Job(run)

    def branches(self, n: int) -> Job:
        async def branch(waits: list[float]) -> int:
            x = 0
            for seconds in waits:
                x = await _wait(x, seconds)
            return x

        async def run(_: Any) -> int:
            return sum(await asyncio.gather(_wait(0, SLOW), *(branch(waits) for waits in delays(n))))

        return Job(run)

    def runs(self, n: int) -> Job:
        async def one() -> int:
            x = 0
            for _ in range(CONCURRENT_NODES):
                x = await _wait(x, SHORT)
            return x

        async def run(_: Any) -> int:
            return sum(await asyncio.gather(*(one() for _ in range(n))))

        return Job(run)


ENGINE = Plain()
