"""How a drawing looks, for every renderer. Decides no text and no shape.

Where a renderer writes the text itself, a style carries its own background and text colour, so it reads the same on a
light and on a dark page. Where others do (Mermaid), the text has the page's colour, whatever a style says, so `mid` has
to do for both. Statuses differ in outline and symbol too, so that greyscale loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loomgraph.visualize.overlay import Status

__all__ = ["CRITICAL", "ERROR", "FRAMES", "GROUP", "INK", "JOIN", "NODE", "STATUS", "TERMINAL", "UNKNOWN", "Style"]


INK: Final = "#7d8590"
"""A grey that can be read on white and on black, for what lies on the page itself."""


@dataclass(frozen=True, slots=True)
class Style:
    """Colours as #rrggbb; `width` of the outline in pixels. `mid` stands out on white and on black: an outline and,
    thinned, a background on which the page's own text can be read."""

    fill: str
    stroke: str
    text: str = "#1f2328"
    width: float = 1
    dashed: bool = False
    mid: str = INK


ERROR: Final = "#cf222e"
"""A red that can be read on both, for edges that a failure takes, which are dashed too."""
CRITICAL: Final = "#bc4c00"
"""An orange that can be read on both, for what made a run as long as it was."""
_RED: Final = "#fa4549"
_ORANGE: Final = "#e16f24"
_YELLOW: Final = "#bf8700"
_GREEN: Final = "#2da44e"
_BLUE: Final = "#218bff"
_PURPLE: Final = "#a475f9"
NODE: Final = Style("#f6f8fa", "#6e7781")
TERMINAL: Final = Style("#d0d7de", "#57606a")
JOIN: Final = Style("#ffffff", "#57606a")
GROUP: Final = Style("#eef1f4", "#57606a", width=3)
UNKNOWN: Final = Style("#fff1e5", "#bc4c00", dashed=True, width=2, mid=_ORANGE)
STATUS: Final[dict[Status, Style]] = {
    "running": Style("#b6e3ff", "#0969da", width=3, mid=_BLUE),
    "waiting": Style("#e8d9ff", "#6639ba", width=3, dashed=True, mid=_PURPLE),
    "failed": Style("#ffc1bc", "#a40e26", width=4, mid=_RED),
    "cancelled": Style("#e1e4e8", "#57606a", width=2, dashed=True),
    "handled": Style("#fae17d", "#7d4e00", width=2, mid=_YELLOW),
    "succeeded": Style("#dafbe1", "#1a7f37", width=2, mid=_GREEN),
    "skipped": Style("#f6f8fa", "#8c959f", "#57606a", dashed=True),
    "idle": Style("#ffffff", "#afb8c1", "#57606a"),
    "differs": Style("#ffd8b5", "#953800", width=4, mid=_ORANGE),
    "left": Style("#f3e8ff", "#6639ba", width=2, dashed=True, mid=_PURPLE),
    "right": Style("#ddf4ff", "#0969da", width=3, dashed=True, mid=_BLUE),
    "same": Style("#f6f8fa", "#57606a"),
}
FRAMES: Final = (
    Style("#fff1c9", "#9a6700"),
    Style("#ffdfb6", "#bc4c00"),
    Style("#ffd8d3", "#a40e26"),
    Style("#e8d9ff", "#6639ba"),
)
"""For frames within frames, by depth: they differ in outline and place, colour only helps."""
