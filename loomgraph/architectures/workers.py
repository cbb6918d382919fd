"""Workers: the agents, graphs and architectures that another agent hands work to, each with a name and a description.

A worker begins a fresh conversation each time it is called, about its part alone, unless an architecture says
`conversation="shared"`: then it is shown what was said before its part too, as text. Its user, its budget and its
limits are the caller's, and what it uses is counted there, because it is a graph inside the caller's run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import Field

from loomgraph.architectures.roles import Part, Travelling, part
from loomgraph.errors import (
    ArchitectureError,
    DefinitionError,
    LoopCapError,
    ModelError,
    NodeTimeoutError,
    ToolError,
    names,
)
from loomgraph.graph.refs import Embeddable
from loomgraph.nodes.agent import Agent, Architecture
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.workflow import Workflow

__all__ = [
    "TOLERATED",
    "Answer",
    "Called",
    "Member",
    "Sharing",
    "Worker",
    "Workers",
    "check_names",
    "listed",
    "one_of",
    "one_word",
    "refuse_tools",
    "shares",
    "workers_of",
]


@dataclass(frozen=True)
class Worker:
    """Who does the work, and what whoever chooses is told of it; by default the agent's or graph's own description."""

    does: Part
    description: str | None = None


Sharing: TypeAlias = Literal["fresh", "shared"]
"""What whoever does a part is shown: the task and its part, or what was said before it too. The same for all who work
at the same time, whoever is faster."""

TOLERATED: tuple[type[Exception], ...] = (
    ArchitectureError,
    LoopCapError,
    ModelError,
    NodeTimeoutError,
    OSError,
    ToolError,
)
"""Failures that say something of the work and not of the code: the others may go on without whoever failed. Any other
fails the run: a mistake in code, a spent budget."""

T = TypeVar("T")

Workers: TypeAlias = (
    "Mapping[str, Worker | Part] | Sequence[Worker | Agent[Any, Any] | Graph[Any, Any] | Workflow[Any, Any]]"
)
"""Workers by name, or in a row, each under its own name."""


@dataclass(frozen=True)
class Member:
    """One worker, ready to stand as a node. `own` says that it works with the calling agent's model and tools."""

    name: str
    does: Embeddable
    description: str
    own: bool


class Answer(Travelling, Generic[T]):
    """This is the answer to the task."""

    kind: Literal["answer"]
    answer: T


def shares(name: str, conversation: Sharing) -> bool:
    """Whether those who work for the agent `name` share the conversation. Raises DefinitionError for another word."""
    one_word(name, "conversation", conversation, ("fresh", "shared"))
    return conversation == "shared"


def one_word(name: str, setting: str, word: Any, known: Sequence[str]) -> None:
    """Raise DefinitionError if a setting of the agent `name` has none of the words that are known."""
    if word not in known:
        raise DefinitionError(f"agent '{name}': {setting}={word!r} is unknown; use {names(list(known), 'or')}.")


def one_of(names: Sequence[str]) -> Any:
    """The type of a name, whose schema says which there are; whoever reads it checks that it is one of them."""
    extra: dict[str, Any] = {"enum": list(names)}
    return Annotated[str, Field(json_schema_extra=extra)]


@dataclass(frozen=True)
class Called:
    """A condition: whether a value's `field` has this name."""

    field: str
    name: str

    def __call__(self, value: Any) -> bool:
        """Whether it is meant."""
        return bool(getattr(value, self.field) == self.name)


def workers_of(
    given: Workers, agent: Agent[Any, Any], what: str, *, taken: Collection[str] = (), **changes: Any
) -> dict[str, Member]:
    """The workers by name, in order. An architecture is worked by `agent` with these `changes`.

    Raises DefinitionError if there are none, for two of one name, for a row with what has no name of its own, and for a
    name that is empty or `taken` by a node of the architecture.
    """
    members: dict[str, Member] = {}
    named = _named(given, agent, what)
    check_names([name for name, _ in named], agent.name, what, taken)
    for name, worker in named:
        does, description = (worker.does, worker.description) if isinstance(worker, Worker) else (worker, None)
        if name in members:
            raise DefinitionError(f"agent '{agent.name}' has two {what}s called '{name}'; give each its own name.")
        own = isinstance(does, (str, Architecture))
        members[name] = Member(name, part(does, agent, name, **changes), description or _described(does), own)
    if not members:
        raise DefinitionError(f"agent '{agent.name}' needs at least one {what}.")
    return members


def check_names(given: Sequence[str], agent: str, what: str, taken: Collection[str]) -> None:
    """Raise DefinitionError for a name that is no name, or that a node of the architecture has."""
    for name in given:
        if not isinstance(name, str) or not name.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"agent '{agent}': {name!r} cannot be the name of a {what}; give it one.")
        if name in taken or any(name == f"to {other}" for other in given):
            one = "an agent" if what == "agent" else f"a {what}"
            raise DefinitionError(
                f"agent '{agent}': {one} cannot be called '{name}', as a node of the architecture is. Give a mapping "
                f"with another name for it: {{'the {name}': ...}}."
            )


def listed(members: Mapping[str, Member]) -> str:
    """The workers as a model is told of them, a line each."""
    return "\n".join(
        f"- {name}: {member.description}" if member.description else f"- {name}" for name, member in members.items()
    )


def refuse_tools(agent: Agent[Any, Any], architecture: str, members: Mapping[str, Member]) -> None:
    """Raise DefinitionError for an agent whose tools nobody would ever call."""
    if agent.tools and not any(member.own for member in members.values()):
        tools = names([tool.name for tool in agent.tools])
        raise DefinitionError(
            f"agent '{agent.name}': in the architecture '{architecture}' nobody would call its tools ({tools}). Give "
            f"them to those who do the work: {names(list(members))}."
        )


def _named(given: Workers, agent: Agent[Any, Any], what: str) -> list[tuple[str, Any]]:
    if isinstance(given, Mapping):
        return list(given.items())
    named: list[tuple[str, Any]] = []
    for worker in given:
        does = worker.does if isinstance(worker, Worker) else worker
        if not isinstance(does, (Agent, Graph, Workflow)):
            raise DefinitionError(
                f"agent '{agent.name}': the {what} {does!r:.80} has no name of its own. Give a mapping from names."
            )
        named.append((does.name, worker))
    return named


def _described(does: Part) -> str:
    if isinstance(does, Agent):
        return does.description or ""
    if isinstance(does, Graph):
        return does.definition.doc or ""
    return does.define().doc or "" if isinstance(does, Workflow) else ""
