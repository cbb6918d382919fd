"""Claims about the Blackboard: what it costs, who sees what, in which order entries stand, and where it stops."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomgraph import END, START, Agent, NodeFailedError, Workflow, tool
from loomgraph.architectures import Blackboard, ReAct
from loomgraph.architectures.blackboard import Board, board_of
from loomgraph.errors import (
    BudgetExceededError,
    DefinitionError,
    LoopCapError,
    OutputValidationError,
    UnknownWorkerError,
)
from loomgraph.graph.budget import Budget
from loomgraph.models import ScriptedModel
from loomgraph.store.memory import MemoryStore
from loomgraph.testing.interleave import Turnstile
from tests.architectures.voices import Meeting, heard, held, replying, told
from tests.properties.budget import examples

pytestmark = pytest.mark.anyio


def pick(*names: str) -> dict[str, Any]:
    return {"kind": "pick", "contributors": list(names)}


def go_on(missing: str = "more") -> dict[str, Any]:
    return {"kind": "go_on", "missing": missing}


def answer(said: Any) -> dict[str, Any]:
    return {"kind": "answer", "answer": said}


def entries(*said: tuple[str, str]) -> dict[str, Any]:
    return {"entries": [{"kind": kind, "text": text} for kind, text in said]}


def writer(name: str) -> Any:
    model = replying(lambda request: entries(("fact", f"{name} knows {{it}}")), name)
    return Agent(name, model, instructions=f"You are {name}.", description=f"knows {name}")


def team(
    picks: list[Any], verdicts: list[Any], contributors: Any = None, options: Any = None, **settings: Any
) -> tuple[Any, Any, Any]:
    coordinator, decider = ScriptedModel(picks), ScriptedModel(verdicts)
    some = [writer("a"), writer("b"), writer("c")] if contributors is None else contributors
    way = Blackboard(some, coordinator_model=coordinator, decider_model=decider, **settings)
    return Agent("team", "echo", instructions="Be sure.", architecture=way, **(options or {})), coordinator, decider


@pytest.mark.parametrize("rounds", [[["a"]], [["a", "b"], ["c"]], [["a"], ["a", "b", "c"], ["b"]]])
async def test_it_costs_a_pick_and_a_verdict_a_round_and_the_contributors(rounds: list[list[str]]) -> None:
    verdicts = [*[go_on()] * (len(rounds) - 1), answer("Done.")]
    agent, coordinator, decider = team([pick(*names) for names in rounds], verdicts)
    result = await agent.run("Do it.")
    assert result.output == "Done."
    assert len(coordinator.requests) == len(decider.requests) == len(rounds)
    assert result.usage.model_calls == 2 * len(rounds) + sum(map(len, rounds))


async def test_who_is_picked_twice_in_a_round_writes_once() -> None:
    agent, *_ = team([pick("b", "a", "b")], [answer("Done.")])
    result = await agent.run("Do it.")
    assert [entry.author for entry in board_of(result).entries] == ["b", "a"]
    assert result.usage.model_calls == 2 + 2


async def test_in_turn_nobody_is_paid_to_pick_and_without_a_decider_the_coordinator_answers() -> None:
    agent, coordinator, decider = team([], [go_on()] * 3 + [answer("Done.")], coordinator="round-robin")
    result = await agent.run("Do it.")
    assert [entry.author for entry in board_of(result).entries] == ["a", "b", "c", "a"]
    assert (len(coordinator.requests), result.usage.model_calls) == (0, 4 + 4)
    agent, coordinator, decider = team([pick("a"), pick("b"), answer("Done.")], [], decider=False)
    result = await agent.run("Do it.")
    assert result.output == "Done."
    assert (len(decider.requests), result.usage.model_calls) == (0, 3 + 2)
    assert "answer the task from it instead" in told(coordinator.requests[0])


def test_everybody_sees_the_task_and_the_board_and_what_is_missing() -> None:
    a, b = writer("a"), writer("b")
    agent, coordinator, decider = team([pick("a"), pick("b")], [go_on("a {b}"), answer("Done.")], [a, b])
    agent.run_sync("Do {it}.")
    assert told(coordinator.requests[0]).endswith("Those who can write:\n- a: knows a\n- b: knows b")
    assert told(a.model.requests[0]).startswith("You are a.\n\nOthers and you work on a task by writing on a board.")
    assert heard(coordinator)[0] == heard(a.model)[0] == "<task>\nDo {it}.\n</task>"
    board = "<task>\nDo {it}.\n</task>\n\n<board>\n1. fact by a: a knows {it}\n</board>"
    assert heard(decider)[0] == board
    assert heard(coordinator)[1] == heard(b.model)[0] == f"{board}\n\n<missing>\na {{b}}\n</missing>"


async def test_the_board_is_typed_and_kept_and_is_the_answer_if_that_is_what_is_asked_for() -> None:
    said = [entries(("fact", "f"), ("hypothesis", "h")), entries(("answer", "x"))]
    for output in (str, Board):
        a: Any = Agent("a", ScriptedModel(said))
        agent, *_ = team([pick("a")] * 2, [go_on(), answer("Done.")], [a], {"output": output})
        result = await agent.run("Do it.", store=MemoryStore())
        board = board_of(result)
        assert [f"{entry.number} {entry.text} {entry.round}" for entry in board.entries] == ["1 f 1", "2 h 1", "3 x 2"]
        assert [len(board.facts), len(board.hypotheses), len(board.answers)] == [1, 1, 1]
        assert (result.output.entries == board.entries) if output is Board else (result.output == "Done.")
    with pytest.raises(DefinitionError, match="has no board"):
        board_of(await Agent("plain", "echo").run("Hello"))


def test_a_name_that_is_not_there_goes_back_once_and_is_then_an_error_with_the_board() -> None:
    agent, coordinator, _ = team([pick("a"), pick("z"), pick("b")], [go_on(), answer("Done.")])
    assert agent.run_sync("Do it.").output == "Done."
    assert heard(coordinator)[2].endswith("'z' is not there; there are 'a', 'b' and 'c'.\n</not_possible>")
    agent, *_ = team([pick("a"), pick("z"), pick("z")], [go_on()])
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Do it.")
    error = caught.value.__cause__
    assert isinstance(error, UnknownWorkerError)
    assert [entry.author for entry in error.finished.entries] == ["a"]


async def test_at_the_cap_and_on_a_spent_budget_the_board_is_kept() -> None:
    agent, *_ = team([pick("a")] * 5, [go_on()] * 5, max_rounds=3)
    with pytest.raises(LoopCapError) as caught:
        await agent.run("Do it.")
    [board] = caught.value.values.values()
    assert [entry.round for entry in board.entries] == [1, 2, 3]
    agent, *_ = team([pick("a"), pick("b")], [go_on()])
    with pytest.raises(NodeFailedError) as failed:
        await agent.run("Do it.", budget=Budget(model_calls=4))
    assert isinstance(failed.value.__cause__, BudgetExceededError)
    assert [entry.author for entry in board_of(failed.value.result).entries] == ["a"]


def test_an_answer_that_is_no_pick_goes_back_once_and_is_then_an_error() -> None:
    agent, *_ = team(["a!", "a!!"], [])
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Do it.")
    assert isinstance(caught.value.__cause__, OutputValidationError)
    assert caught.value.__cause__.raw == "a!!"


def test_contributors_are_agents_with_tools_architectures_and_graphs() -> None:
    @tool(reads=())
    async def look(where: str) -> str:
        """Look somewhere."""
        return where.upper()

    wf = Workflow("counter", input=str, output=int)

    @wf.node
    async def count(text: str) -> int:
        return text.count("task>")

    wf.chain(START, count, END)
    verdicts = [answer("Done.")]
    own = ScriptedModel([entries(("hypothesis", "my own"))])
    coordinator, decider = ScriptedModel([pick("graph", "own", "list")]), ScriptedModel(verdicts)
    lists: Any = Agent("list", ScriptedModel([["one", "two"]]), output=list[str])
    way = Blackboard({"graph": wf, "own": ReAct(), "list": lists}, coordinator_model=coordinator, decider_model=decider)
    result = Agent("team", own, tools=[look], architecture=way).run_sync("Do it.")
    said = [(entry.kind, entry.author, entry.text) for entry in board_of(result).entries]
    assert said == [
        ("fact", "graph", "2"),
        ("hypothesis", "own", "my own"),
        ("fact", "list", '[\n  "one",\n  "two"\n]'),
    ]


async def test_those_who_are_picked_write_at_the_same_time_under_the_runs_limit() -> None:
    for limit, size in ((None, 4), (2, 2)):
        meeting = Meeting(size)
        some = [Agent(name, meeting.of(writer(name).model)) for name in "abcd"]
        agent, *_ = team([pick(*"abcd")], [answer("Done.")], some)
        assert (await agent.run("Do it.", limit=limit)).output == "Done."
        assert meeting.most == size


@examples(6)
@given(st.data())
def test_timing_does_not_change_the_order_of_entries(data: Any) -> None:
    async def main() -> None:
        turnstile = Turnstile(lambda n: data.draw(st.integers(0, n - 1)))
        some = [Agent(name, held(writer(name).model, turnstile)) for name in "abc"]
        agent, *_ = team([pick(*"cab")], [answer("Done.")], some)
        result = await turnstile.drive(lambda: agent.run("Do it."))
        assert [entry.author for entry in board_of(result).entries] == ["c", "a", "b"]

    anyio.run(main)


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(DefinitionError, match="somebody has to decide"):
        _ = team([], [], coordinator="round-robin", decider=False)[0].graph
    with pytest.raises(DefinitionError, match="needs at least one contributor"):
        _ = team([], [], [])[0].graph


def test_the_drawing_shows_the_coordinator_the_contributors_and_the_decider() -> None:
    drawn = team([], [], max_rounds=7)[0].to_mermaid()
    for label in ("pick", "coordinator", "assign", "contribute", "a", "b", "c", "post", "decide", "decider", "answer"):
        assert f'"{label}' in drawn
    assert "go on ↺ ≤ 7" in drawn
    assert "coordinator" not in team([], [], coordinator="round-robin")[0].to_mermaid()
