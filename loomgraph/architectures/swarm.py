"""Swarm: agents hand a task to each other until one of them answers; whoever has it decides alone.

After OpenAI's Swarm (2024), which became the handoffs of its Agents SDK. Differs: a handoff is a typed answer and not a
tool call, so it is checked, logged and drawn as an edge; what the next agent sees of the earlier turns is a setting;
and going back and forth is an error, not a bill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias, cast

from pydantic import BaseModel, Field, create_model

from loomgraph.architectures.roles import Correctable, Travelling, both, noted, sections, shown, task_of, told_of, typed
from loomgraph.architectures.workers import (
    Answer,
    Called,
    Member,
    Workers,
    listed,
    one_of,
    one_word,
    refuse_tools,
    workers_of,
)
from loomgraph.errors import ArchitectureError, DefinitionError, PingPongError, UnknownWorkerError, names
from loomgraph.graph.refs import END, START
from loomgraph.models.messages import UserMessage
from loomgraph.nodes.agent import Agent
from loomgraph.nodes.conversation import Conversation
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.workflow import Workflow

__all__ = ["HAND_OFF", "Baton", "Handoff", "History", "NextTurn", "Swarm", "Turn"]

HAND_OFF = (
    "You work on a task with others, one at a time. Either answer it, or hand it off to the one who is fitter for it, "
    "saying what you found and what is left to do."
)


class Handoff(BaseModel):
    """Give the task to somebody else; `message` is for them."""

    kind: Literal["handoff"]
    to: str
    message: str


class Turn(BaseModel):
    """A turn that ended in a handoff: who gave the task to whom, with what."""

    agent: str
    to: str
    message: str
    payload: Any = None


class NextTurn(Travelling):
    """A session goes on: what was said so far with what is said now, and who answered last."""

    conversation: Conversation
    active: str


class Baton(Correctable, Travelling):
    """The task, whose turn it is, the turns so far, and what was wrong with what the active agent said last."""

    task: UserMessage
    active: str
    turns: list[Turn] = Field(default_factory=list[Turn])


History: TypeAlias = Literal["all", "last", "none"] | Callable[[Sequence[Turn]], Sequence[Turn]]
"""What of the earlier turns the active agent sees; the last one is the handoff to it. A payload it sees anyway."""


@dataclass(frozen=True)
class Swarm:
    """hub -> the active agent -> (handoff) hub, until an agent answers.

    `agents` are agents, or architectures worked by the calling agent; each is told the task, the turns that `history`
    lets through, and to whom it may hand off: `handoffs` names that for each, everybody to everybody by default.
    `entry` begins, by default the first; in a session whoever answered last goes on, unless `next_turn="entry"`. With
    `payload` a handoff carries a value of that type too. What the calling
    agent is told, all of them are told; its model is used by architectures only.

    Model calls: those of each turn. Stops when an agent answers; after `max_handoffs` with LoopCapError, whose values
    have the turns; and when two agents handed the task to each other more than `max_ping_pong` times in a row, with
    PingPongError. A name that is not there goes back to the agent as often as a bad answer does (`repairs`), and is
    then an UnknownWorkerError with the turns.
    """

    agents: Workers
    entry: str | None = None
    next_turn: Literal["active", "entry"] = "active"
    handoffs: Mapping[str, Sequence[str]] | None = None
    payload: Any = None
    history: History = "all"
    max_handoffs: int = 8
    max_ping_pong: int = 4
    instructions: str = HAND_OFF
    name: str = "swarm"

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        """The graph. Raises DefinitionError for agents and handoffs that cannot be meant."""
        members = workers_of(self.agents, agent, "agent", taken=("begin", "hub", "answer"))
        refuse_tools(agent, self.name, members)
        entry = self._entry(agent, members)
        to = self._handoffs(agent, members)
        answer = cast(Any, Answer)[agent.output]
        takes = told_of(agent) | NextTurn
        wf: Workflow[Any, Any] = Workflow(agent.name, input=takes, output=agent.output, doc=agent.description)
        begin = wf.node(typed(_beginner(agent, entry, members), value=takes, gives=Baton), name="begin")
        hub = wf.node(_hub, name="hub")
        say = wf.node(typed(_sayer(), said=answer, gives=agent.output), name="answer")
        wf.chain(START, begin, hub)
        for name, member in members.items():
            peer = wf.node(self._peer(agent, member, {other: members[other] for other in to[name]}, answer), name=name)
            wf.edge(hub, peer, when=Called("active", name), label=name)
            wf.edge(peer, hub, when=Baton, label="handoff", cap=self.max_handoffs + 1)
            wf.edge(peer, say, when=answer, label="answer")
        wf.edge(say, END)
        return wf

    def go_on(self, conversation: Conversation, last: Callable[[str], Any]) -> Conversation | NextTurn:
        """What the next run of a session begins with, after this one: the agent that answered in it goes on."""
        baton = last("hub")
        if self.next_turn == "entry" or baton is None:
            return conversation
        return NextTurn(conversation=conversation, active=baton["active"])

    def _entry(self, agent: Agent[Any, Any], members: Mapping[str, Member]) -> str:
        entry = next(iter(members)) if self.entry is None else self.entry
        if entry not in members:
            raise DefinitionError(
                f"agent '{agent.name}': entry={self.entry!r} is not there; there are {names(list(members))}."
            )
        one_word(agent.name, "next_turn", self.next_turn, ("active", "entry"))
        if not callable(self.history):
            one_word(agent.name, "history", self.history, ("all", "last", "none"))
        if self.max_handoffs < 1 or self.max_ping_pong < 1:
            raise DefinitionError(
                f"agent '{agent.name}': max_handoffs={self.max_handoffs} and max_ping_pong={self.max_ping_pong} leave "
                f"no handoff; both are at least 1."
            )
        return entry

    def _handoffs(self, agent: Agent[Any, Any], members: Mapping[str, Member]) -> dict[str, list[str]]:
        if self.handoffs is None:
            return {name: [other for other in members if other != name] for name in members}
        for name in dict.fromkeys([*self.handoffs, *(to for some in self.handoffs.values() for to in some)]):
            if name not in members:
                raise DefinitionError(
                    f"agent '{agent.name}': handoffs= names '{name}', who is not there; there are "
                    f"{names(list(members))}."
                )
        return {name: [to for to in self.handoffs.get(name, ()) if to != name] for name in members}

    def _peer(
        self, agent: Agent[Any, Any], member: Member, others: Mapping[str, Member], answer: Any
    ) -> Graph[Any, Any]:
        """One agent's turn: from the baton to the baton handed on, or the answer."""
        peer: Any = member.does
        if not isinstance(member.does, Agent):
            raise DefinitionError(
                f"agent '{agent.name}': '{member.name}' is a graph, which cannot hand a task off. Give an Agent, or "
                f"let one have the graph as a tool."
            )
        plain = peer.prompt is None and peer.input is str and peer.output in (str, agent.output)
        if not (plain or member.own):
            raise DefinitionError(
                f"agent '{agent.name}': '{member.name}' takes and gives values of its own, but in a swarm all of them "
                f"are told of one task and give one answer. Leave out its prompt=, input= and output=."
            )
        move: Any = answer
        says = self.instructions
        if others:
            move = self._handoff(list(others)) | answer
            says = f"{says}\n\nYou can hand off to:\n{listed(others)}"
        shared = () if member.own else (agent.instructions,)
        turn = peer.replace(
            name=member.name,
            instructions=both(peer.instructions, *shared, says),
            input=Baton,
            prompt=partial(_prompt, self.history),
            output=move,
        )
        heard = _hearer(member.name, tuple(others), self.max_ping_pong, peer.repairs)
        return noted(member.name, turn, heard, takes=Baton, gives=Baton | answer, answer=move, called="turn")

    def _handoff(self, others: list[str]) -> Any:
        to: Any = one_of(others)
        more: dict[str, Any] = {} if self.payload is None else {"payload": (self.payload, ...)}
        return create_model("Handoff", __base__=Handoff, __doc__=Handoff.__doc__, to=(to, ...), **more)


