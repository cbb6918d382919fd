"""What a run leaves behind: its output, and every activation as a fold of its log. Read-only."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, TypeAlias

from typing_extensions import TypeVar

from loomgraph.compile.compiled import CompiledGraph
from loomgraph.engine.activation import Activation, Named
from loomgraph.engine.facts import Entry, Shadow, event_of, key_of
from loomgraph.engine.later import Later
from loomgraph.errors import Failure, RunSuspendedError, brief_text
from loomgraph.events import (
    AttemptFailed,
    Event,
    Metered,
    NodeCancelled,
    NodeFailed,
    NodeHeld,
    NodeSkipped,
    NodeStarted,
    NodeSucceeded,
    Origin,
    QuestionAsked,
    RunRedriven,
    RunStarted,
    ScopeStarted,
    SignalAwaited,
    node_path,
)
from loomgraph.graph.ownership import own
from loomgraph.runtime.drawing import DrawableRun, Drawn
from loomgraph.runtime.tables import ActivationTable, EventTable
from loomgraph.runtime.waiting import Question, WaitingFold
from loomgraph.store.protocol import RunStatus

__all__ = ["ActivationRecord", "ActivationStatus", "RunResult", "RunStatus", "Usage", "finished", "fold", "usage_of"]

OutT = TypeVar("OutT", default=Any)

ActivationStatus: TypeAlias = Literal["running", "waiting", "succeeded", "failed", "handled", "skipped", "cancelled"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run, or one activation, used. `amounts` is what its attempts counted with `ctx.meter`, added up by name.

    Model nodes count `model_calls`, `input_tokens`, `output_tokens` and, where prices are known, `cost`.
    """

    activations: int = 0
    attempts: int = 0
    amounts: Mapping[str, int | float] = field(default_factory=dict[str, "int | float"])

    @property
    def model_calls(self) -> int:
        """How many calls of models."""
        return int(self.amounts.get("model_calls", 0))

    @property
    def input_tokens(self) -> int:
        """How many tokens went into models."""
        return int(self.amounts.get("input_tokens", 0))

    @property
    def output_tokens(self) -> int:
        """How many tokens came out of models."""
        return int(self.amounts.get("output_tokens", 0))

    @property
    def cost(self) -> float:
        """What it cost, in the currency of the models' prices."""
        return float(self.amounts.get("cost", 0.0))


@dataclass(slots=True)
class ActivationRecord:
    """One activation of a run, folded from its events. Times are seconds since the epoch.

    `handled` is a failure that an on_error edge took, `waiting` is for an answer or a signal. `input` is by parameter
    name where a join bound several.
    `origin` says whether its code ran, or its answer was "reused" from before a fork or a change, or "edited"; such a
    record has no attempts.
    """

    key: str
    node: str
    path: tuple[str, ...]
    iteration: tuple[int, ...]
    index: int | None
    status: ActivationStatus = "running"
    attempts: int = 0
    input: Any = None
    output: Any = None
    failure: Failure | None = None
    started: float | None = None
    ended: float | None = None
    cached: bool = False
    origin: Origin = "run"
    taken: tuple[int, ...] = ()
    failures: list[Failure] = field(default_factory=list[Failure])
    amounts: dict[str, int | float] = field(default_factory=dict[str, "int | float"])

    @property
    def seconds(self) -> float | None:
        """From the first attempt's start to the end; None if it never started or has not ended."""
        if self.started is None or self.ended is None:
            return None
        return self.ended - self.started


def fold(entries: list[Entry]) -> tuple[ActivationRecord, ...]:
    """The activations of a log, in the order they first appear in it."""
    # by key, for a run that was resumed has activations of more than one process
    records: dict[str, ActivationRecord] = {}
    waits = False
    for time, kind, subject, values in entries:
        if kind is RunRedriven:
            records.clear()  # what stands before it is the history of another pass
        if kind not in _FOLDED:
            waits = waits or kind is QuestionAsked or kind is SignalAwaited
            continue
        key = subject.key
        record = records.get(key)
        if record is None:
            record = records[key] = _record(subject, key)
        if kind is NodeStarted:
            record.attempts, record.input = values[0], _plain(values[1])
            record.started = time if record.started is None else record.started
            record.status, record.failure, record.ended = "running", None, None
            continue
        if kind is AttemptFailed:
            record.failures.append(values[1])
            continue
        if kind is Metered:
            _add(record.amounts, values[0])
            continue
        record.ended = time
        if kind is NodeSucceeded or kind is NodeHeld:
            record.status, record.output = "succeeded", _read(values[1])
            record.taken, record.cached = values[2], values[4]
            record.origin = values[5] if kind is NodeSucceeded else "run"
        elif kind is NodeFailed:
            record.status = "handled" if values[2] else "failed"
            record.failure, record.taken, record.origin = values[1], values[2], values[3]
            record.failures.append(values[1])
        elif kind is NodeSkipped:
            record.status = "skipped"
        else:
            record.status = "cancelled"
        if record.origin != "run" and record.started is None:
            record.input = _plain(getattr(subject, "input", None))
    for key in WaitingFold.of(entries).keys if waits else ():
        if key in records and records[key].status == "running":
            records[key].status = "waiting"
    return tuple(records.values())


_FOLDED = frozenset(
    {NodeStarted, AttemptFailed, NodeSucceeded, NodeHeld, NodeFailed, NodeSkipped, NodeCancelled, Metered}
)


def _add(total: dict[str, int | float], amounts: Mapping[str, int | float]) -> None:
    for name, amount in amounts.items():
        total[name] = total.get(name, 0) + amount


def _used(ran: Sequence[ActivationRecord]) -> Usage:
    total: dict[str, int | float] = {}
    for record in ran:
        _add(total, record.amounts)
    return Usage(activations=len(ran), attempts=sum(record.attempts for record in ran), amounts=total)


