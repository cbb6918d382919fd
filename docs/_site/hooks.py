"""What the site needs beyond its plugins: Mermaid from this site and not from another host, and figures as they stand.

It changes no page's source. Mermaid is the pinned package that the tests parse every drawing with, so what a reader
sees is what was checked; it is loaded only by pages that have a diagram.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.figures import FigureError, expanded  # noqa: E402  # from the repository, found by the line above
from tests.npm import Unavailable, node_for  # noqa: E402  # as above

MERMAID = "assets/mermaid.js"
DIAGRAMS = "assets/diagrams.js"
_PACKAGE = ROOT / "tests" / "visualize" / "mermaid"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the script that draws Mermaid. Ends the build where it cannot be had."""
    script = _PACKAGE / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
    if not script.is_file():
        try:
            node_for(_PACKAGE)
        except Unavailable as error:
            raise PluginError(f"the site's diagrams need Mermaid: {error}") from error
    files.append(File.generated(config, MERMAID, abs_src_path=str(script)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Put in the figures that a page asks for."""
    try:
        return expanded(markdown)
    except FigureError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error


def on_post_page(output: str, *, page: Page, **_: Any) -> str:
    """Let a page with a diagram load Mermaid before the theme looks for it."""
    if '<pre class="mermaid">' not in output:
        return output
    scripts = "".join(f'<script src="{get_relative_url(name, page.url)}"></script>' for name in (MERMAID, DIAGRAMS))
    return output.replace("</head>", f"{scripts}</head>", 1)
