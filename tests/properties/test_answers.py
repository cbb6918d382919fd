"""In whatever order and portions people answer, in this process or the next one, the outcome is the same."""

from __future__ import annotations

from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from loomgraph import END, START, Context, Graph, Workflow
from loomgraph.nodes import Human
from loomgraph.store.memory import MemoryStore


def tree() -> Graph[Any, Any]:
    """Questions at once and one after the other: in a node, in a person, in a map, in a nested graph, in ctx.run."""
    inner = Workflow("inner", input=int, output=str)

    @inner.node
    async def ask(value: int, ctx: Context) -> str:
        return await ctx.ask(f"{value}?", str)

    inner.chain(START, ask, END)
    made = inner.compile()
    wf = Workflow("tree", input=int, output=list[str])

    @wf.node
    async def two(value: int, ctx: Context) -> str:
        first = await ctx.ask("one?", str, key="one")
        return first + await ctx.ask("two?", str, key="two")

    @wf.node
    async def runs(value: int, ctx: Context) -> str:
        return str(await ctx.run(made, value, key="k"))

    @wf.node
    async def items(value: int) -> list[int]:
        return [1, 2]

    @wf.node
    async def joined(values: list[str]) -> str:
        return ",".join(values)

    @wf.node
    async def last(told: list[str]) -> list[str]:
        return told

    human = wf.node(Human("{input}?"), name="person")
    for node in (two, runs, items, human, made):
        wf.edge(START, node)
    async def one(value: int, ctx: Context) -> str:
        return await ctx.ask(f"{value}?", str)

    mapped = wf.map(items, wf.node(one, name="ask"))
    wf.edge(mapped, joined)
    wf.join([two, runs, joined, human, made], into=last)
    wf.edge(last, END)
    return wf.compile()


GRAPH = tree()
IDS = ["ask[0]", "ask[1]", "inner/ask", "person", "runs/@k/ask", "two@one", "two@two"]


@settings(max_examples=25)
@given(st.permutations(IDS), st.lists(st.integers(1, 4), min_size=len(IDS), max_size=len(IDS)), st.booleans())
def test_any_order_and_any_portions_of_answers_give_the_same_outcome(
    order: list[str], portions: list[int], posted: bool
) -> None:
    async def drive() -> None:
        store, left, seen = MemoryStore(), list(order), set[str]()
        result = await GRAPH.run(1, store=store, run_id="t")
        for portion in portions * 2:
            if result.status != "suspended":
                break
            seen |= {question.id for question in result.questions}
            now = [id for id in left if id in {question.id for question in result.questions}][:portion]
            left = [id for id in left if id not in now]
            answers = {id: id.upper() for id in now}
            if posted:
                await GRAPH.answer("t", answers, store=store)
            result = await GRAPH.resume("t", store=store, answers=None if posted else answers)
        assert result.output == ["TWO@ONETWO@TWO", "RUNS/@K/ASK", "ASK[0],ASK[1]", "PERSON", "INNER/ASK"]
        assert seen == set(IDS)

    anyio.run(drive)
