"""A Sphinx extension: `.. loomgraph:: module:workflow` becomes the drawing of that workflow.

It draws SVG where the document becomes HTML and lines of text everywhere else, so no builder leaves a diagram out. A
directive that cannot be drawn ends the build with its place, what is wrong and what to do.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from loomgraph.integrations.blocks import OPTIONS, BlockError, Drawer, of_options

__all__ = ["LoomgraphDirective", "setup"]

_LOGGER = logging.getLogger(__name__)


class Diagram(nodes.General, nodes.Element):
    """A drawing in both of its forms, until it is known what is built."""


class _AnyOption(dict[str, Any]):
    """Options of any name: one that there is not must end the build, and docutils would only leave the diagram out."""

    def __missing__(self, name: str) -> Any:
        return directives.unchanged


class LoomgraphDirective(SphinxDirective):
    """The directive. Modules, files and stores are looked up in `loomgraph_folder`, by default that of conf.py."""

    optional_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[Any] = _AnyOption(dict.fromkeys((*OPTIONS, "name"), directives.unchanged))

    def run(self) -> list[nodes.Node]:
        """The diagram as one node; the sources that it was drawn from are noted as what the document depends on."""
        drawer = _CURRENT[-1]
        given = {name: value for name, value in self.options.items() if name != "name"}
        try:
            block = of_options(self.arguments[0] if self.arguments else None, given)
            if block.form == "mermaid":
                raise BlockError("Sphinx itself draws no Mermaid. Write `:format: svg` or `:format: text`.")
            diagram = Diagram()
            diagram["text"] = drawer.draw(dataclasses.replace(block, form="text"), "text")
            diagram["svg"] = "" if block.form == "text" else drawer.draw(block, "svg")
        except BlockError as error:
            # said here as well, in one line: newer versions of Sphinx show an exception as if it were a fault of theirs
            _LOGGER.error("%s", error, location=self.get_location())  # noqa: TRY400 - a sentence, and no traceback
            raise ExtensionError(f"{self.get_location()}: {error}", modname="loomgraph.integrations.sphinx") from error
        for file in sorted(drawer.files):
            self.env.note_dependency(str(file))
        self.add_name(diagram)
        return [diagram]


def setup(app: Sphinx) -> ExtensionMetadata:
    """What Sphinx calls: `extensions = ["loomgraph.integrations.sphinx"]`."""
    app.add_config_value("loomgraph_folder", ".", "env", frozenset({str}))
    app.add_directive("loomgraph", LoomgraphDirective)
    app.add_node(Diagram)
    app.connect("builder-inited", _begin)
    app.connect("doctree-resolved", _chosen)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


_CURRENT: list[Drawer] = []


def _begin(app: Sphinx) -> None:
    """A new build reads the sources again, in a process that built before too."""
    while _CURRENT:
        _CURRENT.pop().forget()
    _CURRENT.append(Drawer(Path(app.confdir, app.config.loomgraph_folder)))


def _chosen(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for diagram in list(doctree.findall(Diagram)):
        if app.builder.format == "html" and diagram["svg"]:
            shown: nodes.Element = nodes.raw("", f'<div class="loomgraph">{diagram["svg"]}</div>', format="html")
        else:
            shown = nodes.literal_block(diagram["text"], diagram["text"], language="text")
        shown["ids"] = diagram["ids"]
        diagram.replace_self(shown)
