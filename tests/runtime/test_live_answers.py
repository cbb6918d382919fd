"""Claims about answering a run that goes on: in this process, from elsewhere, and in the moment it lets go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from loomgraph import END, START, Context, Graph, Workflow
from loomgraph.errors import (
    DefinitionError,
    InvalidAnswerError,
    QuestionClosedError,
    RunBusyError,
    StorelessPauseError,
    UnknownQuestionError,
)
from loomgraph.runtime.questions import answer
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Batch, Lease, Message, StoredEvent
from loomgraph.testing.crash import WatchedStore
from tests.places import Place

pytestmark = pytest.mark.anyio


def pair(calls: Counter[str] | None = None) -> Graph[Any, Any]:
    """Two nodes that ask, joined."""
    wf = Workflow("pair", input=int, output=list[int])

    async def ask(value: int, ctx: Context) -> int:
        if calls is not None:
            calls[ctx.key] += 1
        return value + await ctx.ask(f"{ctx.key}?", int)

    @wf.node
    async def last(told: list[int]) -> list[int]:
        return told

    nodes = [wf.node(ask, name=name) for name in ("a", "b")]
    for node in nodes:
        wf.edge(START, node)
    wf.join(nodes, into=last)
    wf.edge(last, END)
    return wf.compile()


async def test_a_run_that_waits_takes_answers_in_process_and_never_lets_go() -> None:
    graph, store = pair(), MemoryStore()
    async with graph.start(1, store=store, run_id="t", when_asked="wait", lease=0.1) as run:
        async for event in run.events():
            if event.kind == "QuestionAsked":
                assert event.id in [question.id for question in run.questions]
                run.answer(event.id, 10)
        assert (await run.result()).output == [11, 11]
    assert "RunSuspended" not in [event.kind for event in (await run.result()).events]
    assert run.questions == ()


async def test_a_run_that_waits_is_answered_from_elsewhere_one_by_one(place: Place) -> None:
    graph, store = pair(), place.store()
    try:
        async with graph.start(1, store=store, run_id="t", when_asked="wait", lease=0.15) as run:
            other = store if place.kind == "memory" else place.store()
            async for event in run.events():
                if event.kind == "QuestionAsked":
                    await answer(other, "t", {event.id: 10}, by="elsewhere")
            result = await run.result()
            assert result.output == [11, 11]
            if other is not store:
                await other.close()
    finally:
        await store.close()


async def test_an_answer_is_picked_up_while_something_else_works_and_only_then_lets_the_run_end() -> None:
    wf, answered = Workflow("busy", input=int, output=list[str]), anyio.Event()

    @wf.node
    async def ask(value: int, ctx: Context) -> str:
        said = await ctx.ask("?", str)
        answered.set()
        return said

    @wf.node
    async def work(value: int) -> str:
        await answered.wait()  # works until the other one has its answer
        return "worked"

    @wf.node
    async def last(told: list[str]) -> list[str]:
        return told

    wf.edge(START, ask)
    wf.edge(START, work)
    wf.join([ask, work], into=last)
    wf.edge(last, END)
    graph, store = wf.compile(), MemoryStore()
    async with graph.start(1, store=store, run_id="t", lease=0.1) as run:
        async for event in run.events():
            if event.kind == "QuestionAsked":
                await graph.answer("t", {"ask": "yes"}, store=store)
        assert (await run.result()).output == ["yes", "worked"]


async def test_wrong_answers_in_process_are_told_at_once_and_change_nothing() -> None:
    graph, store = pair(), MemoryStore()
    async with graph.start(1, store=store, run_id="t", when_asked="wait", lease=0.1) as run:
        asked = 0
        async for event in run.events():
            if event.kind != "QuestionAsked":
                continue
            asked += 1
            if asked < 2:
                continue
            with pytest.raises(InvalidAnswerError, match="'ten' is not of type 'integer'"):
                run.answer("a", "ten")
            with pytest.raises(UnknownQuestionError, match="waits for an answer"):
                run.answer("aa", 1)
            run.answer("a", 1)
            run.answer("a", 1)
            with pytest.raises(QuestionClosedError, match="another answer to it is on its way"):
                run.answer("a", 2)
            run.answer("b", 2)
        assert (await run.result()).output == [2, 3]
    with pytest.raises(DefinitionError, match=r"run 't' does not go on here \(succeeded\)"):
        run.answer("a", 1)


async def test_without_a_store_nobody_answers() -> None:
    wf, gate = Workflow("plain", input=int, output=int), anyio.Event()

    @wf.node
    async def node(value: int) -> int:
        await gate.wait()
        return value

    wf.chain(START, node, END)
    async with wf.compile().start(1) as run:
        with pytest.raises(StorelessPauseError):
            run.answer("node", 1)
        gate.set()
        assert (await run.result()).output == 1


async def test_an_answer_in_process_is_sent_before_the_run_may_be_suspended() -> None:
    calls = Counter[str]()
    graph, store = pair(calls), MemoryStore()
    async with graph.start(1, store=store, run_id="t") as run:
        async for event in run.events():
            if event.kind == "QuestionAsked":
                run.answer(event.id, 10)
        assert (await run.result()).output == [11, 11]


async def log_of(store: MemoryStore) -> list[StoredEvent]:
    return await store.events("t")


class AtTheLastMoment(WatchedStore):
    """Somebody answers when the run is about to give its lease up: too late for its last look into the inbox."""

    def __init__(self, inner: Any, graph: Any) -> None:
        super().__init__(inner)
        self.graph = graph
        self.answers = {"a": 1, "b": 2}

    async def release(self, lease: Lease) -> None:
        if self.answers:
            id, given = self.answers.popitem()
            await self.graph.answer("t", {id: given}, store=self.inner)
            with pytest.raises(RunBusyError):  # that is why they do not go on with it themselves
                await self.graph.resume("t", store=self.inner)
        await super().release(lease)


async def test_a_run_that_was_told_to_stop_stops_though_an_answer_comes_as_it_lets_go() -> None:
    graph, inner = pair(), MemoryStore()
    store = AtTheLastMoment(inner, graph)
    store.answers = {"a": 1}
    result = await graph.run(1, store=store, run_id="t", interrupt_before=["b"])
    assert (result.status, result.interrupts) == ("suspended", ("b",))
    assert (await graph.resume("t", store=inner)).status == "suspended"
    assert (await graph.resume("t", store=inner, answers={"b": 2})).output == [2, 3]


async def test_a_run_that_is_cancelled_as_it_lets_go_does_not_go_on_with_an_answer_that_came_then() -> None:
    graph, inner = pair(), MemoryStore()

    class CancelledThen(AtTheLastMoment):
        async def release(self, lease: Lease) -> None:
            await super().release(lease)
            run.cancel("nobody is here any more")

    store = CancelledThen(inner, graph)
    async with graph.start(1, store=store, run_id="t") as run:
        result = await run.result()
    assert (result.status, len(await log_of(inner))) == ("suspended", len(result.events))
    assert (await graph.resume("t", store=inner, answers={"a": 1})).output == [2, 3]


@pytest.mark.parametrize("how", ["run", "start", "resume"])
async def test_an_answer_that_comes_as_the_run_lets_go_is_not_lost(how: str) -> None:
    graph, inner = pair(), MemoryStore()
    store = AtTheLastMoment(inner, graph)
    if how == "run":
        assert (await graph.run(1, store=store, run_id="t")).output == [2, 3]
    elif how == "start":
        async with graph.start(1, store=store, run_id="t") as run:
            seen = [event.seq async for event in run.events()]
            assert (await run.result()).output == [2, 3]
        assert seen == [event.seq for event in await log_of(inner)], "whoever reads goes on with the run"
        assert (run.status, [a.status for a in run.activations]) == ("succeeded", ["succeeded"] * 3)
    else:
        store.answers, kept = {}, store.answers
        assert (await graph.run(1, store=store, run_id="t")).status == "suspended"
        store.answers = {"a": 1}
        kept.pop("a")
        assert (await graph.resume("t", store=store, answers=kept)).output == [2, 3]


class TakesItsTime(WatchedStore):
    """Somebody goes on with the run between the reading of its log and the taking of its lease."""

    def __init__(self, inner: Any, graph: Any) -> None:
        super().__init__(inner)
        self.graph = graph
        self.busy = True

    async def acquire(self, run_id: str, owner: str, ttl: float) -> Lease:
        if self.busy:
            self.busy = False
            assert (await self.graph.resume("t", store=self.inner, answers={"a": 1})).status == "succeeded"
        return await super().acquire(run_id, owner, ttl)


async def test_a_log_that_grew_before_the_run_was_ours_is_read_again() -> None:
    graph, inner = pair(), MemoryStore()
    await graph.run(1, store=inner, run_id="t")
    store = TakesItsTime(inner, graph)
    assert (await graph.resume("t", store=store, answers={"b": 2})).output == [2, 3]


async def test_two_answers_at_once_are_one_answer(place: Place) -> None:
    graph, store = pair(), place.store()
    outcomes: list[Any] = []

    async def give(value: int) -> None:
        try:
            await answer(store, "t", {"a": value})
            outcomes.append(value)
        except QuestionClosedError:
            outcomes.append(None)

    try:
        await graph.run(0, store=store, run_id="t")
        async with anyio.create_task_group() as group:
            for value in range(1, 6):
                group.start_soon(give, value)
        [won] = [outcome for outcome in outcomes if outcome is not None]
        assert (await graph.resume("t", store=store, answers={"b": 7})).output == [won, 7]
    finally:
        await store.close()


class InterruptingStore(WatchedStore):
    """Somebody does something in the middle of the `at`-th call, before or after it took effect."""

    def __init__(self, at: int, late: bool) -> None:
        super().__init__(MemoryStore())
        self.at, self.late, self.calls = at, late, 0
        self.does: Callable[[], None] = lambda: None

    async def _in(self, work: Awaitable[Any]) -> Any:
        self.calls += 1
        mine = self.calls == self.at
        if mine and not self.late:
            self.does()
        done = await work
        await checkpoint()
        if mine and self.late:
            self.does()
        return done

    async def append(self, lease: Lease, batch: Batch) -> None:
        await self._in(super().append(lease, batch))

    async def inbox(self, run_id: str, after: int = 0) -> list[Message]:
        return list(await self._in(super().inbox(run_id, after)))

    async def release(self, lease: Lease) -> None:
        await self._in(super().release(lease))

    async def post(self, run_id: str, id: str, kind: str, data: bytes) -> bool:
        await checkpoint()
        return await super().post(run_id, id, kind, data)


@pytest.mark.parametrize("late", [False, True])
async def test_what_is_sent_in_any_moment_is_taken_or_kept_or_refused_aloud(late: bool) -> None:
    wf = Workflow("waits", input=int, output=int)

    @wf.node
    async def wait(value: int, ctx: Context) -> int:
        return await ctx.wait_for("paid", int)

    wf.chain(START, wait, END)
    graph, became, at = wf.compile(), Counter[str](), 0
    while became["never"] == 0:
        at += 1
        store, sent = InterruptingStore(at, late), list[str]()

        async with graph.start(1, store=store, run_id="t") as run:

            def send(run: Any = run, sent: list[str] = sent) -> None:
                try:
                    run.signal("paid", 7)
                    sent.append("sent")
                except DefinitionError:
                    sent.append("refused")

            store.does = send
            result = await run.result()
        if sent == ["sent"]:
            assert result.output == 7, f"what was sent in call {at} was lost"
        else:
            assert result.status == "suspended"
        became[sent[0] if sent else "never"] += 1
    assert became["sent"] > 1
