"""Claims about the fold, on the pure machine: a log that ends anywhere goes on to the outcome it would have had.

What was left to time is what the log has of it, and then what the rest of the run says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loomgraph.compile.compiled import CompiledGraph
from loomgraph.events import JoinDecided, NodeStarted, NodeSucceeded
from loomgraph.graph.definition import OnFailure
from tests.properties.budget import examples
from tests.properties.compare import assert_same
from tests.properties.drive import Driven, driven, resumed
from tests.properties.outcome import Oracle
from tests.properties.reference import interpret
from tests.properties.strategies import specs
from tests.properties.test_machine import VALUES, compiled, oracle_of, order
from tests.properties.workflows import Link, Part, Spec, answer

SEEDS = st.integers(0, 999)
PLACES = st.floats(0, 1)


def goes_on(graph: CompiledGraph, value: Any, oracle: Oracle, seed: int, place: float, mode: OnFailure) -> None:
    before = driven(graph, value, oracle, order(seed), mode)
    got = resumed(value, before, round(place * len(before.facts)), order(seed + 1))
    assert_same(interpret(graph.definition, value, oracle, got.choices), got.outcome, stopped=mode == "cancel")


@examples(200)
@given(specs(early=True), VALUES, SEEDS, PLACES)
def test_a_run_that_was_killed_goes_on_as_it_would_have(spec: Spec, value: int, seed: int, place: float) -> None:
    goes_on(compiled(spec), value, oracle_of(spec), seed, place, "drain")


@examples(200)
@given(specs(early=True), VALUES, SEEDS, PLACES)
def test_a_run_that_a_failure_ended_goes_on_as_if_it_had_not(spec: Spec, value: int, seed: int, place: float) -> None:
    goes_on(compiled(spec), value, oracle_of(spec), seed, place, "cancel")


def test_what_finishes_while_a_run_ends_decides_the_same_race_when_it_goes_on() -> None:
    """A loop and a node race; another node fails, then the loop ends, then the node: the loop has won, both times."""
    parts = (Part("loop"), Part("node"), Part("bad", fails=6), Part("goal", shape="list", wait=1), Part("after"))
    links = [Link(-1, 0), Link(-1, 1), Link(-1, 2), Link(0, 0, when=()), Link(0, 3, when="otherwise"), Link(1, 3)]
    spec = Spec("race", parts, (*links, Link(2, 4), Link(3, -2), Link(4, -2)), end="list")
    graph, oracle = compiled(spec), oracle_of(spec)
    script = iter([2, 0, 0, 0, 0])  # bad; loop, which finishes all the same; node, which does too
    before = driven(graph, 3, oracle, lambda _: next(script), "cancel")
    winners = [fields for kind, _, fields, _ in before.facts if kind is JoinDecided]
    assert [graph.definition.edges[e].source for (won,) in winners for e in won] == [0]
    assert [key for kind, key, *_ in before.facts if kind is NodeStarted] == ["loop#0", "node", "bad"]
    mended = Driven(graph, lambda call: answer(replace(parts[2], fails=0), call), order(0), "drain")
    mended.resume(3, before, len(before.facts))
    starts = [(key, fields[1]) for kind, key, fields, _ in mended.facts if kind is NodeStarted]
    loop = next(fields[1] for kind, key, fields, _ in before.facts if (kind, key) == (NodeSucceeded, "loop#0"))
    assert ("goal", loop) in starts
    assert sum(kind is JoinDecided for kind, *_ in mended.facts) == 1
