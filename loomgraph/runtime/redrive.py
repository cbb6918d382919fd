"""A run driven once more, with another graph or with edits: which old answers still fit, and which do not.

An old answer is taken over only if the activation has the same key, its node does the same (by fingerprint, types
included), it is given the same input and sees the same state; whatever differs in one of these runs anew. Values are
compared by the content that the log refers to. The same holds for the durable steps of an activation that had begun.
What a node reads besides (deps, metadata, the clock, the world) is not looked at.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from loomgraph.compile.blueprint import Blueprint
from loomgraph.engine.activation import PATCHED, Activation, Stored
from loomgraph.engine.early import tolerates
from loomgraph.engine.fold import Past
from loomgraph.engine.later import Later
from loomgraph.engine.machine import Machine
from loomgraph.engine.reuse import Answer
from loomgraph.errors import EffectDoneError, Failure
from loomgraph.events import (
    AttemptFailed,
    NodeFailed,
    NodeHeld,
    NodeStarted,
    NodeSucceeded,
    QuestionAnswered,
    QuestionAsked,
    RunRedriven,
    RunStarted,
    SignalReceived,
    StepSucceeded,
)
from loomgraph.runtime.asking import DOUBT
from loomgraph.runtime.durable import DurableJournal
from loomgraph.runtime.format import LogFormat, read_event
from loomgraph.runtime.notes import Notes
from loomgraph.runtime.traces import Basis, Trace
from loomgraph.runtime.waiting import plain_fields
from loomgraph.store.protocol import StoredEvent

__all__ = ["Answers", "Redrive", "passes"]


def passes(events: list[StoredEvent]) -> list[int]:
    """Where the passes of a log through its graph begin: at RunStarted, and at every RunRedriven."""
    return [event.seq for event in events if event.kind in _BEGINS]


_BEGINS = ("R", "R<")


@dataclass(slots=True)
class _Old:
    """An old answer, and what its activation was given."""

    seq: int
    basis: Basis
    past: Past
    ways: Any


@dataclass(slots=True)
class _Earlier:
    """What earlier passes say of one activation key; `seq` is its last event."""

    seq: int = 0
    answers: list[_Old] = field(default_factory=list[_Old])
    # how a map failed, and attempts of a graph
    failed: list[_Old] = field(default_factory=list[_Old])
    # durable steps, and what people answered: (basis, event)
    steps: list[tuple[Basis, Past]] = field(default_factory=list["tuple[Basis, Past]"])
    began: list[Basis | None] = field(default_factory=list["Basis | None"])


class Answers(NamedTuple):
    """How answers are taken over: whether what must not happen twice may, who records those of people, and the run's
    notes, of which those of earlier passes hold whose activations are given the same."""

    again: bool
    record: Callable[[Any, Any, tuple[Any, ...]], None]
    notes: Notes


class Redrive:
    """Finds the answers of earlier passes for the activations of this one."""

    def __init__(
        self,
        run_id: str,
        machine: Machine,
        journal: DurableJournal,
        history: list[StoredEvent],
        answers: Answers,
    ) -> None:
        self._run_id = run_id
        self._machine = machine
        self._journal = journal
        self._answers = answers
        self._log: LogFormat = journal.log
        self._log.kept = {}
        self._values: Mapping[bytes, bytes] = ChainMap(self._log.kept, dict(journal.values))
        self._earlier: dict[str, _Earlier] = {}
        # what old passes had asked and not yet had an answer to, while their steps are gone through
        self._asked: dict[str, Past] = {}
        self._trace: Trace | None = None
        # what activations were given when they began: in earlier passes, by where those began; in this one, by key
        self._given: dict[tuple[str, int], Basis] = {}
        self._gives: dict[str, Basis] = {}
        self._passes = passes(history)
        # of this pass: what was taken over, and items of lists, which have a place of their own
        self._reused: set[str] = set()
        self._listed: set[str] = set()
        self._read(history)
        journal.listener = self.tell
        answers.notes.begin, answers.notes.holds = len(history), self.holds

    def tell(self, events: list[StoredEvent]) -> None:
        """Events of this pass, from its RunRedriven on."""
        pasts = [read_event(stored) for stored in events]
        for at, past in enumerate(pasts):
            if past[0] in (RunRedriven, RunStarted):
                self._trace = Trace(self._run_id, self._log.codec, self._values, past)
                self._trace.foresee(pasts[at:])
        assert self._trace is not None
        self._trace.foresee(pasts)
        for past in pasts:
            kind, key, values = past
            if kind in _SETTLED and key in self._earlier:
                self._basis(key)
                if values[-1] == "reused":
                    self._reused.add(key)
            self._trace.tell(past)
            if kind is NodeStarted and key in self._earlier:
                self._basis(key)

    def holds(self, key: str, seq: int) -> bool:
        """Whether what an activation noted in an earlier pass, when so many events were durable, holds in this one.

        It does where the activation is given the same, and where one was taken over whose code ran it with ctx.run.
        """
        self._journal.encode()
        begin = self._passes[bisect_left(self._passes, seq) - 1]
        return self._same(key, begin) or any(
            owner in self._reused and self._same(owner, begin) for owner in _owners(key)
        )

    def _same(self, key: str, begin: int) -> bool:
        was, now = self._given.get((key, begin)), self._gives.get(key)
        if was is None or now is None:
            return False
        return was.whole == now.whole or (was.item == now.item and (key in self._reused or key in self._listed))

    def _basis(self, key: str) -> Basis | None:
        """What an activation of this pass is given, as it is when it begins."""
        assert self._trace is not None
        basis = self._gives.get(key) or self._trace.basis(key)
        if basis is not None:
            self._gives[key] = basis
        return basis

    def find(self, activation: Activation) -> Answer | None:
        """What earlier passes, or an edit, say of an activation that is about to start; None if it has to run."""
        key = activation.key
        found = self._earlier.get(key)
        edits = self._machine.edits
        if edits is not None and key in edits.outputs:
            return self._edited(activation, found, edits.outputs[key])
        if found is None:
            return None
        plan = activation.scope.plan
        if plan.graphs[activation.node] is not None:
            limited = plan.definition.nodes[activation.node].limit is not None
            return None if limited else Answer(found.seq, enter=True)
        self._journal.encode()
        basis = self._basis(key)
        if activation.owner is not None and not isinstance(activation.owner.input, (set, frozenset)):
            self._listed.add(key)
        for old in reversed(found.answers):
            if basis is not None and _fits(activation, basis, old.basis) and not self._touched(key):
                answer = self._answer(activation, old)
                if answer is not None:
                    return answer
        if plan.definition.nodes[activation.node].effect == "once" and found.began and not self._answers.again:
            return Answer(found.seq, refusal=EffectDoneError(activation.path))
        if basis is not None:
            self._keep_steps(activation, found, basis)
        return None

    # ------------------------------------------------------------------ answers

    def _edited(self, activation: Activation, found: _Earlier | None, ref: Any) -> Answer:
        """The edited output; what the activation wrote to the state stays, where it would still write that."""
        updates: Any = []
        if found is not None and found.answers:
            self._journal.encode()
            basis = self._basis(activation.key)
            fitting = [old for old in found.answers if basis is not None and _fits(activation, basis, old.basis)]
            if fitting and fitting[-1].past[0] is not NodeFailed:
                updates = fitting[-1].past[2][3]

        def load() -> tuple[Any, Any]:
            value = self._log.value(activation, ref, self._values)
            return value, self._log.updates(activation, updates, self._values)

        return Answer(0 if found is None else found.seq, load, origin="edited")

    def _answer(self, activation: Activation, old: _Old) -> Answer | None:
        kind, _, values = old.past
        if kind is not NodeFailed:

            def load() -> tuple[Any, Any]:
                value = self._log.value(activation, values[1], self._values)
                return value, self._log.updates(activation, values[3], self._values)

            return Answer(old.seq, load, values[0])
        failure: Failure = values[1]
        taken = self._taken(activation, old.ways, values[2])
        if taken is None:
            return None
        return Answer(old.seq, None, values[0], failure=failure, taken=taken)

    def way(self, activation: Activation) -> tuple[int, ...]:
        """The on_error edges of a map or graph that fails with what it failed with before."""
        old = self._failed_before(activation)
        return () if old is None else self._settled_by(activation, old) or ()

    def retried(self, activation: Activation) -> bool:
        """Whether this attempt of a graph failed before and was followed by another one, which is then taken up."""
        old = self._failed_before(activation)
        if old is None or old.past[0] is not AttemptFailed:
            return False
        following = self._failed_before(activation, activation.attempt + 1)
        if following is not None and self._settled_by(activation, following) is None:
            activation.spent = activation.attempt  # nobody took that failure: going on after it begins anew
        return True

    def _failed_before(self, activation: Activation, attempt: int | None = None) -> _Old | None:
        """How a map failed, or an attempt of a graph (this one, if left out), when it was given the same."""
        found = self._earlier.get(activation.key)
        if found is None:
            return None
        assert self._trace is not None
        basis = self._trace.basis(activation.key)
        wanted = activation.attempt if attempt is None else attempt
        for old in reversed(found.failed):
            if old.past[2][0] == wanted and basis is not None and _fits(activation, basis, old.basis):
                return old
        return None

    def _settled_by(self, activation: Activation, old: _Old) -> tuple[int, ...] | None:
        """The edges that a map or graph takes if it fails like this; None if it would not be settled by that.

        Whether it was tried again is in the log, and not asked of its policy: of the exception only the name is left.
        """
        if old.past[0] is AttemptFailed:
            return ()
        return self._taken(activation, old.ways, old.past[2][2])

    def _fails_again(self, activation: Activation) -> bool:
        """Whether a map or graph is settled when it fails as it did before."""
        old = self._failed_before(activation)
        return old is not None and self._settled_by(activation, old) is not None

    def _taken(self, activation: Activation, ways: Any, taken: tuple[int, ...]) -> tuple[int, ...] | None:
        """The edges that an old failure takes now; None if nobody says that it would still be taken by one."""
        if activation.owner is not None:
            run = activation.owner.map
            assert run is not None
            if run.need or run.spec.on_error != "fail":
                return ()
            return () if self._fails_again(activation.owner) else None
        assert self._trace is not None
        now = _ways(self._trace, self._trace.fold.index[activation.key])
        plan = activation.scope.plan
        if [way[1:] for way in ways] != [way[1:] for way in now]:
            return None  # an edge may ask for the exception, and of that only the name is left
        if taken:
            places = [way[0] for way in ways]
            return tuple(plan.out_error[activation.node][places.index(edge)] for edge in taken)
        if not ways and tolerates(activation.scope, activation.node):
            return ()
        # else the graph it is in fails with it, which may be what somebody has taken
        outer = activation.scope.parent
        inside = outer is not None and outer.child is activation.scope
        return () if inside and outer is not None and self._fails_again(outer) else None

    def _keep_steps(self, activation: Activation, found: _Earlier, basis: Basis) -> None:
        """The durable steps of an activation that had begun with the same: they are not taken again."""
        for was, past in found.steps:
            if _fits(activation, basis, was):
                self._keep_step(activation, past)
        if any(not step.startswith(PATCHED) for step in activation.steps):
            self._machine.inherit(activation)

    def _keep_step(self, activation: Activation, past: Past) -> None:
        kind, _, values = past
        if kind is StepSucceeded and values[0] not in activation.steps:
            self._kept(activation, values[0], values[0], values[1])
            value = Later(self._plain, activation.key, values[1])
            self._journal.add(StepSucceeded, activation, (values[0], value, "reused"))
        elif kind is QuestionAsked and f"ask:{values[0]}" not in activation.steps and DOUBT not in values[0]:
            self._asked[values[0]] = past
        elif kind is QuestionAnswered and values[0] in self._asked:
            asked = self._asked.pop(values[0])
            codec, known = self._log.codec, self._values
            self._answers.record(QuestionAsked, activation, plain_fields(codec, QuestionAsked, asked[2], known))
            self._kept(activation, f"ask:{values[0]}", f"ask:{values[0]}", values[1])
            self._answers.record(kind, activation, plain_fields(codec, kind, values, known))
        elif kind is SignalReceived and values[3] is None:
            self._kept(activation, activation.next_signal(values[0]), f"message:{values[1]}", values[2])
            self._answers.record(kind, activation, plain_fields(self._log.codec, kind, values, self._values))

    def _kept(self, activation: Activation, step: str, written: str, ref: Any) -> None:
        activation.stepped(step, Stored(ref))
        self._log.keep_step(activation, written, ref)

    def _plain(self, key: str, ref: Any) -> Any:
        return self._log.codec.load(Any, ref, self._values, f"'{key}'")

    def _touched(self, key: str) -> bool:
        """Whether something was edited in a graph that the activation runs with ctx.run."""
        edits = self._machine.edits
        inside = f"{key}/@"
        return edits is not None and any(k.startswith(inside) for k in (*edits.inputs, *edits.outputs))

    # ------------------------------------------------------------------ the history

    def _read(self, history: list[StoredEvent]) -> None:
        for begin, end in itertools.pairwise([*passes(history), len(history)]):
            pasts = [read_event(stored) for stored in history[begin:end]]
            trace = Trace(self._run_id, self._log.codec, self._values, pasts[0])
            trace.foresee(pasts)
            for seq, past in enumerate(pasts[1:], begin + 1):
                if past[0] is NodeStarted:
                    trace.tell(past)  # an edited input comes with it
                if past[0] in _OF_INTEREST:
                    self._note(trace, begin, seq, past)
                if past[0] is not NodeStarted:
                    trace.tell(past)

    def _note(self, trace: Trace, begin: int, seq: int, past: Past) -> None:
        kind, key, _ = past
        earlier = self._earlier.setdefault(key, _Earlier())
        earlier.seq = seq
        activation = trace.fold.index.get(key)
        basis = None if activation is None else trace.basis(key)
        if kind is NodeStarted:
            earlier.began.append(basis)
            if basis is not None:
                self._given[key, begin] = basis
        elif activation is None or basis is None:
            return  # in a graph that the log does not keep
        elif kind in _PARTS:
            earlier.steps.append((basis, past))
        elif kind is AttemptFailed:
            if activation.child is not None:
                earlier.failed.append(_Old(seq, basis, past, []))
        elif activation.map is None and activation.child is None:
            earlier.answers.append(_Old(seq, basis, past, list(_ways(trace, activation))))
        elif kind is NodeFailed:
            earlier.failed.append(_Old(seq, basis, past, list(_ways(trace, activation))))


def _owners(key: str) -> Iterator[str]:
    """The activations whose code ran the graphs, with ctx.run, that a key lies in; the innermost first."""
    at = key.rfind("/@")
    while at >= 0:
        head = key[:at]
        base, _, again = head.rpartition("!")
        yield base if base and again.isdigit() else head
        at = key.rfind("/@", 0, at)


_SETTLED = frozenset({NodeSucceeded, NodeFailed})
_PARTS = frozenset({StepSucceeded, QuestionAsked, QuestionAnswered, SignalReceived})
_OF_INTEREST = _PARTS | {NodeStarted, AttemptFailed, NodeSucceeded, NodeHeld, NodeFailed}


def _fits(activation: Activation, now: Basis, was: Basis) -> bool:
    owner = activation.owner
    if owner is not None and isinstance(owner.input, (set, frozenset)):
        return now.whole == was.whole
    return now.item == was.item


def _ways(trace: Trace, activation: Activation) -> Iterator[tuple[int, str, Any]]:
    """The on_error edges out of an activation's node: index, target, exceptions."""
    plan = activation.scope.plan
    blueprint: Blueprint = plan.definition.metadata["blueprint"]
    for edge in plan.out_error[activation.node]:
        written = blueprint["edges"][edge]
        yield edge, plan.names[plan.dst[edge]], written[5] if len(written) > 5 else None
