"""Which edges a run took, and how often. Reads a run's activations, and what it says of its starts; decides no look.

An edge counts as taken if any iteration, or any scope, took it. `None` is for what is not decided or not known, such
as the edges of a node that the run has not come to: only what was decided otherwise is drawn as not taken.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from loomgraph.visualize.overlay import Run, placed

__all__ = ["NOT_TAKEN", "Decided", "Ways", "taken_together"]

NOT_TAKEN: Final = "dotted edges were not taken"

_SETTLED: Final = frozenset({"succeeded", "handled", "skipped"})


@dataclass(frozen=True, slots=True)
class Decided:
    """Whose outcome decides about an edge: the node's `path`, or the scope's where `start` says it is out of START.

    `index` is the edge's in its definition. `always` is for the edges of a node that takes all of them, `cap` for one
    that is taken when a loop reaches its cap, which shows at its `target` alone.
    """

    path: tuple[str, ...]
    index: int
    start: bool = False
    always: bool = False
    cap: bool = False
    target: tuple[str, ...] = ()


class Ways:
    """What one run took. `alike` is as in `overlays`."""

    def __init__(self, run: Run, alike: Mapping[tuple[str, ...], str]) -> None:
        self._taken: dict[tuple[str, ...], Counter[int]] = defaultdict(Counter)
        self._settled: Counter[tuple[str, ...]] = Counter()
        self._ran: Counter[tuple[str, ...]] = Counter()
        self._succeeded: Counter[tuple[str, ...]] = Counter()
        self._starts: dict[tuple[str, ...], Counter[int]] = defaultdict(Counter)
        self._started: Counter[tuple[str, ...]] = Counter()
        for record in run.activations:
            if record.key.endswith("]"):
                continue  # an item's edges are its map's
            path = placed(record.path, alike) if alike else record.path
            self._ran[path] += record.status != "skipped"
            if record.status in _SETTLED:
                self._settled[path] += 1
                self._succeeded[path] += record.status == "succeeded"
                self._taken[path].update(getattr(record, "taken", ()))
        # not every run says it: then nothing is known of the edges out of START
        starts: Any = getattr(run, "starts", ())
        for scope, taken in starts:
            path = placed(scope, alike) if alike else scope
            self._started[path] += 1
            self._starts[path].update(taken)

    def count(self, edge: Decided) -> int | None:
        """How often an edge was taken; None if that is not decided, or not known."""
        path = edge.path
        if edge.cap:
            return 0 if self._settled[path] and edge.target and not self._ran[edge.target] else None
        if edge.start:
            found, settled = self._starts[path][edge.index], self._started[path]
            return settled or None if edge.always else found if settled else None
        settled = self._settled[path]
        found = self._succeeded[path] if edge.always else self._taken[path][edge.index]
        return found if found or settled else None


def taken_together(counts: list[int | None]) -> int | None:
    """How often edges were taken that are drawn as one: 0 only if that is known of all of them."""
    known = [count for count in counts if count is not None]
    return sum(known) if known and (any(known) or len(known) == len(counts)) else None
