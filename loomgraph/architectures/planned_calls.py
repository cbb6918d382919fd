"""Plans of tool calls: the values that travel, what is wrong with a plan, and what models are shown. Calls nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field
from pydantic_core import to_json

from loomgraph.architectures.roles import Correctable, sections
from loomgraph.errors import (
    CyclicPlanError,
    EmptyPlanError,
    PlanStepError,
    PlanTooLongError,
    ToolCycleError,
    ToolInputError,
)
from loomgraph.models.messages import UserMessage
from loomgraph.nodes.conversation import Conversation
from loomgraph.tools.calls import ToolCall, ToolResult
from loomgraph.tools.ordering import OrderedCall, order_calls
from loomgraph.tools.references import may_refer
from loomgraph.tools.tool import Tool

__all__ = [
    "Evidence",
    "Plan",
    "Planned",
    "PlannedCall",
    "Underway",
    "Work",
    "calls_of",
    "check_plan",
    "earlier",
    "said_in",
    "settled",
    "to_plan",
    "to_solve",
]


class PlannedCall(BaseModel):
    """One call of a plan: what it is for, and its arguments, in which #E1 stands for the result of E1."""

    id: str
    why: str = ""
    tool: str
    arguments: dict[str, Any] = {}


class Plan(BaseModel):
    """The calls of a plan."""

    steps: list[PlannedCall]


class Work(Correctable):
    """The task, the plans made for it, what their calls came to, and what was wrong with the last plan."""

    task: UserMessage
    plans: list[Plan] = Field(default_factory=list[Plan])
    results: list[ToolResult] = Field(default_factory=list[ToolResult])


class Underway(Work):
    """Work whose last plan is carried out while it is made.

    `begun` are the first calls of a plan whose rest was wrong, `came` is what they came to. They are part of the next
    plan, as they are.
    """

    begun: list[PlannedCall] = Field(default_factory=list[PlannedCall])
    came: list[ToolResult] = Field(default_factory=list[ToolResult])


class Planned(BaseModel):
    """Work whose last plan can be carried out."""

    work: Work


class Evidence(BaseModel):
    """Work whose plans were carried out."""

    work: Work


def check_plan(plan: Plan, work: Work, tools: Mapping[str, Tool], max_steps: int, begun: int = 0) -> list[OrderedCall]:
    """The calls of a plan in their order; raises the PlanError of what is wrong with it.

    `begun` is how many of its calls are carried out already.
    """
    if not plan.steps:
        raise EmptyPlanError(plan, work)
    if len(plan.steps) > max_steps:
        raise PlanTooLongError(len(plan.steps), max_steps, plan, work, begun)
    calls = calls_of(plan.steps)
    had = [result.id for result in earlier(work, {call.id for call in calls})]
    ordered = order_calls(calls, tools, "plan", had)
    for placed in ordered:
        if isinstance(placed.problem, ToolCycleError):
            raise CyclicPlanError(placed.problem.cycle, plan, work, begun)
        problem = placed.problem or _unfit(placed, tools, had)
        if problem is not None:
            raise PlanStepError(placed.call.id, str(problem), plan, work, begun)
    return ordered


def settled(steps: Sequence[PlannedCall], tools: Mapping[str, Tool], max_steps: int) -> list[OrderedCall]:
    """The first calls of a plan that mean the same whatever follows, in their order.

    They refer to each other and to nothing else: what is not there yet may come, and what an earlier plan's call of
    that id came to is meant only if none comes. A later call changes nothing in the order of the earlier ones.
    """
    count = min(len(steps), max_steps)
    while count:
        ordered = order_calls(calls_of(steps[:count]), tools, "plan")
        ids = {step.id for step in steps[:count]}
        undecided = (
            placed.problem or _unfit(placed, tools, ()) or may_refer(placed.arguments, ids) for placed in ordered
        )
        bad = next((at for at, found in enumerate(undecided) if found), None)
        if bad is None:
            return ordered
        count = bad  # with fewer calls there, what is wrong with this one stays wrong
    return []


def _unfit(placed: OrderedCall, tools: Mapping[str, Tool], had: Collection[str]) -> ToolInputError | None:
    """What is wrong with arguments that refer to nothing, which can be said before they are used."""
    if placed.needs or had:
        return None
    try:
        tools[placed.call.name].validated(placed.arguments)
    except ToolInputError as error:
        return error
    return None


def calls_of(steps: Sequence[PlannedCall]) -> list[ToolCall]:
    """The tool calls that were planned."""
    return [ToolCall(id=step.id, name=step.tool, arguments=step.arguments) for step in steps]


def earlier(work: Work, ids: Collection[str]) -> list[ToolResult]:
    """The latest results of earlier plans that a plan with these ids may refer to."""
    latest = {result.id: result for result in work.results if result.ok and result.id not in ids}
    return list(latest.values())


def said_in(work: Work) -> Conversation:
    """What a tool is shown that shares the conversation: the task. A plan is made before anything came of it."""
    return Conversation(messages=[work.task])


def to_plan(work: Work) -> UserMessage:
    """What the planner is asked."""
    return sections(task=work.task, results_so_far=_shown(work), cannot_be_carried_out=work.complaint)


def to_solve(evidence: Evidence) -> UserMessage:
    """What the solver is asked."""
    return sections(task=evidence.work.task, results=_shown(evidence.work))


def _shown(work: Work) -> str:
    said: list[str] = []
    steps = [step for plan in work.plans for step in plan.steps]
    results = work.results
    if isinstance(work, Underway):
        steps, results = [*steps, *work.begun], [*results, *work.came]
    for step, result in zip(steps, results, strict=True):
        why = f": {step.why}" if step.why else ""
        outcome = result.content if result.ok else f"{result.outcome}: {result.content}"
        said.append(f"{step.id} = {step.tool} {to_json(step.arguments).decode()}{why}\n{outcome}")
    return "\n\n".join(said)
