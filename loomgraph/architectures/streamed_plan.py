"""A plan of tool calls that is carried out while a model still writes it, as in LLMCompiler (Kim et al. 2023).

Each call that the planner has written is a durable step before it begins; its own graph, so that the log has it, is run
with `ctx.run`. Whoever starts again, after a crash or an answer, begins with the calls that are recorded, and if the
planner's answer is not, asks for the rest. What is carried out depends on what the planner wrote, never on when.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

import anyio
from pydantic import ValidationError
from pydantic_core import to_json

from loomgraph.architectures.planned_calls import (
    Evidence,
    Plan,
    PlannedCall,
    Underway,
    Work,
    check_plan,
    earlier,
    said_in,
    settled,
)
from loomgraph.architectures.roles import both
from loomgraph.errors import NodeFailedError, PlanError
from loomgraph.graph.context import Context
from loomgraph.graph.definition import Runs
from loomgraph.graph.policy import Limit
from loomgraph.graph.refs import END, START
from loomgraph.graph.signature import Param, Signature
from loomgraph.models.growing import GrowingList
from loomgraph.models.protocol import Model
from loomgraph.models.requests import ModelRequest
from loomgraph.models.responses import AttemptRestarted, ModelResponse, StreamEvent, TextDelta
from loomgraph.models.retrying import answer_of
from loomgraph.nodes.agent import Agent
from loomgraph.nodes.hooks import Hooks
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.workflow import Workflow
from loomgraph.tools.batch import call_graph
from loomgraph.tools.calls import ToolResult
from loomgraph.tools.ordering import OrderedCall
from loomgraph.tools.tool import Tool

__all__ = ["StreamedPlan"]

_BEGUN = (
    "These calls of your plan are under way already, just as they are here. Plan those that follow and leave these "
    "out; what you plan may refer to them:\n"
)


class StreamedPlan:
    """The body of the node that asks for a plan and carries it out meanwhile.

    Of a plan that turns out to be bad, the calls are carried out that stand before what is wrong with it and refer to
    nothing behind: so many of them as there are, however fast anybody was.
    """

    def __init__(
        self, agent: Agent[Any, Any], planner: Agent[Any, Any], tools: Mapping[str, Tool], max_steps: int, replans: int
    ) -> None:
        self.agent, self.planner, self.tools = agent, planner, tools
        self.max_steps, self.replans = max_steps, replans
        self.__name__ = "plan"
        given = Param("work", Underway, required=True)
        self.__loomgraph_signature__ = Signature((given,), Evidence | Underway, "async", "ctx")
        self._drawn = _planning(planner)
        compiled: Any = self._drawn.__loomgraph_embed__()
        [node] = compiled.definition.nodes
        self.__loomgraph_runs__ = Runs(node.body.graph, "plan", "planner", "each call begins while it plans")

    async def __call__(self, work: Underway, ctx: Context) -> Evidence | Underway:
        """The work with what its calls came to: to be read, or to be planned anew."""
        return await _Visit(self, work, ctx).made()

    def __loomgraph_fingerprint__(self) -> str:
        """The planner, the tools, and whether a plan can be made anew."""
        tools = (tool.__loomgraph_fingerprint__() for tool in self.tools.values())
        return "\n".join([self._drawn.fingerprint, *tools, str(self.replans > 0)])


class _Visit:
    """One activation: the calls of the plan so far, in order, and what they came to."""

    def __init__(self, node: StreamedPlan, work: Underway, ctx: Context) -> None:
        self.node, self.work, self.ctx = node, work, ctx
        self.steps = list(work.begun)
        self.began = len(work.begun)
        self.came = {result.id: result for result in work.came}
        self.over = {result.id: anyio.Event() for result in work.came}
        for event in self.over.values():
            event.set()
        self.bad = False
        self.answer: Plan | None = None
        self.answered = anyio.Event()
        self.send, self.receive = anyio.create_memory_object_stream[PlannedCall](0)

    async def made(self) -> Evidence | Underway:
        """Ask for the plan, carry it out, and wait for all of its calls."""
        node, work = self.node, self.work
        async with anyio.create_task_group() as self.group:
            await self._plan()
        came = [self.came[step.id] for step in self.steps[: self.began]]
        if self.bad:
            return self._sent_back(came)
        plans, results = [*work.plans, Plan(steps=self.steps)], [*work.results, *came]
        if all(result.ok for result in came) or len(plans) > node.replans:
            return Evidence(work=Work(task=work.task, plans=plans, results=results))
        return Underway(task=work.task, plans=plans, results=results)

    def _sent_back(self, came: list[ToolResult]) -> Underway:
        """The work with what was carried out of a plan that is bad, for the rest to be planned. Raises PlanError."""
        node = self.node
        work = self.work.model_copy(update={"begun": self.steps[: self.began], "came": came})
        try:
            check_plan(Plan(steps=self.steps), work, node.tools, node.max_steps, self.began)
        except PlanError as error:
            return work.sent_back(error, node.agent.repairs)
        raise AssertionError("a plan is as bad as it was before its calls were carried out")

    async def _plan(self) -> None:
        """Begin the calls of the plan as they are written, and the rest of them if the whole plan is good."""
        rest = list((await self._written()).steps)
        for step in self.steps:
            if step in rest:
                rest.remove(step)
        self.steps += rest
        try:
            ordered = check_plan(Plan(steps=self.steps), self.work, self.node.tools, self.node.max_steps)
        except PlanError:
            self.bad = True
            # those too that a crash kept from being heard: what is carried out of a plan must not depend on it
            self._begin(settled(self.steps, self.node.tools, self.node.max_steps))
        else:
            self._begin(ordered, earlier(self.work, {step.id for step in self.steps}))

    async def _written(self) -> Plan:
        """The planner's whole answer, of which those calls have begun that could."""
        kept = 0
        while self.ctx.has_step(f"planned {kept}"):
            await self._arrived(await self._kept(kept))
            kept += 1
        async with self.send, self.receive:
            self.group.start_soon(self._ask, self.send.clone())
            await self.send.aclose()
            if len(self.steps) <= self.node.max_steps:
                async for step in self.receive:
                    await self._arrived(await self._kept(kept, step))
                    kept += 1
                    if len(self.steps) > self.node.max_steps:
                        break
        await self.answered.wait()
        assert self.answer is not None, "a planner that fails ends this task"
        return self.answer

    async def _kept(self, number: int, step: PlannedCall | None = None) -> PlannedCall:
        async def give() -> PlannedCall | None:
            return step

        kept: PlannedCall = await self.ctx.step(f"planned {number}", give, result=PlannedCall)
        return kept

    async def _arrived(self, step: PlannedCall) -> None:
        """One more call, which is recorded: those begin that mean the same whatever follows."""
        self.steps.append(step)
        self._begin(settled(self.steps, self.node.tools, self.node.max_steps))

    async def _ask(self, send: Any) -> None:
        async with send:
            graph = _planning(self.node.planner, _Ear(list(self.steps), send.send))
            try:
                self.answer = await self.ctx.run(graph, self.work, key="plan")
            except NodeFailedError as error:
                # what went wrong with the plan is this node's failure, as it is where a node of its own makes the plan
                raise error.__cause__ or error from error
        self.answered.set()

    # ------------------------------------------------------------------ the calls

    def _begin(self, ordered: Sequence[OrderedCall], given: Sequence[ToolResult] = ()) -> None:
        """Begin those of the plan's first calls that have not begun. `given` are results of earlier plans."""
        for placed in ordered[self.began :]:
            self.over[placed.call.id] = anyio.Event()
        for at in range(self.began, len(ordered)):
            self.group.start_soon(self._carried_out, ordered, at, given)
        self.began = max(self.began, len(ordered))

    async def _carried_out(self, batch: Sequence[OrderedCall], at: int, given: Sequence[ToolResult]) -> None:
        node, ordered = self.node, batch[at]
        for other in sorted({*ordered.needs, *ordered.after}):
            await self.over[batch[other].call.id].wait()
        limit = node.agent.at_once
        graph = call_graph(
            batch,
            at,
            node.tools,
            syntax="plan",
            around=node.agent.guard,
            given=given,
            at_once=None if limit is None else Limit(limit, f"batch:{self.ctx.key}"),
            said=said_in(self.work),
        )
        needed = [self.came[batch[other].call.id] for other in ordered.needs]
        id = ordered.call.id
        self.came[id] = await self.ctx.run(graph, needed, key=f"call {id}")
        self.over[id].set()


