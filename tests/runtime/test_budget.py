"""Claims about budgets: what is not left is refused before it is used, however many ask at once."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from loomgraph import END, START, Context, NodeFailedError, Workflow
from loomgraph.errors import BudgetExceededError, DefinitionError
from loomgraph.graph.budget import Account, Budget
from loomgraph.store.memory import MemoryStore

pytestmark = pytest.mark.anyio


def callers(amount: float, made: list[int], gate: anyio.Event) -> Any:
    """Ten nodes at once that each may use this much."""
    wf = Workflow("callers", input=int, output=list[str])

    @wf.node
    def numbers(n: int) -> list[int]:
        return list(range(n))

    refused: list[int] = []

    @wf.node
    async def call(n: int, ctx: Context) -> str:
        try:
            with ctx.budget.reserve(tokens=amount):
                made.append(n)
                await gate.wait()
                ctx.meter(input_tokens=amount)
                return "made"
        except BudgetExceededError:
            refused.append(n)
            if len(refused) == 9:
                gate.set()
            return "refused"

    wf.edge(START, numbers)
    wf.map(numbers, call)
    wf.edge(call, END)
    return wf.compile()


async def test_of_ten_calls_at_once_that_need_all_of_it_one_is_made() -> None:
    made: list[int] = []
    result = await callers(15, made, anyio.Event()).run(10, budget=Budget(tokens=15))
    assert sorted(result.output) == ["made"] + ["refused"] * 9
    assert len(made) == 1
    assert result.usage.amounts == {"input_tokens": 15}


def spender(amount: float) -> Any:
    wf = Workflow("spender", input=int, output=int)

    @wf.node(version="1")
    async def first(n: int, ctx: Context) -> int:
        with ctx.budget.reserve(cost=amount):
            ctx.meter(cost=amount)
        return n

    @wf.node(version="1")
    async def second(n: int, ctx: Context) -> int:
        with ctx.budget.reserve(cost=amount):
            ctx.meter(cost=amount)
        return n

    wf.chain(START, first, second, END)
    return wf.compile()


async def test_a_refused_call_fails_its_node_and_says_what_is_left_and_a_larger_budget_goes_on() -> None:
    store = MemoryStore()
    with pytest.raises(NodeFailedError) as caught:
        await spender(2).run(1, store=store, run_id="r", budget=Budget(cost=3))
    assert isinstance(caught.value.__cause__, BudgetExceededError)
    assert (
        "the budget 'r' allows cost=3; 2 is used, and this call may use 2. It was not made. Raise the budget and resume"
        in str(caught.value)
    )
    assert caught.value.finished == {"first": 1}
    with pytest.raises(NodeFailedError):  # what was used before counts
        await spender(2).resume("r", store=store, budget=Budget(cost=3.5))
    result = await spender(2).resume("r", store=store, budget=Budget(cost=4))
    assert result.usage.cost == 4


async def test_runs_that_share_an_account_share_what_is_left() -> None:
    account = Budget(cost=5).account("ada")
    await spender(2).run(1, budget=account)
    assert account.spent == {"cost": 4}
    with pytest.raises(NodeFailedError, match=r"the budget 'ada' allows cost=5; 4 is used"):
        await spender(2).run(1, budget=account)
    assert account.left("cost") == 1
    assert account.left("tokens") == float("inf")


async def test_a_reservation_ends_with_its_block_and_what_was_used_counts_even_if_it_is_more() -> None:
    account = Account(Budget(tokens=10))
    with account.reserve(input_tokens=3, output_tokens=4):
        assert account.left("tokens") == 3
        account.spend({"output_tokens": 12})
    assert account.left("tokens") == 0
    with pytest.raises(BudgetExceededError), account.reserve(tokens=1):
        pass
    with account.reserve(cost=100):  # not limited
        pass


def test_a_limit_is_a_finite_number_of_at_least_zero() -> None:
    with pytest.raises(DefinitionError, match=r"Budget\(cost=-1\)"):
        Budget(cost=-1)
    assert repr(Budget(cost=2.5, tokens=100)) == "Budget(cost=2.5, tokens=100)"
