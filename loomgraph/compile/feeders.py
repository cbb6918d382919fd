"""The nodes that only feed an early join: all of their ways end in it, so its decision makes them pointless.

Ways are followed within one iteration of the join's home. What comes back in a later iteration is no way to the join.

A node feeds a join if the join post-dominates it, so the feeders of a join are a subtree of one tree for each home. In
a row of joins each has all that the ones before it have: nothing here is written out join by join. Loops inside a home
are one vertex each, which makes the home a graph without cycles.

Source: K. D. Cooper, T. J. Harvey, K. Kennedy, "A simple, fast dominance algorithm", 2001 (a node's dominator is where
those of its neighbours meet); E. W. Myers, "An applicative random-access stack", IPL 17(5), 1983 (the jumps with which
two vertices of a tree meet after logarithmically many steps).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from loomgraph.compile.nest import ROOT

if TYPE_CHECKING:  # plan.py builds on this pass
    from loomgraph.compile.plan import JoinPlan, Plan

__all__ = ["Feeding", "Withdrawn", "home"]

_OUT = -1


def home(plan: Plan, join: JoinPlan) -> int:
    """The loop in whose iterations a join is decided: the innermost around its target that a member comes from.

    That is the target's own loop, but for a join that enters it: that one is decided once for each entry.
    """
    nest, around, found = plan.nest, plan.region_of[join.target], ROOT
    for e in join.edges:
        if around == found:
            break
        if plan.src[e] >= 0:  # all of these regions are around the target, so the later one is the inner one
            found = max(found, nest.common(around, nest.region_of[plan.src[e]]))
    return found


@dataclass(slots=True, eq=False)
class Withdrawn:
    """What the decision of a join makes pointless: each node and loop with whether a loop of feeders is around it, and
    the early joins that are only about them."""

    nodes: list[tuple[int, bool]]
    regions: list[tuple[int, bool]]
    joins: list[int]


class Feeding:
    """Who feeds which early join. Each home is laid out when it is first asked about, in n log n of its edges."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._trees: dict[int, _Tree] = {}

    @cached_property
    def _homes(self) -> dict[int, list[int]]:
        """The early joins that are decided in each region."""
        homes: dict[int, list[int]] = {}
        for join in self.plan.joins:
            if join.need:
                homes.setdefault(join.home, []).append(join.index)
        return homes

    @cached_property
    def _edges(self) -> dict[int, list[int]]:
        """For each home the edges that lead from one of its parts to another one, or out of it."""
        plan, nest = self.plan, self.plan.nest
        found: dict[int, list[int]] = {region: [] for region in self._homes}
        for e, source in enumerate(plan.src):
            if source < 0:
                continue
            region, target = plan.region_of[source], plan.dst[e]
            stop = plan.back_of[e] if plan.back_of[e] >= 0 else nest.common(region, plan.region_of[target])
            if nest.sides:
                stop = min(stop, nest.sides.get(source, stop), nest.sides.get(target, stop))
            while True:
                if region in found:
                    found[region].append(e)
                if region <= stop:
                    break
                region = nest.regions[region].parent
        return found

    def _tree(self, region: int) -> _Tree | None:
        """How the ways of a region end; None if no early join is decided in it."""
        if region not in self._homes:
            return None
        if region not in self._trees:
            self._trees[region] = _Tree(self.plan, region, self._homes[region], self._edges[region])
        return self._trees[region]

    def of(self, index: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The feeder nodes of a join, and the loops that consist of feeders, outer ones first."""
        found = self.withdrawn(index, _none)
        return tuple(sorted(node for node, _ in found.nodes)), tuple(sorted(region for region, _ in found.regions))

    def fed(self, node: int) -> Iterator[int]:
        """The joins that a node feeds; of each home those nearest to it first."""
        for region in self.plan.nest.chain(self.plan.region_of[node]):
            yield from self._fed(node, region)

    def fed_by_loop(self, loop: int) -> Iterator[int]:
        """The joins that a loop feeds as a whole: all of its nodes are feeders."""
        regions = self.plan.nest.regions
        header = regions[loop].header
        if header is None:
            return
        for region in self.plan.nest.chain(regions[loop].parent):
            yield from self._fed(header, region)

    def _fed(self, node: int, region: int) -> Iterator[int]:
        tree = self._tree(region)
        for index in tree.above(node) if tree is not None else ():
            if self.plan.joins[index].target != node:
                yield index

    def feeds(self, node: int, index: int) -> bool:
        """Whether a node feeds a join. Logarithmic in the size of the graph."""
        join = self.plan.joins[index]
        if node == join.target or not self.plan.nest.inside(node, join.home):
            return False
        tree = self._tree(join.home)
        return tree is not None and tree.leads(node, index)

    def withdrawn(self, index: int, decided: Callable[[int], bool]) -> Withdrawn:
        """What becomes pointless with the decision of a join, without what decided joins have withdrawn before."""
        found = Withdrawn([], [], [])
        join = self.plan.joins[index]
        tree = self._tree(join.home) if join.need else None
        if tree is not None:
            self._collect(tree, index, decided, found)
        return found

    def _collect(self, tree: _Tree, index: int, decided: Callable[[int], bool], found: Withdrawn) -> None:
        plan, nodes = self.plan, len(self.plan.nest.region_of)
        target = plan.joins[index].target
        for unit in tree.below(index, decided):
            if unit >= nodes + len(plan.regions):
                found.joins.append(unit - nodes - len(plan.regions))
            elif unit >= nodes:
                self._collect_loop(tree, unit - nodes, found)
            elif unit != target:
                around = plan.region_of[unit]
                found.nodes.append((unit, around != tree.home and tree.leads(plan.regions[around].header, index)))

    def _collect_loop(self, tree: _Tree, loop: int, found: Withdrawn) -> None:
        regions = self.plan.nest.regions
        for region in range(loop, regions[loop].stop):
            found.regions.append((region, region != loop))
            found.joins.extend(self._homes.get(region, ()))
            found.nodes.extend((node, True) for node in regions[region].nodes if not tree.loose(node))


def _none(_: int) -> bool:
    return False


class _Tree:
    """The post-dominators of one home: its nodes, the loops directly inside it and its early joins.

    A unit is a node by its index, a loop by its index after all nodes, or a join by its index after all loops. A vertex
    is a unit's place in a walk over the tree, so what is below a vertex are the places from the next up to its `stop`.
    """

    __slots__ = ("home", "loose_at", "place", "plan", "stop", "unit_of", "up")

    def __init__(self, plan: Plan, home: int, joins: Sequence[int], edges: Sequence[int]) -> None:
        self.plan, self.home = plan, home
        order, parents = _post_dominators(self._ways(joins, edges))
        size = dict.fromkeys(order, 1)
        for unit in reversed(order):
            if unit != _OUT:
                size[parents[unit]] += size[unit]
        self.place = {_OUT: 0}
        following = {_OUT: 1}
        self.unit_of, self.stop, self.up = [_OUT] * len(order), [len(order)] * len(order), [0] * len(order)
        for unit in order:
            if unit == _OUT:
                continue
            at = self.place[unit] = following[parents[unit]]
            following[parents[unit]] += size[unit]
            following[unit] = at + 1
            self.unit_of[at], self.stop[at], self.up[at] = unit, at + size[unit], self.place[parents[unit]]
        self.loose_at = sorted(self.place[node] for node in plan.nest.sides if node in self.place and self.loose(node))

    def loose(self, node: int) -> bool:
        """Whether a loop inside the home includes a node that does not go round with it: it may feed on its own."""
        nest = self.plan.nest
        side = nest.sides.get(node)
        return side is not None and side <= self.home < nest.regions[side].stop

    def unit(self, node: int) -> int:
        """The part of the home that a node inside it belongs to."""
        region = self.plan.region_of[node]
        if region == self.home or self.loose(node):
            return node
        return len(self.plan.nest.region_of) + self.plan.nest.part(self.home, region)

    def _join(self, index: int) -> int:
        return len(self.plan.nest.region_of) + len(self.plan.nest.regions) + index

    def _ways(self, joins: Sequence[int], edges: Sequence[int]) -> dict[int, list[int]]:
        """Where each unit leads to within one iteration of the home."""
        plan, nest = self.plan, self.plan.nest
        within = nest.regions[self.home]
        ways: dict[int, list[int]] = {}
        for e in edges:
            if e == within.cap_edge:
                continue  # it leaves the home when the iterations are over, and is no way out of the header before
            source, target, early = self.unit(plan.src[e]), plan.dst[e], plan.early_of[e]
            if early >= 0 and plan.joins[early].home == self.home:
                ways.setdefault(source, []).append(self._join(early))
            elif plan.back_of[e] == self.home or target == plan.end or not nest.inside(target, self.home):
                ways.setdefault(source, []).append(_OUT)
            elif (behind := self.unit(target)) != source:
                ways.setdefault(source, []).append(behind)
        for index in joins:
            join = plan.joins[index]
            again = plan.back_of[join.edges[0]] == self.home
            leaves = again or join.target == plan.end
            ways[self._join(index)] = [_OUT if leaves else self.unit(join.target)]
        return ways

    def above(self, node: int) -> Iterator[int]:
        """The joins in which all ways of a node end, nearest first."""
        first = self._join(0)
        at = self.place.get(self.unit(node), 0)
        while at:
            at = self.up[at]
            if self.unit_of[at] >= first:
                yield self.unit_of[at] - first

    def leads(self, node: int, index: int) -> bool:
        """Whether all ways of a node end in a join."""
        at = self.place.get(self._join(index), 0)
        return 0 < at < self.place.get(self.unit(node), 0) < self.stop[at]

    def below(self, index: int, decided: Callable[[int], bool]) -> Iterator[int]:
        """The units all of whose ways end in a join, without those below decided joins.

        Loose nodes are always among them: their loop may have gone round again since.
        """
        first = self._join(0)
        at = self.place.get(self._join(index), len(self.stop))
        stop, at = self.stop[at] if at < len(self.stop) else at, at + 1
        while at < stop:
            unit = self.unit_of[at]
            if unit >= first and decided(unit - first):
                skipped = slice(bisect_left(self.loose_at, at), bisect_left(self.loose_at, self.stop[at]))
                yield from (self.unit_of[place] for place in self.loose_at[skipped])
                at = self.stop[at]
            else:
                yield unit
                at += 1


def _post_dominators(ways: dict[int, list[int]]) -> tuple[list[int], dict[int, int]]:
    """All units, each after the one that all of its ways end in next, and that one for each. `_OUT` is the last one."""
    before: dict[int, list[int]] = {}
    left: dict[int, int] = {}
    for unit, targets in ways.items():
        left[unit] = len(targets)
        for target in targets:
            before.setdefault(target, []).append(unit)
    parent, jump, depth = {_OUT: _OUT}, {_OUT: _OUT}, {_OUT: 0}

    def meet(a: int, b: int) -> int:
        if depth[a] < depth[b]:
            a, b = b, a
        while depth[a] > depth[b]:
            a = jump[a] if depth[jump[a]] >= depth[b] else parent[a]
        while a != b:
            a, b = (jump[a], jump[b]) if jump[a] != jump[b] else (parent[a], parent[b])
        return a

    order: list[int] = []
    ready = [_OUT, *(unit for unit in before if unit != _OUT and unit not in ways)]
    while ready:
        unit = ready.pop()
        order.append(unit)
        if unit != _OUT:
            targets = ways.get(unit, [_OUT])  # who leads nowhere ends there
            above = targets[0]
            for target in targets[1:]:
                above = meet(above, target)
            parent[unit], depth[unit] = above, depth[above] + 1
            far = jump[above]
            jump[unit] = jump[far] if depth[above] - depth[far] == depth[far] - depth[jump[far]] else above
        for earlier in before.get(unit, ()):
            left[earlier] -= 1
            if not left[earlier]:
                ready.append(earlier)
    return order, parent
