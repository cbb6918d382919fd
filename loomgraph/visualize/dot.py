"""A diagram in Graphviz' DOT language. Ids are generated (a colon in an id would be read as a port) and every text is
escaped twice over, against Graphviz' backslash sequences and against its HTML entities. Runs no Graphviz.
"""

from __future__ import annotations

from html import escape
from typing import Any, Final, assert_never

import graphviz  # pyright: ignore[reportMissingTypeStubs]

from loomgraph.visualize.diagram import Diagram, DiagramEdge, DiagramNode, LineKind, NodeKind
from loomgraph.visualize.theme import ERROR, GROUP, INK, JOIN, NODE, STATUS, TERMINAL, UNKNOWN, Style

__all__ = ["to_dot"]

# The package has no type annotations to speak of.
_Digraph: Any = graphviz.Digraph

_FONT: Final = "Helvetica,Arial,sans-serif"
_MANY: Final = 100
"""From so many edges on Graphviz is told to hurry: the best layout of 300 that cross takes 20 s, a good one 2 s."""
_SHAPES: Final[dict[NodeKind, dict[str, str]]] = {
    "start": {"shape": "box", "style": "rounded,filled"},
    "end": {"shape": "box", "style": "rounded,filled"},
    "function": {},
    "human": {"shape": "parallelogram", "margin": "0.05,0.07"},
    "map": {"shape": "box3d", "margin": "0.2,0.13"},
    "graph": {"peripheries": "2"},
    "join": {"shape": "circle", "margin": "0.02", "width": "0.3", "height": "0.3", "fontsize": "10"},
    "unknown": {},
    "group": {"peripheries": "2"},
}
_LINES: Final[dict[LineKind, dict[str, str]]] = {
    "normal": {},
    "exit": {},
    "join": {},
    "back": {"penwidth": "2.2"},
    "error": {"style": "dashed", "color": ERROR, "fontcolor": ERROR},
    "cap": {"style": "dotted", "penwidth": "1.8"},
}
# thin, dotted and with a hollow tip, so that it is told apart without colour
_PASSED: Final = {"style": "dotted", "penwidth": "0.8", "arrowhead": "empty", "color": INK, "fontcolor": INK}


def to_dot(diagram: Diagram) -> str:
    """The diagram as DOT source. Linear in its size."""
    # newrank: the default way to rank nodes fails ("trouble in init_rank") on some graphs with edges back to clusters
    hurried = {"mclimit": "0.2", "nslimit": "2", "nslimit1": "2"} if len(diagram.edges) > _MANY else {}
    whole = _Digraph(
        graph_attr={"label": _label((diagram.name, *diagram.legend)), "labelloc": "t", "bgcolor": "transparent"}
        | {"fontname": _FONT, "fontsize": "13", "fontcolor": INK, "color": INK, "newrank": "true"}
        | hurried,
        node_attr={"shape": "box", "style": "filled", "fontname": _FONT, "fontsize": "12", "margin": "0.14,0.07"}
        | _style(NODE),
        edge_attr={"color": INK, "fontcolor": INK, "fontname": _FONT, "fontsize": "10", "arrowsize": "0.7"},
    )
    graphs: dict[str | None, Any] = {None: whole}
    for cluster in diagram.clusters:
        # no title: the entry says the name
        graphs[cluster.id] = _Digraph(f"cluster_{cluster.id}", graph_attr={"label": "", "style": "rounded,dashed"})
    for node in diagram.nodes:
        graphs[node.cluster].node(node.id, _label(_lines(node)), **_SHAPES[node.kind], **_look(node))
    # inner clusters first: the package copies a sub-graph when it is added
    for cluster in reversed(diagram.clusters):
        graphs[cluster.parent].subgraph(graphs[cluster.id])
    for edge in diagram.edges:
        whole.edge(edge.source, edge.target, **_line(edge))
    return str(whole.source)


def _look(node: DiagramNode) -> dict[str, str]:
    style = _of(node)
    return {} if style is NODE else _style(style)


def _lines(node: DiagramNode) -> tuple[str, ...]:
    return node.lines if node.overlay is None else (*node.lines, *node.overlay.lines)


def _line(edge: DiagramEdge) -> dict[str, str]:
    label = {"label": _label(tuple(f" {line} " for line in edge.lines))} if edge.lines else {}
    return _LINES[edge.kind] | (_PASSED if edge.taken == 0 else {}) | label


def _of(node: DiagramNode) -> Style:
    if node.overlay is not None:
        return STATUS[node.overlay.status]
    match node.kind:
        case "start" | "end":
            return TERMINAL
        case "join":
            return JOIN
        case "unknown":
            return UNKNOWN
        case "group":
            return GROUP
        case "function" | "human" | "map" | "graph":
            return NODE
        case _ as never:
            assert_never(never)


def _style(style: Style) -> dict[str, str]:
    look = {"fillcolor": style.fill, "color": style.stroke, "fontcolor": style.text, "penwidth": f"{style.width}"}
    return look | ({"style": "filled,dashed"} if style.dashed else {})


def _label(lines: tuple[str, ...]) -> str:
    """Lines as one DOT string that means just them: no entity, no backslash sequence, no HTML."""
    return "\\n".join(escape(line, quote=False).replace("\\", "\\\\") for line in lines)
