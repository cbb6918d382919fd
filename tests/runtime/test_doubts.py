"""Claims about effects in doubt: asked as a durable question, answered with another try or with what came of it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Graph, Workflow
from loomgraph.errors import InDoubtError, InvalidAnswerError
from loomgraph.runtime.questions import answer, open_questions
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Store
from tests.runtime.rehearsal import cut_short

pytestmark = pytest.mark.anyio


class Receipt(BaseModel):
    number: int


class Shop:
    """A node that pays once, with a node before and after; `paid` counts."""

    def __init__(self) -> None:
        self.paid: list[int] = []

    def graph(self) -> Graph[int, str]:
        wf = Workflow("shop", input=int, output=str)

        @wf.node
        async def price(value: int) -> int:
            return value * 2

        @wf.node(effect="once")
        async def pay(value: int) -> Receipt:
            self.paid.append(value)
            return Receipt(number=len(self.paid))

        @wf.node
        async def tell(receipt: Receipt) -> str:
            return f"receipt {receipt.number}"

        wf.chain(START, price, pay, tell, END)
        return wf.compile()


async def in_the_middle(graph: Graph[Any, Any], value: Any, key: str) -> Store:
    """A store as a process left it that was killed when `key` had begun."""
    kept = MemoryStore()
    await graph.run(value, store=kept, run_id="t")
    events = await kept.events("t")
    began = next(event.seq for event in events if event.kind == "s" and event.key == key)
    return await cut_short(kept, "t", began + 1)


async def test_the_doubt_is_a_question_and_rerun_runs_it_again() -> None:
    shop = Shop()
    graph = shop.graph()
    store = await in_the_middle(graph, 5, "pay")
    with pytest.raises(InDoubtError):
        await graph.resume("t", store=store)
    result = await graph.resume("t", store=store, in_doubt="ask")
    [question] = result.questions
    assert (question.id, question.key, result.status) == ("pay@doubt#1", "pay", "suspended")
    assert "had begun when its process died" in question.question
    assert shop.paid == [10]
    done = await graph.resume("t", store=store, answers={"pay@doubt#1": "rerun"})
    assert (done.output, shop.paid) == ("receipt 2", [10, 10])


@pytest.mark.parametrize("given", [{"output": {"number": 7}}, {"output": Receipt(number=7)}])
async def test_what_came_of_it_is_taken_as_its_output_and_it_does_not_run(given: Any) -> None:
    shop = Shop()
    graph = shop.graph()
    store = await in_the_middle(graph, 5, "pay")
    await graph.resume("t", store=store, in_doubt="ask")
    done = await graph.resume("t", store=store, answers={"pay@doubt#1": given})
    assert (done.output, shop.paid) == ("receipt 7", [10])
    assert [a.output for a in done.activations if a.key == "pay"] == [Receipt(number=7)]
    assert (await graph.resume("t", store=store)).output == "receipt 7"


@pytest.mark.parametrize("wrong", ["again", {"output": {"number": "seven"}}, {"out": 1}, 7])
async def test_any_other_answer_is_refused_and_the_doubt_stays(wrong: Any) -> None:
    shop = Shop()
    graph = shop.graph()
    store = await in_the_middle(graph, 5, "pay")
    await graph.resume("t", store=store, in_doubt="ask")
    with pytest.raises(InvalidAnswerError):
        await graph.resume("t", store=store, answers={"pay@doubt#1": wrong})
    assert [question.id for question in await open_questions(store, "t")] == ["pay@doubt#1"]
    assert shop.paid == [10]


@pytest.mark.parametrize("given", ["rerun", {"output": {"number": 7}}])
async def test_from_every_prefix_the_doubt_and_its_answer_go_on_alike(given: Any) -> None:
    shop = Shop()
    graph = shop.graph()
    store = await in_the_middle(graph, 5, "pay")
    await graph.resume("t", store=store, in_doubt="ask")
    await answer(store, "t", {"pay@doubt#1": given})
    done = await graph.resume("t", store=store)
    events = await store.events("t")
    asked = next(event.seq for event in events if event.kind == "q")
    for stop in range(asked + 1, len(events)):
        cut = await cut_short(store, "t", stop)
        begun = len(shop.paid)
        result = await graph.resume("t", store=cut, in_doubt="ask")
        if result.status == "suspended":
            [question] = result.questions
            result = await graph.resume("t", store=cut, answers={question.id: given})
        if given == "rerun":
            assert result.output.startswith("receipt")
            assert len(shop.paid) - begun <= 1
        else:
            assert (result.output, len(shop.paid)) == (done.output, begun), stop


async def test_a_second_crash_is_a_second_doubt() -> None:
    shop = Shop()
    graph = shop.graph()
    store = await in_the_middle(graph, 5, "pay")
    await graph.resume("t", store=store, in_doubt="ask")
    await graph.resume("t", store=store, answers={"pay@doubt#1": "rerun"})
    events = await store.events("t")
    again = [event.seq for event in events if event.kind == "s" and event.key == "pay"][-1]
    cut = await cut_short(store, "t", again + 1)
    result = await graph.resume("t", store=cut, in_doubt="ask")
    assert [question.id for question in result.questions] == ["pay@doubt#2"]
    done = await graph.resume("t", store=cut, answers={"pay@doubt#2": {"output": {"number": 9}}})
    assert done.output == "receipt 9"


async def test_an_effect_inside_a_graph_of_ctx_run_is_doubted_too() -> None:
    shop = Shop()
    inner, wf = shop.graph(), Workflow("outer", input=int, output=str)

    @wf.node
    async def buy(value: int, ctx: Context) -> str:
        return str(await ctx.run(inner, value, key="shop"))

    wf.chain(START, buy, END)
    graph = wf.compile()
    store = await in_the_middle(graph, 5, "buy/@shop/pay")
    result = await graph.resume("t", store=store, in_doubt="ask")
    assert [question.id for question in result.questions] == ["buy/@shop/pay@doubt#1"]
    done = await graph.resume("t", store=store, answers={"buy/@shop/pay@doubt#1": {"output": Receipt(number=3)}})
    assert (done.output, shop.paid) == ("receipt 3", [10])


async def test_a_node_that_asked_is_not_in_doubt_for_its_attempt_had_ended() -> None:
    wf, calls = Workflow("careful", input=int, output=str), list[str]()

    @wf.node(effect="once")
    async def pay(value: int, ctx: Context) -> str:
        said = await ctx.ask("really?", str)
        calls.append(said)
        return said

    wf.chain(START, pay, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(1, store=store, run_id="t")
    events = await store.events("t")
    for stop in range(next(e.seq for e in events if e.kind == "q") + 1, len(events) + 1):
        cut = await cut_short(store, "t", stop)
        assert (await graph.resume("t", store=cut)).status == "suspended"
    assert (await graph.resume("t", store=store, answers={"pay": "yes"})).output == "yes"
    assert calls == ["yes"]
