"""A diagram as a Mermaid flowchart, correct for every name. Runs no JavaScript.

Ids are generated and every text is a quoted string of escaped characters, so no name can break the syntax, be read as
markdown or HTML, or change what another line says. Refuses no size, but says in a comment when Mermaid's defaults
would: its limits can be raised by the page that shows the text, not by the text (a directive that tries is ignored).
Making a drawing smaller is `loomgraph.visualize.collapse`'s business.

Escapes are Mermaid's own (`#35;`), see https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from loomgraph.visualize.diagram import Diagram, DiagramEdge, DiagramNode, LineKind, NodeKind
from loomgraph.visualize.theme import GROUP, INK, JOIN, STATUS, TERMINAL, UNKNOWN, Style

__all__ = ["MAX_EDGES", "MAX_TEXT", "escaped", "fits_mermaid", "to_mermaid"]

MAX_EDGES: Final = 500
MAX_TEXT: Final = 50_000
"""Mermaid's default limits: edges, and UTF-16 code units of text."""

_SHAPES: Final[dict[NodeKind, tuple[str, str]]] = {
    "start": ('(["', '"])'),
    "end": ('(["', '"])'),
    "function": ('["', '"]'),
    "human": ('[/"', '"/]'),
    "map": ('{{"', '"}}'),
    "graph": ('[["', '"]]'),
    "join": ('(("', '"))'),
    "unknown": ('["', '"]'),
    "group": ('[["', '"]]'),
}
_ARROWS: Final[dict[LineKind, str]] = {
    "normal": "-->",
    "exit": "-->",
    "join": "-->",
    "back": "==>",
    "error": "-.->",
    "cap": "-.->",
}
_STYLES: Final[dict[str, Style]] = {"terminal": TERMINAL, "join": JOIN, "unknown": UNKNOWN, "group": GROUP} | {
    str(status): style for status, style in STATUS.items()
}


def to_mermaid(diagram: Diagram) -> str:
    """The diagram as Mermaid source, ending in a newline. Linear in its size."""
    lines = ["flowchart TD"]
    lines.extend(_nodes(diagram))
    lines.extend(_edge(edge) for edge in diagram.edges)
    if diagram.legend:
        lines.append(f'    legend["{_text(diagram.legend)}"]')
    lines.extend(_classes(diagram))
    text = "\n".join(lines) + "\n"
    return _limits(diagram, text) + text


def fits_mermaid(diagram: Diagram) -> bool:
    """Whether Mermaid draws it with its default limits."""
    return len(diagram.edges) <= MAX_EDGES and not to_mermaid(diagram).startswith("%%")


def _limits(diagram: Diagram, text: str) -> str:
    size = len(text.encode("utf-16-le")) // 2
    edges = len(diagram.edges)
    if edges <= MAX_EDGES and size <= MAX_TEXT:
        return ""
    return (
        f"%% {edges} edges and {size} characters: more than Mermaid draws by default ({MAX_EDGES} and {MAX_TEXT}).\n"
        f"%% On a page of your own call mermaid.initialize with maxEdges {max(edges, MAX_EDGES)} "
        f"and maxTextSize {max(size + 1000, MAX_TEXT)}; or draw it as DOT.\n"
    )


def _nodes(diagram: Diagram) -> Iterator[str]:
    """Each node inside its cluster's block, clusters inside those around them."""
    nodes: dict[str | None, list[DiagramNode]] = {}
    for node in diagram.nodes:
        nodes.setdefault(node.cluster, []).append(node)
    children: dict[str | None, list[int]] = {}
    for index, cluster in enumerate(diagram.clusters):
        children.setdefault(cluster.parent, []).append(index)
    work: list[tuple[int, str]] = []
    here: str | None = None
    indent = "    "
    while True:
        for node in nodes.get(here, ()):
            yield indent + _node(node)
        work.extend((index, indent) for index in reversed(children.get(here, ())))
        while work and work[-1][0] < 0:
            yield f"{work.pop()[1]}end"
        if not work:
            return
        index, indent = work.pop()
        here = diagram.clusters[index].id
        # no title: edges would cross it, and the entry says the name
        yield f'{indent}subgraph {here}[" "]'
        work.append((-1, indent))
        indent += "    "


