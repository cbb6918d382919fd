"""The builder refuses what cannot mean anything, saying what to write instead, and takes whatever names a node."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph import END, OTHERWISE, START, Quorum, Workflow
from loomgraph.errors import CompileError, DefinitionError
from loomgraph.graph.refs import END_INDEX, START_INDEX


def add(value: int) -> int:
    return value + 1


def double(value: int) -> int:
    return value * 2


def made() -> tuple[Workflow[Any, Any], Any, Any]:
    wf: Workflow[Any, Any] = Workflow("w")
    return wf, wf.node(add), wf.node(double)


foreign = Workflow[Any, Any]("other").node(add)

MISUSES: dict[str, tuple[Any, str]] = {
    "edge into START": (lambda wf, a, b: wf.edge(a, START), "swap its two ends"),
    "edge out of END": (lambda wf, a, b: wf.edge(END, a), "swap its two ends"),
    "edge to another workflow's node": (lambda wf, a, b: wf.edge(a, foreign), "belongs to another workflow"),
    "edge to a number": (lambda wf, a, b: wf.edge(a, 5), "takes a node, not 5"),
    "edge to OTHERWISE": (lambda wf, a, b: wf.edge(a, OTHERWISE), "takes a node, not OTHERWISE"),
    "edge to a workflow": (lambda wf, a, b: wf.edge(a, Workflow("x")), "takes a node"),
    "edge to a branch": (lambda wf, a, b: wf.edge(a, b.when(int)), "takes a node"),
    "edge with an unknown exit": (lambda wf, a, b: wf.edge(a, b, exit="soon"), "'strict' or 'latest'"),
    "edge with a cap of zero": (lambda wf, a, b: wf.edge(a, b, cap=0), "use at least 1"),
    "chain of one": (lambda wf, a, b: wf.chain(a), "at least two nodes"),
    "chain of none": (lambda wf, a, b: wf.chain(), "at least two nodes"),
    "route without conditions": (lambda wf, a, b: wf.route(a, {}), "at least one condition"),
    "parallel without ends": (lambda wf, a, b: wf.parallel([a, b]), "source= or into="),
    "join of nothing": (lambda wf, a, b: wf.join([], into=a), "at least one member"),
    "join of no parameters": (lambda wf, a, b: wf.join({}, into=a), "at least one member"),
    "join of empty parameters": (lambda wf, a, b: wf.join({"value": []}, into=a), "at least one member"),
    "join with an unknown wait": (lambda wf, a, b: wf.join([a], into=b, wait="most"), "'all', 'first' or Quorum"),
    "join into START": (lambda wf, a, b: wf.join([a], into=START), "enter START"),
    "quorum of none": (lambda wf, a, b: wf.join([a], into=b, wait=Quorum(0)), "use at least 1"),
    "map of START": (lambda wf, a, b: wf.map(a, START), "not START"),
    "map of END": (lambda wf, a, b: wf.map(a, END), "not END"),
    "map of an undeclared name": (lambda wf, a, b: wf.map(a, "later"), "declared node"),
    "map with a limit of zero": (lambda wf, a, b: wf.map(a, b, limit=0), "at least 1"),
    "map with an unknown wait": (lambda wf, a, b: wf.map(a, b, wait="most"), "'all', 'first' or Quorum"),
    "map with an unknown on_error": (lambda wf, a, b: wf.map(a, b, on_error="stop"), "'collect' or 'skip'"),
    "loop of nothing": (lambda wf, a, b: wf.loop(), "nodes of its body"),
    "loop with a cap of zero": (lambda wf, a, b: wf.loop(a, cap=0), "use at least 1"),
    "on_error of no exception": (lambda wf, a, b: wf.on_error(a, b, int), "exception classes"),
    "on_error of an instance": (lambda wf, a, b: wf.on_error(a, b, OSError()), "exception classes"),
    "node of a node": (lambda wf, a, b: wf.node(a), "a node already"),
    "node of a number": (lambda wf, a, b: wf.node(5), "cannot be a node"),
    "node of a workflow": (lambda wf, a, b: wf.node(Workflow("inner")), "inner.compile()"),
    "node without a name": (lambda wf, a, b: wf.node(add, name=""), "cannot be empty"),
    "node with no time": (lambda wf, a, b: wf.node(add, name="c", timeout=0), "seconds > 0"),
    "node with a limit of zero": (lambda wf, a, b: wf.node(add, name="c", limit=0), "at least 1"),
    "node with an unknown effect": (lambda wf, a, b: wf.node(add, name="c", effect="twice"), "'repeat' or 'once'"),
    "subgraph of a function": (lambda wf, a, b: wf.subgraph(add), "compiled Graph"),
    "subgraph of a workflow": (lambda wf, a, b: wf.subgraph(Workflow("inner")), "compile()"),
    "workflow without a name": (lambda wf, a, b: Workflow(""), "needs a name"),
    "workflow with an unknown on_failure": (lambda wf, a, b: Workflow("x", on_failure="go"), "'cancel' or 'drain'"),  # pyright: ignore[reportArgumentType]
    "workflow that starts nothing": (lambda wf, a, b: Workflow("x", max_activations=0), "at least 1"),
    "state that is no model": (lambda wf, a, b: Workflow("x", state=dict), "pydantic model class"),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_a_misuse_is_refused_with_what_to_do_instead(misuse: str) -> None:
    call, taught = MISUSES[misuse]
    with pytest.raises(DefinitionError) as caught:
        call(*made())
    assert taught in str(caught.value)


def fresh(value: int) -> int:
    return value


LATE_MISUSES: dict[str, Any] = {
    "edge": lambda wf, a, b: wf.edge(fresh, 5),
    "chain": lambda wf, a, b: wf.chain(START, a, fresh, b, foreign),
    "route": lambda wf, a, b: wf.route(a, {1: b, 2: fresh, 3: foreign}),
    "route with a condition that means nothing": lambda wf, a, b: wf.route(a, {1: b, Any: fresh}),
    "route with another workflow's otherwise": lambda wf, a, b: wf.route(a, {1: b}, otherwise=foreign),
    "parallel": lambda wf, a, b: wf.parallel([a, fresh, foreign], source=START),
    "parallel into START": lambda wf, a, b: wf.parallel([a, fresh], source=b, into=START),
    "join": lambda wf, a, b: wf.join([fresh, foreign], into=a),
    "map": lambda wf, a, b: wf.map(foreign, fresh),
    "map of a declared node": lambda wf, a, b: wf.map(a, b, when=Any),
    "loop": lambda wf, a, b: wf.loop(a, fresh, b, again=Any),
    "loop with another workflow's side node": lambda wf, a, b: wf.loop(a, fresh, again=bool, include=[foreign]),
    "on_error": lambda wf, a, b: wf.on_error(fresh, foreign),
}


@pytest.mark.parametrize("misuse", LATE_MISUSES)
def test_a_refused_call_leaves_nothing_behind(misuse: str) -> None:
    wf, a, b = made()
    wf.route(a, {1: b}, otherwise=END)
    before, untouched = wf.define(), made()[0]
    with pytest.raises(DefinitionError):
        LATE_MISUSES[misuse](wf, a, b)
    after = wf.define()
    assert (after.nodes, after.edges, after.joins, after.loops) == (
        before.nodes,
        before.edges,
        before.joins,
        before.loops,
    )
    wf.route(fresh, {1: "fresh"})
    untouched.route(fresh, {1: "fresh"})
    told = [(edge.source, edge.target) for edge in wf.define().edges[2:]]
    assert told == [(edge.source, edge.target) for edge in untouched.define().edges] == [(2, 2)]
    assert wf.define().edges[-1].choice == 1


def test_handles_names_and_functions_name_the_same_node() -> None:
    wf, a, b = made()
    for source, target in [(a, b), ("add", "double"), (add, double), (a, "double"), ("add", double)]:
        wf.edge(source, target)
    definition = wf.define()
    assert [(edge.source, edge.target) for edge in definition.edges] == [(0, 1)] * 5
    assert [node.name for node in definition.nodes] == ["add", "double"]


def test_a_function_used_as_a_node_is_declared_once() -> None:
    wf: Workflow[Any, Any] = Workflow("w")
    wf.chain(START, add, double, END)
    wf.edge(add, END)
    definition = wf.define()
    assert [node.name for node in definition.nodes] == ["add", "double"]
    assert definition.edges[0].source == START_INDEX
    assert definition.edges[-1].target == END_INDEX


def test_a_name_may_be_used_before_its_node_is_declared() -> None:
    wf: Workflow[Any, Any] = Workflow("w", input=int)
    wf.chain(START, "add", END)
    wf.node(add)
    assert wf.compile().run_sync(1).output == 2


def test_the_same_function_may_be_declared_under_two_names() -> None:
    wf: Workflow[Any, Any] = Workflow("w", input=int)
    first, second = wf.node(add, name="first"), wf.node(add, name="second")
    wf.chain(START, first, second, END)
    assert wf.compile().run_sync(1).output == 3


def test_the_same_name_twice_is_a_finding() -> None:
    wf: Workflow[Any, Any] = Workflow("w", input=int)
    first, second = wf.node(add, name="same"), wf.node(double, name="same")
    wf.chain(START, first, second, END)
    with pytest.raises(CompileError, match="same"):
        wf.compile()


def test_an_undeclared_name_is_a_finding_that_names_the_nearest() -> None:
    wf, a, _ = made()
    wf.chain(START, a, "duoble", END)
    assert "Did you mean 'double'?" in [finding.remedy for finding in wf.check()]


def test_the_string_end_is_no_end() -> None:
    wf, a, _ = made()
    wf.chain(START, a, "END")
    assert any("the constant END" in finding.remedy for finding in wf.check())


@pytest.mark.parametrize("name", ["END", "START", "a b", "it's", 'say "hi"', "🧵", "a/b", "a\nb", " ", "-1", "naïve"])
def test_any_name_is_a_name(name: str) -> None:
    wf: Workflow[Any, Any] = Workflow("w", input=int)
    wf.node(add, name=name)
    wf.chain(START, name, END)
    result = wf.compile().run_sync(1)
    assert (result.output, result.node(name)[0].output) == (2, 2)


def test_a_handle_is_still_the_function() -> None:
    _, a, _ = made()
    assert a(1) == 2
    assert a(value=1) == 2


def test_node_is_a_decorator_with_and_without_options() -> None:
    wf: Workflow[Any, Any] = Workflow("w")

    @wf.node
    def one(value: int) -> int:
        return value

    @wf.node(name="two", limit=3, tags=["slow"])
    def other(value: int) -> int:
        return value

    nodes = wf.define().nodes
    assert [(node.name, node.limit, node.tags) for node in nodes] == [("one", None, ()), ("two", 3, ("slow",))]
    assert (one.name, other.name) == ("one", "two")


def test_a_definition_does_not_change_with_the_builder() -> None:
    wf, a, b = made()
    wf.edge(START, a)
    before = wf.define()
    wf.edge(a, b)
    assert len(before.edges) == 1
