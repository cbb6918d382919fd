"""Guards: under which decisions something is taken. Equal guards share their fate; disjoint ones exclude each other.

A guard is a set of cells of one decision, and implies the guard under which that decision is made. So guards form a
tree below "always". The union of all cells of a decision is the guard above it; other unions that a tree cannot hold
become a decision of their own, which keeps "the same fate" and forgets the rest. The calculus is sound for what it
claims, and silent otherwise.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import TypeAlias

__all__ = ["ALWAYS", "NEVER", "Decision", "Guard", "Item", "Merger", "at"]


class Decision:
    """A point where the run may go on in several ways. `lost` if nothing is known of when it is made.

    Of a decision made in a loop: `struck` are the cells that lead to a further iteration, `lifted` is what is left of
    it when the loop is over, and it is `void` if nothing is. Most decisions are asked for one guard or two, `first`
    and `second`: a table of those that were `made` for each would be most of what a large graph keeps in memory.
    """

    __slots__ = (
        "certain",
        "depth",
        "first",
        "full",
        "lifted",
        "lost",
        "made",
        "parent",
        "region",
        "second",
        "struck",
        "void",
    )

    def __init__(self, parent: Guard, full: int, certain: int, region: int, *, lost: bool = False) -> None:
        self.parent = parent
        self.full = full
        self.certain = certain
        self.region = region
        self.lost = lost
        self.depth: int = 1 if parent.decision is None else parent.decision.depth + 1
        self.first: Guard | None = None
        self.second: Guard | None = None
        self.made: dict[int, Guard] | None = None
        self.struck = 0
        self.lifted: Decision | None = None
        self.void = False


class Guard:
    """`mask`: cells of `decision`. Interned, so that equal guards are one object."""

    __slots__ = ("decision", "mask")

    def __init__(self, decision: Decision | None, mask: int) -> None:
        self.decision = decision
        self.mask = mask


ALWAYS = Guard(None, 1)
NEVER = Guard(None, 0)

Item: TypeAlias = tuple[Guard, int]
"""A guard and the edge it is the guard of."""


def at(decision: Decision, mask: int) -> Guard:
    """The guard of some cells: the one above if they are all cells, NEVER if none."""
    mask &= decision.full
    if not mask:
        return NEVER
    if mask == decision.full and not decision.lost:
        return decision.parent
    first = decision.first
    if first is None:
        first = decision.first = Guard(decision, mask)
    if first.mask == mask:
        return first
    second = decision.second
    if second is None:
        second = decision.second = Guard(decision, mask)
    if second.mask == mask:
        return second
    if decision.made is None:
        decision.made = {}
    found = decision.made.get(mask)
    if found is None:
        found = decision.made[mask] = Guard(decision, mask)
    return found


class _Entry:
    """A share of a union while it climbs: cells of one decision, whole (`exact`) or somewhere within them."""

    __slots__ = ("edge", "exact", "mask")

    def __init__(self, mask: int, exact: bool, edge: int) -> None:
        self.mask = mask
        self.exact = exact
        self.edge = edge


class Merger:
    """Unions of guards, each computed once, so that the same union is the same guard."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[frozenset[Guard], Guard] = {}

    def union(self, items: Sequence[Item], region: int, clash: Callable[[int, int], None] | None = None) -> Guard:
        """When any of the guards holds. Calls `clash(a, b)` once if two of them certainly can hold together."""
        alive = [item for item in items if item[0] is not NEVER]
        if len(alive) < 2:
            return alive[0][0] if alive else NEVER
        first = alive[0][0]
        if all(guard is first for guard, _ in alive):
            if clash is not None:
                clash(alive[0][1], alive[1][1])
            return first
        key = frozenset(guard for guard, _ in alive)
        known = self.known.get(key)
        if known is None or clash is not None:
            made = _climb(alive, region, clash)
            known = self.known.setdefault(key, made)
        return known


def _climb(items: list[Item], region: int, clash: Callable[[int, int], None] | None) -> Guard:
    """Merge the deepest decisions first, up to the one that all guards lie below."""
    groups: dict[Decision | None, list[_Entry]] = {}
    heap: list[tuple[int, int, Decision | None]] = []
    count = 0

    def push(guard: Guard, exact: bool, edge: int) -> None:
        nonlocal count
        entries = groups.get(guard.decision)
        if entries is None:
            entries = groups[guard.decision] = []
            depth = 0 if guard.decision is None else guard.decision.depth
            heapq.heappush(heap, (-depth, count, guard.decision))
            count += 1
        entries.append(_Entry(guard.mask, exact, edge))

    for guard, edge in items:
        push(guard, True, edge)
    budget = 64 + 8 * len(items)
    while True:
        decision = heapq.heappop(heap)[2]
        entries = groups.pop(decision)
        if clash is not None and len(entries) > 1:
            pair = _clashing(decision, entries)
            if pair is not None:
                clash(*pair)
                clash = None
        exact = partial = 0
        for entry in entries:
            if entry.exact:
                exact |= entry.mask
            else:
                partial |= entry.mask
        covered = not partial & ~exact
        if decision is None:
            return ALWAYS if covered else _opaque(ALWAYS, region)
        if not heap:
            return at(decision, exact) if covered else _opaque(at(decision, exact | partial), region)
        budget -= 1
        if decision.lost or budget < 0:
            return _opaque(ALWAYS, region, lost=True)
        push(decision.parent, covered and exact == decision.full, entries[0].edge)


def _opaque(parent: Guard, region: int, *, lost: bool = False) -> Guard:
    """A guard of which nothing is known but what it implies."""
    return at(Decision(parent, 0b11, 0b11, region, lost=lost), 0b01)


def _clashing(decision: Decision | None, entries: list[_Entry]) -> tuple[int, int] | None:
    """Two edges of which certainly both are taken in some case."""
    whole = [entry for entry in entries if entry.exact]
    certain = 1 if decision is None else decision.certain
    seen = 0
    for position, entry in enumerate(whole):
        shared = entry.mask & seen
        if shared:
            for other in whole[:position]:
                both = entry.mask & other.mask
                if both & certain or (both and both in (entry.mask, other.mask)):
                    return other.edge, entry.edge
        seen |= entry.mask
    for entry in entries:
        if not entry.exact and not entry.mask & ~seen:
            other = next(one for one in whole if one.mask & entry.mask)
            return other.edge, entry.edge
    return None
