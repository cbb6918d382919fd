"""The runs whose logs are kept: between them they write every kind of event. Fixed ids, versions and order.

A program that is here stays as it is, for the kept logs were written by it. A new kind of event gets a new program.
"""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from pydantic import BaseModel

from loomgraph import END, START, Context, Graph, NodeFailedError, Retry, Workflow
from loomgraph.errors import RunCancelledError
from loomgraph.store.protocol import Store

__all__ = ["PROGRAMS", "Notes", "Piece", "graph_of", "piece_of"]

PROGRAMS: dict[str, tuple[Callable[[], Graph[Any, Any]], Callable[[Graph[Any, Any], Store], Awaitable[None]]]] = {}
"""Name -> (what makes the graph, what runs it in a store under the program's name)."""

Make = Callable[[], Graph[Any, Any]]
Drive = Callable[[Graph[Any, Any], Store], Awaitable[None]]


def program(make: Make) -> Callable[[Drive], Drive]:
    """Register a program under its driver's name."""

    def register(drive: Drive) -> Drive:
        PROGRAMS[drive.__name__] = (make, drive)
        return drive

    return register


def graph_of(name: str) -> Graph[Any, Any]:
    """A program's graph, made anew."""
    return PROGRAMS[name][0]()


class Notes(BaseModel):
    """State with a reducer and a plain field."""

    seen: Annotated[list[str], operator.add] = []
    last: int = 0


class Piece(BaseModel):
    """A value with fields, long enough to be stored apart from its event."""

    number: int
    text: str


def piece_of(number: int) -> Piece:
    """One of these."""
    return Piece(number=number, text=f"a text that is too long to stand in the event itself, number {number} " * 2)


def shapes() -> Graph[Any, Any]:
    """Loops, state, a map of graphs, joins, a retry, a handled failure, steps, a graph chosen at run time."""
    inner = Workflow("inner", input=Piece, output=Piece)

    @inner.node(version="1", retry=Retry(attempts=2, delay=0))
    async def polish(piece: Piece, ctx: Context) -> Piece:
        if piece.number == 1 and ctx.attempt == 1:
            raise OSError("once")
        return piece_of(piece.number * 10)

    inner.chain(START, polish, END)
    small = Workflow("small", input=int, output=int)

    @small.node(version="1")
    async def half(value: int) -> int:
        return value // 2

    small.chain(START, half, END)
    helper = small.compile()
    wf = Workflow("shapes", input=int, output=str, state=Notes)

    @wf.node(version="1")
    async def grow(value: int, ctx: Context[Notes]) -> int:
        ctx.update(seen=[f"grow {value}"], last=value)
        return value + 1

    @wf.node(version="1")
    async def cut(value: int) -> list[Piece]:
        return [piece_of(number) for number in range(value)]

    @wf.node(version="1")
    async def count(pieces: list[Piece]) -> int:
        return sum(piece.number for piece in pieces)

    @wf.node(version="1")
    async def fragile(pieces: list[Piece]) -> int:
        raise ValueError("it broke")

    @wf.node(version="1")
    async def mend(failure: object, ctx: Context[Notes]) -> int:
        await ctx.emit({"mending": 1})
        await ctx.sleep(0)
        price = await ctx.step("price", _price)
        return price + int(await ctx.run(helper, 8, key="half"))

    @wf.node(version="1")
    async def unused(value: int) -> str:
        return str(value)

    @wf.node(version="1")
    async def tell(total: int, extra: int, ctx: Context[Notes]) -> str:
        return f"{total} {extra} {ctx.state.seen} {ctx.state.last}"

    wf.edge(START, grow)
    wf.edge(grow, grow, when=lambda value: value < 3, label="small")
    wf.edge(grow, cut, when=lambda value: value >= 3, label="large")
    wf.edge(grow, unused, when=lambda value: value > 99, label="huge")
    pieces = wf.map(cut, inner.compile())
    wf.edge(pieces, count)
    wf.edge(pieces, fragile)
    wf.on_error(fragile, mend, ValueError)
    wf.join({"total": count, "extra": [fragile, mend]}, into=tell)
    wf.edge(tell, END)
    wf.edge(unused, END)
    return wf.compile()


