"""Claims about the log and the values of a run: round trips, order, atomicity, idempotence, isolation."""

from __future__ import annotations

from loomgraph.errors import AppendConflictError, RunExistsError, StoreError, UnknownRunError
from loomgraph.store.protocol import Batch, HeaderChanges, StoredEvent, StoredValue, whole_run
from loomgraph.testing.stores.bench import Bench, Check, event, events, expect, header, refused, value

__all__ = ["CHECKS"]


async def a_run_is_read_back_exactly_as_it_was_written(bench: Bench) -> None:
    given = header(
        "r ü/1%'\"",
        graph="größe",
        fingerprint="f" * 64,
        created=1234.000001,
        updated=1235.25,
        status="suspended",
        input=bytes(range(32)),
        parent="p",
        fork_seq=7,
        user_id="u'; DROP TABLE runs; --",
        session_id="",
        metadata='{"tags":["a","ü"]}',
        version=3,
    )
    log = [
        StoredEvent(0, 0.1 + 0.2, "RunStarted", "", b""),
        StoredEvent(1, 1e9 + 1 / 3, "ü", "a/b#1.2[3]", bytes(range(256))),
        StoredEvent(2, 1e9 + 2 / 3, "k", "key ü", b"{}" * 50_000),
    ]
    await bench.store.create(
        given, Batch(log, [value("v"), StoredValue(b"d" * 32, bytes(range(256)))]), owner="o", ttl=1
    )
    for store in (bench.store, bench.open()):
        found = await store.load(given.run_id)
        expect(found.events == 3, f"the header counts {found.events} events of 3")
        for name in given.__slots__:
            if name not in {"events", "updated"}:
                expect(getattr(found, name) == getattr(given, name), f"{name} came back as {getattr(found, name)!r}")
        expect(found.updated == 1e9 + 2 / 3, "updated is not the time of the last event")
        expect(await store.events(given.run_id) == log, "the events differ")
        got = await store.values([value("v").digest, b"d" * 32, b"nowhere"])
        expect(got == {value("v").digest: value("v").data, b"d" * 32: bytes(range(256))}, f"the values differ: {got}")


async def events_are_read_in_order_and_in_any_slice(bench: Bench) -> None:
    lease = await bench.run()
    for start in range(0, 300, 3):
        await bench.store.append(lease, Batch(events(start, start + 3), [value(f"v{start}")]))
    whole = events(0, 300)
    for start, stop in ((0, None), (0, 0), (0, 1), (7, 7), (7, 8), (5, 290), (298, None), (299, 400), (300, None)):
        found = await bench.store.events("r", start, stop)
        expect(found == whole[start:stop], f"events({start}, {stop}) gave {[e.seq for e in found]}")


async def a_batch_is_written_wholly_or_not_at_all(bench: Bench) -> None:
    lease = await bench.run("r", Batch(events(0, 2)))
    bad = Batch(
        [event(2), event(3)],
        [value("new")],
        [b"no such digest .."],
        HeaderChanges(time=9e9, status="failed"),
    )
    with refused(AppendConflictError, "a batch that refers to a value nobody stored"):
        await bench.store.append(lease, bad)
    expect(await bench.store.events("r") == events(0, 2), "events of a refused batch are in the log")
    expect(await bench.store.values([value("new").digest]) == {}, "values of a refused batch are in the store")
    expect((await bench.store.load("r")).status == "running", "the status of a refused batch is in the header")
    await bench.store.append(lease, Batch(events(2, 3)))


async def the_same_batch_again_changes_nothing(bench: Bench) -> None:
    lease = await bench.run()
    batch = Batch(events(0, 3), [value("v")], (), HeaderChanges(time=3000.0, status="suspended"))
    await bench.store.append(lease, batch)
    await bench.store.append(lease, Batch(events(3, 5), (), (), HeaderChanges(time=3001.0, status="running")))
    before = await bench.store.load("r")
    await bench.store.append(lease, batch)
    await bench.store.append(lease, Batch([event(1)]))
    expect(await bench.store.events("r") == events(0, 5), "the log has changed")
    expect(await bench.store.load("r") == before, "the header has changed")


async def a_batch_that_begins_with_known_events_adds_the_others(bench: Bench) -> None:
    lease = await bench.run("r", Batch(events(0, 3)))
    await bench.store.append(lease, Batch(events(1, 5), [value("v")]))
    expect(await bench.store.events("r") == events(0, 5), "the log is not the union")
    expect(await bench.store.digests("r") == [value("v").digest], "the value is missing")


