"""The loop nest of a graph: which nodes repeat together, who is the header, which edges go back.

For a region: the strongly connected components that remain once the back edges already found are removed. A
component's header is its first declared entry node, preferring one that is entered from the enclosing region; a
`LoopDef.header` overrides it for the innermost loop around that LoopDef's nodes. Edges to the header from inside are
its back edges. Then the same inside each component. Irreducible graphs (several entries) are nested like any other;
the entries are kept for a warning.

Where every loop is entered at one node, one search finds all of them at once, however deep they nest, in about linear
time. A component that is entered at several nodes is taken apart from its header on, one header after the other; what
falls off on the way is searched by itself.

Source: P. Havlak, "Nesting of reducible and irreducible loops", TOPLAS 19(4), 1997 (the search; the choice of a header
where there are several entries is our own).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from loomgraph.compile.grouped import Grouped
from loomgraph.compile.shrinking import Shrinking
from loomgraph.graph.definition import Definition, LoopDef
from loomgraph.graph.refs import START_INDEX, Ref

__all__ = ["DEFAULT_CAP", "Nest", "Region", "find_nest"]

DEFAULT_CAP = 25
ROOT = 0


@dataclass(slots=True, eq=False)
class Region:
    """One loop, or (index 0) the whole graph. `nodes` are those whose innermost region this is.

    The regions inside it have the indexes from its own up to `stop`. `entered` says whether an edge leads into it,
    `tangled` whether one leads elsewhere than to its header; `cap_edge` is the on_cap edge. `jump` is a region further
    out, so chosen that any is reached in logarithmically many jumps and steps.
    """

    index: int
    parent: int
    depth: int
    header: int | None
    stop: int = 0
    nodes: list[int] = field(default_factory=list[int])
    children: Sequence[int] = ()
    back_edges: list[int] = field(default_factory=list[int])
    entered: bool = False
    tangled: bool = False
    included: tuple[int, ...] = ()
    jump: int = ROOT
    cap: int = DEFAULT_CAP
    caps_given: frozenset[int] = frozenset()
    cap_edge: int | None = None


@dataclass(slots=True, eq=False)
class Nest:
    """All regions, each before those inside it, and the innermost region of every node.

    `sides` are the side nodes that loops include, with the region that they would else be in.
    """

    regions: list[Region]
    region_of: list[int]
    sides: dict[int, int] = field(default_factory=dict[int, int])

    def region(self, ref: int) -> int:
        """The innermost region of a node; START and END belong to the root."""
        return ROOT if ref < 0 else self.region_of[ref]

    def body(self, region: int) -> frozenset[int]:
        """All nodes of a region, those of the loops inside it too. Linear in their number."""
        inside = self.regions[region : self.regions[region].stop]
        return frozenset(node for inner in inside for node in inner.nodes)

    def inside(self, ref: Ref, region: int) -> bool:
        """Whether a node is in a region, at any depth; START and END are in none."""
        return isinstance(ref, int) and ref >= 0 and region <= self.region_of[ref] < self.regions[region].stop

    def chain(self, region: int) -> list[int]:
        """The region and those around it, innermost first, ending with the root."""
        out = [region]
        while out[-1] != ROOT:
            out.append(self.regions[out[-1]].parent)
        return out

    def common(self, a: int, b: int) -> int:
        """The innermost region that contains both. Logarithmic in their depth."""
        if b == ROOT:
            return ROOT
        regions = self.regions
        while not a <= b < regions[a].stop:
            far = regions[a].jump
            a = regions[a].parent if far <= b < regions[far].stop else far
        return a

    def part(self, outer: int, region: int) -> int:
        """The loop directly inside `outer` that contains a region which is inside it."""
        children = self.regions[outer].children
        return children[bisect_right(children, region) - 1]

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
        index = region if loop.header is not None else ROOT
        while index != ROOT:
            if self.regions[index].header == loop.header:
                return self.regions[index]
            index = self.regions[index].parent
        return None if region == ROOT else self.regions[region]

    def cycle(self, region: Region, definition: Definition) -> list[int]:
        """The nodes of a shortest way round a loop, header first."""
        import networkx as nx  # seldom needed, and slow to import

        header = region.header
        assert header is not None
        graph: nx.DiGraph[Ref] = nx.DiGraph()
        for edge in definition.edges:
            if self.inside(edge.source, region.index) and self.inside(edge.target, region.index) and edge.kind != "cap":
                graph.add_edge(edge.source, edge.target)
        ways: list[list[int]] = []
        for e in region.back_edges:
            way: Any = nx.shortest_path(graph, header, definition.edges[e].source)  # pyright: ignore[reportUnknownMemberType]
            ways.append(way)
        return min(ways, key=len)


def find_nest(definition: Definition) -> Nest:
    """The loop nest of a definition whose references are all resolved. About linear in edges."""
    nest = _Finder(definition).find()
    _include(nest, definition)
    for node, index in enumerate(nest.region_of):
        nest.regions[index].nodes.append(node)
    _settings(nest, definition)
    return nest


@dataclass(slots=True, eq=False)
class _Search:
    """The loops of a part of a graph, as a depth-first search meets them; the lists are by the order of meeting.

    `last` has the last node met from each, `around` the header of the innermost loop around it (for a header, around
    its own loop) or -1. `entered` has what enters a loop elsewhere than at its header. A loop is `tangled` if it, or a
    loop inside it, is so entered: then its extent is right, and what is inside it is not.
    """

    order: list[int]
    last: list[int]
    number: dict[int, int]
    around: list[int]
    looping: list[bool]
    tangled: list[bool]
    entered: dict[int, list[int]]

    def loop(self, loop: LoopDef) -> int:
        """The header of the innermost loop around all that a LoopDef names, -1 if there is none."""
        found: int | None = None
        for ref in (*loop.nodes, loop.header):
            at = self.number.get(ref, -1) if isinstance(ref, int) else -1
            if at >= 0 and not self.looping[at]:
                at = self.around[at]
            found = at if found is None else found
            while at != found:
                if at > found:
                    at = self.around[at]
                else:
                    found = self.around[found]
        return -1 if found is None else found


@dataclass(slots=True, eq=False)
class _Knot:
    """A tangled loop to be taken apart: where it is entered, where from within the region around it, and the LoopDefs
    that are within it."""

    parent: int
    body: set[int]
    header: int
    entries: set[int]
    near: set[int]
    claims: list[LoopDef]


class _Around:
    """The body of a tangled loop that was opened: its header, what fell off with it, and what stays together."""

    __slots__ = ("fallen", "header", "left")

    def __init__(self, header: int, fallen: set[int], left: set[int]) -> None:
        self.header, self.fallen, self.left = header, fallen, left

    def __contains__(self, node: object) -> bool:
        return node == self.header or node in self.left or node in self.fallen

    def keeps(self, loop: LoopDef) -> bool:
        """Whether all that a LoopDef names stays together."""
        return loop.header in self.left and all(ref in self.left for ref in loop.nodes)


class _Finder:
    """Collects the regions, each after the one around it, and gives them their final indexes at the end."""

    def __init__(self, definition: Definition) -> None:
        count = len(definition.nodes)
        self.definition = definition
        sources: list[int] = []
        targets: list[int] = []
        for edge in definition.edges:
            source, target = edge.source, edge.target
            if isinstance(source, int) and isinstance(target, int) and target >= 0:
                sources.append(source if source >= 0 else count)
                targets.append(target)
        self.before = Grouped(targets, [source if source < count else START_INDEX for source in sources], count)
        self.after = Grouped(sources, targets, count + 1)
        self.starts = self.after[count]
        # (region around, header, whether it is entered, and elsewhere than at the header)
        self.found: list[tuple[int, int, bool, bool]] = []
        self.region_of = [ROOT] * count
        # the region in whose body loops are still looked for; -1 for a header, which starts that search
        self.part = [ROOT] * count

    def find(self) -> Nest:
        headed = [loop for loop in self.definition.loops if isinstance(loop.header, int)]
        self._add(ROOT, -1, False, False)
        # what START does not lead to has loops too
        search = self._search(ROOT, [*self.starts, *range(len(self.part))])
        work = [self._knot(ROOT, body, headed, None) for body in self._take(ROOT, search, headed)]
        while work:
            work.extend(self._untangle(work.pop()))
        return self._numbered()

    def _add(self, parent: int, header: int, entered: bool, tangled: bool) -> int:
        self.found.append((parent, header, entered, tangled))
        return len(self.found) - 1

    def _search(self, part: int, starts: Iterable[int]) -> _Search:
        """Havlak's search of one part, from `starts`."""
        order, last, number = self._depth_first(part, starts)
        back: dict[int, list[int]] = {}
        for at, node in enumerate(order):
            for source in self.before[node]:
                if at <= number.get(source, -1) <= last[at]:
                    back.setdefault(at, []).append(number[source])
        size = len(order)
        search = _Search(order, last, number, [-1] * size, [False] * size, [False] * size, {})
        merged = list(range(size))  # the loop a node has become a part of, or a step on the way to it
        for header in sorted(back, reverse=True):  # inner loops first
            search.looping[header] = True
            work, seen = back[header], {header}
            while work:
                at = work.pop()
                while merged[at] != at:
                    merged[at] = at = merged[merged[at]]
                if at in seen:
                    continue
                seen.add(at)
                search.around[at] = merged[at] = header
                search.tangled[header] |= search.tangled[at]
                for come in self._forward(search, at):
                    if header <= come <= last[header]:
                        work.append(come)
                    else:  # it enters the loop elsewhere than at the header, and maybe loops around it too
                        search.tangled[header] = True
                        search.entered.setdefault(header, []).append(come)
        return search

    def _forward(self, search: _Search, at: int) -> list[int]:
        """Where edges come from that go back nowhere, -1 for outside of the part: a node's own, and a loop's others."""
        number, last = search.number, search.last[at]
        own = [number.get(source, -1) for source in self.before[search.order[at]]]
        return [come for come in own if not at <= come <= last] + search.entered.get(at, [])

    def _depth_first(self, part: int, starts: Iterable[int]) -> tuple[list[int], list[int], dict[int, int]]:
        """The nodes in the order they are met, the last one met from each, and the place of each in that order."""
        order: list[int] = []
        last: list[int] = []
        number: dict[int, int] = {}
        ways: list[Iterator[int]] = [iter(starts)]
        path: list[int] = []
        while ways:
            for node in ways[-1]:
                if node not in number and self.part[node] == part:
                    number[node] = len(order)
                    path.append(len(order))
                    order.append(node)
                    last.append(-1)
                    ways.append(iter(self.after[node]))
                    break
            else:
                ways.pop()
                if path:
                    last[path.pop()] = len(order) - 1
        return order, last, number

    def _take(self, region: int, search: _Search, claims: Sequence[LoopDef]) -> list[list[int]]:
        """Add the loops that the search has right; returns the bodies of the others."""
        for loop in claims:
            at = search.loop(loop)
            if at >= 0 and search.order[at] != loop.header:
                while at >= 0:
                    search.tangled[at] = True
                    at = search.around[at]
        regions = [region] * len(search.order)
        knots: dict[int, list[int]] = {}
        for at, node in enumerate(search.order):
            around = search.around[at]
            if around >= 0:
                regions[at] = regions[around]
            if regions[at] >= 0 and search.looping[at] and search.tangled[at]:
                regions[at] = -1 - at  # no region yet, but the same for the whole body
            if regions[at] < 0:
                knots.setdefault(regions[at], []).append(node)
                continue
            if search.looping[at]:
                regions[at] = self._add(regions[at], node, bool(self._forward(search, at)), False)
            self.region_of[node] = regions[at]
        return list(knots.values())

    def _knot(
        self, parent: int, body: Sequence[int], claims: Sequence[LoopDef], around: Container[int] | None
    ) -> _Knot:
        """A tangled loop, with its header by the rule; `around` is the body of the region around it, None for all."""
        inside = set(body)
        entries = {node for node in body if any(source not in inside for source in self.before[node])}
        near = {
            node
            for node in entries
            if around is None or any(s in around and s not in inside for s in self.before[node])
        }
        own = [loop for loop in claims if loop.header in inside and all(ref in inside for ref in loop.nodes)]
        return _Knot(parent, inside, min(near or entries or inside), entries, near, own)

    def _untangle(self, knot: _Knot) -> Iterator[_Knot]:
        """Add a tangled loop and those that remain in it as their headers go; yields the tangles that fall off."""
        left = Shrinking(knot.body, self.after, self.before)
        parent, header, entries, near, claims = knot.parent, knot.header, knot.entries, knot.near, knot.claims
        while True:
            tangled = len(entries) > (header in entries)
            region = self._add(parent, header, bool(entries), tangled)
            fallen = left.take(header)
            if left.nodes == {left.root}:
                left.nodes.clear()
                fallen = sorted([*fallen, left.root])
            around = _Around(header, set(fallen), left.nodes)
            search = self._open(region, header, fallen, self._entered(fallen, around.fallen))
            forced = [loop for loop in claims if not around.keeps(loop) and search.loop(loop) < 0]
            if forced:
                best = max(forced, key=lambda loop: (loop.header in near, len(loop.nodes))).header
                if isinstance(best, int) and best != header:
                    self.found[region] = (parent, best, bool(entries), len(entries) > (best in entries))
                    body = {header, *fallen, *left.nodes}
                    search = self._open(region, best, body - {best}, self.after[best])
                    yield from (self._knot(region, inner, claims, body) for inner in self._take(region, search, claims))
                    return
            yield from (self._knot(region, inner, claims, around) for inner in self._take(region, search, claims))
            if not left.nodes:
                return
            near = {node for gone in (header, *fallen) for node in self.after[gone] if node in left.nodes}
            entries.difference_update((header, *fallen))
            entries |= near
            parent, header = region, min(near)
            claims = [loop for loop in claims if around.keeps(loop)]

    def _entered(self, nodes: Sequence[int], among: AbstractSet[int]) -> list[int]:
        return [node for node in nodes if any(source not in among for source in self.before[node])]

    def _open(self, region: int, header: int, inside: Iterable[int], starts: Iterable[int]) -> _Search:
        for node in inside:
            self.part[node] = region
        self.part[header] = -1
        self.region_of[header] = region
        return self._search(region, starts)

    def _numbered(self) -> Nest:
        """The regions by their place in the nest: outer before inner, and side by side by their first nodes."""
        first = [len(self.region_of)] * len(self.found)
        for node, region in enumerate(self.region_of):
            first[region] = min(first[region], node)
        children: dict[int, list[int]] = {}
        inside: dict[int, list[int]] = {}
        for region in range(len(self.found) - 1, ROOT, -1):
            parent = self.found[region][0]
            first[parent] = min(first[parent], first[region])
            children.setdefault(parent, []).append(region)
        regions: list[Region] = []
        index_of = [ROOT] * len(self.found)
        work = [ROOT]
        while work:
            region = work.pop()
            around, header, entered, tangled = self.found[region]
            parent = index_of[around]
            index = index_of[region] = len(regions)
            depth = regions[parent].depth + 1 if index else 0
            near, own = regions[parent] if index else None, header if index else None
            made = Region(index, parent, depth, own, index + 1, entered=entered, tangled=tangled)
            if near is not None:
                far = regions[near.jump]
                even = near.depth - far.depth == far.depth - regions[far.jump].depth
                made.jump = far.jump if even else parent
            regions.append(made)
            inside.setdefault(parent, []).append(index)
            work.extend(sorted(children.get(region, ()), key=lambda child: first[child], reverse=True))
        inside[ROOT].remove(ROOT)
        for parent, indexes in inside.items():
            regions[parent].children = indexes
        for inner in reversed(regions[1:]):
            regions[inner.parent].stop = max(regions[inner.parent].stop, inner.stop)
        nest = Nest(regions, [index_of[region] for region in self.region_of])
        for edge in self.definition.edges:
            if isinstance(edge.target, int) and edge.target >= 0:
                home = regions[nest.region_of[edge.target]]
                if home.header == edge.target and nest.inside(edge.source, home.index):
                    home.back_edges.append(edge.index)
        return nest