def _prompt(history: History, baton: Baton) -> UserMessage:
    turns: Sequence[Turn]
    match history:
        case "all":
            turns = baton.turns
        case "last":
            turns = baton.turns[-1:]
        case "none":
            turns = ()
        case chosen:
            turns = chosen(baton.turns)
    carried = baton.turns[-1].payload if baton.turns else None
    return sections(
        task=baton.task,
        turns_so_far="\n\n".join(f"{turn.agent} to {turn.to}: {turn.message}" for turn in turns),
        payload=None if carried is None else shown(carried),
        not_possible=baton.complaint,
    )


def _beginner(agent: Agent[Any, Any], entry: str, members: Mapping[str, Member]) -> Callable[..., Any]:
    async def begin(value: Any) -> Baton:
        if not isinstance(value, NextTurn):
            return Baton(task=task_of(agent, value), active=entry)
        # a swarm may have changed within a session, and who answered last may have left it
        active = value.active if value.active in members else entry
        return Baton(task=task_of(agent, value.conversation), active=active)

    return begin


async def _hub(baton: Baton) -> Baton:
    return baton


def _hearer(name: str, others: Sequence[str], most: int, repairs: int) -> Callable[..., Any]:
    async def heard(given: Baton, answer: Any) -> Any:
        if not isinstance(answer, Handoff):
            return answer
        try:
            if answer.to not in others:
                raise UnknownWorkerError(name, answer.to, others, given.turns)
        except ArchitectureError as error:
            return given.sent_back(error, repairs)
        turn = Turn(agent=name, to=answer.to, message=answer.message, payload=_payload(answer))
        turns = [*given.turns, turn]
        times = _back_and_forth(turns)
        if times > most:
            raise PingPongError([name, answer.to], times, turns)
        return Baton(task=given.task, active=answer.to, turns=turns)

    return heard


def _payload(handoff: Handoff) -> Any:
    return handoff.model_dump(mode="json").get("payload")


def _back_and_forth(turns: Sequence[Turn]) -> int:
    """How many handoffs in a row, up to the last one, were between the same two."""
    pair = {turns[-1].agent, turns[-1].to}
    times = 0
    for turn in reversed(turns):
        if {turn.agent, turn.to} != pair:
            break
        times += 1
    return times


def _sayer() -> Callable[..., Any]:
    async def say(said: Any) -> Any:
        return said.answer

    return say
