"""Graphs to be killed: loops, maps, nested graphs, state, joins, durable steps. Every body leaves a line of its own."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel

from loomgraph import END, START, Context, Graph, Quorum, Retry, Workflow
from loomgraph.testing.crash import note

GRAPHS: dict[str, tuple[Callable[[], Graph[Any, Any]], Any]] = {}


def graph(value: Any) -> Callable[[Callable[[], Graph[Any, Any]]], Callable[[], Graph[Any, Any]]]:
    """Register a graph under its function's name, with the input to run it on."""

    def register(make: Callable[[], Graph[Any, Any]]) -> Callable[[], Graph[Any, Any]]:
        GRAPHS[make.__name__] = (make, value)
        return make

    return register


class Notes(BaseModel):
    """State with a reducer, and a field that only ordered nodes write."""

    seen: Annotated[list[str], operator.add] = []
    last: int = 0


@graph(0)
def loop_with_state() -> Graph[Any, Any]:
    """Two nested loops that write state."""
    wf = Workflow("loop_with_state", input=int, output=list[str], state=Notes)

    @wf.node
    async def outer(value: int, ctx: Context[Notes]) -> int:
        note(ctx.key)
        ctx.update(seen=[f"outer {value}"], last=ctx.state.last + 1)
        return value

    @wf.node
    async def inner(value: int, ctx: Context[Notes]) -> int:
        note(ctx.key)
        ctx.update(seen=[f"inner {value}"])
        return value + 1

    @wf.node
    async def report(value: int, ctx: Context[Notes]) -> list[str]:
        note(ctx.key)
        return [*ctx.state.seen, f"last {ctx.state.last}"]

    wf.edge(START, outer)
    wf.edge(outer, inner)
    wf.edge(inner, inner, when=lambda value: value % 3 != 0, label="not yet three")
    wf.edge(inner, outer, when=lambda value: value % 3 == 0 and value < 6, label="once more")
    wf.edge(inner, report, when=lambda value: value >= 6, label="done")
    wf.edge(report, END)
    return wf.compile()


@graph([3, 1, 2])
def map_of_graphs() -> Graph[Any, Any]:
    """A map over a graph with a flaky node that is retried, joined with a plain branch."""
    piece = Workflow("piece", input=int, output=int)

    @piece.node(retry=Retry(attempts=3, delay=0))
    async def flaky(value: int, ctx: Context) -> int:
        note(ctx.key, f"try {ctx.attempt}")
        if value == 1 and ctx.attempt == 1:
            raise OSError("not this time")
        return value * 10

    @piece.node
    def in_a_thread(value: int, ctx: Context) -> int:
        note(ctx.key)
        return value + 1

    piece.chain(START, flaky, in_a_thread, END)
    wf = Workflow("map_of_graphs", input=list[int], output=list[int])

    @wf.node
    async def count(values: list[int], ctx: Context) -> int:
        note(ctx.key)
        return len(values)

    @wf.node
    async def merge(pieces: list[int], count: int, ctx: Context) -> list[int]:
        note(ctx.key)
        return [*pieces, count]

    mapped = wf.map(START, piece.compile())
    wf.edge(START, count)
    wf.join({"pieces": mapped, "count": count}, into=merge)
    wf.edge(merge, END)
    return wf.compile()


@graph(5)
def steps_inside_a_node() -> Graph[Any, Any]:
    """Durable steps, a graph chosen at run time, a routed failure, and a quorum."""
    helper = Workflow("helper", input=int, output=int)

    @helper.node
    async def half(value: int, ctx: Context) -> int:
        note(ctx.key)
        return value // 2

    @helper.node
    async def square(value: int, ctx: Context) -> int:
        note(ctx.key)
        return value * value

    helper.chain(START, half, square, END)
    made = helper.compile()
    wf = Workflow("steps_inside_a_node", input=int, output=str)

    def paid(key: str, value: int) -> int:
        note(key, "paid")
        return value * 100

    @wf.node
    async def shop(value: int, ctx: Context) -> int:
        price = await ctx.step("pay", paid, ctx.key, value)
        more = await ctx.run(made, price, key="helper")
        return price + int(more)

    @wf.node
    async def fails(value: int, ctx: Context) -> None:
        note(ctx.key, "fails")
        raise ValueError(f"no {value}")

    @wf.node
    async def handle(failure: object, ctx: Context) -> str:
        note(ctx.key)
        return str(failure)

    @wf.node
    async def fine(value: int, ctx: Context) -> str:
        note(ctx.key)
        return f"fine {value}"

    @wf.node
    async def last(told: list[str], ctx: Context) -> str:
        note(ctx.key)
        return "; ".join(sorted(told))

    wf.edge(START, shop)
    wf.edge(shop, fails)
    wf.edge(shop, fine)
    wf.on_error(fails, handle, ValueError)
    wf.join([fine, handle], into=last, wait=Quorum(2))
    wf.edge(last, END)
    return wf.compile()


CAP = 6


@graph(0)
def capped() -> Graph[Any, Any]:
    """A loop that reaches its cap, and so fails."""
    wf = Workflow("capped", input=int, output=int)

    @wf.node
    async def again(value: int, ctx: Context) -> int:
        note(ctx.key)
        ctx.meter(bodies=1)
        return value + 1

    wf.edge(START, again)
    wf.edge(again, again, when=lambda value: value >= 0, label="for ever", cap=CAP)
    wf.edge(again, END, when=lambda value: value < 0, label="never")
    return wf.compile()
