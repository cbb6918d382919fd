"""Claims about what feeds an early join: whom its decision withdraws, what becomes of failures before it. No clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from loomgraph import END, OTHERWISE, START, NodeFailedError, Quorum, Workflow
from loomgraph.errors import AmbiguousInputError, ExitOvertakenError, QuorumError
from loomgraph.events import LoopCapReached, LoopEnded
from tests.properties.small import always, keys, named, never, rescue, same, total

pytestmark = pytest.mark.anyio

Code = Callable[[int], Awaitable[int]]


class Burnt(Exception):
    """A user's own exception."""


def after(gate: anyio.Event | None, *, opens: anyio.Event | None = None, burns: bool = False) -> Code:
    """A node that waits for a gate (or not), opens another, and passes its value on or fails."""

    async def code(value: int) -> int:
        if gate is not None:
            await gate.wait()
        if opens is not None:
            opens.set()
        if burns:
            raise Burnt(str(value))
        return value

    return code


# ---------------------------------------------------------------------- who is a feeder


async def test_what_leads_back_to_the_loops_header_behind_the_join_is_no_feeder_of_it() -> None:
    wf = Workflow("laps", input=int, output=int)

    @wf.node
    async def head(value: int) -> int:
        return value + 1

    named(wf, "a", "b", "goal", "back")
    wf.edge(START, head)
    wf.edge(head, "a")
    wf.edge(head, "b")
    wf.join(["a", "b"], into="goal", wait="first")
    wf.edge("goal", "back", when=lambda value: value < 3)
    wf.edge("goal", END, when=OTHERWISE)
    wf.edge("back", head)  # its only way leads to the join, but in the next iteration
    result = await wf.compile().run(0)
    assert result.output == 3
    assert keys(result, "goal", "back") == ["goal#0", "back#0", "goal#1", "back#1", "goal#2"]


def into_a_loop(codes: dict[str, Code]) -> Workflow[Any, Any]:
    """START -> all of the nodes -> a first join into the header of a loop that goes round until its value is 3."""
    wf = Workflow("entry", input=int, output=int)

    @wf.node
    async def head(value: int) -> int:
        return value + 1

    for name, code in codes.items():
        wf.edge(START, wf.node(code, name=name))
    wf.join(list(codes), into=head, wait="first")
    wf.edge(head, head, when=lambda value: value < 3)
    wf.edge(head, END, when=OTHERWISE)
    return wf


async def test_a_join_that_enters_a_loop_cancels_what_only_fed_it() -> None:
    with anyio.fail_after(5):
        result = await into_a_loop({"stuck": after(anyio.Event()), "quick": same}).compile().run(0)
    assert result.output == 3
    assert keys(result, status="cancelled") == ["stuck"]
    assert keys(result, "head") == ["head#0", "head#1", "head#2"]


async def test_a_failure_of_what_only_feeds_a_join_that_enters_a_loop_counts_as_a_skipped_member() -> None:
    failed = anyio.Event()
    graph = into_a_loop({"bad": after(None, opens=failed, burns=True), "good": after(failed)}).compile()
    result = await graph.run(0)
    assert (result.output, keys(result, status="failed")) == (3, ["bad"])
    with pytest.raises(NodeFailedError) as caught:
        await into_a_loop({"bad": after(None, burns=True), "worse": after(None, burns=True)}).compile().run(0)
    error = caught.value.__cause__
    assert isinstance(error, QuorumError)
    assert [failure.key for failure in error.failures] == ["bad", "worse"]
    assert caught.value.key == "head#0"


# ---------------------------------------------------------------------- a join that is not met


def out_of_reach(codes: dict[str, Code]) -> Workflow[Any, Any]:
    """`f` feeds two first-joins, which with `z` feed one of all three: only for that one is f a feeder."""
    wf = Workflow("reach", input=int, output=int)
    for name in ("f", "x", "y", "z"):
        wf.edge(START, wf.node(codes.get(name, same), name=name))
    named(wf, "t1", "t2")
    wf.join(["f", "x"], into="t1", wait="first")
    wf.join(["f", "y"], into="t2", wait="first")
    wf.join(["t1", "t2", "z"], into=(goal := wf.node(total, name="goal")), wait=Quorum(3))
    wf.edge(goal, END)
    return wf


@pytest.mark.parametrize("first", ["f", "z"])
async def test_a_join_that_is_settled_unmet_withdraws_its_feeders_so_that_their_failures_do_not_depend_on_timing(
    first: str,
) -> None:
    f_failed, forever = anyio.Event(), anyio.Event()
    if first == "f":
        codes = {"f": after(None, opens=f_failed, burns=True), "z": after(f_failed, burns=True)}
        codes |= {"x": after(f_failed), "y": after(f_failed)}
    else:
        codes = {"f": after(forever, burns=True), "z": after(None, burns=True)}
    with anyio.fail_after(5), pytest.raises(NodeFailedError) as caught:
        await out_of_reach(codes).compile().run(0)
    assert [(f.key, f.error) for f in caught.value.failures] == [("goal", "QuorumError")]
    error = caught.value.__cause__
    assert isinstance(error, QuorumError)
    assert (error.got, [failure.key for failure in error.failures]) == (2, ["z"]), "f was behind no skipped member"
    assert keys(caught.value.result, "f", status="failed" if first == "f" else "cancelled") == ["f"]


