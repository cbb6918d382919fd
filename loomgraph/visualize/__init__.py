"""Drawings of a definition, with or without a run laid over it: one traversal, a renderer a file. Runs nothing."""

from __future__ import annotations

from typing import Any

from loomgraph.compile.nest import Nest
from loomgraph.graph.definition import Definition
from loomgraph.visualize.diagram import Diagram, diagram
from loomgraph.visualize.mermaid import to_mermaid
from loomgraph.visualize.overlay import Run

__all__ = ["Diagram", "diagram", "draw_dot", "draw_mermaid", "to_dot", "to_mermaid"]


def draw_mermaid(definition: Definition, nest: Nest | None = None, run: Run | None = None, **options: Any) -> str:
    """The definition as a Mermaid flowchart; `options` are those of `diagram`."""
    return to_mermaid(diagram(definition, nest, run, **options))


def draw_dot(definition: Definition, nest: Nest | None = None, run: Run | None = None, **options: Any) -> str:
    """The definition in Graphviz' DOT language; `options` are those of `diagram`."""
    return to_dot(diagram(definition, nest, run, **options))


def to_dot(diagram: Diagram) -> str:
    """A diagram as DOT source; imports graphviz on first use."""
    from loomgraph.visualize.dot import to_dot as render

    return render(diagram)
