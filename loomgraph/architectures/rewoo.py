"""ReWOO: all tool calls are planned at once, run as their references allow, and then read by a model that answers.

Xu et al. 2023, arXiv:2305.18323. Differs from the paper: a plan is a typed value and not text; steps that do not need
each other run at the same time, each as soon as what it needs is there, as in LLMCompiler (Kim et al. 2023,
arXiv:2312.04511); arguments keep their types; a plan whose calls failed may be made anew; and with `stream_plan` calls
begin while the plan is still being written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from loomgraph.architectures.planned_calls import (
    Evidence,
    Plan,
    Planned,
    PlannedCall,
    Underway,
    Work,
    calls_of,
    check_plan,
    earlier,
    said_in,
    to_plan,
    to_solve,
)
from loomgraph.architectures.roles import beginning, both, noted, role, told_of
from loomgraph.architectures.streamed_plan import StreamedPlan
from loomgraph.errors import DefinitionError, PlanError, names
from loomgraph.graph.context import Context
from loomgraph.graph.refs import END, START
from loomgraph.graph.signature import Param, Signature
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent
from loomgraph.runtime.workflow import Workflow
from loomgraph.tools.batch import Around, run_batch
from loomgraph.tools.tool import Tool, check_tools

__all__ = ["PLAN", "SOLVE", "Evidence", "Plan", "PlannedCall", "ReWOO", "Work"]

PLAN = (
    "Plan the tool calls that the task needs, all of them at once: you will not see their results. Give each an id of "
    "its own (E1, E2, ...) and say in `why` what it is for. Where an argument is the result of another call, write "
    "#E1 in its place, or #E1.items[0].name for a part of it; a call waits for those it names, and for no other. "
    "Another model will read the results and answer."
)
SOLVE = (
    "Answer the task from the results of the tool calls that were planned for it. Where a call failed, say what is "
    "missing rather than guess."
)


@dataclass(frozen=True)
class ReWOO:
    """plan -> the plan's calls, as their references allow -> solve.

    The planner is told the agent's tools with the schemas of their arguments. A plan that is empty, has more than
    `max_steps` calls, goes in a circle, or has a call that cannot be made as it is written goes back to the planner as
    often as a bad answer does (the agent's `repairs`), before any of it is carried out; then it is a PlanError. A call
    that fails leaves out what needs it; after that a new plan is made, at most `max_replans` times, which sees what
    there is already, and then the solver is told what failed. `planner_model` and `solver_model` are the agent's
    unless given.

    With `stream_plan` each call begins as soon as the planner has written it and its references are there, while the
    rest of the plan is still being written, as in LLMCompiler. What makes a plan bad is then known only after calls
    before it have begun: they are seen through, stay part of the plan, and the planner is asked for the rest.

    Model calls: 2, and 1 for each new plan. Stops when the solver has answered.
    """

    max_steps: int = 8
    max_replans: int = 0
    stream_plan: bool = False
    planner_model: Model | str | None = None
    solver_model: Model | str | None = None
    plan_instructions: str = PLAN
    solve_instructions: str = SOLVE
    name: str = "rewoo"

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        """The graph. Raises DefinitionError for an agent without tools, or with one that ends the turn."""
        tools = check_tools(agent.tools)
        self._refuse(agent, tools)
        known = to_json(
            [{"name": t.name, "description": t.description, "arguments": dict(t.parameters)} for t in tools.values()],
            indent=2,
        ).decode()
        planner = role(
            agent,
            "planner",
            both(agent.instructions, f"{self.plan_instructions}\n\nThe tools:\n{known}"),
            input=Underway if self.stream_plan else Work,
            output=Plan,
            prompt=to_plan,
            model=self.planner_model,
        )
        solver = role(
            agent,
            "solver",
            both(agent.instructions, self.solve_instructions),
            input=Evidence,
            output=agent.output,
            prompt=to_solve,
            model=self.solver_model,
        )
        takes: Any = Underway if self.stream_plan else Work
        wf: Workflow[Any, Any] = Workflow(agent.name, input=told_of(agent), output=agent.output, doc=agent.description)
        begin = wf.node(beginning(agent, takes), name="begin")
        most = (1 + self.max_replans) * (1 + agent.repairs)
        plan: Any
        calls: Any
        if self.stream_plan:
            plan = calls = wf.node(StreamedPlan(agent, planner, tools, self.max_steps, self.max_replans), name="plan")
            wf.edge(plan, plan, when=Underway, label="plan anew", cap=most)
        else:
            check = _checker(tools, self.max_steps, agent.repairs)
            plan = wf.node(noted("plan", planner, check, takes=Work, gives=Planned | Work, answer=Plan))
            calls = wf.node(_Calls(tools, agent.guard, self.max_replans, agent.at_once), name="tools")
            wf.edge(plan, plan, when=Work, label="cannot be carried out", cap=most)
            wf.edge(plan, calls, when=Planned, label="planned")
            if self.max_replans:
                wf.edge(calls, plan, when=Work, label="plan anew", cap=most)
        solve = wf.node(solver, name="solve")
        wf.chain(START, begin, plan)
        if self.max_replans or self.stream_plan:
            wf.edge(calls, solve, when=Evidence, label="done")
        else:
            wf.edge(calls, solve)
        wf.edge(solve, END)
        return wf

    def _refuse(self, agent: Agent[Any, Any], tools: Mapping[str, Tool]) -> None:
        if self.max_steps < 1 or self.max_replans < 0:
            raise DefinitionError(
                f"agent '{agent.name}': ReWOO(max_steps={self.max_steps}, max_replans={self.max_replans}) leaves "
                f"nothing to do; max_steps is at least 1 and max_replans at least 0."
            )
        if not tools:
            raise DefinitionError(f"agent '{agent.name}' has no tools, so there is nothing to plan. Give it tools=.")
        ends = [tool.name for tool in tools.values() if tool.ends_turn]
        if ends:
            raise DefinitionError(
                f"agent '{agent.name}': {names(ends)} would end the turn, but here a solver answers when all calls are "
                f"done. Make them without ends_turn, or use the architecture 'react'."
            )


class _Calls:
    """The body of the node that carries a plan out: each call an activation, ordered by `loomgraph.tools`."""

    def __init__(self, tools: Mapping[str, Tool], around: Around, replans: int, at_once: int | None) -> None:
        self.tools, self.around, self.replans, self.at_once = tools, around, replans, at_once
        self.__name__ = "tools"
        gives: Any = Evidence | Work if replans else Evidence
        self.__loomgraph_signature__ = Signature((Param("planned", Planned, required=True),), gives, "async", "ctx")

    async def __call__(self, planned: Planned, ctx: Context) -> Evidence | Work:
        """The work with the results of the calls: to be read, or to be planned anew."""
        work = planned.work
        calls = calls_of(work.plans[-1].steps)
        results = await run_batch(
            ctx,
            calls,
            self.tools,
            syntax="plan",
            around=self.around,
            given=earlier(work, {call.id for call in calls}),
            at_once=self.at_once,
            said=said_in(work),
        )
        done = work.model_copy(update={"results": [*work.results, *results]})
        if all(result.ok for result in results) or len(work.plans) > self.replans:
            return Evidence(work=done)
        return done

    def __loomgraph_fingerprint__(self) -> str:
        """The tools, and whether a plan can be made anew."""
        return "\n".join([*(tool.__loomgraph_fingerprint__() for tool in self.tools.values()), str(self.replans > 0)])


def _checker(tools: Mapping[str, Tool], max_steps: int, repairs: int) -> Callable[..., Any]:
    async def check(given: Work, answer: Plan) -> Planned | Work:
        try:
            check_plan(answer, given, tools, max_steps)
        except PlanError as error:
            return given.sent_back(error, repairs)
        return Planned(work=given.accepted(plans=[*given.plans, answer]))

    return check
