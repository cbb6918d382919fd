"""Claims about reading a log as it grows, and about reading no more values than that takes."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph import END, START, Workflow
from loomgraph.runtime.following import Following
from loomgraph.runtime.logbook import read_log
from loomgraph.store.memory import MemoryStore
from loomgraph.store.reach import reach


@pytest.mark.anyio
async def test_a_log_that_is_followed_has_every_event_once_and_as_read_log_has_it() -> None:
    wf = Workflow("grows", input=int, output=list[str])

    @wf.node
    async def many(n: int) -> list[str]:
        return [f"a text that is long enough to be a row of its own, number {i}" * 3 for i in range(n)]

    @wf.node
    async def twice(texts: list[str]) -> list[str]:
        return texts + texts

    wf.chain(START, many, twice, END)
    store = MemoryStore()
    await wf.compile().run(30, store=store, run_id="g")
    found: list[Any] = []
    async for header, events in Following(store, "g", poll=0):
        found += events
        if header.status == "succeeded" and len(found) == header.events:
            break
    assert tuple(found) == (await read_log(store, "g")).events


@pytest.mark.anyio
async def test_only_the_values_that_an_event_needs_are_read() -> None:
    wf = Workflow("values", input=int, output=str)

    @wf.node
    async def one(n: int) -> str:
        return "one" * 100

    @wf.node
    async def two(text: str) -> str:
        return "two" * 100

    wf.chain(START, one, two, END)
    store = MemoryStore()
    await wf.compile().run(1, store=store, run_id="v")
    (event,) = [event for event in await store.events("v") if event.key == "two" and event.kind == "+"]
    known: dict[bytes, bytes] = {}
    await reach(store, "v", [event.body], known)
    assert len(known) == 1
    assert b"twotwo" in next(iter(known.values()))


@pytest.mark.anyio
async def test_a_list_that_grew_often_is_read_whole() -> None:
    wf = Workflow("conversation", input=list[str], output=list[str])

    @wf.node
    async def more(said: list[str]) -> list[str]:
        return [*said, f"turn {len(said)} of a conversation that goes on and on and on"]

    wf.edge(START, more)
    wf.edge(more, more, when=lambda said: len(said) < 30, cap=40)
    wf.edge(more, END, when=lambda said: len(said) >= 30)
    store = MemoryStore()
    result = await wf.compile().run([], store=store, run_id="c")
    async for header, events in Following(store, "c", poll=0):
        last: Any = [event for event in events if event.kind == "NodeSucceeded"][-1]
        assert len(events) == header.events
        assert last.output == result.output
        break
