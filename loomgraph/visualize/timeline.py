"""A run over time: what ran when, lane by lane, with its attempts, its waits and its critical path marked.

A fold of the run's events; pauses in which the run did not go on anywhere (it was suspended, or its process had died)
are cut out and marked, so that a run that waited for a weekend can still be read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final, Literal, Protocol, TypeAlias

from loomgraph.events import (
    AttemptFailed,
    Event,
    NodeCancelled,
    NodeFailed,
    NodeHeld,
    NodeStarted,
    NodeSucceeded,
    QuestionAsked,
    RunRedriven,
    RunResumed,
    RunSuspended,
    SignalAwaited,
    node_path,
)
from loomgraph.graph.definition import Definition
from loomgraph.visualize.critical import Done, critical_path, sources_of
from loomgraph.visualize.overlay import Status
from loomgraph.visualize.paper import Picture

__all__ = ["Bar", "Lane", "Logged", "Timeline", "timeline"]

What: TypeAlias = Literal["runs", "retries", "waits"]
"""An attempt; the time until the next one; the wait for an answer or a signal."""

_ROWS: Final = 16


class Logged(Protocol):
    """A run with its log: a RunResult, or the log of one."""

    @property
    def run_id(self) -> str: ...
    @property
    def events(self) -> Sequence[Event]: ...


@dataclass(slots=True)
class Bar:
    """One activation. Times are seconds since the run began, without its pauses; `end` is None while it runs.

    `spans` are (what, from, to), one after another; `row` is its place where a lane has several at a time.
    """

    key: str
    path: tuple[str, ...]
    start: float
    end: float | None = None
    status: Status = "running"
    attempts: int = 0
    spans: list[tuple[What, float, float]] = field(default_factory=list[tuple[What, float, float]])
    critical: bool = False
    row: int = 0
    first: int = 0
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """All activations of one node; `rows` is how many of them ran at a time, at most, as far as they are shown.

    `more` are those that ran beside so many others that they have no row of their own.
    """

    name: str
    depth: int
    bars: tuple[Bar, ...]
    rows: int
    more: int = 0


@dataclass(frozen=True)
class Timeline(Picture):
    """A run over time. `critical` are the keys of the critical path, `pauses` are (when, how long) they were."""

    run_id: str
    seconds: float
    lanes: tuple[Lane, ...]
    critical: tuple[str, ...]
    pauses: tuple[tuple[float, float], ...] = ()
    status: str = "running"

    def to_svg(self) -> str:
        """A Gantt chart as one SVG element."""
        from loomgraph.visualize.gantt import to_svg

        return to_svg(self)

    def to_text(self, *, width: int = 100) -> str:
        """A Gantt chart of letters, for terminals."""
        from loomgraph.visualize.gantt import to_text

        return to_text(self, width)


def timeline(definition: Definition | None, run: Logged) -> Timeline:
    """The timeline of a run; with the definition of its graph, its critical path goes along the edges.

    About linear in the events.
    """
    folded = _Folded()
    for event in run.events:
        folded.tell(event)
    bars = folded.bars.values()
    ended = folded.clock
    for bar in bars:
        if bar.end is None and bar.spans and bar.spans[-1][0] != "waits":
            bar.spans[-1] = (*bar.spans[-1][:2], ended)
    counted = [bar for bar in bars if bar.status not in {"cancelled", "skipped"}]
    done = [Done(bar.key, bar.path, bar.first, folded.number if bar.last is None else bar.last) for bar in counted]
    path = critical_path(done, {} if definition is None else sources_of(definition))
    for key in path:
        folded.bars[key].critical = True
    return Timeline(run.run_id, ended, tuple(_lanes(bars)), path, tuple(folded.pauses), folded.status)


class _Folded:
    """The bars, and the clock that stands still in pauses."""

    def __init__(self) -> None:
        self.bars: dict[str, Bar] = {}
        self.pauses: list[tuple[float, float]] = []
        self.status = "running"
        self.number = 0
        self.clock = 0.0
        self._at: float | None = None

    def tell(self, event: Event) -> None:
        """The next event."""
        passed = 0.0 if self._at is None else max(0.0, event.time - self._at)
        self._at, self.number = event.time, self.number + 1
        if isinstance(event, RunResumed):
            self.pauses.append((self.clock, passed))
            self._died()
            return
        self.clock += passed
        kind = event.kind
        if isinstance(event, RunRedriven):
            self.bars.clear()
        elif kind in _ENDINGS:
            self.status = _ENDINGS[kind]
        elif isinstance(event, NodeStarted):
            self.status = "running"
            self._started(event)
        elif isinstance(event, (AttemptFailed, QuestionAsked, SignalAwaited)):
            self._stopped(event.key, "retries" if isinstance(event, AttemptFailed) else "waits")
        elif isinstance(event, (NodeSucceeded, NodeHeld, NodeFailed, NodeCancelled)):
            self._ended(event)

    def _started(self, event: NodeStarted) -> None:
        bar = self.bars.get(event.key)
        if bar is None:
            bar = self.bars[event.key] = Bar(event.key, node_path(event.key), self.clock, first=event.seq)
        self._closed(bar)
        bar.attempts, bar.status, bar.end, bar.last = event.attempt, "running", None, None
        bar.spans.append(("runs", self.clock, self.clock))

    def _stopped(self, key: str, following: What) -> None:
        bar = self.bars.get(key)
        if bar is not None:
            self._closed(bar)
            bar.status = "waiting" if following == "waits" else bar.status
            bar.spans.append((following, self.clock, self.clock))

    def _ended(self, event: NodeSucceeded | NodeHeld | NodeFailed | NodeCancelled) -> None:
        bar = self.bars.get(event.key)
        if bar is None:  # taken over from before a fork, edited, or cancelled before it began
            if isinstance(event, NodeCancelled):
                return
            bar = self.bars[event.key] = Bar(event.key, node_path(event.key), self.clock, first=event.seq)
        self._closed(bar)
        bar.end, bar.last = self.clock, event.seq
        if isinstance(event, NodeFailed):
            bar.status = "handled" if event.taken else "failed"
        else:
            bar.status = "cancelled" if isinstance(event, NodeCancelled) else "succeeded"

    def _closed(self, bar: Bar) -> None:
        if bar.spans:
            bar.spans[-1] = (*bar.spans[-1][:2], self.clock)

    def _died(self) -> None:
        """What was in flight ended with its process; it starts again."""
        for bar in self.bars.values():
            if bar.end is None and bar.spans and bar.spans[-1][0] != "waits":
                self._closed(bar)
                bar.spans.append(("retries", self.clock, self.clock))


_ENDINGS: Final = {
    "RunSucceeded": "succeeded",
    "RunFailed": "failed",
    "RunCancelled": "cancelled",
    RunSuspended.__name__: "suspended",
}


def _lanes(bars: Iterable[Bar]) -> Iterable[Lane]:
    """Lanes in the order they began, those of a sub-graph under the node that it is in."""
    found: dict[tuple[str, ...], list[Bar]] = defaultdict(list)
    for bar in bars:
        found[bar.path].append(bar)
    inside: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for path in found:
        around = path[:-1]
        while around and around not in found:
            around = around[:-1]
        inside[around].append(path)
    work: list[tuple[tuple[str, ...], int]] = [(path, 0) for path in reversed(inside[()])]
    while work:
        path, depth = work.pop()
        around = path[:-1]
        while around and around not in found:
            around = around[:-1]
        # a map's own activation above its items
        rows, more = _packed([bar for bar in found[path] if not bar.key.endswith("]")])
        item_rows, item_more = _packed([bar for bar in found[path] if bar.key.endswith("]")], rows)
        yield Lane("/".join(path[len(around) :]), depth, tuple(found[path]), max(1, item_rows), more + item_more)
        work.extend((inner, depth + 1) for inner in reversed(inside[path]))


def _packed(bars: list[Bar], first: int = 0) -> tuple[int, int]:
    """Give each bar the first row that is free when it begins; how many rows that takes, and how many have none."""
    free: list[tuple[float, int]] = []
    rows, more = first, 0
    for bar in bars:
        if free and free[0][0] <= bar.start:
            bar.row = heappop(free)[1]
        elif rows < _ROWS:
            bar.row, rows = rows, rows + 1
        else:
            bar.row, more = -1, more + 1
            continue
        heappush(free, (float("inf") if bar.end is None else bar.end, bar.row))
    return rows, more