async def an_event_that_differs_from_the_stored_one_is_refused(bench: Bench) -> None:
    lease = await bench.run("r", Batch(events(0, 3)))
    others = (event(1, b"{}"), event(1, kind="K"), event(1, key="k"), event(1, time=1.0))
    for other in others:
        with refused(AppendConflictError, f"{other}") as caught:
            await bench.store.append(lease, Batch([other, event(2), event(3)]))
        expect(caught[0].at == 1, f"the error points at {caught[0].at}, not at event 1")
    expect(await bench.store.events("r") == events(0, 3), "the log has changed")


async def a_gap_in_the_log_is_refused(bench: Bench) -> None:
    lease = await bench.run("r", Batch(events(0, 3)))
    for seqs in ((4,), (3, 5), (3, 3), (4, 3)):
        with refused(AppendConflictError, f"the numbers {seqs} after 2"):
            await bench.store.append(lease, Batch([event(seq) for seq in seqs]))
    with refused(AppendConflictError, "a new run that starts at event 1"):
        await bench.run("q", Batch(events(1, 2)))
    expect(await bench.store.events("r") == events(0, 3), "the log has changed")


async def a_run_id_is_taken_once(bench: Bench) -> None:
    await bench.run("r", Batch(events(0, 2)), graph="first")
    for store in (bench.store, bench.open()):
        with refused(RunExistsError, "a second run of one id"):
            await store.create(header("r", graph="second"), Batch(events(0, 1)), owner="other", ttl=1.0)
    expect((await bench.store.load("r")).graph == "first", "the header was overwritten")
    expect(await bench.store.events("r") == events(0, 2), "the log was overwritten")
    with refused(StoreError, "an empty run id"):
        await bench.run("")


async def an_unknown_run_is_an_error_that_names_close_ids(bench: Bench) -> None:
    await bench.run("ticket-4711")
    store = bench.store
    for call in (
        lambda: store.load("ticket-4712"),
        lambda: store.events("ticket-4712"),
        lambda: store.digests("ticket-4712"),
        lambda: store.inbox("ticket-4712"),
        lambda: whole_run(store, "ticket-4712"),
        lambda: store.acquire("ticket-4712", "me", 1.0),
        lambda: store.post("ticket-4712", "id", "kind", b""),
        lambda: store.delete("ticket-4712"),
    ):
        with refused(UnknownRunError, "a run that is not there") as caught:
            await call()
        expect("'ticket-4711'" in str(caught[0]), f"no close id in: {caught[0]}")


async def a_header_changes_only_where_it_is_told_to(bench: Bench) -> None:
    lease = await bench.run("r", metadata='{"a":1}')
    await bench.store.append(lease, Batch(changes=HeaderChanges(time=5000.0, status="succeeded")))
    found = await bench.store.load("r")
    expect((found.status, found.fingerprint, found.metadata) == ("succeeded", "f1", '{"a":1}'), f"{found}")
    expect(found.updated == 5000.0, f"updated is {found.updated}")
    await bench.store.append(
        lease, Batch(events(0, 1), (), (), HeaderChanges(time=10.0, fingerprint="f2", metadata="[]"))
    )
    found = await bench.store.load("r")
    expect((found.status, found.fingerprint, found.metadata) == ("succeeded", "f2", "[]"), f"{found}")
    expect(found.updated == 5000.0, f"updated went back to {found.updated}")


async def equal_values_are_one_value_however_often_they_are_written(bench: Bench) -> None:
    lease = await bench.run("r", Batch(events(0, 1), [value("a"), value("b"), value("a")]))
    await bench.store.append(lease, Batch(events(1, 2), [value("b"), value("c")]))
    await bench.run("q", Batch(events(0, 1), [value("c"), value("d")]))
    names = [digest.rstrip(b".").decode() for digest in await bench.store.digests("r")]
    expect(sorted(names) == ["a", "b", "c"], f"r has {names}")
    names = [digest.rstrip(b".").decode() for digest in await bench.store.digests("q")]
    expect(sorted(names) == ["c", "d"], f"q has {names}")


async def the_values_up_to_an_event_can_be_listed(bench: Bench) -> None:
    lease = await bench.run("p", Batch(events(0, 1), [value("shared")]))
    await bench.store.append(lease, Batch(events(1, 2)))
    lease = await bench.run("r", Batch(events(0, 2), [value("a"), value("b")]))
    await bench.store.append(lease, Batch(events(2, 5), [value("c"), value("shared")]))
    await bench.store.append(lease, Batch(events(5, 6), [value("d")], [value("shared").digest]))
    for stop, wanted in (
        (0, ""),
        (1, "ab"),
        (2, "ab"),
        (3, "abcs"),
        (4, "abcs"),
        (5, "abcs"),
        (6, "abcds"),
        (None, "abcds"),
    ):
        found = "".join(sorted(digest.decode()[0] for digest in await bench.store.digests("r", stop)))
        expect(found == wanted, f"digests('r', {stop}) gave {found!r}, not {wanted!r}")


