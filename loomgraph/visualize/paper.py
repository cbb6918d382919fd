"""Pictures that we lay out ourselves: an SVG is drawn on a sheet, and every picture has the same ways out.

A sheet has no scripts, no outer references and no ids, so that any number of them may stand on one page; everything
on it has a title in words. Colours are the theme's. Knows nothing of runs.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any, Final

from loomgraph.visualize.text import legible
from loomgraph.visualize.theme import INK, Style

__all__ = ["CHARACTER", "FONT", "Picture", "Sheet"]

FONT: Final = "Helvetica,Arial,sans-serif"
CHARACTER: Final = 6.0
"""How wide a character of 11 pixels is, about: no font is at hand to measure it."""

_OPENED: Final = re.compile(r'<svg([^>]*?) width="(\d+)"')


class Picture:
    """Something that draws itself: `to_svg`, `to_png`, `to_text`, and in a notebook."""

    def to_svg(self) -> str:
        """One SVG element that stands alone."""
        raise NotImplementedError

    def to_text(self, *, width: int = 100) -> str:
        """Lines of text of about `width` columns."""
        raise NotImplementedError

    def to_png(self, *, scale: float = 2) -> bytes:
        """A PNG, `scale` times the picture's size. Raises RendererMissingError, DrawingError."""
        from loomgraph.visualize.png import svg_png

        return svg_png(self.to_svg(), scale)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        svg = self.to_svg()
        # as narrow as the cell it stands in, but not so narrow that it cannot be read: then it scrolls
        fitting = _OPENED.sub(r'<svg style="max-width:100%;min-width:min(640px,\2px);height:auto"\1 width="\2"', svg, 1)
        html = f'<div style="overflow-x:auto">{fitting}</div>'
        return {"image/svg+xml": svg, "text/html": html, "text/plain": self.to_text()}


class Sheet:
    """An SVG that is being drawn, in pixels from the top left."""

    def __init__(self, width: float, label: str) -> None:
        self.width = width
        self.height = 0.0
        self.label = label
        self._parts: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, style: Style, title: str, round_: float = 2) -> None:
        """A filled rectangle with an outline and a title."""
        dashes = ' stroke-dasharray="4 3"' if style.dashed else ""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}" rx="{round_:g}" '
            f'fill="{style.fill}" stroke="{style.stroke}" stroke-width="{min(style.width, 2):g}"{dashes}>'
            f"<title>{_text(title)}</title></rect>"
        )
        self.height = max(self.height, y + height)

    def line(self, x: float, y: float, x2: float, y2: float, colour: str = INK, width: float = 1) -> None:
        """A straight line."""
        self._parts.append(
            f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width:g}"/>'
        )
        self.height = max(self.height, y, y2)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        colour: str = INK,
        size: float = 11,
        anchor: str = "start",
        bold: bool = False,
        title: str | None = None,
    ) -> None:
        """A line of text; (x, y) is where its base line begins, ends or has its middle."""
        weight = ' font-weight="bold"' if bold else ""
        more = f"<title>{_text(title)}</title>" if title else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}" text-anchor="{anchor}"{weight}>'
            f"{_text(text)}{more}</text>"
        )
        self.height = max(self.height, y)

    def svg(self) -> str:
        """What was drawn."""
        label, height = escape(legible(self.label).replace("\n", " ")), self.height + 8
        return (
            f'<svg role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg" width="{self.width:.0f}" '
            f'height="{height:.0f}" viewBox="0 0 {self.width:.0f} {height:.0f}" font-family="{FONT}">\n'
            f"<title>{label}</title>\n" + "\n".join(self._parts) + "\n</svg>\n"
        )


def _text(text: str) -> str:
    return escape(legible(text), quote=False)
