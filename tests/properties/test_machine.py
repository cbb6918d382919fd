"""Claims about the pure machine: any order of completions, same outcome, and the one that the reference says.

No event loop: an order is a list of choices of what finishes next. LOOMGRAPH_EXAMPLES=20000 draws more workflows.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from loomgraph.compile.compiled import CompiledGraph, compile_definition
from loomgraph.errors import CompileError
from loomgraph.graph.builder import Builder
from tests.properties.budget import examples
from tests.properties.compare import assert_part, assert_same
from tests.properties.drive import drive
from tests.properties.outcome import Call, Oracle
from tests.properties.reference import interpret
from tests.properties.strategies import specs
from tests.properties.workflows import Spec, answer, build, parts

VALUES = st.integers(0, 20)
ORDERS = st.lists(st.integers(0, 999), min_size=2, max_size=4, unique=True)


class Embedded:
    """A compiled graph that can stand where a node is expected."""

    def __init__(self, compiled: CompiledGraph) -> None:
        self.compiled = compiled

    def __loomgraph_embed__(self) -> CompiledGraph:
        return self.compiled


def embedded(nested: Builder) -> Embedded:
    return Embedded(compile_definition(nested.define()))


def compiled(spec: Spec) -> CompiledGraph:
    try:
        return embedded(build(spec, compiled=embedded)).compiled
    except CompileError:
        assume(False)
        raise


def oracle_of(spec: Spec) -> Oracle:
    table = parts(spec)

    def oracle(call: Call) -> Any:
        return answer(table[call.name], call)

    return oracle


def order(seed: int) -> Any:
    return partial(random.Random(seed).randrange, 0)


@examples(500)
@given(specs(), VALUES, ORDERS)
def test_any_order_of_completions_gives_the_outcome_of_the_reference(spec: Spec, value: int, seeds: list[int]) -> None:
    graph, oracle = compiled(spec), oracle_of(spec)
    expected = interpret(graph.definition, value, oracle)
    for seed in seeds:
        got = drive(graph, value, oracle, order(seed))
        assert_same(expected, got.outcome)


@examples(300)
@given(specs(), VALUES, ORDERS)
def test_any_order_of_completions_says_the_same_things_in_another_order(
    spec: Spec, value: int, seeds: list[int]
) -> None:
    graph, oracle = compiled(spec), oracle_of(spec)
    first, *others = (sorted(drive(graph, value, oracle, order(seed)).said) for seed in seeds)
    for other in others:
        assert other == first


@examples(300)
@given(specs(early=True), VALUES, ORDERS)
def test_early_joins_are_a_function_of_their_recorded_winners(spec: Spec, value: int, seeds: list[int]) -> None:
    graph, oracle = compiled(spec), oracle_of(spec)
    for seed in seeds:
        got = drive(graph, value, oracle, order(seed))
        expected = interpret(graph.definition, value, oracle, got.choices)
        assert_same(expected, got.outcome)


@examples(300)
@given(specs(), VALUES, ORDERS)
def test_what_finishes_before_a_failure_ends_the_run_is_part_of_the_outcome(
    spec: Spec, value: int, seeds: list[int]
) -> None:
    graph, oracle = compiled(spec), oracle_of(spec)
    whole = interpret(graph.definition, value, oracle)
    for seed in seeds:
        got = drive(graph, value, oracle, order(seed), "cancel")
        # a nested graph that failed was cancelled like a run, even if its failure was handled outside or it ran again
        nested = any(record.error == "ScopeFailedError" or "!" in key for key, record in whole.records.items())
        if whole.problems or nested:
            assert_part(whole, got.outcome)
        else:
            assert_same(whole, got.outcome)