async def a_batch_may_bring_very_many_values(bench: Bench) -> None:
    many = [value(f"value {i}", 20) for i in range(1_500)]
    await bench.run("r", Batch(events(0, 2), many))
    digests = await bench.store.digests("r")
    expect(sorted(digests) == sorted(v.digest for v in many), f"{len(digests)} digests of 1500")
    found = await bench.store.values(v.digest for v in many)
    expect(found == {v.digest: v.data for v in many}, "the values differ")
    expect(await bench.store.events("r") == events(0, 2), "the events differ")


async def large_values_come_back_whole(bench: Bench) -> None:
    sizes = (0, 1, *range(500, 4_200, 97), 70_000, 3_000_000)
    given = [value(f"v{size}", size) for size in sizes]
    await bench.run("r", Batch(events(0, 1), given))
    found = await bench.store.values(v.digest for v in given)
    expect(found == {v.digest: v.data for v in given}, "the values differ")


async def a_run_read_as_a_whole_is_what_its_parts_are(bench: Bench) -> None:
    sizes = (0, 1, 700, 1_500, 1_979, 2_500, 40_000)
    await bench.run("p", Batch(events(0, 1), [value(f"p{size}", size) for size in sizes]))
    own = [value(f"r{size}", size) for size in sizes]
    lease = await bench.run("r", Batch(events(0, 2), own, [value(f"p{size}", size).digest for size in sizes]))
    many = [value(f"more {i}", 20) for i in range(300)]
    await bench.store.append(lease, Batch(events(2, 4), many, (), HeaderChanges(time=5.0, status="failed")))
    await bench.store.append(lease, Batch(events(4, 5), [own[2], value("p700", 700)]))
    await bench.run("s", Batch(events(0, 3), [value("not of r")]))
    for id in ("m1", "m2"):
        await bench.store.post("r", id, "kind", b"data")
    await bench.run("empty")
    for store in (bench.store, bench.open()):
        for run_id in ("r", "p", "empty"):
            header, log, values, inbox = await whole_run(store, run_id)
            expect(header == await store.load(run_id), f"the header of {run_id} differs: {header}")
            expect(log == await store.events(run_id), f"the events of {run_id} differ")
            expect(values == await store.values(await store.digests(run_id)), f"the values of {run_id} differ")
            expect(inbox == await store.inbox(run_id), f"the inbox of {run_id} differs")
        with refused(UnknownRunError, "a run that is not there"):
            await whole_run(store, "nobody")


async def what_was_handed_in_can_be_changed_afterwards(bench: Bench) -> None:
    log, brought = events(0, 2), [value("v")]
    await bench.run("r", Batch(log, brought))
    log.append(event(2))
    brought.clear()
    (await bench.store.events("r")).clear()
    (await bench.store.values([value("v").digest])).clear()
    expect(await bench.store.events("r") == events(0, 2), "the log follows the caller's list")
    expect(len(await bench.store.values([value("v").digest])) == 1, "the values follow the caller's list")


async def a_closed_store_says_so(bench: Bench) -> None:
    store = bench.open() if bench.open() is not bench.store else None
    if store is None:  # one connection is all there is to this storage
        return
    await bench.run("r")
    await store.load("r")
    await store.close()
    await store.close()
    with refused(StoreError, "reading from a closed store"):
        await store.load("r")
    with refused(StoreError, "writing to a closed store"):
        await store.post("r", "m", "k", b"")
    expect((await bench.store.load("r")).run_id == "r", "closing one connection broke another")


CHECKS: tuple[Check, ...] = (
    a_run_is_read_back_exactly_as_it_was_written,
    events_are_read_in_order_and_in_any_slice,
    a_batch_is_written_wholly_or_not_at_all,
    the_same_batch_again_changes_nothing,
    a_batch_that_begins_with_known_events_adds_the_others,
    an_event_that_differs_from_the_stored_one_is_refused,
    a_gap_in_the_log_is_refused,
    a_run_id_is_taken_once,
    an_unknown_run_is_an_error_that_names_close_ids,
    a_header_changes_only_where_it_is_told_to,
    equal_values_are_one_value_however_often_they_are_written,
    the_values_up_to_an_event_can_be_listed,
    a_batch_may_bring_very_many_values,
    large_values_come_back_whole,
    a_run_read_as_a_whole_is_what_its_parts_are,
    what_was_handed_in_can_be_changed_afterwards,
    a_closed_store_says_so,
)
