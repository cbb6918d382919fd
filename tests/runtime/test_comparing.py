"""Claims about two runs side by side: what differs is named node by node, with what it follows from."""

from __future__ import annotations

import operator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Failure, Graph, NodeFailedError, Workflow
from loomgraph.errors import UnknownRunError
from loomgraph.runtime.comparing import compare
from loomgraph.store.memory import MemoryStore
from tests.places import Place
from tests.runtime.logs.keeping import FOLDER

pytestmark = pytest.mark.anyio


class Notes(BaseModel):
    lines: Annotated[list[str], operator.add] = []


class Case(BaseModel):
    number: int
    text: str


def pipeline(*, version: str = "1", factor: int = 10) -> Graph[int, str]:
    """A chain, a map of graphs, state, a graph that node code runs, and a way that is not taken."""
    piece = Workflow("piece", input=int, output=Case)

    @piece.node(version=version)
    async def weigh(value: int) -> Case:
        return Case(number=value * factor, text="weighed")

    piece.chain(START, weigh, END)
    small = Workflow("small", input=int, output=int)

    @small.node(version="1")
    async def half(value: int) -> int:
        return value // 2

    small.chain(START, half, END)
    helper = small.compile()
    wf = Workflow("pipeline", input=int, output=str, state=Notes)

    @wf.node(version="1")
    async def split(value: int, ctx: Context[Notes]) -> list[int]:
        ctx.update(lines=[f"split {value}"])
        return list(range(value))

    @wf.node(version="1")
    async def add(cases: list[Case]) -> int:
        return sum(case.number for case in cases)

    @wf.node(version="1")
    async def note(total: int, ctx: Context[Notes]) -> int:
        ctx.update(lines=[f"total {total}"])
        return int(await ctx.run(helper, total, key="half"))

    @wf.node(version="1")
    async def much(total: int) -> str:
        return f"much: {total}"

    @wf.node(version="1")
    async def little(total: int) -> str:
        return f"little: {total}"

    wf.edge(START, split)
    wf.edge(wf.map(split, piece.compile()), add)
    wf.chain(add, note)
    wf.edge(note, much, when=lambda total: total >= 20, label="much")
    wf.edge(note, little, when=lambda total: total < 20, label="little")
    wf.edge(much, END)
    wf.edge(little, END)
    return wf.compile()


async def test_a_run_and_a_fork_without_a_change_are_the_same(place: Place) -> None:
    store, graph = place.store(), pipeline()
    try:
        await graph.run(3, store=store, run_id="r")
        for at, edits in ((5, {}), (None, {START: 3})):
            forked = await graph.fork("r", store=store, at=at, inputs=edits)
            await graph.resume(forked, store=store)
            both = await graph.compare("r", forked, store=store)
            assert both.same, both.differences
            assert both.differences == ()
            assert both.output == ("little: 15", "little: 15")
            assert "the same" in repr(both)
    finally:
        await store.close()


async def test_what_an_edit_changed_is_named_with_what_it_follows_from() -> None:
    store, graph = MemoryStore(), pipeline()
    await graph.run(3, store=store, run_id="r")
    forked = await graph.fork("r", store=store, outputs={"piece[1]/weigh": Case(number=30, text="by hand")})
    await graph.resume(forked, store=store)
    both = await graph.compare("r", forked, store=store)
    assert {found.key: found.differs for found in both.differences} == {
        "piece": ("output",),
        "piece[1]": ("output",),
        "piece[1]/weigh": ("output",),
        "add": ("input", "output"),
        "note": ("input", "output", "writes"),
        "note/@half/half": ("input", "output"),
        "much": ("input", "status", "output"),
        "little": ("input", "status", "output"),
    }
    [edited] = both.node("weigh")[1:2]
    assert edited.left is not None
    assert edited.right is not None
    assert (edited.left.output, edited.right.output) == (
        {"number": 10, "text": "weighed"},
        {"number": 30, "text": "by hand"},
    )
    assert (edited.left.origin, edited.right.origin) == ("run", "edited")
    assert [found.key for found in both.differences if found.source] == ["piece[1]/weigh"]
    assert both.output == ("little: 15", "much: 25")
    assert not both.same
    assert both.usage[1].activations > both.usage[0].activations, "what a fork inherits is counted with what it ran"


async def test_other_code_is_a_cause_and_what_came_out_the_same_is_the_same() -> None:
    store = MemoryStore()
    await pipeline().run(3, store=store, run_id="r")
    other = pipeline(version="2")
    forked = await other.fork("r", store=store, graph=other)
    await other.resume(forked, store=store)
    both = await compare(store, "r", forked)
    changed = {found.key: found.differs for found in both.differences if "[" in found.key and "weigh" in found.key}
    assert changed == {f"piece[{i}]/weigh": ("code",) for i in range(3)}
    assert {found.key for found in both.differences if found.source} == set(changed)
    assert both.output[0] == both.output[1]
    assert not both.same


