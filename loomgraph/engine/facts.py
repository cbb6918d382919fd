"""The machine's compact facts as the log's events. Events are built when somebody reads them, not when they happen."""

from __future__ import annotations

import re
from typing import Any

from loomgraph import events
from loomgraph.engine.activation import Activation, Named
from loomgraph.engine.later import Later
from loomgraph.events import Event, path_of

__all__ = ["FIELDS", "Entry", "Shadow", "event_of", "key_of"]

_ITEM = re.compile(r"\[(\d+)\]$")
_AGAIN = re.compile(r"!\d+$")
_LOOPS = re.compile(r"#([\d.]+)(?:\[|$)")

Entry = tuple[float, Any, Any, tuple[Any, ...]]
"""(time, event class, activation or scope or None, the event's own fields in the order of FIELDS)."""

FIELDS: dict[Any, tuple[str, ...]] = {
    events.RunStarted: ("graph", "fingerprint", "input", "taken", "state"),
    events.RunResumed: ("events",),
    events.RunRedriven: ("graph", "fingerprint", "input", "taken", "state", "inputs", "outputs"),
    events.RunSucceeded: ("output",),
    events.RunFailed: ("error", "message", "failures"),
    events.RunCancelled: ("reason",),
    events.RunSuspended: ("questions", "signals", "interrupts"),
    events.MessageRefused: ("message", "reason"),
    events.NodeStarted: ("attempt", "input"),
    events.AttemptFailed: ("attempt", "failure", "retry_in"),
    events.NodeSucceeded: ("attempt", "output", "taken", "updates", "cached", "origin"),
    events.NodeHeld: ("attempt", "output", "taken", "updates", "cached"),
    events.NodeFailed: ("attempt", "failure", "taken", "origin"),
    events.NodeSkipped: (),
    events.NodeCancelled: ("reason",),
    events.MapStarted: ("count",),
    events.MapCompleted: ("winners",),
    events.JoinDecided: ("winners",),
    events.IterationStarted: ("iteration",),
    events.LoopEnded: ("iterations", "exits", "failure"),
    events.LoopCapReached: ("cap", "handled"),
    events.ScopeStarted: ("graph", "fingerprint", "taken", "input"),
    events.ScopeEnded: ("output", "failures"),
    events.StepSucceeded: ("step", "output", "origin"),
    events.QuestionAsked: ("id", "question", "expects", "refused"),
    events.QuestionAnswered: ("id", "answer", "by"),
    events.QuestionWithdrawn: ("id", "reason"),
    events.SignalAwaited: ("signal", "expects"),
    events.SignalReceived: ("signal", "message", "value", "refused"),
    events.Metered: ("amounts",),
    events.Emitted: ("data",),
}


def key_of(subject: Any) -> str:
    """The key an entry is about: an activation's, a scope's path, "" for the run itself."""
    if subject is None:
        return ""
    key: str = subject.key if isinstance(subject, (Activation, Shadow)) else subject.path
    return key


class Shadow:
    """What an old entry was about, where the machine that read it keeps no activation for it."""

    __slots__ = ("index", "iteration", "key", "node", "parent", "path")

    def __init__(self, key: str) -> None:
        self.key = key
        self.path = path_of(key)
        head, _, last = key.rpartition("/")
        item = _ITEM.search(last)
        self.index = int(item[1]) if item else None
        # an item's parent is its map, anything else's is the activation whose graph this is in, or that ran it
        around = head.rpartition("/")[0] if head.rpartition("/")[2].startswith("@") else head
        self.parent = key[: item.start() - len(last)] if item else _AGAIN.sub("", around) or None
        loops = _LOOPS.search(last)
        self.iteration = tuple(int(part) for part in loops[1].split(".")) if loops else ()

    @classmethod
    def of_scope(cls, path: str) -> Shadow:
        """The same for a scope: what encloses it is the activation whose graph it is, or that ran it with ctx.run."""
        made = cls(path)
        head, _, last = path.rpartition("/")
        made.parent = _AGAIN.sub("", head if last.startswith("@") else path)
        return made


def event_of(run_id: str, seq: int, entry: Entry) -> Event:
    """The public event of a log entry."""
    time, kind, subject, values = entry
    fields: dict[str, Any] = dict(zip(FIELDS[kind], values, strict=True))
    for name in ("input", "output"):
        if type(fields.get(name)) is Later:
            fields[name] = fields[name].value()
    if isinstance(fields.get("input"), Named):
        fields["input"] = dict(fields["input"])
    if isinstance(subject, (Activation, Shadow)):
        fields.update(node=subject.path, key=subject.key, parent=subject.parent)
    elif subject is not None:
        fields.update(node=subject.node_path, key=subject.path, parent=subject.parent.key)
    made: Event = kind(run_id=run_id, seq=seq, time=time, **fields)
    return made
