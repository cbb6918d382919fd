"""A run as a drawing shows it: what became of each node, summed over loop iterations and map items.

Reads `run.activations` and nothing else, so anything that has them can be laid over a drawing. What was counted inside
a sub-graph counts for the node around it too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

from loomgraph.visualize.text import counted, seconds

__all__ = ["IDLE", "SYMBOLS", "Overlay", "Record", "Run", "Status", "merged", "overlays", "placed", "used"]

Status: TypeAlias = Literal[
    "running",
    "waiting",
    "failed",
    "cancelled",
    "handled",
    "succeeded",
    "skipped",
    "idle",
    "differs",
    "left",
    "right",
    "same",
]
"""`idle`: the run never came to this node; `waiting`: for an answer or a signal. Of several activations the first in
this order stands for all. The last four are of two runs that are compared: what both did and not alike, what only one
of them did, and what was the same."""

_RANK: Final[tuple[Status, ...]] = (
    *("running", "waiting", "failed", "cancelled", "handled", "succeeded", "skipped"),
    *("differs", "left", "right", "same"),
)
SYMBOLS: Final[dict[Status, str]] = {
    "running": "▶",
    "waiting": "?",
    "failed": "✗",
    "cancelled": "⊘",
    "handled": "↷",
    "succeeded": "✓",
    "skipped": "–",
    "idle": "·",
    "differs": "≠",
    "left": "◁",
    "right": "▷",
    "same": "=",
}


class Record(Protocol):
    """One activation. `path` is the names of its node and of the nodes around it, outermost first."""

    @property
    def path(self) -> tuple[str, ...]: ...
    @property
    def status(self) -> str: ...
    @property
    def attempts(self) -> int: ...
    @property
    def seconds(self) -> float | None: ...
    @property
    def key(self) -> str: ...
    @property
    def amounts(self) -> Mapping[str, int | float]: ...


class Run(Protocol):
    """What can be laid over a drawing: a RunResult, a RunHandle, or anything else with activations."""

    @property
    def activations(self) -> Sequence[Record]: ...


@dataclass(frozen=True, slots=True)
class Overlay:
    """What became of one node. `visits` counts activations that were not skipped, `same` those with this status;
    `seconds` is their sum (None: none ended). With `items` the visits, attempts and seconds are those of a map's items,
    of which `lost` failed, while the status is the map's own. `tokens` and `cost` are those of all inside it.
    `parts` are the statuses of the nodes that one box stands for, with how many have each; `said` is said instead of
    all this."""

    status: Status
    visits: int = 0
    same: int = 0
    attempts: int = 0
    seconds: float | None = None
    items: bool = False
    lost: int = 0
    tokens: int = 0
    cost: float = 0.0
    parts: tuple[tuple[Status, int], ...] = ()
    said: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """`text` and, where models were called, what they used."""
        return (self.text, used(self.tokens, self.cost)) if self.tokens or self.cost else (self.text,)

    @property
    def text(self) -> str:
        """One line: a symbol, so that colour is never needed, then what is worth saying."""
        symbol = SYMBOLS[self.status]
        if self.said:
            return f"{symbol} {self.said}"
        if self.parts:
            total = () if self.seconds is None else (seconds(self.seconds),)
            said = (f"{number} {'not run' if status == 'idle' else status}" for status, number in self.parts)
            return f"{symbol} {', '.join((*said, *total))}"
        if self.status == "idle":
            return f"{symbol} not run"
        if self.status == "skipped":
            return f"{symbol} skipped"
        parts: list[str] = []
        if self.visits > 1 or self.items:
            noun = "item" if self.items else "visit"
            parts.append(f"{self.visits} {noun}{'' if self.visits == 1 else 's'}")
        if self.lost:
            parts.append(f"{self.lost} failed")
        if self.status != "succeeded" and not (self.lost and self.status == "failed"):
            parts.append(f"{self.same} {self.status}" if self.visits > 1 and not self.items else self.status)
        if self.attempts > self.visits:
            parts.append(f"{self.attempts} attempts")
        if self.seconds is not None:
            parts.append(seconds(self.seconds))
        return f"{symbol} {', '.join(parts)}"


IDLE: Final = Overlay("idle")


def used(tokens: int, cost: float) -> str:
    """Tokens and cost in a few characters, such as `1.5k tokens, cost 0.0031`; what is 0 is left out."""
    parts = [f"{counted(tokens)} token{'' if tokens == 1 else 's'}"] if tokens else []
    return ", ".join([*parts, f"cost {cost:.3g}"] if cost else parts)


def merged(laid: Iterable[Overlay]) -> Overlay:
    """What became of several nodes together; the first of their statuses in order of rank stands for all."""
    found = list(laid)
    statuses = Counter(overlay.status for overlay in found)
    times = [overlay.seconds for overlay in found if overlay.seconds is not None]
    order: tuple[Status, ...] = (*_RANK, "idle")
    ranked: tuple[tuple[Status, int], ...] = tuple((status, statuses[status]) for status in order if statuses[status])
    return Overlay(
        ranked[0][0] if ranked else "idle",
        sum(overlay.visits for overlay in found),
        attempts=sum(overlay.attempts for overlay in found),
        seconds=sum(times) if times else None,
        tokens=sum(overlay.tokens for overlay in found),
        cost=sum(overlay.cost for overlay in found),
        parts=ranked,
    )


@dataclass(slots=True)
class _Sum:
    statuses: Counter[str] = field(default_factory=Counter[str])
    attempts: int = 0
    seconds: float | None = None

    def add(self, record: Record) -> None:
        self.statuses[record.status] += 1
        if record.status != "skipped":
            self.attempts += record.attempts
            if record.seconds is not None:
                self.seconds = record.seconds + (self.seconds or 0.0)

    @property
    def status(self) -> Status:
        for status in _RANK:
            if self.statuses[status]:
                return status
        return "idle"

    @property
    def visits(self) -> int:
        return self.statuses.total() - self.statuses["skipped"]


def overlays(
    run: Run, maps: Container[tuple[str, ...]] = (), alike: Mapping[tuple[str, ...], str] | None = None
) -> dict[tuple[str, ...], Overlay]:
    """What became of every node that the run came to, by path. Linear in activations.

    `maps` are the paths of map nodes: those that ran without any item show that. A map's own activation gives its
    status, its items the rest. `alike` are paths of scopes with a name: all of its nodes whose names are that one and
    something more count as one node of that name.
    """
    whole: dict[tuple[str, ...], _Sum] = {}
    items: dict[tuple[str, ...], _Sum] = {}
    tokens: Counter[tuple[str, ...]] = Counter()
    costs: dict[tuple[str, ...], float] = {}
    for record in run.activations:
        # names are escaped in keys, so only the key of a map's item ends in a bracket
        into = items if record.key.endswith("]") else whole
        path = placed(record.path, alike) if alike else record.path
        into.setdefault(path, _Sum()).add(record)
        if record.amounts:
            spent = record.amounts.get("input_tokens", 0) + record.amounts.get("output_tokens", 0)
            for depth in range(1, len(path) + 1):
                tokens[path[:depth]] += int(spent)
                costs[path[:depth]] = costs.get(path[:depth], 0.0) + record.amounts.get("cost", 0)
    out: dict[tuple[str, ...], Overlay] = {}
    for path in whole.keys() | items.keys():
        own, parts = whole.get(path), items.get(path)
        status = (own or parts or _Sum()).status
        if parts is None and own is not None and (path not in maps or status == "skipped"):
            found, mapped = own, False
        else:
            found, mapped = parts or _Sum(), True
        lost = found.statuses["failed"] + found.statuses["handled"] if mapped else 0
        out[path] = Overlay(
            *(status, found.visits, found.statuses[status], found.attempts, found.seconds, mapped, lost),
            tokens=tokens[path],
            cost=costs.get(path, 0.0),
        )
    return out


def placed(path: tuple[str, ...], alike: Mapping[tuple[str, ...], str]) -> tuple[str, ...]:
    """The path of the drawn node that stands for the node at `path`; see `overlays`."""
    made: tuple[str, ...] = ()
    for name in path:
        one = alike.get(made)
        made = (*made, one if one is not None and name.startswith(f"{one} ") else name)
    return made
