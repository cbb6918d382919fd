"""What is known of a run so far, node by node, for a terminal: a fold of its events that reads no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from loomgraph import events

__all__ = ["Row", "Status", "Tally"]

Status = Literal["running", "waiting", "done", "handled", "failed", "skipped", "cancelled"]

# from how many items on a map says how far it is, and after which part of them
_MANY: Final = 100
_TENTH: Final = 10


@dataclass(slots=True)
class Row:
    """What is known of one node: how often it finished, what runs of it, how long it took in all (seconds).

    A map counts as one activation; its `items` and how many of them are `settled` stand beside that. `rounds` is how
    many iterations the loop that begins with this node has begun.
    """

    node: str
    running: int = 0
    waiting: int = 0
    finished: int = 0
    retries: int = 0
    seconds: float = 0.0
    items: int | None = None
    settled: int = 0
    rounds: int = 0
    last: Status = "running"
    began: float | None = None
    # of a map: its items of this process, for the rate, and since when
    fresh: int = 0
    mapped: float | None = None
    latest: float = 0.0

    @property
    def status(self) -> Status:
        """ "waiting" while all that runs waits for somebody, "running" while any runs, else how the last one ended."""
        if self.running:
            return "waiting" if self.waiting >= self.running else "running"
        return self.last

    @property
    def count(self) -> str:
        """`3/12` for a map, `round 3` for the head of a loop, `x3` for what fired more than once, else nothing."""
        if self.items is not None:
            return f"{self.settled}/{self.items}"
        if self.rounds > 1:
            return f"round {self.rounds}"
        return f"x{self.finished}" if self.finished > 1 else ""

    def rate(self, now: float | None = None) -> float | None:
        """Items a second of a map, in this process; None while nothing can be said."""
        end = self.latest if now is None or not self.running else now
        if self.mapped is None or self.fresh < 2 or end <= self.mapped:
            return None
        return self.fresh / (end - self.mapped)

    def spent(self, now: float | None = None) -> float | None:
        """Seconds it took in all, and so far of what runs; None before anything is known."""
        if self.running and self.began is not None and now is not None:
            return self.seconds + max(now - self.began, 0.0)
        return self.seconds if self.finished else None


class Tally:
    """Rows by node path, in order of first appearance. `feed` returns a line to print when something settled."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.amounts: dict[str, int | float] = {}
        self.activations = 0
        # those of them that no resume runs again
        self.kept = 0
        self.since: float | None = None
        # since when what runs does so, and its node
        self._since: dict[str, tuple[float, str]] = {}
        self._latest = 0.0
        self._waiting: dict[str, set[str]] = {}

    @property
    def tokens(self) -> int:
        """What went into models and came out of them, or was counted as tokens."""
        return int(sum(self.amounts.get(name, 0) for name in ("tokens", "input_tokens", "output_tokens")))

    @property
    def cost(self) -> float:
        """What was counted as cost."""
        return float(self.amounts.get("cost", 0))

    def feed(self, event: events.Event, *, past: bool = False) -> str | None:
        """Take one event in. Returns a sentence for what a reader of plain lines wants to know, else None."""
        if self.since is None and not past:
            self.since = event.time
        if isinstance(event, events.RunResumed | events.RunRedriven):
            return self._again(event)
        self._latest = event.time
        match event:
            case events.MapStarted():
                return self._map(event, past=past)
            case events.NodeStarted():
                self._start(event)
                return None
            case events.AttemptFailed():
                self._row(event.node).retries += 1
                return f"{event.key}: attempt {event.attempt} failed ({event.failure.error}: {event.failure.message})"
            case events.NodeSucceeded():
                return self._settle(event, "done", past=past)
            case events.NodeFailed():
                line = self._settle(event, "handled" if event.taken else "failed", past=past)
                return f"{line} ({event.failure.error}: {event.failure.message})"
            case events.NodeCancelled():
                return self._settle(event, "cancelled", past=past)
            case events.NodeSkipped():
                self._row(event.node).last = "skipped"
                return None
            case events.Metered():
                for name, amount in event.amounts.items():
                    self.amounts[name] = self.amounts.get(name, 0) + amount
                return None
            case _:
                return self._around(event)

    def _around(self, event: events.Event) -> str | None:
        """Loops, and what a node waits for."""
        match event:
            case events.IterationStarted():
                row = self._row(event.node)
                row.rounds = event.iteration[-1] + 1
                return f"{event.node}: round {row.rounds}"
            case events.LoopCapReached():
                return f"{event.key}: the loop reached its cap of {event.cap}"
            case events.QuestionAsked():
                self._wait(event, event.id)
                return f"{event.key}: asks somebody"
            case events.SignalAwaited():
                self._wait(event, event.signal)
                return f"{event.key}: waits for the signal '{event.signal}'"
            case events.QuestionAnswered() | events.QuestionWithdrawn():
                self._wait_no_more(event, event.id)
            case events.SignalReceived():
                self._wait_no_more(event, event.signal)
            case _:
                pass
        return None

    def _row(self, node: str) -> Row:
        return self.rows.setdefault(node, Row(node))

    def _again(self, event: events.RunResumed | events.RunRedriven) -> str | None:
        """What ran when the run stopped goes on from here; the time in between is nobody's."""
        if isinstance(event, events.RunRedriven):
            self.rows.clear()
            self._since.clear()
            self._waiting.clear()
            return "the run is driven again from its start"
        for key, (began, node) in list(self._since.items()):
            if _is_item(key):  # starts anew, and says so
                del self._since[key]
                continue
            row = self._row(node)
            row.seconds += max(self._latest - began, 0.0)
            row.began = event.time
            self._since[key] = event.time, node
        for row in self.rows.values():
            row.fresh, row.mapped = 0, None
        return f"goes on after {event.events} events, with {self.kept} activation{'' if self.kept == 1 else 's'} done"

    def _map(self, event: events.MapStarted, *, past: bool) -> str:
        row = self._row(event.node)
        row.items = (row.items or 0) + event.count
        row.mapped = None if past else event.time
        row.fresh = 0
        return f"{event.key}: {event.count} items"

    def _start(self, event: events.NodeStarted) -> None:
        row = self._row(event.node)
        if event.key in self._since:
            return
        self._since[event.key] = event.time, event.node
        if _is_item(event.key):
            row.mapped = row.mapped if row.mapped is not None else event.time
            return
        row.running += 1
        row.began = event.time if row.began is None else row.began

    def _settle(
        self, event: events.NodeSucceeded | events.NodeFailed | events.NodeCancelled, how: Status, *, past: bool
    ) -> str | None:
        row = self._row(event.node)
        began = self._since.pop(event.key, None)
        self.activations += 1
        self.kept += how in ("done", "handled")
        row.latest = event.time
        row.waiting -= bool(self._waiting.pop(event.key, None))
        if _is_item(event.key):
            row.settled += 1
            row.fresh += not past
            return f"{event.key}: {how}" if how in ("failed", "handled") else _part(event, row)
        row.last = how
        row.finished += 1
        if began is not None:
            row.running -= 1
            row.seconds += event.time - began[0]
        if not row.running:
            row.began = None
        return f"{event.key}: {how}"

    def _wait(self, event: events.QuestionAsked | events.SignalAwaited, what: str) -> None:
        waiting = self._waiting.setdefault(event.key, set())
        self._row(event.node).waiting += not waiting
        waiting.add(what)

    def _wait_no_more(
        self, event: events.QuestionAnswered | events.QuestionWithdrawn | events.SignalReceived, what: str
    ) -> None:
        waiting = self._waiting.get(event.key)
        if waiting is None:
            return
        waiting.discard(what)
        if not waiting:
            del self._waiting[event.key]
            self._row(event.node).waiting -= 1


def _part(event: events.NodeSucceeded | events.NodeFailed | events.NodeCancelled, row: Row) -> str | None:
    """How far a long map is, after each tenth of it."""
    items = row.items or 0
    if items < _MANY or row.settled == items or row.settled % max(items // _TENTH, 1):
        return None
    rate = row.rate()
    speed = "" if rate is None else f", {rate:,.0f} a second"
    return f"{event.node}: {row.settled}/{items} items{speed}"


def _is_item(key: str) -> bool:
    """Whether an activation is one item of a map; a bracket in a node's own name is escaped in keys."""
    return key.endswith("]")
