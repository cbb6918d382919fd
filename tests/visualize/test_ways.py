"""Claims about the edges of a run's drawing: those taken, those not, and those of which nobody knows yet."""

from __future__ import annotations

import re
from typing import Any

import pytest

from loomgraph import END, START, Context, Graph, Workflow
from loomgraph.runtime.logbook import read_log
from loomgraph.store.memory import MemoryStore
from loomgraph.visualize.collapse import collapsed
from loomgraph.visualize.diagram import Diagram, diagram
from loomgraph.visualize.mermaid import to_mermaid
from loomgraph.visualize.ways import NOT_TAKEN


async def take(value: int) -> int:
    return value


async def less(value: int) -> int:
    return value - 1


async def fails(value: int) -> int:
    raise ValueError("no")


async def mend(failure: object) -> int:
    return 0


def inner() -> Graph[int, int]:
    """Of two ways out of START one is taken; a node that takes all of its edges is between."""
    wf = Workflow("inner", input=int, output=int)
    a, b, c = (wf.node(take, name=name) for name in "abc")
    wf.edge(START, a, when=lambda value: value > 0, label="more")
    wf.edge(START, b, when=lambda value: value <= 0, label="less")
    wf.chain(a, c, END)
    wf.edge(b, END)
    return wf.compile()


def ways() -> Graph[int, int]:
    """A loop that is left after three rounds, a choice, a failure that is handled, a graph inside."""
    wf = Workflow("ways", input=int, output=int)
    count = wf.node(less, name="count")
    good, bad, broken, mended = (
        wf.node(fn, name=name) for fn, name in ((take, "good"), (take, "bad"), (fails, "broken"), (mend, "mended"))
    )
    graph = wf.node(inner(), name="graph")
    wf.edge(START, count)
    wf.edge(count, count, when=lambda value: value > 1, label="again", cap=9)
    wf.edge(count, good, when=lambda value: value == 1, label="one")
    wf.edge(count, bad, when=lambda value: value < 1, label="none")
    wf.edge(good, broken)
    wf.on_error(broken, mended, ValueError)
    wf.edge(broken, graph)
    wf.edge(bad, graph)
    wf.edge(mended, graph)
    wf.edge(graph, END)
    return wf.compile()


def drawn_of(graph: Any, run: Any = None) -> Diagram:
    """The drawing of a graph, with a run laid over it."""
    return diagram(graph.definition, graph.nest, run)


def taken(drawn: Diagram) -> dict[tuple[str, str], int | None]:
    names = {node.id: node.lines[0] for node in drawn.nodes}
    ends = {cluster.id: f"END of {cluster.name}" for cluster in drawn.clusters}
    names |= {node.id: ends[node.cluster] for node in drawn.nodes if node.kind == "end" and node.cluster is not None}
    return {(names[edge.source], names[edge.target]): edge.taken for edge in drawn.edges}


WENT = {
    ("START", "count"): 1,
    ("count", "count"): 2,
    ("count", "good"): 1,
    ("count", "bad"): 0,
    ("good", "broken"): 1,
    ("broken", "mended"): 1,
    ("broken", "graph"): 0,
    ("bad", "graph"): 0,
    ("mended", "graph"): 1,
    ("graph", "a"): 0,
    ("graph", "b"): 1,
    ("a", "c"): 0,
    ("c", "END of inner"): 0,
    ("b", "END of inner"): 1,
    ("END of inner", "END"): 1,
}


@pytest.mark.anyio
async def test_a_drawing_says_of_every_edge_how_often_it_was_taken_and_so_does_the_log_alone() -> None:
    graph, store = ways(), MemoryStore()
    result = await graph.run(4, store=store, run_id="r")
    drawn = drawn_of(graph, result)
    assert taken(drawn) == WENT
    assert NOT_TAKEN in drawn.legend
    log = await read_log(store, "r")
    assert taken(drawn_of(log.graph, log)) == WENT


