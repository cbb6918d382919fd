"""Blackboard: contributors who know different things write on one board until somebody finds the answer there.

Hayes-Roth 1985, "A blackboard architecture for control", and Hearsay-II (Erman et al. 1980). Differs: the knowledge
sources are agents, the one who schedules them is a model or a plain turn, those who are picked write at the same time,
and the board has three kinds of entry, each with its author.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, cast

from pydantic import BaseModel, Field, create_model

from loomgraph.architectures.roles import (
    Correctable,
    Travelling,
    beginning,
    both,
    noted,
    role,
    sections,
    shown,
    told_of,
    told_part,
    typed,
)
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
from loomgraph.errors import ArchitectureError, DefinitionError, UnknownWorkerError
from loomgraph.graph.refs import END, START
from loomgraph.models.messages import UserMessage
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.result import RunResult
from loomgraph.runtime.workflow import Workflow

__all__ = [
    "CONTRIBUTE",
    "COORDINATE",
    "DECIDE",
    "Blackboard",
    "Board",
    "Contribution",
    "Entry",
    "Posted",
    "board_of",
]

T = TypeVar("T")

COORDINATE = (
    "Others work on a task by writing on a board, and you do not write yourself. Pick those who can add something now; "
    "those you pick write at the same time and do not see each other's new entries."
)
CONTRIBUTE = (
    "Others and you work on a task by writing on a board. Add what you know and what follows from what is there: "
    "facts, hypotheses to be tested, or an answer. Refer to entries by their numbers, repeat none of them, and add "
    "nothing if you have nothing to add."
)
DECIDE = (
    "Others work on a task by writing on a board. Say whether the board has what the task asks for: if so, answer the "
    "task from it; if not, say what is missing."
)


class Entry(BaseModel):
    """What a contributor writes."""

    kind: Literal["fact", "hypothesis", "answer"]
    text: str


class Contribution(BaseModel):
    """What a contributor adds to the board; nothing is allowed too."""

    entries: list[Entry]


class Posted(Entry):
    """An entry on the board: its number, from 1, who wrote it and in which round, from 1."""

    number: int
    author: str
    round: int


class Board(Correctable):
    """All that was written, in order. The order of a round is that in which its contributors were picked."""

    task: UserMessage
    entries: list[Posted] = Field(default_factory=list[Posted])
    round: int = 0
    missing: str | None = None

    @property
    def facts(self) -> list[Posted]:
        """The facts."""
        return [entry for entry in self.entries if entry.kind == "fact"]

    @property
    def hypotheses(self) -> list[Posted]:
        """The hypotheses."""
        return [entry for entry in self.entries if entry.kind == "hypothesis"]

    @property
    def answers(self) -> list[Posted]:
        """The answers."""
        return [entry for entry in self.entries if entry.kind == "answer"]


class Pick(BaseModel):
    """Let these write next."""

    kind: Literal["pick"]
    contributors: list[str] = Field(min_length=1)


class GoOn(BaseModel):
    """The board does not have the answer yet."""

    kind: Literal["go_on"]
    missing: str


class Picked(BaseModel):
    """The board, and who writes on it next."""

    board: Board
    contributors: list[str]


class Errand(BaseModel):
    """The board as one contributor is shown it."""

    author: str
    board: Board


class Written(BaseModel):
    """What one contributor wrote."""

    author: str
    entries: list[Entry]


class Final(Travelling, Generic[T]):
    """The answer, and the board it was found on."""

    answer: T
    board: Board


@dataclass(frozen=True)
class Blackboard:
    """coordinator -> contributors in parallel -> post -> decider -> coordinator, until the decider has an answer.

    `contributors` are agents, graphs or architectures. Agents that give text are asked for typed entries; what anything
    else gives is one fact. `coordinator="model"` picks one or several of them each round; `"round-robin"` takes one
    after the other and calls no model. With `decider=False` the coordinator itself answers when it finds the answer.
    The board is kept in the log and `board_of(result)` returns it; an agent whose output is a `Board` returns it as
    its answer. A name that is not there goes back to the coordinator as often as a bad answer does (`repairs`), and is
    then an UnknownWorkerError with the board.

    Model calls, for r rounds: r of the coordinator (0 in turn; 1 more where it answers), those of the contributors that
    it picked, and r of the decider (0 without). Stops at an answer; after `max_rounds` with LoopCapError, whose values
    have the board.
    """

    contributors: Workers
    coordinator: Literal["model", "round-robin"] = "model"
    decider: bool = True
    max_rounds: int = 10
    coordinator_model: Model | str | None = None
    decider_model: Model | str | None = None
    coordinate_instructions: str = COORDINATE
    contribute_instructions: str = CONTRIBUTE
    decide_instructions: str = DECIDE
    name: str = "blackboard"

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        """The graph. Raises DefinitionError for contributors that cannot be meant, or if nobody could ever answer."""
        one_word(agent.name, "coordinator", self.coordinator, ("model", "round-robin"))
        if self.max_rounds < 1:
            raise DefinitionError(
                f"agent '{agent.name}': max_rounds={self.max_rounds} leaves no round; use at least 1."
            )
        if self.coordinator == "round-robin" and not self.decider:
            raise DefinitionError(
                f"agent '{agent.name}': with coordinator='round-robin' somebody has to decide; leave out decider=False."
            )
        members = workers_of(self.contributors, agent, "contributor", taken=("note",))
        refuse_tools(agent, self.name, members)
        final = cast(Any, Final)[agent.output]
        wf: Workflow[Any, Any] = Workflow(agent.name, input=told_of(agent), output=agent.output, doc=agent.description)
        begin = wf.node(beginning(agent, Board), name="begin")
        answer = wf.node(typed(_answerer(), final=final, gives=agent.output), name="answer")
        pick = self._pick(wf, agent, members, final)
        assign = wf.node(_assign, name="assign")
        contribute = wf.node(self._contribute(agent, members), name="contribute")
        post = wf.node(_post, name="post")
        wf.chain(START, begin, pick)
        modelled = self.coordinator == "model"
        picked: Any = pick.when(Picked, label="picked") if modelled else pick
        if modelled:
            wf.edge(pick, pick, when=Board, label="not possible", cap=self.max_rounds)
            wf.edge(pick, assign, when=Picked, label="picked")
        else:
            wf.edge(pick, assign)
        wf.map(assign, contribute)
        wf.join({"picked": picked, "written": contribute}, into=post)
        if self.decider:
            decide = wf.node(self._decide(agent, final))
            wf.edge(post, decide)
            wf.edge(decide, pick, when=Board, label="go on", cap=self.max_rounds)
            wf.edge(decide, answer, when=final, label="answer")
        else:
            wf.edge(post, pick, cap=self.max_rounds)
            wf.edge(pick, answer, when=final, label="answer")
        wf.edge(answer, END)
        return wf

    def _pick(self, wf: Any, agent: Agent[Any, Any], members: Mapping[str, Member], final: Any) -> Any:
        if self.coordinator == "round-robin":
            return wf.node(_in_turn(tuple(members)), name="pick")
        name: Any = one_of(list(members))
        some: Any = (list[name], Field(min_length=1))
        move: Any = create_model("Pick", __base__=Pick, __doc__=Pick.__doc__, contributors=some)
        gives: Any = Picked | Board
        says = self.coordinate_instructions
        if not self.decider:
            move = move | _answer_type(agent)
            gives = gives | final
            says = f"{says} When the board has what the task asks for, answer the task from it instead."
        coordinator = role(
            agent,
            "coordinator",
            both(agent.instructions, f"{says}\n\nThose who can write:\n{listed(members)}"),
            input=Board,
            output=move,
            prompt=_shown,
            model=self.coordinator_model,
        )
        choose = _chooser(agent.name, tuple(members), agent.repairs, final)
        return wf.node(noted("pick", coordinator, choose, takes=Board, gives=gives, answer=move))

    def _decide(self, agent: Agent[Any, Any], final: Any) -> Graph[Any, Any]:
        verdict: Any = GoOn | _answer_type(agent)
        decider = role(
            agent,
            "decider",
            both(agent.instructions, self.decide_instructions),
            input=Board,
            output=verdict,
            prompt=_shown,
            model=self.decider_model,
        )
        return noted("decide", decider, _judge(final), takes=Board, gives=Board | final, answer=verdict)

    def _contribute(self, agent: Agent[Any, Any], members: Mapping[str, Member]) -> Graph[Errand, Written]:
        wf = Workflow("contribute", input=Errand, output=Written)
        done: list[Any] = []
        for name, member in members.items():
            done.append(wf.node(self._contributor(agent, member), name=name))
            wf.edge(START, done[-1], when=Called("author", name), label=name)
        note = wf.node(_note, name="note")
        wf.join({"errand": START, "came": done}, into=note)
        wf.edge(note, END)
        return wf.compile()

    def _contributor(self, agent: Agent[Any, Any], member: Member) -> Any:
        """What writes on the board: asked for entries if it is an agent that gives text, as it is otherwise."""
        does: Any = member.does
        plain = isinstance(member.does, Agent) and does.prompt is None and (does.input, does.output) == (str, str)
        if not (plain or member.own):
            return told_part(does, agent, member.name, takes=Errand, prompt=_to_write)
        told = both(does.instructions, self.contribute_instructions)
        return does.replace(name=member.name, instructions=told, input=Errand, prompt=_to_write, output=Contribution)


def board_of(result: RunResult[Any]) -> Board:
    """The board as it was last, from the run of an agent that works as a Blackboard, however the run ended.

    Raises DefinitionError for a run without one.
    """
    boards = [record.output for record in result.activations if isinstance(record.output, Board)]
    if not boards:
        raise DefinitionError(f"run '{result.run_id}' has no board; it is not of the architecture 'blackboard'.")
    return max(boards, key=lambda board: (board.round, len(board.entries)))


def _answer_type(agent: Agent[Any, Any]) -> Any:
    # who asks for the board itself is given it as it is, so no model has to write it again
    return cast(Any, Answer)[str if agent.output is Board else agent.output]


def _in_turn(members: Sequence[str]) -> Callable[..., Any]:
    async def pick(board: Board) -> Picked:
        return Picked(board=board, contributors=[members[board.round % len(members)]])

    return pick


def _chooser(by: str, members: Sequence[str], repairs: int, final: Any) -> Callable[..., Any]:
    async def choose(given: Board, answer: Any) -> Any:
        if not isinstance(answer, Pick):
            return _final(final, given, answer)
        try:
            for name in answer.contributors:
                if name not in members:
                    raise UnknownWorkerError(by, name, members, given)
        except ArchitectureError as error:
            return given.sent_back(error, repairs)
        cleared = given.accepted()
        return Picked(board=cleared, contributors=list(dict.fromkeys(answer.contributors)))

    return choose


def _judge(final: Any) -> Callable[..., Any]:
    async def judge(given: Board, answer: Any) -> Any:
        if isinstance(answer, GoOn):
            return given.model_copy(update={"missing": answer.missing})
        return _final(final, given, answer)

    return judge


def _final(final: Any, board: Board, answer: Any) -> Any:
    done = board.model_copy(update={"missing": None})
    wanted = final.model_fields["answer"].annotation
    return final(answer=done if wanted is Board else answer.answer, board=done)


async def _assign(picked: Picked) -> list[Errand]:
    return [Errand(author=name, board=picked.board) for name in picked.contributors]


async def _note(errand: Errand, came: Any) -> Written:
    if isinstance(came, Contribution):
        return Written(author=errand.author, entries=came.entries)
    return Written(author=errand.author, entries=[Entry(kind="fact", text=shown(came))])


async def _post(picked: Picked, written: list[Written]) -> Board:
    board = picked.board
    entries, round = list(board.entries), board.round + 1
    for one in written:
        for entry in one.entries:
            number = len(entries) + 1
            entries.append(Posted(kind=entry.kind, text=entry.text, number=number, author=one.author, round=round))
    return board.model_copy(update={"entries": entries, "round": round})


def _answerer() -> Callable[..., Any]:
    async def answer(final: Any) -> Any:
        return final.answer

    return answer


def _to_write(errand: Errand) -> UserMessage:
    return _shown(errand.board)


def _shown(board: Board) -> UserMessage:
    lines = "\n".join(f"{entry.number}. {entry.kind} by {entry.author}: {entry.text}" for entry in board.entries)
    return sections(task=board.task, board=lines, missing=board.missing, not_possible=board.complaint)
