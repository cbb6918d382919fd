"""Claims about PlanAndExecute: what it costs, when steps are done and what they see, and what failing steps come to."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from loomgraph import END, START, Agent, NodeFailedError, Workflow, tool
from loomgraph.architectures import PlanAndExecute, ReAct
from loomgraph.errors import (
    BudgetExceededError,
    CyclicPlanError,
    DefinitionError,
    EmptyPlanError,
    OutputValidationError,
    PlanStepError,
    PlanTooLongError,
)
from loomgraph.graph.budget import Budget
from loomgraph.models import Image, ModelRequest, ScriptedModel, Text, UserMessage
from loomgraph.store.memory import MemoryStore
from tests.architectures.voices import Meeting, asked, heard, replying, told

pytestmark = pytest.mark.anyio


def step(id: str, *needs: str, task: str = "") -> dict[str, Any]:
    return {"id": id, "task": task or f"do {id}", "needs": list(needs)}


def plan(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"steps": list(steps)}


def part_of(request: ModelRequest) -> str:
    return asked(request).partition("<your_step>\n")[2].partition("\n</your_step>")[0]


def doing(request: ModelRequest) -> Any:
    part = part_of(request)
    return OSError(f"cannot {part}") if part.startswith("break") else f"{part}: done"


def doer(*plans: Any, worker: Any = None, answer: Any = "Done.", **settings: Any) -> tuple[Any, Any, Any, Any]:
    planner, synthesizer = ScriptedModel(plans), ScriptedModel([answer])
    model = replying(doing) if worker is None else worker
    way = PlanAndExecute(planner_model=planner, synthesizer_model=synthesizer, **settings)
    return Agent("doer", model, instructions="Be quick.", architecture=way), planner, model, synthesizer


DIAMOND = plan(step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"))
BROKEN = plan(step("a"), step("b", task="break it"), step("c", "b"))


@pytest.mark.parametrize(
    ("plans", "steps"), [([plan(step("a"))], 1), ([DIAMOND], 4), ([BROKEN, plan(step("e", "a"))], 3)]
)
async def test_it_costs_a_plan_the_steps_the_new_plans_and_an_answer(plans: list[Any], steps: int) -> None:
    agent, planner, worker, synthesizer = doer(*plans)
    result = await agent.run("Do it.")
    assert result.output == "Done."
    assert (len(planner.requests), len(worker.requests), len(synthesizer.requests)) == (len(plans), steps, 1)
    failed = 1 if plans[0] is BROKEN else 0  # a call that raised was not answered, so it is not counted
    assert result.usage.model_calls == len(plans) + steps + 1 - failed


def test_a_step_sees_the_task_itself_and_what_it_needs_and_nothing_else() -> None:
    agent, planner, worker, synthesizer = doer(DIAMOND, step_instructions="Do your part.")
    agent.run_sync("Do {it}.")
    seen = {part_of(request): asked(request) for request in worker.requests}
    assert seen["do a"] == "<task>\nDo {it}.\n</task>\n\n<your_step>\ndo a\n</your_step>"
    assert "<results>\na: do a\ndo a: done\n</results>" in seen["do c"]
    assert "<results>\nb: do b\ndo b: done\n\nc: do c\ndo c: done\n</results>" in seen["do d"]
    assert {told(request) for request in worker.requests} == {"Be quick.\n\nDo your part."}
    assert told(planner.requests[0]).startswith("Be quick.\n\nPlan the task as steps")
    assert heard(synthesizer)[0].count(": done") == 4


def test_the_planner_is_told_what_tools_a_worker_has() -> None:
    @tool(reads=())
    async def measure(city: str) -> int:
        """Measure a city."""
        return len(city)

    agent, planner, *_ = doer(plan(step("a")))
    agent.replace(tools=[measure]).run_sync("Do it.")
    assert told(planner.requests[0]).endswith("A worker has these tools:\n- measure: Measure a city.")


def test_a_picture_in_the_task_reaches_the_planner_the_steps_and_the_synthesizer() -> None:
    image = Image(url="https://example.org/{a}.png")
    agent, *models = doer(plan(step("a")))
    task = UserMessage(parts=(Text(text="What is this?"), image))
    assert agent.replace(input=UserMessage).run_sync(task).output == "Done."
    for model in models:
        assert image in model.requests[0].messages[-1].parts


@pytest.mark.parametrize(
    ("bad", "error", "said"),
    [
        (plan(), EmptyPlanError, "has no step"),
        (plan(*[step(f"{i}") for i in range(5)]), PlanTooLongError, "5 steps, and 4 are allowed"),
        (plan(step("a", "c"), step("b", "a"), step("c", "b")), CyclicPlanError, "wait for each other"),
        (plan(step("a", "a")), CyclicPlanError, "'a' -> 'a'"),
        (plan(step("a", "z")), PlanStepError, "'z', which is not there; there are 'a'"),
        (plan(step("a"), step("a")), PlanStepError, "two steps have this id"),
    ],
    ids=["empty", "long", "cyclic", "itself", "unknown", "id"],
)
def test_a_plan_that_cannot_be_carried_out_goes_back_once_and_is_then_an_error(
    bad: Any, error: type[Any], said: str
) -> None:
    agent, planner, *_ = doer(bad, plan(step("a")), max_steps=4)
    assert agent.run_sync("Do it.").output == "Done."
    assert said in heard(planner)[1]
    agent, planner, worker, _ = doer(bad, bad, max_steps=4)
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Do it.")
    assert isinstance(caught.value.__cause__, error)
    assert said in str(caught.value.__cause__)
    assert worker.requests == []


async def test_after_a_failed_step_the_others_are_finished_and_a_new_plan_sees_all_of_it() -> None:
    agent, planner, worker, synthesizer = doer(BROKEN, plan(step("b", "a", task="mend it")))
    result = await agent.run("Do it.", store=MemoryStore())
    assert result.output == "Done."
    assert sorted(part_of(request) for request in worker.requests) == ["break it", "do a", "mend it"]
    assert "b: break it\nfailed: OSError: cannot break it" in heard(planner)[1]
    assert "c: do c\nfailed: not done, for it needs the result of 'b', which failed" in heard(planner)[1]
    assert "a: do a\ndo a: done" in heard(synthesizer)[0]
    needs_failed = plan(step("e", "b"))
    agent, planner, *_ = doer(BROKEN, needs_failed, plan(step("e")))
    await agent.run("Do it.")
    assert "it needs 'b', which failed" in heard(planner)[2]


async def test_a_step_that_fails_in_the_last_plan_ends_the_run_and_is_tried_again_by_a_resume() -> None:
    broken = True

    def sometimes(request: ModelRequest) -> Any:
        return OSError("no line") if broken and part_of(request) == "do b" else f"{part_of(request)}: done"

    store = MemoryStore()
    agent, planner, worker, _ = doer(plan(step("a"), step("b", "a")), worker=replying(sometimes), max_replans=0)
    with pytest.raises(NodeFailedError, match="no line") as caught:
        await agent.run("Do it.", store=store, run_id="r")
    assert caught.value.finished["execute/@plan/note a"].text == "do a: done"
    broken = False
    result = await agent.resume("r", store=store)
    assert result.output == "Done."
    assert [part_of(request) for request in worker.requests] == ["do a", "do b", "do b"]
    assert len(planner.requests) == 1


async def test_a_spent_budget_in_a_step_is_a_failure_of_that_step() -> None:
    agent, *_ = doer(plan(step("a"), step("b", "a")), max_replans=0)
    with pytest.raises(NodeFailedError) as caught:
        await agent.run("Do it.", budget=Budget(model_calls=2))
    error: BaseException | None = caught.value
    while error is not None and not isinstance(error, BudgetExceededError):
        error = error.__cause__
    assert isinstance(error, BudgetExceededError)


def test_an_answer_that_is_no_plan_goes_back_once_and_is_then_an_error() -> None:
    agent, *_ = doer("1. do it", "2. do it")
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Do it.")
    assert isinstance(caught.value.__cause__, OutputValidationError)
    assert caught.value.__cause__.raw == "2. do it"


async def test_a_step_starts_as_soon_as_what_it_needs_is_there_and_waits_for_nobody_else() -> None:
    """Step `slow` is answered only after `c`, which is two levels deeper, was asked."""
    deep = anyio.Event()

    class Slow:
        provider, name = "scripted", "slow"

        async def generate(self, request: ModelRequest) -> Any:
            if part_of(request) == "do c":
                deep.set()
            if part_of(request) == "do slow":
                with anyio.fail_after(20):
                    await deep.wait()
            return await replying(doing).generate(request)

    agent, *_ = doer(plan(step("slow"), step("a"), step("b", "a"), step("c", "b")), worker=Slow())
    assert (await agent.run("Do it.", limit=2)).output == "Done."


async def test_steps_run_at_the_same_time_under_the_runs_limit() -> None:
    for limit, size in ((None, 6), (2, 2)):
        meeting = Meeting(size)
        agent, *_ = doer(plan(*[step(f"{i}") for i in range(6)]), worker=meeting.of(replying(doing)))
        assert (await agent.run("Do it.", limit=limit)).output == "Done."
        assert meeting.most == size


def test_a_step_is_done_by_an_architecture_an_agent_or_a_graph() -> None:
    wf = Workflow("loud", input=str, output=list[str])

    @wf.node
    async def shout(text: str) -> list[str]:
        return [text.partition("<your_step>\n")[2].partition("\n<")[0].upper()]

    wf.chain(START, shout, END)
    for does, said in (
        (ReAct(max_turns=3), "do a: done"),
        (wf, '"DO A"'),
        (Agent("other", ScriptedModel(["by another"])), "by another"),
    ):
        agent, _, _, synthesizer = doer(plan(step("a")), step=does)
        agent.run_sync("Do it.")
        assert said in heard(synthesizer)[0]


def test_what_cannot_be_meant_is_refused() -> None:
    @tool(reads=())
    async def idle() -> None:
        """Do nothing."""

    numbers = Workflow("numbers", input=int, output=int)

    @numbers.node
    async def same(value: int) -> int:
        return value

    numbers.chain(START, same, END)
    with pytest.raises(DefinitionError, match="max_steps=0"):
        _ = doer(max_steps=0)[0].graph
    with pytest.raises(DefinitionError, match="it takes int"):
        _ = doer(step=numbers)[0].graph
    with pytest.raises(DefinitionError, match=r"nobody would call its tools \('idle'\)"):
        _ = doer(step=Agent("other", "echo"))[0].replace(tools=[idle]).graph


def test_the_drawing_shows_the_planner_the_nodes_of_a_step_and_the_synthesizer() -> None:
    drawn = doer()[0].to_mermaid()
    assert '"execute<br/>⁂ each step of the plan' in drawn
    assert drawn.count('"model"') == 3, "the planner's, the steps' and the synthesizer's"
    for label in ("plan", "planner", "check", "execute", "synthesize", "model", "prompt", "answer"):
        assert f'"{label}' in drawn
    for label in ("cannot be carried out", "plan anew", "planned", "done"):
        assert label in drawn


async def test_a_run_over_the_drawing_counts_the_nodes_of_all_steps_as_one() -> None:
    agent, *_ = doer(DIAMOND)
    drawn = agent.to_mermaid(await agent.run("Do it."))
    assert "execute<br/>⁂ each step of the plan<br/>graph step<br/>✓" in drawn
    assert drawn.count("model<br/>✓ 4 visits") == 1
    assert "not run" not in drawn


def test_in_a_shared_conversation_a_step_sees_all_that_was_there_when_it_began_whoever_was_faster() -> None:
    chain = plan(step("a"), step("b", "a"), step("x"), step("c", "b"))
    agent, _, worker, _ = doer(chain, conversation="shared")
    agent.run_sync("Do it.")
    seen = {part_of(request): asked(request) for request in worker.requests}
    assert "<results>\na: do a\ndo a: done\n\nb: do b\ndo b: done\n</results>" in seen["do c"]
    assert "do x" not in seen["do c"], "it needs nothing of it, so it may or may not be there yet"

    again = plan(step("e"), step("f", "e"))
    agent, _, worker, _ = doer(BROKEN, again, conversation="shared")
    agent.run_sync("Do it.")
    seen = {part_of(request): asked(request) for request in worker.requests}
    assert "<results>\na: do a\ndo a: done\n</results>" in seen["do e"], "of an earlier plan"
    assert "<results>\na: do a\ndo a: done\n\ne: do e\ndo e: done\n</results>" in seen["do f"]


@pytest.mark.parametrize("error", [TypeError("a typo"), KeyError("gone"), AssertionError("no")])
async def test_a_mistake_in_code_is_not_planned_around_and_costs_no_call_of_the_planner(error: Exception) -> None:
    broken = True

    def wrong(request: ModelRequest) -> Any:
        return error if broken and part_of(request) == "do b" else f"{part_of(request)}: done"

    store = MemoryStore()
    agent, planner, worker, _ = doer(plan(step("a"), step("b", "a")), worker=replying(wrong), max_replans=5)
    with pytest.raises(NodeFailedError) as caught:
        await agent.run("Do it.", store=store, run_id="r")
    assert caught.value.finished["execute#0/@plan/note a"].text == "do a: done"
    assert len(planner.requests) == 1
    broken = False
    assert (await agent.resume("r", store=store)).output == "Done."
    assert [part_of(request) for request in worker.requests] == ["do a", "do b", "do b"]


@pytest.mark.parametrize(("replans_on", "plans"), [((KeyError,), 2), ((), 1)])
async def test_which_failures_are_planned_around_can_be_said(replans_on: Any, plans: int) -> None:
    worker = replying(lambda request: KeyError("x") if part_of(request) == "break it" else "done")
    agent, planner, *_ = doer(BROKEN, plan(step("e", "a")), worker=worker, replans_on=replans_on)
    if plans == 2:
        assert (await agent.run("Do it.")).output == "Done."
    else:
        with pytest.raises(NodeFailedError):
            await agent.run("Do it.")
    assert len(planner.requests) == plans
