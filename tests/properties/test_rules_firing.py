"""Claims about firing and conditions.

Where an order matters it is forced with events, never with time: a node that must not wait for another is made to
finish first.
"""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from loomgraph import END, OTHERWISE, START, CompileError, Failure, NodeFailedError, Retry, Workflow
from loomgraph.errors import AmbiguousInputError, ConditionError, NoRouteError
from loomgraph.events import NodeStarted, NodeSucceeded
from tests.properties.small import always, keys, named, never, rescue, same, total

pytestmark = pytest.mark.anyio


# ---------------------------------------------------------------------- firing


async def test_a_fast_chain_never_waits_for_a_slow_branch() -> None:
    chain_done = anyio.Event()
    wf = Workflow("race", input=int, output=list[int])

    @wf.node
    async def slow(value: int) -> int:
        await chain_done.wait()  # with a barrier between steps this would never end
        return value

    @wf.node
    async def fast1(value: int) -> int:
        return value + 1

    @wf.node
    async def fast2(value: int) -> int:
        return value + 1

    @wf.node
    async def fast3(value: int) -> int:
        chain_done.set()
        return value + 1

    wf.edge(START, slow)
    wf.chain(START, fast1, fast2, fast3)
    wf.join([slow, fast3], into=END)
    with anyio.fail_after(5):
        assert (await wf.compile().run(1)).output == [1, 4]


async def test_a_node_fires_after_its_last_alternative_is_settled_and_not_at_the_first_taken_one() -> None:
    wf = Workflow("patient", input=int, output=list[int])
    named(wf, "ready", "late", "target", "aside")
    wf.edge("ready", "aside", when=never)
    wf.edge(START, "ready")
    wf.edge(START, "late")
    wf.edge("ready", "target", when=always)
    wf.edge("late", "target", when=never)
    wf.edge("late", "aside", when=always)
    wf.join(["target", "aside"], into=END)
    result = await wf.compile().run(1)
    assert result.output == [1, 1]
    at = {e.key: e.seq for e in result.events if isinstance(e, NodeSucceeded)}
    begun = {e.key: e.seq for e in result.events if isinstance(e, NodeStarted)}
    assert at["late"] < begun["target"]
    assert len(result.node("target")) == 1


async def test_two_plain_edges_taken_in_one_pass_are_an_error_that_names_both_sources() -> None:
    wf = Workflow("twice", input=int, output=int)
    named(wf, "left", "right", "target", "spare")
    wf.edge(START, "left")
    wf.edge(START, "right")
    wf.edge("left", "target", when=always)
    wf.edge("right", "target", when=always)
    wf.edge("left", "spare", when=OTHERWISE)
    wf.edge("right", "spare", when=OTHERWISE)
    wf.join(["target", "spare"], into=wf.node(total, name="sum"))
    wf.edge("sum", END)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(1)
    error = caught.value.__cause__
    assert isinstance(error, AmbiguousInputError)
    assert (error.node, error.sources) == ("target", ("left", "right"))


async def test_alternatives_into_end_that_are_both_taken_are_an_error_too() -> None:
    wf = Workflow("twice", input=int, output=int)
    named(wf, "left", "right")
    for side in ("left", "right"):
        wf.edge(START, side)
        wf.edge(side, END, when=always)
        wf.edge(side, f"no {side}", when=OTHERWISE)
        named(wf, f"no {side}")
    wf.join(["no left", "no right"], into=wf.node(total, name="sum"))
    wf.edge("sum", END)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(1)
    assert isinstance(caught.value.__cause__, AmbiguousInputError)
    assert set(caught.value.finished) == {"left", "right"}


async def test_what_provably_clashes_is_refused_and_what_is_exclusive_or_unknown_is_not() -> None:
    def triangle(**conditions: Any) -> Workflow[Any, Any]:
        wf = Workflow("proofs", input=int, output=int)
        named(wf, "fork", "left", "right", "target")
        wf.edge(START, "fork")
        for side in ("left", "right"):
            wf.edge("fork", side, **({"when": conditions[side]} if side in conditions else {}))
            wf.edge(side, "target")
        wf.edge("target", END)
        return wf

    assert [f.rule for f in triangle().check()] == ["ambiguous-input"]
    assert not [f for f in triangle(left=1, right=2).check() if f.severity == "error"]
    assert not [f for f in triangle(left=always, right=never).check() if f.severity == "error"]
    assert (await triangle(left=1, right=2).compile().run(2)).output == 2


