"""Claims about failure and the end of a run: what is reported, what is kept, what still runs, what END takes."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from loomgraph import END, OTHERWISE, START, Failure, NodeFailedError, RunError, Workflow
from loomgraph.errors import NoResultError
from loomgraph.events import NodeStarted, NodeSucceeded, RunFailed, RunStarted, RunSucceeded
from tests.properties.small import keys, named, same

pytestmark = pytest.mark.anyio


class Burnt(Exception):
    """A user's own exception."""


def two_failures(on_failure: Any) -> Workflow[Any, Any]:
    """Two nodes that fail once both have begun, and beside them a chain of three."""
    both, begun = anyio.Event(), []
    wf = Workflow("pair", input=int, output=list[int], on_failure=on_failure)

    def failing(name: str) -> Any:
        async def fail(value: int) -> int:
            begun.append(name)
            if len(begun) == 2:
                both.set()
            await both.wait()
            raise Burnt(name)

        return fail

    named(wf, "c1", "c2", "c3")
    for name in ("a", "b"):
        wf.edge(START, wf.node(failing(name), name=name))
    wf.chain(START, "c1", "c2", "c3")
    wf.join(["a", "b", "c3"], into=END)
    return wf


# ---------------------------------------------------------------------- failure


async def test_two_failing_parallel_nodes_are_both_reported() -> None:
    with pytest.raises(NodeFailedError) as caught:
        await two_failures("drain").compile().run(0)
    error = caught.value
    assert [(f.node, f.error, f.message) for f in error.failures] == [("a", "Burnt", "a"), ("b", "Burnt", "b")]
    assert [str(exception) for exception in error.exceptions] == ["a", "b"]
    assert isinstance(error.__cause__, Burnt)
    assert "also failed: b" in str(error)


async def test_what_fails_while_the_run_ends_is_reported_too_and_its_cause_is_the_users_exception() -> None:
    with pytest.raises(NodeFailedError) as caught:
        await two_failures("cancel").compile().run(0)
    error = caught.value
    assert not isinstance(error.__cause__, BaseExceptionGroup)
    assert isinstance(error.__cause__, Burnt)
    assert {f.node for f in error.failures} <= {"a", "b"}
    assert error.failures


async def test_with_drain_everything_that_does_not_depend_on_the_failure_runs() -> None:
    with pytest.raises(NodeFailedError) as caught:
        await two_failures("drain").compile().run(5)
    assert dict(caught.value.finished) == {"c1": 5, "c2": 5, "c3": 5}
    assert caught.value.result.status == "failed"


async def test_without_drain_what_is_in_flight_is_cancelled_and_nothing_starts() -> None:
    flying, forever = anyio.Event(), anyio.Event()
    cleaned: list[str] = []
    wf = Workflow("ending", input=int, output=list[int])
    named(wf, "before", "after")

    @wf.node
    async def slow(value: int) -> int:
        flying.set()
        try:
            await forever.wait()
        finally:
            cleaned.append("slow")
        return value

    @wf.node
    async def bad(value: int) -> int:
        await flying.wait()
        raise Burnt

    wf.edge(START, "before")
    wf.edge("before", slow)
    wf.edge("before", bad)
    wf.chain(slow, "after")
    wf.join(["after", bad], into=END)
    with anyio.fail_after(5), pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(1)
    result = caught.value.result
    assert {a.key: a.status for a in result.activations} == {
        "before": "succeeded",
        "slow": "cancelled",
        "bad": "failed",
    }
    assert (cleaned, dict(caught.value.finished)) == (["slow"], {"before": 1})


async def test_a_failure_carries_run_id_node_key_and_attempt() -> None:
    wf = Workflow("outer", input=int, output=int)
    inner = Workflow("inner", input=int, output=int)

    @inner.node
    async def deep(value: int) -> int:
        raise Burnt("down here")

    inner.chain(START, deep, END)
    wf.chain(START, wf.node(inner.compile(), name="graph"), END)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(0, run_id="r-1")
    error = caught.value
    assert (error.run_id, error.node, error.key, error.attempt) == ("r-1", "graph/deep", "graph/deep", 1)
    assert isinstance(error.__cause__, Burnt)


async def test_a_handled_failure_is_no_failure_of_the_run() -> None:
    wf = Workflow("handled", input=int, output=str)

    @wf.node
    async def bad(value: int) -> str:
        raise Burnt("toast")

    @wf.node
    async def handler(failure: Failure) -> str:
        return f"{failure.node}: {failure.message}"

    wf.edge(START, bad)
    wf.edge(bad, END)
    wf.on_error(bad, handler, Burnt)
    wf.edge(handler, END)
    result = await wf.compile().run(0)
    assert (result.status, result.output) == ("succeeded", "bad: toast")


async def test_a_failure_that_no_error_edge_matches_ends_the_run() -> None:
    wf = Workflow("unhandled", input=int, output=int)

    @wf.node
    async def bad(value: int) -> int:
        raise Burnt

    @wf.node
    async def handler(failure: Failure) -> int:
        return 1

    wf.edge(START, bad)
    wf.edge(bad, END)
    wf.on_error(bad, handler, OSError)
    wf.edge(handler, END)
    with pytest.raises(NodeFailedError):
        await wf.compile().run(0)


# ---------------------------------------------------------------------- the end


