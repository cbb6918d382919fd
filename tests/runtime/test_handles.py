"""Claims about runs in the background: the handle, its events, back pressure, and what leaving the block does."""

from __future__ import annotations

import contextlib
from typing import Any

import anyio
import pytest
from pydantic import TypeAdapter

from loomgraph import END, START, Context, Failure, NodeFailedError, Quorum, Retry, RunError, Workflow
from loomgraph.errors import DefinitionError
from loomgraph.events import Emitted, Event, NodeStarted, NodeSucceeded
from tests.runtime.graphs import Meeting, chain, kinds, parallel

pytestmark = pytest.mark.anyio
EVENT: TypeAdapter[Any] = TypeAdapter(Event)


async def first(value: int) -> int:
    return value + 1


async def second(value: int) -> int:
    return value * 10


async def fails(value: int) -> int:
    raise RuntimeError("broken")


def busy() -> Any:
    """A graph with something of everything: a loop, a map, a join, a handled failure, a nested graph, ctx.run."""
    wf = Workflow("busy", input=int, output=list[int])
    inner = chain(first, second, name="inner")

    @wf.node(retry=Retry(attempts=2, delay=0))
    async def starts(value: int, ctx: Context) -> int:
        if ctx.attempt == 1:
            raise ConnectionError("once")
        await ctx.emit({"at": value})
        return value

    @wf.node
    async def spreads(value: int) -> list[int]:
        return list(range(value))

    @wf.node
    async def size(values: list[int]) -> int:
        return len(values)

    @wf.node
    async def sums(values: list[int], ctx: Context) -> int:
        total: int = await ctx.run(inner, sum(values), key="total")
        return total

    @wf.node
    async def mends(failure: Failure) -> int:
        return 0

    @wf.node
    async def gathers(values: list[int]) -> list[int]:
        return values

    nested = wf.node(inner)
    broken = wf.node(fails)
    wf.edge(START, starts)
    wf.edge(starts, starts, when=lambda value: value < 0)
    wf.edge(starts, spreads, when=lambda value: value >= 0)
    worker = wf.map(spreads, wf.node(first, name="worker"), wait=Quorum(2))
    wf.edge(worker, sums)
    wf.edge(spreads, size)
    wf.edge(size, nested)
    wf.edge(size, broken)
    wf.on_error(broken, mends)
    wf.join([sums, nested, broken, mends], into=gathers)
    wf.edge(gathers, END)
    return wf.compile()


# ---------------------------------------------------------------------- the handle


async def test_a_handle_knows_its_status_from_the_beginning_to_the_end() -> None:
    meeting = Meeting(2)

    async def waits(value: int) -> int:
        await meeting()
        return value

    async with chain(waits).start(1, run_id="r-1") as run:
        assert (run.status, run.run_id) == ("running", "r-1")
        await meeting()
        assert (await run.result()).output == 1
        assert run.status == "succeeded"


async def test_leaving_the_block_waits_for_the_run() -> None:
    ended: list[int] = []

    async def slow(value: int) -> int:
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        ended.append(value)
        return value

    async with chain(slow).start(1) as run:
        pass
    assert ended == [1]
    assert run.status == "succeeded"
    assert (await run.result()).output == 1


async def test_a_failure_that_nobody_asked_for_is_raised_at_the_end_of_the_block() -> None:
    with pytest.raises(NodeFailedError, match="broken") as caught:
        async with chain(fails).start(1):
            pass
    assert isinstance(caught.value.__cause__, RuntimeError)


async def test_a_failure_that_was_seen_is_not_raised_again() -> None:
    async with chain(fails).start(1) as run:
        with pytest.raises(NodeFailedError):
            await run.result()
    assert run.status == "failed"


async def test_the_users_own_exception_wins_over_the_runs() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with chain(fails).start(1) as run:
            with contextlib.suppress(NodeFailedError):
                await run.result()
            raise KeyError("mine")


async def test_a_handle_starts_once() -> None:
    handle = chain(first).start(1)
    async with handle:
        pass
    with pytest.raises(DefinitionError, match="starts once"):
        async with handle:
            pass


