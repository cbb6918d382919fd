"""Which updates an activation sees: the fold of its causal ancestors' writes, in canonical order. Pure.

A view is one bit mask a loop level, outermost first, over the records of that level's current iteration. What earlier
iterations wrote is folded into the level's base once, when the iteration ends, so history is never folded again. A
loop that ended is one record of its parent. Ancestors come first in canonical order (a topological one), so a write
extends its writer's fold; only views that really merge are folded from the iteration's base.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loomgraph.compile.plan import Plan
from loomgraph.errors import StateConflictError
from loomgraph.graph.state import StateSpec, Updates

__all__ = ["StateRun", "View"]

Writes = list[tuple[str, Updates]]
Masks = tuple[int, ...]


class View:
    """A set of visible updates; `fields` is their fold once somebody asked for it. `prev` plus `record` is cheaper."""

    __slots__ = ("fields", "masks", "merged", "prev", "record")

    def __init__(
        self, masks: Masks, fields: dict[str, Any] | None = None, prev: View | None = None, record: Record | None = None
    ) -> None:
        self.masks = masks
        self.fields = fields
        self.prev = prev
        self.record = record
        self.merged = False


class Record:
    """The writes of one activation, or of a whole loop that ended; `seen` is what the writer of a field had seen."""

    __slots__ = ("order", "seen", "who", "writes")

    def __init__(self, order: tuple[int, int], writes: Writes, seen: dict[str, Masks], who: dict[str, str]) -> None:
        self.order = order
        self.writes = writes
        self.seen = seen
        self.who = who


class Epoch:
    """One iteration of one region: its records, and the fold of everything before it (None: as the entry saw it)."""

    __slots__ = ("base", "history", "outer", "plain", "records")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.plain: dict[str, int] = {}
        self.base: dict[str, Any] | None = None
        self.outer: Masks = ()
        self.history: list[Record] = []


class StateRun:
    """The state of one scope."""

    def __init__(self, plan: Plan, spec: StateSpec, initial: dict[str, Any]) -> None:
        assert plan.order is not None
        self.plan, self.spec, self.order = plan, spec, plan.order
        self.epochs = [Epoch() for _ in plan.regions]
        for epoch, region in zip(self.epochs, plan.regions, strict=True):
            epoch.outer = (0,) * region.depth
        self.epochs[0].base = initial
        self.start = View((0,), initial)

    # ------------------------------------------------------------------ seeing

    def at(self, view: View, depth: int) -> View:
        """The view as seen inside deeper loops that were just entered."""
        missing = depth + 1 - len(view.masks)
        return view if missing <= 0 else View(view.masks + (0,) * missing, view.fields, view)

    def merge(self, a: View | None, b: View, depth: int) -> View:
        """Everything that either sees. Whether the two agree is only checked where somebody looks (`check`)."""
        b = self.at(b, depth)
        if a is None or a is b:
            return b
        joint = tuple(x | y for x, y in zip(a.masks, b.masks, strict=True))
        if joint == a.masks:
            return a
        if joint == b.masks:
            return b
        view = View(joint)
        view.merged = True
        return view

    def check(self, view: View, region: int) -> None:
        """Raise StateConflictError if a field without reducer has two unordered writes in this view."""
        if not view.merged:
            return
        path = (0, *self.plan.regions[region].path)
        fields = {field for r in path for field, mask in self.epochs[r].plain.items() if mask}
        for field in sorted(fields):
            before: tuple[int, int, Record] | None = None
            for level, r in enumerate(path):
                mask = self.epochs[r].plain.get(field, 0) & view.masks[level]
                for bit in self._sorted(r, mask):
                    record = self.epochs[r].records[bit]
                    if before is not None and not record.seen[field][before[0]] >> before[1] & 1:
                        raise StateConflictError(field, before[2].who[field], record.who[field])
                    before = (level, bit, record)
        view.merged = False

    def fields(self, view: View, region: int) -> dict[str, Any]:
        """The fold of a view; shared, so the caller copies what it hands out."""
        chain: list[View] = []
        at: View = view
        while at.fields is None and at.prev is not None:
            chain.append(at)
            at = at.prev
        if at.fields is None:
            # a merged view folds at its own depth, which is the number of its masks
            path = (0, *self.plan.regions[region].path)
            at.fields = self._refold(path[: len(at.masks)], at.masks)
        fields = at.fields
        for link in reversed(chain):
            if link.record is not None:
                fields = self.spec.fold(fields, link.record.writes)
            link.fields = fields
            link.prev = link.record = None
        return fields

    def _refold(self, path: tuple[int, ...], masks: Masks) -> dict[str, Any]:
        level = len(path) - 1
        while level > 0 and self.epochs[path[level]].base is None:
            level -= 1
        fields = self.epochs[path[level]].base
        assert fields is not None  # the root always has one
        for at in range(level, len(path)):
            for bit in self._sorted(path[at], masks[at]):
                fields = self.spec.fold(fields, self.epochs[path[at]].records[bit].writes)
        return fields

    def _sorted(self, region: int, mask: int) -> list[int]:
        records = self.epochs[region].records
        bits: list[int] = []
        while mask:
            low = mask & -mask
            bits.append(low.bit_length() - 1)
            mask ^= low
        return sorted(bits, key=lambda bit: records[bit].order)

    def standing(self, over: Sequence[bool]) -> dict[str, Any]:
        """Everything written so far in canonical order, loops that still go round included: for readers of a log.

        `over` says which loops have ended. No node sees this: what it sees comes from its own ancestors.
        """
        base = self.epochs[0].base
        assert base is not None
        return self.spec.fold(base, [write for record in self._gathered(0, over) for write in record.writes])

    def _gathered(self, region: int, over: Sequence[bool]) -> list[Record]:
        epoch = self.epochs[region]
        inside = [inner for inner in self.plan.nest.regions[region].children if not over[inner]]
        units = [(record.order, [record]) for record in epoch.records]
        units.extend(((self.order.region[inner], -1), self._gathered(inner, over)) for inner in inside)
        units.sort(key=lambda unit: unit[0])
        return [*epoch.history, *(record for _, records in units for record in records)]

    # ------------------------------------------------------------------ writing

    def wrote(self, node: int, index: int, key: str, view: View, updates: Updates) -> View:
        """The writer's view after its updates; `index` is the map item, -1 outside maps."""
        region = self.plan.region_of[node]
        seen = {field: view.masks for field, _ in updates}
        record = Record((self.order.node[node], index), [(key, updates)], seen, dict.fromkeys(seen, key))
        return self._record(region, view, record)

    def clash(self, writes: dict[int, tuple[str, Updates]]) -> StateConflictError | None:
        """Why the items of a map cannot have written what they wrote: two of them, one field without a reducer."""
        first: dict[str, str] = {}
        for _, (key, updates) in sorted(writes.items()):
            for field in dict.fromkeys(name for name, _ in updates):
                if field in first:
                    return StateConflictError(field, first[field], key)
                if field not in self.spec.reducers:
                    first[field] = key
        return None

    def _record(self, region: int, view: View, record: Record) -> View:
        epoch = self.epochs[region]
        bit = 1 << len(epoch.records)
        epoch.records.append(record)
        for field in record.seen:
            if field not in self.spec.reducers:
                epoch.plain[field] = epoch.plain.get(field, 0) | bit
        after = View((*view.masks[:-1], view.masks[-1] | bit), None, view, record)
        after.merged = view.merged
        return after

    # ------------------------------------------------------------------ loops

    def saw(self, region: int, view: View) -> None:
        """Something in a loop settled with this view: the end of the iteration joins what it saw outside."""
        depth = self.plan.regions[region].depth
        epoch = self.epochs[region]
        if view.masks[:depth] != epoch.outer:
            epoch.outer = tuple(x | y for x, y in zip(epoch.outer, view.masks[:depth], strict=True))

    def everything(self, region: int) -> View:
        """The view that joins all that ran in the region's current iteration."""
        epoch = self.epochs[region]
        view = View((*epoch.outer, (1 << len(epoch.records)) - 1))
        view.merged = True
        return view

    def next_iteration(self, region: int) -> View:
        """Close the region's iteration and return the view its next one starts with. Raises StateConflictError."""
        base = self._close(region)
        self.begin(region, base)
        return View((*self.epochs[region].outer, 0), base)

    def _close(self, region: int) -> dict[str, Any]:
        view = self.everything(region)
        self.check(view, region)
        epoch = self.epochs[region]
        path = (0, *self.plan.regions[region].path)
        base = self._refold(path, view.masks)
        epoch.history.extend(epoch.records[bit] for bit in self._sorted(region, view.masks[-1]))
        return base

    def begin(self, region: int, base: dict[str, Any]) -> None:
        """Start an iteration of a loop on top of `base`; the loops inside it start anew."""
        epoch = self.epochs[region]
        epoch.records, epoch.plain, epoch.base = [], {}, base
        for inner in self.plan.regions[region].inner:
            fresh = Epoch()
            fresh.outer = (0,) * self.plan.regions[inner].depth
            self.epochs[inner] = fresh

    def end_loop(self, region: int) -> View:
        """Close a loop: its writes become one record of its parent; returns the view its exits carry."""
        base = self._close(region)
        epoch, parent = self.epochs[region], self.plan.regions[region].parent
        outer = View(epoch.outer)
        if not epoch.history:
            outer.merged, outer.fields = True, base
            return self._outward(parent, outer)
        writes = [write for record in epoch.history for write in record.writes]
        depth = len(epoch.outer)
        seen: dict[str, Masks] = {}
        who: dict[str, str] = {}
        for record in epoch.history:
            for field, masks in record.seen.items():
                had = seen.get(field)
                cut = masks[:depth]
                seen[field] = cut if had is None else tuple(x & y for x, y in zip(had, cut, strict=True))
                who[field] = record.who[field]
        after = self._record(parent, outer, Record((self.order.region[region], -1), writes, seen, who))
        after.fields, after.prev, after.record, after.merged = base, None, None, True
        return self._outward(parent, after)

    def _outward(self, parent: int, view: View) -> View:
        self.saw(parent, view)
        return view
