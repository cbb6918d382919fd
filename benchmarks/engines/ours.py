"""loomgraph, in memory, as it is by default: every event recorded, every check and validation on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.engines.base import Engine, Job
from benchmarks.workloads import CONCURRENT_NODES, SHORT, SLOW, WIDTH, combine, delays, neighbours
from loomgraph import END, OTHERWISE, START, Graph, Workflow
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
        async def items(count: int) -> list[int]:
            return list(range(count))

        async def double(x: int) -> int:
            return x * 2

        wf = Workflow("map", input=int, output=int)
        wf.edge(START, items)
        wf.chain(wf.map(items, double), _total, END)
        return _once(wf.compile(), n)

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

    def build(self, n: int) -> Job:
        async def run(steps: Steps) -> int:
            return len(_chain(steps).define().nodes)

        return Job(run, lambda: [_step() for _ in range(n)])

    def compile(self, n: int) -> Job:
        return _compile(lambda: _chain([_step() for _ in range(n)]))

    def compile_mixed(self, n: int) -> Job:
        return _compile(lambda: _mixed(n))


def _compile(build: Callable[[], Workflow[int, int]]) -> Job:
    async def run(wf: Workflow[int, int]) -> int:
        graph = wf.compile()
        assert graph.fingerprint  # made when first asked for, at the latest by the first run: it belongs to the price
        return len(graph.definition.nodes)

    return Job(run, build)


ENGINE = Ours()
