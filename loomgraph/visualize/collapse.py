"""A drawing that is too large, made smaller and still true: several nodes stand as one, and a legend says which.

Steps are taken in this order until the drawing fits, and no further: nodes one after another become one (chain); nodes
with the same edges become one (alike), then those whose edges differ in their conditions only; what is left, in the
order it runs, is cut into parts. In the drawing of a run only nodes of one status are alike or make a chain, so that
what failed stays in sight. Nothing is dropped: `count` and `hidden` of nodes and edges add up to the whole
drawing. Sub-graphs are closed before any of this, see `loomgraph.visualize.diagram`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from loomgraph.visualize.diagram import Diagram, DiagramEdge, DiagramNode
from loomgraph.visualize.overlay import merged
from loomgraph.visualize.text import clipped
from loomgraph.visualize.ways import taken_together

__all__ = ["collapsed", "in_order"]

_PARTS: Final = 20
"""Into how many parts a drawing is cut that nothing else makes small enough: at most 400 edges between them."""
_FEWEST: Final = 3
_NAME_LIMIT: Final = 40
_MERGED: Final = frozenset({"function", "human", "map", "graph", "join", "group"})
_WORDS: Final = {
    "chain": "a chain: nodes one after another",
    "alike": "alike: nodes with the same edges",
    "part": "a part: nodes that run next to each other",
}

Groups = list[list[str]]


def collapsed(diagram: Diagram, fits: Callable[[Diagram], bool]) -> Diagram:
    """The first drawing that `fits` as steps of collapsing are taken, or the last of them. Each step is linear."""
    small = diagram
    for _ in range(4):  # what was made of chains may be alike, and the other way round
        before = len(small.nodes)
        for kind, find in (("chain", _chains), ("alike", _alike)):
            small = _told(diagram, _grouped(small, kind, find(small)))
            if fits(small):
                return small
        if len(small.nodes) == before:
            break
    small = _told(diagram, _grouped(small, "alike", _alike(small, labels=False)))
    return small if fits(small) else _told(diagram, _grouped(small, "part", _parts(small)))


def _told(whole: Diagram, small: Diagram) -> Diagram:
    kinds = {line for node in small.nodes if node.kind == "group" for line in _WORDS if line in node.lines[-1]}
    if not kinds:
        return small
    first = f"{len(whole.nodes):,} nodes and {len(whole.edges):,} edges, drawn as "
    first += f"{len(small.nodes):,} and {len(small.edges):,}"
    return replace(small, legend=(first, *(words for kind, words in _WORDS.items() if kind in kinds), *whole.legend))


# ---------------------------------------------------------------------- which nodes stand together


def _chains(diagram: Diagram) -> Iterator[list[str]]:
    """Nodes of which each leads to the next and nowhere else, and the next is reached from nowhere else."""
    nodes, free = {node.id: node for node in diagram.nodes}, _free(diagram)
    ways: dict[str, list[DiagramEdge]] = defaultdict(list)
    into: dict[str, int] = defaultdict(int)
    for edge in diagram.edges:
        ways[edge.source].append(edge)
        into[edge.target] += edge.count
    following: dict[str, str] = {}
    for source, edges in ways.items():
        edge = edges[0]
        plain = len(edges) == 1 and edge.count == 1 and edge.kind in {"normal", "exit", "join"} and not edge.label
        a, b = nodes[source], nodes[edge.target]
        alike = a.cluster == b.cluster and _status(a) == _status(b)
        if plain and into[b.id] == 1 and alike and a.id in free and b.id in free:
            following[source] = b.id
    inner = set(following.values())
    for node in diagram.nodes:
        if node.id in following and node.id not in inner:
            chain = [node.id]
            while chain[-1] in following:
                chain.append(following[chain[-1]])
            if sum(nodes[part].count for part in chain) >= _FEWEST:
                yield chain


def _alike(diagram: Diagram, *, labels: bool = True) -> Iterator[list[str]]:
    """Nodes that lead to the same nodes and are reached from the same, in the same way."""
    into: dict[str, list[object]] = defaultdict(list)
    out: dict[str, list[object]] = defaultdict(list)
    for edge in diagram.edges:
        how = (edge.kind, edge.label if labels else (), edge.loop, edge.taken == 0)
        out[edge.source].append((edge.target, how))
        into[edge.target].append((edge.source, how))
    found: dict[object, list[str]] = defaultdict(list)
    free = _free(diagram)
    for node in diagram.nodes:
        if node.id in free:
            what = node.lines[-1] if node.kind in {"group", "join"} else ""
            sort = (node.kind, node.cluster, node.count, what, _status(node))
            ends = tuple(sorted(map(str, into[node.id]))), tuple(sorted(map(str, out[node.id])))
            found[sort, ends].append(node.id)
    return (group for group in found.values() if len(group) >= _FEWEST)


def _parts(diagram: Diagram) -> Groups:
    """The nodes in the order they run, loops at their headers, in parts of about the same number."""
    free = _free(diagram)
    order = [node.id for node in in_order(diagram) if node.id in free]
    size = -(-len(order) // _PARTS)
    return [order[at : at + size] for at in range(0, len(order), size)] if size > 1 else []


def in_order(diagram: Diagram) -> Iterator[DiagramNode]:
    """All nodes, each after those that lead to it but for loops, which begin at their headers."""
    nodes = {node.id: node for node in diagram.nodes}
    ways: dict[str, list[str]] = defaultdict(list)
    waits: dict[str, int] = dict.fromkeys(nodes, 0)
    for edge in diagram.edges:
        if edge.loop is None and edge.source != edge.target:
            ways[edge.source].append(edge.target)
            waits[edge.target] += 1
    ready = [name for name, number in waits.items() if number == 0][::-1]
    # what is left on a circle of error edges, say, is taken as declared
    rest = iter(nodes)
    seen: set[str] = set()
    while len(seen) < len(nodes):
        name = ready.pop() if ready else next(name for name in rest if name not in seen)
        if name in seen:
            continue
        seen.add(name)
        yield nodes[name]
        for target in reversed(ways[name]):
            waits[target] -= 1
            if waits[target] == 0:
                ready.append(target)


def _status(node: DiagramNode) -> str | None:
    """What became of it: a node that failed is not hidden among those that did not."""
    return None if node.overlay is None else node.overlay.status


def _free(diagram: Diagram) -> set[str]:
    """The nodes that may stand with others: not the two ends, and not the entry of a sub-graph that is open."""
    return {node.id for node in diagram.nodes if node.kind in _MERGED} - {c.entry for c in diagram.clusters}


# ---------------------------------------------------------------------- what is drawn instead


def _grouped(diagram: Diagram, kind: str, groups: Iterable[list[str]]) -> Diagram:
    """The drawing with each group as one node, at the place of its first."""
    nodes = {node.id: node for node in diagram.nodes}
    stands: dict[str, str] = {}
    heads: dict[str, list[DiagramNode]] = {}
    for group in groups:
        if len(group) > 1:
            stands.update(dict.fromkeys(group, group[0]))
            heads[group[0]] = [nodes[name] for name in group]
    if not heads:
        return diagram
    hidden: dict[str, int] = defaultdict(int)
    edges: dict[tuple[str, str, str, int | None], list[DiagramEdge]] = {}
    for edge in diagram.edges:
        source, target = stands.get(edge.source, edge.source), stands.get(edge.target, edge.target)
        if source == target and source in heads:
            hidden[source] += edge.count
            continue
        # edges between nodes that stand alone stay apart, whatever they are
        apart = None if source in heads or target in heads else len(edges)
        edges.setdefault((source, target, edge.kind, apart), []).append(edge)
    drawn = (
        _standing(kind, heads[node.id], hidden[node.id]) if node.id in heads else node
        for node in diagram.nodes
        if stands.get(node.id, node.id) == node.id
    )
    return replace(
        diagram,
        nodes=tuple(drawn),
        edges=tuple(_bundled(found, key[0], key[1]) for key, found in edges.items()),
        loops=tuple(
            replace(
                loop,
                header=stands.get(loop.header, loop.header),
                nodes=tuple(dict.fromkeys(stands.get(node, node) for node in loop.nodes)),
            )
            for loop in diagram.loops
        ),
    )


def _standing(kind: str, nodes: list[DiagramNode], hidden: int) -> DiagramNode:
    first, last = nodes[0], nodes[-1]
    count = sum(node.count for node in nodes)
    last_name = last.lines[len(last.lines) - 2] if last.kind == "group" else last.lines[0]
    name = {"chain": f"a chain of {count:,}", "alike": f"{count:,} alike", "part": f"a part of {count:,}"}[kind]
    if kind == "alike" and first.kind == "group":  # the same steps, many times over
        steps = first.lines[:-1] if len(first.lines) < 4 else first.lines[:3]
        lines = (*steps, f"{first.lines[len(first.lines) - 1]}, {len(nodes):,} times alike")
    else:
        lines = (clipped(first.lines[0], _NAME_LIMIT), "\u22ee", clipped(last_name, _NAME_LIMIT), name)
    laid = [node.overlay for node in nodes if node.overlay is not None]
    return DiagramNode(
        first.id,
        "group",
        lines,
        first.cluster,
        overlay=merged(laid) if laid else None,
        count=count,
        hidden=hidden + sum(node.hidden for node in nodes),
    )


def _bundled(edges: list[DiagramEdge], source: str, target: str) -> DiagramEdge:
    """Edges between the same two nodes as one that says how many they are."""
    first = edges[0]
    if len(edges) == 1:
        same = first.source == source and first.target == target
        return first if same else replace(first, source=source, target=target)
    count = sum(edge.count for edge in edges)
    labels = dict.fromkeys(edge.label for edge in edges)
    label = first.label if len(labels) == 1 else (f"{len(labels):,} conditions",)
    return DiagramEdge(
        source,
        target,
        first.kind,
        (*label, f"\u00d7 {count:,}"),
        cluster=first.cluster,
        loop=first.loop if len({edge.loop for edge in edges}) == 1 else None,
        count=count,
        taken=taken_together([edge.taken for edge in edges]),
    )
