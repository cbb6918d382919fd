"""The machine's compact facts as the log's events. Events are built when somebody reads them, not when they happen."""

from __future__ import annotations

from typing import Any

from loomgraph import events
from loomgraph.engine.activation import Activation, Named
from loomgraph.events import Event

__all__ = ["FIELDS", "Entry", "event_of", "key_of"]

Entry = tuple[float, Any, Any, tuple[Any, ...]]
"""(time, event class, activation or scope or None, the event's own fields in the order of FIELDS)."""

FIELDS: dict[Any, tuple[str, ...]] = {
    events.RunStarted: ("graph", "fingerprint", "input", "taken"),
    events.RunSucceeded: ("output",),
    events.RunFailed: ("error", "message", "failures"),
    events.RunCancelled: ("reason",),
    events.NodeStarted: ("attempt", "input"),
    events.AttemptFailed: ("attempt", "failure", "retry_in"),
    events.NodeSucceeded: ("attempt", "output", "taken", "updates", "cached"),
    events.NodeFailed: ("attempt", "failure", "taken"),
    events.NodeSkipped: (),
    events.NodeCancelled: ("reason",),
    events.MapStarted: ("count",),
    events.MapCompleted: ("winners",),
    events.JoinDecided: ("winners",),
    events.IterationStarted: ("iteration",),
    events.LoopEnded: ("iterations", "exits"),
    events.LoopCapReached: ("cap", "handled"),
    events.ScopeStarted: ("graph", "fingerprint", "taken", "input"),
    events.ScopeEnded: ("output", "failures"),
    events.Emitted: ("data",),
}


def key_of(subject: Any) -> str:
    """The key an entry is about: an activation's, a scope's path, "" for the run itself."""
    if subject is None:
        return ""
    key: str = subject.key if isinstance(subject, Activation) else subject.path
    return key


def event_of(run_id: str, seq: int, entry: Entry) -> Event:
    """The public event of a log entry."""
    time, kind, subject, values = entry
    fields: dict[str, Any] = dict(zip(FIELDS[kind], values, strict=True))
    if isinstance(fields.get("input"), Named):
        fields["input"] = dict(fields["input"])
    if isinstance(subject, Activation):
        fields.update(node=subject.path, key=subject.key, parent=subject.parent)
    elif subject is not None:
        fields.update(node=subject.node_path, key=subject.path, parent=subject.parent.key)
    made: Event = kind(run_id=run_id, seq=seq, time=time, **fields)
    return made