async def test_a_join_of_back_edges_that_is_settled_unmet_withdraws_its_feeders() -> None:
    forever = anyio.Event()
    wf = Workflow("back", input=int, output=int)

    @wf.node
    async def head(value: Any) -> int:
        return 0

    wf.edge(START, head)
    for name, code in {"f": after(forever), "x": same, "y": same, "z": after(None, burns=True)}.items():
        wf.edge(head, wf.node(code, name=name))
    named(wf, "t1", "t2")
    wf.node(rescue, name="rescue")
    wf.join(["f", "x"], into="t1", wait="first")
    wf.join(["f", "y"], into="t2", wait="first")
    wf.join(["t1", "t2", "z"], into=head, wait=Quorum(3))
    wf.on_error(head, "rescue", QuorumError)
    wf.edge("rescue", END)
    with anyio.fail_after(5):
        result = await wf.compile().run(0)
    assert keys(result, "f", status="cancelled") == ["f#0"]
    (refused,) = result.node("head")[1:]
    assert (refused.key, refused.failure and refused.failure.error) == ("head#1", "QuorumError")


async def test_a_strict_exit_of_an_iteration_whose_join_of_back_edges_is_unmet_is_overtaken_and_not_lost() -> None:
    wf = Workflow("back", input=int, output=int | None)

    @wf.node
    async def head(value: Any) -> int:
        return 0

    named(wf, "a", "again", "b")
    wf.node(rescue, name="rescue")
    wf.edge(START, head)
    wf.edge(head, "a")
    wf.edge(head, "b", when=never)
    wf.edge("a", "again", when=always)
    wf.edge("a", END, when=always)
    wf.join(["again", "b"], into=head, wait=Quorum(2))
    wf.on_error(head, "rescue", QuorumError)
    wf.edge("rescue", END)
    with pytest.raises(ExitOvertakenError, match="'a'"):
        await wf.compile().run(0)


async def test_alternatives_of_one_parameter_that_win_together_fail_the_target_and_withdraw_the_rest() -> None:
    wf = Workflow("named", input=int, output=int, on_failure="drain")
    for name, code in {"a": same, "b": same, "stuck": after(anyio.Event())}.items():
        wf.edge(START, wf.node(code, name=name), when=always)

    @wf.node
    async def goal(x: int | None = None, y: int | None = None) -> int:
        return 1

    wf.join({"x": ["a", "b"], "y": "stuck"}, into=goal, wait=Quorum(2))
    wf.edge(goal, END)
    with anyio.fail_after(5), pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(0)
    assert isinstance(caught.value.__cause__, AmbiguousInputError)
    assert keys(caught.value.result, status="cancelled") == ["stuck"]


# ---------------------------------------------------------------------- loops that feed a join


def race_with_a_loop(other: Code) -> Workflow[Any, Any]:
    """A loop that always reaches its cap of 2, and another node, race for `goal`."""
    wf = Workflow("spin", input=int, output=int)
    named(wf, "spin", "out", "goal")
    wf.edge(START, "spin")
    wf.edge("spin", "spin", when=always, cap=2)
    wf.edge(START, wf.node(other, name="other"))
    wf.edge("spin", "out", when=OTHERWISE)
    wf.join(["out", "other"], into="goal", wait="first")
    wf.edge("goal", END)
    return wf


async def test_a_loop_that_fails_counts_as_a_skipped_member_and_its_end_says_why() -> None:
    spun = anyio.Event()
    wf = race_with_a_loop(after(spun))
    async with wf.compile().start(7) as run:
        async for event in run.events():
            if isinstance(event, LoopEnded):
                spun.set()  # `other` wins, but only after the loop has reached its cap
        result = await run.result()
    assert result.output == 7
    (capped,) = [event for event in result.events if isinstance(event, LoopCapReached)]
    (ended,) = [event for event in result.events if isinstance(event, LoopEnded)]
    assert (capped.key, capped.handled) == ("spin#1", False)
    assert (ended.key, ended.exits, ended.failure and ended.failure.error) == ("spin#1", (), "LoopCapError")


async def test_a_loop_whose_failure_puts_the_quorum_out_of_reach_is_among_the_causes() -> None:
    with pytest.raises(NodeFailedError) as caught:
        await race_with_a_loop(after(None, burns=True)).compile().run(0)
    error = caught.value.__cause__
    assert isinstance(error, QuorumError)
    assert [(failure.key, failure.error) for failure in error.failures] == [
        ("spin#1", "LoopCapError"),
        ("other", "Burnt"),
    ]
    assert caught.value.key == "goal"


async def test_a_failure_inside_a_loop_reaches_the_join_that_the_loop_feeds() -> None:
    wf = Workflow("inside", input=int, output=int)
    wf.node(after(None, burns=True), name="turn")
    named(wf, "head", "out", "other")
    wf.chain(START, "head", "turn")
    wf.edge("turn", "head", when=never)
    wf.edge(START, "other")
    wf.edge("turn", "out", when=OTHERWISE)
    wf.join(["out", "other"], into=(goal := wf.node(total, name="goal")), wait=Quorum(2))
    wf.edge(goal, END)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(0)
    error = caught.value.__cause__
    assert isinstance(error, QuorumError)
    assert (error.got, [failure.key for failure in error.failures]) == (1, ["turn#0"])
