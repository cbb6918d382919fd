"""Claims about the messages that others leave for a run."""

from __future__ import annotations

from loomgraph.errors import AppendConflictError
from loomgraph.store.protocol import Batch, Message
from loomgraph.testing.stores.bench import Bench, Check, events, expect, header, refused

__all__ = ["CHECKS"]


async def messages_are_kept_in_the_order_they_came(bench: Bench) -> None:
    await bench.run()
    other = bench.open()
    for i in range(5):
        bench.clock.advance(1.0)
        new = await (bench.store, other)[i % 2].post("r", f"m{i}", "answer", b"%d\0" % i)
        expect(new, f"message {i} was taken for an old one")
    found = await bench.store.inbox("r")
    expect([m.id for m in found] == [f"m{i}" for i in range(5)], f"{found}")
    expect([m.position for m in found] == [1, 2, 3, 4, 5], f"{found}")
    expect(found[3] == Message(4, "m3", "answer", b"3\0", bench.clock.now - 1.0), f"{found[3]}")
    expect(await other.inbox("r", 3) == found[3:], "inbox(after=3) is not the rest")
    expect(await other.inbox("r", 5) == [], "there is something behind the end")


async def a_message_that_comes_twice_is_kept_once(bench: Bench) -> None:
    await bench.run()
    await bench.run("q")
    expect(await bench.store.post("r", "m", "answer", b"1"), "a new message was taken for an old one")
    bench.clock.advance(5.0)
    expect(not await bench.store.post("r", "m", "answer", b"1"), "an old message was taken for a new one")
    for kind, data in (("answer", b"2"), ("signal", b"1")):
        with refused(AppendConflictError, "another message under the same id") as caught:
            await bench.store.post("r", "m", kind, data)
        expect(caught[0].at == "m", f"the error points at {caught[0].at}")
    expect(len(await bench.store.inbox("r")) == 1, "it was kept twice")
    expect(await bench.store.post("q", "m", "answer", b"2"), "ids are not each run's own")


async def messages_can_come_with_a_batch(bench: Bench) -> None:
    given = [Message(7, "a", "k", b"1", 5.0), Message(9, "b", "k", b"2", 6.0)]
    lease = await bench.store.create(header(), Batch(events(0, 1), messages=given), owner="me", ttl=60.0)
    await bench.store.append(lease, Batch(events(1, 2), messages=[Message(1, "c", "k", b"3", 4.0)]))
    await bench.store.post("r", "d", "k", b"4")
    found = await bench.store.inbox("r")
    expect(
        [(m.position, m.id, m.data) for m in found] == [(1, "a", b"1"), (2, "b", b"2"), (3, "c", b"3"), (4, "d", b"4")],
        f"{found}",
    )
    expect([m.time for m in found[:3]] == [5.0, 6.0, 4.0], "the times were changed")


CHECKS: tuple[Check, ...] = (
    messages_are_kept_in_the_order_they_came,
    a_message_that_comes_twice_is_kept_once,
    messages_can_come_with_a_batch,
)
