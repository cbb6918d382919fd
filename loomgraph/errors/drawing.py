"""Why something cannot be drawn in the format that was asked for."""

from __future__ import annotations

from loomgraph.errors.base import LoomgraphError

__all__ = ["DrawingError", "RendererMissingError"]


class DrawingError(LoomgraphError):
    """What lays drawings out could not lay out this one; `detail` is what it said."""

    def __init__(self, renderer: str, detail: str, remedy: str) -> None:
        self.renderer = renderer
        self.detail = detail
        super().__init__(f"{renderer} could not draw it: {detail.rstrip('.')}. {remedy}")


class RendererMissingError(DrawingError):
    """Nothing on this machine draws that format; `tried` is what was looked for."""

    def __init__(self, form: str, tried: str) -> None:
        self.form = form
        self.tried = tried
        LoomgraphError.__init__(
            self,
            f"{form} needs {tried}; none of these is here. "
            "Install it with: pip install 'loomgraph-engine[draw]'; to_mermaid(), to_dot() and to_text() need nothing.",
        )