def _include(nest: Nest, definition: Definition) -> None:
    """Side nodes that a LoopDef includes join its loop and the loops around it."""
    for loop in definition.loops:
        region = nest.loop_of(loop) if loop.include else None
        if region is None:
            continue
        around = set(nest.chain(region.index)) - {region.index}
        for ref in loop.include:
            if not isinstance(ref, int) or ref < 0:
                continue
            # a header cannot stand beside its own loop
            if nest.region_of[ref] in around and nest.regions[nest.region_of[ref]].header != ref:
                nest.sides.setdefault(ref, nest.region_of[ref])
                nest.region_of[ref] = region.index
                region.included = (*region.included, ref)


def _settings(nest: Nest, definition: Definition) -> None:
    """Caps and on_cap edges, from LoopDefs and from `cap=` on back edges. Conflicts are left in `caps_given`."""
    same: dict[frozenset[int], frozenset[int]] = {}
    for region in nest.regions[1:]:
        caps = frozenset([cap for e in region.back_edges if (cap := definition.edges[e].cap) is not None])
        region.caps_given = same.setdefault(caps, caps)
    landings = iter([edge for edge in definition.edges if edge.kind == "cap"])
    for loop in definition.loops:
        landing = next(landings, None) if loop.on_cap is not None else None
        around = nest.loop_of(loop)
        if around is None:
            continue
        if landing is not None:
            around.cap_edge = landing.index
        if loop.cap is not None:
            around.caps_given |= {loop.cap}
    for region in nest.regions[1:]:
        region.cap = min(region.caps_given, default=DEFAULT_CAP)
