"""Subjects that do not keep what they should, each in its own way, for the driver to find out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from loomgraph import END, START, Context, Workflow
from loomgraph.store.protocol import Batch, Lease, Store
from loomgraph.store.sqlite import SQLiteStore
from loomgraph.testing.crash import Subject, WatchedStore

__all__ = ["cheat"]


class HastyStore(WatchedStore):
    """Says that a batch is durable one batch before it is."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self._late: Batch | None = None

    async def append(self, lease: Lease, batch: Batch) -> None:
        late, self._late = self._late, batch
        if late is not None:
            await super().append(lease, late)

    async def release(self, lease: Lease) -> None:
        if self._late is not None:
            await super().append(lease, self._late)
        await super().release(lease)


def _hasty(folder: Path, clock: Callable[[], float]) -> Store:
    return HastyStore(SQLiteStore(folder / "runs.db", clock=clock))


def cheat(how: str) -> Subject:
    """A chain of three nodes, the first with a durable step."""
    wf = Workflow("chain", input=int, output=int)

    @wf.node
    async def one(value: int, ctx: Context) -> int:
        return await ctx.step("seen", _seen, value)

    @wf.node
    async def two(value: int) -> int:
        return os.getpid() if how == "another answer" else value + 1

    @wf.node
    async def three(value: int) -> int:
        if how == "what ends the process":
            os._exit(3)
        return value

    wf.chain(START, one, two, three, END)
    stores = {"a store that is hasty": _hasty}
    return Subject(graph=wf.compile(), value=1, store=stores.get(how))


async def _seen(value: int) -> int:
    return value
