"""Claims about failures: which exception leaves a run, what it carries, and who may handle it."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from loomgraph import END, START, Failure, NodeFailedError, RunError, Workflow
from loomgraph.errors import (
    AmbiguousInputError,
    ConditionError,
    NoResultError,
    NoRouteError,
    OutputRefusedError,
    StrayCancellationError,
)
from tests.runtime.graphs import Meeting, chain, parallel

pytestmark = pytest.mark.anyio


class Broken(Exception):
    """What user code raises in these tests."""


async def left(value: int) -> int:
    raise Broken("left")


async def right(value: int) -> int:
    raise Broken("right")


async def test_two_nodes_that_fail_side_by_side_are_both_reported() -> None:
    with pytest.raises(NodeFailedError) as caught:
        await parallel(left, right).run(1)
    error = caught.value
    assert [(failure.node, failure.message) for failure in error.failures] == [("left", "left"), ("right", "right")]
    assert [str(exception) for exception in error.exceptions] == ["left", "right"]
    assert error.__cause__ is error.exceptions[0]
    assert "left" in str(error)
    assert "right" in str(error)


async def test_two_sync_nodes_that_fail_side_by_side_are_both_reported() -> None:
    import threading

    barrier = threading.Barrier(2, timeout=30)

    def first(value: int) -> int:
        barrier.wait()
        raise Broken("first")

    def second(value: int) -> int:
        barrier.wait()
        raise Broken("second")

    with pytest.raises(NodeFailedError) as caught:
        await parallel(first, second).run(1)
    assert sorted(failure.message for failure in caught.value.failures) == ["first", "second"]


async def test_a_node_that_fails_while_it_is_cancelled_is_reported_too() -> None:
    waiting = anyio.Event()

    async def cleans_up_badly(value: int) -> int:
        try:
            waiting.set()
            await anyio.sleep_forever()
        finally:
            raise Broken("while cleaning up")
        return value

    async def fails(value: int) -> int:
        await waiting.wait()
        raise Broken("first")

    with pytest.raises(NodeFailedError) as caught:
        await parallel(cleans_up_badly, fails).run(1)
    assert [failure.message for failure in caught.value.failures] == ["first", "while cleaning up"]


async def test_the_users_exception_is_the_cause() -> None:
    mine = Broken("mine")

    async def fails(value: int) -> int:
        raise mine

    with pytest.raises(NodeFailedError) as caught:
        await chain(fails).run(1)
    assert caught.value.__cause__ is mine
    assert (caught.value.node, caught.value.key, caught.value.attempt) == ("fails", "fails", 1)


@pytest.mark.parametrize("depth", [1, 3])
async def test_a_group_of_one_that_a_node_raises_is_unwrapped(depth: int) -> None:
    mine: BaseException = Broken("inside")

    async def fails(value: int) -> int:
        error = mine
        for _ in range(depth):
            error = BaseExceptionGroup("outer", [error])
        raise error

    with pytest.raises(NodeFailedError) as caught:
        await chain(fails).run(1)
    assert caught.value.__cause__ is mine
    assert caught.value.failures[0].error == "Broken"


async def test_a_task_group_in_a_node_does_not_show_as_a_group_of_one() -> None:
    async def fails(value: int) -> int:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            raise Broken("in a group")
        return value

    with pytest.raises(NodeFailedError) as caught:
        await chain(fails).run(1)
    assert isinstance(caught.value.__cause__, Broken)


async def test_a_group_of_several_is_kept_as_the_group_it_is() -> None:
    async def fails(value: int) -> int:
        raise ExceptionGroup("two", [Broken("a"), Broken("b")])

    with pytest.raises(NodeFailedError) as caught:
        await chain(fails).run(1)
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert len(caught.value.__cause__.exceptions) == 2


@pytest.mark.parametrize("how", ["run", "start", "deadline", "nested"])
async def test_no_way_to_run_a_graph_lets_an_exception_group_out(how: str) -> None:
    graph = chain(left)
    with pytest.raises(NodeFailedError) as caught:
        if how == "run":
            await graph.run(1)
        elif how == "deadline":
            await graph.run(1, deadline=1000)
        elif how == "nested":
            await chain(graph, name="outer").run(1)
        else:
            async with graph.start(1) as run:
                await run.result()
    assert isinstance(caught.value.__cause__, Broken)


async def test_what_finished_is_on_the_error_and_in_its_result() -> None:
    async def doubles(value: int) -> int:
        return 2 * value

    with pytest.raises(NodeFailedError) as caught:
        await chain(doubles, left).run(21, run_id="r-1")
    error = caught.value
    assert dict(error.finished) == {"doubles": 42}
    assert (error.run_id, error.result.run_id, error.result.status) == ("r-1", "r-1", "failed")
    assert error.result.output is None
    assert {record.key: record.status for record in error.result.activations} == {
        "doubles": "succeeded",
        "left": "failed",
    }
    assert error.result.events[-1].kind == "RunFailed"


async def test_a_failure_that_an_on_error_edge_takes_lets_the_run_go_on() -> None:
    async def mends(failure: Failure) -> int:
        assert (failure.node, failure.error, failure.message, failure.attempt) == ("left", "Broken", "left", 1)
        return 7

    wf = Workflow("handled", output=int)
    wf.edge(START, left)
    wf.on_error(left, mends, Broken)
    wf.edge(left, END)
    wf.edge(mends, END)
    result = await wf.compile().run(1)
    assert result.output == 7
    assert [record.status for record in result.activations] == ["handled", "succeeded"]


async def test_an_on_error_edge_takes_only_the_exceptions_it_names() -> None:
    async def mends(failure: Failure) -> int:
        return 7

    wf = Workflow("not handled", output=int)
    wf.edge(START, left)
    wf.on_error(left, mends, OSError)
    wf.edge(left, END)
    wf.edge(mends, END)
    with pytest.raises(NodeFailedError):
        await wf.compile().run(1)


async def test_a_handler_that_fails_is_a_failure() -> None:
    async def mends(failure: Failure) -> int:
        raise Broken("the handler")

    wf = Workflow("handler", output=int)
    wf.edge(START, left)
    wf.on_error(left, mends)
    wf.edge(left, END)
    wf.edge(mends, END)
    with pytest.raises(NodeFailedError, match="the handler") as caught:
        await wf.compile().run(1)
    assert [failure.node for failure in caught.value.failures] == ["mends"]


async def test_a_failure_cancels_what_is_in_flight() -> None:
    ended: list[str] = []
    waiting = anyio.Event()

    async def waits(value: int) -> int:
        try:
            waiting.set()
            await anyio.sleep_forever()
        finally:
            ended.append("cleaned up")
        return value

    async def fails(value: int) -> int:
        await waiting.wait()
        raise Broken("now")

    with pytest.raises(NodeFailedError) as caught:
        await parallel(waits, fails).run(1)
    assert ended == ["cleaned up"]
    assert [record.status for record in caught.value.result.activations] == ["cancelled", "failed"]
    assert len(caught.value.failures) == 1


async def test_drain_lets_what_does_not_depend_on_the_failure_finish() -> None:
    failed = anyio.Event()

    async def fails(value: int) -> int:
        failed.set()
        raise Broken("early")

    async def waits(value: int) -> int:
        await failed.wait()
        return value + 1

    async def goes_on(value: int) -> int:
        return value + 1

    async def depends(value: int) -> int:
        return value

    wf = Workflow("drain", output=list[int], on_failure="drain")
    wf.chain(START, fails, depends)
    wf.chain(START, waits, goes_on)
    wf.join([depends, goes_on], into=END)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(1)
    assert dict(caught.value.finished) == {"waits": 2, "goes_on": 3}
    assert caught.value.result.node("depends") == ()


async def test_a_run_may_ask_for_drain_when_the_workflow_does_not() -> None:
    meeting = Meeting(2)

    async def fails(value: int) -> int:
        await meeting()
        raise Broken("early")

    async def works(value: int) -> int:
        await meeting()
        await anyio.lowlevel.checkpoint()
        return value

    graph = parallel(fails, works)
    with pytest.raises(NodeFailedError) as caught:
        await graph.run(1, on_failure="drain")
    assert dict(caught.value.finished) == {"works": 1}


async def test_drained_failures_are_all_reported() -> None:
    meeting = Meeting(2)

    async def first(value: int) -> int:
        await meeting()
        raise Broken("first")

    async def second(value: int) -> int:
        await meeting()
        raise Broken("second")

    with pytest.raises(NodeFailedError) as caught:
        await parallel(first, second, on_failure="drain").run(1)
    assert sorted(failure.message for failure in caught.value.failures) == ["first", "second"]


async def test_a_cancellation_that_a_node_makes_up_is_a_failure_and_not_a_hang() -> None:
    async def confused(value: int) -> int:
        raise asyncio.CancelledError

    with anyio.fail_after(30), pytest.raises(NodeFailedError) as caught:
        await chain(confused).run(1)
    assert isinstance(caught.value.__cause__, (StrayCancellationError, asyncio.CancelledError))
    assert "confused" in str(caught.value)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_what_is_not_an_exception_of_the_program_goes_through(kind: type[BaseException]) -> None:
    async def interrupted(value: int) -> int:
        raise kind

    with pytest.raises(kind):
        await chain(interrupted).run(1)


async def test_a_keyboard_interrupt_in_a_thread_goes_through() -> None:
    def interrupted(value: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await chain(interrupted).run(1)


async def test_an_exception_that_cannot_be_shown_is_a_failure_like_any_other() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    async def fails(value: int) -> int:
        raise Mute

    with pytest.raises(NodeFailedError) as caught:
        await chain(fails).run(1)
    assert isinstance(caught.value.__cause__, Mute)
    assert caught.value.failures[0].error == "Mute"


@pytest.mark.parametrize("plain", [True, False])
async def test_a_stop_iteration_is_a_failure_and_not_a_hang(plain: bool) -> None:
    def first(values: list[int]) -> int:
        return next(iter(values))

    async def first_async(values: list[int]) -> int:
        return next(iter(values))

    with anyio.fail_after(30), pytest.raises(NodeFailedError, match="StopIteration"):
        await chain(first if plain else first_async).run([])


# ---------------------------------------------------------------------- what the engine itself refuses


async def test_an_output_that_is_not_of_the_declared_type_is_refused_by_name() -> None:
    async def lies(value: int) -> int:
        answer: Any = "seven"
        return answer

    with pytest.raises(NodeFailedError, match=r"node 'lies' is declared to return int but returned 'seven'") as caught:
        await chain(lies).run(1)
    assert isinstance(caught.value.__cause__, OutputRefusedError)


async def test_a_value_that_no_condition_matches_is_an_error_that_names_node_and_value() -> None:
    async def picks(value: int) -> str:
        return "purple"

    async def red(colour: str) -> str:
        return colour

    wf = Workflow("colours", output=str)
    wf.edge(START, picks)
    wf.edge(picks, red, when="red")
    wf.edge(red, END)
    with pytest.raises(NodeFailedError, match=r"no edge out of 'picks' matches 'purple'") as caught:
        await wf.compile().run(1)
    assert isinstance(caught.value.__cause__, NoRouteError)


async def test_an_input_that_no_edge_out_of_start_takes_is_an_error_of_the_run() -> None:
    wf = Workflow("choosy", input=int, output=int)

    @wf.node
    async def takes(value: int) -> int:
        return value

    wf.edge(START, takes, when=1)
    wf.edge(takes, END)
    assert (await wf.compile().run(1)).output == 1
    with pytest.raises(NodeFailedError, match="no edge out of 'START' matches 2") as caught:
        await wf.compile().run(2)
    assert isinstance(caught.value.__cause__, NoRouteError)
    assert caught.value.result.status == "failed"


async def test_a_condition_that_raises_is_an_error_that_names_the_edge() -> None:
    async def picks(value: int) -> int:
        return value

    def is_broken(value: int) -> bool:
        raise Broken("in a predicate")

    wf = Workflow("predicate", output=int)
    wf.edge(START, picks)
    wf.edge(picks, END, when=is_broken)
    with pytest.raises(NodeFailedError, match="is_broken on the edge 'picks'") as caught:
        await wf.compile().run(1)
    assert isinstance(caught.value.__cause__, ConditionError)
    assert isinstance(caught.value.__cause__.__cause__, Broken)


async def test_two_alternatives_taken_in_one_pass_are_an_error_that_names_both() -> None:
    async def picks(value: int) -> int:
        return value

    async def small(value: int) -> int:
        return value

    async def even(value: int) -> int:
        return value

    async def ends(value: int) -> int:
        return value

    wf = Workflow("both", output=int)
    wf.edge(START, picks)
    wf.edge(picks, small, when=lambda value: value < 10)
    wf.edge(picks, even, when=lambda value: value % 2 == 0)
    wf.edge(small, ends)
    wf.edge(even, ends)
    wf.edge(ends, END)
    graph = wf.compile()
    assert (await graph.run(3)).output == 3
    with pytest.raises(NodeFailedError, match="'ends' got a value from 'small' and 'even'") as caught:
        await graph.run(4)
    assert isinstance(caught.value.__cause__, AmbiguousInputError)


async def test_a_run_that_never_reaches_end_is_an_error_and_not_a_none() -> None:
    async def picks(value: int) -> int:
        return value

    async def aside(value: int) -> None:
        return None

    wf = Workflow("nowhere", output=int)
    wf.edge(START, picks)
    wf.edge(picks, END, when=lambda value: value > 0)
    wf.edge(picks, aside, when=lambda value: value <= 0)
    graph = wf.compile()
    assert (await graph.run(1)).output == 1
    with pytest.raises(NoResultError):
        await graph.run(0)


async def test_the_same_error_is_raised_however_often_the_result_is_asked_for() -> None:
    async with chain(left).start(1) as run:
        with pytest.raises(NodeFailedError) as first:
            await run.result()
        with pytest.raises(RunError) as second:
            await run.result()
    assert first.value is second.value
    assert run.status == "failed"
