"""What a drawing shows of joins, loops, maps, sub-graphs, errors, broken workflows and runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from loomgraph import END, START, Failure, Graph, Quorum, Retry, RunError, Workflow
from loomgraph.visualize import Diagram, diagram, draw_dot, draw_mermaid, svg, to_mermaid
from loomgraph.visualize.mermaid import MAX_EDGES
from loomgraph.visualize.notebook import mimebundle
from loomgraph.visualize.overlay import IDLE, Overlay, overlays
from loomgraph.visualize.text import clipped, legible, seconds, wrapped
from tests.visualize.real_graphviz import Render, laid_out
from tests.visualize.real_mermaid import RealMermaid, shown


class Good: ...


class Bad: ...


async def same(value: int) -> int:
    return value


async def numbers(value: int) -> list[int]:
    return list(range(value))


async def total(values: list[int]) -> int:
    return sum(values)


def lines(drawn: Diagram) -> set[str]:
    """Every edge as `source -kind[label]-> target`, by first lines of text."""
    text = {node.id: node.lines[0] for node in drawn.nodes}
    return {f"{text[e.source]} -{e.kind}[{' '.join(e.label)}]-> {text[e.target]}" for e in drawn.edges}


def drawn(wf: Workflow[Any, Any], **options: Any) -> Diagram:
    return diagram(wf.define(), **options)


def laid(graph: Graph[Any, Any], run: Any) -> Diagram:
    return diagram(graph.definition, graph.nest, run)


def texts(found: Diagram) -> dict[str, str]:
    """What a run did to each node: name -> overlay text."""
    return {node.lines[0]: node.overlay.text for node in found.nodes if node.overlay is not None}


@pytest.mark.parametrize(("wait", "mark"), [("all", "all"), ("first", "first"), (Quorum(2), "first 2")])
def test_a_join_of_several_has_one_mark_that_says_what_it_waits_for(wait: Any, mark: str) -> None:
    wf = Workflow("w")
    a, b, c = (wf.node(same, name=n) for n in "abc")
    wf.parallel([a, b], source=START)
    wf.join({"value": [a, b]}, into=c, wait=wait)
    found = drawn(wf)
    assert [node.lines for node in found.nodes if node.kind == "join"] == [(mark,)]
    assert {f"a -normal[as value]-> {mark}", f"b -normal[as value]-> {mark}", f"{mark} -join[]-> c"} <= lines(found)


def test_a_join_of_one_member_is_a_plain_edge() -> None:
    wf = Workflow("w")
    a, b = wf.node(same, name="a"), wf.node(same, name="b")
    wf.join([a], into=b)
    assert "a -normal[]-> b" in lines(drawn(wf))


def test_a_parameter_is_named_only_where_it_is_not_the_members_name() -> None:
    wf = Workflow("w")
    x, b, c = (wf.node(same, name=n) for n in ("x", "b", "c"))
    wf.join({"x": x, "y": b}, into=c)
    assert {"x -normal[]-> all", "b -normal[as y]-> all"} <= lines(drawn(wf))


def test_a_back_edge_shows_its_condition_and_its_cap() -> None:
    wf = Workflow("w")
    a, b = wf.node(same, name="a"), wf.node(same, name="b")
    wf.edge(START, a)
    wf.edge(a, b)
    wf.edge(b, a, when=Bad, cap=5)
    wf.edge(b, END, when=Good)
    found = drawn(wf)
    assert lines(found) == {
        "START -normal[]-> a", "a -normal[]-> b", "b -back[Bad ↺ ≤ 5]-> a", "b -exit[Good]-> END",
    }  # fmt: skip
    assert [(loop.cap, len(loop.nodes)) for loop in found.loops] == [(5, 2)]


def test_the_way_out_at_a_cap_leaves_from_the_loops_header() -> None:
    wf = Workflow("w")
    a, b, rest = (wf.node(same, name=n) for n in ("a", "b", "rest"))
    wf.edge(START, a)
    wf.loop(a, b, again=Bad, cap=7, on_cap=rest)
    assert "a -cap[at the cap of 7]-> rest" in lines(drawn(wf))


def test_an_error_edge_names_its_exceptions_and_an_overtaken_exit_says_latest() -> None:
    wf = Workflow("w")
    a, b = wf.node(same, name="a"), wf.node(same, name="b")
    wf.on_error(a, b, OSError, KeyError)
    wf.edge(a, a, when=Bad)
    wf.edge(a, END, exit="latest")
    assert {"a -error[on OSError, KeyError]-> b", "a -exit[(latest)]-> END"} <= lines(drawn(wf))


def test_a_map_says_how_it_maps() -> None:
    wf = Workflow("w")
    source = wf.node(numbers, name="numbers")
    wf.map(source, wf.node(same, name="m"), limit=8, on_error="collect", wait=Quorum(3))
    (node,) = (node for node in drawn(wf).nodes if node.kind == "map")
    assert node.lines == ("m", "⁂ each item, 8 at a time, first 3 only", "collects failures")


def inner(name: str = "inner") -> Graph[Any, Any]:
    wf = Workflow(name, input=int, output=int)
    wf.chain(START, wf.node(same, name="one"), wf.node(same, name="two"), END)
    return wf.compile()


def test_a_subgraph_is_a_cluster_entered_at_its_node_and_left_at_its_end() -> None:
    wf = Workflow("w")
    sub, after, handler = wf.node(inner(), name="sub"), wf.node(same, name="after"), wf.node(same, name="handler")
    wf.chain(START, sub, after)
    wf.on_error(sub, handler)
    found = drawn(wf)
    (cluster,) = found.clusters
    names = {node.lines[0]: node for node in found.nodes if node.cluster == cluster.id}
    assert set(names) == {"sub", "one", "two", "END"}
    assert names["sub"].lines == ("sub", "graph inner")
    assert lines(found) == {
        "START -normal[]-> sub", "sub -normal[]-> one", "one -normal[]-> two", "two -normal[]-> END",
        "END -normal[]-> after", "sub -error[on Exception]-> handler",
    }  # fmt: skip


def test_subgraphs_stay_closed_beyond_the_depth_or_the_number_of_edges_asked_for() -> None:
    middle = Workflow("middle", input=int, output=int)
    middle.chain(START, middle.node(inner()), END)
    wf = Workflow("w")
    wf.chain(START, wf.node(middle.compile()), END)
    assert [len(drawn(wf, depth=depth).clusters) for depth in (0, 1, 2, None)] == [0, 1, 2, 2]
    assert [len(drawn(wf, max_edges=edges).clusters) for edges in (2, 4, 6, 7)] == [0, 1, 1, 2]
    (closed,) = (node for node in drawn(wf, depth=0).nodes if node.kind == "graph")
    assert closed.lines == ("middle", "graph of 1 node")


def test_a_name_that_nobody_declared_is_drawn_once_as_a_node_of_its_own_kind() -> None:
    wf = Workflow("w")
    a = wf.node(same, name="a")
    wf.edge(a, "reveiw")
    wf.edge("reveiw", END)
    found = drawn(wf)
    assert [node.lines for node in found.nodes if node.kind == "unknown"] == [("reveiw", "not declared")]
    assert {"a -normal[]-> reveiw", "reveiw -normal[]-> END"} == lines(found)


def test_a_name_used_before_its_node_was_declared_is_that_node() -> None:
    wf = Workflow("w")
    wf.edge(START, "later")
    wf.node(same, name="later")
    assert not [node for node in drawn(wf).nodes if node.kind == "unknown"]


def test_a_compiled_graph_is_drawn_like_its_workflow() -> None:
    wf = Workflow("w", input=int, output=int)
    a, rest = wf.node(same, name="a"), wf.node(same, name="rest")
    wf.edge(START, a)
    wf.loop(a, again=lambda value: value > 3, cap=2, on_cap=rest)
    wf.edge(a, END, when=lambda value: value <= 3, label="small")
    wf.edge(rest, END)
    graph = wf.compile()
    assert graph.to_mermaid() == wf.to_mermaid() == draw_mermaid(graph.definition)
    assert graph.to_dot() == wf.to_dot() == draw_dot(graph.definition)


# ---------------------------------------------------------------------- a run laid over


def test_a_run_shows_what_became_of_every_node() -> None:
    wf = Workflow("w", input=int, output=int)
    tries = 0

    @wf.node(retry=Retry(attempts=3, delay=0))
    async def flaky(value: int) -> int:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ConnectionError
        return value

    @wf.node
    async def unlucky(value: int) -> int:
        raise OSError

    @wf.node
    async def rescue(failure: Failure) -> int:
        return 4

    @wf.node
    async def never(failure: Failure) -> int:
        return 0

    source, each, count = wf.node(numbers), wf.node(same, name="each"), wf.node(total)
    sub = wf.node(inner(), name="sub")
    wf.chain(START, flaky, unlucky, source)
    wf.on_error(unlucky, rescue, OSError)
    wf.on_error(flaky, never)
    wf.edge(rescue, source)
    wf.edge(never, source)
    wf.map(source, each)
    wf.chain(each, count, sub, END)
    graph = wf.compile()
    result = graph.run_sync(1)
    found = {name: text.split(",")[0] for name, text in texts(laid(graph, result)).items()}
    assert found.pop("flaky") == "✓ 3 attempts"
    assert found.pop("unlucky") == "↷ handled"
    assert found.pop("each") == "✓ 4 items"
    assert found.pop("never") == "– skipped"
    assert {text[0] for text in found.values()} == {"✓"}
    assert set(found) == {"rescue", "numbers", "total", "sub", "one", "two"}


def test_a_failed_run_shows_the_failure_and_what_was_never_reached() -> None:
    wf = Workflow("w", input=int, output=int)

    @wf.node
    async def breaks(value: int) -> int:
        raise OSError

    wf.chain(START, breaks, wf.node(same, name="after"), END)
    graph = wf.compile()
    with pytest.raises(RunError) as caught:
        graph.run_sync(1)
    found = texts(laid(graph, caught.value.result))
    assert found["breaks"].startswith("✗ failed")
    assert found["after"] == "· not run"


def test_a_map_without_items_says_so() -> None:
    wf = Workflow("w", input=int, output=int)
    source, each, count = wf.node(numbers), wf.node(same, name="each"), wf.node(total)
    wf.edge(START, source)
    wf.map(source, each)
    wf.chain(each, count, END)
    graph = wf.compile()
    assert texts(laid(graph, graph.run_sync(0)))["each"] == "✓ 0 items"


@dataclass(frozen=True)
class Told:
    """A run told by hand: whatever has activations can be laid over a drawing."""

    activations: tuple[Did, ...]


@dataclass(frozen=True)
class Did:
    key: str
    status: str
    seconds: float | None = None
    attempts: int = 1
    path: tuple[str, ...] = ("a",)
    amounts: dict[str, float] = field(default_factory=dict)


def told(*did: Did) -> Overlay:
    return overlays(Told(did))["a",]


@pytest.mark.parametrize(
    ("did", "text"),
    [
        ([Did("a", "succeeded", 0.31)], "✓ 0.31 s"),
        ([Did("a#0", "succeeded", 1), Did("a#1", "succeeded", 2), Did("a#2", "skipped")], "✓ 2 visits, 3.0 s"),
        ([Did("a", "running")], "▶ running"),
        ([Did("a#0", "succeeded", 1), Did("a#1", "running")], "▶ 2 visits, 1 running, 1.0 s"),
        ([Did("a", "failed", 75, attempts=3)], "✗ failed, 3 attempts, 1 min 15 s"),
        ([Did("a", "cancelled", 0.004)], "⊘ cancelled, 4.0 ms"),
        ([Did("a", "skipped")], "– skipped"),
        (
            [Did("a", "succeeded", 9), Did("a[0]", "succeeded", 1), Did("a[1]", "failed", 1)],
            "✓ 2 items, 1 failed, 2.0 s",
        ),
        ([Did("a", "failed", 9), Did("a[0]", "failed", 1), Did("a[1]", "cancelled", 1)], "✗ 2 items, 1 failed, 2.0 s"),
        ([Did("a", "running"), Did("a[0]", "succeeded", 1), Did("a[1]", "running")], "▶ 2 items, running, 1.0 s"),
    ],
)
def test_an_overlay_is_one_line_that_needs_no_colour(did: list[Did], text: str) -> None:
    assert told(*did).text == text


def test_every_status_has_its_own_symbol_and_class(mermaid: RealMermaid, render: Render) -> None:
    wf = Workflow("w")
    statuses = ["succeeded", "failed", "handled", "cancelled", "running", "skipped", "idle"]
    for status in statuses:
        wf.node(same, name=status)
    run = Told(tuple(Did(s, s, 0.5, path=(s,)) for s in statuses[:-1]))
    found = drawn(wf, run=run)
    assert len({text[0] for text in texts(found).values()}) == len(statuses)
    parsed = {v["id"]: v["classes"] for v in mermaid.parse(to_mermaid(found))["vertices"]}
    assert [parsed[node.id] for node in found.nodes if node.path] == [[s] for s in statuses]
    laid = laid_out(render, draw_dot(wf.define(), None, run))
    assert [laid.nodes[n.id].split("\n")[-1] for n in found.nodes if n.overlay] == list(texts(found).values())


def test_an_overlay_does_not_change_the_graph() -> None:
    wf = Workflow("w")
    wf.chain(START, wf.node(same), END)
    with_run = drawn(wf, run=Told(()))
    assert [n.overlay for n in with_run.nodes if n.path] == [IDLE]
    bare = replace(with_run, nodes=tuple(replace(node, overlay=None) for node in with_run.nodes))
    assert bare == drawn(wf)


# ---------------------------------------------------------------------- limits, text, notebooks


def wide(count: int) -> Workflow[Any, Any]:
    wf = Workflow("wide")
    nodes = [wf.node(same, name=f"node {i}") for i in range(count)]
    wf.chain(*nodes)
    return wf


def test_mermaid_refuses_what_exceeds_its_limits_and_the_drawing_says_so_first(mermaid: RealMermaid) -> None:
    within, beyond = (wide(count).to_mermaid(collapse=False) for count in (MAX_EDGES + 1, MAX_EDGES + 2))
    assert within.startswith("flowchart")
    assert len(mermaid.parse(within)["edges"]) == MAX_EDGES
    assert beyond.startswith("%% 501 edges")
    assert "Edge limit exceeded" in mermaid.answer(beyond)["error"]
    # a directive in the text cannot raise it, so none is written; the page can, as the comment says
    directive = '%%{init: {"maxEdges": 1000}}%%\n'
    assert "Edge limit exceeded" in mermaid.answer(directive + beyond)["error"]
    assert "mermaid.initialize with maxEdges 501" in beyond
    assert len(mermaid.parse(beyond, maxEdges=501)["edges"]) == 501


def test_a_drawing_of_too_many_characters_says_so() -> None:
    wf = Workflow("w")
    for i in range(600):
        wf.node(same, name=f"{i} {'x' * 90}")
    text = wf.to_mermaid(collapse=False)
    comment, _, rest = text.partition("flowchart")
    assert "more than Mermaid draws by default (500 and 50000)" in comment
    assert len("flowchart" + rest) > 50_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain name", "plain name"),
        ("a\nb", "a\nb"),
        (" ", "' '"),
        ("\u200b", r"'\u200b'"),
        ("\u3164", r"'\u3164'"),
        ("a\x00b\x1b", r"a\x00b\x1b"),
        ("\u202eevil", r"\u202eevil"),
        ("\ud800", r"\ud800"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("مرحبا", "مرحبا"),
    ],
)
def test_a_name_hides_nothing(name: str, text: str) -> None:
    assert legible(name) == text


def test_a_long_name_keeps_its_two_ends_and_is_never_cut_inside_a_character() -> None:
    assert clipped("a" * 50 + "z" * 50, 10) == "aaaaaa…zzz"
    assert len(wrapped("word " * 100, 36, 100)) <= 4
    assert wrapped("snake_case_" * 6, 36, 100) == (
        "snake_case_snake_case_snake_case_",
        "snake_case_snake_case_snake_case_",
    )
    family, accents = "👩‍👩‍👧‍👦" * 30, "e\u0301" * 90
    assert set("".join(wrapped(family, 36, 100)).split("…")[0].split("👩‍👩‍👧‍👦")) == {""}
    assert not any(line.startswith("\u0301") for line in wrapped(accents, 36, 100))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "<0.1 ms"),
        (0.0042, "4.2 ms"),
        (0.01, "0.01 s"),
        (0.999, "1.0 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
    ],
)
def test_a_duration_has_two_or_three_digits(value: float, text: str) -> None:
    assert seconds(value) == text


def test_a_notebook_gets_every_format_and_without_graphviz_mermaid_and_text(
    mermaid: RealMermaid, monkeypatch: pytest.MonkeyPatch
) -> None:
    wf = wide(2)
    bundle = mimebundle(wf.define(), None, None)
    assert set(bundle) == {"text/vnd.mermaid", "image/svg+xml", "text/html", "text/plain"}
    monkeypatch.setattr(svg, "system_dot", lambda: None)
    monkeypatch.setattr(svg, "wasm_dot", lambda: None)
    assert set(mimebundle(wf.define(), None, None)) == {"text/vnd.mermaid", "text/plain"}
    assert {shown(v["text"]) for v in mermaid.parse(bundle["text/vnd.mermaid"])["vertices"]} >= {"node 0", "node 1"}
