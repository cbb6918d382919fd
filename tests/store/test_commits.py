"""A lone write is waited for on the event loop's thread for a moment, where the disk is fast, and no longer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from loomgraph.errors import StoreError
from loomgraph.store.commits import Job, Writer

_LONG = 20.0


class Slow:
    """Commits at once, unless it is told to wait until `go`."""

    def __init__(self) -> None:
        self.waits = False
        self.go = threading.Event()

    def __call__(self, jobs: Sequence[Job[Any]]) -> None:
        if self.waits:
            assert self.go.wait(_LONG)
        for job in jobs:
            job.run(None)


async def _alone(writer: Writer) -> None:
    """Two writes that nobody shares: the first finds that out, the second how fast the thread is."""
    assert [await writer.submit(lambda _: "done") for _ in range(2)] == ["done"] * 2


@pytest.mark.anyio
async def test_a_fast_commit_gives_no_other_task_a_turn() -> None:
    writer, turns = Writer("fast", Slow(), brief=_LONG), 0

    async def others() -> None:
        nonlocal turns
        while True:
            await checkpoint()
            turns += 1

    async with anyio.create_task_group() as group:
        await _alone(writer)
        group.start_soon(others)
        await checkpoint()
        await checkpoint()
        before = turns
        assert [await writer.submit(lambda _: "done") for _ in range(5)] == ["done"] * 5
        assert turns == before
        group.cancel_scope.cancel()
    writer.stop()


@pytest.mark.anyio
async def test_a_slow_commit_lets_the_others_go_on() -> None:
    commit = Slow()
    writer = Writer("slow", commit, brief=0.01)
    await _alone(writer)
    commit.waits = True

    async def let_go() -> None:
        commit.go.set()

    async with anyio.create_task_group() as group:
        group.start_soon(let_go)
        assert await writer.submit(lambda _: "written") == "written"  # let_go ran, or this would never end
    writer.stop()


@pytest.mark.anyio
async def test_a_refusal_comes_out_of_a_fast_commit_too() -> None:
    writer = Writer("fast", Slow(), brief=_LONG)
    await _alone(writer)

    def refuse(_: Any) -> None:
        raise StoreError("no")

    with pytest.raises(StoreError, match="no"):
        await writer.submit(refuse)
    writer.stop()
    with pytest.raises(StoreError, match="closed"):
        await writer.submit(lambda _: 1)
