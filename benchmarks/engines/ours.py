"""loomgraph as it is by default: every event recorded, every check and validation on.

In memory, and for the durable workloads in a SQLite file, with the default `durability="sync"`.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

from benchmarks.engines import disk
from benchmarks.engines.base import Engine, Job
from benchmarks.engines.shapes import SHAPES
from benchmarks.workloads import CONCURRENT_NODES, SHORT, SLOW, WIDTH, combine, delays, message, neighbours
from loomgraph import END, OTHERWISE, START, Graph, Workflow
from loomgraph.errors import RunError
from loomgraph.graph.refs import ALWAYS

Steps = list[Callable[[int], Awaitable[int]]]


def _step() -> Callable[[int], Awaitable[int]]:
    async def step(x: int) -> int:
        return x + 1

    return step


def _add(i: int) -> Callable[[int], Awaitable[int]]:
    async def add(x: int) -> int:
        return x + i

    return add


def _wait(seconds: float) -> Callable[[int], Awaitable[int]]:
    async def wait(x: int) -> int:
        await asyncio.sleep(seconds)
        return x + 1

    return wait


async def _total(values: list[int]) -> int:
    return sum(values)


def _chain(steps: Steps) -> Workflow[int, int]:
    wf = Workflow("chain", input=int, output=int)
    wf.chain(START, *(wf.node(step, name=f"n{i}") for i, step in enumerate(steps)), END)
    return wf


def _mixed(n: int) -> Workflow[int, int]:
    """Blocks of ten nodes: a route, alternatives meeting again, three in parallel joined, and a loop of two."""
    wf = Workflow("mixed", input=int, output=int)
    before: Any = START
    for block in range(n // 10):

        def node(fn: Any, role: str, block: int = block) -> Any:
            return wf.node(fn, name=f"{role}{block}")

        enter, even, odd, meet = (node(_step(), role) for role in ("enter", "even", "odd", "meet"))
        sides = [node(_step(), f"side{i}-") for i in range(3)]
        join, draft, judge = node(_total, "join"), node(_step(), "draft"), node(_step(), "judge")
        wf.edge(before, enter, when=ALWAYS if before is START else OTHERWISE)
        wf.route(enter, {lambda x: x % 2 == 0: even}, otherwise=odd)
        wf.edge(even, meet)
        wf.edge(odd, meet)
        wf.parallel(sides, source=meet, into=join)
        wf.edge(join, draft)
        wf.loop(draft, judge, again=lambda x: x < 0, cap=5)
        before = judge
    wf.edge(before, END, when=OTHERWISE)
    return wf


def _map() -> Graph[int, int]:
    async def items(count: int) -> list[int]:
        return list(range(count))

    async def double(x: int) -> int:
        return x * 2

    wf = Workflow("map", input=int, output=int)
    wf.edge(START, items)
    wf.chain(wf.map(items, double), _total, END)
    return wf.compile()


def _growing(n: int) -> Graph[list[str], list[str]]:
    async def turn(messages: list[str]) -> list[str]:
        return [*messages, message(len(messages))]

    wf = Workflow("growing", input=list[str], output=list[str])
    node = wf.node(turn, name="turn")
    wf.edge(START, node)
    wf.edge(node, node, when=lambda messages: len(messages) < n, cap=n)
    wf.edge(node, END, when=OTHERWISE)
    return wf.compile()


def _store(path: Path, synchronous: Literal["NORMAL", "FULL"] = disk.NORMAL) -> Any:
    """A store; imported only where one is measured, as with every engine."""
    from loomgraph.store.sqlite import SQLiteStore

    return SQLiteStore(path, synchronous=synchronous)


def _stored(graph: Graph[int, int], value: int, synchronous: Literal["NORMAL", "FULL"] = disk.NORMAL) -> Job:
    """A run in a new file, opened before the clock starts."""

    async def setup() -> Any:
        return await _store(disk.fresh(), synchronous).__aenter__()

    async def run(store: Any) -> int:
        return (await graph.run(value, store=store)).output

    async def after(store: Any) -> None:
        await store.close()
        disk.drop(store.path)

    return Job(run, setup, after)


def _once(graph: Graph[int, int], value: int = 0) -> Job:
    async def run(_: Any) -> int:
        return (await graph.run(value)).output

    return Job(run)


class Ours(Engine):
    """The library in this repository."""

    name = "loomgraph"
    distribution = "loomgraph-engine"

    def chain(self, n: int) -> Job:
        return _once(_chain([_step() for _ in range(n)]).compile())

    def loop(self, n: int) -> Job:
        wf = Workflow("loop", input=int, output=int)
        step = wf.node(_step(), name="step")
        wf.edge(START, step)
        wf.edge(step, step, when=lambda x: x < n, cap=n)
        wf.edge(step, END, when=OTHERWISE)
        return _once(wf.compile())

    def loop_goto(self, n: int) -> Job:
        return self.loop(n)  # there is one way to write a loop

    def fanout(self, n: int) -> Job:
        wf = Workflow("fanout", input=int, output=int)
        wf.parallel([wf.node(_add(i), name=f"n{i}") for i in range(n)], source=START, into=_total)
        wf.edge(_total, END)
        return _once(wf.compile(), 1)

    def map(self, n: int) -> Job:
        return _once(_map(), n)

    def stream(self, n: int) -> Job:
        graph = _chain([_step() for _ in range(n)]).compile()

        async def run(_: Any) -> int:
            done = 0
            async with graph.start(0) as handle:
                async for event in handle.events():
                    done += event.kind == "NodeSucceeded"
            return done

        return Job(run)

    def lattice(self, layers: int) -> Job:
        def first(column: int) -> Callable[[int], Awaitable[int]]:
            async def start(x: int) -> int:
                return combine([x + column])

            return start

        def inner() -> Callable[[list[int]], Awaitable[int]]:
            async def node(values: list[int]) -> int:
                return combine(values)

            return node

        wf = Workflow("lattice", input=int, output=int)
        row: list[Any] = [wf.node(first(column), name=f"0-{column}") for column in range(WIDTH)]
        for node in row:
            wf.edge(START, node)
        for layer in range(1, layers):
            above = row
            row = [wf.node(inner(), name=f"{layer}-{column}") for column in range(WIDTH)]
            for column, node in enumerate(row):
                wf.join([above[c] for c in neighbours(column)], into=node)
        wf.join(row, into=_total)
        wf.edge(_total, END)
        return _once(wf.compile())

    def branches(self, n: int) -> Job:
        wf = Workflow("branches", input=int, output=int)
        ends: list[Any] = []
        for b, waits in enumerate([[SLOW], *delays(n)]):
            nodes = [wf.node(_wait(seconds), name=f"{b}-{i}") for i, seconds in enumerate(waits)]
            wf.chain(START, *nodes)
            ends.append(nodes[-1])
        wf.join(ends, into=_total)
        wf.edge(_total, END)
        return _once(wf.compile())

    def runs(self, n: int) -> Job:
        graph = _chain([_wait(SHORT) for _ in range(CONCURRENT_NODES)]).compile()

        async def run(_: Any) -> int:
            results = await asyncio.gather(*(graph.run(0) for _ in range(n)))
            return sum(result.output for result in results)

        return Job(run)

    def durable_chain(self, n: int) -> Job:
        return _stored(_chain([_step() for _ in range(n)]).compile(), 0)

    def durable_chain_full(self, n: int) -> Job:
        return _stored(_chain([_step() for _ in range(n)]).compile(), 0, disk.FULL)

    def durable_map(self, n: int) -> Job:
        return _stored(_map(), n)

    def durable_resume(self, n: int) -> Job:
        reached: list[float] = []

        async def last(x: int) -> int:
            reached.append(time.perf_counter())
            if len(reached) == 1:
                raise RuntimeError("the first process ends here")
            return x + 1

        graph = _chain([*(_step() for _ in range(n)), last]).compile()

        async def setup() -> Any:
            store = await _store(disk.fresh()).__aenter__()
            reached.clear()
            with contextlib.suppress(RunError):
                await graph.run(0, store=store, run_id="run")
            return store

        async def run(store: Any) -> tuple[int, float]:
            before = time.perf_counter()
            output = (await graph.resume("run", store=store)).output
            return output, reached[-1] - before

        async def after(store: Any) -> None:
            await store.close()
            disk.drop(store.path)

        return Job(run, setup, after)

    def durable_kept(self, n: int) -> Job:
        return _appended(n, kept=True)

    def durable_written(self, n: int) -> Job:
        return _appended(n, kept=False)

    def agent_turn(self, n: int) -> Job:
        from benchmarks.engines.instant import Instant
        from loomgraph import Agent

        agent = Agent("agent", Instant(), instructions="Answer.")
        assert agent.graph  # compiled once, when the program starts

        async def run(_: Any) -> int:
            return sum([(await agent.run("Hello.")).output == "Hi." for _ in range(n)])

        return Job(run)

    def build(self, n: int) -> Job:
        async def run(steps: Steps) -> int:
            return len(_chain(steps).define().nodes)

        return Job(run, lambda: [_step() for _ in range(n)])

    def compile(self, n: int) -> Job:
        return _compile(lambda: _chain([_step() for _ in range(n)]))

    def compile_mixed(self, n: int) -> Job:
        return _compile(lambda: _mixed(n))

    def draw(self, n: int) -> Job:
        graph = _mixed(n).compile()

        async def run(_: None) -> int:
            text = graph.to_mermaid()
            return len(graph.definition.nodes) if text.startswith("flowchart") and len(text) <= 50_000 else 0

        return Job(run)

    def job(self, workload: str, size: int) -> Job:
        """As Engine has it; a large graph of a certain shape is a workload `compile-` and the shape's name."""
        shape = SHAPES.get(workload.removeprefix("compile-"))
        if shape is None or not workload.startswith("compile-"):
            return super().job(workload, size)
        return _compile(lambda: shape(size))


def _appended(n: int, *, kept: bool) -> Job:
    graph = _growing(n)

    async def run(path: Path) -> tuple[int, int]:
        before = 0 if kept else disk.written()
        async with _store(path) as store:
            messages = (await graph.run([], store=store)).output
        return len(messages), disk.kept(path) if kept else disk.written() - before

    async def after(path: Path) -> None:
        disk.drop(path)

    return Job(run, disk.fresh, after)


def _compile(build: Callable[[], Workflow[int, int]]) -> Job:
    async def run(wf: Workflow[int, int]) -> int:
        graph = wf.compile()
        assert graph.fingerprint  # made when first asked for, at the latest by the first run: it belongs to the price
        return len(graph.definition.nodes)

    return Job(run, build)


ENGINE = Ours()
