"""Two that go on with one run: what one did between the other's reading and owning is seen, not contradicted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from loomgraph import RunResult
from loomgraph.errors import RunBusyError
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Lease, Store
from loomgraph.testing.crash import WatchedStore
from tests.runtime.rehearsal import Rehearsal, cut_short

pytestmark = pytest.mark.anyio


class OvertakenStore(WatchedStore):
    """Somebody else does something just before the run's lease is asked for, the first time."""

    def __init__(self, inner: Store, meanwhile: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(inner)
        self.meanwhile: Callable[[], Awaitable[Any]] | None = meanwhile

    async def acquire(self, run_id: str, owner: str, ttl: float) -> Lease:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return await super().acquire(run_id, owner, ttl)


@pytest.mark.parametrize("stop", [3, 12, 30])
async def test_a_run_that_another_process_finished_after_it_was_read_is_read_again_and_not_run(stop: int) -> None:
    rehearsal, whole = Rehearsal(), MemoryStore()
    graph = rehearsal.graph()
    reference = await graph.run(0, store=whole, run_id="r")
    cut = await cut_short(whole, "r", stop)
    theirs: list[RunResult[str]] = []

    async def finish() -> None:
        theirs.append(await graph.resume("r", store=cut))
        rehearsal.calls.clear()

    async with graph.reopen("r", store=OvertakenStore(cut, finish)) as run:
        seen = [event.seq async for event in run.events()]
        mine = await run.result()
    assert seen == list(range(run.recorded)), "a reader goes on in the log that was read again"
    assert not rehearsal.calls, "everything had been done"
    assert mine.output == theirs[0].output == reference.output
    assert [event.kind for event in await cut.events("r")].count("R+") == 1


async def test_a_run_that_another_process_took_after_it_was_read_is_busy() -> None:
    graph, whole = Rehearsal().graph(), MemoryStore()
    await graph.run(0, store=whole, run_id="r")
    cut = await cut_short(whole, "r", 12)
    before = await cut.events("r")
    store = OvertakenStore(cut, lambda: cut.acquire("r", "somebody else", 60))
    with pytest.raises(RunBusyError, match="somebody else"):
        await graph.resume("r", store=store)
    assert await cut.events("r") == before
