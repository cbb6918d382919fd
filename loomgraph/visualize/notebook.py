"""What Jupyter asks an object for: one drawing in several formats, of which it shows the richest it knows."""

from __future__ import annotations

from loomgraph.compile.nest import Nest
from loomgraph.graph.definition import Definition
from loomgraph.visualize.diagram import diagram
from loomgraph.visualize.mermaid import to_mermaid
from loomgraph.visualize.overlay import Run

__all__ = ["mimebundle"]


def mimebundle(definition: Definition, nest: Nest | None = None, run: Run | None = None) -> dict[str, str]:
    """The drawing by MIME type: `text/vnd.mermaid` for front ends that draw it, `text/plain` for the others."""
    text = to_mermaid(diagram(definition, nest, run))
    return {"text/vnd.mermaid": text, "text/plain": text}
