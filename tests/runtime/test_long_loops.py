"""Claims about loops of many iterations: what they keep of each."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from loomgraph import END, OTHERWISE, START, Graph, RunResult, Workflow
from loomgraph.engine.activation import Activation
from loomgraph.errors import Failure

ROUNDS = 200


async def add(value: int) -> int:
    return value + 1


def _kept() -> int:
    gc.collect()
    found: list[Any] = gc.get_objects()
    return sum(type(each) is Activation for each in found)


async def _long() -> tuple[Graph[int, int], RunResult[int]]:
    wf = Workflow("long", input=int, output=int)
    step = wf.node(add, name="step")
    wf.edge(START, step)
    wf.edge(step, step, when=lambda x: x % ROUNDS != 0, cap=ROUNDS)
    wf.edge(step, END, when=OTHERWISE)
    graph = wf.compile()
    return graph, await graph.run(0)


@pytest.mark.anyio
async def test_a_long_loop_keeps_one_activation_an_iteration() -> None:
    before = _kept()
    _, result = await _long()
    assert result.output == ROUNDS
    assert _kept() - before <= ROUNDS + 1  # and what the end of the loop is about


@pytest.mark.anyio
async def test_an_inner_loop_that_begins_anew_is_in_its_own_iteration() -> None:
    """The inner header fails in its second iteration; the outer loop goes round, and the inner one begins at zero."""

    async def flaky(value: int) -> int:
        if value == 1:
            raise ValueError(value)
        return value + 1

    async def mend(failure: Failure) -> int:
        return 9

    wf = Workflow("nested", input=int, output=int)
    outer, inner, mended = wf.node(add, name="outer"), wf.node(flaky, name="inner"), wf.node(mend)
    wf.chain(START, outer, inner)
    wf.edge(inner, inner, when=lambda x: x < 3, cap=5)
    wf.edge(inner, END, when=OTHERWISE)
    wf.on_error(inner, mended)
    wf.edge(mended, outer, cap=3)
    result = await wf.compile().run(-1)
    assert result.output == 11
    assert [a.key for a in result.activations if a.node == "inner"] == ["inner#0.0", "inner#0.1", "inner#1.0"]
