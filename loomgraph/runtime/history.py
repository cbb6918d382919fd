"""A run as it stood at any event, and as it stands: folds of its log. Calls no node, writes nothing, owns nothing.

Everything is read from the store once; looking at another event costs the fold of what came before it, and no query.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from loomgraph.engine.facts import event_of
from loomgraph.engine.machine import Machine
from loomgraph.engine.scope import Scope
from loomgraph.errors import UnknownEventError
from loomgraph.events import Event, NodeCancelled, NodeFailed, NodeSkipped, NodeStarted, NodeSucceeded
from loomgraph.runtime.format import KINDS
from loomgraph.runtime.recorded import Folded, Recorded
from loomgraph.runtime.result import ActivationRecord, RunResult, finished, fold
from loomgraph.store.protocol import RunHeader, StoredEvent

__all__ = ["History", "Moment", "place_of", "replayed"]

_SETTLES = (NodeSucceeded, NodeFailed, NodeSkipped, NodeCancelled)


@dataclass(frozen=True)
class Moment:
    """A run just after its event `seq`. What was in flight then has status "running"; `time` is the event's."""

    seq: int
    event: Event
    activations: tuple[ActivationRecord, ...]
    values: Mapping[str, Any]
    """The outputs so far, by activation key, those of nested graphs and of map items included."""
    states: Mapping[str, BaseModel]
    """The states so far by scope path: "" is the run's own, "review" that of the graph inside the node `review`."""

    @property
    def time(self) -> float:
        """When the event happened, in seconds since the epoch."""
        return self.event.time

    @property
    def state(self) -> BaseModel | None:
        """Everything that had been written to the run's own state; None if its graph has none."""
        return self.states.get("")

    def node(self, name: str) -> tuple[ActivationRecord, ...]:
        """The activations so far of the nodes called `name`, or with that path ("outer/inner")."""
        return tuple(record for record in self.activations if name in (record.path[-1], "/".join(record.path)))


class History:
    """A run's log and, with `at`, the run at any of its events. As of when it was read: a running run goes on."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._recorded.header.run_id

    @property
    def header(self) -> RunHeader:
        """What the store knows of the run: its status, its times, its parent if it is a fork."""
        return self._recorded.header

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The whole log."""
        entries = _folded(self._recorded, None).entries
        return tuple(event_of(self.run_id, seq, entry) for seq, entry in enumerate(entries))

    def __len__(self) -> int:
        return len(self._recorded.events)

    def __iter__(self) -> Iterator[Moment]:
        """The run after each event, from the first on. Each costs the fold of what came before it."""
        return (self.at(seq) for seq in range(len(self)))

    def at(self, place: int | str | None = None) -> Moment:
        """The run just after an event: its number (0-based), the key of an activation, or None for the last event.

        A key means the event that settled the activation, or the one that last started it if it is in flight. Raises
        UnknownEventError, naming what there is.
        """
        seq = place_of(self.run_id, self._recorded.events, place)
        folded = _folded(self._recorded, seq + 1)
        scopes = {"": folded.root, **folded.fold.scopes}
        states = {path: state for path, scope in scopes.items() if (state := _state(scope)) is not None}
        event = event_of(self.run_id, seq, folded.entries[-1])
        return Moment(seq, event, fold(folded.entries), finished(folded.entries), states)

    def __repr__(self) -> str:
        return f"<History of run {self.run_id!r}: {len(self)} events, {self.header.status}>"


def replayed(recorded: Recorded) -> RunResult[Any]:
    """A run's result as its log has it, whatever its status."""
    folded = _folded(recorded, None)
    root = folded.root
    return RunResult(
        run_id=recorded.header.run_id,
        status=recorded.header.status,
        output=root.output if recorded.header.status == "succeeded" else None,
        state=_state(root),
        seconds=recorded.events[-1].time - recorded.events[0].time,
        entries=folded.entries,
        compiled=recorded.log.compiled,
    )


def place_of(run_id: str, events: Sequence[StoredEvent], place: int | str | None) -> int:
    """The number of the event that `place` means, see `History.at`. Raises UnknownEventError."""
    if place is None:
        return len(events) - 1
    if isinstance(place, int) and not isinstance(place, bool):
        if not 0 <= place < len(events):
            raise UnknownEventError(run_id, place, len(events))
        return place
    settled = started = -1
    for event in events:
        if event.key == place:
            kind = KINDS.get(event.kind)
            settled = event.seq if kind in _SETTLES else settled
            started = event.seq if kind is NodeStarted else started
    if settled < 0 and started < 0:
        keys = dict.fromkeys(e.key for e in events if KINDS.get(e.kind) in (NodeStarted, *_SETTLES))
        raise UnknownEventError(run_id, str(place), len(events), list(keys))
    return settled if settled >= 0 else started


def _folded(recorded: Recorded, stop: int | None) -> Folded:
    # a log is read whatever caps its graph has by now
    return recorded.folded(Machine(recorded.header.run_id, sys.maxsize), stop)


def _state(scope: Scope) -> BaseModel | None:
    fields = scope.standing_state()
    spec = scope.plan.definition.state
    return None if fields is None or spec is None else spec.build(fields)
