"""From any prefix of the log of a run that asked, waited and stopped, the same answers give the same outcome."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Graph, Retry, Workflow
from loomgraph.runtime.questions import open_questions
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Store
from tests.places import Place
from tests.runtime.rehearsal import cut_short, settled

pytestmark = pytest.mark.anyio


class Approval(BaseModel):
    ok: bool
    note: str


class Office:
    """Questions in a loop, a map of graphs, a graph of ctx.run and a thread; signals; a retry; steps before each."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def graph(self) -> Graph[int, str]:
        wf = Workflow("office", input=int, output=str)
        helper = self._helper()

        @wf.node
        async def grow(value: int, ctx: Context) -> int:
            more = await ctx.step("more", self._step, f"{ctx.key} step:more", 1)
            return value + more + await ctx.ask(f"add to {value}?", int)

        @wf.node
        async def spread(value: int, ctx: Context) -> list[int]:
            self.calls[ctx.key] += 1
            return [value, value + 1]

        @wf.node(retry=Retry(attempts=2, delay=0))
        async def pay(values: list[int], ctx: Context) -> str:
            said: dict[str, str] = {}

            async def consult(key: str) -> None:
                said[key] = await ctx.run(helper, key, key=key)

            async with anyio.create_task_group() as group:
                group.start_soon(consult, "x")
                group.start_soon(consult, "y")
            paid = [await ctx.wait_for("paid", int) for _ in range(2)]
            return f"{said['x']} {said['y']} {paid}"

        @wf.node
        def sign(text: str, ctx: Context) -> str:
            approval = ctx.ask_sync("sign?", Approval, key="name")
            return f"{text} {approval.note if approval.ok else ''}"

        wf.edge(START, grow)
        wf.edge(grow, grow, when=lambda value: value < 6, label="small")
        wf.edge(grow, spread, when=lambda value: value >= 6, label="large")
        mapped = wf.map(spread, self._item())
        wf.edge(mapped, pay)
        wf.edge(pay, sign)
        wf.edge(sign, END)
        return wf.compile()

    def _item(self) -> Graph[int, int]:
        item = Workflow("item", input=int, output=int)

        @item.node(retry=Retry(attempts=3, delay=0))
        async def check(value: int, ctx: Context) -> int:
            said = await ctx.ask(f"is it {value}?", bool)
            await ctx.step("kept", self._step, f"{ctx.key} step:kept", 0)
            if ctx.attempt == 1:
                raise ConnectionError("once")
            return value * 10 if said else value

        item.chain(START, check, END)
        return item.compile()

    def _helper(self) -> Graph[str, str]:
        helper = Workflow("helper", input=str, output=str)

        @helper.node
        async def think(key: str, ctx: Context) -> str:
            self.calls[ctx.key] += 1
            return key.upper()

        @helper.node
        async def ask(key: str, ctx: Context) -> str:
            return f"{key}:{await ctx.ask(f'{key}?', str)}"

        helper.chain(START, think, ask, END)
        return helper.compile()

    async def _step(self, label: str, value: int) -> int:
        self.calls[label] += 1
        return value


def reply(id: str) -> Any:
    """What a person says to each question, always the same."""
    if id.startswith("grow"):
        return 2
    if id.endswith("check"):
        return "[0]" in id
    return Approval(ok=True, note="signed") if id == "sign@name" else f"said {id}"


async def answered(graph: Graph[Any, Any], store: Store, result: Any, name: str) -> Any:
    """Go on until the run has ended, with an answer to all that is open each time."""
    while result.status == "suspended":
        if result.signals:
            for number, value in (("1", 17), ("2", 19)):
                await graph.signal(name, "paid", value, store=store, id=number)
        result = await graph.resume(name, store=store, answers={q.id: reply(q.id) for q in result.questions})
    return result


async def test_a_run_that_asked_goes_on_from_any_prefix_of_its_log(place: Place) -> None:
    kept, office = MemoryStore(), Office()
    graph = office.graph()
    first = await graph.run(0, store=kept, run_id="r")
    reference = await answered(graph, kept, first, "r")
    assert reference.output == "X:said pay/@x/ask Y:said pay/@y/ask [17, 19] signed"
    events = await kept.events("r")
    store, seen = place.store(), {event.kind for event in events}
    assert {"q", "a", "W", "S", "R|"} <= seen
    try:
        for stop in range(1, len(events), {"memory": 1, "sqlite": 13, "postgresql": 29}[place.kind]):
            name = f"r{stop}"
            await cut_short(kept, "r", stop, store, name)
            office.calls.clear()
            result = await answered(graph, store, await graph.resume(name, store=store), name)
            assert result.output == reference.output, f"from the first {stop} events"
            repeated = set(office.calls) & settled(events[:stop])
            assert not repeated, f"from the first {stop} events, {repeated} ran again"
            assert {a.key: a.status for a in result.activations} == {a.key: a.status for a in reference.activations}
            assert await open_questions(store, name) == ()
    finally:
        await store.close()
