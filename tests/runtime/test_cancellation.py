"""Claims about the end of a run that is not its own: cancel(), the awaiting task, the deadline."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import anyio
import pytest
import trio.testing

from loomgraph import END, START, Context, Retry, RunHandle, Workflow
from loomgraph.errors import DeadlineError, RunCancelledError, RunError
from loomgraph.events import NodeStarted
from tests.runtime.graphs import chain, parallel


class Waits:
    """A node that waits for ever; keeps how it ended."""

    __name__ = "waits"

    def __init__(self) -> None:
        self.waiting = anyio.Event()
        self.ended: list[str] = []

    async def __call__(self, value: int) -> int:
        try:
            self.waiting.set()
            await anyio.sleep_forever()
        finally:
            self.ended.append("cleaned up")
        return value


async def first(value: int) -> int:
    return value + 1


@pytest.mark.anyio
async def test_cancel_stops_what_is_in_flight_and_keeps_what_finished() -> None:
    waits = Waits()
    async with chain(first, waits).start(1, run_id="r-1") as run:
        await waits.waiting.wait()
        run.cancel("enough")
        with pytest.raises(RunCancelledError, match="run 'r-1' was cancelled: enough") as caught:
            await run.result()
    assert waits.ended == ["cleaned up"]
    assert dict(caught.value.finished) == {"first": 2}
    assert run.status == caught.value.result.status == "cancelled"
    assert [record.status for record in caught.value.result.activations] == ["succeeded", "cancelled"]
    assert caught.value.result.events[-1].kind == "RunCancelled"


@pytest.mark.anyio
async def test_cancel_waits_for_the_cleanup_of_the_nodes() -> None:
    steps: list[str] = []
    waiting = anyio.Event()

    async def cleans_up(value: int) -> int:
        try:
            waiting.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
            steps.append("cleaned up")
        return value

    async with chain(cleans_up).start(1) as run:
        await waiting.wait()
        run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()
        steps.append("result")
    assert steps == ["cleaned up", "result"]


@pytest.mark.anyio
async def test_cancel_reaches_into_maps_and_nested_graphs() -> None:
    ended: list[int] = []
    waiting: list[int] = []
    all_wait = anyio.Event()

    async def leaf(value: int) -> int:
        try:
            waiting.append(value)
            if len(waiting) == 4:
                all_wait.set()
            await anyio.sleep_forever()
        finally:
            ended.append(value)
        return value

    inner = chain(leaf, name="inner")

    async def runs(value: int, ctx: Context) -> int:
        answer: int = await ctx.run(inner, value, key="inner")
        return answer

    wf = Workflow("deep", input=list[int], output=list[int])
    wf.edge(wf.map(START, chain(runs, name="middle")), END)
    async with wf.compile().start([1, 2, 3, 4]) as run:
        await all_wait.wait()
        run.cancel()
        with pytest.raises(RunCancelledError) as caught:
            await run.result()
    assert sorted(ended) == [1, 2, 3, 4]
    assert {record.status for record in caught.value.result.activations} == {"cancelled"}


@pytest.mark.anyio
async def test_a_node_that_finishes_in_spite_of_cancel_is_kept() -> None:
    waiting, released = anyio.Event(), anyio.Event()

    async def insists(value: int) -> int:
        waiting.set()
        with anyio.CancelScope(shield=True):
            await released.wait()
        return value

    async with chain(insists, first).start(1) as run:
        await waiting.wait()
        run.cancel()
        released.set()
        with pytest.raises(RunCancelledError) as caught:
            await run.result()
    assert [(record.key, record.status) for record in caught.value.result.activations] == [("insists", "succeeded")]
    assert dict(caught.value.finished) == {"insists": 1}


@pytest.mark.anyio
async def test_cancel_before_anything_ran_runs_nothing() -> None:
    waits = Waits()
    async with chain(waits).start(1) as run:
        run.cancel("changed my mind")
        with pytest.raises(RunCancelledError, match="changed my mind"):
            await run.result()
    assert waits.ended == []
    assert run.activations == ()


@pytest.mark.anyio
async def test_cancel_reaches_a_node_that_waits_for_its_next_attempt() -> None:
    async def flaky(value: int) -> int:
        raise ConnectionError

    with anyio.fail_after(30):
        async with chain(flaky, retry=Retry(delay=3600)).start(1) as run:
            async for event in run.events():
                if event.kind == "AttemptFailed":
                    run.cancel()
            with pytest.raises(RunCancelledError) as caught:
                await run.result()
    assert [(record.status, record.attempts) for record in caught.value.result.activations] == [("cancelled", 1)]


@pytest.mark.anyio
async def test_cancel_reaches_nodes_that_wait_for_a_place() -> None:
    waits = Waits()
    wf = Workflow("places", input=list[int], output=list[int])
    wf.edge(wf.map(START, wf.node(waits, limit=1)), END)
    with anyio.fail_after(30):
        async with wf.compile().start([1, 2, 3], limit=2) as run:
            await waits.waiting.wait()
            run.cancel()
            with pytest.raises(RunCancelledError):
                await run.result()
    assert waits.ended == ["cleaned up"]


@pytest.mark.anyio
async def test_a_node_may_cancel_the_run_it_is_part_of() -> None:
    async def cancels(value: int, ctx: Context[Any, dict[str, RunHandle[Any]]]) -> int:
        ctx.deps["run"].cancel("from a node")
        return value

    handles: dict[str, RunHandle[Any]] = {}
    async with chain(cancels, first).start(1, deps=handles) as run:
        handles["run"] = run
        with pytest.raises(RunCancelledError, match="from a node") as caught:
            await run.result()
    assert caught.value.result.node("first") == ()


@pytest.mark.anyio
async def test_giving_up_on_a_result_does_not_stop_the_run() -> None:
    released = anyio.Event()

    async def waits(value: int) -> int:
        await released.wait()
        return value

    async with chain(waits).start(1) as run:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await run.result()
        assert run.status == "running"
        released.set()
        assert (await run.result()).output == 1


@pytest.mark.anyio
async def test_cancel_after_the_end_changes_nothing() -> None:
    async with chain(first).start(1) as run:
        result = await run.result()
        run.cancel()
        assert run.status == "succeeded"
        assert (await run.result()) is result


@pytest.mark.anyio
async def test_the_first_reason_is_the_one_that_is_reported() -> None:
    waits = Waits()
    async with chain(waits).start(1) as run:
        await waits.waiting.wait()
        run.cancel("first")
        run.cancel("second")
        with pytest.raises(RunCancelledError, match="first"):
            await run.result()


@pytest.mark.anyio
async def test_a_block_that_raises_cancels_its_run() -> None:
    waits = Waits()
    with pytest.raises(KeyError, match="mine"):
        async with chain(waits).start(1) as run:
            await waits.waiting.wait()
            raise KeyError("mine")
    assert waits.ended == ["cleaned up"]
    assert run.status == "cancelled"


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["run", "start"])
async def test_cancelling_the_task_that_awaits_a_run_cleans_up(how: str) -> None:
    waits = Waits()
    graph = parallel(waits, first)
    handles: list[RunHandle[Any]] = []

    async def awaits() -> None:
        if how == "run":
            await graph.run(1)
        else:
            async with graph.start(1) as run:
                handles.append(run)
                await run.result()

    async with anyio.create_task_group() as group:
        group.start_soon(awaits)
        await waits.waiting.wait()
        group.cancel_scope.cancel()
    assert waits.ended == ["cleaned up"]
    assert [run.status for run in handles] in ([], ["cancelled"])


def test_a_cancelled_asyncio_task_leaves_no_tasks_behind() -> None:
    async def scenario() -> None:
        waits = Waits()
        before = asyncio.all_tasks()
        task = asyncio.ensure_future(parallel(waits, first).run(1, deadline=1000))
        await waits.waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert waits.ended == ["cleaned up"]
        assert asyncio.all_tasks() == before

    asyncio.run(scenario())


def test_a_timeout_around_a_run_works_as_around_anything() -> None:
    async def scenario() -> None:
        waits = Waits()

        async def expire(around: asyncio.Timeout) -> None:
            await waits.waiting.wait()
            around.reschedule(0)

        async with asyncio.TaskGroup() as group:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(None) as around:
                    group.create_task(expire(around))
                    await chain(waits).run(1)
        assert waits.ended == ["cleaned up"]
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())


@pytest.mark.anyio
async def test_a_run_leaves_no_threads_working_when_it_is_cancelled() -> None:
    release, began, ended = threading.Event(), threading.Event(), threading.Event()

    def blocks(value: int) -> int:
        began.set()
        release.wait(timeout=30)
        ended.set()
        return value

    async with chain(blocks).start(1) as run:
        async for event in run.events():
            if isinstance(event, NodeStarted):
                break
        while not began.is_set():
            await anyio.lowlevel.checkpoint()
        run.cancel()
        release.set()
        with pytest.raises(RunCancelledError):
            await run.result()
    assert ended.is_set()


# ---------------------------------------------------------------------- deadline


def jumping(function: Any) -> Any:
    """Run on trio with a clock that jumps when everybody waits."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    return anyio.run(function, backend="trio", backend_options={"clock": clock})


