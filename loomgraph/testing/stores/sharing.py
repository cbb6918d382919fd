"""Claims about many tasks and many connections at once."""

from __future__ import annotations

from contextlib import suppress

import anyio

from loomgraph.errors import AppendConflictError, RunBusyError, RunExistsError
from loomgraph.store.protocol import Batch, Lease, Store
from loomgraph.testing.stores.bench import Bench, Check, event, events, expect, header, value

__all__ = ["CHECKS"]


async def many_runs_are_written_at_once_through_several_connections(bench: Bench) -> None:
    stores = [bench.store, bench.open(), bench.open()]

    async def work(store: Store, run_id: str) -> None:
        lease = await store.create(header(run_id), owner=run_id, ttl=60.0)
        for seq in range(15):
            own, shared = value(f"{run_id} {seq}"), value(f"shared {seq}")
            await store.append(lease, Batch([event(seq)], [own, shared]))
        await store.release(lease)

    async with anyio.create_task_group() as group:
        for i in range(18):
            group.start_soon(work, stores[i % 3], f"r{i}")
    for i in range(18):
        store = stores[(i + 1) % 3]
        expect(await store.events(f"r{i}") == events(0, 15), f"the log of r{i} differs")
        wanted = {v.digest for seq in range(15) for v in (value(f"r{i} {seq}"), value(f"shared {seq}"))}
        expect(set(await store.digests(f"r{i}")) == wanted, f"the values of r{i} differ")


async def of_many_who_want_a_run_one_gets_it(bench: Bench) -> None:
    stores = [bench.store, bench.open(), bench.open()]
    created: list[Lease] = []
    acquired: list[Lease] = []

    async def create(store: Store, owner: str) -> None:
        with suppress(RunExistsError):
            created.append(await store.create(header("one"), owner=owner, ttl=60.0))

    async def acquire(store: Store, owner: str) -> None:
        with suppress(RunBusyError):
            acquired.append(await store.acquire("one", owner, 60.0))

    async with anyio.create_task_group() as group:
        for i in range(9):
            group.start_soon(create, stores[i % 3], f"owner {i}")
    expect(len(created) == 1, f"{len(created)} created the same run")
    bench.clock.advance(60.0)
    async with anyio.create_task_group() as group:
        for i in range(9):
            group.start_soon(acquire, stores[i % 3], f"owner {i}")
    expect(len(acquired) == 1, f"{len(acquired)} acquired the same run")
    expect(acquired[0].token > created[0].token, "the token has not grown")


async def one_refused_write_does_not_touch_its_neighbours(bench: Bench) -> None:
    leases = [await bench.run(f"r{i}") for i in range(30)]
    refused: list[int] = []

    async def work(i: int, lease: Lease) -> None:
        try:
            # every third leaves a gap
            await bench.store.append(lease, Batch([event(0 if i % 3 else 1)], [value(f"v{i}")]))
        except AppendConflictError:
            refused.append(i)

    async with anyio.create_task_group() as group:
        for i, lease in enumerate(leases):
            group.start_soon(work, i, lease)
    expect(sorted(refused) == list(range(0, 30, 3)), f"refused: {sorted(refused)}")
    for i in range(30):
        found = await bench.store.events(f"r{i}")
        expect(found == ([] if i % 3 == 0 else [event(0)]), f"r{i} has {found}")
    left = await bench.store.values(value(f"v{i}").digest for i in range(0, 30, 3))
    expect(left == {}, "a refused write left values")


async def a_cancelled_write_leaves_the_store_in_order(bench: Bench) -> None:
    lease = await bench.run()
    for seq in range(20):
        with anyio.CancelScope() as scope:
            if seq % 2:
                scope.cancel()
            await bench.store.append(lease, Batch([event(seq)]))
        # taken or not, the same again is right
        await bench.store.append(lease, Batch([event(seq)]))
    expect(await bench.store.events("r") == events(0, 20), "the log differs")


async def readers_see_whole_batches_while_others_write(bench: Bench) -> None:
    lease = await bench.run()
    other = bench.open()
    done = anyio.Event()
    torn: list[int] = []

    async def read() -> None:
        while not done.is_set():
            found = len(await other.events("r"))
            if found % 7:
                torn.append(found)

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        for start in range(0, 280, 7):
            await bench.store.append(lease, Batch(events(start, start + 7), [value(f"v{start}")]))
            expect((await other.load("r")).events == start + 7, "a write that returned is not seen elsewhere")
        done.set()
    expect(not torn, f"a reader saw {torn} events of batches of 7")


async def runs_are_pruned_while_others_use_their_values(bench: Bench) -> None:
    other = bench.open()
    shared = [value(f"s{i}") for i in range(5)]
    await bench.store.release(await bench.run("first", Batch(events(0, 1), shared), status="succeeded"))

    async def work(i: int) -> None:
        lease = await other.create(header(f"r{i}"), Batch(events(0, 1), shared), owner="other", ttl=60.0)
        await other.append(lease, Batch(events(1, 2), shared))

    async with anyio.create_task_group() as group:
        for i in range(10):
            group.start_soon(work, i)
            group.start_soon(_prune, bench.store)
    expect(len(await other.values(v.digest for v in shared)) == 5, "a value was pruned that a run holds")
    expect([run.run_id for run in (await other.runs()).runs if run.run_id == "first"] == [], "the old run is left")


async def _prune(store: Store) -> None:
    await store.prune(keep=0)


CHECKS: tuple[Check, ...] = (
    many_runs_are_written_at_once_through_several_connections,
    of_many_who_want_a_run_one_gets_it,
    one_refused_write_does_not_touch_its_neighbours,
    a_cancelled_write_leaves_the_store_in_order,
    readers_see_whole_batches_while_others_write,
    runs_are_pruned_while_others_use_their_values,
)
