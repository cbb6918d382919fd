"""Claims about notes: what a run writes down about itself and about its user, over runs and lives."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loomgraph import END, START, Context, Graph, NodeFailedError, Workflow
from loomgraph.errors import StorelessPauseError
from loomgraph.events import MessageRefused, RunRedriven
from loomgraph.runtime.notes import note_about_user
from loomgraph.store.keys import new_key
from loomgraph.store.memory import MemoryStore
from loomgraph.store.opening import open_store
from tests.places import Place
from tests.runtime.rehearsal import cut_short

pytestmark = pytest.mark.anyio


def noting(about: Any) -> Any:
    wf = Workflow("noting", input=str, output=list[Any])

    @wf.node
    async def note(text: str, ctx: Context) -> list[Any]:
        await ctx.note("seen", {"text": text}, whose=about)
        await ctx.note("seen", {"text": text}, whose=about)
        await ctx.note("else", 1, whose=about)
        return await ctx.noted("seen", whose=about)

    wf.chain(START, note, END)
    return wf.compile()


async def test_notes_about_a_user_are_there_in_later_runs_of_the_store_in_order(place: Place) -> None:
    async with place.store() as store:
        graph = noting("user")
        assert (await graph.run("a", store=store, user_id="ada")).output == [{"text": "a"}]
        assert (await graph.run("x", store=store, user_id="bob")).output == [{"text": "x"}]
        await note_about_user(store, "ada", "seen", {"text": "from outside"})
        found = await graph.run("b", store=store, user_id="ada")
        assert found.output == [{"text": "a"}, {"text": "from outside"}, {"text": "b"}]


async def test_notes_about_a_run_are_its_own() -> None:
    store = MemoryStore()
    graph = noting("run")
    assert (await graph.run("a", store=store, user_id="ada")).output == [{"text": "a"}]
    assert (await graph.run("b", store=store, user_id="ada")).output == [{"text": "b"}]
    assert len((await store.runs()).runs) == 2


def ledger(ran: list[str], version: str = "1") -> Graph[int, str]:
    """Four that note what they are given, one inside a map, a graph and a graph of ctx.run, and one that reads it."""

    async def noted(value: int, ctx: Context) -> int:
        ran.append(ctx.key)
        await ctx.note("seen", [ctx.key, value])
        return value

    def inner(name: str) -> Graph[int, int]:
        wf = Workflow(name, input=int, output=int)
        wf.chain(START, wf.node(noted, name="deep"), END)
        return wf.compile()

    wf = Workflow("ledger", input=int, output=str)
    made = inner("made")

    @wf.node(version="1")
    async def runs(value: int, ctx: Context) -> int:
        return int(await ctx.run(made, value, key="made"))

    @wf.node(version="1")
    async def spread(value: int) -> list[int]:
        return [value, value + 1]

    @wf.node(version="1")
    async def reads(first: int, others: list[int], nested: int, run: int, ctx: Context) -> str:
        return " ".join(f"{key}={value}" for key, value in sorted(await ctx.noted("seen")))

    first = wf.node(noted, name="first", version=version)
    each, nested = wf.node(noted, name="each"), wf.subgraph(inner("nested"))
    wf.edge(START, first)
    wf.chain(START, spread)
    wf.map(spread, each)
    wf.edge(START, nested)
    wf.edge(START, runs)
    wf.join({"first": first, "others": each, "nested": nested, "run": runs}, into=reads)
    wf.edge(reads, END)
    return wf.compile()


ALL = "each[0]=1 each[1]=2 first=1 nested/deep=1 runs/@made/deep=1"


async def test_a_fork_has_the_notes_of_what_it_takes_over_and_of_nothing_else(place: Place) -> None:
    ran: list[str] = []
    graph = ledger(ran)
    async with place.store() as plain:
        store = open_store(plain, encrypt=new_key()) if place.kind == "sqlite" else plain
        assert (await graph.run(1, store=store, run_id="r")).output == ALL
        ran.clear()
        # everything is taken over; what reads the notes runs again
        again = await graph.fork("r", store=store, run_id="again", inputs={START: 1})
        twice = await graph.fork(again, store=store, run_id="twice", graph=ledger(ran), inputs={START: 1})
        for fork in (again, twice):
            assert (await graph.resume(fork, store=store)).output == ALL
        assert (await graph.resume(await graph.fork(again, store=store, at="first"), store=store)).output == ALL
        assert ran == []
        # an edit: what runs again notes what it is given now, and what it does not reach keeps its notes
        edited = await graph.fork("twice", store=store, outputs={"spread": [1, 9]})
        assert (await graph.resume(edited, store=store)).output == ALL.replace("each[1]=2", "each[1]=9")
        assert ran == ["each[1]"]
        back = await graph.fork(edited, store=store, outputs={"spread": [1, 2]})
        assert (await graph.resume(back, store=store)).output == ALL
        assert (await graph.resume("r", store=store)).output == ALL


@pytest.mark.parametrize(("at", "durability"), [("first", "sync"), ("spread", "exit"), ("each[0]", "batch")])
async def test_a_fork_does_not_know_what_was_noted_after_its_place(at: str, durability: Any) -> None:
    ran: list[str] = []
    graph, store = ledger(ran), MemoryStore()
    await graph.run(1, store=store, run_id="r", durability=durability)
    fork = await graph.fork("r", store=store, at=at)
    done = {event.key for event in await store.events(fork) if event.kind == "+"}
    known = {json.loads(message.data)[1][0] for message in await store.inbox(fork)}
    assert known >= done & {"first", "each[0]", "each[1]", "nested/deep", "runs/@made/deep"}
    assert durability == "batch" or known <= {event.key for event in await store.events(fork)}
    ran.clear()
    assert (await graph.resume(fork, store=store)).output == ALL
    assert not done & {*ran}
    assert len(await store.inbox(fork)) == 5, "what runs again notes the same, and that is one note"


async def test_what_is_given_another_input_where_it_had_begun_has_noted_nothing() -> None:
    wf = Workflow("again", input=int, output=list[Any])

    @wf.node
    async def note(value: int, ctx: Context) -> list[Any]:
        await ctx.note("seen", value)
        return await ctx.noted("seen")

    wf.chain(START, note, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(1, store=store, run_id="r")
    cut = await cut_short(store, "r", 2)  # killed after it was noted, and before the node ended
    for message in await store.inbox("r"):
        await cut.post("r", message.id, message.kind, message.data)
    for inputs, notes in (({}, [1]), ({"note": 5}, [5]), ({"note": 1}, [1])):
        fork = await graph.fork("r", store=cut, inputs=inputs)
        assert (await graph.resume(fork, store=cut)).output == notes
    assert (await graph.resume("r", store=cut)).output == [1]


async def test_a_run_whose_graph_changed_keeps_the_notes_of_what_did_not() -> None:
    ran: list[str] = []
    store = MemoryStore()
    await ledger(ran).run(1, store=store, run_id="r")
    ran.clear()
    changed = ledger(ran, version="2")
    result = await changed.resume("r", store=store, on_change="rerun")
    assert (result.output, ran) == (ALL, ["first"])
    assert len(await store.inbox("r")) == 6, "the new code has noted that itself"
    for stop in range(next(e.seq for e in result.events if isinstance(e, RunRedriven)) + 1, len(result.events)):
        cut = await cut_short(store, "r", stop)
        for message in await store.inbox("r"):
            await cut.post("r", message.id, message.kind, message.data)
        assert (await changed.resume("r", store=cut)).output == ALL, stop


async def test_notes_of_a_version_that_did_not_say_whose_they_are_are_read() -> None:
    graph, store = noting("run"), MemoryStore()
    await graph.run("a", store=store, run_id="r")
    cut = await cut_short(store, "r", 2)
    for message in await store.inbox("r"):
        topic, data, *_ = json.loads(message.data)
        await cut.post("r", message.id, message.kind, json.dumps([topic, data]).encode())
    await cut.post("r", "other", "note", b'["seen", "by another"]')
    await cut.post("r", "none", "note", b"[1, 2]")
    result = await graph.resume("r", store=cut)
    assert result.output == [{"text": "a"}, "by another"]
    [refused] = [event for event in result.events if isinstance(event, MessageRefused)]
    assert refused.message == "none"


async def test_a_note_needs_somewhere_to_be_kept() -> None:
    for about, options in (("run", {}), ("user", {"user_id": "ada"}), ("user", {"store": MemoryStore()})):
        with pytest.raises(NodeFailedError) as caught:
            await noting(about).run("a", **options)
        assert isinstance(caught.value.__cause__, StorelessPauseError)


async def test_a_run_that_goes_on_is_still_for_the_user_it_was_started_for() -> None:
    wf = Workflow("whose", input=str, output=list[Any])
    broken = [True]

    @wf.node(version="1")
    async def who(text: str, ctx: Context) -> list[Any]:
        if broken[0]:
            raise OSError("gone")
        return [ctx.user_id, ctx.session_id, dict(ctx.metadata)]

    wf.chain(START, who, END)
    graph, store = wf.compile(), MemoryStore()
    given: Any = {"user_id": "ada", "session_id": "s", "metadata": {"why": "test"}}
    with pytest.raises(NodeFailedError):
        await graph.run("a", store=store, run_id="r", **given)
    broken[0] = False
    other = await graph.fork("r", store=store)
    assert (await graph.resume("r", store=store)).output == ["ada", "s", {"why": "test"}]
    assert (await graph.resume(other, store=store, user_id="bob")).output == ["bob", "s", {"why": "test"}]
