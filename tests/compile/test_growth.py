"""compile() takes about as long a node on a large graph as on a small one, whatever its shape.

What is counted is the work, not the time: the lines that run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from loomgraph import END, OTHERWISE, START, Quorum, Workflow
from loomgraph.compile.compiled import CompiledGraph, check_definition, compile_definition
from loomgraph.errors import CompileError
from loomgraph.graph.builder import Node
from tests.compile.counted import lines_run

Shape = Callable[[int], Workflow[int, int]]


def step(x: int) -> int:
    return x


def total(values: list[int]) -> int:
    return sum(values)


def negative(x: int) -> bool:
    return x < 0


def positive(x: int) -> bool:
    return x > 0


def zero(x: int) -> bool:
    return x == 0


def rows(wf: Workflow[int, int], n: int, role: str = "n") -> list[Node[..., Any]]:
    return [wf.node(step, name=f"{role}{i}") for i in range(n)]


def new(name: str) -> Workflow[int, int]:
    return Workflow(name, input=int, output=int)


def quorums(n: int) -> Workflow[int, int]:
    """n/4 joins, each fed by all that comes before."""
    wf = new("quorums")
    before: Any = START
    for level in range(n // 4):
        sides = rows(wf, 3, f"{level}-")
        wf.parallel(sides, source=before)
        before = wf.node(total, name=f"meets{level}")
        wf.join(sides, into=before, wait=Quorum(2))
    wf.edge(before, END)
    return wf


def knot(n: int) -> Workflow[int, int]:
    """Loops that are entered everywhere, hundreds inside one another."""
    wf = new("knot")
    nodes = rows(wf, n)
    wf.edge(START, nodes[0])
    for i, node in enumerate(nodes):
        for target in {(i + 1) % n, (i * 7 + 1) % n, (i * 13 + 5) % n} - {i}:
            wf.edge(node, nodes[target], when=negative)
        wf.edge(node, END, when=OTHERWISE)
    return wf


def entered_twice(n: int) -> Workflow[int, int]:
    """Loops inside one another, each of which the one around it enters at two nodes."""
    wf = new("entered twice")
    nodes = rows(wf, n)
    wf.edge(START, nodes[0])
    for i, node in enumerate(nodes[:-1]):
        wf.edge(node, nodes[i + 1], when=negative)
        wf.edge(node, nodes[min(i + 2, n - 1)], when=positive)
        wf.edge(nodes[i + 1], node, when=zero)
    wf.edge(nodes[0], END, when=OTHERWISE)
    return wf


def nested(n: int) -> Workflow[int, int]:
    """Loops inside one another, each entered at its header."""
    wf = new("nested")
    nodes = rows(wf, n)
    wf.edge(START, nodes[0])
    for before, after in itertools.pairwise(nodes):
        wf.edge(before, after, when=positive)
        wf.edge(after, before, when=negative)
    wf.edge(nodes[-1], END, when=OTHERWISE)
    return wf


def endless(n: int) -> Workflow[int, int]:
    """n loops that never end: one finding each."""
    wf = new("endless")
    before: Any = START
    for node in rows(wf, n):
        wf.edge(before, node)
        wf.edge(node, node)
        before = node
    wf.edge(before, END)
    return wf


SHAPES: dict[str, tuple[Shape, int]] = {
    "quorums": (quorums, 200),
    "knot": (knot, 150),
    "entered twice": (entered_twice, 150),
    "nested": (nested, 200),
}


def work_of(do: Callable[[CompiledGraph], object], shape: Shape, n: int) -> int:
    definition = shape(n).define()
    return lines_run(lambda: do(compile_definition(definition)), "/loomgraph/compile/")


def nothing_more(graph: CompiledGraph) -> None:
    """It is the compiling that is counted."""


@pytest.mark.parametrize("name", SHAPES)
def test_twice_the_nodes_are_about_twice_the_work(name: str) -> None:
    shape, n = SHAPES[name]
    compile_definition(shape(10).define())  # what is only done once
    assert work_of(nothing_more, shape, 2 * n) < 2.5 * work_of(nothing_more, shape, n)


def test_twice_the_findings_are_about_twice_the_work() -> None:
    def work(n: int) -> int:
        definition = endless(n).define()
        return lines_run(lambda: check_definition(definition), "/loomgraph/compile/")

    assert work(400) < 2.5 * work(200)


def test_who_feeds_a_row_of_quorums_is_told_in_about_linear_work() -> None:
    def decide_all(graph: CompiledGraph) -> None:
        decided: set[int] = set()
        feeding = graph.plan.feeding
        withdrawn = 0
        for join in graph.plan.joins:
            withdrawn += len(feeding.withdrawn(join.index, decided.__contains__).nodes)
            decided.add(join.index)
            assert next(feeding.fed(graph.plan.src[join.edges[0]])) == join.index
        assert withdrawn == len(graph.definition.nodes) - 1

    assert work_of(decide_all, quorums, 400) < 2.5 * work_of(decide_all, quorums, 200)


def test_graphs_nest_deeper_than_python_recurses() -> None:
    inner: Any = step
    for level in range(400):
        wf = new(f"level{level}")
        wf.chain(START, wf.node(inner, name="inner"), END)
        inner = wf.compile()
    assert len(inner.fingerprint) == 64
    assert inner.__loomgraph_embed__().asks == ()


def test_the_message_of_very_many_findings_ends_with_how_many_more_there_are() -> None:
    wf = new("loose")
    nodes = rows(wf, 200)
    wf.chain(START, nodes[0], END)
    with pytest.raises(CompileError) as caught:
        wf.compile()
    assert len(caught.value.findings) == 199
    assert str(caught.value).count("\n") == 101
    assert str(caught.value).endswith("  and 149 more: 149 unreachable. All of them are in this error's .findings.")


def test_loops_with_many_entries_are_told_of_one_by_one_up_to_a_point() -> None:
    warnings = compile_definition(knot(60).define()).warnings
    assert len(warnings) == 11
    assert {warning.rule for warning in warnings} == {"several-entries"}
    assert "more loops can be entered at several nodes" in warnings[-1].message


def test_very_many_unknown_names_are_told_without_naming_every_node() -> None:
    wf = new("strays")
    for i, node in enumerate(rows(wf, 100)):
        wf.edge(node, f"stray {i}")
    findings = [finding for finding in wf.check() if finding.rule == "unknown-node"]
    assert len(findings) == 100
    assert all(len(finding.remedy) < 300 for finding in findings)
    assert "and 80 more" in findings[-1].remedy
