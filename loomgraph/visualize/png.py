"""Drawings as PNG, by what is at hand: the system's `dot`, resvg, cairosvg or rsvg-convert. Refuses to draw without
text: a renderer that finds no font would leave it out in silence, so it is asked first.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

from loomgraph.errors import DrawingError, RendererMissingError
from loomgraph.visualize.diagram import Diagram
from loomgraph.visualize.dot import to_dot
from loomgraph.visualize.svg import by_system, system_dot, to_svg

__all__ = ["diagram_png", "svg_png"]

_NEEDED: Final = "Graphviz (the command `dot`), resvg-py with a font, cairosvg or rsvg-convert"
_PIXELS_PER_INCH: Final = 96
_SECONDS: Final = 60
_LETTERS: Final = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><text y="15">{}</text></svg>'


def diagram_png(diagram: Diagram, scale: float = 2) -> bytes:
    """The diagram as PNG, `scale` times its size in CSS pixels, on a transparent ground.

    Raises RendererMissingError where nothing is at hand, DrawingError where it failed.
    """
    dot = system_dot()
    if dot is None:
        return svg_png(to_svg(diagram), scale)
    try:
        return by_system(dot, to_dot(diagram), "png", f"-Gdpi={_PIXELS_PER_INCH * scale:.0f}")
    except DrawingError:
        return svg_png(to_svg(diagram), scale)


def svg_png(svg: str, scale: float = 2) -> bytes:
    """An SVG of ours as PNG. Raises RendererMissingError, DrawingError."""
    trouble: DrawingError | None = None
    for name, render in _renderers():
        try:
            return render(svg, scale)
        except Exception as error:  # each of them raises something of its own
            trouble = DrawingError(name, str(error).strip()[:300] or type(error).__name__, "Keep the SVG instead.")
            trouble.__cause__ = error
    raise trouble or RendererMissingError("PNG", _NEEDED)


def _renderers() -> Iterator[tuple[str, Callable[[str, float], bytes]]]:
    if importlib.util.find_spec("resvg_py") and _has_fonts():
        yield "resvg", _by_resvg
    if importlib.util.find_spec("cairosvg"):
        yield "cairosvg", _by_cairo
    if shutil.which("rsvg-convert"):
        yield "rsvg-convert", _by_rsvg


@cache
def _has_fonts() -> bool:
    """Whether resvg draws letters at all: without any font on the machine it leaves them out."""
    import resvg_py

    return bool(resvg_py.svg_to_bytes(_LETTERS.format("M")) != resvg_py.svg_to_bytes(_LETTERS.format("")))


def _by_resvg(svg: str, scale: float) -> bytes:
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg, zoom=scale, dpi=_PIXELS_PER_INCH))


def _by_cairo(svg: str, scale: float) -> bytes:
    cairosvg: Any = importlib.import_module("cairosvg")
    return bytes(cairosvg.svg2png(bytestring=svg.encode(), scale=scale))


def _by_rsvg(svg: str, scale: float) -> bytes:
    command = shutil.which("rsvg-convert")
    assert command is not None
    done = subprocess.run(  # noqa: S603 (its own path, and no shell)
        [command, "--zoom", f"{scale:g}"], input=svg.encode(), capture_output=True, check=False, timeout=_SECONDS
    )
    if done.returncode:
        raise DrawingError("rsvg-convert", done.stderr.decode(errors="replace").strip(), "Keep the SVG instead.")
    return done.stdout