def test_without_a_run_nothing_is_said_of_edges() -> None:
    graph = ways()
    drawn = drawn_of(graph)
    assert set(taken(drawn).values()) == {None}
    assert not drawn.legend
    assert "not taken" not in graph.to_text()
    assert "linkStyle" not in graph.to_mermaid()


def test_every_form_shows_what_was_not_taken_without_colour() -> None:
    graph = ways()
    result = graph.run_sync(4)
    drawn = drawn_of(graph, result)
    passed = [number for number, edge in enumerate(drawn.edges) if edge.taken == 0]
    [line] = re.findall(r"linkStyle ([\d,]+) .*stroke-dasharray", to_mermaid(drawn))
    assert [int(number) for number in line.split(",")] == passed
    assert graph.to_dot(result).count("style=dotted") == len(passed)
    text = graph.to_text(result)
    assert text.count("not taken\n") == text.count("·▷") + 1 == len(passed) + 1, "and the legend says what it is"
    assert "taken 2 times" in text
    assert "taken 2 times" in graph.to_mermaid(result)


def test_what_is_not_decided_is_not_drawn_as_decided() -> None:
    wf = Workflow("waits", input=int, output=int)
    first, second = wf.node(take, name="first"), wf.node(fails, name="second")
    wf.chain(START, first, second, END)
    graph = wf.compile()
    with pytest.raises(Exception, match="no") as caught:
        graph.run_sync(1)
    result: Any = getattr(caught.value, "result")  # noqa: B009 (an exception of any kind)
    assert taken(drawn_of(graph, result)) == {
        ("START", "first"): 1,
        ("first", "second"): 1,
        ("second", "END"): None,
    }


def test_a_join_none_of_whose_members_was_taken_is_not_taken_either() -> None:
    wf = Workflow("joins", input=int, output=int | None)
    pick = wf.node(take, name="pick")
    left, right = (wf.node(take, name=name) for name in ("left", "right"))

    @wf.node
    async def both(values: list[int]) -> int:
        return sum(values)

    wf.edge(START, pick)
    wf.edge(pick, left, when=lambda value: value > 0, label="l")
    wf.edge(pick, right, when=lambda value: value > 0, label="r")
    wf.edge(pick, END, when=lambda value: value <= 0, label="none")
    wf.join([left, right], into=both)
    wf.edge(both, END)
    graph = wf.compile()
    went = taken(drawn_of(graph, graph.run_sync(0)))
    assert went["all", "both"] == 0
    assert taken(drawn_of(graph, graph.run_sync(1)))["all", "both"] is None


def test_edges_that_are_drawn_as_one_are_dotted_only_if_none_was_taken() -> None:
    wf = Workflow("many", input=int, output=int)
    pick = wf.node(take, name="pick")
    wf.edge(START, pick)
    for number in range(6):
        one = wf.node(take, name=f"way {number}")
        wf.edge(pick, one, when=lambda value, number=number: value == number, label=f"is {number}")
        wf.edge(one, END)
    graph = wf.compile()
    small = collapsed(drawn_of(graph, graph.run_sync(2)), lambda drawn: len(drawn.nodes) < 7)
    assert NOT_TAKEN in small.legend
    bundles = {edge.taken for edge in small.edges if edge.count > 1}
    assert bundles == {0}, "those of what was skipped"
    assert {edge.taken for edge in small.edges if edge.count == 1} == {1}


@pytest.mark.anyio
async def test_edges_in_graphs_of_ctx_run_are_counted_over_all_of_them() -> None:
    wf = Workflow("runs", input=int, output=int)

    @wf.node
    async def run(value: int, ctx: Context) -> int:
        return await ctx.run(inner(), value, key="one") + await ctx.run(inner(), -value, key="two")

    wf.chain(START, run, END)
    result = await wf.compile().run(1)
    assert result.starts == (((), (0,)), (("run", "@one"), (0,)), (("run", "@two"), (1,)))
