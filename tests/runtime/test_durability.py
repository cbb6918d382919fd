"""Claims about `durability=`: what is in the store when, and what waits for it."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import anyio
import anyio.lowlevel
import pytest

from loomgraph import END, OTHERWISE, START, Graph, Workflow
from loomgraph.runtime import durable
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Batch, Lease
from tests.runtime.graphs import chain

STEPS = 500
PATIENCE = 30.0  # seconds, for a test that would wait forever


class Counted(MemoryStore):
    """Counts its writes. While it is shut, none of them gets through; one may be told to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.stored = 0
        self.fails_after = 10**9
        self.open = anyio.Event()
        self.open.set()

    async def append(self, lease: Lease, batch: Batch) -> None:
        await self.open.wait()
        self.writes += 1
        self.stored += len(batch.events)
        if self.writes > self.fails_after:
            raise OSError(28, "No space left on device")
        await super().append(lease, batch)


async def add(value: int) -> int:
    return value + 1


async def _kept(store: MemoryStore, kind: str) -> list[str]:
    return [event.key for event in await store.events("r") if event.kind == kind]


def _looking(store: MemoryStore, effect: Literal["once", "repeat"]) -> tuple[Graph[int, int], list[str]]:
    """A step, and a node that asks the store what it has of the run: the keys of those that began."""
    seen: list[str] = []

    async def look(value: int) -> int:
        seen.extend(await _kept(store, "s"))
        return value

    wf = Workflow("looking", input=int, output=int)
    wf.chain(START, wf.node(add), wf.node(look, effect=effect), END)
    return wf.compile(), seen


def _rounds(step: Any = add) -> Graph[int, int]:
    wf = Workflow("rounds", input=int, output=int)
    node = wf.node(step, name="step")
    wf.edge(START, node)
    wf.edge(node, node, when=lambda x: x < STEPS, cap=STEPS)
    wf.edge(node, END, when=OTHERWISE)
    return wf.compile()


@pytest.mark.anyio
async def test_a_run_in_batch_writes_while_it_goes_on_and_does_not_wait_for_each_write() -> None:
    store = Counted()
    result = await _rounds().run(0, store=store, durability="batch")
    assert result.output == STEPS
    assert store.stored == len(result.events) - 1  # the first one is written as the run is made
    assert 1 < store.writes < STEPS / 4


@pytest.mark.anyio
@pytest.mark.parametrize("durability", ["batch", "exit"])
async def test_that_a_node_with_an_effect_begins_is_in_the_store_before_it_does(durability: Any) -> None:
    store = MemoryStore()
    graph, seen = _looking(store, "once")
    await graph.run(0, store=store, run_id="r", durability=durability)
    assert seen == ["add", "look"]


@pytest.mark.anyio
async def test_other_nodes_do_not_wait_for_the_store_in_exit() -> None:
    store = MemoryStore()
    graph, seen = _looking(store, "repeat")
    await graph.run(0, store=store, run_id="r", durability="exit")
    assert seen == []


@pytest.mark.anyio
async def test_what_finished_before_a_long_node_is_written_while_that_runs() -> None:
    store = MemoryStore()

    async def long(value: int) -> int:
        with anyio.fail_after(PATIENCE):
            while not await _kept(store, "+"):
                await anyio.lowlevel.checkpoint()
        return value

    assert (await chain(add, long).run(0, store=store, run_id="r", durability="batch")).output == 1


@pytest.mark.anyio
async def test_a_log_that_cannot_be_written_ends_a_run_in_batch_though_its_node_waits() -> None:
    store = Counted()
    store.fails_after = 0

    async def forever(value: int) -> int:
        await anyio.sleep_forever()
        return value

    with anyio.fail_after(PATIENCE), pytest.raises(OSError, match="No space left"):
        await chain(add, forever).run(0, store=store, run_id="full", durability="batch")


@pytest.mark.anyio
async def test_a_run_in_batch_that_is_too_far_ahead_waits_for_its_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "_AHEAD", 20)
    store = Counted()
    store.open = anyio.Event()
    done = 0

    async def count(value: int) -> int:
        nonlocal done
        done += 1
        return value + 1

    async with anyio.create_task_group() as group:
        group.start_soon(partial(_rounds(count).run, 0, store=store, durability="batch"))
        await anyio.wait_all_tasks_blocked()
        assert 0 < done <= 20
        store.open.set()
    assert done == STEPS