class _Ear:
    """Hears the planner's calls as it writes them, and passes on what is not in the plan yet.

    Each answer may begin from the start again: the model's, when a try fails, when its answer was no plan, or when an
    earlier process asked it. `heard` are the calls of the plan so far.
    """

    def __init__(self, heard: list[PlannedCall], pass_on: Callable[[PlannedCall], Awaitable[None]]) -> None:
        self.heard, self._pass_on = heard, pass_on
        self.begins()

    def begins(self) -> None:
        """The model begins an answer."""
        self._list: GrowingList | None = GrowingList("steps")
        self._repeated = list(self.heard)

    async def hear(self, text: str) -> None:
        """More of the answer. Nothing is passed on behind what is no call."""
        for item in () if self._list is None else self._list.feed(text):
            try:
                step = PlannedCall.model_validate_json(to_json(item), strict=True)
            except ValidationError:
                self._list = None
                return
            if step in self._repeated:
                self._repeated.remove(step)
                continue
            self.heard.append(step)
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the plan is full
                await self._pass_on(step)

    def __call__(self, ctx: Context) -> str:
        """What the planner is told of the calls that it planned already."""
        return _BEGUN + to_json(self.heard, indent=2).decode() if self.heard else ""

    def __loomgraph_fingerprint__(self) -> str:
        """Its words; what has been heard differs from answer to answer."""
        return _BEGUN