def _price() -> int:
    return 7


def race() -> Graph[Any, Any]:
    """An early join, whose loser is cancelled, and a loop that ends at its cap."""
    wf = Workflow("race", input=int, output=int)

    @wf.node(version="1")
    async def fast(value: int) -> int:
        return value + 1

    @wf.node(version="1", retry=Retry(attempts=2, delay=1000, jitter=0))
    async def slow(value: int) -> int:
        raise OSError("not now")

    @wf.node(version="1")
    async def won(value: int) -> int:
        return value

    @wf.node(version="1")
    async def again(value: int) -> int:
        return value + 1

    @wf.node(version="1")
    async def late(value: int) -> int:
        return -value

    wf.edge(START, slow)
    wf.edge(START, fast)
    wf.join([slow, fast], into=won, wait="first")
    wf.edge(won, again)
    wf.edge(again, again, when=lambda value: value < 100, label="round", cap=3)
    wf.edge(again, END, when=lambda value: value >= 100, label="out")
    wf.loop(again, on_cap=late)
    wf.edge(late, END)
    return wf.compile()


def failing() -> Graph[Any, Any]:
    """A chain whose second node fails until somebody mends it."""
    wf = Workflow("failing", input=int, output=int)

    @wf.node(version="1")
    async def sound(value: int) -> int:
        return value + 1

    @wf.node(version="1")
    async def broken(value: int) -> int:
        raise ConnectionError("down")

    wf.chain(START, sound, broken, END)
    return wf.compile()


def mended() -> Graph[Any, Any]:
    """The same graph, once the world is mended: a node's version says what it means."""
    wf = Workflow("failing", input=int, output=int)

    @wf.node(version="1")
    async def sound(value: int) -> int:
        return value + 1

    @wf.node(version="1")
    async def broken(value: int) -> int:
        return value * 2

    wf.chain(START, sound, broken, END)
    return wf.compile()


@program(shapes)
async def finished(graph: Graph[Any, Any], store: Store) -> None:
    """A run to its end."""
    await graph.run(0, store=store, run_id="finished", limit=1, metadata={"kept": True}, user_id="u", session_id="s")


@program(race)
async def raced(graph: Graph[Any, Any], store: Store) -> None:
    """A run that leaves something to time."""
    await graph.run(0, store=store, run_id="raced", limit=1)


@program(failing)
async def failed(graph: Graph[Any, Any], store: Store) -> None:
    """A run that failed."""
    try:
        await graph.run(1, store=store, run_id="failed")
    except NodeFailedError:
        return
    raise AssertionError("it was to fail")


@program(mended)
async def resumed(graph: Graph[Any, Any], store: Store) -> None:
    """A run that failed, went on and ended."""
    try:
        await failing().run(1, store=store, run_id="resumed")
    except NodeFailedError:
        await graph.resume("resumed", store=store)


def waiting() -> Graph[Any, Any]:
    """A graph that takes its time."""
    wf = Workflow("waiting", input=int, output=int)

    @wf.node(version="1")
    async def first(value: int) -> int:
        return value

    @wf.node(version="1")
    async def wait(value: int, ctx: Context) -> int:
        await ctx.emit("waiting")
        if ctx.metadata.get("stop"):
            await ctx.sleep(1000)
        return value + 5

    wf.chain(START, first, wait, END)
    return wf.compile()


@program(waiting)
async def cancelled(graph: Graph[Any, Any], store: Store) -> None:
    """A run that somebody cancelled."""
    try:
        async with graph.start(1, store=store, run_id="cancelled", metadata={"stop": True}) as run:
            async for event in run.events():
                if event.kind == "Emitted":
                    run.cancel("enough")
            await run.result()
    except RunCancelledError:
        return
    raise AssertionError("it was to be cancelled")


