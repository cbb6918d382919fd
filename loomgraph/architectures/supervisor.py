"""Supervisor: a coordinator hands parts of a task to workers, several at a time, until it can answer.

The orchestrator and its workers of Anthropic's "How we built our multi-agent research system" (2025) and "Building
effective agents" (2024). Here every decision is a typed value on an edge, the workers of a round run at the same time,
and a worker's answer can be passed on as it is, without a model that writes it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model
from pydantic_core import to_json, to_jsonable_python

from loomgraph.architectures.roles import (
    Correctable,
    beginning,
    both,
    noted,
    role,
    sections,
    shown,
    told_of,
    typed,
)
from loomgraph.architectures.workers import (
    Answer,
    Called,
    Member,
    Sharing,
    Workers,
    listed,
    one_of,
    one_word,
    refuse_tools,
    shares,
    workers_of,
)
from loomgraph.errors import (
    ArchitectureError,
    DefinitionError,
    Failure,
    OutputValidationError,
    SpawnError,
    UnknownWorkerError,
)
from loomgraph.graph.refs import END, START
from loomgraph.models.messages import SystemMessage, UserMessage, user
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent
from loomgraph.nodes.conversation import Conversation
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.workflow import Workflow

__all__ = ["COORDINATE", "Assignment", "Delegate", "Forward", "Ledger", "NewWorker", "Report", "Supervisor"]

COORDINATE = (
    "You lead workers and do not do their work yourself. Each time, do one of these: delegate parts of the task, as "
    "many at once as do not depend on each other, each with all that the worker needs to know, for it sees nothing "
    "else; forward what one worker reported last as the answer, if that is the answer word for word; or answer."
)
_SPAWN = (
    "When no worker is fit for a part, make a new one: give it a name and instructions, and an assignment under that "
    "name. It stays for the rest of the task."
)


class NewWorker(BaseModel):
    """A worker that the coordinator makes."""

    name: str
    instructions: str


class Assignment(BaseModel):
    """A part of the task for one worker."""

    worker: str
    task: str


class Delegate(BaseModel):
    """Let workers do these at the same time."""

    kind: Literal["delegate"]
    assignments: list[Assignment] = Field(min_length=1)


class DelegateOrSpawn(Delegate):
    """Let workers do these at the same time, some of them new."""

    new_workers: list[NewWorker] = []


class Forward(BaseModel):
    """What this worker reported last is the answer."""

    kind: Literal["forward"]
    worker: str


class Report(BaseModel):
    """What a worker came to: `text` as others read it, `value` as JSON data if it is not that text. `failed`: the text
    says why."""

    worker: str
    task: str
    value: Any = None
    text: str
    failed: bool = False


class Ledger(Correctable):
    """The task, what was reported, whom the coordinator made, and what was wrong with what it said last."""

    task: UserMessage
    reports: list[Report] = Field(default_factory=list[Report])
    spawned: list[NewWorker] = Field(default_factory=list[NewWorker])


class Errand(BaseModel):
    """An assignment on its way to its worker. `instructions` are those of a worker that the coordinator made."""

    worker: str
    place: str
    task: str
    told: UserMessage
    instructions: str | None = None


class Round(BaseModel):
    """The errands that run at the same time."""

    ledger: Ledger
    errands: list[Errand]


@dataclass(frozen=True)
class Supervisor:
    """coordinator -> workers in parallel -> coordinator, until it answers or forwards a worker's answer.

    `workers` are agents, graphs or architectures that take a text; each errand is a fresh conversation that sees its
    part of the task alone, or with `conversation="shared"` the whole task and all reports so far too. With
    `allow_spawn` the coordinator makes at most `max_spawned` workers of its own, which have the agent's model (or
    `spawn_model`) and its tools. A worker that fails ends the run, which can be resumed; with `on_worker_error="tell"`
    the coordinator is told instead. A name that is not there goes back to the coordinator as often as a bad answer
    does (the agent's `repairs`), and is then an UnknownWorkerError with the ledger.

    Model calls: C coordinator calls and those of the workers. Stops when the coordinator answers or forwards; after
    `max_rounds` coordinator calls with LoopCapError, whose values have the ledger.
    """

    workers: Workers
    max_rounds: int = 10
    allow_spawn: bool = False
    max_spawned: int = 5
    conversation: Sharing = "fresh"
    on_worker_error: Literal["fail", "tell"] = "fail"
    model: Model | str | None = None
    spawn_model: Model | str | None = None
    instructions: str = COORDINATE
    name: str = "supervisor"

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        """The graph. Raises DefinitionError for workers that cannot be meant."""
        if self.max_rounds < 1 or self.max_spawned < 0:
            raise DefinitionError(
                f"agent '{agent.name}': Supervisor(max_rounds={self.max_rounds}, max_spawned={self.max_spawned}) "
                f"leaves nothing to do; max_rounds is at least 1 and max_spawned at least 0."
            )
        one_word(agent.name, "on_worker_error", self.on_worker_error, ("fail", "tell"))
        taken = ("report", "instruct", "spawned") if self.allow_spawn else ("report",)
        members = workers_of(self.workers, agent, "worker", taken=taken, input=str, output=str, prompt=None)
        if not self.allow_spawn:
            refuse_tools(agent, self.name, members)
        answer = cast(Any, Answer)[agent.output]
        wf: Workflow[Any, Any] = Workflow(agent.name, input=told_of(agent), output=agent.output, doc=agent.description)
        begin = wf.node(beginning(agent, Ledger), name="begin")
        coordinate = wf.node(self._coordinate(agent, members, answer))
        assign = wf.node(_assign, name="assign")
        delegate = wf.node(self._delegate(agent, members), name="delegate")
        collect = wf.node(_collect, name="collect")
        wf.chain(START, begin, coordinate)
        wf.edge(coordinate, coordinate, when=Ledger, label="not possible", cap=self.max_rounds)
        wf.edge(coordinate, assign, when=Round, label="delegate")
        wf.map(assign, delegate, on_error="collect" if self.on_worker_error == "tell" else "fail")
        wf.join({"round": coordinate.when(Round, label="delegate"), "results": delegate}, into=collect)
        wf.edge(collect, coordinate, cap=self.max_rounds)
        forward = wf.node(typed(_forwarder(agent.output), report=Report, gives=agent.output), name="forward")
        wf.edge(coordinate, forward, when=Report, label="forward")
        wf.edge(forward, END)
        say = wf.node(typed(_sayer(), said=answer, gives=agent.output), name="answer")
        wf.edge(coordinate, say, when=answer, label="answer")
        wf.edge(say, END)
        return wf

    def _coordinate(self, agent: Agent[Any, Any], members: dict[str, Member], answer: Any) -> Graph[Any, Any]:
        worker: Any = str if self.allow_spawn else one_of(list(members))
        assignment: Any = create_model(
            "Assignment", __base__=Assignment, __doc__=Assignment.__doc__, worker=(worker, ...)
        )
        kind: Any = DelegateOrSpawn if self.allow_spawn else Delegate
        some: Any = (list[assignment], Field(min_length=1))
        delegate: Any = create_model("Delegate", __base__=kind, __doc__=kind.__doc__, assignments=some)
        move: Any = delegate | Forward | answer
        says = f"{self.instructions}\n\n{_SPAWN}" if self.allow_spawn else self.instructions
        coordinator = role(
            agent,
            "coordinator",
            both(agent.instructions, f"{says}\n\nThe workers:\n{listed(members)}"),
            input=Ledger,
            output=move,
            prompt=lambda ledger: _told(ledger, not_possible=ledger.complaint),
            model=self.model,
        )
        limit = self.max_spawned if self.allow_spawn else 0
        decide = _decider(agent.name, tuple(members), limit, agent.repairs, shares(agent.name, self.conversation))
        return noted(
            "coordinate", coordinator, decide, takes=Ledger, gives=Ledger | Round | Report | answer, answer=move
        )

    def _delegate(self, agent: Agent[Any, Any], members: dict[str, Member]) -> Graph[Errand, Report]:
        wf = Workflow("delegate", input=Errand, output=Report)
        done: list[Any] = []
        for name, member in members.items():
            hand = wf.node(_hander(member, self.conversation), name=f"to {name}")
            done.append(wf.node(member.does, name=name))
            wf.edge(START, hand, when=Called("place", name), label=name)
            wf.edge(hand, done[-1])
        if self.allow_spawn:
            own = {"name": "spawned", "description": None, "instructions": "", "architecture": "react"}
            model = agent.model if self.spawn_model is None else self.spawn_model
            made = agent.replace(**own, model=model, input=str, output=str, prompt=None)
            instruct = wf.node(_instruct, name="instruct")
            done.append(wf.node(made, name="spawned"))
            wf.edge(START, instruct, when=Called("place", ""), label="spawned")
            wf.edge(instruct, done[-1])
        report = wf.node(_report, name="report")
        wf.join({"errand": START, "came": done}, into=report)
        wf.edge(report, END)
        return wf.compile()


def _told(ledger: Ledger, **more: str | None) -> UserMessage:
    # what grows stands behind what stays, and each report by itself, so that a log keeps each of them once
    reports = {
        f"report_{number}": f"{said.worker} {'failed at' if said.failed else 'was told'}: {said.task}\n{said.text}"
        for number, said in enumerate(ledger.reports, 1)
    }
    made = "\n".join(f"- {worker.name}: {worker.instructions}" for worker in ledger.spawned)
    return sections(task=ledger.task, workers_you_made=made, **reports, **more)


def _decider(by: str, workers: Sequence[str], limit: int, repairs: int, shared: bool) -> Callable[..., Any]:
    async def decide(given: Ledger, answer: Any) -> Any:
        try:
            match answer:
                case Delegate():
                    return _round(by, workers, limit, shared, given, answer)
                case Forward():
                    return _reported(by, given, answer.worker)
                case _:
                    return answer
        except ArchitectureError as error:
            return given.sent_back(error, repairs)

    return decide


def _round(by: str, workers: Sequence[str], limit: int, shared: bool, given: Ledger, answer: Delegate) -> Round:
    new = [NewWorker(name=new.name, instructions=new.instructions) for new in getattr(answer, "new_workers", [])]
    spawned = list(given.spawned)
    for worker in new:
        if worker.name in workers or any(worker.name == other.name for other in spawned):
            raise SpawnError(by, worker.name, "that name is taken", given)
        spawned.append(worker)
        if len(spawned) > limit:
            raise SpawnError(by, worker.name, f"it may make {limit} (max_spawned=)", given)
    made = {worker.name: worker.instructions for worker in spawned}
    errands: list[Errand] = []
    for part in answer.assignments:
        if part.worker not in workers and part.worker not in made:
            raise UnknownWorkerError(by, part.worker, [*workers, *made], given)
        told = _told(given, your_part=part.task) if shared else user(part.task)
        place = part.worker if part.worker in workers else ""
        errands.append(
            Errand(worker=part.worker, place=place, task=part.task, told=told, instructions=made.get(part.worker))
        )
    ledger = given.accepted(spawned=spawned)
    return Round(ledger=ledger, errands=errands)


def _reported(by: str, given: Ledger, worker: str) -> Report:
    for report in reversed(given.reports):
        if report.worker == worker and not report.failed:
            return report
    raise UnknownWorkerError(by, worker, [report.worker for report in given.reports if not report.failed], given)


async def _assign(round: Round) -> list[Errand]:
    return round.errands


def _hander(member: Member, conversation: Sharing) -> Callable[..., Any]:
    """What hands an errand over: as text, or where an agent hears what was said before too, in as many parts."""
    does: Any = member.does
    whole = conversation == "shared" and isinstance(member.does, Agent) and does.prompt is None

    async def hand(errand: Errand) -> Any:
        return Conversation(messages=[errand.told]) if whole else errand.told.text

    return typed(hand, errand=Errand, gives=Conversation if whole else str)


async def _instruct(errand: Errand) -> Conversation:
    return Conversation(messages=[SystemMessage(text=errand.instructions or ""), errand.told])


async def _report(errand: Errand, came: Any) -> Report:
    value = None if isinstance(came, str) else to_jsonable_python(came)
    return Report(worker=errand.worker, task=errand.task, value=value, text=shown(came))


async def _collect(round: Round, results: list[Report | Failure]) -> Ledger:
    reports = [
        result
        if isinstance(result, Report)
        else Report(worker=errand.worker, task=errand.task, text=f"{result.error}: {result.message}", failed=True)
        for errand, result in zip(round.errands, results, strict=True)
    ]
    return round.ledger.model_copy(update={"reports": [*round.ledger.reports, *reports]})


def _forwarder(output: Any) -> Callable[..., Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(output)

    async def forward(report: Report) -> Any:
        if output is str:
            return report.text
        try:
            return adapter.validate_json(to_json(report.text if report.value is None else report.value), strict=True)
        except ValidationError as error:
            detail = str(error.errors(include_url=False, include_context=False)[0]["msg"])
            raise OutputValidationError(
                f"the worker '{report.worker}'", detail, raw=report.text, schema=adapter.json_schema()
            ) from error

    return forward


def _sayer() -> Callable[..., Any]:
    async def say(said: Any) -> Any:
        return said.answer

    return say