async def test_a_result_before_the_start_is_refused() -> None:
    with pytest.raises(DefinitionError, match="has not started"):
        await chain(first).start(1).result()


async def test_several_may_wait_for_the_same_result() -> None:
    outputs: list[int] = []
    async with chain(first).start(1) as run:

        async def waits() -> None:
            outputs.append((await run.result()).output)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(waits)
    assert outputs == [2, 2, 2]


async def test_the_activations_can_be_seen_while_the_run_is_under_way() -> None:
    meeting = Meeting(2)

    async def waits(value: int) -> int:
        await meeting()
        return value

    async with chain(first, waits).start(1) as run:
        async for event in run.events():
            if isinstance(event, NodeStarted) and event.node == "waits":
                break
        found = {record.key: record.status for record in run.activations}
        await meeting()
    assert found == {"first": "succeeded", "waits": "running"}


# ---------------------------------------------------------------------- events


async def test_the_events_of_a_run_tell_it_in_order_and_end_with_it() -> None:
    async with chain(first, second).start(1) as run:
        told = [event async for event in run.events()]
    assert kinds(told) == [
        "RunStarted",
        "NodeStarted first",
        "NodeSucceeded first",
        "NodeStarted second",
        "NodeSucceeded second",
        "RunSucceeded",
    ]
    assert [event.seq for event in told] == list(range(6))
    assert {event.run_id for event in told} == {run.run_id}
    assert tuple(told) == (await run.result()).events


async def test_the_events_of_a_failed_run_end_with_its_failure() -> None:
    async with chain(first, fails).start(1) as run:
        told = [event async for event in run.events()]
        with pytest.raises(NodeFailedError):
            await run.result()
    assert kinds(told)[-2:] == ["NodeFailed fails", "RunFailed"]


async def test_events_read_after_the_end_are_the_same_events() -> None:
    async with chain(first).start(1) as run:
        result = await run.result()
        assert tuple([event async for event in run.events()]) == result.events
        assert tuple([event async for event in run.events(2)]) == result.events[2:]


async def test_what_a_node_emits_is_in_the_stream_between_its_start_and_its_end() -> None:
    async def says(value: int, ctx: Context) -> int:
        await ctx.emit({"percent": 50})
        return value

    def says_sync(value: int, ctx: Context) -> int:
        ctx.emit_sync("from a thread")
        return value

    result = await chain(says, says_sync).run(1)
    assert kinds(result.events)[1:-1] == [
        "NodeStarted says",
        "Emitted says",
        "NodeSucceeded says",
        "NodeStarted says_sync",
        "Emitted says_sync",
        "NodeSucceeded says_sync",
    ]
    assert [event.data for event in result.events if isinstance(event, Emitted)] == [{"percent": 50}, "from a thread"]


async def test_every_event_goes_to_json_and_back() -> None:
    result = await busy().run(4)
    assert len({event.kind for event in result.events}) >= 10
    for event in result.events:
        text = EVENT.dump_json(event)
        again = EVENT.validate_json(text)  # a value of a class of one's own comes back as the JSON it is made of
        assert type(again) is type(event)
        assert EVENT.dump_json(again) == text


async def test_the_keys_of_a_run_are_unique() -> None:
    result = await busy().run(4)
    keys = [record.key for record in result.activations]
    assert len(keys) == len(set(keys)) > 10
    starts = [(event.key, event.attempt) for event in result.events if isinstance(event, NodeStarted)]
    assert len(starts) == len(set(starts))


async def test_events_are_in_causal_order() -> None:
    """A node starts after those that feed it, ends after it started, and its children are inside it."""
    graph = busy()
    result = await graph.run(4)
    begun: dict[str, int] = {}
    ended: dict[str, int] = {}
    for event in result.events:
        if isinstance(event, NodeStarted):
            begun.setdefault(event.key, event.seq)
            assert event.parent is None or (event.parent in begun and event.parent not in ended)
        elif event.kind in {"NodeSucceeded", "NodeFailed", "NodeCancelled"}:
            assert event.key in begun or event.kind == "NodeCancelled"  # it may be withdrawn before it starts
            assert event.key not in ended
            ended[event.key] = event.seq
    for edge in graph.definition.edges:
        source, target = graph.definition.name_of(edge.source), graph.definition.name_of(edge.target)
        if source in ended and target in begun and source != target:
            assert ended[source] < begun[target]


