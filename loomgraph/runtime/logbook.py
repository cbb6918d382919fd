"""A run's log as its store has it, read without the graph that wrote it. Calls no node and needs no module of yours.

What only a graph knows is left out: values are plain JSON data, not the objects of then, and what follows from other
events (inputs, the outputs of maps and nested graphs) is None. `Graph.replay` and `Graph.history` have all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from loomgraph.compile.blueprint import is_blueprint, rebuilt
from loomgraph.compile.compiled import CompiledGraph
from loomgraph.engine.facts import Entry, Shadow, event_of
from loomgraph.engine.later import Later
from loomgraph.errors import DrawingError, LogMismatchError
from loomgraph.events import (
    Event,
    NodeHeld,
    NodeStarted,
    NodeSucceeded,
    QuestionAnswered,
    RunRedriven,
    RunStarted,
    ScopeEnded,
    ScopeStarted,
    SignalReceived,
    StepSucceeded,
    node_path,
)
from loomgraph.runtime.drawing import DrawableRun, Drawn
from loomgraph.runtime.format import bound_by_name, check_version, read_event
from loomgraph.runtime.result import ActivationRecord, fold, starts_of
from loomgraph.runtime.tables import ActivationTable, EventTable
from loomgraph.runtime.waiting import plain_fields
from loomgraph.store.codec import Codec
from loomgraph.store.protocol import RunHeader, RunStatus, Store, StoredEvent, whole_run

__all__ = ["Log", "PlainReader", "Stored", "read_log", "read_stored"]

_OURS = frozenset({"$unset", "$order"})


@dataclass(frozen=True)
class Log(DrawableRun):
    """One run: its header, its log, and what the log says of each activation.

    It is drawn over the graph as the log has it, without types and caps.
    """

    header: RunHeader
    entries: tuple[Entry, ...]
    shape: Any = field(default=None, repr=False)
    """The structure of the graph that wrote it last, see `loomgraph.compile.blueprint`."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.header.run_id

    @property
    def status(self) -> RunStatus:
        """What had become of the run."""
        return self.header.status

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The log, in order; values in it are plain JSON data."""
        return EventTable(event_of(self.header.run_id, seq, entry) for seq, entry in enumerate(self.entries))

    @cached_property
    def activations(self) -> tuple[ActivationRecord, ...]:
        """Every activation, skipped ones too, in the order they first appear in the log."""
        return ActivationTable(fold(list(self.entries)))

    @cached_property
    def starts(self) -> tuple[tuple[tuple[str, ...], tuple[int, ...]], ...]:
        """See `RunResult.starts`."""
        return starts_of(self.entries)

    @cached_property
    def graph(self) -> CompiledGraph:
        """The graph that wrote the log, without code. Raises DrawingError for a log of version 1, which has no such."""
        if self.shape is None or not is_blueprint(self.shape):
            raise DrawingError(
                "a log of version 1", "it does not keep its graph", f"Use graph.replay({self.run_id!r}, store=...)."
            )
        return rebuilt(self.shape)

    def _drawn(self, run: Any) -> Drawn:
        return self.graph.definition, self.graph.nest, self if run is None else run


async def read_log(store: Store, run_id: str) -> Log:
    """The log of a run that may have ended, failed or still go on, in any process.

    Raises UnknownRunError, StoreVersionError for a log of a newer loomgraph, ValueMissingError for a damaged store.
    """
    return (await read_stored(store, run_id)).log()


@dataclass(frozen=True)
class Stored:
    """A run as it lies in its store."""

    header: RunHeader
    events: list[StoredEvent]
    values: Mapping[bytes, bytes]

    def log(self) -> Log:
        """Its log."""
        reader = PlainReader(Codec(), self.values)
        entries = tuple(reader.entry(stored) for stored in self.events)
        return Log(self.header, entries, reader.shape)


async def read_stored(store: Store, run_id: str) -> Stored:
    """A run's events and their values. Raises what `read_log` raises."""
    header, events, values, _ = await whole_run(store, run_id)
    check_version(header)
    if not events:
        raise LogMismatchError(run_id, "RunStarted")
    return Stored(header, events, values)