async def test_members_bound_to_one_parameter_are_alternatives_of_it() -> None:
    wf = Workflow("instead", input=int, output=str)

    @wf.node
    async def fragile(value: int) -> int:
        if value < 0:
            raise OSError("negative")
        return value

    @wf.node
    async def substitute(failure: Any) -> int:
        return 0

    @wf.node
    async def sturdy(value: int) -> int:
        return value * 10

    @wf.node
    async def both(x: int, y: int) -> str:
        return f"{x} {y}"

    wf.edge(START, fragile)
    wf.edge(START, sturdy)
    wf.on_error(fragile, substitute, OSError)
    wf.join({"x": [fragile, substitute], "y": sturdy}, into=both)
    wf.edge(both, END)
    graph = wf.compile()
    assert (await graph.run(3)).output == "3 30"
    assert (await graph.run(-3)).output == "0 -30"


async def test_a_join_is_skipped_when_all_its_members_are() -> None:
    wf = Workflow("aside", input=int, output=int)
    named(wf, "fork", "a", "b", "other")
    wf.node(total, name="sum")
    for side in ("a", "b"):
        wf.edge("fork", side, when=1)
    wf.edge("fork", "other", when=OTHERWISE)
    wf.edge(START, "fork")
    wf.join(["a", "b"], into="sum")
    wf.edge("sum", END)
    wf.edge("other", END)
    graph = wf.compile()
    assert (await graph.run(1)).output == 2
    result = await graph.run(5)
    assert result.output == 5
    assert keys(result, status="skipped") == ["a", "b", "sum"]


async def test_a_required_member_that_is_skipped_alone_is_an_error_that_names_it() -> None:
    wf = Workflow("partial", input=int, output=int)
    named(wf, "sure", "unsure", "aside")
    wf.edge(START, "sure")
    wf.edge(START, "unsure")

    @wf.node
    async def both(x: int, y: int) -> int:
        return x + y

    wf.join({"x": "sure", "y": wf.node(same, name="maybe")}, into=both)
    wf.edge("unsure", "maybe", when=1)
    wf.edge("unsure", "aside", when=OTHERWISE)
    wf.join([both, "aside"], into=END)
    with pytest.raises(CompileError, match="may be skipped"):
        wf.compile()


async def test_a_join_of_branches_that_share_their_fate_never_misses_a_member() -> None:
    wf = Workflow("fate", input=int, output=int)
    named(wf, "fork", "a", "b", "other")

    @wf.node
    async def both(x: int, y: int) -> int:
        return x + y

    wf.edge(START, "fork")
    wf.edge("fork", "a", when=1)
    wf.edge("fork", "b", when=1)
    wf.edge("fork", "other", when=OTHERWISE)
    wf.join({"x": "a", "y": "b"}, into=both)
    wf.edge(both, END)
    wf.edge("other", END)
    graph = wf.compile()
    assert [(await graph.run(n)).output for n in (1, 7)] == [2, 7]


# ---------------------------------------------------------------------- conditions


async def test_a_condition_is_asked_once_and_the_event_names_the_edges_it_took() -> None:
    asked: list[int] = []

    def is_even(value: int) -> bool:
        asked.append(value)
        return value % 2 == 0

    wf = Workflow("once", input=int, output=int)
    named(wf, "fork", "even", "odd")
    wf.edge(START, "fork")
    wf.edge("fork", "even", when=is_even)
    wf.edge("fork", "odd", when=OTHERWISE)
    wf.edge("even", END)
    wf.edge("odd", END)
    graph = wf.compile()
    result = await graph.run(4)
    (event,) = [e for e in result.events if isinstance(e, NodeSucceeded) and e.key == "fork"]
    assert [graph.definition.name_of(graph.definition.edges[e].target) for e in event.taken] == ["even"]
    assert keys(result) == ["fork", "even"]
    assert asked == [4], "reading what happened asks nobody again"


