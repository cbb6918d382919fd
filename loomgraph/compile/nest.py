"""The loop nest of a graph: which nodes repeat together, who is the header, which edges go back.

For a region: the strongly connected components that remain once the back edges already found are removed. A
component's header is its first declared entry node, preferring one that is entered from the enclosing region; a
`LoopDef.header` overrides. Edges to the header from inside are its back edges. Then the same inside each component.
Irreducible graphs (several entries) are nested like any other; the entries are kept for a warning.

Source: P. Havlak, "Nesting of reducible and irreducible loops", TOPLAS 19(4), 1997 (the idea of one header a region).
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from loomgraph.graph.definition import Definition, EdgeDef, LoopDef
from loomgraph.graph.refs import Ref

__all__ = ["DEFAULT_CAP", "Nest", "Region", "find_nest"]

DEFAULT_CAP = 25
ROOT = 0


@dataclass(slots=True, eq=False)
class Region:
    """One loop, or (index 0) the whole graph. `nodes` are those whose innermost region this is.

    `body` has all nodes, nested ones too; `entries` the nodes entered from outside, `cap_edge` the on_cap edge.
    """

    index: int
    parent: int
    depth: int
    header: int | None
    body: frozenset[int]
    nodes: list[int] = field(default_factory=list[int])
    children: list[int] = field(default_factory=list[int])
    back_edges: list[int] = field(default_factory=list[int])
    entries: tuple[int, ...] = ()
    included: tuple[int, ...] = ()
    cap: int = DEFAULT_CAP
    caps_given: set[int] = field(default_factory=set[int])
    cap_edge: int | None = None


@dataclass(slots=True, eq=False)
class Nest:
    """All regions, outer before inner, and the innermost region of every node."""

    regions: list[Region]
    region_of: list[int]

    def region(self, ref: int) -> int:
        """The innermost region of a node; START and END belong to the root."""
        return ROOT if ref < 0 else self.region_of[ref]

    def chain(self, region: int) -> list[int]:
        """The region and those around it, innermost first, ending with the root."""
        out = [region]
        while out[-1] != ROOT:
            out.append(self.regions[out[-1]].parent)
        return out

    def common(self, a: int, b: int) -> int:
        """The innermost region that contains both."""
        regions = self.regions
        while a != b:
            if regions[a].depth >= regions[b].depth:
                a = regions[a].parent
            else:
                b = regions[b].parent
        return a

    def loop_of(self, loop: LoopDef) -> Region | None:
        """The innermost loop that contains all nodes of a LoopDef; None if they share no loop."""
        refs = [
            ref for ref in (*loop.nodes, *([loop.header] if loop.header is not None else [])) if isinstance(ref, int)
        ]
        if not refs or any(ref < 0 for ref in refs):
            return None
        region = self.region_of[refs[0]]
        for ref in refs[1:]:
            region = self.common(region, self.region_of[ref])
        if loop.header is not None:
            for index in self.chain(region):
                if self.regions[index].header == loop.header:
                    return self.regions[index]
        return None if region == ROOT else self.regions[region]

    def cycle(self, region: Region, definition: Definition) -> list[int]:
        """The nodes of a shortest way round a loop, header first."""
        import networkx as nx  # late, as in _components

        header = region.header
        assert header is not None
        graph: nx.DiGraph[Ref] = nx.DiGraph()
        for edge in definition.edges:
            if edge.source in region.body and edge.target in region.body and edge.kind != "cap":
                graph.add_edge(edge.source, edge.target)
        ways: list[list[int]] = []
        for e in region.back_edges:
            way: Any = nx.shortest_path(graph, header, definition.edges[e].source)  # pyright: ignore[reportUnknownMemberType]
            ways.append(way)
        return min(ways, key=len)


def find_nest(definition: Definition) -> Nest:
    """The loop nest of a definition whose references are all resolved. Linear in edges for each level of nesting."""
    count = len(definition.nodes)
    into: list[list[EdgeDef]] = [[] for _ in range(count)]
    inner: list[EdgeDef] = []
    for edge in definition.edges:
        if isinstance(edge.source, int) and isinstance(edge.target, int) and edge.target >= 0:
            into[edge.target].append(edge)
            if edge.source >= 0:
                inner.append(edge)
    root = Region(ROOT, ROOT, 0, None, frozenset(range(count)))
    nest = Nest([root], [ROOT] * count)
    headers = [loop for loop in definition.loops if isinstance(loop.header, int)]
    work: deque[tuple[int, list[EdgeDef]]] = deque([(ROOT, inner)])
    while work:
        parent, inside = work.popleft()
        for body, internal in _components(inside):
            region = _add_region(nest, nest.regions[parent], body, into, headers)
            region.back_edges = [e.index for e in internal if e.target == region.header]
            work.append((region.index, [e for e in internal if e.target != region.header]))
    _include(nest, definition)
    for node, index in enumerate(nest.region_of):
        nest.regions[index].nodes.append(node)
    _settings(nest, definition)
    return nest


def _components(edges: Sequence[EdgeDef]) -> list[tuple[frozenset[int], list[EdgeDef]]]:
    """The strongly connected components that hold a cycle, each with its internal edges, by first node."""
    edges = _left_over(edges)
    if not edges:
        return []  # most graphs have no cycle, and need not wait 0.08 s for a graph library
    import networkx as nx

    graph: nx.DiGraph[Ref] = nx.DiGraph()
    graph.add_edges_from((e.source, e.target) for e in edges)
    label: dict[Ref, int] = {}
    found: list[frozenset[int]] = []
    for component in nx.strongly_connected_components(graph):
        if len(component) > 1 or any(graph.has_edge(node, node) for node in component):
            label.update((node, len(found)) for node in component)
            found.append(frozenset(cast(set[int], component)))
    internal: list[list[EdgeDef]] = [[] for _ in found]
    for edge in edges:
        of = label.get(edge.source)
        if of is not None and label.get(edge.target) == of:
            internal[of].append(edge)
    return sorted(zip(found, internal, strict=True), key=lambda pair: min(pair[0]))


def _left_over(edges: Sequence[EdgeDef]) -> list[EdgeDef]:
    """What is left when nodes without in-edges are taken away as long as there are any: nothing, without a cycle."""
    waits: dict[Ref, int] = {}
    out: dict[Ref, list[EdgeDef]] = {}
    for edge in edges:
        waits[edge.target] = waits.get(edge.target, 0) + 1
        out.setdefault(edge.source, []).append(edge)
    free = [node for node in out if node not in waits]
    while free:
        for edge in out.pop(free.pop()):
            waits[edge.target] -= 1
            if not waits[edge.target] and edge.target in out:
                free.append(edge.target)
    return [edge for edge in edges if edge.source in out]


def _add_region(
    nest: Nest, parent: Region, body: frozenset[int], into: Sequence[Sequence[EdgeDef]], headers: Sequence[LoopDef]
) -> Region:
    entering = [e for node in sorted(body) for e in into[node] if e.source not in body]
    near = {e.target for e in entering if parent.index == ROOT or e.source in parent.body}
    entries = sorted({e.target for e in entering if isinstance(e.target, int)})
    header = next((node for node in entries if node in near), entries[0] if entries else min(body))
    wanted = [loop for loop in headers if loop.header in body and all(ref in body for ref in loop.nodes)]
    if wanted:
        best = max(wanted, key=lambda loop: (loop.header in near, len(loop.nodes)))
        header = best.header if isinstance(best.header, int) else header
    region = Region(len(nest.regions), parent.index, parent.depth + 1, header, body, entries=tuple(entries))
    nest.regions.append(region)
    parent.children.append(region.index)
    for node in body:
        nest.region_of[node] = region.index
    return region


def _include(nest: Nest, definition: Definition) -> None:
    """Side nodes that a LoopDef includes join its loop and the loops around it."""
    for loop in definition.loops:
        region = nest.loop_of(loop) if loop.include else None
        if region is None:
            continue
        around = set(nest.chain(region.index)) - {region.index}
        for ref in loop.include:
            if isinstance(ref, int) and ref >= 0 and nest.region_of[ref] in around:
                _adopt(nest, region, ref)


def _adopt(nest: Nest, region: Region, node: int) -> None:
    stay, nest.region_of[node] = nest.region_of[node], region.index
    region.included = (*region.included, node)
    for index in itertools.takewhile(lambda index: index != stay, nest.chain(region.index)):
        nest.regions[index].body |= {node}


def _settings(nest: Nest, definition: Definition) -> None:
    """Caps and on_cap edges, from LoopDefs and from `cap=` on back edges. Conflicts are left in `caps_given`."""
    for region in nest.regions[1:]:
        region.caps_given.update(cap for e in region.back_edges if (cap := definition.edges[e].cap) is not None)
    landings = [edge for edge in definition.edges if edge.kind == "cap"]
    for position, loop in enumerate(loop for loop in definition.loops if loop.on_cap is not None):
        around = nest.loop_of(loop)
        if around is not None and position < len(landings):
            around.cap_edge = landings[position].index
    for loop in definition.loops:
        around = nest.loop_of(loop)
        if around is not None and loop.cap is not None:
            around.caps_given.add(loop.cap)
    for region in nest.regions[1:]:
        region.cap = min(region.caps_given, default=DEFAULT_CAP)
