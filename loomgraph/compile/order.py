"""The canonical order of state updates: a linear extension of causality that depends on the definition alone.

Inside a region its units (nodes, and inner loops as one unit each) are in topological order, ties by declaration.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from loomgraph.compile.nest import ROOT, Nest
from loomgraph.graph.definition import Definition

__all__ = ["Order", "canonical_order"]


@dataclass(slots=True, eq=False)
class Order:
    """`node[v]` and `region[r]`: the position as a unit of the enclosing region."""

    node: list[int]
    region: list[int]


def canonical_order(definition: Definition, nest: Nest, src: list[int], dst: list[int], back_of: list[int]) -> Order:
    """The position of every unit, for a definition without errors."""
    count = len(definition.nodes)
    # a unit is a node by its index, or a loop by its index after all nodes
    declared = [*range(count), *(region.header or 0 for region in nest.regions)]
    home = [*nest.region_of, *(region.parent for region in nest.regions)]
    after: dict[int, list[int]] = {}
    waits = [0] * len(declared)
    for s, d, back in zip(src, dst, back_of, strict=True):
        if s >= 0 and d < count and back < 0:
            at = nest.common(nest.region_of[s], nest.region_of[d])
            before, behind = _unit(nest, s, at, count), _unit(nest, d, at, count)
            if before != behind:
                after.setdefault(before, []).append(behind)
                waits[behind] += 1
    place = [0] * len(declared)
    placed = [0] * len(nest.regions)
    # units of different regions do not wait for each other, so one queue orders all regions at once
    ready = [(declared[unit], unit) for unit, left in enumerate(waits) if not left and unit != count + ROOT]
    heapq.heapify(ready)
    while ready:
        unit = heapq.heappop(ready)[1]
        place[unit] = placed[home[unit]]
        placed[home[unit]] += 1
        for behind in after.get(unit, ()):
            waits[behind] -= 1
            if not waits[behind]:
                heapq.heappush(ready, (declared[behind], behind))
    return Order([*place[:count], placed[ROOT]], place[count:])


def _unit(nest: Nest, node: int, at: int, count: int) -> int:
    """A node as a unit of region `at`: itself, or the loop directly inside `at` that contains it."""
    unit, region = node, nest.region_of[node]
    while region != at:
        unit, region = count + region, nest.regions[region].parent
    return unit
