"""The loop nest: which nodes repeat together, who is the header, which edges go back."""

from __future__ import annotations

import graphlib
import itertools
from collections.abc import Sequence
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomgraph.compile.nest import DEFAULT_CAP, Nest, Region, find_nest
from loomgraph.compile.resolve import resolve
from loomgraph.graph.builder import Builder
from loomgraph.graph.definition import Definition
from loomgraph.graph.refs import END, START


def step(value: int) -> int:
    return value


class Drawn:
    """A graph written as "S>a a>b b>a b>E" (S is START, E is END), nodes declared in alphabetical order."""

    def __init__(self, edges: str, nodes: str | None = None) -> None:
        pairs = [edge.split(">") for edge in edges.split()]
        self.names = sorted(set(nodes or "") | {end for pair in pairs for end in pair if end not in "SE"})
        self.builder = Builder("drawn", input=int, output=int)
        for name in self.names:
            self.builder.node(step, name=name)
        for source, target in pairs:
            self.edge(source, target)

    def edge(self, source: str, target: str, cap: int | None = None) -> None:
        ends: dict[str, Any] = {"S": START, "E": END}
        self.builder.edge(ends.get(source, source), ends.get(target, target), cap=cap)

    def found(self) -> tuple[Nest, Definition]:
        definition, findings = resolve(self.builder.define())
        assert not findings
        return find_nest(definition), definition

    def loops(self) -> list[tuple[str, str, list[str]]]:
        """Of each loop, outer before inner: its header, its body and its back edges."""
        nest, definition = self.found()
        return [
            (
                self.names[header],
                self.called(nest.body(region.index)),
                [f"{definition.name_of(definition.edges[e].source)}>{self.names[header]}" for e in region.back_edges],
            )
            for region in nest.regions[1:]
            if (header := region.header) is not None
        ]

    def called(self, body: frozenset[int]) -> str:
        return "".join(self.names[node] for node in sorted(body))


@pytest.mark.parametrize(
    ("edges", "loops"),
    [
        pytest.param("S>a a>b b>E", [], id="no loop"),
        pytest.param("S>a a>b a>c b>d c>d d>E", [], id="a diamond is no loop"),
        pytest.param("S>a a>b b>a b>E", [("a", "ab", ["b>a"])], id="a loop of two"),
        pytest.param("S>a a>a a>E", [("a", "a", ["a>a"])], id="a self loop"),
        pytest.param("S>b b>a a>b a>E", [("b", "ab", ["a>b"])], id="the header is entered, not first declared"),
        pytest.param(
            "S>a a>b b>c c>b c>a c>E", [("a", "abc", ["c>a"]), ("b", "bc", ["c>b"])], id="a loop inside a loop"
        ),
        pytest.param("S>a a>b b>b b>a b>E", [("a", "ab", ["b>a"]), ("b", "b", ["b>b"])], id="a self loop inside"),
        pytest.param("S>a a>b b>a a>c c>a a>E", [("a", "abc", ["b>a", "c>a"])], id="two loops with one header are one"),
        pytest.param(
            "S>a a>b b>a b>c c>d d>c d>E", [("a", "ab", ["b>a"]), ("c", "cd", ["d>c"])], id="one loop after another"
        ),
        pytest.param(
            "S>a a>b b>c c>b c>d d>e e>d e>a e>E",
            [("a", "abcde", ["e>a"]), ("b", "bc", ["c>b"]), ("d", "de", ["e>d"])],
            id="two loops in one",
        ),
        pytest.param(
            "S>a a>b b>b b>c c>d d>d d>e e>a e>E",
            [("a", "abcde", ["e>a"]), ("b", "b", ["b>b"]), ("d", "d", ["d>d"])],
            id="one far restart edge makes one big loop around the others",
        ),
        pytest.param("S>a a>b a>c b>d c>d d>a d>E", [("a", "abcd", ["d>a"])], id="branches inside a loop"),
    ],
)
def test_the_loops_of_a_graph(edges: str, loops: list[tuple[str, str, list[str]]]) -> None:
    assert Drawn(edges).loops() == loops


