"""Claims about runs that go on in the background: what `reopen` gives besides what `resume` does."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from loomgraph import END, START, Context, Graph, NodeFailedError, Workflow
from loomgraph.errors import GraphChangedError, InvalidAnswerError, RunBusyError, UnknownQuestionError, UnknownRunError
from loomgraph.nodes import Human
from loomgraph.store.memory import MemoryStore
from tests.runtime.test_rivals import OvertakenStore

pytestmark = pytest.mark.anyio


def mended(broken: list[bool], calls: list[str]) -> Graph[int, int]:
    wf = Workflow("mended", input=int, output=int)

    @wf.node
    async def sound(value: int) -> int:
        calls.append("sound")
        return value + 1

    @wf.node
    async def moody(value: int) -> int:
        calls.append("moody")
        if broken:
            raise ConnectionError("down")
        return value * 2

    wf.chain(START, sound, moody, END)
    return wf.compile()


async def failed(store: MemoryStore, calls: list[str]) -> int:
    """A run that failed at its second node; how many events it has."""
    with pytest.raises(NodeFailedError):
        await mended([True], calls).run(1, store=store, run_id="r")
    return (await store.load("r")).events


async def test_a_reopened_run_goes_on_and_its_events_can_be_read_from_the_first_or_from_where_it_goes_on() -> None:
    calls: list[str] = []
    store = MemoryStore()
    known = await failed(store, calls)
    async with mended([], calls).reopen("r", store=store) as run:
        new = [event.kind async for event in run.events(known)]
        every = [event.seq async for event in run.events()]
        result = await run.result()
    assert result.output == 4
    assert calls == ["sound", "moody", "moody"]
    assert new == ["RunResumed", "NodeStarted", "NodeSucceeded", "RunSucceeded"]
    assert every == list(range(known + len(new)))


async def test_a_reopened_run_that_fails_raises_when_the_block_is_left_and_stays_to_be_resumed() -> None:
    store = MemoryStore()
    await failed(store, [])
    with pytest.raises(NodeFailedError):
        async with mended([True], []).reopen("r", store=store) as run:
            assert run.run_id == "r"
    assert (await store.load("r")).status == "failed"
    assert (await mended([], []).resume("r", store=store)).output == 4


async def test_a_run_that_goes_on_is_running_again_for_whoever_lists_runs() -> None:
    store, gate = MemoryStore(), anyio.Event()
    broken = [True]
    wf = Workflow("held", input=int, output=int)

    @wf.node
    async def holds(value: int) -> int:
        if broken:
            raise ConnectionError("down")
        await gate.wait()
        return value

    wf.chain(START, holds, END)
    graph = wf.compile()
    with pytest.raises(NodeFailedError):
        await graph.run(1, store=store, run_id="r")
    assert (await store.load("r")).status == "failed"
    broken.clear()
    async with graph.reopen("r", store=store) as run:
        async for event in run.events(4):
            if event.kind == "NodeStarted":
                assert (await store.load("r")).status == "running"
                gate.set()
    assert (await store.load("r")).status == "succeeded"


async def test_what_cannot_be_reopened_is_refused_before_the_block() -> None:
    store = MemoryStore()
    await failed(store, [])
    other = Workflow("other", input=int, output=int)
    other.chain(START, other.node(lambda value: value, name="same"), END)
    cases: list[tuple[Graph[Any, Any], str, type[Exception]]] = [
        (mended([], []), "nobody", UnknownRunError),
        (other.compile(), "r", GraphChangedError),
    ]
    for graph, run_id, error in cases:
        with pytest.raises(error):
            async with graph.reopen(run_id, store=store):
                pytest.fail("the block was entered")
    await store.acquire("r", "somebody", 60.0)
    with pytest.raises(RunBusyError, match="somebody"):
        async with mended([], []).reopen("r", store=store) as run:
            await run.result()


async def test_a_reopened_run_takes_answers_with_it_and_while_it_goes_on() -> None:
    wf = Workflow("asks", input=int, output=str)

    @wf.node
    async def twice(value: int, ctx: Context) -> str:
        first = await ctx.ask("first?", int)
        second = await ctx.ask("second?", int)
        return f"{first} {second}"

    sure = wf.node(Human("really?", answer=bool), name="sure")
    wf.chain(START, sure, wf.node(lambda yes: 1, name="one"), twice, END)
    graph, store = wf.compile(), MemoryStore()
    (asked,) = (await graph.run(1, store=store, run_id="r")).questions
    with pytest.raises(InvalidAnswerError):
        async with graph.reopen("r", store=store, answers={asked.id: "maybe"}):
            pytest.fail("the block was entered")
    async with graph.reopen("r", store=store, answers={asked.id: True}, when_asked="wait") as run:
        async for event in run.events():
            if event.kind == "QuestionAsked" and event.question != "really?":
                run.answer(event.id, {"first?": 1, "second?": 2}[event.question])
        assert (await run.result()).output == "1 2"


@pytest.mark.parametrize("wait", ["suspend", "wait"])
async def test_a_reopened_run_may_be_called_before_it_has_been_read(wait: Any) -> None:
    wf = Workflow("asks", input=int, output=str)

    @wf.node
    async def ask(value: int, ctx: Context) -> int:
        return await ctx.ask("how much?", int)

    @wf.node
    async def paid(value: int, ctx: Context) -> str:
        return f"{value} {await ctx.wait_for('paid', int)}"

    wf.chain(START, ask, paid, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(1, store=store, run_id="r")
    async with graph.reopen("r", store=store) as run:
        with pytest.raises(InvalidAnswerError):
            run.answer("ask", "a lot")
        with pytest.raises(UnknownQuestionError):
            run.answer("asked", 1)
        run.answer("ask", 7)
        assert (await run.result()).signals == ("paid",)
    async with graph.reopen("r", store=store, when_asked=wait) as run:
        run.signal("paid", 3)
        assert (await run.result()).output == "7 3"
    assert [message.kind for message in await store.inbox("r")] == ["answer", "signal"]


async def test_what_a_run_that_waits_for_nobody_is_sent_as_it_is_reopened_is_kept_until_it_does() -> None:
    broken = [True]
    wf = Workflow("later", input=int, output=int)

    @wf.node
    async def paid(value: int, ctx: Context) -> int:
        if broken:
            raise OSError("not yet")
        return await ctx.wait_for("paid", int)

    wf.chain(START, paid, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(NodeFailedError):
        await graph.run(1, store=store, run_id="r")
    broken.clear()
    async with graph.reopen("r", store=store) as run:
        run.signal("paid", 5)
        assert (await run.result()).output == 5


async def test_what_is_sent_while_another_process_goes_on_with_the_run_is_not_lost() -> None:
    wf = Workflow("twice", input=int, output=str)

    @wf.node
    async def one(value: int, ctx: Context) -> int:
        return await ctx.wait_for("one", int)

    @wf.node
    async def two(value: int, ctx: Context) -> str:
        return f"{value} {await ctx.wait_for('two', int)}"

    wf.chain(START, one, two, END)
    graph, inner = wf.compile(), MemoryStore()
    await graph.run(1, store=inner, run_id="r")

    async def meanwhile() -> None:
        await graph.signal("r", "one", 1, store=inner)
        await graph.resume("r", store=inner)

    async with graph.reopen("r", store=OvertakenStore(inner, meanwhile)) as run:
        run.signal("two", 2)
        assert (await run.result()).output == "1 2"
