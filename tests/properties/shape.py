"""The shape of a graph as the reference sees it: where edges come from, what they enter and leave, in which order the
parts of a loop stand. Worked out from the definition and the nest alone."""

from __future__ import annotations

import heapq
from typing import Any

from loomgraph.compile.nest import ROOT, Nest, Region, find_nest
from loomgraph.graph.definition import Definition, EdgeDef, JoinDef
from loomgraph.graph.refs import END_INDEX

__all__ = ["Shape", "Unit"]

Unit = tuple[str, int]
"""A part of a region: ("node", its index) or ("loop", the region's index)."""


class Shape:
    """`source` of every edge, `back` from a back edge to its loop, `units` of every region in canonical order."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.nest: Nest = find_nest(definition)
        self.source = {e.index: e.source for e in definition.edges}
        for region in self.nest.regions:
            if region.cap_edge is not None and region.header is not None:  # a cap edge speaks for the whole loop
                self.source[region.cap_edge] = region.header
        self.back = {e: region.index for region in self.nest.regions for e in region.back_edges}
        self.units = {region.index: self._ordered(region) for region in self.nest.regions}

    def enters(self, edge: EdgeDef, region: Region) -> bool:
        """Whether an edge leads from outside a region into it, however deep."""
        return self._inside(edge.target, region) and not self._inside(self.source[edge.index], region)

    def leaves(self, edge: EdgeDef, region: Region) -> bool:
        """Whether an edge leads out of a region, from however deep."""
        return self._inside(self.source[edge.index], region) and not self._inside(edge.target, region)

    def place(self, node: int, vector: tuple[int, ...], index: int) -> tuple[int, ...]:
        """Where an activation stands in the canonical order."""
        chain = [self.nest.regions[r] for r in reversed(self.nest.chain(self.nest.region_of[node]))]
        out: list[int] = []
        for depth, region in enumerate(chain):
            out.append(self.units[region.index].index(self._unit(node, region)))
            if depth < len(vector):
                out.append(vector[depth])
        return (*out, index)

    def home(self, join: JoinDef) -> Region:
        """The loop in whose iterations a join is decided: the innermost around its target that a member is in."""
        region = self.around(join)
        while region.index != ROOT and not any(
            self.nest.inside(self.source[m.edge], region.index) for m in join.members
        ):
            region = self.nest.regions[region.parent]
        return region

    def around(self, join: JoinDef) -> Region:
        """The innermost loop that a join's target is in."""
        return self.nest.regions[ROOT if join.target == END_INDEX else self.nest.region(int(join.target))]

    def feeders(self, join: JoinDef) -> frozenset[int]:
        """The nodes of an early join's home all of whose ways, within one iteration of it, end in the join."""
        members = {member.edge for member in join.members}
        home = self.home(join)
        body = self.nest.body(home.index)

        def ends_there(node: int, seen: frozenset[int]) -> bool:
            out = [e for e in self.definition.edges if self.source[e.index] == node and e.index != home.cap_edge]
            return bool(out) and all(e.index in members or goes_on(e, seen | {node}) for e in out)

        def goes_on(edge: EdgeDef, seen: frozenset[int]) -> bool:
            after = edge.target
            if after == join.target or edge.index in home.back_edges or not isinstance(after, int):
                return False
            return after in body and (after in seen or ends_there(after, seen))

        return frozenset(n for n in body if n != join.target and ends_there(n, frozenset()))

    def _inside(self, ref: Any, region: Region) -> bool:
        return self.nest.inside(ref, region.index) or (region.index == ROOT and isinstance(ref, int) and ref < 0)

    def _unit(self, node: int, region: Region) -> Unit:
        """The node as a part of `region`: itself, or the loop directly inside `region` that it is in."""
        inner = self.nest.region_of[node]
        if inner == region.index:
            return ("node", node)
        while self.nest.regions[inner].parent != region.index:
            inner = self.nest.regions[inner].parent
        return ("loop", inner)

    def _ordered(self, region: Region) -> list[Unit]:
        """The units of a region in topological order, ties by declaration; a loop is declared where its header is."""
        body = self.nest.body(region.index)
        units = {self._unit(node, region) for node in body}
        before: dict[Unit, set[Unit]] = {unit: set() for unit in units}
        for edge in self.definition.edges:
            source, target = self.source[edge.index], edge.target
            if source not in body or target not in body or self.back.get(edge.index) == region.index:
                continue
            a, b = self._unit(int(source), region), self._unit(int(target), region)
            if a != b:
                before[b].add(a)
        ready = [(self._declared(u), u) for u in units if not before[u]]
        heapq.heapify(ready)
        order: list[Unit] = []
        while ready:
            _, unit = heapq.heappop(ready)
            order.append(unit)
            for later in sorted(units):
                if unit in before[later]:
                    before[later].remove(unit)
                    if not before[later]:
                        heapq.heappush(ready, (self._declared(later), later))
        assert len(order) == len(units), f"region {region.index} has a cycle that is no loop"
        return order

    def _declared(self, unit: Unit) -> int:
        if unit[0] == "node":
            return unit[1]
        header = self.nest.regions[unit[1]].header
        assert header is not None
        return header
