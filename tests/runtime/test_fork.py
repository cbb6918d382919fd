"""Claims about forks: a new run from any point of another, edited or not, that ends as a fresh run like it would."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Failure, Graph, NodeFailedError, RunError, RunResult, Workflow
from loomgraph.errors import (
    EditRefusedError,
    EditTooLateError,
    GraphChangedError,
    InDoubtError,
    InputRefusedError,
    RunExistsError,
    UnknownEventError,
    UnreadableError,
)
from loomgraph.events import NodeSucceeded, RunRedriven
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Store
from loomgraph.testing.crash.evidence import Witness, read_lines
from tests.crash.graphs import GRAPHS
from tests.places import Place
from tests.runtime.logs.keeping import FOLDER
from tests.runtime.logs.programs import graph_of, piece_of
from tests.runtime.rehearsal import Rehearsal, cut_short, settled

pytestmark = pytest.mark.anyio


async def ended(work: Awaitable[RunResult[Any]]) -> RunResult[Any]:
    """What became of a run, of one that failed too."""
    try:
        return await work
    except RunError as error:
        return error.result


def outcome(result: Any) -> Any:
    records = {r.key: (r.status, r.output, r.taken) for r in result.activations if "/@" not in r.key}
    return result.output, result.state, records


def calls(path: Path) -> set[str]:
    """The activations whose bodies left a line."""
    return {line.key for line in read_lines(path)}


@pytest.mark.parametrize("name", sorted(GRAPHS))
async def test_a_fork_at_any_event_goes_on_to_the_same_end_and_runs_only_what_came_after(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend_name: str
) -> None:
    make, value = GRAPHS[name]
    store, graph = MemoryStore(), make()
    reference = await ended(graph.run(value, store=store, run_id="r"))
    events, values = await store.events("r"), await store.digests("r")
    for seq in range(anyio_backend_name == "trio", len(events), 2):  # each backend takes half of them
        monkeypatch.setattr(Witness, "here", Witness(tmp_path / f"{seq}", 0))
        forked = await graph.fork("r", store=store, at=seq)
        header = await store.load(forked)
        assert (header.parent, header.fork_seq, header.events) == ("r", seq, seq + 1)
        assert await store.events(forked) == events[: seq + 1]
        assert outcome(await ended(graph.resume(forked, store=store))) == outcome(reference), seq
        assert not calls(tmp_path / f"{seq}") & {key for key in settled(events[: seq + 1]) if " " not in key}, seq
    assert await store.events("r") == events
    assert await store.digests("r") == values


@pytest.mark.parametrize("name", sorted(GRAPHS))
async def test_a_run_driven_once_more_takes_over_every_answer_and_runs_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, value = GRAPHS[name]
    store, graph = MemoryStore(), make()
    reference = await ended(graph.run(value, store=store, run_id="r"))
    monkeypatch.setattr(Witness, "here", Witness(tmp_path / "calls", 0))
    forked = await graph.fork("r", store=store, inputs={START: value})
    result = await ended(graph.resume(forked, store=store))
    assert outcome(result) == outcome(reference)
    assert not calls(tmp_path / "calls")
    origins = {r.origin for r in result.activations if r.status == "succeeded" and not r.attempts}
    assert origins == {"reused"}
    assert outcome(await graph.replay(forked, store=store)) == outcome(result)
    assert outcome(await ended(graph.resume(forked, store=store))) == outcome(result)


async def test_a_fork_goes_on_in_any_store_and_after_any_crash(place: Place) -> None:
    store = place.store()
    try:
        await _crashes(store, {"memory": 2, "sqlite": 7, "postgresql": 20}[place.kind])
    finally:
        await store.close()


async def _crashes(store: Store, step: int) -> None:
    """A run that is driven once more with another input, cut off after each of its events and resumed."""
    kept, rehearsal = MemoryStore(), Rehearsal()
    graph = rehearsal.graph()
    await graph.run(0, store=kept, run_id="r")
    fresh = await graph.run(1, store=kept, run_id="fresh")
    await graph.fork("r", store=kept, run_id="f", inputs={START: 1})
    result = await graph.resume("f", store=kept)
    assert outcome(result) == outcome(fresh)
    events = await kept.events("f")
    begin = next(e.seq for e in result.events if isinstance(e, RunRedriven))
    for stop in range(begin + 1, len(events), step):
        name = f"f{stop}"
        await cut_short(kept, "f", stop, store, name)
        rehearsal.calls.clear()
        again = await graph.resume(name, store=store)
        assert outcome(again) == outcome(fresh), stop
        assert not set(rehearsal.calls) & settled(events[begin:stop]), stop
        origins = {r.key: r.origin for r in result.activations}
        assert {r.key: r.origin for r in again.activations} == origins, stop


class Shop:
    """Two branches and their join; counts its calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def graph(self, *, pack: str = "1", factor: int = 10) -> Graph[int, str]:
        wf = Workflow("shop", input=int, output=str)

        @wf.node(version="1")
        async def take(value: int, ctx: Context) -> int:
            self.calls[ctx.key] += 1
            return value

        @wf.node(version="1")
        async def price(value: int, ctx: Context) -> int:
            self.calls[ctx.key] += 1
            return value * 100

        @wf.node(version=pack)
        async def boxes(value: int, ctx: Context) -> int:
            self.calls[ctx.key] += 1
            return value * factor

        @wf.node(version="1")
        async def ship(price: int, boxes: int, ctx: Context) -> str:
            self.calls[ctx.key] += 1
            return f"{boxes} boxes for {price}"

        wf.edge(START, take)
        wf.edge(take, price)
        wf.edge(take, boxes)
        wf.join({"price": price, "boxes": boxes}, into=ship)
        wf.edge(ship, END)
        return wf.compile()