async def test_after_a_success_the_matching_edges_are_taken_and_the_error_edges_skipped() -> None:
    wf = Workflow("fine", input=int, output=list[int])
    named(wf, "work", "one", "two", "three")
    wf.node(rescue)
    wf.edge(START, "work")
    wf.edge("work", "one", when=always)
    wf.edge("work", "two")
    wf.edge("work", "three", when=never)
    wf.on_error("work", "rescue")
    wf.join(["one", "two", "three", "rescue"], into=END)
    result = await wf.compile().run(1)
    assert result.output == [1, 1]
    assert set(keys(result, status="skipped")) == {"rescue", "three"}


async def test_after_a_failure_the_first_matching_error_edge_is_taken_and_all_others_skipped() -> None:
    wf = Workflow("rescued", input=int, output=str)

    @wf.node
    async def work(value: int) -> str:
        raise FileNotFoundError("gone")

    @wf.node
    async def wrong(failure: Failure) -> str:
        return "wrong"

    @wf.node
    async def right(failure: Failure) -> str:
        return f"{failure.error} at {failure.key}"

    @wf.node
    async def late(failure: Failure) -> str:
        return "late"

    wf.edge(START, work)
    wf.edge(work, END)
    for handler, error in ((wrong, ValueError), (right, OSError), (late, FileNotFoundError)):
        wf.on_error(work, handler, error)
        wf.edge(handler, END)
    result = await wf.compile().run(1)
    assert result.output == "FileNotFoundError at work"
    assert set(keys(result, status="skipped")) == {"wrong", "late"}
    assert keys(result, status="handled") == ["work"]


async def test_a_value_that_no_edge_takes_fails_the_node_without_another_attempt() -> None:
    calls: list[int] = []
    wf = Workflow("lost", input=int, output=int)
    named(wf, "one", "two")

    @wf.node(retry=Retry(attempts=3, delay=0))
    async def fork(value: int) -> int:
        calls.append(value)
        return value

    wf.edge(START, fork)
    wf.edge(fork, "one", when=1)
    wf.edge(fork, "two", when=2)
    wf.edge("one", END)
    wf.edge("two", END)
    with pytest.raises(NodeFailedError, match="no edge out of 'fork' matches 3") as caught:
        await wf.compile().run(3)
    assert isinstance(caught.value.__cause__, NoRouteError)
    assert calls == [3]


async def test_a_condition_that_raises_fails_the_node_without_another_attempt() -> None:
    calls: list[int] = []
    wf = Workflow("broken", input=int, output=int)
    named(wf, "one")

    def broken(value: int) -> bool:
        raise RuntimeError("no idea")

    @wf.node(retry=Retry(attempts=3, delay=0))
    async def fork(value: int) -> int:
        calls.append(value)
        return value

    wf.edge(START, fork)
    wf.edge(fork, "one", when=broken)
    wf.edge(fork, END, when=OTHERWISE)
    wf.edge("one", END)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(3)
    error = caught.value.__cause__
    assert isinstance(error, ConditionError)
    assert isinstance(error.__cause__, RuntimeError)
    assert calls == [3]


async def test_an_unmatched_value_may_be_taken_by_an_error_edge() -> None:
    wf = Workflow("found", input=int, output=str)

    @wf.node
    async def fork(value: int) -> int:
        return value

    @wf.node
    async def one(value: int) -> str:
        return "one"

    @wf.node
    async def other(failure: Failure) -> str:
        return failure.error

    wf.edge(START, fork)
    wf.edge(fork, one, when=1)
    wf.on_error(fork, other, NoRouteError)
    wf.edge(one, END)
    wf.edge(other, END)
    graph = wf.compile()
    assert [(await graph.run(n)).output for n in (1, 2)] == ["one", "NoRouteError"]


@pytest.mark.parametrize(("given", "ran"), [("left", "left"), ("right", "right"), ("other", "rest")])
async def test_edges_out_of_the_start_have_conditions_too(given: str, ran: str) -> None:
    wf = Workflow("gate", input=str, output=str)
    for name in ("left", "right", "rest"):

        async def node(value: str, name: str = name) -> str:
            return name

        made = wf.node(node, name=name)
        wf.edge(START, made, when=OTHERWISE if name == "rest" else name)
        wf.edge(made, END)
    result = await wf.compile().run(given)
    assert result.output == ran
    assert {record.key for record in result.activations if record.status == "skipped"} == {"left", "right", "rest"} - {
        ran
    }
