"""A diagram as lines of text: each node once, in the order they run, and under it each edge out of it once.

Takes any size and needs nothing: it is what a terminal, a log file and a screen reader can show. Uses no colour.

    scrub
    ├─▶ hang          otherwise
    ├═▶ scrub         still_dirty ↺ ≤ 3
    └┄▶ throw_away    at the cap of 3

A join of several members is written at its edges, as "(all)", so its mark needs no line of its own. What is inside a
sub-graph is indented under its entry.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final
from unicodedata import category, east_asian_width

from loomgraph.visualize.collapse import in_order
from loomgraph.visualize.diagram import Diagram, DiagramEdge, DiagramNode, LineKind
from loomgraph.visualize.text import clipped

__all__ = ["columns", "padded", "to_text"]

_INDENT: Final = "    "
_NAME_LIMIT: Final = 60
_LEAST, _MOST = 12, 36
_ARROWS: Final[dict[LineKind, str]] = {
    "normal": "─▶",
    "exit": "─▶",
    "join": "─▶",
    "back": "═▶",
    "error": "┄▶",
    "cap": "┄▶",
}
_PASSED: Final = "·▷"


def to_text(diagram: Diagram) -> str:
    """The diagram as text, ending in a newline. Every declared edge has a line of its own."""
    lines = [diagram.name, *diagram.legend, "", *_Listing(diagram).lines()]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def columns(text: str) -> int:
    """How many columns a terminal takes for it: wide letters take two, marks on letters none."""
    if text.isascii():
        return len(text)
    return sum(0 if category(c) in {"Mn", "Me", "Cf"} else 2 if east_asian_width(c) in {"W", "F"} else 1 for c in text)


def padded(text: str, width: int) -> str:
    """The text and blanks up to `width` columns."""
    return text + " " * (width - columns(text))


def _told(node: DiagramNode) -> list[str]:
    """A node's lines without those that are blank, as the first one of a name that begins with a line break is."""
    return [line for line in node.lines if line.strip()] or [""]


class _Listing:
    """What a diagram's lines are made from."""

    def __init__(self, diagram: Diagram) -> None:
        self.nodes = {node.id: node for node in diagram.nodes}
        self.entries = {cluster.entry: cluster.id for cluster in diagram.clusters}
        self.names = dict(self._names(diagram))
        self.joined = {edge.source: edge.target for edge in diagram.edges if self.nodes[edge.source].kind == "join"}
        self.ways: dict[str, list[DiagramEdge]] = defaultdict(list)
        for edge in diagram.edges:
            if edge.source not in self.joined:
                self.ways[edge.source].append(edge)
        around = {cluster.id: cluster.parent for cluster in diagram.clusters}
        self.inside: dict[str | None, list[DiagramNode]] = defaultdict(list)
        for node in in_order(diagram):
            if node.id not in self.joined:
                opened = self.entries.get(node.id)
                self.inside[around[opened] if opened is not None else node.cluster].append(node)
        longest = max((columns(name) for name in self.names.values()), default=0)
        self.width = max(_LEAST, min(_MOST, longest)) + 2

    def _names(self, diagram: Diagram) -> Iterator[tuple[str, str]]:
        entries = {cluster.id: _told(self.nodes[cluster.entry])[0] for cluster in diagram.clusters}
        for node in diagram.nodes:
            name = " ".join(node.lines) if node.kind == "group" else _told(node)[0]
            if node.kind == "end" and node.cluster is not None:
                name = f"END of {entries[node.cluster]}"
            yield node.id, clipped(name.replace("\n", " "), _NAME_LIMIT)

    def lines(self) -> Iterator[str]:
        """Without recursion: sub-graphs may nest as deep as they like."""
        work = [iter(self.inside[None])]
        while work:
            node = next(work[-1], None)
            if node is None:
                work.pop()
                continue
            indent = _INDENT * (len(work) - 1)
            yield from (indent + line for line in self._of(node))
            cluster = self.entries.get(node.id)
            if cluster is not None:
                work.append(iter(self.inside[cluster]))

    def _of(self, node: DiagramNode) -> Iterator[str]:
        more = [] if node.kind == "group" else _told(node)[1:]
        said = [", ".join(more)] if more else []
        if node.overlay is not None:
            said.extend(node.overlay.lines)
        # an edge stands a little further right than its node, and what is said of both in one column
        yield self._line(self.names[node.id], said, self.width + 4)
        ways = self.ways[node.id]
        for number, edge in enumerate(ways):
            corner = "└" if number == len(ways) - 1 else "├"
            target = self.joined.get(edge.target, edge.target)
            label = [" ".join(edge.lines)] if edge.lines else []
            if target != edge.target:
                label.append(f"({self.nodes[edge.target].lines[0]})")
            if edge.taken == 0:
                label.append("not taken")
            arrow = _PASSED if edge.taken == 0 else _ARROWS[edge.kind]
            yield f"{corner}{arrow} {self._line(self.names[target], label, self.width)}"

    def _line(self, name: str, said: list[str], width: int) -> str:
        return f"{padded(name, width)} {'   '.join(said)}" if said else name
