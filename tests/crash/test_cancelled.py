"""Claims about cancelling a run of another process: it stops, and whoever is killed on the way loses no request."""

from __future__ import annotations

import math
import os
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest

from loomgraph import Context
from loomgraph.errors import RunCancelledError
from loomgraph.events import RunCancelled
from loomgraph.runtime.cancelling import cancel
from loomgraph.store.protocol import Batch, Store
from loomgraph.testing.crash import WatchedStore
from tests.crash.three import noted, nowhere, three_nodes
from tests.places import Place
from tests.processes import Child, skip_where_none
from tests.runtime.graphs import chain

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(skip_where_none, reason="processes are forked, which needs POSIX")]

Backend = Literal["asyncio", "trio"]
# seconds: an owner looks three times in it
LEASE = 1.0


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place that several processes can have stores of."""
    address: str | None = request.getfixturevalue("postgres_address") if request.param == "postgresql" else None
    return Place(str(request.param), tmp_path, address)


def has_it(parent: Connection, place: Place, backend: Backend) -> None:
    """Run a node that never ends, and say what came of it."""

    async def waits(value: int) -> int:
        parent.send(os.getpid())
        try:
            await anyio.sleep_forever()
        finally:
            parent.send("cleaned up")
        return value

    async def main() -> None:
        store = place.store()
        try:
            await chain(waits).run(1, store=store, run_id="r", lease=LEASE)
        except RunCancelledError as error:
            parent.send(str(error))
        await store.close()

    anyio.run(main, backend=backend)


async def test_a_run_is_cancelled_from_another_process(shared: Place, anyio_backend_name: Backend) -> None:
    store = shared.store()
    with Child(has_it, shared, anyio_backend_name) as child:
        assert child.hear() == child.pid
        assert await cancel(store, "r", reason="enough", wait=math.inf) == "cancelled"
        assert child.hear() == "cleaned up"
        assert child.hear() == "run 'r' was cancelled: enough."
    assert [event.kind for event in await store.events("r")] == ["R", "s", "x", "R0"]
    await store.close()


async def test_a_request_outlives_the_process_that_has_the_run(shared: Place, tmp_path: Path) -> None:
    store = shared.store()
    with Child(has_it, shared, "asyncio") as child:
        assert child.hear() == child.pid
        child.kill()
        assert await cancel(store, "r") == "running", "nobody can know that it is dead before its lease has run out"
    shared.ahead = 3600
    assert await cancel(store, "r") == "cancelled"
    assert [event.kind for event in await store.events("r")] == ["R", "s", "x", "R0"]
    await store.close()


class Stopping(WatchedStore):
    """Says that it is about to write the end of a run, and waits to be killed."""

    def __init__(self, inner: Store, parent: Connection) -> None:
        super().__init__(inner)
        self._parent = parent

    def before(self, number: int, what: str, batch: Batch) -> None:
        if what == "append":
            self._parent.send(what)
            self._parent.recv()


def cancels_it(parent: Connection, place: Place) -> None:
    """Cancel the run, and get killed after the request was sent."""

    async def main() -> None:
        await cancel(Stopping(place.store(), parent), "r", reason="by one who was killed")

    anyio.run(main)


async def asks(value: int, ctx: Context) -> bool:
    return await ctx.ask("Go on?", bool)


@pytest.mark.parametrize("then", ["cancel", "resume", "answer"])
async def test_a_request_outlives_the_process_that_asked(shared: Place, then: str) -> None:
    graph, store = chain(asks), shared.store()
    await graph.run(1, store=store, run_id="r")
    with Child(cancels_it, shared) as child:
        assert child.hear() == "append"
        child.kill()
    assert (await store.load("r")).status == "suspended", "the end is written whole or not at all"
    shared.ahead = 3600
    if then == "cancel":
        assert await graph.cancel("r", store=store, reason="by another one") == "cancelled"
    else:
        answers: dict[str, Any] = {"asks": True} if then == "answer" else {}
        with pytest.raises(RunCancelledError, match="by one who was killed"):
            await graph.resume("r", store=store, answers=answers)
    record = await graph.replay("r", store=store)
    assert record.status == "cancelled"
    last = record.events[-1]
    assert isinstance(last, RunCancelled)
    assert "by one who was killed" in last.reason
    await store.close()


async def test_a_run_whose_owner_was_killed_in_the_middle_is_ended_and_can_be_resumed(
    shared: Place, tmp_path: Path, anyio_backend_name: Backend
) -> None:
    calls = tmp_path / "calls"
    store = shared.store()
    with Child(gets_to_the_step, shared, calls, anyio_backend_name) as child:
        assert child.hear() == "behind the step"
        child.kill()
    shared.ahead = 3600
    assert await cancel(store, "r") == "cancelled"
    assert (await three_nodes(calls).resume("r", store=store, deps=nowhere)).output == 5
    assert (noted(calls)["first"], noted(calls)["pay"]) == (1, 1)
    await store.close()


def gets_to_the_step(parent: Connection, place: Place, calls: Path, backend: Backend) -> None:
    """Run it up to behind its durable step, and wait to be killed there."""

    def at(where: str) -> None:
        if where == "behind the step":
            parent.send(where)
            parent.recv()

    async def main() -> None:
        await three_nodes(calls).run(1, store=place.store(), run_id="r", deps=at)

    anyio.run(main, backend=backend)
