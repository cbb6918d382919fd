"""LoomFlow's Workflow as its README writes it: `Workflow.chain`, `Workflow.parallel`, the graph builder for the rest.

Its caps (steps, visits, concurrency) are raised to what the workload needs. It has no map over a run's items, so a map
is `Workflow.parallel` with a step for each item, built before the clock starts. No telemetry, no audit log.

Its workflows are not durable; what is, are the steps of a SqliteRuntime, one after the other in a function.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from loomflow import END, START, EventKind, Workflow
from loomflow.runtime import SqliteRuntime

from benchmarks.engines import disk
from benchmarks.engines.base import Engine, Job
from benchmarks.workloads import CONCURRENT_NODES, SHORT, SLOW, WIDTH, combine, delays, message, neighbours


def _named(i: int, fn: Any) -> Any:
    # it names steps after their functions; as users' functions do, each has its own name
    fn.__name__ = f"n{i}"
    return fn


def _steps(n: int) -> list[Callable[[int], Awaitable[int]]]:
    return [_named(i, _step()) for i in range(n)]


def _step() -> Callable[[int], Awaitable[int]]:
    async def step(x: int) -> int:
        return x + 1

    return step


def _wait(seconds: float) -> Callable[[int], Awaitable[int]]:
    async def wait(x: int) -> int:
        await asyncio.sleep(seconds)
        return x + 1

    return wait


def _once(wf: Workflow, value: int = 0) -> Job:
    async def run(_: Any) -> Any:
        return (await wf.run(value)).output

    return Job(run)


class LoomFlow(Engine):
    """A peer with readiness scheduling and an event stream."""

    name = "loomflow"
    distribution = "loomflow"

    def chain(self, n: int) -> Job:
        return _once(Workflow.chain(_steps(n), max_steps=n + 1))

    def loop(self, n: int) -> Job:
        wf = Workflow("loop", max_steps=n + 1, max_visits_per_node=n + 1)
        wf.add_node("step", _step())
        wf.add_edge(START, "step")
        wf.add_router("step", lambda x: "again" if x < n else "done", {"again": "step", "done": END})
        return _once(wf)

    def fanout(self, n: int) -> Job:
        def add(i: int) -> Callable[[int], Awaitable[int]]:
            async def node(x: int) -> int:
                return x + i

            return node

        return _once(Workflow.parallel([_named(i, add(i)) for i in range(n)], merge=sum), 1)

    def map(self, n: int) -> Job:
        def double(i: int) -> Callable[[list[int]], Awaitable[int]]:
            async def node(items: list[int]) -> int:
                return items[i] * 2

            return node

        wf = Workflow.parallel([_named(i, double(i)) for i in range(n)], merge=sum)

        async def run(_: Any) -> Any:
            return (await wf.run(list(range(n)))).output

        return Job(run)

    def stream(self, n: int) -> Job:
        wf = Workflow.chain(_steps(n), max_steps=n + 1)

        async def run(_: Any) -> int:
            done = 0
            async for event in wf.stream(0):
                done += event.kind == EventKind.WORKFLOW_STEP_COMPLETED
            return done

        return Job(run)

    def lattice(self, layers: int) -> Job:
        def first(column: int) -> Any:
            async def node(x: int) -> int:
                return combine([x + column])

            return node

        async def inner(values: list[int]) -> int:
            return combine(values)

        async def enter(x: int) -> int:
            return x

        async def total(values: list[int]) -> int:
            return sum(values)

        wf = Workflow("lattice", max_steps=layers * WIDTH + 10, max_concurrency=WIDTH)
        wf.add_node("enter", enter)
        wf.set_start("enter")
        for layer in range(layers):
            for column in range(WIDTH):
                wf.add_node(f"{layer}-{column}", inner if layer else first(column))
                for source in [f"{layer - 1}-{c}" for c in neighbours(column)] if layer else ["enter"]:
                    wf.add_edge(source, f"{layer}-{column}")
        wf.add_node("total", total)
        for column in range(WIDTH):
            wf.add_edge(f"{layers - 1}-{column}", "total")
        wf.add_edge("total", END)
        return _once(wf)

    def branches(self, n: int) -> Job:
        async def enter(x: int) -> int:
            return x

        async def total(values: list[int]) -> int:
            return sum(values)

        wf = Workflow("branches", max_steps=1_000, max_concurrency=n + 1)
        wf.add_node("enter", enter)
        wf.set_start("enter")
        wf.add_node("total", total)
        for b, waits in enumerate([[SLOW], *delays(n)]):
            before = "enter"
            for i, seconds in enumerate(waits):
                wf.add_node(f"{b}-{i}", _wait(seconds))
                wf.add_edge(before, f"{b}-{i}")
                before = f"{b}-{i}"
            wf.add_edge(before, "total")
        wf.add_edge("total", END)
        return _once(wf)

    def runs(self, n: int) -> Job:
        wf = Workflow.chain([_wait(SHORT) for _ in range(CONCURRENT_NODES)])

        async def run(_: Any) -> int:
            return sum(result.output for result in await asyncio.gather(*(wf.run(0) for _ in range(n))))

        return Job(run)

    def build(self, n: int) -> Job:
        async def run(steps: Any) -> int:
            return len(Workflow.chain(steps, max_steps=n + 1)._nodes)

        return Job(run, lambda: _steps(n))

    def durable_chain(self, n: int) -> Job:
        return _stored(n)

    def durable_chain_full(self, n: int) -> Job:
        return _stored(n, disk.FULL)

    def durable_map(self, n: int) -> Job:
        async def double(x: int) -> int:
            return x * 2

        async def run(runtime: SqliteRuntime) -> int:
            async with runtime.session("run"):
                return sum(await asyncio.gather(*(runtime.step("double", double, x) for x in range(n))))

        return Job(run, _opened, _closed)

    def durable_resume(self, n: int) -> Job:
        nodes = _steps(n)
        reached: list[float] = []

        async def last(x: int) -> int:
            reached.append(time.perf_counter())
            if len(reached) == 1:
                raise RuntimeError("the first process ends here")
            return x + 1

        async def body(runtime: SqliteRuntime) -> int:
            async with runtime.session("run"):
                x = 0
                for node in [*nodes, last]:
                    x = await runtime.step(node.__name__, node, x)
                return x

        async def setup() -> SqliteRuntime:
            runtime = _opened()
            reached.clear()
            try:
                await body(runtime)
            except RuntimeError:
                return runtime
            raise AssertionError("nothing stopped it")

        async def run(runtime: SqliteRuntime) -> tuple[int, float]:
            before = time.perf_counter()
            return await body(runtime), reached[-1] - before

        return Job(run, setup, _closed)

    def durable_kept(self, n: int) -> Job:
        return _appended(n, kept=True)

    def durable_written(self, n: int) -> Job:
        return _appended(n, kept=False)


def _opened(synchronous: str = disk.NORMAL) -> SqliteRuntime:
    runtime = SqliteRuntime(disk.fresh())
    runtime.store._conn.execute(f"PRAGMA synchronous = {synchronous}")
    return runtime


async def _closed(runtime: SqliteRuntime) -> None:
    runtime.store._conn.close()
    disk.drop(Path(runtime.path))


def _stored(n: int, synchronous: str = disk.NORMAL) -> Job:
    nodes = _steps(n)

    async def run(runtime: SqliteRuntime) -> int:
        async with runtime.session("run"):
            x = 0
            for node in nodes:
                x = await runtime.step(node.__name__, node, x)
            return x

    return Job(run, lambda: _opened(synchronous), _closed)


def _appended(n: int, *, kept: bool) -> Job:
    async def turn(i: int) -> str:
        return message(i)

    async def run(path: Path) -> tuple[int, int]:
        before = 0 if kept else disk.written()
        runtime = SqliteRuntime(path)
        messages: list[str] = []
        async with runtime.session("run"):
            for i in range(n):
                messages.append(await runtime.step("turn", turn, i))
        runtime.store._conn.close()
        return len(messages), disk.kept(path) if kept else disk.written() - before

    async def after(path: Path) -> None:
        disk.drop(path)

    return Job(run, disk.fresh, after)


ENGINE = LoomFlow()
