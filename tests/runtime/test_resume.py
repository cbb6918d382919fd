"""Claims about runs with a store: what was recorded is not done again, and resuming never guesses."""

from __future__ import annotations

import dataclasses
import operator
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Graph, NodeFailedError, Retry, Workflow
from loomgraph.errors import (
    CodecError,
    GraphChangedError,
    InDoubtError,
    RunBusyError,
    RunExistsError,
    UnknownRunError,
)
from loomgraph.store.memory import MemoryStore
from loomgraph.store.opening import open_store
from loomgraph.store.protocol import Batch, Store, StoredValue

pytestmark = pytest.mark.anyio


class Log(BaseModel):
    lines: Annotated[list[str], operator.add] = []


class Rehearsal:
    """A graph with a loop, state, a map of graphs, a durable step and a handled failure; counts what it calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def graph(self) -> Graph[int, str]:
        piece = Workflow("piece", input=int, output=int)

        @piece.node(retry=Retry(attempts=2, delay=0))
        async def tenfold(value: int, ctx: Context) -> int:
            self.calls[ctx.key] += 1
            if value == 2 and ctx.attempt == 1:
                raise OSError("once")
            return value * 10

        piece.chain(START, tenfold, END)
        wf = Workflow("rehearsal", input=int, output=str, state=Log)

        @wf.node
        async def grow(value: int, ctx: Context[Log]) -> int:
            self.calls[ctx.key] += 1
            ctx.update(lines=[f"grow {value}"])
            return value + 1

        @wf.node
        async def spread(value: int, ctx: Context) -> list[int]:
            self.calls[ctx.key] += 1
            return list(range(value))

        @wf.node
        async def breaks(values: list[int], ctx: Context) -> None:
            self.calls[ctx.key] += 1
            raise ValueError("no")

        @wf.node
        async def tell(failure: object, ctx: Context[Log]) -> str:
            async def price() -> int:
                self.calls[f"{ctx.key} step"] += 1
                return 7

            paid = await ctx.step("price", price)
            self.calls[ctx.key] += 1
            return f"{paid} {ctx.state.lines}"

        wf.edge(START, grow)
        wf.edge(grow, grow, when=lambda value: value < 3, label="small")
        wf.edge(grow, spread, when=lambda value: value >= 3, label="large")
        mapped = wf.map(spread, piece.compile())
        wf.edge(mapped, breaks)
        wf.on_error(breaks, tell, ValueError)
        wf.edge(tell, END)
        return wf.compile()


async def prefix(store: Store, run_id: str, stop: int) -> MemoryStore:
    """A store that has only the first events of a run, as a process killed there would have left it."""
    cut = MemoryStore()
    header = dataclasses.replace(await store.load(run_id), status="running")
    events = await store.events(run_id, 0, stop)
    values = await store.values(await store.digests(run_id))
    batch = Batch(events, [StoredValue(digest, data) for digest, data in values.items()])
    lease = await cut.create(header, batch, owner="killed", ttl=60)
    await cut.release(lease)
    return cut


async def test_a_run_resumed_from_any_prefix_of_its_log_ends_the_same_and_repeats_nothing_finished() -> None:
    whole, store = Rehearsal(), MemoryStore()
    reference = await whole.graph().run(0, store=store, run_id="r")
    events = await store.events("r")
    assert reference.status == "succeeded"
    for stop in range(1, len(events)):
        again, cut = Rehearsal(), await prefix(store, "r", stop)
        done = {event.key for event in events[:stop] if event.kind == "+"}
        stepped = any(event.kind == "p" for event in events[:stop])
        result = await again.graph().resume("r", store=cut)
        assert result.output == reference.output, stop
        assert result.state == reference.state, stop
        assert not set(again.calls) & done, stop
        assert not (stepped and again.calls["tell step"]), stop


async def test_a_finished_run_is_read_and_not_run(tmp_path: Path) -> None:
    rehearsal, store = Rehearsal(), f"sqlite:{tmp_path / 'runs.db'}"
    first = await rehearsal.graph().run(0, store=store, run_id="r")
    calls = Counter(rehearsal.calls)
    second = await rehearsal.graph().resume("r", store=store)
    assert (second.output, second.state) == (first.output, first.state)
    assert rehearsal.calls == calls
    assert {a.key: (a.status, a.output) for a in second.activations} == {
        a.key: (a.status, a.output) for a in first.activations
    }
    assert [event.kind for event in second.events] == [event.kind for event in first.events]


async def test_a_failed_run_goes_on_with_a_fresh_attempt_once_the_world_is_mended() -> None:
    broken = [True]
    wf = Workflow("mended", input=int, output=int)

    @wf.node
    async def sound(value: int) -> int:
        return value + 1

    @wf.node
    async def moody(value: int) -> int:
        if broken:
            raise ConnectionError("down")
        return value * 2

    wf.chain(START, sound, moody, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(NodeFailedError) as caught:
        await graph.run(1, store=store, run_id="r")
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert (await store.load("r")).status == "failed"
    broken.clear()
    result = await graph.resume("r", store=store)
    assert result.output == 4
    assert (await store.load("r")).status == "succeeded"


async def test_an_unknown_run_and_a_second_run_of_one_id_are_errors_of_their_own() -> None:
    graph, store = Rehearsal().graph(), MemoryStore()
    with pytest.raises(UnknownRunError):
        await graph.resume("nobody", store=store)
    await graph.run(0, store=store, run_id="r")
    with pytest.raises(RunExistsError):
        await graph.run(1, store=store, run_id="r")


async def test_a_run_that_another_process_owns_is_refused_by_its_owners_name() -> None:
    graph, store = Rehearsal().graph(), MemoryStore()
    await graph.run(0, store=store, run_id="r")
    cut = await prefix(store, "r", 5)
    await cut.acquire("r", "somebody else", 60)
    with pytest.raises(RunBusyError, match="somebody else"):
        await graph.resume("r", store=cut)


async def test_a_graph_that_changed_under_a_run_is_refused_with_every_difference() -> None:
    def make(factor: int, *, extra: bool) -> Graph[Any, Any]:
        wf = Workflow("changing", input=int, output=int)

        @wf.node(version=str(factor))
        async def first(value: int) -> int:
            return value * factor

        @wf.node
        async def second(value: object) -> int:
            raise OSError("not yet")

        wf.chain(START, first, second, END)
        if extra:
            wf.on_error(first, second, OSError)
        return wf.compile()

    store = MemoryStore()
    with pytest.raises(NodeFailedError):
        await make(1, extra=False).run(1, store=store, run_id="r")
    with pytest.raises(GraphChangedError) as caught:
        await make(2, extra=True).resume("r", store=store)
    assert caught.value.differences == ("node 'first', which has run, has changed", "edge 'first' -> 'second' is new")
    with pytest.raises(NodeFailedError):  # only code changed, and somebody said that it may
        await make(2, extra=False).resume("r", store=store, on_change="compatible")


async def test_an_effect_that_must_not_happen_twice_is_not_guessed_at() -> None:
    paid: list[int] = []
    wf = Workflow("shop", input=int, output=int)

    @wf.node(effect="once")
    async def pay(value: int) -> int:
        paid.append(value)
        return value

    wf.chain(START, pay, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(5, store=store, run_id="r")
    cut = await prefix(store, "r", 2)  # RunStarted and NodeStarted: nobody knows how the attempt ended
    with pytest.raises(InDoubtError, match="pay"):
        await graph.resume("r", store=cut)
    assert paid == [5]
    assert len(await cut.events("r")) == 2
    assert (await graph.resume("r", store=cut, in_doubt="rerun")).output == 5
    assert paid == [5, 5]


async def test_a_value_that_would_not_read_back_exactly_fails_its_node_and_names_it() -> None:
    wf = Workflow("exact", input=int)

    @wf.node
    async def gives(value: int) -> Any:
        return (value, value)

    wf.chain(START, gives, END)
    with pytest.raises(NodeFailedError, match="node 'gives' gave \\(1, 1\\), declared as Any") as caught:
        await wf.compile().run(1, store=MemoryStore())
    assert isinstance(caught.value.__cause__, CodecError)


async def test_a_conversation_costs_its_new_messages_and_not_its_length(tmp_path: Path) -> None:
    class Message(BaseModel):
        role: str
        text: str

    wf = Workflow("talk", input=list[Message], output=list[Message])

    @wf.node
    async def turn(messages: list[Message]) -> list[Message]:
        return [*messages, Message(role="user", text=f"{len(messages):06d}" * 80)]

    async def size(turns: int) -> int:
        talk = Workflow("talk", input=list[Message], output=list[Message])
        node = talk.node(turn.fn, name="turn")
        talk.edge(START, node)
        talk.edge(node, node, when=lambda messages: len(messages) < turns, cap=turns, label="go on")
        talk.edge(node, END, when=lambda messages: len(messages) >= turns, label="enough")
        path = tmp_path / f"{turns}.db"
        store = open_store(f"sqlite:{path}")
        await talk.compile().run([], store=store, run_id="talk")
        await store.close()
        return sum(file.stat().st_size for file in tmp_path.glob(f"{turns}.db*"))

    few, many = await size(250), await size(500)
    payload = 500 * len('{"role":"user","text":""}' + "x" * 480)
    assert many < 2 * payload
    assert many < 2.2 * few