async def test_an_edit_of_the_last_event_is_made_in_it_and_the_rest_of_the_log_stays() -> None:
    shop, store = Shop(), MemoryStore()
    graph = shop.graph()
    await graph.run(2, store=store, run_id="r")
    shop.calls.clear()
    forked = await graph.fork("r", store=store, at="take", outputs={"take": 5})
    events, before = await store.events(forked), await store.events("r")
    assert [(e.kind, e.key) for e in events] == [("R", ""), ("s", "take"), ("+", "take")]
    assert events[:-1] == before[:2]
    result = await graph.resume(forked, store=store)
    assert result.output == "50 boxes for 500"
    assert shop.calls == {"price": 1, "boxes": 1, "ship": 1}
    assert [r.origin for r in result.node("take")] == ["edited"]
    assert [e.origin for e in result.events if isinstance(e, NodeSucceeded)] == ["edited", "run", "run", "run"]


async def test_an_edited_input_of_what_has_just_begun_is_what_it_is_given() -> None:
    shop, store = Shop(), MemoryStore()
    graph = shop.graph()
    await graph.run(2, store=store, run_id="r")
    events = await store.events("r")
    begun = next(e.seq for e in events if (e.kind, e.key) == ("s", "ship"))
    shop.calls.clear()
    forked = await graph.fork("r", store=store, at=begun, inputs={"ship": {"price": 1, "boxes": 2}})
    assert len(await store.events(forked)) == begun + 1
    result = await graph.resume(forked, store=store)
    assert result.output == "2 boxes for 1"
    assert result.node("ship")[0].input == {"price": 1, "boxes": 2}
    assert shop.calls == {"ship": 1}


async def test_an_earlier_edit_runs_what_it_touches_and_takes_over_the_rest() -> None:
    shop, store = Shop(), MemoryStore()
    graph = shop.graph()
    await graph.run(2, store=store, run_id="r")
    shop.calls.clear()
    forked = await graph.fork("r", store=store, outputs={"boxes": 3})
    assert shop.calls == {}, "a fork runs nothing"
    result = await graph.resume(forked, store=store)
    assert result.output == "3 boxes for 200"
    assert shop.calls == {"ship": 1}
    assert {r.key: r.origin for r in result.activations} == {
        "take": "reused",
        "price": "reused",
        "boxes": "edited",
        "ship": "run",
    }
    # an answer that comes out the same is the same, however it came about
    same = await graph.fork("r", store=store, outputs={"boxes": 20})
    shop.calls.clear()
    assert (await graph.resume(same, store=store)).output == "20 boxes for 200"
    assert shop.calls == {}


