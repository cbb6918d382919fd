"""Random workflows to draw, sound or not, and what a drawing of them must have, counted without the drawing's code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import strategies as st

from loomgraph.compile.nest import Nest, find_nest
from loomgraph.compile.resolve import resolve
from loomgraph.graph.builder import Builder
from loomgraph.graph.definition import Definition, GraphBody
from loomgraph.graph.policy import MapSpec, Quorum, Wait
from loomgraph.graph.refs import ALWAYS, END, OTHERWISE, START

# Words and signs that mean something to Mermaid, DOT, markdown, HTML or a browser.
HOSTILE = (
    "end", "END", "START", "subgraph", "graph", "flowchart", "class", "classDef", "click", "style", "default",
    "node", "edge", "strict", "digraph", "x", "o", "--x", "--o", "---", "-->", "-.->", "==>", "a --> b", "a; b",
    "a:b:c", ":::cls", "%%", "%% comment", "%%{init: {}}%%", "---\ntitle: x\n---", '"', "''", "`", "``code``",
    "**bold**", "_it_", "__init__", "~~gone~~", "# heading", "1. item", "12) item", "- item", "* item",
    "+ item", "===", "[x](http://a.b)", "![x](y)", "http://a.b/c?d=e&f=g", "www.example.com", "me@example.com",
    "<b>bold</b>", "<script>alert(1)</script>", "<br>", "&amp;", "&lt;", "&#35;", "#35;", "#quot;", "#9829;",
    "style: a#35;", "classDef: #x;", "fa:fa-car", "$$x^2$$", "{a|b}", "{{a}}", "[a]", "[[a]]", "(a)", "((a))",
    "([a])", "[/a/]", "\\", "\\\\", "\\n", "\\N", "\\G", "\\l", '\\"', "a\\", "\n", "a\nb", "a\r\nb", "\t", " ",
    "   ", " a", "a ", "a  b", "\xa0", "\u200b", "\u3164", "\ufeff", "\x00", "\x1b[31m", "\x7f", "\x85",
    "\u2028", "\u202eabc", "\u2066abc", "مرحبا", "שלום עולם", "日本語の名前", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽",
    "é", "é", "ﬂ°°35¶ß", "°C", "ß", "¶", "𝒳", "\ud800", "\uffff", "a" * 300, "word " * 60, "snake_case_" * 20,
    "null", "true", "0", "-1.5", "1e5", "NaN", "",
)  # fmt: skip

names = st.one_of(
    st.sampled_from([n for n in HOSTILE if n]),
    st.text(min_size=1, max_size=30),
    st.from_regex("[a-z_]{1,8}", fullmatch=True),
)
labels = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30))
waits: st.SearchStrategy[Wait] = st.sampled_from(["all", "first", Quorum(1), Quorum(2), Quorum(3)])
exits: st.SearchStrategy[Literal["strict", "latest"]] = st.sampled_from(["strict", "strict", "latest"])


class Good: ...


class Bad: ...


@dataclass(frozen=True, eq=False)
class Embedded:
    """A graph as the builder takes it, made without compiling, so that it may be unsound."""

    definition: Definition
    nest: Nest
    fingerprint: str = "0" * 64

    def __loomgraph_embed__(self) -> Embedded:
        return self


def embedded(builder: Builder) -> Embedded:
    definition, _ = resolve(builder.define())
    return Embedded(definition, find_nest(definition))


async def step(value: Any) -> Any:
    return value


async def pair(x: Any, y: Any) -> Any:
    return x, y


@st.composite
def conditions(draw: st.DrawFn) -> Any:
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return Good | Bad
    if kind == 1:
        return OTHERWISE
    if kind == 2:
        return draw(labels)
    if kind == 3:
        return Bad
    return ALWAYS


@st.composite
def builders(draw: st.DrawFn, depth: int = 2) -> Builder:
    """A workflow of a few nodes with everything that can be drawn; most are unsound, all must be drawn."""
    wf = Builder(draw(names))
    nodes: list[Any] = []
    for _ in range(draw(st.integers(0, 5))):
        nested = depth > 0 and draw(st.integers(0, 3)) == 0
        body = embedded(draw(builders(depth - 1))) if nested else draw(st.sampled_from([step, pair]))
        nodes.append(wf.node(body, name=draw(names)))
    unknown = draw(st.lists(names, max_size=2))
    sources, targets = st.sampled_from([START, *nodes, *unknown]), st.sampled_from([END, *nodes, *unknown])
    for _ in range(draw(st.integers(0, 6))):
        cap = draw(st.none() | st.integers(1, 99))
        latest = draw(exits)
        label = draw(st.none() | labels)
        wf.edge(draw(sources), draw(targets), when=draw(conditions()), label=label or None, cap=cap, exit=latest)
    for _ in range(draw(st.integers(0, 2))):
        members = draw(st.lists(sources, min_size=1, max_size=4))
        bound: Any = (draw(st.booleans()) and {draw(names): members}) or members
        wf.join(bound, into=draw(targets), wait=draw(waits))
    if nodes:
        _decorate(draw, wf, nodes, sources)
    return wf


def _decorate(draw: st.DrawFn, wf: Builder, nodes: list[Any], sources: st.SearchStrategy[Any]) -> None:
    some = st.sampled_from(nodes)
    if draw(st.booleans()):
        spec = MapSpec(
            draw(st.none() | st.integers(1, 9)), draw(st.sampled_from(["fail", "collect", "skip"])), draw(waits)
        )
        wf.map(draw(sources), draw(some), limit=spec.limit, on_error=spec.on_error, wait=spec.wait)
    if draw(st.booleans()):
        wf.on_error(draw(some), draw(some), *draw(st.sampled_from([(), (OSError,), (OSError, KeyError)])))
    if draw(st.booleans()):
        body = draw(st.lists(some, min_size=1, max_size=3))
        landing = draw(st.sampled_from([None, END, *nodes]))
        wf.loop(
            *body, again=draw(st.sampled_from([None, Bad])), cap=draw(st.none() | st.integers(1, 9)), on_cap=landing
        )


def scopes(definition: Definition) -> Iterator[Definition]:
    """The definition, resolved, and those nested in it, with their `on_cap` edges: what a whole drawing shows."""
    resolved = definition if any(e.kind == "cap" for e in definition.edges) else resolve(definition)[0]
    yield resolved
    for node in resolved.nodes:
        if isinstance(node.body, GraphBody):
            yield from scopes(node.body.graph.definition)
