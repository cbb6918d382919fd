"""MultiAgentDebate: several answer, read each other, and answer again (Du et al. 2023, arXiv:2305.14325).

Differs from the paper: it ends as soon as all agree; a debater that fails sits out; without agreement a judge or a vote
decides; debaters may be different agents, with tools.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Generic, TypeVar, cast

from pydantic import Field

from loomgraph.architectures.roles import (
    Part,
    Travelling,
    both,
    list_of,
    role,
    sections,
    shown,
    task_of,
    told_of,
    told_part,
    typed,
)
from loomgraph.architectures.workers import TOLERATED, Called, Member, Sharing, check_names, refuse_tools, shares
from loomgraph.errors import (
    DebateQuorumError,
    DefinitionError,
    Failure,
)
from loomgraph.graph.refs import END, START
from loomgraph.models.messages import UserMessage
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent, Architecture
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.workflow import Workflow

__all__ = ["SITS_OUT", "Absent", "MultiAgentDebate", "Position", "likeness"]

TaskT = TypeVar("TaskT")
OutT = TypeVar("OutT")

AGAIN = (
    "These are the answers so far, yours and those of others. Weigh their reasons: keep what is right in yours, take "
    "over what is better in theirs, and do not give way only to agree. Then answer the task again, as a whole."
)
JUDGE = (
    "Several answered a task and could not agree. Read their last answers, decide by their reasons and not by their "
    "number, and give the answer to the task yourself, as a whole."
)

SITS_OUT = TOLERATED
"""The failures that make a debater sit out. Any other fails the run: a mistake in code, a spent budget."""


def likeness(one: Any, other: Any) -> float:
    """How much two answers are alike, from 0 to 1: equal ones 1; of texts the part of their words that match, in order.

    Case and white space do not count. Other values are alike only if they are equal.
    """
    if one == other:
        return 1.0
    if not (isinstance(one, str) and isinstance(other, str)):
        return 0.0
    words = [text.casefold().split() for text in (one, other)]
    return SequenceMatcher(None, words[0], words[1], autojunk=False).ratio()


class Position(Travelling, Generic[OutT]):
    """What a debater answers in one round."""

    debater: str
    answer: OutT


class Absent(Travelling):
    """A debater that failed and sits out from then on."""

    debater: str
    error: str
    message: str


class Excuse(Travelling):
    """Why a debater has no answer."""

    error: str
    message: str


class Debate(Travelling, Generic[TaskT, OutT]):
    """The task, the positions of each round so far, and who sits out."""

    task: TaskT
    rounds: list[list[Position[OutT]]] = Field(default_factory=list[Any])
    absent: list[Absent] = Field(default_factory=list[Absent])

    def to(self, kind: Any, **more: Any) -> Any:
        """The same as another kind, with these fields too."""
        return kind(**{"task": self.task, "rounds": self.rounds, "absent": self.absent, **more})


class Opening(Debate[TaskT, OutT], Generic[TaskT, OutT]):
    """Nobody has answered yet."""


class Agreed(Debate[TaskT, OutT], Generic[TaskT, OutT]):
    """All who are left answer the same."""


class Disagreed(Debate[TaskT, OutT], Generic[TaskT, OutT]):
    """They do not."""


class Turn(Travelling, Generic[TaskT, OutT]):
    """One debater's turn: the task, and the positions of the round before. `place` is the node that takes it.

    `earlier` are the rounds before that one, where debaters share the conversation.
    """

    task: TaskT
    debater: str
    place: str
    positions: list[Position[OutT]]
    earlier: list[list[Position[OutT]]] = Field(default_factory=list[Any])


@dataclass(frozen=True)
class _Kinds:
    position: Any
    opening: Any
    agreed: Any
    disagreed: Any
    turn: Any

    @classmethod
    def of(cls, agent: Agent[Any, Any]) -> _Kinds:
        generic: tuple[Any, ...] = (Opening, Agreed, Disagreed, Turn)
        position: Any = Position
        return cls(position[agent.output], *(kind[told_of(agent), agent.output] for kind in generic))


@dataclass(frozen=True)
class MultiAgentDebate:
    """All debaters at once -> do they agree? -> the answer, or another round, at most `rounds` after the first.

    `debaters` is how many copies of the agent debate, or who does: agents, graphs and architectures, by name or in a
    row. An architecture works with the agent's model, tools and instructions; another graph takes text. Stops when all
    answers are alike (`alike` of each pair is at least `similarity`); the first debater's answer is then given. If that
    never happens, a `judge` decides, or without one a vote: the largest group of like answers wins, of equal ones that
    of the earliest debater, whose answer is given.

    A debater that fails for one of `sits_out` sits out from then on; the rest go on. With fewer than `quorum` left (by
    default more than half, and two at least) the run fails with DebateQuorumError, which has all positions.

    A debater sees the task, its own last answer and those of the others; with `conversation="shared"` the rounds
    before that one too, as the paper's debaters do.

    Calls of models: N(1 + r) + J, for N debaters of one call each, r rounds after the first, and J = 1 if a judge had
    to decide; plus one for each answer that had to be repaired. Raises DefinitionError.
    """

    debaters: int | Sequence[Part] | Mapping[str, Part] = 3
    rounds: int = 2
    similarity: float = 0.85
    judge: bool = False
    quorum: int | None = None
    alike: Callable[[Any, Any], float] = likeness
    sits_out: tuple[type[Exception], ...] = SITS_OUT
    conversation: Sharing = "fresh"
    again: str = AGAIN
    judge_instructions: str = JUDGE
    judge_model: Model | str | None = None
    name: str = "multi-agent-debate"

    def __post_init__(self) -> None:
        count = self.debaters if isinstance(self.debaters, int) else len(self.debaters)
        if count < 2:
            raise DefinitionError(f"MultiAgentDebate has {count} debaters; a debate needs two.")
        if self.rounds < 0:
            raise DefinitionError(f"MultiAgentDebate(rounds={self.rounds}) is below 0; 0 asks everybody once.")
        if not 0 < self.similarity <= 1:
            raise DefinitionError(f"MultiAgentDebate(similarity={self.similarity:g}) is not above 0 and at most 1.")
        if self.quorum is not None and not 1 <= self.quorum <= count:
            raise DefinitionError(f"MultiAgentDebate(quorum={self.quorum}) cannot be had of {count} debaters.")

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        """The graph of an agent that works this way, from its input to its output."""
        kinds = _Kinds.of(agent)
        places = self._places(agent)
        seats = self._seats(places)
        shared = shares(agent.name, self.conversation)
        wf: Workflow[Any, Any] = Workflow(agent.name, input=told_of(agent), output=agent.output, doc=agent.description)

        async def begin(task: Any) -> Any:
            return kinds.opening(task=task)

        async def go_round(debate: Any) -> Any:
            return debate

        async def invite(debate: Any) -> Any:
            out = {absent.debater for absent in debate.absent}
            last: list[Any] = debate.rounds[-1] if debate.rounds else []
            earlier: list[Any] = debate.rounds[:-1] if shared else []
            return [
                kinds.turn(task=debate.task, debater=name, place=place, positions=last, earlier=earlier)
                for name, place in seats
                if name not in out
            ]

        async def agreed(debate: Any) -> Any:
            return debate.rounds[-1][0].answer

        running = kinds.opening | kinds.disagreed
        first = wf.node(typed(begin, task=told_of(agent), gives=kinds.opening))
        rounds = wf.node(typed(go_round, debate=running, gives=running), name="round")
        turns = wf.node(typed(invite, debate=running, gives=list_of(kinds.turn)))
        debate = wf.node(self._debater(agent, places))
        weigh = wf.node(self._weigh(agent, len(seats)))
        alike = wf.node(typed(agreed, debate=kinds.agreed, gives=agent.output))
        decide = wf.node(self._judge(agent) if self.judge else self._vote(agent))
        wf.chain(START, first, rounds, turns)
        wf.map(turns, debate)
        wf.join({"debate": rounds, "came": debate}, into=weigh)
        wf.edge(weigh, alike, when=kinds.agreed)
        wf.edge(weigh, rounds, when=kinds.disagreed)
        wf.loop(rounds, weigh, cap=self.rounds + 1, on_cap=decide)
        wf.edge(alike, END)
        wf.edge(decide, END)
        return wf

    def _places(self, agent: Agent[Any, Any]) -> dict[str, Member]:
        """Who debates, by the name of its node; copies of the agent share one."""
        given = self.debaters
        named: list[tuple[str, Part]]
        if isinstance(given, int):
            named = [("debater", "react")]
        elif isinstance(given, Mapping):
            named = list(given.items())
        else:
            named = []
            for number, does in enumerate(given, 1):
                own = isinstance(does, (str, Architecture))
                named.append((f"debater {number}" if own else cast("Any", does).name, does))
        if len(dict(named)) < len(named):
            raise DefinitionError(
                f"agent '{agent.name}': two debaters have one name among {[name for name, _ in named]}. Give a mapping "
                f"from names, MultiAgentDebate({{'first': ..., 'second': ...}})."
            )
        check_names(list(dict(named)), agent.name, "debater", ("sit out", "state position"))
        turn = _Kinds.of(agent).turn
        again = self.again

        def ask(given: Any) -> UserMessage:
            task = task_of(agent, given.task)
            if not given.positions:
                return task
            own = [shown(position.answer) for position in given.positions if position.debater == given.debater]
            others = [position for position in given.positions if position.debater != given.debater]
            told = {
                f"other_answer_{number}": f"{position.debater}:\n{shown(position.answer)}"
                for number, position in enumerate(others, 1)
            }
            before = {
                f"round_{number}": "\n\n".join(f"{said.debater}:\n{shown(said.answer)}" for said in positions)
                for number, positions in enumerate(given.earlier, 1)
            }
            return sections(task=task, **before, your_answer=own[0] if own else None, **told, now=again)

        members: dict[str, Member] = {}
        for name, does in named:
            own = isinstance(does, (str, Architecture))
            members[name] = Member(name, told_part(does, agent, name, takes=turn, prompt=ask), "", own)
        refuse_tools(agent, self.name, members)
        return members

    def _seats(self, places: Mapping[str, Member]) -> tuple[tuple[str, str], ...]:
        """The debaters in order, each with its place."""
        if isinstance(self.debaters, int):
            [place] = places
            return tuple((f"debater {number}", place) for number in range(1, self.debaters + 1))
        return tuple((name, name) for name in places)

    def _debater(self, agent: Agent[Any, Any], places: Mapping[str, Member]) -> Graph[Any, Any]:
        """A graph from a turn to a position, or to who sits out and why."""
        kinds = _Kinds.of(agent)
        wf: Workflow[Any, Any] = Workflow("debate", input=kinds.turn, output=kinds.position | Absent)

        async def state(turn: Any, came: Any) -> Any:
            if isinstance(came, Excuse):
                return Absent(debater=turn.debater, error=came.error, message=came.message)
            return kinds.position(debater=turn.debater, answer=came)

        came: list[Any] = []
        for name, member in places.items():
            came.append(wf.node(member.does, name=name))
            if len(places) == 1:
                wf.edge(START, came[-1])
            else:
                wf.edge(START, came[-1], when=Called("place", name), label=name)
        if self.sits_out:
            out = wf.node(_sit_out, name="sit out")
            for node in came:
                wf.on_error(node, out, *self.sits_out)
            came.append(out)
        said = typed(state, turn=kinds.turn, came=agent.output | Excuse | None, gives=kinds.position | Absent)
        stated = wf.node(said, name="state position")
        wf.join({"turn": START, "came": came}, into=stated)
        wf.edge(stated, END)
        return wf.compile()

    def _weigh(self, agent: Agent[Any, Any], seats: int) -> Callable[..., Any]:
        kinds, alike, similarity = _Kinds.of(agent), self.alike, self.similarity
        needed = max(2, seats // 2 + 1) if self.quorum is None else self.quorum
        name = agent.name

        async def weigh(debate: Any, came: list[Any]) -> Any:
            positions: list[Any] = [one for one in came if not isinstance(one, Absent)]
            absent = [*debate.absent, *(one for one in came if isinstance(one, Absent))]
            rounds = [*debate.rounds, positions]
            if len(positions) < needed:
                raise DebateQuorumError(name, needed, len(positions), seats, absent, rounds)
            pairs = itertools.combinations([position.answer for position in positions], 2)
            same = all(alike(one, other) >= similarity for one, other in pairs)
            return debate.to(kinds.agreed if same else kinds.disagreed, rounds=rounds, absent=absent)

        return typed(
            weigh,
            debate=kinds.opening | kinds.disagreed,
            came=list_of(kinds.position | Absent),
            gives=kinds.agreed | kinds.disagreed,
        )

    def _vote(self, agent: Agent[Any, Any]) -> Callable[..., Any]:
        alike, similarity = self.alike, self.similarity

        async def vote(debate: Any) -> Any:
            groups: list[list[Any]] = []
            for position in debate.rounds[-1]:
                like = next((group for group in groups if alike(group[0], position.answer) >= similarity), None)
                if like is None:
                    groups.append([position.answer])
                else:
                    like.append(position.answer)
            return max(groups, key=len)[0]

        return typed(vote, debate=_Kinds.of(agent).disagreed, gives=agent.output)

    def _judge(self, agent: Agent[Any, Any]) -> Agent[Any, Any]:
        def ask(debate: Any) -> UserMessage:
            told = {
                f"answer_{number}": f"{position.debater}:\n{shown(position.answer)}"
                for number, position in enumerate(debate.rounds[-1], 1)
            }
            return sections(task=task_of(agent, debate.task), **told)

        return role(
            agent,
            "judge",
            both(agent.instructions, self.judge_instructions),
            input=_Kinds.of(agent).disagreed,
            output=agent.output,
            prompt=ask,
            model=self.judge_model,
        )


async def _sit_out(failure: Failure) -> Excuse:
    return Excuse(error=failure.error, message=failure.message)
