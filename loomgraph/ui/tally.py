"""What a log says of each node and each activation, kept up to date event by event. Reads no values and no store.

The same fold as `loomgraph.runtime.result`, but one that can go on where it ended: a page that follows a run of a
hundred thousand events must not begin anew with each of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loomgraph import events
from loomgraph.errors import Failure
from loomgraph.events import path_of
from loomgraph.runtime.waiting import WaitingFold

__all__ = ["Activation", "Node", "Start", "Tally"]

# of several activations the first in this order stands for all, as in drawings
_RANK: Final = ("running", "waiting", "failed", "cancelled", "handled", "succeeded", "skipped")
_ASKS: Final[frozenset[Any]] = frozenset(
    {
        events.QuestionAsked,
        events.QuestionAnswered,
        events.QuestionWithdrawn,
        events.SignalAwaited,
        events.SignalReceived,
    }
)
# what is said of a loop or of a join is under keys that need be no activation's
_BEGIN: Final[frozenset[Any]] = frozenset(
    {
        events.NodeStarted,
        events.AttemptFailed,
        events.NodeSucceeded,
        events.NodeHeld,
        events.NodeFailed,
        events.NodeSkipped,
        events.NodeCancelled,
        events.Metered,
    }
)
_ENDS: Final[Mapping[Any, str]] = {
    events.NodeSucceeded: "succeeded",
    events.NodeHeld: "succeeded",
    events.NodeSkipped: "skipped",
    events.NodeCancelled: "cancelled",
}


@dataclass(slots=True)
class Activation:
    """One activation. Times are seconds since the epoch; `seqs` are the numbers of its events."""

    key: str
    node: str
    status: str = "running"
    attempts: int = 0
    started: float | None = None
    ended: float | None = None
    origin: str = "run"
    cached: bool = False
    failures: list[Failure] = field(default_factory=list[Failure])
    amounts: dict[str, int | float] = field(default_factory=dict[str, "int | float"])
    seqs: list[int] = field(default_factory=list[int])

    @property
    def item(self) -> bool:
        """Whether it is one item of a map; a bracket in a node's own name is escaped in keys."""
        return self.key.endswith("]")


@dataclass(slots=True)
class Node:
    """All activations of one node; `path` is its path with '/', names escaped. A map's items are counted apart.

    `taken` is how often each edge was taken, for a node that does not take all of them each time.
    """

    path: str
    whole: Counter[str] = field(default_factory=Counter[str])
    items: Counter[str] = field(default_factory=Counter[str])
    attempts: int = 0
    seconds: float = 0.0
    amounts: dict[str, int | float] = field(default_factory=dict[str, "int | float"])
    activations: list[Activation] = field(default_factory=list[Activation])
    taken: Counter[int] = field(default_factory=Counter[int])
    version: int = 0

    @property
    def status(self) -> str:
        """What stands for all of its activations."""
        counts = self.whole if self.whole.total() else self.items
        return next((status for status in _RANK if counts[status]), "idle")


@dataclass(slots=True)
class Start:
    """How often the graph of one scope began, and how often each edge out of its START was taken."""

    count: int = 0
    taken: Counter[int] = field(default_factory=Counter[int])
    version: int = 0


class Tally:
    """The fold. `version` grows with every event told; a node's `version` is that of its last change."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.activations: dict[str, Activation] = {}
        self.starts: dict[str, Start] = {}
        self.scopes: dict[str, int] = {}
        """The graphs of ctx.run by path, with the number of the event that began the last one there."""
        self.waiting = WaitingFold()
        self.amounts: dict[str, int | float] = {}
        self.attempts = 0
        self.version = 0
        self.passes: list[int] = []
        self.ended: tuple[str, str] | None = None
        """How the run ended or stopped, and what is said about it."""

    def tell(self, seq: int, time: float, kind: Any, key: str, fields: tuple[Any, ...]) -> None:
        """One event, in order; questions and schemas in `fields` are plain JSON data, other values are not read."""
        self.version += 1
        self.waiting.tell(seq, time, kind, key, fields)
        if kind is events.RunStarted or kind is events.RunRedriven:
            self.passes.append(seq)
            self.nodes, self.activations, self.ended = {}, {}, None
            self.starts, self.scopes = {}, {}
            self._begin("", fields[4])
        elif not key:
            self._run(kind, fields)
        elif kind is events.ScopeStarted:
            path = path_of(key)
            self._begin(path, fields[2])
            if fields[4] is not None:
                self.scopes[path] = seq
        elif kind is not events.ScopeEnded:
            self._activation(seq, time, kind, key, fields)

    def _begin(self, path: str, taken: Sequence[int] | None) -> None:
        start = self.starts.setdefault(path, Start())
        start.count += 1
        start.taken.update(taken or ())
        start.version = self.version

    def _run(self, kind: Any, fields: tuple[Any, ...]) -> None:
        if kind is events.RunResumed:
            self.ended = None
        elif kind is events.RunFailed:
            self.ended = "failed", f"{fields[0]}: {fields[1]}"
        elif kind is events.RunCancelled:
            self.ended = "cancelled", str(fields[0])
        elif kind is events.RunSucceeded:
            self.ended = "succeeded", ""
        elif kind is events.RunSuspended:
            self.ended = "suspended", ""

    def _activation(self, seq: int, time: float, kind: Any, key: str, fields: tuple[Any, ...]) -> None:
        found = self.activations.get(key)
        if found is None:
            if kind not in _BEGIN:
                return
            found = self.activations[key] = Activation(key, path_of(key))
            node = self.nodes.setdefault(found.node, Node(found.node))
            node.activations.append(found)
            (node.items if found.item else node.whole)[found.status] += 1
        found.seqs.append(seq)
        node = self.nodes[found.node]
        node.version = self.version
        if kind is events.NodeStarted:
            node.attempts += fields[0] - found.attempts
            self.attempts += fields[0] - found.attempts
            found.attempts, found.ended = fields[0], None
            found.started = time if found.started is None else found.started
            self._move(node, found, "running")
        elif kind is events.AttemptFailed:
            found.failures.append(fields[1])
        elif kind is events.Metered:
            for total in (found.amounts, node.amounts, self.amounts):
                for name, amount in fields[0].items():
                    total[name] = total.get(name, 0) + amount
        elif kind in _ASKS:
            waits = self.waiting.questions_of(key) or self.waiting.signals_of(key)
            if found.ended is None:
                self._move(node, found, "waiting" if waits else "running")
        else:
            self._end(node, found, time, kind, fields)

    def _end(self, node: Node, found: Activation, time: float, kind: Any, fields: tuple[Any, ...]) -> None:
        if kind is events.NodeFailed:
            found.failures.append(fields[1])
            found.origin = fields[3]
            status = "handled" if fields[2] else "failed"
            node.taken.update(fields[2])
        elif kind in _ENDS:
            status = _ENDS[kind]
            if kind is events.NodeSucceeded:
                found.cached, found.origin = fields[4], fields[5]
                node.taken.update(() if found.item else fields[2] or ())
        else:
            return
        if found.started is not None and found.ended is None:
            node.seconds += time - found.started
        found.ended = time
        self._move(node, found, status)

    def _move(self, node: Node, found: Activation, status: str) -> None:
        counts = node.items if found.item else node.whole
        counts[found.status] -= 1
        counts[status] += 1
        found.status = status