def test_a_loop_with_two_entries_has_the_first_declared_as_header_and_is_tangled() -> None:
    drawn = Drawn("S>a a>b a>c b>c c>b c>E")
    nest, _ = drawn.found()
    assert drawn.loops() == [("b", "bc", ["c>b"])]
    assert (nest.regions[1].entered, nest.regions[1].tangled) == (True, True)


def test_inside_a_loop_the_entry_from_that_loop_is_preferred_as_header() -> None:
    drawn = Drawn("S>a a>b a>c c>b b>c S>b c>a c>E")
    assert drawn.loops()[1][:2] == ("b", "bc")


def test_a_header_of_one_s_own_overrides() -> None:
    drawn = Drawn("S>a a>b a>c b>c c>b c>E")
    drawn.builder.loop("b", "c", header="c")
    assert drawn.loops() == [("c", "bc", ["b>c"])]


def test_a_header_of_an_inner_loop_is_that_of_no_loop_around_it() -> None:
    drawn = Drawn("S>o o>a b>t t>o t>E")
    drawn.builder.loop("a", "b", again=bool)
    assert drawn.loops() == [("o", "abot", ["t>o"]), ("a", "ab", ["b>a"])]


def test_a_header_is_for_the_innermost_loop_around_its_nodes() -> None:
    edges = "S>o o>a a>b b>a b>o b>E"
    outer, inner = Drawn(edges), Drawn(edges)
    outer.builder.loop("o", "b", header="b")
    inner.builder.loop("a", header="b")
    assert outer.loops()[0][:2] == ("b", "abo")
    assert [loop[:2] for loop in inner.loops()] == [("o", "abo"), ("b", "ab")]


def test_included_side_nodes_belong_to_the_loop_and_to_those_around_it() -> None:
    drawn = Drawn("S>a a>b b>c c>b c>a c>E b>d")
    drawn.builder.loop("b", "c", include=["d"])
    nest, _ = drawn.found()
    assert [drawn.called(nest.body(region.index)) for region in nest.regions[1:]] == ["abcd", "bcd"]
    assert drawn.names[nest.regions[2].included[0]] == "d"
    assert nest.region(drawn.names.index("d")) == 2
    assert not nest.regions[1].included


def test_a_side_node_that_is_not_included_stays_outside() -> None:
    drawn = Drawn("S>a a>b b>a b>E b>d")
    nest, _ = drawn.found()
    assert nest.region(drawn.names.index("d")) == 0


def test_the_on_cap_edge_belongs_to_its_loop_and_makes_none() -> None:
    drawn = Drawn("S>a a>b b>a b>E", nodes="z")
    drawn.builder.loop("a", "b", cap=3, on_cap="z")
    nest, definition = drawn.found()
    assert len(nest.regions) == 2
    landing = nest.regions[1].cap_edge
    assert landing is not None
    assert definition.edges[landing].kind == "cap"
    assert definition.name_of(definition.edges[landing].target) == "z"


@pytest.mark.parametrize(
    ("edge_caps", "loop_caps", "cap", "given"),
    [
        ([None], [], DEFAULT_CAP, set()),
        ([4], [], 4, {4}),
        ([None], [6], 6, {6}),
        ([4], [4], 4, {4}),
        ([4, 5], [], 4, {4, 5}),
        ([9], [7], 7, {7, 9}),
    ],
)
def test_a_loop_s_cap_is_the_least_that_was_given_and_all_are_kept(
    edge_caps: list[int | None], loop_caps: list[int], cap: int, given: set[int]
) -> None:
    drawn = Drawn("S>a a>b b>E")
    for edge_cap in edge_caps:
        drawn.edge("b", "a", cap=edge_cap)
    for loop_cap in loop_caps:
        drawn.builder.loop("a", "b", cap=loop_cap)
    region = drawn.found()[0].regions[1]
    assert (region.cap, region.caps_given) == (cap, given)


