"""pydantic-graph's GraphBuilder as its documentation writes it: steps, `.map()`, joins with the library's reducers.

The loop is a node class that returns itself, as its documentation writes cycles (and quicker than a decision node).
Instrumentation is off.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pydantic_graph import BaseNode, End, GraphBuilder, GraphRunContext, StepContext
from pydantic_graph.graph_builder import EndMarker
from pydantic_graph.join import reduce_list_append, reduce_sum

from benchmarks.engines.base import Engine, Job, UnsupportedError
from benchmarks.workloads import CONCURRENT_NODES, SHORT, SLOW, delays

Context = StepContext[None, None, int]


def _builder() -> Any:
    return GraphBuilder(input_type=int, output_type=int, auto_instrument=False)


def _step() -> Callable[[Context], Awaitable[int]]:
    async def step(ctx: Context) -> int:
        return ctx.inputs + 1

    return step


def _wait(seconds: float) -> Callable[[Context], Awaitable[int]]:
    async def wait(ctx: Context) -> int:
        await asyncio.sleep(seconds)
        return ctx.inputs + 1

    return wait


def _chain(calls: list[Callable[[Context], Awaitable[int]]]) -> Any:
    g = _builder()
    steps = [g.step(call, node_id=f"n{i}") for i, call in enumerate(calls)]
    ends = [g.start_node, *steps, g.end_node]
    g.add(*(g.edge_from(source).to(target) for source, target in pairwise(ends)))
    return g


def _once(graph: Any, value: int = 0) -> Job:
    async def run(_: Any) -> Any:
        return await graph.run(inputs=value)

    return Job(run)


@dataclass
class Again(BaseNode[None, None, int]):
    """The loop's one node."""

    x: int
    limit: int

    async def run(self, ctx: GraphRunContext[None]) -> "Again | End[int]":
        return Again(self.x + 1, self.limit) if self.x < self.limit else End(self.x)


class PydanticGraph(Engine):
    """A peer with typed steps and its own task for each."""

    name = "pydantic-graph"
    distribution = "pydantic-graph"

    def chain(self, n: int) -> Job:
        return _once(_chain([_step() for _ in range(n)]).build())

    def loop(self, n: int) -> Job:
        g = _builder()

        @g.step
        async def enter(ctx: StepContext[None, None, int]) -> Again:
            return Again(ctx.inputs, n)

        g.add(g.node(Again), g.edge_from(g.start_node).to(enter))
        return _once(g.build())

    def loop_goto(self, n: int) -> Job:
        return self.loop(n)

    def fanout(self, n: int) -> Job:
        def add(i: int) -> Any:
            async def node(ctx: Context) -> int:
                return ctx.inputs + i

            return node

        g = _builder()
        steps = [g.step(add(i), node_id=f"n{i}") for i in range(n)]
        total = g.join(reduce_sum, initial=0)
        g.add(
            g.edge_from(g.start_node).to(*steps),
            g.edge_from(*steps).to(total),
            g.edge_from(total).to(g.end_node),
        )
        return _once(g.build(), 1)

    def map(self, n: int) -> Job:
        g = _builder()

        @g.step
        async def items(ctx: StepContext[None, None, int]) -> list[int]:
            return list(range(ctx.inputs))

        @g.step
        async def double(ctx: StepContext[None, None, int]) -> int:
            return ctx.inputs * 2

        @g.step
        async def total(ctx: StepContext[None, None, list[int]]) -> int:
            return sum(ctx.inputs)

        collect = g.join(reduce_list_append, initial_factory=list[int])
        g.add(
            g.edge_from(g.start_node).to(items),
            g.edge_from(items).map().to(double),
            g.edge_from(double).to(collect),
            g.edge_from(collect).to(total),
            g.edge_from(total).to(g.end_node),
        )
        return _once(g.build(), n)

    def stream(self, n: int) -> Job:
        graph = _chain([_step() for _ in range(n)]).build()

        async def run(_: Any) -> int:
            done = -1  # the first thing it tells of is its own start
            async with graph.iter(inputs=0) as handle:
                async for told in handle:
                    done += not isinstance(told, EndMarker)
            return done

        return Job(run)

    def lattice(self, layers: int) -> Job:
        raise UnsupportedError("a join waits for its whole fork, not for chosen neighbours")

    def branches(self, n: int) -> Job:
        g = _builder()
        total = g.join(reduce_sum, initial=0)
        first: list[Any] = []
        for b, waits in enumerate([[SLOW], *delays(n)]):
            steps = [g.step(_wait(seconds), node_id=f"{b}-{i}") for i, seconds in enumerate(waits)]
            first.append(steps[0])
            ends = [*steps, total]
            g.add(*(g.edge_from(source).to(target) for source, target in pairwise(ends)))
        g.add(g.edge_from(g.start_node).to(*first), g.edge_from(total).to(g.end_node))
        return _once(g.build())

    def runs(self, n: int) -> Job:
        graph = _chain([_wait(SHORT) for _ in range(CONCURRENT_NODES)]).build()

        async def run(_: Any) -> int:
            return sum(await asyncio.gather(*(graph.run(inputs=0) for _ in range(n))))

        return Job(run)

    def build(self, n: int) -> Job:
        async def run(calls: Any) -> int:
            _chain(calls)
            return len(calls)

        return Job(run, lambda: [_step() for _ in range(n)])

    def compile(self, n: int) -> Job:
        async def run(builder: Any) -> int:
            return len(builder.build().nodes) - 2  # its start and end are nodes

        return Job(run, lambda: _chain([_step() for _ in range(n)]))


ENGINE = PydanticGraph()
