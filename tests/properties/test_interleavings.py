"""Claims about the real engine, on both event loops: whatever finishes first, the outcome is that of the reference.

Every async node of a random workflow waits at a turnstile, which lets them go one by one in an order that is drawn.
"""

from __future__ import annotations

import random
from typing import Any

import anyio
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loomgraph import Context, Graph, RunError
from loomgraph.compile.compiled import compile_definition
from loomgraph.errors import CompileError
from loomgraph.graph.builder import Builder
from loomgraph.testing.interleave import Turnstile
from tests.properties.budget import examples
from tests.properties.compare import assert_same
from tests.properties.drive import Drive, seen
from tests.properties.outcome import Call, Choices, Outcome
from tests.properties.reference import interpret
from tests.properties.strategies import specs
from tests.properties.workflows import Spec, answer, build, parts

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
VALUES = st.integers(0, 20)
LIMITS = st.sampled_from([None, None, 1, 2])
ORDERS = st.lists(st.integers(0, 999), min_size=2, max_size=3, unique=True)


class Gate:
    """What the nodes of a compiled workflow wait at: the turnstile of the run at hand, or nothing."""

    def __init__(self) -> None:
        self.turnstile: Turnstile | None = None

    async def __call__(self, ctx: Context) -> None:
        if self.turnstile is not None:
            await self.turnstile.turn(ctx.key)


def compiled(spec: Spec, gate: Gate) -> Graph[Any, Any]:
    def embedded(nested: Builder) -> Graph[Any, Any]:
        return Graph(compile_definition(nested.define()))

    try:
        return embedded(build(spec, gate, embedded))
    except CompileError:
        assume(False)
        raise


def expected(spec: Spec, graph: Graph[Any, Any], value: int, choices: Choices | None = None) -> Outcome:
    table = parts(spec)

    def oracle(call: Call) -> Any:
        return answer(table[call.name], call)

    return interpret(graph.definition, value, oracle, choices)


def run(
    backend: str, graph: Graph[Any, Any], gate: Gate, value: int, seed: int | None, limit: int | None = None
) -> Drive:
    """One run in the order that the seed chooses, or (None) in the engine's own."""

    async def main() -> tuple[Any, RunError | None]:
        try:
            if seed is None:
                gate.turnstile = None
                return await graph.run(value, run_id="r", on_failure="drain", limit=limit), None
            gate.turnstile = turnstile = Turnstile(random.Random(seed).randrange)
            return await turnstile.drive(lambda: graph.run(value, run_id="r", on_failure="drain", limit=limit)), None
        except RunError as error:
            return error.result, error

    result, error = anyio.run(main, backend=backend)
    return seen(result, error)


@BACKENDS
@examples(80)
@given(specs(), VALUES, ORDERS, LIMITS)
def test_any_interleaving_within_any_limit_gives_the_outcome_of_the_reference(
    backend: str, spec: Spec, value: int, seeds: list[int], limit: int | None
) -> None:
    gate = Gate()
    graph = compiled(spec, gate)
    whole = expected(spec, graph, value)
    runs = [run(backend, graph, gate, value, None), *(run(backend, graph, gate, value, s, limit) for s in seeds)]
    for one in runs:
        assert_same(whole, one.outcome)
        assert sorted(one.said) == sorted(runs[0].said), "the events differ in more than their order and time"


@BACKENDS
@examples(80)
@given(specs(early=True), VALUES, ORDERS)
def test_early_joins_are_a_function_of_their_recorded_winners_on_the_real_engine(
    backend: str, spec: Spec, value: int, seeds: list[int]
) -> None:
    gate = Gate()
    graph = compiled(spec, gate)
    for seed in [None, *seeds]:
        one = run(backend, graph, gate, value, seed)
        assert_same(expected(spec, graph, value, one.choices), one.outcome)