def test_a_cap_is_that_of_the_loop_its_nodes_share_and_of_no_other() -> None:
    drawn = Drawn("S>a a>b b>c c>b c>a c>E")
    drawn.builder.loop("b", "c", cap=2)
    drawn.builder.loop("a", "b", cap=7)
    assert [region.cap for region in drawn.found()[0].regions[1:]] == [7, 2]


def test_nodes_that_share_no_loop_name_none() -> None:
    drawn = Drawn("S>a a>a a>b b>b b>E")
    drawn.builder.loop("a", "b", cap=2)
    nest, definition = drawn.found()
    assert nest.loop_of(definition.loops[0]) is None
    assert [region.cap for region in nest.regions[1:]] == [DEFAULT_CAP, DEFAULT_CAP]


def test_the_way_round_a_loop_is_a_shortest_one_from_the_header() -> None:
    drawn = Drawn("S>a a>b b>c c>d d>a c>a d>E")
    nest, definition = drawn.found()
    assert [drawn.names[node] for node in nest.cycle(nest.regions[1], definition)] == ["a", "b", "c"]


def test_the_chain_of_a_region_ends_with_the_whole_graph() -> None:
    nest, _ = Drawn("S>a a>b b>c c>b c>a c>d d>d d>E").found()
    inner = nest.region(1)
    assert [len(nest.body(index)) for index in nest.chain(inner)] == [2, 3, 4]
    assert nest.common(inner, nest.region(0)) == nest.region(0)
    assert nest.common(inner, nest.region(3)) == 0


def in_a_row(count: int, back: Sequence[tuple[int, int]]) -> Nest:
    builder = Builder("row", input=int, output=int)
    handles = [builder.node(step, name=f"n{number}") for number in range(count)]
    builder.chain(START, *handles, END)
    for source, target in back:
        builder.edge(handles[source], handles[target])
    return find_nest(resolve(builder.define())[0])


def test_a_thousand_loops_in_a_row_are_a_thousand_regions() -> None:
    nest = in_a_row(1000, [(number, number) for number in range(1000)])
    assert [region.depth for region in nest.regions] == [0] + [1] * 1000


def test_thousands_of_loops_inside_one_another_need_no_recursion() -> None:
    nest = in_a_row(5001, [(number + 1, number) for number in range(5000)])
    assert [region.depth for region in nest.regions] == list(range(5001))


def test_hundreds_of_tangled_loops_inside_one_another_need_no_recursion() -> None:
    back = [(number + 1, number) for number in range(300)]
    nest = in_a_row(301, [*back, *((0, number) for number in range(2, 301))])
    assert max(region.depth for region in nest.regions) == 300


def innermost(nest: Nest, node: int) -> Region:
    return max((region for region in nest.regions if nest.inside(node, region.index)), key=lambda region: region.depth)


@st.composite
def random_graphs(draw: st.DrawFn, *, headers: bool = True) -> Definition:
    count = draw(st.integers(1, 6))
    ends = st.integers(0, count - 1)
    builder = Builder("random", input=int, output=int)
    handles = [builder.node(step, name=f"n{number}") for number in range(count)]
    for target in draw(st.lists(ends, min_size=1, max_size=3, unique=True)):
        builder.edge(START, handles[target])
    for source, target in draw(st.lists(st.tuples(ends, ends), max_size=14)):
        builder.edge(handles[source], handles[target])
    if headers and draw(st.booleans()):
        builder.loop(handles[draw(ends)], header=handles[draw(ends)])
    return resolve(builder.define())[0]


