"""Random workflows over all of unicode: the real mermaid and the real Graphviz read exactly the diagram."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, reject, settings

from loomgraph.graph.builder import Builder
from loomgraph.visualize import diagram, to_dot, to_mermaid
from loomgraph.visualize.diagram import Diagram, DiagramNode
from tests.visualize.graphs import HOSTILE, Good, builders, scopes, step
from tests.visualize.real_graphviz import Render, TrappedError, laid_out
from tests.visualize.real_mermaid import RealMermaid, shown

EVERYTHING = 100_000
SHAPES = {
    "start": "stadium",
    "end": "stadium",
    "function": "square",
    "map": "hexagon",
    "graph": "subroutine",
    "join": "circle",
    "unknown": "square",
    "group": "subroutine",
}
STROKES = {"back": "thick", "error": "dotted", "cap": "dotted"}
fixtures_are_stateless = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def text_of(node: DiagramNode) -> str:
    lines = node.lines if node.overlay is None else (*node.lines, *node.overlay.lines)
    return "\n".join(lines).replace("\xa0", " ")


def edges_of(drawn: Diagram) -> Counter[Any]:
    return Counter((e.source, e.target, "\n".join(e.label).replace("\xa0", " ")) for e in drawn.edges)


@settings(max_examples=300, suppress_health_check=fixtures_are_stateless)
@given(wf=builders())
def test_mermaid_reads_back_every_node_edge_label_and_cluster(mermaid: RealMermaid, wf: Builder) -> None:
    drawn = diagram(wf.define(), max_edges=EVERYTHING)
    found = mermaid.parse(to_mermaid(drawn))
    assert {v["id"]: shown(v["text"]) for v in found["vertices"]} == {n.id: text_of(n) for n in drawn.nodes}
    assert {v["id"]: v["shape"] for v in found["vertices"]} == {n.id: SHAPES[n.kind] for n in drawn.nodes}
    assert Counter((e["start"], e["end"], shown(e["text"])) for e in found["edges"]) == edges_of(drawn)
    assert [e["stroke"] for e in found["edges"]] == [STROKES.get(e.kind, "normal") for e in drawn.edges]
    assert {s["id"]: set(s["nodes"]) for s in found["subgraphs"]} == {
        c.id: {n.id for n in drawn.nodes if n.cluster == c.id} | {d.id for d in drawn.clusters if d.parent == c.id}
        for c in drawn.clusters
    }


@settings(max_examples=60, suppress_health_check=fixtures_are_stateless)
@given(wf=builders())
def test_graphviz_lays_out_every_node_edge_label_and_cluster(render: Render, wf: Builder) -> None:
    drawn = diagram(wf.define(), max_edges=EVERYTHING)
    try:
        found = laid_out(render, to_dot(drawn))
    except TrappedError:
        reject()
    assert {name: plain(text) for name, text in found.nodes.items()} == {n.id: plain(text_of(n)) for n in drawn.nodes}
    expected = Counter({(a, b, plain(text)): n for (a, b, text), n in edges_of(drawn).items()})
    assert Counter((tail, head, plain(text)) for tail, head, text in found.edges) == expected
    assert found.clusters == {c.id: inside(drawn, c.id) for c in drawn.clusters}
    assert plain(found.title) == plain(drawn.name)


def inside(drawn: Diagram, cluster: str) -> set[str]:
    """The nodes in a cluster and in those inside it."""
    nested = [c.id for c in drawn.clusters if c.parent == cluster]
    return {n.id for n in drawn.nodes if n.cluster == cluster}.union(*(inside(drawn, c) for c in nested))


def plain(text: str) -> str:
    """Text without the room around its lines (labels have some, so that lines do not touch them) and empty lines."""
    # Graphviz leaves room for an empty line and writes nothing there
    lines = (line.strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line).replace("\xa0", " ")


def hostile() -> Diagram:
    """A chain of nodes with every hostile name, joined by edges with every hostile label."""
    wf = Builder("hostile")
    nodes = [wf.node(step, name=name) for name in HOSTILE if name]
    for source, target, label in zip(nodes, nodes[1:], HOSTILE, strict=False):
        wf.edge(source, target, when=Good, label=label or None)
    return diagram(wf.define())


def test_mermaid_reads_back_every_hostile_name(mermaid: RealMermaid) -> None:
    drawn = hostile()
    found = mermaid.parse(to_mermaid(drawn))
    assert {v["id"]: shown(v["text"]) for v in found["vertices"]} == {n.id: text_of(n) for n in drawn.nodes}
    assert Counter((e["start"], e["end"], shown(e["text"])) for e in found["edges"]) == edges_of(drawn)


def test_graphviz_draws_every_hostile_name(render: Render) -> None:
    drawn = hostile()
    found = laid_out(render, to_dot(drawn))
    assert {name: plain(text) for name, text in found.nodes.items()} == {n.id: plain(text_of(n)) for n in drawn.nodes}
    assert [plain(text) for _, _, text in found.edges] == [plain("\n".join(e.label)) for e in drawn.edges]


@settings(max_examples=200)
@given(wf=builders())
def test_every_declared_edge_is_drawn_exactly_once(wf: Builder) -> None:
    drawn = diagram(wf.define(), max_edges=EVERYTHING)
    shown_scopes = list(scopes(wf.define()))
    declared = sum(len(definition.edges) for definition in shown_scopes)
    marks = sum(len(join.members) > 1 for definition in shown_scopes for join in definition.joins)
    by_cluster = Counter((edge.cluster, edge.declared) for edge in drawn.edges if edge.declared is not None)
    assert by_cluster.total() == declared == len(by_cluster)
    assert len(drawn.edges) == declared + marks
    assert sum(node.kind == "join" for node in drawn.nodes) == marks
    assert len(drawn.clusters) == len(shown_scopes) - 1


@settings(max_examples=100)
@given(wf=builders())
def test_a_drawing_is_the_same_every_time(wf: Builder) -> None:
    definition = wf.define()
    assert to_mermaid(diagram(definition)) == to_mermaid(diagram(definition))
    assert to_dot(diagram(definition)) == to_dot(diagram(definition))