async def test_another_graph_keeps_what_was_answered_and_runs_what_changed() -> None:
    shop, store = Shop(), MemoryStore()
    await shop.graph().run(2, store=store, run_id="r")
    other = shop.graph(pack="2", factor=7)
    shop.calls.clear()
    forked = await shop.graph().fork("r", store=store, graph=other)
    result = await other.resume(forked, store=store)
    assert result.output == "14 boxes for 200"
    assert shop.calls == {"boxes": 1, "ship": 1}
    header = await store.load(forked)
    assert header.fingerprint == other.fingerprint
    assert (await store.load("r")).fingerprint != other.fingerprint


async def test_a_graph_that_still_fits_what_has_run_needs_no_second_pass() -> None:
    shop, store = Shop(), MemoryStore()
    await shop.graph().run(2, store=store, run_id="r")
    other = shop.graph(pack="2", factor=7)
    forked = await other.fork("r", store=store, at="take")
    assert [e.kind for e in await store.events(forked)] == ["R", "s", "+"]
    assert (await other.resume(forked, store=store)).output == "14 boxes for 200"


async def test_a_fork_of_a_fork_keeps_its_edits_and_outlives_its_parents() -> None:
    shop, store = Shop(), MemoryStore()
    graph = shop.graph()
    await graph.run(2, store=store, run_id="r")
    await graph.fork("r", store=store, run_id="a", outputs={"boxes": 3})
    await graph.resume("a", store=store)
    await graph.fork("a", store=store, run_id="b", outputs={"price": 4})
    shop.calls.clear()
    await store.delete("r")
    await store.delete("a")
    result = await graph.resume("b", store=store)
    assert result.output == "3 boxes for 4"
    assert shop.calls == {"ship": 1}
    assert {r.key: r.origin for r in result.activations if r.origin != "run"} == {
        "take": "reused",
        "price": "edited",
        "boxes": "edited",
    }
    history = await graph.history("b", store=store)
    passes = [event.seq for event in history.events if isinstance(event, RunRedriven)]
    assert len(passes) == 2
    assert history.at(passes[0] - 1).values["ship"] == "20 boxes for 200"
    assert dict(history.at(passes[0]).values) == {}
    assert history.at(passes[1] - 1).values["ship"] == "3 boxes for 200"


async def test_a_run_that_goes_on_is_forked_as_far_as_it_is_durable() -> None:
    reached, go_on = anyio.Event(), anyio.Event()
    wf = Workflow("slow", input=int, output=int)

    @wf.node
    async def first(value: int) -> int:
        return value + 1

    @wf.node
    async def second(value: int) -> int:
        reached.set()
        await go_on.wait()
        return value * 2

    wf.chain(START, first, second, END)
    graph, store = wf.compile(), MemoryStore()
    async with graph.start(1, store=store, run_id="r") as run:
        await reached.wait()
        forked = await graph.fork("r", store=store, outputs={"first": 50})
        go_on.set()
        assert (await graph.resume(forked, store=store)).output == 100
        assert (await run.result()).output == 4


