"""A run's log as its store has it, read without the graph that wrote it. Calls no node and needs no module of yours.

What only a graph knows is left out: values are plain JSON data, not the objects of then, and what follows from other
events (inputs, the outputs of maps and nested graphs) is None. `Graph.replay` and `Graph.history` have all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from loomgraph.compile.blueprint import is_blueprint
from loomgraph.engine.facts import Entry, Shadow, event_of
from loomgraph.errors import LogMismatchError
from loomgraph.events import (
    Event,
    NodeHeld,
    NodeSucceeded,
    RunStarted,
    ScopeEnded,
    ScopeStarted,
    StepSucceeded,
    node_path,
)
from loomgraph.runtime.format import check_version, read_event
from loomgraph.runtime.result import ActivationRecord, fold
from loomgraph.runtime.waiting import plain_fields
from loomgraph.store.codec import Codec
from loomgraph.store.protocol import RunHeader, Store, StoredEvent

__all__ = ["Log", "read_log"]


@dataclass(frozen=True)
class Log:
    """One run: its header, its log, and what the log says of each activation."""

    header: RunHeader
    entries: tuple[Entry, ...]

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The log, in order; values in it are plain JSON data."""
        return tuple(event_of(self.header.run_id, seq, entry) for seq, entry in enumerate(self.entries))

    @cached_property
    def activations(self) -> tuple[ActivationRecord, ...]:
        """Every activation, skipped ones too, in the order they first appear in the log."""
        return fold(list(self.entries))


async def read_log(store: Store, run_id: str) -> Log:
    """The log of a run that may have ended, failed or still go on, in any process.

    Raises UnknownRunError, StoreVersionError for a log of a newer loomgraph, ValueMissingError for a damaged store.
    """
    header = await store.load(run_id)
    check_version(header)
    events = await store.events(run_id)
    if not events:
        raise LogMismatchError(run_id, "RunStarted")
    values = await store.values(await store.digests(run_id))
    reader = _Reader(values, events[0])
    return Log(header, tuple(reader.entry(stored) for stored in events))


class _Reader:
    """Entries of a log with plain values. The edges a node took are known where its graph's shape is."""

    def __init__(self, values: Mapping[bytes, bytes], first: StoredEvent) -> None:
        self._values = values
        self._codec = Codec()
        shape = self._load(read_event(first)[2][5], "the graph")
        names = [node[0] for node in shape["nodes"]] if is_blueprint(shape) else []
        self._ways: dict[str, tuple[int, ...]] = {}
        for index, (source, _, kind, *_) in enumerate(shape["edges"]):
            if kind == "normal" and source != -1:
                name = names[source] if names else source
                self._ways[name] = (*self._ways.get(name, ()), index)

    def entry(self, stored: StoredEvent) -> Entry:
        kind, key, values = read_event(stored)
        subject = None if key == "" else Shadow.of_scope(key) if kind in (ScopeStarted, ScopeEnded) else Shadow(key)
        if kind is RunStarted:
            _, graph, fingerprint, given, taken, _, state = (*values, None, None)[:7]
            first = self._load(given, "the run's input"), tuple(taken or ()), self._load(state, "the run's first state")
            values = (graph, fingerprint, *first)
        elif kind is NodeSucceeded or kind is NodeHeld:
            attempt, output, taken, updates, *rest = values
            written = tuple((name, self._load(ref, key)) for name, ref, *_ in updates)
            values = (attempt, self._load(output, key), self._all(key) if taken is None else taken, written, *rest)
        elif kind is ScopeStarted:
            values = (*values[:3], self._load(values[3], key))
        elif kind is StepSucceeded:
            values = (values[0], self._load(values[1], key))
        return stored.time, kind, subject, plain_fields(self._codec, kind, values, self._values)

    def _all(self, key: str) -> tuple[int, ...]:
        """The edges of a node that takes all of them, for which the log names none; an item of a map has none."""
        return () if "/" in key or key.endswith("]") else self._ways.get(node_path(key)[0], ())

    def _load(self, ref: Any, where: str) -> Any:
        return self._codec.load(Any, ref, self._values, where)
