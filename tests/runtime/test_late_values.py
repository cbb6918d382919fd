"""Going on with a run reads what is left to do, not what is behind it."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph import END, OTHERWISE, START, Context, Graph, Quorum, Workflow
from loomgraph.errors import ValueMissingError
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Batch, StoredValue
from loomgraph.store.sqlite import SQLiteStore
from tests.runtime.rehearsal import cut_short

pytestmark = pytest.mark.anyio


class Page(BaseModel):
    """A value too long to stand in its event."""

    text: str
    marks: list[int] = []


def _page(text: str) -> Page:
    return Page(text=text.ljust(200, "."))


def _everything(calls: list[str]) -> Graph[Page, Page]:
    """Pages through joins by name and as lists, a map of graphs, an early join, a held exit, a graph run by a node."""
    inner = Workflow("inner", input=Page, output=Page)

    @inner.node
    async def stamp(page: Page) -> Page:
        calls.append("stamp")
        return page.model_copy(update={"marks": [*page.marks, 1]})

    @inner.node
    async def seal(page: Page) -> Page:
        calls.append("seal")
        return page.model_copy(update={"marks": [*page.marks, 2]})

    inner.chain(START, stamp, seal, END)
    made = inner.compile()
    wf = Workflow("everything", input=Page, output=Page)

    @wf.node
    async def draft(page: Page) -> Page:
        calls.append("draft")
        return page.model_copy(update={"marks": [*page.marks, 0]})

    @wf.node
    async def keep(page: Page) -> Page:
        return page

    @wf.node
    async def split(page: Page) -> list[Page]:
        return [page, _page("two"), _page("three")]

    @wf.node
    async def aside(page: Page, ctx: Context) -> Page:
        given: Page = await ctx.run(made, page, key="side")
        return given

    @wf.node
    async def fast(page: Page) -> Page:
        return _page(f"fast after {len(page.marks)}")

    @wf.node
    async def slow(page: Page) -> Page:
        return _page("slow")

    @wf.node
    async def either(pages: list[Page]) -> Page:
        return pages[0]

    @wf.node
    async def bind(pieces: list[Page], side: Page, quick: Page) -> Page:
        calls.append("bind")
        return _page(f"{[piece.marks for piece in pieces]} {side.marks} {quick.text.strip('.')}")

    wf.edge(START, draft)
    wf.edge(draft, draft, when=lambda page: len(page.marks) < 3)
    wf.edge(draft, keep, when=OTHERWISE)
    for node in (split, aside, fast, slow):
        wf.edge(keep, node)
    wf.join([fast, slow], into=either, wait=Quorum(2))
    wf.join({"pieces": wf.map(split, made), "side": aside, "quick": either}, into=bind)
    wf.edge(bind, END)
    return wf.compile()


async def test_long_values_in_joins_maps_loops_and_nested_graphs_are_there_when_a_run_goes_on() -> None:
    calls: list[str] = []
    graph, kept = _everything(calls), MemoryStore()
    reference = await graph.run(_page("one"), store=kept, run_id="r")
    assert reference.output.text.startswith("[[0, 0, 0, 1, 2], [1, 2], [1, 2]] [0, 0, 0, 1, 2] fast after 3")
    whole = {a.key: (a.status, a.input, a.output) for a in reference.activations}
    for stop in range(1, len(await kept.events("r"))):
        store = await cut_short(kept, "r", stop)
        result = await graph.resume("r", store=store)
        assert result.output == reference.output, f"from the first {stop} events"
        # of graphs that ctx.run had ended, inputs and types are not known again
        assert {a.key: (a.status, a.input, a.output) for a in result.activations if "/@" not in a.key} == {
            key: value for key, value in whole.items() if "/@" not in key
        }, f"from the first {stop} events"


def _chain(length: int, calls: list[str]) -> Graph[str, str]:
    wf = Workflow("chain", input=str, output=str)

    def step(i: int) -> Any:
        async def longer(text: str) -> str:
            calls.append(f"n{i}")
            return f"{i} ".ljust(300, text[-1])

        return wf.node(longer, name=f"n{i}")

    wf.chain(START, *(step(i) for i in range(length)), END)
    return wf.compile()


async def test_a_value_that_nobody_needs_any_more_is_not_read() -> None:
    calls: list[str] = []
    graph, kept = _chain(20, calls), MemoryStore()
    await graph.run("x", store=kept, run_id="r")
    events = await kept.events("r", 0, 21)
    assert (events[-1].kind, events[-1].key) == ("+", "n9")
    last = bytes.fromhex(events[-1].body.decode().split('"')[3])
    values = await kept.values(await kept.digests("r"))
    store = MemoryStore()
    header = await kept.load("r")
    some = [StoredValue(digest, data) for digest, data in values.items() if digest == last]
    await store.release(await store.create(header, Batch(events, some), owner="killed", ttl=60))
    calls.clear()
    result = await graph.resume("r", store=store)
    assert calls == [f"n{i}" for i in range(10, 20)]
    assert result.output == (await graph.run("x")).output
    with pytest.raises(ValueMissingError):
        _ = result.activations


class _Counted:
    """A store that counts calls by name."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.calls: collections.Counter[str] = collections.Counter()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self.inner, name)


async def test_going_on_asks_the_store_as_often_behind_many_nodes_as_behind_few(tmp_path: Path) -> None:
    asked: list[collections.Counter[str]] = []
    for length in (4, 300):
        graph = _chain(length, [])
        async with SQLiteStore(tmp_path / f"{length}.db") as inner:
            await graph.run("x", store=inner, run_id="whole")
            stop = len(await inner.events("whole")) - 2
            await cut_short(inner, "whole", stop, inner, "cut")
            store: Any = _Counted(inner)
            await graph.resume("cut", store=store)
            asked.append(store.calls)
    assert asked[0] == asked[1]
    assert asked[0].total() < 12, asked[0]
