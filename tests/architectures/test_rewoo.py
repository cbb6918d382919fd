"""Claims about ReWOO: what it costs, what the planner knows, when calls run, and what a bad plan comes to."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from loomgraph import Agent, NodeFailedError, tool
from loomgraph.architectures import ReWOO
from loomgraph.architectures.rewoo import Work
from loomgraph.errors import (
    CyclicPlanError,
    DefinitionError,
    EmptyPlanError,
    OutputValidationError,
    PlanStepError,
    PlanTooLongError,
)
from loomgraph.models import ScriptedModel
from loomgraph.nodes.permissions import Permissions, Rule
from tests.architectures.voices import heard, told

pytestmark = pytest.mark.anyio


@tool(reads=())
async def add(a: int, b: int) -> dict[str, int]:
    """Add two numbers."""
    return {"sum": a + b}


@tool(reads=())
async def shout(text: str) -> str:
    """Say it louder."""
    if text == "fail":
        raise ValueError("no voice")
    return text.upper()


def call(id: str, tool: str, /, **arguments: Any) -> dict[str, Any]:
    return {"id": id, "why": f"for {id}", "tool": tool, "arguments": arguments}


def plan(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"steps": list(steps)}


def planner(*turns: Any, tools: Any = (add, shout), **settings: Any) -> tuple[Any, ScriptedModel]:
    model = ScriptedModel(turns)
    return Agent("planner", model, instructions="Be exact.", tools=tools, architecture=ReWOO(**settings)), model


GOOD = plan(call("E1", "shout", text="hello"))
BROKEN = plan(call("E1", "add", a=1, b=2), call("E2", "shout", text="fail"), call("E3", "shout", text="#E2"))


@pytest.mark.parametrize(
    ("replans", "plans"), [(0, [GOOD]), (1, [GOOD]), (2, [BROKEN, GOOD]), (2, [BROKEN, BROKEN, GOOD])]
)
async def test_it_costs_two_calls_and_one_for_each_new_plan(replans: int, plans: list[Any]) -> None:
    agent, model = planner(*plans, "Done.", max_replans=replans)
    result = await agent.run("Do it.")
    assert result.output == "Done."
    assert len(model.requests) == result.usage.model_calls == 2 + (len(plans) - 1)


def test_the_planner_is_told_the_tools_with_the_schemas_of_their_arguments_and_the_solver_the_results() -> None:
    steps = plan(call("E1", "add", a=1, b=2), call("E2", "add", a="#E1.sum", b="{{E1.sum}}"))
    agent, model = planner(steps, "Six.", plan_instructions="Plan it.", solve_instructions="Solve it.")
    assert agent.run_sync("What is {it}?").output == "Six."
    assert told(model.requests[0]).startswith("Be exact.\n\nPlan it.\n\nThe tools:\n[")
    assert '"name": "add",\n    "description": "Add two numbers."' in told(model.requests[0])
    assert '"required": [\n        "a",\n        "b"\n      ]' in told(model.requests[0])
    assert told(model.requests[1]) == "Be exact.\n\nSolve it."
    assert heard(model) == [
        "<task>\nWhat is {it}?\n</task>",
        "<task>\nWhat is {it}?\n</task>\n\n<results>\n"
        'E1 = add {"a":1,"b":2}: for E1\n{"sum":3}\n\n'
        'E2 = add {"a":"#E1.sum","b":"{{E1.sum}}"}: for E2\n{"sum":6}\n</results>',
    ]


@pytest.mark.parametrize(
    ("bad", "error", "said"),
    [
        (plan(), EmptyPlanError, "has no step"),
        (plan(*[call(f"E{i}", "shout", text="a") for i in range(3)]), PlanTooLongError, "3 steps, and 2 are allowed"),
        (plan(call("a", "shout", text="{{b}}"), call("b", "shout", text="${a}")), CyclicPlanError, "'a' -> 'b' -> 'a'"),
        (plan(call("E1", "shout", text="#E7")), PlanStepError, "#E7 names no call"),
        (plan(call("E1", "whisper", text="a")), PlanStepError, "there is no tool 'whisper'"),
        (plan(call("E1", "shout", text="a"), call("E1", "shout", text="b")), PlanStepError, "have the id 'E1'"),
        (plan(call("E1", "add", a=1, b="two")), PlanStepError, "b: Input should be a valid integer"),
    ],
    ids=["empty", "long", "cyclic", "reference", "tool", "id", "arguments"],
)
def test_a_plan_that_cannot_be_carried_out_goes_back_once_and_is_then_an_error(
    bad: Any, error: type[Any], said: str
) -> None:
    agent, model = planner(bad, GOOD, "Done.", max_steps=2)
    result = agent.run_sync("Do it.")
    assert result.output == "Done."
    assert said in heard(model)[1]
    assert "<cannot_be_carried_out>" in heard(model)[1]
    assert len(model.requests) == 3

    agent, model = planner(bad, bad, max_steps=2)
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Do it.")
    cause: Any = caught.value.__cause__
    assert isinstance(cause, error)
    assert said in str(cause)
    assert [step.id for step in cause.plan.steps] == [step["id"] for step in bad["steps"]]
    assert cause.finished.results == []
    assert not [key for key in caught.value.finished if "@tools" in key], "nothing of it was carried out"


def test_an_error_in_a_later_plan_has_what_the_earlier_ones_came_to() -> None:
    agent, _ = planner(BROKEN, plan(), plan(), max_replans=1)
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Do it.")
    assert isinstance(caught.value.__cause__, EmptyPlanError)
    work = caught.value.__cause__.finished
    assert isinstance(work, Work)
    assert [(result.id, result.outcome) for result in work.results] == [
        ("E1", "ok"),
        ("E2", "error"),
        ("E3", "skipped"),
    ]


async def test_a_new_plan_sees_the_results_so_far_and_may_refer_to_those_that_are_there() -> None:
    again = plan(call("E4", "add", a="#E1.sum", b=1), call("E2", "shout", text="louder"))
    agent, model = planner(BROKEN, again, "Done.", max_replans=1)
    assert (await agent.run("Do it.")).output == "Done."
    assert "<results_so_far>" in heard(model)[1]
    assert "error: ValueError: no voice" in heard(model)[1]
    assert heard(model)[2].endswith(
        'E4 = add {"a":"#E1.sum","b":1}: for E4\n{"sum":4}\n\nE2 = shout {"text":"louder"}: for E2\nLOUDER\n</results>'
    )
    refers = plan(call("E5", "shout", text="#E2"))
    agent, model = planner(BROKEN, refers, GOOD, "Done.", max_replans=1)
    await agent.run("Do it.")
    complaint = heard(model)[2].partition("<cannot_be_carried_out>")[2]
    assert "#E2 names no call of this batch, which has 'E5' and 'E1'" in complaint, (
        "the planner hears it, not the solver"
    )


@pytest.mark.parametrize("stream_plan", [False, True])
def test_a_call_may_have_any_name_and_be_referred_to_by_it_from_before_and_behind(stream_plan: bool) -> None:
    steps = [
        call("sum of both", "shout", text="{{total}}"),
        call("early", "shout", text="#late"),
        call("late", "shout", text="#tag and #late"),
        call("total", "shout", text="x"),
        call("loud", "shout", text="#early-{{sum of both}}"),
    ]
    steps[2]["arguments"]["text"] = "a #tag"
    agent, _ = planner(plan(*steps), "Done.", stream_plan=stream_plan)
    result = agent.run_sync("Do it.")
    record = result.node("plan" if stream_plan else "tools")[-1]
    assert [came.value for came in record.output.work.results][:4] == ["X", "A #TAG", "A #TAG", "X"]


def test_without_new_plans_left_the_solver_is_told_what_failed() -> None:
    agent, model = planner(BROKEN, "Only 3.")
    assert agent.run_sync("Do it.").output == "Only 3."
    assert "E2 = shout" in heard(model)[1]
    assert "error: ValueError: no voice" in heard(model)[1]
    assert "skipped: not called" in heard(model)[1]


def test_an_answer_that_is_no_plan_goes_back_once_and_is_then_an_error() -> None:
    agent, model = planner("First shout.", GOOD, "Done.")
    assert agent.run_sync("Do it.").output == "Done."
    assert len(model.requests) == 3
    agent, _ = planner("First shout.", "Then add.")
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Do it.")
    assert isinstance(caught.value.__cause__, OutputValidationError)
    assert caught.value.__cause__.raw == "Then add."


async def test_a_call_starts_as_soon_as_what_it_needs_is_there_and_waits_for_nobody_else() -> None:
    """The slow call ends only after a call that stands two levels deeper has ended."""
    deep = anyio.Event()

    @tool(reads=())
    async def slow() -> str:
        """Wait for the deepest one."""
        with anyio.fail_after(20):
            await deep.wait()
        return "slow"

    @tool(reads=())
    async def step(text: str) -> str:
        """Go a level deeper."""
        if text == "ab":
            deep.set()
        return f"{text}b"

    steps = [call("E1", "slow"), call("E2", "step", text="a"), call("E3", "step", text="#E2")]
    agent, _ = planner(plan(*steps), "Done.", tools=[slow, step])
    assert (await agent.run("Do it.", limit=2)).output == "Done."


async def test_calls_keep_to_the_runs_limit() -> None:
    now, most = 0, 0

    @tool(reads=())
    async def work(number: int) -> int:
        """Count who is at work."""
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        now -= 1
        return number

    agent, _ = planner(plan(*[call(f"E{i}", "work", number=i) for i in range(6)]), "Done.", tools=[work])
    await agent.run("Do it.", limit=3)
    assert most == 3


async def test_permissions_hold_for_planned_calls() -> None:
    model = ScriptedModel([GOOD, "I may not."])
    rules = Permissions(Rule("deny", "shout"))
    agent = Agent("planner", model, tools=[shout], architecture=ReWOO(), permissions=rules)
    assert (await agent.run("Do it.")).output == "I may not."
    assert "denied: not permitted" in heard(model)[1]


def test_what_cannot_be_meant_is_refused() -> None:
    @tool(reads=(), ends_turn=True)
    async def submit(text: str) -> str:
        """Hand it in."""
        return text

    for settings, complaint in (
        ({"tools": ()}, "has no tools"),
        ({"tools": [submit]}, "'submit' would end the turn"),
        ({"max_steps": 0}, "max_steps=0"),
        ({"max_replans": -1}, "max_replans=-1"),
    ):
        with pytest.raises(DefinitionError, match=complaint):
            _ = planner(**settings)[0].graph


def test_the_drawing_shows_the_planner_the_calls_and_the_solver() -> None:
    drawn = planner(max_replans=1)[0].to_mermaid()
    for label in ("plan", "planner", "check", "tools", "solve", "model", "prompt", "answer"):
        assert f'"{label}' in drawn
    for label in ("cannot be carried out", "plan anew", "planned", "done"):
        assert label in drawn
    assert "plan anew" not in planner()[0].to_mermaid()