async def test_activations_of_one_run_alone_are_told_and_so_is_the_input() -> None:
    store, graph = MemoryStore(), pipeline()
    await graph.run(2, store=store, run_id="two")
    await graph.run(3, store=store, run_id="three")
    both = await graph.compare("two", "three", store=store)
    assert both.input == (2, 3)
    alone = [(found.key, found.left is None) for found in both.differences if found.left is None or found.right is None]
    assert alone == [("piece[2]", True), ("piece[2]/weigh", True)]
    assert {found.key: found.differs for found in both.node("piece[0]")} == {}
    same = {found.key for found in both.activations if found.same}
    assert {"piece[0]", "piece[0]/weigh", "piece[1]/weigh"} <= same


async def test_what_sees_another_state_is_told_apart_from_what_is_given_another_input() -> None:
    wf = Workflow("notes", input=str, output=str, state=Notes)

    @wf.node(version="1")
    async def write(text: str, ctx: Context[Notes]) -> int:
        ctx.update(lines=[text])
        return 1

    @wf.node(version="1")
    async def reads(value: int, ctx: Context[Notes]) -> str:
        return " ".join(ctx.state.lines)

    wf.chain(START, write, reads, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run("a", store=store, run_id="a")
    await graph.run("b", store=store, run_id="b")
    both = await graph.compare("a", "b", store=store)
    assert {found.key: found.differs for found in both.activations} == {
        "write": ("input", "writes"),
        "reads": ("state", "output"),
    }


async def test_a_failed_run_and_the_fork_that_mended_it() -> None:
    def make(mended: bool) -> Graph[int, int]:
        wf = Workflow("mending", input=int, output=int)

        async def breaks(value: int) -> int:
            if not mended:
                raise LookupError("nothing there")
            return value

        @wf.node(version="1")
        async def handles(failure: Failure) -> int:
            return 0

        @wf.node(version="1")
        async def last(value: int) -> int:
            return 10 // value

        wf.edge(START, wf.node(breaks, name="breaks", version=str(mended)))
        wf.edge("breaks", last)
        wf.on_error("breaks", handles, LookupError)
        wf.edge(handles, last)
        wf.edge(last, END)
        return wf.compile()

    store, mended = MemoryStore(), make(True)
    with pytest.raises(NodeFailedError):
        await make(False).run(1, store=store, run_id="r")
    forked = await mended.fork("r", store=store, graph=mended)
    await mended.resume(forked, store=store)
    both = await mended.compare("r", forked, store=store)
    assert {found.key: found.differs for found in both.differences} == {
        "breaks": ("code", "status", "output", "failure"),
        "handles": ("input", "status", "output"),
        "last": ("input", "status", "output", "failure"),
    }
    handled = both.node("handles")[0].left
    assert handled is not None
    assert handled.input["error"] == "LookupError"
    assert (both.left.status, both.right.status) == ("failed", "succeeded")
    assert both.output == (None, 10)


async def test_an_old_log_is_compared_by_what_its_events_say() -> None:
    store = MemoryStore()
    await store.import_((FOLDER / "v1-finished.jsonl").read_bytes())
    both = await compare(store, "finished", "finished")
    assert both.same
    assert {found.left.output for found in both.node("half") if found.left} == {4}


async def test_an_unknown_run_is_compared_with_nothing() -> None:
    store, graph = MemoryStore(), pipeline()
    await graph.run(1, store=store, run_id="r")
    with pytest.raises(UnknownRunError):
        await graph.compare("r", "nobody", store=store)


async def test_what_a_finished_graph_of_ctx_run_was_given_and_gave_is_known_to_a_later_process() -> None:
    store, graph = MemoryStore(), nested()
    first = await graph.run(2, store=store, run_id="r")
    for again in (await graph.replay("r", store=store), await graph.resume("r", store=store)):
        told = {record.key: (plain(record.input), plain(record.output)) for record in first.activations}
        assert {record.key: (plain(record.input), plain(record.output)) for record in again.activations} == told
        assert [event.output for event in again.events if event.kind == "NodeSucceeded"] == [
            plain(event.output) if "/@" in event.key else event.output
            for event in first.events
            if event.kind == "NodeSucceeded"
        ]


def nested() -> Graph[int, int]:
    """A node that runs a graph with a map of graphs in it."""
    piece = Workflow("piece", input=int, output=Case)

    @piece.node(version="1")
    async def make(value: int) -> Case:
        return Case(number=value, text="made")

    piece.chain(START, make, END)
    middle = Workflow("middle", input=int, output=list[Case])

    @middle.node(version="1")
    async def split(value: int) -> list[int]:
        return list(range(value))

    middle.edge(START, split)
    middle.edge(middle.map(split, piece.compile()), END)
    graph = middle.compile()
    wf = Workflow("outer", input=int, output=int)

    @wf.node(version="1")
    async def runs(value: int, ctx: Context) -> int:
        return sum(case.number for case in await ctx.run(graph, value, key="middle"))

    wf.chain(START, runs, END)
    return wf.compile()


def plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    return [plain(item) for item in value] if isinstance(value, list) else value
