"""What a run's log says it waits for: open questions, awaited signals, where it was told to stop. Only reads.

Told a log's events one by one, in order, with questions and schemas as plain JSON data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loomgraph.engine.facts import Entry, key_of
from loomgraph.events import (
    MessageRefused,
    NodeCancelled,
    NodeFailed,
    NodeSucceeded,
    QuestionAnswered,
    QuestionAsked,
    QuestionWithdrawn,
    RunRedriven,
    RunResumed,
    RunSuspended,
    SignalAwaited,
    SignalReceived,
    path_of,
)
from loomgraph.store.codec import Codec

__all__ = ["Awaited", "Question", "WaitingFold", "plain_fields"]

# which fields of an event are references to values
_REFS: Mapping[Any, tuple[int, ...]] = {
    QuestionAsked: (1, 2),
    QuestionAnswered: (1,),
    SignalAwaited: (1,),
    SignalReceived: (2,),
}
_ENDED: frozenset[Any] = frozenset({NodeSucceeded, NodeFailed, NodeCancelled})
_TOLD: frozenset[Any] = _ENDED | {*_REFS, MessageRefused, QuestionWithdrawn, RunSuspended, RunResumed, RunRedriven}


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
    """The fold. `questions` are in log order; `closed` says why an id takes no answer any more.

    `asked` has what was last asked under each id; `awaited` who waits for each signal, in log order. `received` are the
    ids of the messages that were delivered or refused, `passed` where the run has stopped as it was told, `interrupts`
    those of them that it stands at.
    """

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.questions: dict[str, Question] = {}
        self.closed: dict[str, str] = {}
        self.awaited: dict[str, dict[int, Awaited]] = {}
        self.received: set[str] = set()
        self.passed: set[tuple[str, str]] = set()
        self.interrupts: tuple[tuple[str, str], ...] = ()
        # by id, the questions that were open when the run was driven once more
        self.former: dict[str, Question] = {}
        self.redriven = False
        # by activation key: the ids of its open questions; the signals it waits for, with the event that says so
        self._asks: dict[str, dict[str, None]] = {}
        self._waits: dict[str, list[tuple[str, int]]] = {}

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> WaitingFold:
        """The fold of a log."""
        made = cls()
        for seq, (time, kind, subject, values) in enumerate(entries):
            if kind in _ENDED:
                if made._waits:
                    made.leave(key_of(subject))
            elif kind in _TOLD:
                made.tell(seq, time, kind, key_of(subject), values)
        return made

    def tell(self, seq: int, time: float, kind: Any, key: str, values: tuple[Any, ...]) -> None:
        """One event; `values` are its own fields, in the order of `facts.FIELDS`."""
        if kind is QuestionAsked:
            self._ask(seq, time, key, values)
        elif kind is QuestionAnswered:
            self.close(values[0], "it has its answer" if values[2] is None else f"{values[2]} has answered it")
        elif kind is QuestionWithdrawn:
            self.close(values[0], f"it was withdrawn, because {values[1]}")
        elif kind is SignalAwaited:
            self.awaited.setdefault(values[0], {})[seq] = Awaited(key, values[0], values[1] or {})
            self._waits.setdefault(key, []).append((values[0], seq))
        elif kind is SignalReceived:
            self.received.add(values[1])
            if values[3] is None:
                self._arrived(key, values[0])
        elif kind is MessageRefused:
            self.received.add(values[0])
        elif kind is RunSuspended:
            self.interrupts = tuple((when, where) for when, where in values[2])
            self.passed.update(self.interrupts)
        elif kind is RunResumed:
            self.interrupts = ()
        elif kind is RunRedriven:
            self.again()
        elif kind in _ENDED:
            self.leave(key)

    def again(self) -> None:
        """Another pass begins: nobody waits. What was delivered stays delivered, where the run stopped is passed."""
        waited = {id: question for id, question in self.former.items() if id not in self.asked}
        self.former = {**waited, **self.questions}
        self.redriven = True
        for id in list(self.questions):
            self.close(id, "the run was driven once more")
        self.asked, self.awaited, self.interrupts = {}, {}, ()
        self._asks, self._waits = {}, {}

    def answerable(self, id: str) -> Question | None:
        """The question that an answer with this id is for: an open one, or one that was open until the run was driven
        once more, and that it has not come to again. Whether it will ask the same is seen when it does."""
        return self.questions.get(id) or (None if id in self.asked else self.former.get(id))

    def same(self, id: str) -> bool:
        """Whether an open question is the one that was open before the run was driven once more: its answer fits."""
        was, now = self.former[id], self.questions[id]
        return (was.question, was.schema) == (now.question, now.schema)

    def unasked(self, id: str) -> bool:
        """Whether the question is one of an earlier pass, and this one has not come to it yet."""
        return self.redriven and id not in self.asked

    def questions_of(self, key: str) -> list[str]:
        """The ids of an activation's open questions."""
        return list(self._asks.get(key, ()))

    def signals_of(self, key: str) -> list[str]:
        """The signals that an activation waits for; one that it waits for twice is in it twice."""
        return [signal for signal, _ in self._waits.get(key, ())]

    @property
    def waited(self) -> bool:
        """Whether the run has ever waited for somebody."""
        return bool(self.asked or self.awaited or self.received or self.passed or self.former)

    @property
    def signals(self) -> tuple[str, ...]:
        """The names of all signals that are waited for."""
        return tuple(name for name, waiting in self.awaited.items() if waiting)

    @property
    def keys(self) -> set[str]:
        """The activations that wait for an answer or a signal."""
        return {key for index in (self._asks, self._waits) for key, waiting in index.items() if waiting}

    def close(self, id: str, reason: str) -> None:
        """A question takes no answer any more."""
        question = self.questions.pop(id, None)
        if question is not None:
            del self._asks[question.key][id]
        self.closed[id] = reason

    def leave(self, key: str) -> None:
        """An activation waits for no signal any more."""
        for signal, seq in self._waits.pop(key, ()):
            del self.awaited[signal][seq]

    def _ask(self, seq: int, time: float, key: str, values: tuple[Any, ...]) -> None:
        id, question, expects, refused = values
        self.questions.pop(id, None)
        self.closed.pop(id, None)
        self.asked[id] = question
        self.questions[id] = Question(id, key, path_of(key), question, expects or {}, time, seq, refused)
        self._asks.setdefault(key, {})[id] = None

    def _arrived(self, key: str, signal: str) -> None:
        waits = self._waits.get(key, [])
        for i, (name, seq) in enumerate(waits):
            if name == signal:
                del waits[i], self.awaited[signal][seq]
                return


def plain_fields(codec: Codec, kind: Any, fields: tuple[Any, ...], values: Mapping[bytes, bytes]) -> tuple[Any, ...]:
    """An event's fields; of those about questions and signals, with plain JSON data where the log has references."""
    refs = _REFS.get(kind)
    if refs is None:
        return fields
    return tuple(
        codec.load(Any, field, values, f"{kind.__name__} of '{fields[0]}'") if i in refs else field
        for i, field in enumerate(fields)
    )