async def test_a_failed_run_is_given_the_answer_it_lacked() -> None:
    wf = Workflow("lacking", input=int, output=int)

    @wf.node
    async def sound(value: int) -> int:
        return value + 1

    @wf.node
    async def broken(value: int) -> int:
        raise LookupError("nothing there")

    wf.chain(START, sound, broken, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(NodeFailedError):
        await graph.run(1, store=store, run_id="r")
    assert (await store.load(await graph.fork("r", store=store))).status == "failed"
    for at in (None, "broken"):
        forked = await graph.fork("r", store=store, at=at, outputs={"broken": 7})
        result = await graph.resume(forked, store=store)
        assert (result.status, result.output) == ("succeeded", 7)
    assert (await store.load("r")).status == "failed"


class Nested:
    """A map of graphs in a loop, and a graph that node code runs; counts its calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def graph(self) -> Graph[int, list[int]]:
        inner = Workflow("inner", input=int, output=int)

        @inner.node
        async def twice(value: int, ctx: Context) -> int:
            self.calls[ctx.key] += 1
            return value * 2

        @inner.node
        async def plus(value: int, ctx: Context) -> int:
            self.calls[ctx.key] += 1
            return value + 1

        inner.chain(START, twice, plus, END)
        small = inner.compile()
        wf = Workflow("nested", input=int, output=list[int])

        @wf.node
        async def count(value: int, ctx: Context) -> list[int]:
            self.calls[ctx.key] += 1
            return list(range(value))

        @wf.node
        async def add(values: list[int], ctx: Context) -> int:
            self.calls[ctx.key] += 1
            return sum(values)

        @wf.node
        async def last(value: int, ctx: Context) -> list[int]:
            self.calls[ctx.key] += 1
            return [value, int(await ctx.run(small, value, key="small"))]

        wf.edge(START, count)
        wf.edge(wf.map(count, small), add)
        wf.edge(add, count, when=lambda value: value < 5, label="again")
        wf.edge(add, last, when=lambda value: value >= 5, label="enough")
        wf.edge(last, END)
        return wf.compile()


async def test_edits_reach_into_loops_maps_nested_graphs_and_graphs_that_node_code_runs() -> None:
    nested, store = Nested(), MemoryStore()
    graph = nested.graph()
    first = await graph.run(2, store=store, run_id="r")
    assert first.output == [16, 33]

    async def edited(ran: set[str], **edits: Any) -> Any:
        nested.calls.clear()
        result = await graph.resume(await graph.fork("r", store=store, **edits), store=store)
        assert set(nested.calls) == ran, edits
        return result

    end = {"last", "last/@small/twice", "last/@small/plus"}
    result = await edited({"add#1", *end}, outputs={"inner#1[3]/plus": 30})
    assert result.output == [39, 79]
    result = await edited({"inner#1[1]/twice", "inner#1[1]/plus", "add#1", *end}, inputs={"inner#1[1]": 10})
    assert result.output == [34, 69]
    assert {r.key: r.input for r in result.activations}["inner#1[1]/twice"] == 10
    assert (await edited({"add#1", *end}, outputs={"inner#1[0]": 40})).output == [55, 111]
    assert (await edited({"add#1", *end}, outputs={"inner#1": [9, 9]})).output == [18, 37]
    # the loop ends earlier, or goes round with something else; items that are given what they were given are there
    assert (await edited(end, outputs={"add#0": 9})).output == [9, 19]
    assert (await edited({"count#1", "add#1", *end}, outputs={"add#0": 3})).output == [9, 19]
    # in a graph that node code runs: its code runs again, as it alone knows that graph
    result = await edited({"last", "last/@small/plus"}, outputs={"last/@small/twice": 100})
    assert result.output == [16, 101]


async def test_durable_steps_are_kept_by_who_is_given_the_same_and_by_nobody_else() -> None:
    taken: Counter[str] = Counter()
    broken = [True]
    wf = Workflow("steps", input=int, output=int)

    @wf.node
    async def before(value: int) -> int:
        return value

    @wf.node
    async def pays(value: int, ctx: Context) -> int:
        async def charge() -> int:
            taken["charge"] += 1
            return value * 10

        paid = await ctx.step("charge", charge)
        if broken:
            raise OSError("after it")
        return int(paid)

    wf.chain(START, before, pays, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(NodeFailedError):
        await graph.run(1, store=store, run_id="r")
    broken.clear()
    same = await graph.resume(await graph.fork("r", store=store, inputs={START: 1}), store=store)
    assert (same.output, taken["charge"]) == (10, 1)
    kept = [event for event in same.events if event.kind == "StepSucceeded"]
    assert [(event.output, event.origin) for event in kept] == [(10, "run"), (10, "reused")]
    other = await graph.resume(await graph.fork("r", store=store, outputs={"before": 2}), store=store)
    assert (other.output, taken["charge"]) == (20, 2)


async def test_an_effect_that_must_not_happen_twice_is_not_repeated_by_a_fork_that_is_not_told_to() -> None:
    paid: list[int] = []
    wf = Workflow("shop", input=int, output=int)

    @wf.node(effect="once")
    async def pay(value: int) -> int:
        paid.append(value)
        return value

    wf.chain(START, pay, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(5, store=store, run_id="r")
    same = await graph.fork("r", store=store, inputs={START: 5})
    assert (await graph.resume(same, store=store)).output == 5
    assert paid == [5]
    other = await graph.fork("r", store=store, inputs={START: 6})
    with pytest.raises(NodeFailedError, match="has begun before with another input"):
        await graph.resume(other, store=store)
    assert paid == [5]
    assert (await graph.resume(other, store=store, in_doubt="rerun")).output == 6
    assert paid == [5, 6]
    begun = await graph.fork("r", store=store, at=1)  # just before it was known to have paid
    with pytest.raises(InDoubtError):
        await graph.resume(begun, store=store)


async def test_what_sees_another_state_runs_again_and_what_sees_none_does_not() -> None:
    class Notes(BaseModel):
        lines: Annotated[list[str], operator.add] = []

    called: Counter[str] = Counter()
    wf = Workflow("notes", input=str, output=str, state=Notes)

    @wf.node
    async def write(text: str, ctx: Context[Notes]) -> int:
        called["write"] += 1
        ctx.update(lines=[text])
        return 1

    @wf.node
    async def blind(value: int) -> int:
        called["blind"] += 1
        return value

    @wf.node
    async def reads(value: int, ctx: Context[Notes]) -> str:
        called["reads"] += 1
        return " ".join(ctx.state.lines)

    wf.chain(START, write, blind, reads, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run("one", store=store, run_id="r")
    called.clear()
    result = await graph.resume(await graph.fork("r", store=store, inputs={START: "two"}), store=store)
    assert (result.output, result.state) == ("two", Notes(lines=["two"]))
    assert called == {"write": 1, "reads": 1}


async def test_items_of_a_set_are_told_apart_by_the_whole_set() -> None:
    called: list[str] = []
    wf = Workflow("sets", input=str, output=list[str])

    @wf.node
    async def words(text: str) -> set[str]:
        return set(text.split())

    @wf.node
    async def shout(word: str) -> str:
        called.append(word)
        return word.upper()

    wf.edge(START, words)
    wf.edge(wf.map(words, shout), END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run("a b", store=store, run_id="r")
    called.clear()
    fresh = await graph.run("b c", store=store, run_id="fresh")
    result = await graph.resume(await graph.fork("r", store=store, inputs={START: "b c"}), store=store)
    assert result.output == fresh.output == ["B", "C"]
    assert sorted(called) == ["b", "b", "c", "c"]


async def test_a_failure_that_was_taken_is_taken_over_with_its_way() -> None:
    called: Counter[str] = Counter()
    wf = Workflow("mended", input=int, output=str)

    @wf.node
    async def breaks(value: int) -> int:
        called["breaks"] += 1
        raise ValueError(f"no {value}")

    @wf.node
    async def mends(failure: Failure) -> str:
        called["mends"] += 1
        return failure.message

    @wf.node
    async def shows(text: str) -> str:
        called["shows"] += 1
        return text

    wf.edge(START, breaks)
    wf.edge(breaks, END, when=lambda value: False, label="never")
    wf.on_error(breaks, mends, ValueError)
    wf.chain(mends, shows, END)
    with pytest.raises(Exception, match="edge-type"):
        wf.compile()
    graph, store = mendable(called), MemoryStore()
    await graph.run(1, store=store, run_id="r")
    called.clear()
    result = await graph.resume(await graph.fork("r", store=store, outputs={"mends": "edited"}), store=store)
    assert result.output == "edited"
    assert called == {"shows": 1}
    assert {r.key: (r.status, r.origin) for r in result.activations} == {
        "breaks": ("handled", "reused"),
        "mends": ("succeeded", "edited"),
        "shows": ("succeeded", "run"),
    }


@pytest.mark.parametrize("mapped", [False, True], ids=["graph", "map"])
async def test_a_graph_that_failed_as_a_whole_and_was_handled_fails_again_without_running(mapped: bool) -> None:
    called: Counter[str] = Counter()
    inner = Workflow("inner", input=int, output=int)

    @inner.node
    async def good(value: int) -> int:
        called["good"] += 1
        return value

    @inner.node
    async def bad(value: int) -> int:
        called["bad"] += 1
        raise LookupError(f"no {value}")

    inner.chain(START, good, bad, END)
    deep = Workflow("deep", input=int, output=int)
    deep.chain(START, inner.compile(), END)
    wf = Workflow("outer", input=list[int], output=str)

    @wf.node
    async def handles(failure: Failure) -> str:
        called["handles"] += 1
        return f"{failure.error}: {failure.message}"

    @wf.node
    async def never(value: object) -> str:
        return "never"

    @wf.node
    async def other(values: list[int]) -> str:
        called["other"] += 1
        return "and"

    @wf.node
    async def last(told: str, more: str) -> str:
        called["last"] += 1
        return f"{told} {more}"

    if mapped:
        failing: Any = wf.map(START, deep.compile())
    else:
        first = wf.node(lambda values: values[0], name="first")
        wf.edge(START, first)
        failing = wf.subgraph(deep.compile())
        wf.edge(first, failing)
    wf.on_error(failing, handles, LookupError)
    wf.edge(failing, never)
    wf.edge(START, other)
    wf.join({"told": [handles, never], "more": other}, into=last)
    wf.edge(last, END)
    graph, store = wf.compile(), MemoryStore()
    assert (await graph.run([1], store=store, run_id="r")).output == "LookupError: no 1 and"
    called.clear()
    forked = await graph.fork("r", store=store, outputs={"other": "or"})
    result = await graph.resume(forked, store=store)
    assert result.output == "LookupError: no 1 or"
    assert called == {"last": 1}
    assert [(r.status, r.origin) for r in result.node("bad")] == [("failed", "reused")]
    assert outcome(await graph.replay(forked, store=store)) == outcome(result)


def mendable(called: Counter[str]) -> Graph[int, str]:
    wf = Workflow("mended", input=int, output=str)

    @wf.node
    async def breaks(value: int) -> str:
        called["breaks"] += 1
        raise ValueError(f"no {value}")

    @wf.node
    async def mends(failure: Failure) -> str:
        called["mends"] += 1
        return failure.message

    @wf.node
    async def shows(text: str) -> str:
        called["shows"] += 1
        return text

    wf.edge(START, breaks)
    wf.edge(breaks, shows)
    wf.on_error(breaks, mends, ValueError)
    wf.edge(mends, shows)
    wf.edge(shows, END)
    return wf.compile()


async def test_what_cannot_be_forked_like_this_is_named_with_what_there_is() -> None:
    shop, store = Shop(), MemoryStore()
    graph = shop.graph()
    await graph.run(2, store=store, run_id="r")
    runs = len((await store.runs()).runs)
    with pytest.raises(UnknownEventError, match=r"run 'r' has 10 events, 0 to 9, and no event 10"):
        await graph.fork("r", store=store, at=10)
    with pytest.raises(UnknownEventError, match=r"no activation 'pack'\. It has 'take', 'price', 'boxes' and 'ship'"):
        await graph.fork("r", store=store, at="pack")
    with pytest.raises(UnknownEventError, match=r"no activation 'boxe'\. Did you mean 'boxes'"):
        await graph.fork("r", store=store, outputs={"boxe": 1})
    with pytest.raises(UnknownEventError, match="no activation 'True'"):
        await graph.fork("r", store=store, at=True)
    too_late = r"'ship': that is event 8, and the fork leaves the run after event 2\. Fork it there: at='ship'"
    with pytest.raises(EditTooLateError, match=too_late):
        await graph.fork("r", store=store, at="take", outputs={"ship": "x"})
    with pytest.raises(EditRefusedError, match="'boxes': it gives int, not 'three': its type is str, not int"):
        await graph.fork("r", store=store, outputs={"boxes": "three"})
    with pytest.raises(EditRefusedError, match="'ship': it takes as 'price' int, not 'a lot'"):
        await graph.fork("r", store=store, inputs={"ship": {"price": "a lot", "boxes": 1}})
    with pytest.raises(EditRefusedError, match="'START': it has no output"):
        await graph.fork("r", store=store, outputs={START: 1})
    with pytest.raises(InputRefusedError, match="graph 'shop' takes int, not 'two'"):
        await graph.fork("r", store=store, inputs={START: "two"})
    with pytest.raises(RunExistsError):
        await graph.fork("r", store=store, run_id="r")
    assert len((await store.runs()).runs) == runs


async def test_a_log_that_does_not_keep_its_graph_is_forked_but_not_driven_once_more() -> None:
    store = MemoryStore()
    await store.import_((FOLDER / "v1-finished.jsonl").read_bytes())
    graph = graph_of("finished")
    plain = await graph.fork("finished", store=store, at="cut")
    assert (await graph.resume(plain, store=store)).status == "succeeded"
    with pytest.raises(GraphChangedError, match="its log is of version 1, which does not keep what driving"):
        await graph.fork("finished", store=store, outputs={"cut": [piece_of(1)]})


async def test_another_graph_may_take_another_input_if_it_is_given_one() -> None:
    def make(tp: Any) -> Graph[Any, str]:
        wf = Workflow("takes", input=tp, output=str)

        async def shows(value: Any) -> str:
            return repr(value)

        shows.__annotations__["value"] = tp
        wf.chain(START, wf.node(shows), END)
        return wf.compile()

    store = MemoryStore()
    await make(int).run(1, store=store, run_id="r")
    other = make(list[str])
    with pytest.raises(UnreadableError, match="the run's input was stored as 1"):
        await make(int).fork("r", store=store, graph=other)
    forked = await make(int).fork("r", store=store, graph=other, inputs={START: ["a"]})
    assert (await other.resume(forked, store=store)).output == "['a']"


async def test_what_an_earlier_pass_had_and_this_one_has_not_reached_cannot_be_edited() -> None:
    shop, store = Shop(), MemoryStore()
    graph = shop.graph()
    await graph.run(2, store=store, run_id="r")
    await graph.fork("r", store=store, run_id="twice", outputs={"boxes": 3})
    await graph.resume("twice", store=store)
    log = await store.events("twice")
    begin = next(event.seq for event in log if event.kind == "R<")
    with pytest.raises(EditTooLateError, match="'ship'"):
        await graph.fork("twice", store=store, at=begin + 1, outputs={"ship": "x"})
    early = await graph.fork("twice", store=store, at=begin - 1, outputs={"ship": "x"})
    assert (await graph.resume(early, store=store)).output == "x"


async def test_a_skipped_activation_cannot_be_edited() -> None:
    wf = Workflow("ways", input=int, output=int)

    @wf.node
    async def low(value: int) -> int:
        return value

    @wf.node
    async def high(value: int) -> int:
        return value * 2

    wf.edge(START, low, when=lambda value: value < 5, label="low")
    wf.edge(START, high, when=lambda value: value >= 5, label="high")
    wf.edge(low, END)
    wf.edge(high, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(1, store=store, run_id="r")
    with pytest.raises(EditRefusedError, match="'high': it was skipped"):
        await graph.fork("r", store=store, outputs={"high": 1})
    assert (await graph.resume(await graph.fork("r", store=store, inputs={"START": 7}), store=store)).output == 14
