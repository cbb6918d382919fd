"""What a run's log says it waits for: open questions, awaited signals, where it was told to stop. Only reads.

Told a log's events one by one, in order, with questions and schemas as plain JSON data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loomgraph.events import (
    NodeCancelled,
    NodeFailed,
    NodeSucceeded,
    QuestionAnswered,
    QuestionAsked,
    QuestionWithdrawn,
    RunResumed,
    RunSuspended,
    SignalAwaited,
    SignalReceived,
    escape,
    node_path,
)

__all__ = ["WAITING", "Awaited", "Question", "WaitingFold"]

WAITING: frozenset[Any] = frozenset(
    {QuestionAsked, QuestionAnswered, QuestionWithdrawn, SignalAwaited, SignalReceived, RunSuspended, RunResumed}
)
_ENDED: frozenset[Any] = frozenset({NodeSucceeded, NodeFailed, NodeCancelled})


@dataclass(frozen=True, slots=True)
class Question:
    """One open question of a run.

    `id` is what answers are bound to, `key` the activation that asks and `node` its path; `question` is plain JSON data
    (a text, most often), `schema` the JSON schema of its answers; `asked` is when, in seconds since the epoch, and
    `seq` the number of that event in the log. `refused` says why the last answer was not taken.
    """

    id: str
    key: str
    node: str
    question: Any
    schema: Mapping[str, Any]
    asked: float
    seq: int
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Awaited:
    """An activation that waits for a signal, and the JSON schema of what it takes."""

    key: str
    signal: str
    schema: Mapping[str, Any]


class WaitingFold:
    """The fold. `questions` and `awaited` are in log order; `closed` says why an id takes no answer any more.

    `received` are the ids of the messages that were delivered, `passed` where the run has stopped as it was told,
    `interrupts` those of them that it stands at.
    """

    def __init__(self) -> None:
        self.questions: dict[str, Question] = {}
        self.closed: dict[str, str] = {}
        self.awaited: list[Awaited] = []
        self.received: set[str] = set()
        self.passed: set[tuple[str, str]] = set()
        self.interrupts: tuple[tuple[str, str], ...] = ()

    def tell(self, seq: int, time: float, kind: Any, key: str, values: tuple[Any, ...]) -> None:
        """One event; `values` are its own fields, in the order of `facts.FIELDS`."""
        if kind is QuestionAsked:
            id, question, expects, refused = values
            node = "/".join(escape(name) for name in node_path(key))
            self.questions.pop(id, None)
            self.closed.pop(id, None)
            self.questions[id] = Question(id, key, node, question, expects or {}, time, seq, refused)
        elif kind is QuestionAnswered:
            self.close(values[0], "it has its answer" if values[2] is None else f"{values[2]} has answered it")
        elif kind is QuestionWithdrawn:
            self.close(values[0], f"it was withdrawn, because {values[1]}")
        elif kind is SignalAwaited:
            self.awaited.append(Awaited(key, values[0], values[1] or {}))
        elif kind is SignalReceived:
            self.received.add(values[1])
            if values[3] is None:
                self._arrived(key, values[0])
        elif kind is RunSuspended:
            self.interrupts = tuple((when, where) for when, where in values[2])
            self.passed.update(self.interrupts)
        elif kind is RunResumed:
            self.interrupts = ()
        elif kind in _ENDED and self.awaited:
            self.awaited = [waiting for waiting in self.awaited if waiting.key != key]

    def close(self, id: str, reason: str) -> None:
        """A question takes no answer any more."""
        self.questions.pop(id, None)
        self.closed[id] = reason

    def _arrived(self, key: str, signal: str) -> None:
        for i, waiting in enumerate(self.awaited):
            if waiting.key == key and waiting.signal == signal:
                del self.awaited[i]
                return