def _record(subject: Activation | Shadow, key: str) -> ActivationRecord:
    return ActivationRecord(key, subject.path, node_path(key), subject.iteration, subject.index)


def _plain(value: Any) -> Any:
    given = _read(value)
    return dict(given) if isinstance(given, Named) else given


def _read(value: Any) -> Any:
    return value.value() if type(value) is Later else value


def finished(entries: list[Entry]) -> Mapping[str, Any]:
    """The outputs of the activations that succeeded, by key."""
    found: dict[str, Any] = {}
    for _, kind, subject, values in entries:
        if kind is RunRedriven:
            found.clear()
        elif kind is NodeSucceeded:
            found[subject.key] = values[1]
    return _Outputs(found)


class _Outputs(Mapping[str, Any]):
    """Outputs by key. What an earlier process recorded is read when somebody asks for it."""

    def __init__(self, recorded: dict[str, Any]) -> None:
        self._recorded = recorded

    def __getitem__(self, key: str) -> Any:
        return _read(self._recorded[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._recorded)

    def __len__(self) -> int:
        return len(self._recorded)

    def __repr__(self) -> str:
        return repr(dict(self))


def usage_of(entries: list[Entry]) -> Usage:
    """What a run used by its log, in all of its passes."""
    starts = [0, *(at for at, entry in enumerate(entries) if entry[1] is RunRedriven), len(entries)]
    passes = [fold(entries[a:b]) for a, b in itertools.pairwise(starts)]
    return _used([record for records in passes for record in records if record.attempts])


def starts_of(entries: Iterable[Entry]) -> tuple[tuple[tuple[str, ...], tuple[int, ...]], ...]:
    """For each graph that began in the last pass: its path, () for the run's own, and its edges out of START."""
    found: list[tuple[tuple[str, ...], tuple[int, ...]]] = []
    for _, kind, subject, values in entries:
        if kind is RunStarted or kind is RunRedriven:
            found = [((), tuple(values[3]))]
        elif kind is ScopeStarted:
            found.append((node_path(key_of(subject)), tuple(values[2])))
    return tuple(found)


class RunResult(DrawableRun, Generic[OutT]):
    """The outcome of a run.

    `output` is the run's answer (None unless `status` is "succeeded"), `state` the final state if the workflow has
    one, `seconds` the wall time. `activations`, `events` and `usage` are folded from the log when asked for. Of a run
    with status "suspended", `questions`, `signals` and `interrupts` say what it waits for. `to_svg` and its like draw
    the graph with this run laid over it.
    """

    def __init__(
        self,
        *,
        run_id: str,
        status: RunStatus,
        output: Any,
        state: Any,
        seconds: float,
        entries: list[Entry],
        compiled: CompiledGraph,
    ) -> None:
        self.run_id = run_id
        self.status: RunStatus = status
        self._output: OutT = own(output)
        self.state = state
        self.seconds = seconds
        self._entries = entries
        self._compiled = compiled

    @property
    def output(self) -> OutT:
        """The run's answer. Raises RunSuspendedError, naming what it waits for, if the run is suspended."""
        if self.status == "suspended":
            asked = {question.id: brief_text(str(question.question), 120) for question in self.questions}
            done = finished(self._entries)
            raise RunSuspendedError(
                run_id=self.run_id, questions=asked, signals=self.signals, interrupts=self.interrupts, finished=done
            )
        return self._output

    @property
    def questions(self) -> tuple[Question, ...]:
        """The open questions, in the order they were asked."""
        return tuple(self._waiting.questions.values())

    @property
    def signals(self) -> tuple[str, ...]:
        """The names of the signals that are waited for."""
        return self._waiting.signals

    @property
    def interrupts(self) -> tuple[str, ...]:
        """The keys of the activations before or after which the run stopped, because it was told to."""
        return tuple(key for _, key in self._waiting.interrupts)

    @cached_property
    def _waiting(self) -> WaitingFold:
        return WaitingFold.of(self._entries)

    @cached_property
    def activations(self) -> tuple[ActivationRecord, ...]:
        """Every activation, skipped ones too, in the order they first appear in the log. A notebook shows a table."""
        return ActivationTable(fold(self._entries))

    @cached_property
    def starts(self) -> tuple[tuple[tuple[str, ...], tuple[int, ...]], ...]:
        """Of each graph that began: its path (nodes around it, outermost first), and the edges out of START it took."""
        return starts_of(self._entries)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The run's log. A notebook shows a table."""
        return EventTable(event_of(self.run_id, seq, entry) for seq, entry in enumerate(self._entries))

    @cached_property
    def usage(self) -> Usage:
        """What the run used, all its scopes together; with what its log says was used before a fork or a change."""
        return usage_of(self._entries)

    @cached_property
    def usage_by_node(self) -> Mapping[str, Usage]:
        """The same for each node that ran, by its path such as "agent/model"; a node's own, without what is in it."""
        found: dict[str, list[ActivationRecord]] = {}
        for record in self.activations:
            if record.attempts:
                found.setdefault("/".join(record.path), []).append(record)
        return {path: _used(records) for path, records in found.items()}

    def node(self, name: str) -> tuple[ActivationRecord, ...]:
        """The activations of the nodes called `name`, or with that path ("outer/inner")."""
        return tuple(record for record in self.activations if name in (record.path[-1], "/".join(record.path)))

    def _drawn(self, run: Any) -> Drawn:
        return self._compiled.definition, self._compiled.nest, self if run is None else run

    def __repr__(self) -> str:
        return f"<RunResult {self.run_id!r} {self.status} in {self.seconds:.3f} s, output {self._output!r:.200}>"
