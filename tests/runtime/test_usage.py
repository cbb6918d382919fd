"""Claims about what is counted: once, by whom, also for attempts that fail and runs that are resumed."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph import END, START, Context, NodeFailedError, Retry, Workflow
from loomgraph.errors import DefinitionError
from loomgraph.events import Metered
from loomgraph.store.memory import MemoryStore


def inner() -> Workflow[int, int]:
    wf = Workflow("inner", input=int, output=int)

    @wf.node
    def spend(n: int, ctx: Context) -> int:
        ctx.meter(input_tokens=n, cost=0.5)
        return n

    wf.chain(START, spend, END)
    return wf


def outer(fail_at: int = 0) -> Workflow[int, int]:
    wf = Workflow("outer", input=int, output=int)
    graph = inner().compile()

    @wf.node
    async def plan(n: int, ctx: Context) -> list[int]:
        ctx.meter(model_calls=1, input_tokens=100)
        ctx.meter(model_calls=1, output_tokens=7)
        return list(range(n))

    each = wf.node(graph, name="each")

    @wf.node(retry=Retry(attempts=3, delay=0))
    async def total(numbers: list[int], ctx: Context) -> int:
        ctx.meter(pages=2)
        if ctx.attempt < fail_at:
            raise ConnectionError("again")
        return sum(numbers)

    wf.edge(START, plan)
    wf.map(plan, each)
    wf.chain(each, total, END)
    return wf


@pytest.mark.anyio
async def test_amounts_add_up_over_nodes_items_nested_graphs_and_attempts() -> None:
    result = await outer(fail_at=3).compile().run(4)
    usage = result.usage
    assert usage.amounts == {"model_calls": 2, "input_tokens": 106, "output_tokens": 7, "cost": 2.0, "pages": 6}
    assert (usage.model_calls, usage.input_tokens, usage.output_tokens, usage.cost) == (2, 106, 7, 2.0)
    [plan] = result.node("plan")
    assert plan.amounts == {"model_calls": 2, "input_tokens": 100, "output_tokens": 7}
    assert [record.amounts["input_tokens"] for record in result.node("spend")] == [0, 1, 2, 3]
    assert sum(isinstance(event, Metered) for event in result.events) == 9


@pytest.mark.anyio
async def test_what_a_failed_run_used_is_counted_too_and_once_over_resumes() -> None:
    store = MemoryStore()
    graph = outer(fail_at=99).compile()
    with pytest.raises(NodeFailedError) as caught:
        await graph.run(2, store=store, run_id="r")
    failed: Any = caught.value
    assert failed.result.usage.amounts["pages"] == 6
    with pytest.raises(NodeFailedError):
        await graph.resume("r", store=store)
    replayed = await graph.replay("r", store=store)
    assert replayed.usage.amounts["pages"] == 12
    assert replayed.usage.model_calls == 2


@pytest.mark.anyio
@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf"), "3", True])
async def test_an_amount_is_a_finite_number_of_at_least_zero(amount: Any) -> None:
    wf = Workflow("bad", input=int, output=int)

    @wf.node
    async def node(n: int, ctx: Context) -> int:
        ctx.meter(tokens=amount)
        return n

    wf.chain(START, node, END)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(1)
    assert isinstance(caught.value.__cause__, DefinitionError)
    assert "an amount is a finite number of at least 0" in str(caught.value)