def by_the_rule(definition: Definition) -> list[tuple[Any, frozenset[int], list[int], int]]:
    """Header, body, back edges and depth of every loop, worked out component by component and level by level."""
    edges = [edge for edge in definition.edges if isinstance(edge.target, int) and edge.target >= 0]
    found: list[tuple[Any, frozenset[int], list[int], int]] = []
    work: list[tuple[set[Any] | None, list[Any]]] = [(None, [edge for edge in edges if edge.source != -1])]
    depths = [1]
    while work:
        (around, inside), depth = work.pop(), depths.pop()
        graph: nx.DiGraph[Any] = nx.DiGraph([(edge.source, edge.target) for edge in inside])
        for body in nx.strongly_connected_components(graph):
            internal = [edge for edge in inside if edge.source in body and edge.target in body]
            if not internal:
                continue
            entering = [edge for edge in edges if edge.target in body and edge.source not in body]
            near = [edge.target for edge in entering if around is None or edge.source in around]
            header = min(near or [edge.target for edge in entering] or body)
            back = [edge.index for edge in internal if edge.target == header]
            found.append((header, frozenset(body), back, depth))
            work.append((body, [edge for edge in internal if edge.target != header]))
            depths.append(depth + 1)
    return sorted(found, key=lambda loop: (loop[3], loop[0]))


@given(random_graphs(headers=False))
@settings(max_examples=200)
def test_loops_are_those_of_the_rule_level_by_level(definition: Definition) -> None:
    nest = find_nest(definition)
    loops = [
        (region.header, nest.body(region.index), region.back_edges, region.depth)
        for region in nest.regions[1:]
        if region.header is not None
    ]
    assert sorted(loops, key=lambda loop: (loop[3], loop[0])) == by_the_rule(definition)


@given(random_graphs())
@settings(max_examples=100)
def test_every_cycle_goes_back_to_the_header_of_the_innermost_loop_around_it(definition: Definition) -> None:
    nest = find_nest(definition)
    inner = [edge for edge in definition.edges if isinstance(edge.source, int) and edge.source >= 0]
    graph: nx.DiGraph[Any] = nx.DiGraph([(edge.source, edge.target) for edge in inner])
    back = {
        (definition.edges[e].source, definition.edges[e].target): region.index
        for region in nest.regions[1:]
        for e in region.back_edges
    }
    for cycle in itertools.islice(nx.simple_cycles(graph), 50):
        around = [region for region in nest.regions if nest.body(region.index) >= set(cycle)]
        closest = max(around, key=lambda region: region.depth)
        assert closest.header in cycle
        steps = zip(cycle, [*cycle[1:], cycle[0]], strict=True)
        assert [back.get(pair) for pair in steps].count(
            closest.index
        ) == 1  # back edges of inner loops may be on it too


@given(random_graphs())
@settings(max_examples=100)
def test_bodies_nest_and_without_back_edges_nothing_repeats(definition: Definition) -> None:
    nest = find_nest(definition)
    back = [e for region in nest.regions for e in region.back_edges]
    assert len(back) == len(set(back))
    sorter: graphlib.TopologicalSorter[Any] = graphlib.TopologicalSorter()
    for edge in definition.edges:
        if edge.index not in back:
            sorter.add(edge.target, edge.source)
    sorter.prepare()  # raises CycleError
    for region in nest.regions[1:]:
        parent = nest.regions[region.parent]
        assert region.index > parent.index
        body = nest.body(region.index)
        assert body <= nest.body(parent.index) - {parent.header}
        assert region.header in region.nodes
        assert region.index in parent.children
        assert all(definition.edges[e].source in body for e in region.back_edges)
        siblings = [nest.body(child) for child in parent.children if child != region.index]
        assert all(not body & other for other in siblings)
    for node in range(len(definition.nodes)):
        assert nest.regions[nest.region_of[node]] is innermost(nest, node)
        assert node in nest.regions[nest.region_of[node]].nodes


def test_the_header_of_a_loop_is_no_side_node_of_a_loop_inside() -> None:
    drawn = Drawn("S>b b>c c>b b>a a>b c>E")
    drawn.builder.loop("a", "b", header="a")
    drawn.builder.loop("b", "c", include=["a"])
    nest, _ = drawn.found()
    assert [region.header for region in nest.regions[1:]] == [drawn.names.index("a"), drawn.names.index("b")]
    assert nest.region(drawn.names.index("a")) == 1
    assert not nest.regions[2].included