def test_a_deadline_stops_the_run_and_keeps_what_finished() -> None:
    async def scenario() -> tuple[DeadlineError, Waits, float]:
        waits = Waits()
        began = trio.current_time()
        with pytest.raises(DeadlineError, match="within its deadline of 90 s") as caught:
            await chain(first, waits).run(1, deadline=90)
        return caught.value, waits, trio.current_time() - began

    error, waits, seconds = jumping(scenario)
    assert waits.ended == ["cleaned up"]
    assert seconds == pytest.approx(90)
    assert (error.seconds, dict(error.finished), error.result.status) == (90, {"first": 2}, "cancelled")


def test_a_run_within_its_deadline_does_not_wait_for_it() -> None:
    async def scenario() -> float:
        began = trio.current_time()

        async def works(value: int) -> int:
            await anyio.sleep(5)
            return value

        await chain(works).run(1, deadline=90)
        return trio.current_time() - began

    assert jumping(scenario) == pytest.approx(5)


def test_a_deadline_counts_while_a_node_waits_to_be_tried_again() -> None:
    async def flaky(value: int) -> int:
        raise ConnectionError

    async def scenario() -> None:
        with pytest.raises(RunError) as caught:
            await chain(flaky, retry=Retry(attempts=100, delay=40, backoff=1, jitter=0)).run(1, deadline=90)
        assert isinstance(caught.value, DeadlineError)
        assert caught.value.result.activations[0].attempts == 3

    jumping(scenario)


@pytest.mark.anyio
async def test_a_deadline_reaches_asyncio_and_trio_alike() -> None:
    waits = Waits()
    with pytest.raises(DeadlineError):
        await chain(waits).run(1, deadline=0.001)
    assert waits.ended == ["cleaned up"]
