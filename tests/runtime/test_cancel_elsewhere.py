"""Claims about cancelling a run from outside the process that has it, and about waiting for whoever has one."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from loomgraph import Context, Graph
from loomgraph.errors import (
    DefinitionError,
    NodeFailedError,
    QuestionClosedError,
    RunBusyError,
    RunCancelledError,
    RunEndedError,
    UnknownRunError,
)
from loomgraph.events import RunCancelled
from loomgraph.runtime.cancelling import cancel
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Lease, Message, Store
from loomgraph.testing.crash import WatchedStore
from tests.places import Place
from tests.runtime.graphs import chain, kinds
from tests.runtime.rehearsal import Rehearsal, cut_short, settled

pytestmark = pytest.mark.anyio

# seconds: short, so that the owner looks often; long enough for a busy machine to renew it
LEASE = 1.0


async def first(value: int) -> int:
    return value + 1


class Holds:
    """A node that says when it runs and waits until it may go on."""

    __name__ = "holds"

    def __init__(self) -> None:
        self.runs, self.may_go_on, self.calls = anyio.Event(), anyio.Event(), 0

    async def __call__(self, value: int) -> int:
        self.calls += 1
        self.runs.set()
        await self.may_go_on.wait()
        return value * 10


async def asks(value: int, ctx: Context) -> str:
    return f"{value} {await ctx.ask('Go on?', bool)}"


async def fails(value: int) -> int:
    raise ValueError("no")


async def test_the_process_that_has_a_run_stops_it_when_another_one_cancels_it(place: Place) -> None:
    holds, store = Holds(), place.store()
    graph = chain(first, holds)
    async with graph.start(1, store=store, run_id="r", lease=LEASE) as run:
        await holds.runs.wait()
        assert await graph.cancel("r", store=store, reason="ann wants it") == "running"
        with pytest.raises(RunCancelledError, match="run 'r' was cancelled: ann wants it") as caught:
            await run.result()
    assert dict(caught.value.finished) == {"first": 2}
    assert kinds(caught.value.result.events)[-2:] == ["NodeCancelled holds", "RunCancelled"]
    assert await graph.cancel("r", store=store) == "cancelled", "asking again changes nothing"
    log = await store.events("r")
    # a run that was cancelled may be resumed, and does not meet the request again
    holds.may_go_on.set()
    result = await graph.resume("r", store=store)
    assert (result.output, holds.calls) == (20, 2)
    assert (await store.events("r"))[: len(log)] == log
    await store.close()


async def test_a_suspended_run_that_is_cancelled_has_ended_and_takes_no_answer(place: Place) -> None:
    graph, store = chain(first, asks), place.store()
    assert (await graph.run(1, store=store, run_id="r")).status == "suspended"
    assert await graph.cancel("r", store=store, reason="nobody needs it") == "cancelled"
    assert (await store.load("r")).status == "cancelled"
    record = await graph.replay("r", store=store)
    assert kinds(record.events)[-3:] == ["QuestionWithdrawn asks", "NodeCancelled asks", "RunCancelled"]
    last = record.events[-1]
    assert isinstance(last, RunCancelled)
    assert last.reason == "run 'r' was cancelled: nobody needs it."
    assert [found.status for found in record.activations] == ["succeeded", "cancelled"]
    with pytest.raises(QuestionClosedError, match="withdrawn"):
        await graph.answer("r", {"asks": True}, store=store)
    # who resumes it after all is asked anew
    again = await graph.resume("r", store=store)
    assert [question.id for question in again.questions] == ["asks"]
    assert (await graph.resume("r", store=store, answers={"asks": True})).output == "2 True"
    await store.close()


@pytest.mark.parametrize("stop", [1, 2, 7, 12, 20, 30, 40])
async def test_a_run_whose_process_died_anywhere_is_ended_by_who_cancels_it_and_loses_nothing(stop: int) -> None:
    whole, rehearsal = MemoryStore(), Rehearsal()
    graph = rehearsal.graph()
    reference = await graph.run(0, store=whole, run_id="r")
    cut = await cut_short(whole, "r", stop)
    before = await cut.events("r")
    assert await graph.cancel("r", store=cut) == "cancelled"
    after = await cut.events("r")
    assert after[:stop] == before
    assert after[-1].kind == "R0"
    record = await graph.replay("r", store=cut)
    assert record.status == "cancelled"
    assert "running" not in {found.status for found in record.activations}
    rehearsal.calls.clear()
    assert (await graph.resume("r", store=cut)).output == reference.output
    assert not settled(before) & set(rehearsal.calls), "what had finished did not run again"


async def test_who_takes_over_a_run_meets_the_request_of_who_asked_while_its_owner_was_thought_alive() -> None:
    whole, rehearsal = MemoryStore(), Rehearsal()
    graph = rehearsal.graph()
    await graph.run(0, store=whole, run_id="r")
    rehearsal.calls.clear()
    cut = await cut_short(whole, "r", 20)
    dead = await cut.acquire("r", "dead", 60)
    assert await graph.cancel("r", store=cut, reason="too late for it") == "running"
    with pytest.raises(RunBusyError):
        await graph.resume("r", store=cut)
    await cut.release(dead)
    with pytest.raises(RunCancelledError, match="too late for it") as caught:
        await graph.resume("r", store=cut)
    assert not rehearsal.calls
    assert caught.value.result.status == (await cut.load("r")).status == "cancelled"
    assert "running" not in {found.status for found in caught.value.result.activations}


async def test_a_run_that_has_ended_is_not_cancelled_and_says_why() -> None:
    store = MemoryStore()
    await chain(first).run(1, store=store, run_id="good")
    with pytest.raises(NodeFailedError):
        await chain(fails).run(1, store=store, run_id="bad")
    logs = [await store.events(run_id) for run_id in ("good", "bad")]
    with pytest.raises(RunEndedError, match="run 'good' has succeeded already, so there is nothing to cancel"):
        await cancel(store, "good")
    with pytest.raises(RunEndedError, match="goes on only if somebody resumes it") as caught:
        await cancel(store, "bad")
    assert caught.value.status == "failed"
    with pytest.raises(UnknownRunError):
        await cancel(store, "missing")
    assert [await store.events(run_id) for run_id in ("good", "bad")] == logs
    assert not await store.inbox("good")


async def test_a_run_that_failed_before_it_saw_the_request_goes_on_when_it_is_resumed() -> None:
    async def unless_told(value: int, ctx: Context) -> int:
        if ctx.deps is None:
            await graph.cancel("r", store=store)
            raise ValueError("no")
        return value

    store, graph = MemoryStore(), chain(unless_told)
    with pytest.raises(NodeFailedError):
        await graph.run(1, store=store, run_id="r")
    assert [message.kind for message in await store.inbox("r")] == ["cancel"]
    assert (await graph.resume("r", store=store, deps="told")).output == 1


class Before(WatchedStore):
    """Somebody does something just before the first call of one kind."""

    def __init__(self, inner: Store, what: str, meanwhile: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(inner)
        self.what, self.meanwhile = what, meanwhile

    async def _first(self, what: str) -> None:
        if what == self.what:
            self.what = ""
            await self.meanwhile()

    async def release(self, lease: Lease) -> None:
        await self._first("release")
        await super().release(lease)

    async def acquire(self, run_id: str, owner: str, ttl: float) -> Lease:
        await self._first("acquire")
        return await super().acquire(run_id, owner, ttl)


async def test_a_request_that_comes_in_while_a_run_lets_go_to_wait_for_an_answer_ends_it() -> None:
    graph, inner = chain(first, asks), MemoryStore()
    said: list[str] = []

    async def ask() -> None:
        said.append(await graph.cancel("r", store=inner))

    with pytest.raises(RunCancelledError):
        await graph.run(1, store=Before(inner, "release", ask), run_id="r")
    assert said == ["running"]
    assert [event.kind for event in await inner.events("r")][-5:] == ["R|", "R>", "w", "x", "R0"]


async def test_a_run_that_is_cancelled_between_reading_and_owning_it_is_not_gone_on_with() -> None:
    rehearsal, whole = Rehearsal(), MemoryStore()
    graph = rehearsal.graph()
    await graph.run(0, store=whole, run_id="r")
    cut = await cut_short(whole, "r", 12)
    rehearsal.calls.clear()
    with pytest.raises(RunCancelledError, match="before it went on here") as caught:
        await graph.resume("r", store=Before(cut, "acquire", lambda: graph.cancel("r", store=cut)))
    assert not rehearsal.calls
    assert caught.value.result.status == "cancelled"


async def test_a_run_that_nobody_cancels_never_looks_whether_somebody_did() -> None:
    looks: list[str] = []

    class Counting(WatchedStore):
        async def inbox(self, run_id: str, after: int = 0) -> list[Message]:
            looks.append(run_id)
            return await super().inbox(run_id, after)

    store = Counting(MemoryStore())
    await chain(*[first] * 1).run(1, store=store, run_id="r")
    assert not looks, "a run is over before it is time to look"


# ---------------------------------------------------------------------- waiting


async def test_a_resume_waits_for_whoever_has_the_run_and_goes_on_from_where_they_left_it() -> None:
    rehearsal, whole = Rehearsal(), MemoryStore()
    graph = rehearsal.graph()
    reference = await graph.run(0, store=whole, run_id="r")
    cut = await cut_short(whole, "r", 12)
    theirs = await cut.acquire("r", "somebody", 60)
    with pytest.raises(RunBusyError):
        await graph.resume("r", store=cut)
    with pytest.raises(RunBusyError):
        await graph.resume("r", store=cut, wait=0.01)
    async with graph.reopen("r", store=cut, wait=math.inf) as run:
        await cut.release(theirs)
        seen = [event.seq async for event in run.events()]
        assert (await run.result()).output == reference.output
    assert seen == list(range(run.recorded))


async def test_a_run_that_is_cancelled_while_it_is_waited_for_does_not_go_on() -> None:
    holds, store = Holds(), MemoryStore()
    graph = chain(first, holds)
    async with graph.start(1, store=store, run_id="r", lease=LEASE) as run:
        await holds.runs.wait()
        async with anyio.create_task_group() as group:
            group.start_soon(resumed, graph, store)
            assert await graph.cancel("r", store=store, wait=math.inf) == "cancelled"
        with pytest.raises(RunCancelledError):
            await run.result()
    assert holds.calls == 1


async def resumed(graph: Graph[Any, Any], store: Store) -> None:
    with pytest.raises(RunCancelledError):
        await graph.resume("r", store=store, wait=math.inf)


@pytest.mark.parametrize("wait", [-1.0, math.nan])
async def test_no_time_to_wait_is_refused_by_name(wait: float) -> None:
    store = MemoryStore()
    await chain(first).run(1, store=store, run_id="r")
    with pytest.raises(DefinitionError, match=r"math\.inf for however long"):
        await chain(first).resume("r", store=store, wait=wait)


async def test_who_waits_for_a_run_and_cancels_the_wait_leaves_the_run_to_its_owner() -> None:
    whole = MemoryStore()
    graph = Rehearsal().graph()
    await graph.run(0, store=whole, run_id="r")
    cut = await cut_short(whole, "r", 12)
    before = await cut.events("r")
    asked = anyio.Event()

    async def note() -> None:
        asked.set()

    with pytest.raises(RunBusyError):
        await cut.acquire("r", "somebody", 60)
        async with graph.reopen("r", store=Before(cut, "acquire", note), wait=math.inf) as run:
            await asked.wait()
            run.cancel("no more time")
            await run.result()
    assert await cut.events("r") == before
