"""The canonical order of state updates: a linear extension of causality that depends on the definition alone.

Inside a region its units (nodes, and inner loops as one unit each) are in topological order, ties by declaration.
"""

from __future__ import annotations

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
    """The position of every unit. Raises networkx.NetworkXUnfeasible if an included node depends on its own loop."""
    import networkx as nx

    count = len(definition.nodes)
    order = Order([0] * (count + 1), [0] * len(nest.regions))
    graphs: list[nx.DiGraph[tuple[int, int]]] = [nx.DiGraph() for _ in nest.regions]
    for v in range(count):
        graphs[nest.region_of[v]].add_node((v, -1))
    for r in range(1, len(nest.regions)):
        region = nest.regions[r]
        graphs[region.parent].add_node((region.header or 0, r))
    for e, (s, d) in enumerate(zip(src, dst, strict=True)):
        if s < 0 or d >= count or (back_of[e] >= 0 and nest.region_of[s] == back_of[e]):
            continue
        at = back_of[e] if back_of[e] >= 0 else nest.common(nest.region_of[s], nest.region_of[d])
        a, b = _unit(nest, s, at), _unit(nest, d, at)
        if a != b and back_of[e] < 0:
            graphs[at].add_edge(a, b)
    for graph in graphs:
        for position, (node, region_index) in enumerate(nx.lexicographical_topological_sort(graph)):
            if region_index >= 0:
                order.region[region_index] = position
            else:
                order.node[node] = position
    order.node[count] = len(graphs[ROOT])
    return order


def _unit(nest: Nest, node: int, at: int) -> tuple[int, int]:
    """A node as a unit of region `at`: itself, or the loop directly inside `at` that contains it."""
    region = nest.region_of[node]
    inner = -1
    while region != at:
        inner, region = region, nest.regions[region].parent
    if inner < 0:
        return (node, -1)
    return (nest.regions[inner].header or 0, inner)