# ---------------------------------------------------------------------- back pressure


async def test_a_reader_that_falls_behind_holds_the_run_back_and_nothing_is_dropped() -> None:
    started: list[int] = []

    async def counts(value: int) -> int:
        started.append(value)
        return value

    wf = Workflow("stream", input=list[int], output=list[int])
    wf.edge(wf.map(START, counts), END)
    async with wf.compile().start(list(range(500)), lag=20) as run:
        reader = run.events()
        told = [await anext(reader)]
        for _ in range(200):
            await anyio.lowlevel.checkpoint()
        held_at = len(started)
        told += [event async for event in reader]
        result = await run.result()
    assert 0 < held_at < 50
    assert len(started) == 500
    assert tuple(told) == result.events


@pytest.mark.parametrize("how", ["cancel", "deadline", "failure"])
async def test_cancel_deadline_and_failure_reach_a_run_that_a_reader_holds_back(how: str) -> None:
    async def counts(value: int) -> int:
        if how == "failure" and value == 12:
            raise RuntimeError("broken")
        return value

    wf = Workflow("stream", input=list[int], output=list[int])
    wf.edge(wf.map(START, counts), END)
    with anyio.fail_after(30):
        async with wf.compile().start(list(range(500)), lag=20, deadline=0.05 if how == "deadline" else None) as run:
            reader = run.events()
            told = [await anext(reader)]
            if how == "cancel":
                run.cancel()
            if how == "failure":
                told += [await anext(reader) for _ in range(30)]
            with pytest.raises(RunError) as caught:
                await run.result()
            told += [event async for event in reader]
    assert tuple(told) == caught.value.result.events


async def test_without_a_lag_a_reader_never_holds_the_run_back() -> None:
    async with parallel(first, second).start(1, lag=None) as run:
        reader = run.events()
        await anext(reader)
        assert (await run.result()).output == [2, 10]
        reader.close()


@pytest.mark.parametrize("how", ["break", "break and wait", "close", "aclosing"])
async def test_a_reader_that_leaves_does_not_hold_the_run_back(how: str) -> None:
    wf = Workflow("stream", input=list[int], output=list[int])
    wf.edge(wf.map(START, first), END)
    with anyio.fail_after(30):
        async with wf.compile().start(list(range(100)), lag=5) as run:
            if how == "aclosing":
                async with contextlib.aclosing(run.events()) as reader:
                    await anext(reader)
                await run.result()
            elif how == "close":
                reader = run.events()
                await anext(reader)
                reader.close()
                await run.result()
            else:
                async for _ in run.events():
                    break  # nobody holds this reader any more; and the block's end closes what is left open
                if how == "break and wait":
                    await run.result()


async def test_two_readers_each_see_everything() -> None:
    told: list[list[str]] = [[], []]
    wf = Workflow("stream", input=list[int], output=list[int])
    wf.edge(wf.map(START, first), END)
    async with wf.compile().start(list(range(50)), lag=5) as run:

        async def reads(into: list[str]) -> None:
            into.extend(kinds([event async for event in run.events()]))

        async with anyio.create_task_group() as group:
            for into in told:
                group.start_soon(reads, into)
        result = await run.result()
    assert told[0] == told[1] == kinds(result.events)


async def test_waiting_for_the_result_while_a_reader_is_open_but_unread_is_not_a_hang() -> None:
    wf = Workflow("stream", input=list[int], output=list[int])
    wf.edge(wf.map(START, first), END)
    with anyio.fail_after(30):
        async with wf.compile().start(list(range(100)), lag=5) as run:
            unread = run.events()
            assert len((await run.result()).output) == 100
            assert len([event async for event in unread if isinstance(event, NodeSucceeded)]) == 101
