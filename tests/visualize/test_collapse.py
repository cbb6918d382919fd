"""Claims about drawings that are too large: they get smaller, lose nothing, and say so."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomgraph import END, START, Workflow
from loomgraph.graph.builder import Builder
from loomgraph.visualize import collapsed, diagram, to_dot, to_mermaid
from loomgraph.visualize.collapse import in_order
from loomgraph.visualize.diagram import Diagram
from loomgraph.visualize.mermaid import MAX_EDGES, MAX_TEXT
from tests.visualize.graphs import builders
from tests.visualize.real_graphviz import Render, laid_out
from tests.visualize.real_mermaid import RealMermaid, shown
from tests.visualize.test_random import edges_of, fixtures_are_stateless, text_of


async def step(value: Any) -> Any:
    return value


def chain(count: int) -> Workflow[Any, Any]:
    wf = Workflow("chain", input=int, output=int)
    wf.chain(START, *(wf.node(step, name=f"step {i}") for i in range(count)), END)
    return wf


def fan(count: int) -> Workflow[Any, Any]:
    wf = Workflow("fan", input=int, output=int)
    workers = [wf.node(step, name=f"worker {i}") for i in range(count)]
    wf.parallel(workers, source=START)
    wf.join(workers, into=wf.node(step, name="all of it"))
    return wf


def lines(count: int) -> Workflow[Any, Any]:
    wf = Workflow("lines", input=int, output=int)
    last = [[wf.node(step, name=f"{name} {i}") for name in ("read", "clean", "count")] for i in range(count)]
    for nodes in last:
        wf.chain(START, *nodes)
    wf.join([nodes[-1] for nodes in last], into=wf.node(step, name="sum"))
    return wf


def cases(count: int) -> Workflow[Any, Any]:
    wf = Workflow("cases", input=int, output=int)
    choose = wf.node(step, name="choose")
    wf.edge(START, choose)
    for i in range(count):
        node = wf.node(step, name=f"case {i}")
        wf.edge(choose, node, when=i)
        wf.edge(node, END)
    return wf


def lattice(count: int) -> Workflow[Any, Any]:
    wf = Workflow("lattice", input=int, output=int)
    nodes = [wf.node(step, name=f"{i}") for i in range(count)]
    for i, node in enumerate(nodes):
        for other in (i + 1, i + 7 + i % 5, i + 30):
            if other < count:
                wf.edge(node, nodes[other], when=i, label=f"{i} to {other}")
    wf.edge(nodes[-1], nodes[0], cap=3)
    return wf


def totals(found: Diagram) -> tuple[int, int]:
    """How many nodes and edges of the whole drawing it stands for."""
    return (
        sum(node.count for node in found.nodes),
        sum(edge.count for edge in found.edges) + sum(node.hidden for node in found.nodes),
    )


@settings(max_examples=35, deadline=None)
@given(wf=builders(), most=st.integers(0, 12))
def test_a_collapsed_drawing_stands_for_every_node_and_edge(wf: Builder, most: int) -> None:
    whole = diagram(wf.define(), depth=0)
    small = collapsed(whole, lambda found: len(found.edges) <= most)
    assert totals(small) == (len(whole.nodes), len(whole.edges))
    assert {edge.source for edge in small.edges} | {edge.target for edge in small.edges} <= {n.id for n in small.nodes}
    assert len(small.edges) <= len(whole.edges)
    assert bool(small.legend) == any(node.kind == "group" for node in small.nodes)


@settings(max_examples=30, suppress_health_check=fixtures_are_stateless, deadline=None)
@given(wf=builders(), most=st.integers(0, 6))
def test_mermaid_reads_back_a_collapsed_drawing_of_any_graph(mermaid: RealMermaid, wf: Builder, most: int) -> None:
    small = collapsed(diagram(wf.define()), lambda found: len(found.edges) <= most)
    found = mermaid.parse(to_mermaid(small))
    legend = {"legend": "\n".join(small.legend)} if small.legend else {}
    assert {v["id"]: shown(v["text"]) for v in found["vertices"]} == {n.id: text_of(n) for n in small.nodes} | legend
    assert Counter((e["start"], e["end"], shown(e["text"])) for e in found["edges"]) == edges_of(small)


@pytest.mark.parametrize("make", [chain, fan, lines, cases, lattice])
def test_a_thousand_nodes_fit_into_mermaids_limits_and_a_legend_says_what_became_of_them(
    make: Any, mermaid: RealMermaid
) -> None:
    wf = make(1000 if make is not lines else 334)
    text = wf.to_mermaid()
    assert text.startswith("flowchart")
    assert len(text) <= MAX_TEXT
    found = mermaid.parse(text)
    assert len(found["edges"]) <= MAX_EDGES
    assert "legend" in {vertex["id"] for vertex in found["vertices"]}
    whole = diagram(wf.define())
    assert f"{len(whole.nodes):,} nodes and {len(whole.edges):,} edges, drawn as" in text
    for most in (300, 20, 0):
        small = collapsed(whole, lambda found, most=most: len(found.edges) <= most)
        assert totals(small) == (len(whole.nodes), len(whole.edges))


def shapes(wf: Workflow[Any, Any]) -> list[tuple[str, ...]]:
    found = collapsed(diagram(wf.define()), lambda drawn: len(drawn.edges) <= 20)
    return [node.lines for node in found.nodes if node.kind == "group"]


def test_nodes_one_after_another_stand_as_a_chain() -> None:
    assert shapes(chain(100)) == [("step 0", "⋮", "step 99", "a chain of 100")]


def test_nodes_with_the_same_edges_stand_as_one() -> None:
    assert shapes(fan(100)) == [("worker 0", "⋮", "worker 99", "100 alike")]


def test_a_chain_that_is_repeated_stands_once_with_how_often() -> None:
    assert shapes(lines(100)) == [("read 0", "⋮", "count 0", "a chain of 3, 100 times alike")]


def test_edges_that_differ_in_their_conditions_stand_as_one_that_counts_them() -> None:
    found = collapsed(diagram(cases(100).define()), lambda drawn: len(drawn.edges) <= 20)
    assert Counter(edge.label for edge in found.edges) == {(): 1, ("100 conditions", "× 100"): 1, ("× 100",): 1}


def test_what_nothing_else_makes_small_is_cut_into_parts_in_the_order_it_runs() -> None:
    found = collapsed(diagram(lattice(100).define()), lambda drawn: len(drawn.edges) <= 20)
    assert {node.lines[-1] for node in found.nodes if node.kind == "group"} == {"a part of 5"}


def test_a_drawing_that_fits_is_left_as_it_is_and_sub_graphs_are_closed_first() -> None:
    assert "legend" not in chain(400).to_mermaid()
    inner = Workflow("inner", input=int, output=int)
    inner.chain(START, *(inner.node(step, name=f"a rather long name of step {i} " + "x" * 60) for i in range(390)), END)
    wf = Workflow("outer", input=int, output=int)
    wf.chain(START, wf.node(inner.compile(), name="in"), END)
    text = wf.to_mermaid()
    assert "graph of 390 nodes" in text
    assert "legend" not in text


def test_what_failed_stays_in_sight_in_a_collapsed_drawing_of_a_run() -> None:
    wf = Workflow("w", input=int, output=int)

    @wf.node
    async def breaks(value: int) -> int:
        raise OSError

    workers = [wf.node(same, name=f"w{i}") for i in range(600)]
    wf.parallel([*workers, breaks], source=START)
    wf.join([*workers, breaks], into=wf.node(total, name="total"))
    wf.edge("total", END)
    graph = wf.compile()
    with pytest.raises(Exception, match="breaks") as caught:
        graph.run_sync(1)
    text = caught.value.result.to_mermaid()  # pyright: ignore[reportAttributeAccessIssue]
    assert "600 alike" in text
    assert "600 succeeded" in text
    assert '"breaks<br/>✗ failed' in text


async def same(value: int) -> int:
    return value


async def total(values: list[int]) -> int:
    return sum(values)


def test_graphviz_lays_out_a_collapsed_drawing_with_its_legend(render: Render) -> None:
    found = collapsed(diagram(lattice(300).define()), lambda drawn: len(drawn.edges) <= 400)
    laid = laid_out(render, to_dot(found))
    assert set(laid.nodes) == {node.id for node in found.nodes}
    assert len(laid.edges) == len(found.edges)
    assert found.legend[0] in laid.title


@settings(max_examples=35, deadline=None)
@given(wf=builders())
def test_every_node_has_its_place_in_the_order_of_running(wf: Builder) -> None:
    drawn = diagram(wf.define())
    assert sorted(node.id for node in in_order(drawn)) == sorted(node.id for node in drawn.nodes)


def test_collapsing_is_the_same_every_time() -> None:
    define = lattice(600).define
    assert to_mermaid(collapsed(diagram(define()), lambda _: False)) == to_mermaid(
        collapsed(diagram(define()), lambda _: False)
    )