async def test_end_takes_one_of_several_alternatives_and_waits_for_the_others_to_be_skipped() -> None:
    wf = Workflow("either", input=int, output=int)
    named(wf, "fork", "near", "far1", "far2")
    wf.edge(START, "fork")
    wf.route("fork", {1: "near"}, otherwise="far1")
    wf.chain("far1", "far2", END)
    wf.edge("near", END)
    graph = wf.compile()
    assert [(await graph.run(n)).output for n in (1, 2)] == [1, 2]
    assert keys(await graph.run(1), status="skipped") == ["far1", "far2"]


async def test_end_takes_one_join_and_the_run_ends_when_its_last_member_is_settled() -> None:
    gate = anyio.Event()
    wf = Workflow("both", input=int, output=list[int])

    @wf.node
    async def quick(value: int) -> int:
        gate.set()
        return value

    @wf.node
    async def late(value: int) -> int:
        await gate.wait()
        await anyio.lowlevel.checkpoint()
        return value + 1

    wf.edge(START, quick)
    wf.edge(START, late)
    wf.join([quick, late], into=END)
    assert (await wf.compile().run(1)).output == [1, 2]


async def test_end_of_an_early_join_cancels_what_only_fed_it_and_nothing_else() -> None:
    forever = anyio.Event()
    wf = Workflow("first", input=int, output=int)

    @wf.node
    async def stuck(value: int) -> int:
        await forever.wait()
        return value

    wf.edge(START, stuck)
    wf.edge(START, wf.node(same, name="quick"))
    wf.join([stuck, "quick"], into=END, wait="first")
    with anyio.fail_after(5):
        result = await wf.compile().run(3)
    assert (result.output, keys(result, status="cancelled")) == (3, ["stuck"])


def may_skip_the_end(output: Any, name: str = "maybe") -> Workflow[Any, Any]:
    """Odd numbers reach END, even ones only a node that leads nowhere."""
    wf = Workflow(name, input=int, output=output)
    named(wf, "fork")

    @wf.node
    async def note(value: int) -> None:
        return None

    wf.edge(START, "fork")
    wf.edge("fork", END, when=lambda value: value % 2 == 1)
    wf.edge("fork", note, when=OTHERWISE)
    return wf


async def test_an_end_that_is_skipped_is_no_result_where_the_output_does_not_admit_none() -> None:
    graph = may_skip_the_end(int).compile()
    assert (await graph.run(1)).output == 1
    with pytest.raises(NoResultError) as caught:
        await graph.run(2, run_id="r")
    assert str(caught.value) == (
        "run 'r' of 'maybe' ended without reaching END: every edge into END was skipped, and the output type int does "
        "not admit None. Add an edge to END for this case, or declare output=... | None."
    )
    assert dict(caught.value.finished) == {"fork": 2, "note": None}
    assert caught.value.result.status == "failed"
    last = caught.value.result.events[-1]
    assert isinstance(last, RunFailed)
    assert (last.error, [failure.key for failure in last.failures]) == ("NoResultError", ["#END"])


@pytest.mark.parametrize("output", [int | None, Any])
async def test_an_end_that_is_skipped_is_none_where_the_output_admits_it(output: Any) -> None:
    result = await may_skip_the_end(output).compile().run(2)
    assert (result.status, result.output) == ("succeeded", None)
    assert keys(result) == ["fork", "note"]


async def test_a_nested_graph_without_a_result_fails_its_node_or_gives_none() -> None:
    def outer(output: Any) -> Any:
        wf = Workflow("outer", input=int, output=output)
        inner = wf.node(may_skip_the_end(output, "inner").compile(), name="inner")
        wf.chain(START, inner, END)
        return wf.compile()

    assert (await outer(int | None).run(2)).output is None
    with pytest.raises(NoResultError, match="of 'inner' ended without reaching END") as caught:
        await outer(int).run(2)
    assert [failure.key for failure in caught.value.failures] == ["inner/#END"]
    assert keys(caught.value.result, "inner", status="failed") == ["inner"]


async def test_a_failure_is_why_the_end_was_not_reached_and_not_the_missing_result() -> None:
    wf = may_skip_the_end(int)

    @wf.node
    async def bad(value: int) -> None:
        raise Burnt

    wf.edge("fork", bad, when=lambda value: value % 2 == 0)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(2)
    assert [failure.error for failure in caught.value.failures] == ["Burnt"]


async def test_a_run_that_hands_out_none_where_the_output_forbids_it_is_refused() -> None:
    wf = Workflow("none", input=int, output=int)

    @wf.node
    async def liar(value: int) -> Any:
        return None

    wf.chain(START, liar, END)
    with pytest.raises(RunError, match="int"):
        await wf.compile().run(1)


async def test_the_log_of_a_run_begins_and_ends_with_the_run_and_each_node_finishes_before_the_next_starts() -> None:
    wf = Workflow("log", input=int, output=int)
    named(wf, "a", "b")
    wf.chain(START, "a", "b", END)
    result = await wf.compile().run(1)
    assert [type(event) for event in result.events] == [
        RunStarted,
        NodeStarted,
        NodeSucceeded,
        NodeStarted,
        NodeSucceeded,
        RunSucceeded,
    ]
    assert [event.seq for event in result.events] == list(range(6))
    assert keys(result) == ["a", "b"]


async def test_the_log_of_a_failed_run_ends_with_why() -> None:
    with pytest.raises(NodeFailedError) as caught:
        await two_failures("drain").compile().run(0)
    last = caught.value.result.events[-1]
    assert isinstance(last, RunFailed)
    assert (last.error, [f.node for f in last.failures]) == ("NodeFailedError", ["a", "b"])