def _node(node: DiagramNode) -> str:
    before, after = _SHAPES[node.kind]
    lines = node.lines if node.overlay is None else (*node.lines, *node.overlay.lines)
    return f"{node.id}{before}{_text(lines)}{after}"


def _edge(edge: DiagramEdge) -> str:
    label = f'|"{_text(edge.lines)}"|' if edge.lines else ""
    return f"    {edge.source} {_ARROWS[edge.kind]}{label} {edge.target}"


def _classes(diagram: Diagram) -> Iterator[str]:
    members: dict[str, list[str]] = {}
    for node in diagram.nodes:
        name = _class_of(node)
        if name is not None:
            members.setdefault(name, []).append(node.id)
    for name, style in _STYLES.items():
        if name in members:
            dashes = ",stroke-dasharray:5 3" if style.dashed else ""
            # no colour of the text: themes for dark pages overrule it, and would not the background under it
            look = f"fill:{style.mid},fill-opacity:0.2,stroke:{style.mid},stroke-width:{style.width}px{dashes}"
            yield f"    classDef {name} {look}"
            yield f"    class {','.join(members[name])} {name}"
    passed = [str(number) for number, edge in enumerate(diagram.edges) if edge.taken == 0]
    if passed:
        yield f"    linkStyle {','.join(passed)} stroke:{INK},stroke-width:1px,stroke-dasharray:1 4"
    if diagram.legend:
        yield "    classDef legend fill:none,stroke:none,font-size:12px"
        yield "    class legend legend"
    if diagram.clusters:
        yield f"    classDef scope fill:none,stroke:{INK},stroke-width:1px,stroke-dasharray:6 4"
        yield f"    class {','.join(cluster.id for cluster in diagram.clusters)} scope"


def _class_of(node: DiagramNode) -> str | None:
    if node.overlay is not None:
        return node.overlay.status
    if node.kind in ("start", "end"):
        return "terminal"
    return node.kind if node.kind in ("join", "unknown", "group") else None


# Words joined by one space, underscore, hyphen or dot mean nothing to Mermaid or to markdown.
_PLAIN = re.compile(r"[A-Za-z0-9]+(?:[ _.-][A-Za-z0-9]+)*")
# A lone space between visible characters, marks inside words, and what no position makes special. A dot after a "w" is
# escaped because "www." makes a link. The letters Mermaid marks its own escapes with are escaped too.
_SPECIAL = re.compile(
    r"(?:^\s|\s$|(?<=\s)\s"
    r"|[^\S ]"
    r"|(?<![A-Za-z0-9])[_.-]|[_.-](?![A-Za-z0-9])|(?<=[wW])\."
    r"|(?<=[0-9])\)"
    '|[!"#$%&*+:;<=>@\\[\\\\\\]^`{|}~\ufb02\u00b0\u00b6\u00df\ufeff])'
)


def _text(lines: tuple[str, ...]) -> str:
    return "<br/>".join(escaped(line) for line in lines)


def escaped(line: str) -> str:
    """A line of text as Mermaid shows it, whatever is in it."""
    if _PLAIN.fullmatch(line) and "www" not in line.lower():
        return line
    # in what it draws Mermaid reads its own marks once more: a word joiner, which has no width, keeps them apart
    line = line.replace("\ufb02\u00b0", "\ufb02\u2060\u00b0").replace("\u00b6\u00df", "\u00b6\u2060\u00df")
    # a space that HTML would swallow becomes one that it keeps
    return _SPECIAL.sub(lambda found: f"#{160 if found[0] == ' ' else ord(found[0])};", line)