class PlainReader:
    """Entries of a log with plain values, told in order. The edges a node took are known where its graph's shape is."""

    def __init__(self, codec: Codec, values: Mapping[bytes, bytes]) -> None:
        self._codec = codec
        self._values = values
        self._shape: Any = None
        self._ways: dict[str, tuple[int, ...]] | None = None

    def entry(self, stored: StoredEvent, start: tuple[Any, ...] | None = None) -> Entry:
        """One event; `start` are the fields of a RunStarted or RunRedriven where they are known as more than data."""
        kind, key, values = read_event(stored)
        subject = None if key == "" else Shadow.of_scope(key) if kind in (ScopeStarted, ScopeEnded) else Shadow(key)
        if kind is RunStarted or kind is RunRedriven:
            values = self._started(kind, values, start)
        elif kind is NodeSucceeded or kind is NodeHeld:
            attempt, output, taken, updates, *rest = values
            written = tuple((name, self.load(ref, key)) for name, ref, *_ in updates)
            values = (attempt, self.later(output, key), self._all(key) if taken is None else taken, written, *rest)
        elif kind is NodeStarted:
            values = (values[0], self.load(values[1], key))
        elif kind is ScopeStarted:
            values = (*values[:3], self.load(values[3], key))
        elif kind is StepSucceeded:
            values = (values[0], self.later(values[1], key), values[2])
        fields = plain_fields(self._codec, kind, values, self._values)
        if kind is QuestionAnswered or kind is SignalReceived:
            fields = tuple(_readable(field) for field in fields)
        return stored.time, kind, subject, fields

    @property
    def shape(self) -> Any:
        """The structure of the graph of the pass that was read last."""
        return None if self._shape is None else self._codec.load(Any, self._shape, self._values, "the graph")

    def load(self, ref: Any, where: str) -> Any:
        """What an event refers to, as plain JSON data."""
        return _readable(self._codec.load(Any, ref, self._values, where))

    def later(self, ref: Any, where: str) -> Later:
        """The same, read when somebody asks for it."""
        return Later(self._load, where, ref)

    def _load(self, where: str, ref: Any) -> Any:
        return self.load(ref, where)

    def _started(self, kind: Any, values: tuple[Any, ...], start: tuple[Any, ...] | None) -> tuple[Any, ...]:
        _, graph, fingerprint, given, taken, shape, state, inputs, outputs = values
        self._shape, self._ways = shape, None
        if start is None:
            first = self.load(given, "the run's input"), tuple(taken or ()), self.load(state, "the run's first state")
            start = (graph, fingerprint, *first)
        if kind is RunStarted:
            return start
        edited = ({key: self._edit(ref, key) for key, ref in refs} for refs in (inputs, outputs))
        return (*start, *edited)

    def _edit(self, ref: Any, key: str) -> Any:
        bound = bound_by_name(ref)
        return self.load(ref, key) if bound is None else {name: self.load(part, key) for name, part in bound}

    def _all(self, key: str) -> tuple[int, ...]:
        """The edges of a node that takes all of them, for which the log names none; an item of a map has none."""
        if "/" in key or key.endswith("]"):
            return ()
        if self._ways is None:
            self._ways = _ways(self._codec.load(Any, self._shape, self._values, "the graph"))
        return self._ways.get(node_path(key)[0], ())


def _ways(shape: Any) -> dict[str, tuple[int, ...]]:
    """The normal edges out of each node of a graph, by its name."""
    names = [node[0] for node in shape["nodes"]] if is_blueprint(shape) else []
    found: dict[str, tuple[int, ...]] = {}
    for index, (source, _, kind, *_) in enumerate(shape["edges"]):
        if kind == "normal" and source != -1:
            name = names[source] if names else source
            found[name] = (*found.get(name, ()), index)
    return found


def _readable(data: Any) -> Any:
    """Stored data without what the codec adds for itself: which fields of a model nobody had set, and the like."""
    if isinstance(data, dict):
        fields: dict[str, Any] = data  # pyright: ignore[reportUnknownVariableType]
        return {name: _readable(item) for name, item in fields.items() if name not in _OURS}
    if isinstance(data, list):
        items: list[Any] = data  # pyright: ignore[reportUnknownVariableType]
        return [_readable(item) for item in items]
    return data
