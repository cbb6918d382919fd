"""What can be drawn: the same ways to a picture for workflows, graphs, agents and runs. Draws nothing itself.

Every picture is a fold of a definition and, of a run, its log; `loomgraph.visualize` makes it, see `plugs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loomgraph.runtime.plugs import plug

if TYPE_CHECKING:
    from loomgraph.compile.nest import Nest
    from loomgraph.graph.definition import Definition

__all__ = ["Drawable", "Drawn"]

Drawn = tuple["Definition", "Nest | None", Any]
"""What a picture is made from: a definition, its loop nest if it is known, and a run or None."""


class Drawable:
    """Something that can be drawn.

    `run` (a RunResult or a RunHandle) is laid over the drawing. Options: `depth` levels of sub-graphs are opened (all,
    if left out; outer ones first, and at most `max_edges` edges in all); `collapse=True` lets nodes stand together
    where the drawing is too large, `collapse=False` leaves it whole. What is in `to_mermaid` and `to_svg` is made
    smaller unless you say otherwise; `to_dot` and `to_text` are not.
    """

    def _drawn(self, run: Any) -> Drawn:
        raise NotImplementedError

    def to_mermaid(self, run: Any = None, **options: Any) -> str:
        """A Mermaid flowchart, within the limits that Mermaid has by default."""
        text: str = plug("mermaid")(*self._drawn(run), **options)
        return text

    def to_dot(self, run: Any = None, **options: Any) -> str:
        """The drawing in Graphviz' DOT language."""
        text: str = plug("dot")(*self._drawn(run), **options)
        return text

    def to_svg(self, run: Any = None, **options: Any) -> str:
        """One SVG element, laid out by Graphviz. Raises RendererMissingError where there is none, DrawingError."""
        text: str = plug("svg")(*self._drawn(run), **options)
        return text

    def to_png(self, run: Any = None, *, scale: float = 2, **options: Any) -> bytes:
        """A PNG, `scale` times the drawing's size. Raises RendererMissingError and DrawingError."""
        data: bytes = plug("png")(*self._drawn(run), scale=scale, **options)
        return data

    def to_text(self, run: Any = None, **options: Any) -> str:
        """Lines of text for a terminal: every node once, and under it its edges."""
        text: str = plug("text")(*self._drawn(run), **options)
        return text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return plug("mimebundle")(*self._drawn(None))
