"""Claims about runs with a store: what was recorded is not done again, and resuming never guesses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph import END, START, Context, Graph, NodeFailedError, Retry, Workflow
from loomgraph.errors import (
    CodecError,
    GraphChangedError,
    InDoubtError,
    LeaseLostError,
    RunBusyError,
    RunExistsError,
    StoreLockedError,
    UnknownRunError,
)
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Lease, Store
from loomgraph.testing.crash import WatchedStore
from tests.places import Place
from tests.runtime.rehearsal import Rehearsal, cut_short

pytestmark = pytest.mark.anyio


async def test_a_finished_run_is_read_and_not_run(tmp_path: Path) -> None:
    rehearsal, store = Rehearsal(), f"sqlite:{tmp_path / 'runs.db'}"
    first = await rehearsal.graph().run(0, store=store, run_id="r")
    calls = Counter(rehearsal.calls)
    second = await rehearsal.graph().resume("r", store=store)
    assert (second.output, second.state) == (first.output, first.state)
    assert rehearsal.calls == calls
    assert {a.key: a.status for a in second.activations} == {a.key: a.status for a in first.activations}
    # what ran inside ctx.run has types that only the node code knows
    told = [{a.key: a.output for a in r.activations if "/@" not in a.key} for r in (first, second)]
    assert told[0] == told[1]
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
    cut = await cut_short(store, "r", 5)
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
    assert caught.value.differences == (
        "node 'first', which has run, has other code",
        "edge 'first' -> 'second' on OSError is new",
    )
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
    cut = await cut_short(store, "r", 2)  # RunStarted and NodeStarted: nobody knows how the attempt ended
    with pytest.raises(InDoubtError, match="pay"):
        await graph.resume("r", store=cut)
    assert paid == [5]
    assert len(await cut.events("r")) == 2
    assert (await graph.resume("r", store=cut, in_doubt="rerun")).output == 5
    assert paid == [5, 5]


async def test_an_effect_inside_a_graph_that_node_code_ran_is_not_guessed_at_either() -> None:
    paid: list[int] = []
    inner = Workflow("inner", input=int, output=int)

    @inner.node(effect="once")
    async def pay(value: int) -> int:
        paid.append(value)
        return value

    inner.chain(START, pay, END)
    wf, till = Workflow("shop", input=int, output=int), inner.compile()

    @wf.node
    async def buys(value: int, ctx: Context) -> int:
        return int(await ctx.run(till, value, key="till"))

    wf.chain(START, buys, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(5, store=store, run_id="r")
    cut = await cut_short(store, "r", 4)  # the run, the node, the graph in it, and that graph's node have begun
    with pytest.raises(InDoubtError, match="buys/@till/pay"):
        await graph.resume("r", store=cut)
    assert paid == [5]
    assert (await graph.resume("r", store=cut, in_doubt="rerun")).output == 5
    paid.clear()
    done = await cut_short(store, "r", 5)  # it has succeeded
    assert (await graph.resume("r", store=done)).output == 5
    assert paid == []


async def test_going_on_after_a_failure_gives_it_all_its_attempts_again() -> None:
    tries: list[int] = []
    wf = Workflow("stubborn", input=int, output=int)

    @wf.node(retry=Retry(attempts=2, delay=0))
    async def fails(value: int, ctx: Context) -> int:
        tries.append(ctx.attempt)
        raise OSError("down")

    wf.chain(START, fails, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(NodeFailedError):
        await graph.run(1, store=store, run_id="r")
    for _ in range(2):
        with pytest.raises(NodeFailedError):
            await graph.resume("r", store=store)
    assert tries == [1, 2, 2, 3, 3, 4]
    # a process that dies between two attempts begins nothing anew: two failed and one was at work
    cut = await cut_short(store, "r", 10)
    assert [event.kind for event in (await cut.events("r"))[6:]] == ["R>", "s", "?", "s"]
    tries.clear()
    with pytest.raises(NodeFailedError):
        await graph.resume("r", store=cut)
    assert tries == [3]


class ForgetfulStore(WatchedStore):
    """Cannot renew a lease the first times, nor give one up."""

    renewals = 0

    async def renew(self, lease: Lease, ttl: float) -> Lease:
        self.renewals += 1
        if self.renewals <= 3:
            raise StoreLockedError(self.name, 30)
        return await super().renew(lease, ttl)

    async def release(self, lease: Lease) -> None:
        raise StoreLockedError(self.name, 30)


async def test_a_lease_that_cannot_be_renewed_or_given_up_is_no_reason_to_fail() -> None:
    store = ForgetfulStore(MemoryStore())
    wf = Workflow("long", input=int, output=int)

    @wf.node
    async def waits(value: int) -> int:
        while store.renewals < 3:
            await anyio.sleep(0.001)
        return value

    wf.chain(START, waits, END)
    result = await wf.compile().run(1, store=store, run_id="r", lease=0.01)
    assert result.output == 1
    assert (await store.load("r")).status == "succeeded"


async def taken_by(name: str, store: Store, place: Place) -> None:
    """Let time pass until the run is not its owner's any more, however often that is renewed."""
    while True:
        place.ahead += 3600
        try:
            await store.acquire("r", name, 60)
            return
        except RunBusyError:
            pass