class _Overheard:
    """A model whose answers are heard as they come."""

    def __init__(self, model: Model, ear: _Ear) -> None:
        self.model, self._ear = model, ear
        self.provider = getattr(model, "provider", "")
        self.price = getattr(model, "price", None)

    @property
    def name(self) -> str:
        return self.model.name

    async def generate(self, request: ModelRequest) -> ModelResponse:
        return await answer_of(self.name, self.stream(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        self._ear.begins()
        async with aclosing(self.model.stream(request)) as events:
            async for event in events:
                yield event
                match event:
                    case AttemptRestarted():
                        self._ear.begins()
                    case TextDelta(text=text):
                        await self._ear.hear(text)
                    case _:
                        pass


def _planning(planner: Agent[Any, Any], ear: _Ear | None = None) -> Graph[Underway, Plan]:
    """The graph that asks for a plan, heard while it is written."""
    if ear is None:
        ear = _Ear([], _nobody)
    told = both(planner.instructions, ear)
    model = planner.model
    assert not isinstance(model, str), "an agent has its model"
    if not _sees_answers(planner.hooks):
        model = _Overheard(model, ear)
    wf = Workflow("plan", input=Underway, output=Plan)
    wf.chain(START, wf.node(planner.replace(model=model, instructions=told), name="planner"), END)
    return wf.compile()


async def _nobody(step: PlannedCall) -> None:
    """Who listens to a plan that is only drawn."""


def _sees_answers(hooks: Hooks | Sequence[Hooks]) -> bool:
    """Whether a hook stands between an answer and what is done about it; then nothing is done before it has seen it."""
    assert isinstance(hooks, Hooks), "several were made one when the agent was"
    return hooks.after_model is not None or hooks.after_iteration is not None
