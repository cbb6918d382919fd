"""What a run comes to, as plain data that two independent implementations can be compared by.

Times, sequence numbers and the order of events are left out on purpose: they are what may differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from loomgraph.errors import Failure

__all__ = ["Answer", "Call", "Choices", "Decision", "Oracle", "Outcome", "Problem", "Record", "Status", "plain"]

Decision: TypeAlias = tuple[int, tuple[int, ...]]
Status: TypeAlias = Literal["succeeded", "failed", "handled", "skipped", "cancelled"]


@dataclass(frozen=True)
class Call:
    """One activation about to run: what its node's code can know."""

    key: str
    name: str
    value: Any
    state: dict[str, Any] | None


@dataclass(frozen=True)
class Answer:
    """What a node's code said: its value and its state updates, in order. Failing is raising."""

    value: Any
    updates: tuple[tuple[str, Any], ...] = ()


Oracle: TypeAlias = Callable[[Call], Answer]


@dataclass
class Record:
    """One activation's fate. `error` is the class name of why it failed; `taken` the edges it took. `causes` are the
    keys of the failures that put a quorum out of reach (None: not known)."""

    status: Status
    input: Any = None
    output: Any = None
    error: str | None = None
    taken: tuple[int, ...] = ()
    causes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Problem:
    """Why a run has no result: the class name of the error and the activation (or loop) it is about."""

    error: str
    where: str


@dataclass
class Choices:
    """The declared exceptions to determinism, as the log has them: what was left to time.

    `joins`: the winners of early joins, each with its place in the log, by the target's key at that time (a join of
    back edges is decided an iteration early). `maps`: the items in each map's value. `cut`: what was skipped or
    cancelled, with its place; what comes after the decision of a join that it feeds was cut off by it. `started` and
    `ended`: the headers' keys of the iterations that began after a first, and of those that ended a loop.
    """

    joins: dict[str, list[Decision]] = field(default_factory=dict[str, list[Decision]])
    maps: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    cut: dict[str, tuple[int, Status]] = field(default_factory=dict[str, tuple[int, Status]])
    started: set[str] = field(default_factory=set[str])
    ended: set[str] = field(default_factory=set[str])


@dataclass
class Outcome:
    """Everything timing must not change. `loops` has the edges that each loop released as taken when it ended, by its
    header's key in the last iteration."""

    records: dict[str, Record] = field(default_factory=dict[str, Record])
    loops: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    problems: set[Problem] = field(default_factory=set[Problem])
    output: Any = None
    state: dict[str, Any] | None = None


def plain(value: Any) -> Any:
    """A value with failures reduced to a mark: which of several failures a handler is told about is not compared."""
    match value:
        case Failure():
            return "<failure>"
        case list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case _:
            return value