async def test_a_node_that_waits_is_stopped_once_somebody_has_taken_its_run_over(place: Place) -> None:
    store, began = place.store(), anyio.Event()
    wf = Workflow("long", input=int, output=int)

    @wf.node
    async def waits(value: int) -> int:
        began.set()
        await anyio.sleep_forever()
        return value

    wf.chain(START, waits, END)
    with anyio.fail_after(60), pytest.raises(LeaseLostError, match="'somebody' has taken the run over"):
        async with wf.compile().start(1, store=store, run_id="r", lease=0.1) as run:
            await began.wait()
            await taken_by("somebody", store, place)
            await run.result()
    assert [event.kind for event in await store.events("r")] == ["R", "s"]
    assert (await store.load("r")).status == "running"
    await store.close()


async def test_what_a_cut_took_from_the_last_event_is_said_again() -> None:
    graph, store = Rehearsal().graph(), MemoryStore()
    await graph.run(0, store=store, run_id="r")
    events = await store.events("r")
    whole = {(event.kind, event.key) for event in events}
    for stop in range(1, len(events)):
        cut = await cut_short(store, "r", stop)
        await graph.resume("r", store=cut)
        again = {(event.kind, event.key) for event in await cut.events("r")}
        assert again - {("R>", "")} == whole, stop


async def test_a_value_that_would_not_read_back_exactly_fails_its_node_and_names_it() -> None:
    wf = Workflow("exact", input=int)

    @wf.node
    async def gives(value: int) -> Any:
        return (value, value)

    wf.chain(START, gives, END)
    with pytest.raises(NodeFailedError, match="node 'gives' gave \\(1, 1\\), declared as Any") as caught:
        await wf.compile().run(1, store=MemoryStore())
    assert isinstance(caught.value.__cause__, CodecError)


async def test_what_failed_beside_a_question_is_tried_again_though_nobody_has_answered() -> None:
    wf = Workflow("drained", input=int, output=list[int], on_failure="drain")
    bad = [True]

    @wf.node
    async def moody(value: int) -> int:
        if bad:
            raise ConnectionError("down")
        return value

    @wf.node
    async def asks(value: int, ctx: Context) -> int:
        answer: int = await ctx.ask("how much?", int)
        return answer

    @wf.node
    async def both(values: list[int]) -> list[int]:
        return values

    wf.edge(START, moody)
    wf.edge(START, asks)
    wf.join([moody, asks], into=both)
    wf.edge(both, END)
    graph, store = wf.compile(), MemoryStore()
    assert (await graph.run(1, store=store, run_id="r")).status == "suspended"
    bad.clear()
    result = await graph.resume("r", store=store)
    assert [(event.kind, event.key) for event in await store.events("r", 6)] == [
        *(("R>", ""), ("s", "moody"), ("+", "moody"), ("R|", "")),
    ]
    assert (result.status, len(result.questions)) == ("suspended", 1)
    assert (await graph.resume("r", store=store, answers={"asks": 3})).output == [1, 3]
