"""Claims about early joins and maps: who wins, what becomes of the rest, what is seen downstream. No clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from loomgraph import END, OTHERWISE, START, Failure, NodeFailedError, Quorum, Workflow
from loomgraph.errors import QuorumError
from loomgraph.events import JoinDecided, MapCompleted, MapStarted, NodeStarted, NodeSucceeded
from tests.properties.small import keys, named, never, same, total

pytestmark = pytest.mark.anyio

Code = Callable[[int], Awaitable[int]]


def after(gate: anyio.Event | None, value: int = 0, *, opens: anyio.Event | None = None) -> Code:
    """A node that waits for a gate (or not), opens another, and adds `value`."""

    async def code(given: int) -> int:
        if gate is not None:
            await gate.wait()
        if opens is not None:
            opens.set()
        return given + value

    return code


def race(wait: Any, codes: dict[str, Code], **options: Any) -> Workflow[Any, Any]:
    """START -> all of the nodes -> an early join into `goal`, a node that takes what the join gives -> END."""
    wf = Workflow("race", input=int, output=Any, **options)

    @wf.node
    async def goal(value: Any) -> Any:
        return value

    for name, code in codes.items():
        wf.edge(START, wf.node(code, name=name))
    wf.join(list(codes), into=goal, wait=wait)
    wf.edge(goal, END)
    return wf


# ---------------------------------------------------------------------- early joins


async def test_first_binds_one_bare_value_and_cancels_those_that_only_fed_it() -> None:
    forever = anyio.Event()
    wf = race("first", {"slow": after(forever, 1), "quick": after(None, 2), "stuck": after(forever, 3)})
    result = await wf.compile().run(0)
    assert result.output == 2
    assert {a.key: a.status for a in result.activations} == {
        "slow": "cancelled",
        "quick": "succeeded",
        "stuck": "cancelled",
        "goal": "succeeded",
    }


async def test_a_quorum_is_bound_in_declared_order_and_its_winners_are_an_event() -> None:
    c_done, forever = anyio.Event(), anyio.Event()
    codes = {"a": after(c_done, 1), "b": after(forever, 2), "c": after(None, 3, opens=c_done)}
    graph = race(Quorum(2), codes).compile()
    result = await graph.run(0)
    assert result.output == [1, 3], "in declared order, though c came first"
    (decided,) = [event for event in result.events if isinstance(event, JoinDecided)]
    sources = [graph.definition.name_of(graph.definition.edges[e].source) for e in decided.winners]
    assert (decided.key, sources) == ("goal", ["a", "c"])


async def test_what_also_feeds_something_else_runs_on_and_its_late_result_changes_nothing() -> None:
    goal_ran = anyio.Event()
    wf = Workflow("race", input=int, output=list[int])
    calls: list[int] = []

    @wf.node
    async def goal(value: int) -> int:
        calls.append(value)
        goal_ran.set()
        return value

    wf.node(after(None, 1), name="quick")
    wf.node(after(goal_ran, 2), name="useful")
    named(wf, "other")
    wf.edge(START, "quick")
    wf.edge(START, "useful")
    wf.join(["quick", "useful"], into=goal, wait="first")
    wf.edge("useful", "other")
    wf.join([goal, "other"], into=END)
    result = await wf.compile().run(0)
    assert (result.output, calls) == ([1, 2], [1])
    assert keys(result, "useful", "other") == ["useful", "other"]


async def test_a_feeder_that_waits_is_skipped_with_everything_before_it() -> None:
    forever = anyio.Event()
    wf = Workflow("race", input=int, output=int)
    named(wf, "quick", "last")
    wf.node(after(forever), name="stuck")
    wf.edge(START, "quick")
    wf.chain(START, "stuck", "last")
    wf.join(["quick", "last"], into=(goal := wf.node(same, name="goal")), wait="first")
    wf.edge(goal, END)
    result = await wf.compile().run(7)
    assert result.output == 7
    assert [a.status for name in ("stuck", "last") for a in result.node(name)] == ["cancelled", "skipped"]


async def test_an_early_join_of_which_nothing_is_taken_is_skipped() -> None:
    wf = Workflow("race", input=int, output=int | None)
    named(wf, "fork", "a", "b", "goal")
    wf.edge(START, "fork")
    wf.edge("fork", "a", when=1)
    wf.edge("fork", "b", when=1)
    wf.edge("fork", "none", when=OTHERWISE)
    named(wf, "none")
    wf.edge("none", END, when=never)
    wf.edge("none", "none2", when=OTHERWISE)
    named(wf, "none2")
    wf.edge("none2", END)
    wf.join(["a", "b"], into="goal", wait="first")
    wf.edge("goal", END)
    result = await wf.compile().run(2)
    assert result.output == 2
    assert keys(result, status="skipped") == ["a", "b", "goal"]


async def test_fewer_than_the_quorum_fail_the_target_which_may_be_handled() -> None:
    def graph(*, handled: bool) -> Any:
        wf = Workflow("quorum", input=int, output=int)
        named(wf, "fork", "a", "b", "c")
        wf.edge(START, "fork")
        wf.edge("fork", "a")
        wf.edge("fork", "b", when=1)
        wf.edge("fork", "c", when=1)
        wf.join(["a", "b", "c"], into=(goal := wf.node(total, name="goal")), wait=Quorum(2))
        wf.edge(goal, END)
        if handled:
            wf.on_error(goal, (rescue := wf.node(minus_one, name="rescue")), QuorumError)
            wf.edge(rescue, END)
        return wf.compile()

    assert (await graph(handled=False).run(1)).output == 2
    assert (await graph(handled=True).run(5)).output == -1
    with pytest.raises(NodeFailedError) as caught:
        await graph(handled=False).run(5)
    error = caught.value.__cause__
    assert isinstance(error, QuorumError)
    assert (error.node, error.needed, error.got, error.total) == ("goal", 2, 1, 3)


async def minus_one(failure: Failure) -> int:
    return -1


async def fails(value: int) -> int:
    raise OSError(f"no {value}")


async def test_a_failure_of_a_feeder_counts_as_a_skipped_member() -> None:
    failed = anyio.Event()

    async def fails_first(value: int) -> int:
        failed.set()
        raise OSError("no")

    result = await race("first", {"bad": fails_first, "good": after(failed, 1)}).compile().run(0)
    assert result.output == 1
    assert result.status == "succeeded"
    assert keys(result, status="failed") == ["bad"]


async def test_when_failures_put_the_quorum_out_of_reach_the_target_fails_with_these_causes() -> None:
    with pytest.raises(NodeFailedError) as caught:
        await race(Quorum(2), {"x": fails, "y": fails, "z": after(None)}).compile().run(0)
    error = caught.value.__cause__
    assert isinstance(error, QuorumError)
    assert sorted((f.node, f.error) for f in error.failures) == [("x", "OSError"), ("y", "OSError")]
    assert caught.value.node == "goal"


async def test_a_decision_inside_a_loop_cuts_off_this_iteration_only() -> None:
    forever = anyio.Event()
    wf = Workflow("laps", input=int, output=int)

    @wf.node
    async def head(value: int) -> int:
        return value + 1

    @wf.node
    async def patient(value: int) -> int:
        if value < 3:
            await forever.wait()
        return value

    @wf.node
    async def eager(value: int) -> int:
        if value >= 3:
            await forever.wait()
        return value

    wf.edge(START, head)
    wf.edge(head, patient)
    wf.edge(head, eager)
    wf.join([patient, eager], into=(goal := wf.node(same, name="goal")), wait="first")
    wf.edge(goal, head, when=lambda value: value < 4)
    wf.edge(goal, END, when=OTHERWISE)
    result = await wf.compile().run(0)
    assert result.output == 4
    assert keys(result, "patient", "eager") == ["eager#0", "eager#1", "patient#2", "patient#3"]
    assert keys(result, status="cancelled") == ["patient#0", "patient#1", "eager#2", "eager#3"]


async def test_a_member_from_outside_a_loop_that_comes_too_late_for_its_iteration_is_ignored() -> None:
    second, late_done = anyio.Event(), anyio.Event()
    wf = Workflow("late", input=int, output=int)

    @wf.node
    async def late(value: int) -> int:
        await second.wait()
        late_done.set()
        return 100

    @wf.node
    async def head(value: int) -> int:
        if value == 1:
            second.set()
            await late_done.wait()
            for _ in range(20):  # long enough for the late result to reach the join
                await anyio.lowlevel.checkpoint()
        return value + 1

    wf.edge(START, late)
    wf.edge(START, head)
    wf.join([head, late], into=(goal := wf.node(same, name="goal")), wait="first")
    wf.edge(goal, head, when=lambda value: value < 2)
    wf.edge(goal, END, when=OTHERWISE)
    result = await wf.compile().run(0)
    assert [a.input for a in result.node("goal")] == [1, 2]
    assert result.output == 2


# ---------------------------------------------------------------------- maps


def mapped(code: Any, **options: Any) -> Workflow[Any, Any]:
    wf = Workflow("mapped", input=list[int], output=Any)
    wf.edge(wf.map(START, wf.node(code, name="item"), **options), END)
    return wf


async def test_a_map_over_nothing_is_the_empty_list_and_an_event_of_its_own() -> None:
    result = await mapped(same).compile().run([])
    assert result.output == []
    kinds = [type(event) for event in result.events if getattr(event, "key", None) == "item"]
    assert kinds == [NodeStarted, MapStarted, MapCompleted, NodeSucceeded]


async def test_items_are_concurrent_and_downstream_sees_them_in_order() -> None:
    turns = [anyio.Event() for _ in range(5)]

    async def item(value: int) -> int:
        await turns[value].wait()  # item 4 goes first, and each lets the one before it go
        if value:
            turns[value - 1].set()
        return value * 10

    turns[4].set()
    with anyio.fail_after(5):
        result = await mapped(item).compile().run([0, 1, 2, 3, 4])
    assert result.output == [0, 10, 20, 30, 40]
    done = [event.key for event in result.events if isinstance(event, NodeSucceeded)]
    assert done == ["item[4]", "item[3]", "item[2]", "item[1]", "item[0]", "item"]


async def test_a_maps_limit_bounds_the_items_at_a_time() -> None:
    inside: list[int] = []
    most = 0

    async def item(value: int) -> int:
        nonlocal most
        inside.append(value)
        most = max(most, len(inside))
        await anyio.lowlevel.checkpoint()
        inside.remove(value)
        return value

    assert (await mapped(item, limit=2).compile().run(list(range(9)))).output == list(range(9))
    assert most == 2


async def odd_fails(value: int) -> int:
    if value % 2:
        raise OSError(f"odd {value}")
    return value


async def test_on_error_says_what_becomes_of_failed_items() -> None:
    collected = (await mapped(odd_fails, on_error="collect").compile().run([0, 1, 2])).output
    assert collected[::2] == [0, 2]
    assert collected[1] == Failure("item", "item[1]", 1, "OSError", "odd 1")
    assert (await mapped(odd_fails, on_error="skip").compile().run([0, 1, 2, 3])).output == [0, 2]
    with pytest.raises(NodeFailedError) as caught:
        await mapped(odd_fails).compile().run([0, 1, 2])
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.key == "item[1]"


async def test_which_failed_item_a_handler_hears_of_does_not_depend_on_timing() -> None:
    second_failed = anyio.Event()

    async def item(value: int) -> int:
        if value == 0:
            await second_failed.wait()
            raise ValueError("first")
        second_failed.set()
        raise KeyError("second")

    wf = Workflow("mapped", input=list[int], output=Any)

    @wf.node
    async def on_value(failure: Failure) -> str:
        return failure.message

    @wf.node
    async def on_key(failure: Failure) -> str:
        return failure.message

    worker = wf.map(START, wf.node(item))
    wf.on_error(worker, on_key, KeyError)
    wf.on_error(worker, on_value, ValueError)
    for node in (worker, on_key, on_value):
        wf.edge(node, END)
    assert (await wf.compile().run([0, 1])).output == "first"


async def test_a_pipeline_per_item_has_no_barrier_between_the_items() -> None:
    ahead = anyio.Event()
    inner = Workflow("pipeline", input=int, output=int)

    @inner.node
    async def fetch(value: int) -> int:
        if value == 0:
            await ahead.wait()  # until item 1 is through both steps
        return value

    @inner.node
    async def parse(value: int) -> int:
        if value == 1:
            ahead.set()
        return value * 2

    inner.chain(START, fetch, parse, END)
    with anyio.fail_after(5):
        assert (await mapped(inner.compile()).compile().run([0, 1])).output == [0, 2]


async def test_a_map_with_a_quorum_goes_on_at_the_kth_result_and_cancels_the_rest() -> None:
    forever = anyio.Event()

    async def item(value: int) -> int:
        if value % 2 == 0:
            await forever.wait()
        return value

    result = await mapped(item, wait=Quorum(2)).compile().run([0, 1, 2, 3, 4])
    assert result.output == [1, 3]
    (completed,) = [event for event in result.events if isinstance(event, MapCompleted)]
    assert completed.winners == (1, 3)
    assert keys(result, status="cancelled") == ["item[0]", "item[2]", "item[4]"]
