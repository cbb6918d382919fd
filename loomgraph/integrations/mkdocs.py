"""An MkDocs plugin: a fenced block `loomgraph` becomes the drawing of the workflow that it names.

It draws when the site is built and leaves nothing to be drawn by hand. A block that cannot be drawn ends the build with
its page and line, what is wrong and what to do. While `mkdocs serve` runs, a change of a
workflow's source draws it anew.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from mkdocs.config import config_options
from mkdocs.config.base import Config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.livereload import LiveReloadServer
from mkdocs.plugins import BasePlugin
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from loomgraph.integrations.blocks import BlockError, Drawer, Form, parsed

try:
    from pymdownx.superfences import SuperFencesException  # pyright: ignore[reportMissingTypeStubs]
except ImportError as missing:
    raise PluginError(
        "the plugin 'loomgraph' needs pymdown-extensions: pip install 'loomgraph-engine[mkdocs]'."
    ) from missing

__all__ = ["LoomgraphPlugin"]

_SUPERFENCES = "pymdownx.superfences"


class Settings(Config):  # type: ignore[no-untyped-call]  # its own __init_subclass__
    """What may stand under the plugin in mkdocs.yml."""

    format = config_options.Choice(("mermaid", "svg", "text"), default="mermaid")
    fence = config_options.Type(str, default="loomgraph")


class FenceError(PluginError, SuperFencesException):  # type: ignore[misc]  # has no types
    """Ends a build: a SuperFencesException is the only one that the Markdown extension lets through."""


class LoomgraphPlugin(BasePlugin[Settings]):  # type: ignore[no-untyped-call]  # as above
    """`plugins: [loomgraph]`; modules, files and stores are looked up where mkdocs.yml is."""

    def __init__(self) -> None:
        self._drawer = Drawer(Path())
        self._server: LiveReloadServer | None = None
        self._page: Page | None = None
        self._watched: set[Path] = set()

    def on_startup(self, *, command: str, dirty: bool) -> None:
        """MkDocs keeps a plugin that has this from one build to the next, so that it knows what it has loaded."""

    def on_config(self, config: MkDocsConfig) -> MkDocsConfig:
        """Add the fence to those of pymdownx.superfences, which is switched on if it is not."""
        self._drawer.forget()
        self._drawer = Drawer(Path(config.config_file_path).parent if config.config_file_path else Path())
        if _SUPERFENCES not in config.markdown_extensions:
            config.markdown_extensions.append(_SUPERFENCES)
        extensions = cast(Any, config).mdx_configs  # typed as a dict of unknown things
        fences: list[Any] = extensions.setdefault(_SUPERFENCES, {}).setdefault("custom_fences", [])
        name = self.config.fence
        if any(fence.get("name") == name for fence in fences):
            raise PluginError(
                f"mkdocs.yml has a custom fence '{name}' already. Set `fence:` of the plugin 'loomgraph'."
            )
        fences.append({"name": name, "class": "loomgraph", "format": self._fence()})
        return config

    def on_page_markdown(self, markdown: str, /, *, page: Page, config: MkDocsConfig, files: Files) -> None:
        """Note where the blocks to come stand, for a message."""
        self._page = page

    def on_serve(
        self, server: LiveReloadServer, /, *, config: MkDocsConfig, builder: Callable[..., Any]
    ) -> LiveReloadServer:
        """Watch the sources of what was drawn, and of what later builds draw."""
        self._server = server
        self._watch()
        return server

    def on_post_build(self, *, config: MkDocsConfig) -> None:
        """A page may have been changed to draw something else."""
        self._watch()

    def _watch(self) -> None:
        # the files and not their folders: in those a build may write, as Python does what it compiled
        if self._server is not None:
            for file in sorted(self._drawer.files - self._watched):
                self._server.watch(str(file))
            self._watched |= self._drawer.files

    def _fence(self) -> Callable[..., str]:
        form = cast(Form, self.config.format)

        def formatted(source: str, language: str, css_class: str, options: Any, md: Any, **others: Any) -> str:
            try:
                block = parsed(source)
                drawn = self._drawer.draw(block, form)
            except BlockError as error:
                raise FenceError(f"{self._place(source)}{error}") from error
            return _element(drawn, css_class)

        return formatted

    def _place(self, source: str) -> str:
        """`page.md:12: `, as far as it can be told: the Markdown extension does not say where a block stands."""
        if self._page is None:
            return ""
        name = self._page.file.src_uri
        block = [line.strip() for line in source.strip().splitlines()]
        page = [line.strip() for line in self._page.file.content_string.splitlines()]
        for at in range(len(page) - len(block) + 1):
            if block and page[at : at + len(block)] == block:
                return f"{name}:{at + 1}: "
        return f"{name}: "


def _element(drawn: str, css_class: str) -> str:
    if drawn.startswith("<svg"):
        return f'<div class="{css_class}">{drawn}</div>'
    if drawn.startswith(("flowchart", "%%", "sequenceDiagram")):
        # the element that Material for MkDocs, and others who draw Mermaid, look for
        return f'<pre class="mermaid"><code>{html.escape(drawn, quote=False)}</code></pre>'
    return f'<pre class="{css_class}"><code>{html.escape(drawn, quote=False)}</code></pre>'