def counting() -> Graph[Any, Any]:
    """A graph that counts what it uses."""
    wf = Workflow("counting", input=int, output=int)

    @wf.node(version="1", retry=Retry(attempts=2, delay=0))
    async def spend(value: int, ctx: Context) -> int:
        ctx.meter(model_calls=1, input_tokens=40, cost=0.25)
        if ctx.attempt == 1:
            raise ConnectionError("again")
        return value

    wf.chain(START, spend, END)
    return wf.compile()


@program(counting)
async def metered(graph: Graph[Any, Any], store: Store) -> None:
    """A run that counted what it used."""
    await graph.run(3, store=store, run_id="metered")


def asking() -> Graph[Any, Any]:
    """People, signals, a race that withdraws a question, and a node that the run is told to stop after."""
    wf = Workflow("asking", input=int, output=str, state=Notes)

    @wf.node(version="1")
    async def draft(value: int, ctx: Context[Notes]) -> Piece:
        ctx.update(seen=["draft"])
        return piece_of(value)

    @wf.node(version="1")
    async def approve(piece: Piece, ctx: Context) -> Piece:
        return await ctx.ask({"approve": piece.number}, Piece, key="piece")

    @wf.node(version="1")
    async def paid(piece: Piece, ctx: Context) -> int:
        return await ctx.wait_for("paid", int)

    @wf.node(version="1")
    async def never(piece: Piece, ctx: Context) -> int:
        return await ctx.ask("which?", int)

    @wf.node(version="1")
    async def first(value: int) -> int:
        return value

    @wf.node(version="1")
    async def tell(piece: Piece, value: int) -> str:
        return f"{piece.number} {value}"

    wf.edge(START, draft)
    wf.edge(draft, approve)
    wf.edge(draft, paid)
    wf.edge(draft, never)
    wf.join([never, paid], into=first, wait="first")
    wf.join({"piece": approve, "value": first}, into=tell)
    wf.edge(tell, END)
    return wf.compile()


@program(asking)
async def asked(graph: Graph[Any, Any], store: Store) -> None:
    """A run that stopped where it was told, asked, was sent a signal it refused and one it took, and ended."""
    result = await graph.run(4, store=store, run_id="asked", interrupt_after=["draft"], limit=1)
    assert (result.status, result.interrupts) == ("suspended", ("draft",))
    await graph.signal("asked", "paid", "not a number", store=store, id="1")
    result = await graph.resume("asked", store=store, limit=1)
    assert (len(result.questions), result.signals) == (2, ("paid",))
    await graph.answer("asked", {"approve@piece": piece_of(5)}, store=store, by="somebody")
    await graph.signal("asked", "paid", 17, store=store, id="2")
    result = await graph.resume("asked", store=store, limit=1)
    assert result.output == "5 17"


@program(shapes)
async def redriven(graph: Graph[Any, Any], store: Store) -> None:
    """A fork with another input and an edited output, driven once more with what still fits."""
    await graph.run(0, store=store, run_id="before", limit=1)
    edits: dict[str, Any] = {"inner[1]": piece_of(5)}
    await graph.fork("before", run_id="redriven", store=store, inputs={"inner[2]": piece_of(7)}, outputs=edits)
    await graph.resume("redriven", store=store, limit=1)


@program(asking)
async def refused(graph: Graph[Any, Any], store: Store) -> None:
    """A message that says it is an answer and is none."""
    await graph.run(4, store=store, run_id="refused", limit=1)
    await store.post("refused", "by hand", "answer", b"yes")
    await graph.answer("refused", {"approve@piece": piece_of(5)}, store=store)
    await graph.signal("refused", "paid", 17, store=store, id="1")
    assert (await graph.resume("refused", store=store, limit=1)).output == "5 17"
