"""Claims about budgets of agents and of users: refused before the call, over runs, lives and processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from loomgraph import END, START, Agent, Budget, Context, NodeFailedError, UserBudget, Workflow
from loomgraph.errors import BudgetExceededError, DeadlineError, DefinitionError
from loomgraph.models import (
    EchoModel,
    FallbackModel,
    ModelRequest,
    Price,
    Priced,
    RateLimited,
    ScriptedModel,
    StreamEvent,
    Usage,
)
from loomgraph.runtime.purse import spent_by_user
from loomgraph.store.memory import MemoryStore
from loomgraph.store.opening import open_store
from loomgraph.store.protocol import StoredEvent
from loomgraph.testing.models import ModelBench, check_model
from tests.nodes import spending_agents
from tests.places import Place

pytestmark = pytest.mark.anyio

TOKEN = Price(input=0, output=1_000_000)  # 1 a token


class Gated(ScriptedModel):
    """Answers once the gate is open."""

    def __init__(self, gate: anyio.Event) -> None:
        super().__init__(["Done."] * 10, usage=Usage(output_tokens=15))
        self.gate = gate

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        await self.gate.wait()
        async for event in super().stream(request):
            yield event


@pytest.mark.parametrize("limit", ["cost", "output_tokens"])
async def test_of_ten_parallel_agents_that_need_all_of_a_budget_one_runs_and_nine_are_refused(limit: str) -> None:
    gate = anyio.Event()
    model = Gated(gate)
    agent = Agent("spender", Priced(model, TOKEN), max_tokens=15)
    refused: list[Any] = []
    account = Budget(**{limit: 15}).account("all")

    async def spend() -> None:
        try:
            await agent.run("Spend.", budget=account)
        except NodeFailedError as error:
            refused.append(error.__cause__)
            if len(refused) == 9:
                gate.set()

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(spend)
    assert len(model.requests) == 1
    assert {type(error) for error in refused} == {BudgetExceededError}
    assert {(error.name, error.limit, error.reserved) for error in refused} == {(limit, 15, 15)}
    assert account.spent == {limit: 15}


async def test_the_agents_of_one_run_share_its_budget_and_what_each_node_used_is_told() -> None:
    gate = anyio.Event()
    gate.set()
    agent = Agent("spender", Priced(Gated(gate), TOKEN), max_tokens=15)
    wf = Workflow("team", input=list[str], output=list[str])
    wf.node(lambda_split, name="split")
    wf.edge(START, "split")
    wf.map("split", wf.node(agent, name="each"), limit=1)
    wf.edge("each", END)
    graph = wf.compile()
    result = await graph.run(["a", "b"], budget=Budget(cost=30))
    assert result.usage.cost == 30
    per_node = {path: usage.cost for path, usage in result.usage_by_node.items() if usage.cost}
    assert per_node == {"each/model": 30}
    assert result.usage_by_node["each/model"].model_calls == 2
    with pytest.raises(NodeFailedError, match="allows cost=29"):
        await graph.run(["a", "b"], budget=Budget(cost=29))


def lambda_split(names: list[str]) -> list[str]:
    return names


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_a_users_budget_is_one_over_processes(tmp_path: Path) -> None:
    command = [sys.executable, spending_agents.__file__, str(tmp_path)]
    words: list[str] = []
    gate = anyio.Event()

    def heard(word: str) -> None:
        words.append(word)
        if len(words) == 10:
            gate.set()

    async def listen() -> None:
        assert process.stdout is not None
        while line := await anyio.to_thread.run_sync(process.stdout.readline):
            heard(line.strip())

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        async with open_store(f"sqlite:{tmp_path / 'runs.db'}") as store, anyio.create_task_group() as group:
            group.start_soon(listen)
            group.start_soon(spending_agents.spend, store, heard, gate.wait)
            await gate.wait()
            process.stdin.close()
    assert process.returncode == 0
    assert sorted(words) == ["called"] + ["refused"] * 9


def spender(amount: float) -> Any:
    wf = Workflow("spender", input=int, output=int)

    @wf.node(version="1")
    async def first(n: int, ctx: Context) -> int:
        async with ctx.reserve(cost=amount):
            ctx.meter(cost=amount)
        return n

    @wf.node(version="1")
    async def second(n: int, ctx: Context) -> int:
        async with ctx.reserve(cost=amount):
            ctx.meter(cost=amount)
        return n

    wf.chain(START, first, second, END)
    return wf.compile()


async def test_a_users_account_is_kept_in_the_store_over_runs_resumes_and_forks(place: Place) -> None:
    async with place.store() as store:
        given: Any = {"store": store, "user_id": "ada"}
        await spender(2).run(1, user_budget=UserBudget(cost=7), **given)
        assert await spent_by_user(store, "ada") == {"cost": 4}
        with pytest.raises(
            NodeFailedError, match=r"the budget 'ada' allows cost=7; 6 is used, and this call may use 2"
        ):
            await spender(2).run(1, run_id="r", user_budget=UserBudget(cost=7), **given)
        await spender(2).run(1, store=store, user_id="bob", user_budget=UserBudget(cost=7))
        with pytest.raises(NodeFailedError):
            await spender(2).resume("r", store=store, user_budget=UserBudget(cost=7))
        await spender(2).resume("r", store=store, user_budget=UserBudget(cost=8))
        assert await spent_by_user(store, "ada") == {"cost": 8}
        fork = await spender(2).fork("r", store=store, at="first")
        await spender(2).resume(fork, store=store, user_budget=UserBudget(cost=10))
        assert await spent_by_user(store, "ada") == {"cost": 10}  # what it copied was paid by the run it is a fork of
        await spender(2).run(1, user_budget=UserBudget("2026-12", cost=4), **given)
        assert await spent_by_user(store, "ada", "2026-12") == {"cost": 4}
        assert await spent_by_user(store, "ada") == {"cost": 10}


async def test_what_a_crashed_run_held_is_free_once_it_goes_on() -> None:
    class Died(BaseException):
        pass

    wf = Workflow("dies", input=int, output=int)
    broken = [True]

    @wf.node(version="1")
    async def call(n: int, ctx: Context) -> int:
        async with ctx.reserve(cost=5):
            if broken[0]:
                raise Died
            ctx.meter(cost=5)
        return n

    class Losing(MemoryStore):
        """As if the process had been killed: nothing is written any more once it dies."""

        async def post(self, run_id: str, id: str, kind: str, data: bytes) -> bool:
            return not (broken[0] and kind == "used" and b'"done":["' in data) and await super().post(
                run_id, id, kind, data
            )

    wf.chain(START, call, END)
    graph, store = wf.compile(), Losing()
    budget: Any = UserBudget(cost=5)
    with pytest.raises(Died):
        await graph.run(1, store=store, run_id="r", user_id="ada", user_budget=budget)
    broken[0] = False
    with pytest.raises(NodeFailedError, match="5 of it held by calls under way"):
        await graph.run(1, store=store, user_id="ada", user_budget=budget)
    assert (await graph.resume("r", store=store, user_budget=budget)).output == 1
    assert await spent_by_user(store, "ada") == {"cost": 5}


async def test_a_users_budget_needs_a_user_and_a_store_and_a_budget_of_cost_needs_a_price() -> None:
    with pytest.raises(DefinitionError, match=r"run\(user_budget=UserBudget\(cost=1\)\) needs store="):
        await spender(1).run(1, user_id="ada", user_budget=UserBudget(cost=1))
    with pytest.raises(DefinitionError, match=r"needs user_id="):
        await spender(1).run(1, store=MemoryStore(), user_budget=UserBudget("x", cost=1))
    with pytest.raises(NodeFailedError, match="nobody said what echo costs"):
        await Agent("a", "echo").run("x", budget=Budget(cost=1))


async def test_a_budget_of_seconds_ends_a_run_and_counts_its_earlier_lives() -> None:
    wf = Workflow("slow", input=int, output=int)

    @wf.node(version="1")
    async def quick(n: int) -> int:
        return n

    @wf.node(version="1")
    async def forever(n: int) -> int:
        await anyio.sleep_forever()
        return n

    wf.chain(START, quick, forever, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(DeadlineError, match=r"that its budget had left\. Raise the budget and resume"):
        await graph.run(1, store=store, run_id="r", budget=Budget(seconds=0.02))
    with pytest.raises(DeadlineError) as caught:
        await graph.resume("r", store=store, budget=Budget(seconds=0.02))
    assert caught.value.seconds < 0.02
    account = Budget(seconds=0.02).account("shared")
    with pytest.raises(DeadlineError):
        await graph.run(1, budget=account)
    assert account.left("seconds") == 0
    with pytest.raises(DeadlineError, match=r"within its deadline of 0\.01 s"):
        await graph.run(1, budget=Budget(seconds=5), deadline=0.01)


async def test_a_table_of_prices_gives_each_answer_its_cost_and_the_dearest_is_reckoned_with() -> None:
    usage = Usage(input_tokens=10, output_tokens=5)
    model = FallbackModel([ScriptedModel([OSErrorLike()], name="a:big"), ScriptedModel(["x"], name="b", usage=usage)])
    priced = Priced(model, {"a:*": Price(input=2, output=3), "b": Price(input=1_000_000, output=2_000_000)})
    response = await priced.generate(ModelRequest(messages=()))
    assert response.usage is not None
    assert response.usage.cost == 10 + 10
    assert priced.price == Price(input=1_000_000, output=2_000_000, cached=1_000_000, cache_write=1_000_000)
    unknown = Priced(ScriptedModel(["x"], name="c", usage=usage), {"b": TOKEN})
    answer = await unknown.generate(ModelRequest(messages=()))
    assert answer.usage == usage
    both = FallbackModel([Priced(EchoModel(), TOKEN), Priced(EchoModel(), Price(input=1, output=2))])
    assert RateLimited(both, concurrency=1).price == Price(input=1, output=1_000_000, cached=1, cache_write=1)
    assert FallbackModel([EchoModel(), Priced(EchoModel(), TOKEN)]).price is None
    await check_model(ModelBench(lambda: Priced(EchoModel(), TOKEN), tools=False, output=False))


def OSErrorLike() -> Exception:
    from loomgraph.errors import ModelServerError

    return ModelServerError("a:big")


async def test_seconds_are_counted_while_a_run_runs_and_not_while_it_waits_for_somebody() -> None:
    wf = Workflow("asks", input=int, output=int)

    @wf.node(version="1")
    async def ask(n: int, ctx: Context) -> int:
        return await ctx.ask("How many?", int, key="first") + await ctx.ask("And then?", int, key="then")

    wf.chain(START, ask, END)
    graph, store = wf.compile(), Earlier()
    minute: Any = {"store": store, "budget": Budget(seconds=60)}
    asked = await graph.run(1, run_id="r", **minute)
    asked = await graph.resume("r", answers={asked.questions[0].id: 7}, **minute)
    resumed = next(seq for seq, event in enumerate(asked.events) if event.kind == "RunResumed")
    store.before = resumed  # an hour went by until somebody answered
    assert (await graph.resume("r", answers={asked.questions[0].id: 7}, **minute)).output == 14
    store.before = resumed + 1  # an hour went by in the run itself
    fork = await graph.fork("r", store=store, at=len(asked.events) - 1)
    with pytest.raises(DeadlineError):
        await graph.resume(fork, answers={asked.questions[0].id: 7}, **minute)


class Earlier(MemoryStore):
    """A store whose first events, so many of them, were written an hour earlier."""

    before = 0

    async def events(self, run_id: str, start: int = 0, stop: int | None = None) -> list[StoredEvent]:
        found = await super().events(run_id, start, stop)
        return [event._replace(time=event.time - 3600.0) if event.seq < self.before else event for event in found]
