"""What can be drawn: the same ways to a picture for workflows, graphs, agents and runs. Draws nothing itself.

Every picture is a fold of a definition and, of a run, its log; `loomgraph.visualize` makes it, see `plugs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from loomgraph.runtime.plugs import plug

if TYPE_CHECKING:
    from loomgraph.compile.nest import Nest
    from loomgraph.graph.definition import Definition

__all__ = ["Drawable", "DrawableRun", "Drawn", "Picture", "SequencePicture"]

Drawn = tuple["Definition", "Nest | None", Any]
"""What a picture is made from: a definition, its loop nest if it is known, and a run or None."""


class Picture(Protocol):
    """A drawing that is no graph. In a notebook it shows itself."""

    def to_svg(self) -> str:
        """One SVG element that stands alone."""
        ...

    def to_png(self, *, scale: float = 2) -> bytes:
        """A PNG, `scale` times the picture's size. Raises RendererMissingError and DrawingError."""
        ...

    def to_text(self, *, width: int = 100) -> str:
        """Lines of text of about `width` columns."""
        ...


class SequencePicture(Picture, Protocol):
    """Messages between nodes."""

    def to_mermaid(self) -> str:
        """A Mermaid sequence diagram."""
        ...


class Drawable:
    """Something that can be drawn.

    `run` is laid over the drawing: a RunResult, a RunHandle, the log of a run, or a Comparison of two. Options: `depth`
    levels of sub-graphs are opened (all, if left out; outer ones first, and at most `max_edges` edges in all);
    `collapse=True` lets nodes stand together where the drawing is too large, `collapse=False` leaves it whole. Mermaid,
    SVG and PNG are made smaller unless you say otherwise; DOT and text are not.
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


class DrawableRun(Drawable):
    """A run that can be drawn: over its graph, and as what happened in it."""

    def _told(self) -> tuple[Definition, Any]:
        """The definition of its graph, and something with its `run_id` and `events`."""
        definition, _, run = self._drawn(None)
        return definition, run

    def timeline(self) -> Picture:
        """What ran when: a Gantt chart, with attempts, waits, and the critical path marked."""
        picture: Picture = plug("timeline")(*self._told())
        return picture

    def flame(self, by: Literal["time", "tokens", "cost", "calls"] = "time") -> Picture:
        """Where time at work, tokens, cost or model calls went: nodes as nested frames, each as wide as its share."""
        picture: Picture = plug("flame")(*self._told(), by)
        return picture

    def messages(self, *, depth: int = 1, most: int = 400) -> SequencePicture:
        """What nodes told each other, in order: the values along the edges of graphs at most `depth` deep.

        Of a graph of agents that is what they said. The first `most` messages are kept.
        """
        picture: SequencePicture = plug("messages")(*self._told(), depth=depth, most=most)
        return picture
