"""What Jupyter asks an object for: one drawing in several formats, of which it shows the richest it knows.

Never fails for want of a renderer: without Graphviz a notebook gets Mermaid and text, and draws what it can.
"""

from __future__ import annotations

from html import escape
from typing import Any

from loomgraph.compile.nest import Nest
from loomgraph.errors import DrawingError
from loomgraph.graph.definition import Definition
from loomgraph.visualize import Shown, draw_mermaid, draw_svg, draw_text
from loomgraph.visualize.text import legible, seconds

__all__ = ["mimebundle"]


def mimebundle(definition: Definition, nest: Nest | None = None, run: Shown | None = None) -> dict[str, str]:
    """The drawing by MIME type: Mermaid and text always, SVG and HTML where there is a Graphviz.

    Over a run the HTML says what became of it.
    """
    found = {
        "text/vnd.mermaid": draw_mermaid(definition, nest, run),
        "text/plain": draw_text(definition, nest, run),
    }
    try:
        svg = draw_svg(definition, nest, run)
    except DrawingError:
        return found
    head = "" if run is None else _headline(run)
    return {**found, "image/svg+xml": svg, "text/html": f'{head}<div style="overflow-x:auto">{svg}</div>'}


def _headline(run: Any) -> str:
    name, status = getattr(run, "run_id", None), getattr(run, "status", None)
    if name is None or status is None:
        return ""
    took = getattr(run, "seconds", None)
    more = "" if took is None else f" in {seconds(took)}"
    return f"<p>run <code>{escape(legible(str(name)))}</code>: <b>{escape(str(status))}</b>{more}</p>"
