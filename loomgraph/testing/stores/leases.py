"""Claims about who may write to a run: one owner, expiry, takeover, tokens."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from anyio import create_task_group

from loomgraph.errors import LeaseLostError, RunBusyError
from loomgraph.store.protocol import Batch, Lease
from loomgraph.testing.stores.bench import Bench, Check, events, expect, refused

__all__ = ["CHECKS"]


async def a_run_has_one_owner(bench: Bench) -> None:
    lease = await bench.run()
    expect((lease.run_id, lease.owner, lease.expires) == ("r", "me", bench.clock.now + 60.0), f"{lease}")
    for store in (bench.store, bench.open()):
        for owner in ("other", "me"):
            with refused(RunBusyError, f"a second lease, for '{owner}'") as caught:
                await store.acquire("r", owner, 5.0)
            expect((caught[0].owner, caught[0].expires) == ("me", lease.expires), "the error names another owner")
    await bench.store.append(lease, Batch(events(0, 1)))


async def an_expired_lease_is_taken_over_and_the_old_owner_is_refused(bench: Bench) -> None:
    old = await bench.run("r", Batch(events(0, 1)))
    bench.clock.advance(60.0)
    other = bench.open()
    new = await other.acquire("r", "other", 5.0)
    expect(new.token > old.token, "the token has not grown")
    with refused(LeaseLostError, "the old owner's write") as caught:
        await bench.store.append(old, Batch(events(1, 2)))
    expect(caught[0].owner == "other", f"the error names {caught[0].owner}")
    with refused(LeaseLostError, "the old owner's repeated write"):
        await bench.store.append(old, Batch(events(0, 1)))
    with refused(LeaseLostError, "the old owner's renewal"):
        await bench.store.renew(old, 5.0)
    await bench.store.release(old)
    await other.append(new, Batch(events(1, 2)))
    expect(await bench.store.events("r") == events(0, 2), "the log is not the new owner's")


async def an_expired_lease_that_nobody_took_over_still_writes(bench: Bench) -> None:
    lease = await bench.run()
    bench.clock.advance(1_000.0)
    await bench.store.append(lease, Batch(events(0, 1)))
    renewed = await bench.store.renew(lease, 5.0)
    expect(renewed.expires == bench.clock.now + 5.0, "the renewal does not count from now")
    with refused(RunBusyError, "taking over a renewed lease"):
        await bench.store.acquire("r", "other", 5.0)


async def a_renewed_lease_lasts_longer(bench: Bench) -> None:
    lease = await bench.run()
    bench.clock.advance(50.0)
    lease = await bench.store.renew(lease, 60.0)
    bench.clock.advance(50.0)
    with refused(RunBusyError, "taking over a renewed lease") as caught:
        await bench.store.acquire("r", "other", 5.0)
    expect(caught[0].expires == lease.expires, "the error names the old expiry")
    await bench.store.append(lease, Batch(events(0, 1)))


async def a_released_run_is_free_at_once(bench: Bench) -> None:
    lease = await bench.run()
    await bench.store.release(lease)
    await bench.store.release(lease)
    with refused(LeaseLostError, "a write after the release") as caught:
        await bench.store.append(lease, Batch(events(0, 1)))
    expect(caught[0].owner is None, f"the error names the owner {caught[0].owner!r}, and there is none")
    again = await bench.store.acquire("r", "me", 5.0)
    expect(again.token > lease.token, "the token has not grown")
    with refused(LeaseLostError, "a write under the released lease"):
        await bench.store.append(lease, Batch(events(0, 1)))
    await bench.store.release(lease)
    await bench.store.append(again, Batch(events(0, 1)))


async def a_lease_does_not_outlive_its_run(bench: Bench) -> None:
    lease = await bench.run()
    await bench.store.release(lease)
    lease = await bench.store.acquire("r", "me", 5.0)
    bench.clock.advance(10.0)
    await bench.store.delete("r")
    with refused(LeaseLostError, "a write to a deleted run"):
        await bench.store.append(lease, Batch(events(0, 1)))
    for _ in range(3):
        new = await bench.run()
        with refused(LeaseLostError, "a write to a new run of the same id under the old lease"):
            await bench.store.append(lease, Batch(events(0, 1)))
        await bench.store.release(new)
        await bench.store.delete("r")


async def what_a_lease_says_of_the_log_is_so_when_it_is_acquired(bench: Bench) -> None:
    for count in (0, 1, 300):
        lease = await bench.run(f"r{count}", Batch(events(0, count)))
        await bench.store.release(lease)
    await bench.run("later", Batch(events(0, 5)))
    for store in (bench.store, bench.open()):
        for count in (0, 1, 300):
            lease = await store.acquire(f"r{count}", "me", 5.0)
            expect(lease.events in {None, count}, f"the log has {count} events, the lease says {lease.events}")
            await store.release(lease)


async def a_lease_counts_what_was_written_at_the_same_time(bench: Bench) -> None:
    async def write(lease: Lease) -> None:
        with suppress(LeaseLostError):
            await bench.store.append(lease, Batch(events(1, 4)))

    async def take(run_id: str) -> None:
        taken.append(await bench.store.acquire(run_id, "other", 60.0))

    for order in (0, 1):
        taken: list[Lease] = []
        lease = await bench.run(f"r{order}", Batch(events(0, 1)))
        bench.clock.advance(1_000.0)
        async with create_task_group() as group:
            steps = [partial(write, lease), partial(take, lease.run_id)]
            for step in reversed(steps) if order else steps:
                group.start_soon(step)
        log = await bench.store.events(lease.run_id)
        expect(taken[0].events in {None, len(log)}, f"the log has {len(log)} events, the lease says {taken[0].events}")


CHECKS: tuple[Check, ...] = (
    a_run_has_one_owner,
    an_expired_lease_is_taken_over_and_the_old_owner_is_refused,
    an_expired_lease_that_nobody_took_over_still_writes,
    a_renewed_lease_lasts_longer,
    a_released_run_is_free_at_once,
    a_lease_does_not_outlive_its_run,
    what_a_lease_says_of_the_log_is_so_when_it_is_acquired,
    a_lease_counts_what_was_written_at_the_same_time,
)
