"""Drawings of a definition, with or without a run laid over it: one traversal, a renderer a file. Runs nothing.

A drawing that is too large for its format is made smaller (`collapse=False` leaves it as it is): sub-graphs are closed,
then nodes stand together, see `loomgraph.visualize.collapse`. DOT and text take any size and are left whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from loomgraph.compile.nest import Nest
from loomgraph.graph.definition import Definition
from loomgraph.visualize.collapse import collapsed
from loomgraph.visualize.comparing import Compared
from loomgraph.visualize.diagram import Diagram, diagram
from loomgraph.visualize.mermaid import MAX_EDGES, fits_mermaid, to_mermaid
from loomgraph.visualize.overlay import Run
from loomgraph.visualize.terminal import to_text

Shown: TypeAlias = "Run | Compared"
"""What can be laid over a drawing: a run, or two that are compared."""

__all__ = [
    "Diagram",
    "Shown",
    "collapsed",
    "diagram",
    "draw_dot",
    "draw_mermaid",
    "draw_png",
    "draw_svg",
    "draw_text",
    "fitting",
    "to_dot",
    "to_mermaid",
    "to_text",
]


def draw_mermaid(
    definition: Definition,
    nest: Nest | None = None,
    run: Shown | None = None,
    *,
    collapse: bool = True,
    **options: Any,
) -> str:
    """The definition as a Mermaid flowchart within Mermaid's default limits; `options` are those of `diagram`."""
    if not collapse:
        return to_mermaid(diagram(definition, nest, run, **options))
    return to_mermaid(fitting(definition, nest, run, fits_mermaid, **options))


def draw_dot(
    definition: Definition,
    nest: Nest | None = None,
    run: Shown | None = None,
    *,
    collapse: bool = False,
    **options: Any,
) -> str:
    """The definition in Graphviz' DOT language; `options` are those of `diagram`."""
    return to_dot(_drawn(definition, nest, run, collapse, options))


def draw_svg(
    definition: Definition,
    nest: Nest | None = None,
    run: Shown | None = None,
    *,
    collapse: bool = True,
    **options: Any,
) -> str:
    """The definition as SVG, laid out by Graphviz. Raises RendererMissingError, DrawingError."""
    from loomgraph.visualize.svg import to_svg

    return to_svg(_drawn(definition, nest, run, collapse, options))


def draw_png(
    definition: Definition,
    nest: Nest | None = None,
    run: Shown | None = None,
    *,
    collapse: bool = True,
    scale: float = 2,
    **options: Any,
) -> bytes:
    """The definition as PNG, `scale` times its size in points. Raises RendererMissingError, DrawingError."""
    from loomgraph.visualize.png import diagram_png

    return diagram_png(_drawn(definition, nest, run, collapse, options), scale)


def draw_text(
    definition: Definition,
    nest: Nest | None = None,
    run: Shown | None = None,
    *,
    collapse: bool = False,
    **options: Any,
) -> str:
    """The definition as lines of text for a terminal; `options` are those of `diagram`."""
    return to_text(_drawn(definition, nest, run, collapse, options))


def to_dot(diagram: Diagram) -> str:
    """A diagram as DOT source; imports graphviz on first use."""
    from loomgraph.visualize.dot import to_dot as render

    return render(diagram)


def fitting(
    definition: Definition,
    nest: Nest | None,
    run: Shown | None,
    fits: Callable[[Diagram], bool],
    **options: Any,
) -> Diagram:
    """The whole drawing if it `fits`, else a smaller one: with its sub-graphs closed, then collapsed."""
    drawn = diagram(definition, nest, run, **options)
    if fits(drawn):
        return drawn
    if drawn.clusters:
        drawn = diagram(definition, nest, run, **options | {"depth": 0})
        if fits(drawn):
            return drawn
    return collapsed(drawn, fits)


def _drawn(
    definition: Definition, nest: Nest | None, run: Shown | None, collapse: bool, options: dict[str, Any]
) -> Diagram:
    return fitting(definition, nest, run, _few, **options) if collapse else diagram(definition, nest, run, **options)


def _few(diagram: Diagram) -> bool:
    """Whether Graphviz lays it out in a few seconds, and a reader can follow it."""
    return len(diagram.edges) <= MAX_EDGES and len(diagram.nodes) <= MAX_EDGES
