"""Claims of the three answers compile() has about what is taken together: both, exclusive, or left to the run.

Every graph here is one of a kind with a neighbour that gets another answer. `w` is the workflow, its nodes are made by
name; a value is "yes", "no" or "maybe" where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import pytest

from loomgraph.compile.compiled import check_definition
from loomgraph.errors import Failure
from loomgraph.graph.builder import Builder, Node
from loomgraph.graph.refs import END, OTHERWISE, START

Word: TypeAlias = Literal["yes", "no", "maybe"]
Made: TypeAlias = Node[..., Any]


def long(value: Any) -> bool:
    return len(str(value)) > 3


def loud(value: Any) -> bool:
    return str(value).isupper()


class Graph(Builder):
    """A builder whose nodes take anything and give a word."""

    def one(self, name: str) -> Made:
        async def one(value: Any) -> Word: ...

        return self.node(one, name=name)

    def two(self, name: str) -> Made:
        async def two(first: str, second: str) -> Word: ...

        return self.node(two, name=name)

    def handler(self, name: str) -> Made:
        async def handler(failure: Failure) -> Word: ...

        return self.node(handler, name=name)


def rules(make: Callable[[Graph], None]) -> set[str]:
    graph = Graph("w", input=Any, output=Any)
    make(graph)
    return {finding.rule for finding in check_definition(graph.define()) if finding.severity == "error"}


def two_predicates_of_one_node(w: Graph) -> None:
    a, b = w.one("a"), w.one("b")
    w.edge(START, a)
    w.edge(a, b, when=long)
    w.edge(a, END, when=loud)
    w.edge(b, END)


def predicates_of_two_nodes(w: Graph) -> None:
    for name in "ab":
        node = w.one(name)
        w.edge(START, node)
        w.edge(node, END, when=long)
        w.edge(node, w.node(swallow, name=f"{name} side"), when=OTHERWISE)


def a_predicate_and_what_is_left(w: Graph) -> None:
    a, b = w.one("a"), w.one("b")
    w.edge(START, a)
    w.edge(a, b, when=long)
    w.edge(a, END, when=OTHERWISE)
    w.edge(b, END)


def a_predicate_beside_what_is_always_taken(w: Graph) -> None:
    a, b = w.one("a"), w.one("b")
    w.edge(START, a)
    w.edge(a, b, when=long)
    w.edge(a, END)
    w.edge(b, END)


def overlapping_types(w: Graph) -> None:
    a, b, c = w.one("a"), w.one("b"), w.one("c")
    w.edge(START, a)
    w.edge(a, b, when=Literal["yes", "maybe"])
    w.edge(a, c, when=Literal["no", "maybe"])
    w.edge(b, END)
    w.edge(c, END)


def separate_types(w: Graph) -> None:
    a, b, c = w.one("a"), w.one("b"), w.one("c")
    w.edge(START, a)
    w.edge(a, b, when=Literal["yes", "maybe"])
    w.edge(a, c, when="no")
    w.edge(b, END)
    w.edge(c, END)


def a_branch_and_a_branch_of_it(w: Graph) -> None:
    a, b, c = w.one("a"), w.one("b"), w.one("c")
    w.edge(START, a)
    w.edge(a, b, when="yes")
    w.edge(a, c, when=OTHERWISE)
    w.edge(b, END, when=long)
    w.edge(b, END, when=OTHERWISE)
    w.edge(c, END)


def a_branch_of_a_branch_beside_it(w: Graph) -> None:
    a, b, c = w.one("a"), w.one("b"), w.one("c")
    w.chain(START, a)
    w.edge(a, b, when="yes")
    w.edge(a, END, when="yes")
    w.edge(a, w.node(swallow, name="side"), when=OTHERWISE)
    w.edge(b, c, when=long)
    w.edge(b, w.node(swallow, name="other side"), when=OTHERWISE)
    w.edge(c, END)


def arms_of_one_route(w: Graph) -> None:
    a = w.one("a")
    w.edge(START, a)
    w.route(a, {long: w.one("b"), loud: w.one("c")}, otherwise=END)
    w.edge("b", END)
    w.edge("c", END)


def arms_of_two_routes(w: Graph) -> None:
    a = w.one("a")
    w.edge(START, a)
    w.route(a, {long: w.one("b")}, otherwise=w.node(swallow, name="side"))
    w.route(a, {loud: w.one("c")}, otherwise=w.node(swallow, name="other side"))
    w.edge("b", END)
    w.edge("c", END)


def a_node_and_its_handler(w: Graph) -> None:
    a, b = w.one("a"), w.handler("b")
    w.chain(START, a, END)
    w.on_error(a, b)
    w.edge(b, END)


def a_handler_beside_a_parallel_node(w: Graph) -> None:
    a, b, c = w.one("a"), w.handler("b"), w.one("c")
    w.chain(START, a, w.node(swallow, name="side"))
    w.on_error(a, b)
    w.edge(b, END)
    w.chain(START, c, END)


def a_loop_and_a_parallel_node(w: Graph, *, latest: bool = False) -> None:
    a, b, c, d = w.one("a"), w.one("b"), w.one("c"), w.one("d")
    w.chain(START, a, b)
    w.edge(b, c, when=long)
    w.edge(c, a)
    w.edge(b, END, when=OTHERWISE, exit="latest" if latest else "strict")
    w.chain(START, d, END)


def a_loop_whose_exit_may_be_overtaken_and_a_parallel_node(w: Graph) -> None:
    a_loop_and_a_parallel_node(w, latest=True)


def one_of_two_exits_and_a_parallel_node(w: Graph) -> None:
    a, b, c = w.one("a"), w.one("b"), w.one("c")
    w.edge(START, a)
    w.edge(a, a, when="yes")
    w.edge(a, b, when="no")
    w.edge(a, w.node(swallow, name="side"), when="maybe")
    w.edge(b, END, when=long)
    w.edge(b, w.node(swallow, name="other side"), when=OTHERWISE)
    w.edge(START, c)
    w.edge(c, END, when=long)
    w.edge(c, w.node(swallow, name="third side"), when=OTHERWISE)


async def swallow(value: Any) -> None: ...


@pytest.mark.parametrize(
    "make",
    [
        a_predicate_beside_what_is_always_taken,
        overlapping_types,
        a_branch_of_a_branch_beside_it,
        a_handler_beside_a_parallel_node,
        a_loop_and_a_parallel_node,
    ],
    ids=lambda make: str(make.__name__),
)
def test_alternatives_that_are_taken_together_are_refused(make: Callable[[Graph], None]) -> None:
    assert rules(make) == {"ambiguous-input"}


@pytest.mark.parametrize(
    "make",
    [
        a_predicate_and_what_is_left,
        separate_types,
        a_branch_and_a_branch_of_it,
        arms_of_one_route,
        a_node_and_its_handler,
    ],
    ids=lambda make: str(make.__name__),
)
def test_alternatives_that_exclude_each_other_compile(make: Callable[[Graph], None]) -> None:
    assert rules(make) == set()


@pytest.mark.parametrize(
    "make",
    [
        two_predicates_of_one_node,
        predicates_of_two_nodes,
        arms_of_two_routes,
        one_of_two_exits_and_a_parallel_node,
        a_loop_whose_exit_may_be_overtaken_and_a_parallel_node,
    ],
    ids=lambda make: str(make.__name__),
)
def test_alternatives_of_which_nothing_is_proven_are_left_to_the_run(make: Callable[[Graph], None]) -> None:
    assert rules(make) == set()


# ---------------------------------------------------------------------- joins


def join(w: Graph, first: Any, second: Any) -> None:
    target = w.two("join")
    w.join({"first": first, "second": second}, into=target)
    w.edge(target, END)


def two_nodes_of_one_branch(w: Graph) -> None:
    a = w.one("a")
    w.edge(START, a)
    w.edge(a, w.one("b"), when=long)
    w.edge(a, END, when=OTHERWISE)
    w.edge("b", w.one("c"))
    join(w, "b", "c")


def both_ends_of_a_choice_and_a_parallel_node(w: Graph) -> None:
    a, b = w.one("a"), w.one("b")
    w.edge(START, a)
    w.edge(START, b)
    w.edge(a, w.one("c"), when=long)
    w.edge(a, w.one("d"), when=OTHERWISE)
    join(w, ["c", "d"], b)


def a_choice_within_a_choice_that_ends_where_it_began(w: Graph) -> None:
    a, b, m = w.one("a"), w.one("b"), w.one("m")
    w.edge(START, a)
    w.edge(START, b)
    w.edge(a, w.one("c"), when="yes")
    w.edge(a, w.one("d"), when=OTHERWISE)
    w.edge("c", w.one("e"), when=long)
    w.edge("c", w.one("f"), when=OTHERWISE)
    for name in "def":
        w.edge(name, m)
    join(w, m, b)


def a_node_or_its_handler_and_a_parallel_node(w: Graph) -> None:
    a, b, h = w.one("a"), w.one("b"), w.handler("h")
    w.edge(START, a)
    w.edge(START, b)
    w.on_error(a, h)
    join(w, [a, h], b)


def the_end_of_a_loop_and_a_parallel_node(w: Graph) -> None:
    a, b, c = w.one("a"), w.one("b"), w.one("c")
    w.edge(START, a)
    w.edge(START, b)
    w.edge(a, c)
    w.edge(c, a, when="yes")
    w.edge(c, w.one("out"), when=OTHERWISE)
    join(w, "out", b)


def the_end_of_a_loop_or_its_cap_and_a_parallel_node(w: Graph) -> None:
    a, b, landing, m = w.one("a"), w.one("b"), w.one("landing"), w.one("m")
    w.edge(START, a)
    w.edge(START, b)
    w.edge(a, a, when="yes")
    w.loop(a, cap=2, on_cap=landing)
    w.edge(a, m, when=OTHERWISE)
    w.edge(landing, m)
    join(w, m, b)


def a_route_and_a_condition_that_ask_the_same_value(w: Graph) -> None:
    a, b, c = w.one("a"), w.one("b"), w.one("c")
    w.edge(START, a)
    w.edge(a, w.one("either"), when=Literal["yes", "no"])
    w.route(a, {"yes": b, "no": c}, otherwise=END)
    join(w, "either", [b, c])


def two_routes_that_ask_the_same_value(w: Graph) -> None:
    a, b, c = w.one("a"), w.one("b"), w.one("c")
    w.edge(START, a)
    w.route(a, {"yes": b, "no": c, "maybe": END})
    w.route(a, {"maybe": w.node(swallow, name="side")}, otherwise=w.one("either"))
    join(w, "either", [b, c])


def a_predicate_in_a_route_and_what_it_leaves(w: Graph) -> None:
    a, b, c = w.one("a"), w.one("b"), w.one("c")
    w.edge(START, a)
    w.route(a, {long: b}, otherwise=c)
    w.edge(a, w.one("any"), when=str)
    join(w, "any", [b, c])


@pytest.mark.parametrize(
    "make",
    [
        a_route_and_a_condition_that_ask_the_same_value,
        two_routes_that_ask_the_same_value,
        a_predicate_in_a_route_and_what_it_leaves,
        two_nodes_of_one_branch,
        both_ends_of_a_choice_and_a_parallel_node,
        a_choice_within_a_choice_that_ends_where_it_began,
        a_node_or_its_handler_and_a_parallel_node,
        the_end_of_a_loop_and_a_parallel_node,
        the_end_of_a_loop_or_its_cap_and_a_parallel_node,
    ],
    ids=lambda make: str(make.__name__),
)
def test_required_members_that_share_their_fate_compile(make: Callable[[Graph], None]) -> None:
    assert rules(make) == set()


def two_branches_of_one_choice(w: Graph) -> None:
    a = w.one("a")
    w.edge(START, a)
    w.edge(a, w.one("b"), when=long)
    w.edge(a, w.one("c"), when=OTHERWISE)
    join(w, "b", "c")


def a_condition_and_a_route_that_takes_less(w: Graph) -> None:
    a, b = w.one("a"), w.one("b")
    w.edge(START, a)
    w.edge(a, w.one("either"), when=Literal["yes", "no"])
    w.route(a, {"yes": b}, otherwise=END)
    join(w, "either", b)


def a_condition_and_a_route_whose_first_arm_takes_more(w: Graph) -> None:
    a, b = w.one("a"), w.one("b")
    w.edge(START, a)
    w.edge(a, w.one("same"), when="yes")
    w.route(a, {Literal["yes", "no"]: w.node(swallow, name="side"), "yes": b}, otherwise=END)
    join(w, "same", b)


def a_branch_and_a_parallel_node(w: Graph) -> None:
    a, b = w.one("a"), w.one("b")
    w.edge(START, a)
    w.edge(START, b)
    w.edge(a, w.one("c"), when=long)
    w.edge(a, w.node(swallow, name="side"), when=OTHERWISE)
    join(w, "c", b)


def one_of_two_ends_of_a_loop_and_a_parallel_node(w: Graph) -> None:
    a, b = w.one("a"), w.one("b")
    w.edge(START, a)
    w.edge(START, b)
    w.edge(a, a, when="yes")
    w.edge(a, w.one("out"), when="no")
    w.edge(a, w.node(swallow, name="side"), when="maybe")
    join(w, "out", b)


def a_node_whose_failure_goes_elsewhere_and_a_parallel_node(w: Graph) -> None:
    a, b, h = w.one("a"), w.one("b"), w.handler("h")
    w.edge(START, a)
    w.edge(START, b)
    w.on_error(a, h)
    w.edge(h, w.node(swallow, name="side"))
    join(w, a, b)


def the_end_of_a_loop_without_its_cap_and_a_parallel_node(w: Graph) -> None:
    a, b, landing = w.one("a"), w.one("b"), w.one("landing")
    w.edge(START, a)
    w.edge(START, b)
    w.edge(a, a, when="yes")
    w.loop(a, cap=2, on_cap=landing)
    w.edge(landing, w.node(swallow, name="side"))
    w.edge(a, w.one("m"), when=OTHERWISE)
    join(w, "m", b)


def a_value_from_before_the_loop(w: Graph) -> None:
    before, inside = w.one("before"), w.one("inside")
    target = w.two("join")
    w.edge(START, before)
    w.edge(START, inside)
    w.join({"first": before, "second": inside}, into=target)
    w.edge(target, inside, when="yes")
    w.edge(target, END, when=OTHERWISE)


@pytest.mark.parametrize(
    "make",
    [
        a_condition_and_a_route_that_takes_less,
        a_condition_and_a_route_whose_first_arm_takes_more,
        two_branches_of_one_choice,
        a_branch_and_a_parallel_node,
        one_of_two_ends_of_a_loop_and_a_parallel_node,
        a_node_whose_failure_goes_elsewhere_and_a_parallel_node,
        the_end_of_a_loop_without_its_cap_and_a_parallel_node,
        a_value_from_before_the_loop,
    ],
    ids=lambda make: str(make.__name__),
)
def test_required_members_that_may_be_skipped_apart_are_refused(make: Callable[[Graph], None]) -> None:
    assert rules(make) == {"join-of-skippable"}
