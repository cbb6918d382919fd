"""Hand-written asyncio: what a developer would write for this one workload, without events, checks or isolation.

For the durable workloads, hand-written sqlite3: a row and a commit for each step, and nothing else.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.engines import disk
from benchmarks.engines.base import Engine, Job
from benchmarks.workloads import CONCURRENT_NODES, SHORT, SLOW, WIDTH, combine, delays, message, neighbours


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


class Steps:
    """A table of steps."""

    def __init__(self, path: Path, synchronous: str = disk.NORMAL) -> None:
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute(f"PRAGMA synchronous = {synchronous}")
        self.db.execute("CREATE TABLE steps (run TEXT, step INTEGER, value TEXT, PRIMARY KEY (run, step))")

    def keep(self, step: int, value: Any) -> None:
        """Write one step, durably."""
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("INSERT INTO steps VALUES ('run', ?, ?)", (step, json.dumps(value)))
        self.db.execute("COMMIT")

    def last(self) -> tuple[int, Any]:
        """The last step and its value."""
        row = self.db.execute("SELECT step, value FROM steps WHERE run = 'run' ORDER BY step DESC LIMIT 1").fetchone()
        return row[0], json.loads(row[1])


async def _closed(steps: Steps) -> None:
    steps.db.close()
    disk.drop(steps.path)


def _kept_chain(n: int, synchronous: str) -> Job:
    nodes = [_step() for _ in range(n)]

    async def run(steps: Steps) -> int:
        x = 0
        for i, node in enumerate(nodes):
            x = await node(x)
            steps.keep(i, x)
        return x

    return Job(run, lambda: Steps(disk.fresh(), synchronous), _closed)


def _appended(n: int, *, kept: bool) -> Job:
    async def turn(i: int) -> str:
        return message(i)

    async def run(path: Path) -> tuple[int, int]:
        before = 0 if kept else disk.written()
        steps = Steps(path)
        messages: list[str] = []
        for i in range(n):
            messages.append(await turn(i))
            steps.keep(i, messages[-1])
        steps.db.close()
        return len(messages), disk.kept(path) if kept else disk.written() - before

    async def after(path: Path) -> None:
        disk.drop(path)

    return Job(run, disk.fresh, after)


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

    def durable_chain(self, n: int) -> Job:
        return _kept_chain(n, disk.NORMAL)

    def durable_chain_full(self, n: int) -> Job:
        return _kept_chain(n, disk.FULL)

    def durable_map(self, n: int) -> Job:
        async def run(steps: Steps) -> int:
            async def double(x: int) -> int:
                steps.keep(x, x * 2)
                return x * 2

            return sum(await asyncio.gather(*(double(x) for x in range(n))))

        return Job(run, lambda: Steps(disk.fresh()), _closed)

    def durable_resume(self, n: int) -> Job:
        def setup() -> Steps:
            steps = Steps(disk.fresh())
            for i in range(n):
                steps.keep(i, i + 1)
            return steps

        async def run(steps: Steps) -> tuple[int, float]:
            before = time.perf_counter()
            _, x = steps.last()
            return await _step()(x), time.perf_counter() - before

        return Job(run, setup, _closed)

    def durable_kept(self, n: int) -> Job:
        return _appended(n, kept=True)

    def durable_written(self, n: int) -> Job:
        return _appended(n, kept=False)


ENGINE = Plain()
