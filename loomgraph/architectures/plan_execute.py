"""PlanAndExecute: a task is planned as steps that need each other's results, each done by an agent as soon as it can.

Wang et al. 2023, "Plan-and-Solve Prompting", arXiv:2305.04091, with an agent for each step as in LangChain's
plan-and-execute agents. Differs: the plan is a typed graph of steps and not a list, so what is independent runs at the
same time; a step sees the results it needs and no others; and a new plan is made when a step failed, not after each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import BaseModel, Field

from loomgraph.architectures.roles import (
    Correctable,
    Part,
    beginning,
    both,
    noted,
    role,
    sections,
    shown,
    told_of,
    told_part,
)
from loomgraph.architectures.workers import TOLERATED, Member, Sharing, refuse_tools, shares
from loomgraph.errors import (
    CyclicPlanError,
    DefinitionError,
    EmptyPlanError,
    Failure,
    PlanError,
    PlanStepError,
    PlanTooLongError,
    names,
)
from loomgraph.graph.context import Context
from loomgraph.graph.definition import Runs
from loomgraph.graph.refs import END, START, Embeddable
from loomgraph.graph.signature import Param, Signature
from loomgraph.models.messages import UserMessage
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent, Architecture
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.workflow import Workflow

__all__ = ["PLAN", "REPLANS_ON", "STEP", "SYNTHESIZE", "PlanAndExecute", "Step", "StepPlan", "StepResult", "Steps"]

PLAN = (
    "Plan the task as steps, each for a worker who sees the task, that step, and the results of the steps it needs, "
    "and nothing else. Give each step an id of its own and name in `needs` the steps whose results it needs; steps "
    "that do not need each other are done at the same time. Do not plan a step that only puts results together: that "
    "is done at the end anyway."
)
STEP = "Do your step and nothing else. Others do the other steps; answer with what they need to know of yours."
SYNTHESIZE = "All steps are done. Answer the task from their results."


REPLANS_ON = TOLERATED
"""The failures of a step for which a new plan is made. Any other fails the run: a mistake in code, a spent budget."""


class Step(BaseModel):
    """One step of a plan, and the ids of the steps whose results it needs."""

    id: str
    task: str
    needs: list[str] = []


class StepPlan(BaseModel):
    """The steps of a plan."""

    steps: list[Step]


class StepResult(BaseModel):
    """What a step came to; `text` says why there is nothing if it `failed`."""

    id: str
    task: str
    text: str
    failed: bool = False


class Steps(Correctable):
    """The task, the plans made for it, what their steps came to, and what was wrong with the last plan."""

    task: UserMessage
    plans: list[StepPlan] = Field(default_factory=list[StepPlan])
    results: list[StepResult] = Field(default_factory=list[StepResult])


class Planned(BaseModel):
    """Steps whose last plan can be carried out."""

    steps: Steps


class Done(BaseModel):
    """Steps whose plans were carried out."""

    steps: Steps


class Brief(BaseModel):
    """What the worker of a step is given."""

    task: UserMessage
    step: Step
    needed: list[StepResult]


@dataclass(frozen=True)
class PlanAndExecute:
    """plan -> the plan's steps, each as soon as what it needs is there -> synthesize.

    `step` does a step: an architecture worked by the agent with its model and tools, or an agent or graph that takes
    text. A plan that is empty, has more than `max_steps` steps, goes in a circle or needs a step that is not there goes
    back to the planner as often as a bad answer does (the agent's `repairs`), before any of it is done; then it is a
    PlanError. When a step fails for one of `replans_on`, those that need it are left out, the others are finished, and
    a new plan is made, which sees what there is already, at most `max_replans` times. After that, or for any other
    reason, a failed step ends the run, with what was finished; resumed, the run goes on with that step.

    A step sees the task and the results that it `needs`; with `conversation="shared"` also those that they needed, all
    the way back, and what earlier plans came to. What it does not need may or may not be done by then: it is not shown.

    Model calls: 1, those of the steps, 1 for each new plan, 1. Stops when the plan is done.
    """

    step: Part = "react"
    max_steps: int = 8
    max_replans: int = 1
    replans_on: tuple[type[Exception], ...] = REPLANS_ON
    conversation: Sharing = "fresh"
    planner_model: Model | str | None = None
    synthesizer_model: Model | str | None = None
    plan_instructions: str = PLAN
    step_instructions: str = STEP
    synthesize_instructions: str = SYNTHESIZE
    name: str = "plan-and-execute"

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        """The graph. Raises DefinitionError for what leaves nothing to do."""
        if self.max_steps < 1 or self.max_replans < 0:
            raise DefinitionError(
                f"agent '{agent.name}': PlanAndExecute(max_steps={self.max_steps}, max_replans={self.max_replans}) "
                f"leaves nothing to do; max_steps is at least 1 and max_replans at least 0."
            )
        worker = self._worker(agent)
        planner = role(
            agent,
            "planner",
            both(agent.instructions, f"{self.plan_instructions}{_tools_of(agent)}"),
            input=Steps,
            output=StepPlan,
            prompt=_to_plan,
            model=self.planner_model,
        )
        synthesizer = role(
            agent,
            "synthesizer",
            both(agent.instructions, self.synthesize_instructions),
            input=Done,
            output=agent.output,
            prompt=_to_synthesize,
            model=self.synthesizer_model,
        )
        wf: Workflow[Any, Any] = Workflow(agent.name, input=told_of(agent), output=agent.output, doc=agent.description)
        begin = wf.node(beginning(agent, Steps), name="begin")
        check = _checker(self.max_steps, agent.repairs)
        plan = wf.node(noted("plan", planner, check, takes=Steps, gives=Planned | Steps, answer=StepPlan))
        shared = shares(agent.name, self.conversation)
        execute = wf.node(_Execute(worker, self.max_replans, self.replans_on, shared=shared), name="execute")
        synthesize = wf.node(synthesizer, name="synthesize")
        most = (1 + self.max_replans) * (1 + agent.repairs)
        wf.chain(START, begin, plan)
        wf.edge(plan, plan, when=Steps, label="cannot be carried out", cap=most)
        wf.edge(plan, execute, when=Planned, label="planned")
        if self.max_replans:
            wf.edge(execute, plan, when=Steps, label="plan anew", cap=most)
            wf.edge(execute, synthesize, when=Done, label="done")
        else:
            wf.edge(execute, synthesize)
        wf.edge(synthesize, END)
        return wf

    def _worker(self, agent: Agent[Any, Any]) -> Graph[Any, Any]:
        """What does a step, from its Brief."""
        own = isinstance(self.step, (str, Architecture))
        if own:
            told = both(agent.instructions, self.step_instructions)
            body = told_part(
                self.step, agent.replace(instructions=told, output=str), "step", takes=Brief, prompt=_to_do
            )
        else:
            body = told_part(self.step, agent, "step", takes=Brief, prompt=_to_do)
            refuse_tools(agent, self.name, {"step": Member("step", body, "", own)})
        made: Any = body
        graph: Graph[Any, Any] = made.graph if isinstance(body, Agent) else made
        return graph


class _Execute:
    """The body of the node that carries a plan out: each step nodes of a graph that is made from the plan."""

    def __init__(
        self, worker: Graph[Any, Any], replans: int, replans_on: tuple[type[Exception], ...], *, shared: bool
    ) -> None:
        self.worker, self.replans, self.replans_on, self.shared = worker, replans, replans_on, shared
        self.__name__ = "execute"
        gives: Any = Done | Steps if replans else Done
        self.__loomgraph_signature__ = Signature((Param("planned", Planned, required=True),), gives, "async", "ctx")
        compiled: Any = worker.__loomgraph_embed__()
        self.__loomgraph_runs__ = Runs(compiled, "plan", "step", "each step of the plan")

    async def __call__(self, planned: Planned, ctx: Context) -> Done | Steps:
        """The steps with their results: done, or to be planned anew."""
        steps = planned.steps
        forgiven = self.replans_on if len(steps.plans) <= self.replans else ()
        graph = _graph_of(steps, self.worker, forgiven, shared=self.shared)
        results: list[StepResult] = await ctx.run(graph, planned, key="plan")
        done = steps.model_copy(update={"results": [*steps.results, *results]})
        return done if any(result.failed for result in results) else Done(steps=done)

    def __loomgraph_fingerprint__(self) -> str:
        """What does a step and what it sees, and whether a plan can be made anew."""
        return f"{self.worker.fingerprint} {self.replans > 0}{' shared' if self.shared else ''}"


class _Briefing:
    """The body that puts together what a step's worker is given, or says that it cannot be done."""

    def __init__(self, task: UserMessage, step: Step, had: Sequence[StepResult], *, waits: bool) -> None:
        self.task, self.step, self.had = task, step, had
        self.__name__ = "brief"
        param = Param("results", list[StepResult], required=True) if waits else Param("planned", Planned, required=True)
        self.__loomgraph_signature__ = Signature((param,), Brief | StepResult, "async")

    async def __call__(self, given: Planned | list[StepResult]) -> Brief | StepResult:
        """The brief; the result of a step that needs one that failed."""
        needed = [*self.had, *(given if isinstance(given, list) else [])]
        missing = [result.id for result in needed if result.failed]
        if missing:
            why = f"not done, for it needs the result of {names(missing)}, which failed"
            return StepResult(id=self.step.id, task=self.step.task, text=why, failed=True)
        return Brief(task=self.task, step=self.step, needed=needed)

    def __loomgraph_fingerprint__(self) -> str:
        """The step."""
        return self.step.model_dump_json()


def _graph_of(
    steps: Steps, worker: Embeddable, forgiven: tuple[type[Exception], ...], *, shared: bool
) -> Graph[Planned, list[StepResult]]:
    """The graph of the last plan. A step that fails for one of `forgiven` has a result that says so. `shared`: a step
    sees what is behind the results that it needs, too."""
    wf = Workflow("plan", input=Planned, output=list[StepResult])
    plan = steps.plans[-1].steps
    had = {result.id: result for result in steps.results}
    noted_by: dict[str, Any] = {}
    briefs: dict[str, Any] = {}
    own = {step.id: step for step in plan}
    for step in plan:
        before = [had[need] for need in dict.fromkeys(step.needs) if need not in own]
        if shared:
            before = [result for id, result in had.items() if id not in own and not result.failed]
        waits = any(need in own for need in step.needs)
        briefs[step.id] = brief = wf.node(_Briefing(steps.task, step, before, waits=waits), name=f"brief {step.id}")
        work = wf.node(worker, name=f"step {step.id}")
        note = wf.node(_noter(step.id, step.task), name=f"note {step.id}")
        wf.edge(brief, work, when=Brief, label="can be done")
        wf.edge(brief, note, when=StepResult, label="cannot be done")
        wf.edge(work, note)
        if forgiven:
            wf.on_error(work, note, *forgiven)
        noted_by[step.id] = note
    for step in plan:
        direct = [need for need in dict.fromkeys(step.needs) if need in own]
        waits_for = [noted_by[need] for need in (_behind(direct, own) if shared else direct)]
        if waits_for:
            wf.join(waits_for, into=briefs[step.id])
        else:
            wf.edge(START, briefs[step.id])
    results = wf.node(_collect, name="results")
    wf.join(list(noted_by.values()), into=results)
    wf.edge(results, END)
    return wf.compile()


def _behind(needs: Sequence[str], plan: Mapping[str, Step]) -> list[str]:
    """These steps of the plan and those that they need, all the way back, in the order of the plan."""
    found: set[str] = set()
    left = list(needs)
    while left:
        need = left.pop()
        if need in plan and need not in found:
            found.add(need)
            left += plan[need].needs
    return [id for id in plan if id in found]


def _noter(id: str, task: str) -> Callable[..., Any]:
    async def note(came: Any) -> StepResult:
        match came:
            case StepResult():
                return came
            case Failure():
                return StepResult(id=id, task=task, text=f"{came.error}: {came.message}", failed=True)
            case _:
                return StepResult(id=id, task=task, text=shown(came))

    return note


async def _collect(results: list[StepResult]) -> list[StepResult]:
    return results


def _checker(max_steps: int, repairs: int) -> Callable[..., Any]:
    async def check(given: Steps, answer: StepPlan) -> Planned | Steps:
        try:
            _check(answer, given, max_steps)
        except PlanError as error:
            return given.sent_back(error, repairs)
        return Planned(steps=given.accepted(plans=[*given.plans, answer]))

    return check


def _check(plan: StepPlan, given: Steps, max_steps: int) -> None:
    """Raise what is wrong with a plan."""
    if not plan.steps:
        raise EmptyPlanError(plan, given)
    if len(plan.steps) > max_steps:
        raise PlanTooLongError(len(plan.steps), max_steps, plan, given)
    ids = [step.id for step in plan.steps]
    had = {result.id: result for result in given.results}
    for number, step in enumerate(plan.steps):
        if step.id in ids[:number]:
            raise PlanStepError(step.id, "two steps have this id", plan, given)
        _check_needs(step, ids, had, plan, given)
    try:
        TopologicalSorter({step.id: [need for need in step.needs if need in ids] for step in plan.steps}).prepare()
    except CycleError as error:
        raise CyclicPlanError(error.args[1][:-1], plan, given) from None


def _check_needs(step: Step, ids: Collection[str], had: Mapping[str, StepResult], plan: StepPlan, given: Steps) -> None:
    for need in step.needs:
        if need in ids:
            continue
        if need not in had:
            known = names([*ids, *(id for id in had if id not in ids)])
            raise PlanStepError(step.id, f"it needs '{need}', which is not there; there are {known}", plan, given)
        if had[need].failed:
            raise PlanStepError(step.id, f"it needs '{need}', which failed", plan, given)


def _tools_of(agent: Agent[Any, Any]) -> str:
    if not agent.tools:
        return ""
    lines = "\n".join(f"- {tool.name}: {tool.description}" for tool in agent.tools)
    return f"\n\nA worker has these tools:\n{lines}"


def _to_plan(steps: Steps) -> UserMessage:
    return sections(task=steps.task, results_so_far=_shown(steps.results), cannot_be_carried_out=steps.complaint)


def _to_do(brief: Brief) -> UserMessage:
    return sections(task=brief.task, results=_shown(brief.needed), your_step=brief.step.task)


def _to_synthesize(done: Done) -> UserMessage:
    return sections(task=done.steps.task, results=_shown(done.steps.results))


def _shown(results: Sequence[StepResult]) -> str:
    return "\n\n".join(
        f"{result.id}: {result.task}\n{'failed: ' if result.failed else ''}{result.text}" for result in results
    )
