"""Claims about deleting, pruning, and carrying runs from store to store."""

from __future__ import annotations

from collections.abc import AsyncIterator

from loomgraph.errors import RunBusyError, RunExistsError, StoreCorruptError, StoreVersionError, UnknownRunError
from loomgraph.store.protocol import Batch, HeaderChanges, RunStatus
from loomgraph.testing.stores.bench import Bench, Check, event, events, expect, refused, value

__all__ = ["CHECKS"]


async def _finished(bench: Bench, run_id: str, created: float, status: RunStatus = "succeeded", *names: str) -> None:
    batch = Batch([event(0, time=created)], [value(name) for name in names])
    lease = await bench.run(run_id, batch, created=created, updated=created, status=status)
    await bench.store.release(lease)


async def _there(bench: Bench, names: str) -> str:
    found = await bench.store.values(value(name).digest for name in names)
    return "".join(name for name in names if value(name).digest in found)


async def a_deleted_run_is_gone_with_what_only_it_held(bench: Bench) -> None:
    await _finished(bench, "p", 1.0, "succeeded", "a", "b", "c")
    await _finished(bench, "q", 2.0, "succeeded", "b", "d")
    lease = await bench.run("r", Batch(events(0, 1), [value("e")], [value("c").digest, value("d").digest]))
    await bench.store.release(lease)
    await bench.store.post("p", "m", "k", b"")
    await bench.store.delete("p")
    with refused(UnknownRunError, "a deleted run"):
        await bench.store.load("p")
    expect(await _there(bench, "abcde") == "bcde", f"after p: {await _there(bench, 'abcde')}")
    await bench.store.delete("q")
    expect(await _there(bench, "abcde") == "cde", f"after q: {await _there(bench, 'abcde')}")
    digests = [digest.decode()[0] for digest in await bench.store.digests("r")]
    expect(sorted(digests) == ["c", "d", "e"], f"r has {digests}")
    await bench.store.delete("r")
    expect(await _there(bench, "abcde") == "", f"after r: {await _there(bench, 'abcde')}")
    await bench.run("p")
    expect(await bench.store.events("p") == [] and await bench.store.inbox("p") == [], "the old p shows in the new one")


async def very_many_values_of_one_batch_go_with_their_run(bench: Bench) -> None:
    many = [value(f"value {i}", i * 5) for i in range(600)]
    await bench.store.release(await bench.run("p", Batch(events(0, 1), many)))
    await bench.store.release(await bench.run("q", Batch(events(0, 1), many[500:])))
    await bench.store.delete("p")
    found = await bench.store.values(v.digest for v in many)
    expect(found == {v.digest: v.data for v in many[500:]}, f"{len(found)} values are left of 100")
    await bench.store.delete("q")
    expect(await bench.store.values(v.digest for v in many) == {}, "values are left")


async def a_run_that_is_owned_is_not_deleted(bench: Bench) -> None:
    lease = await bench.run("r", Batch(events(0, 1)), status="succeeded")
    with refused(RunBusyError, "deleting a run that is owned") as caught:
        await bench.open().delete("r")
    expect(caught[0].owner == "me", f"the error names {caught[0].owner}")
    expect(await bench.store.prune(keep=0) == 0, "a run that is owned was pruned")
    await bench.store.append(lease, Batch(events(1, 2)))
    bench.clock.advance(60.0)
    expect(await bench.store.prune(keep=0) == 1, "an expired lease saves a run from pruning")


async def pruning_keeps_the_newest(bench: Bench) -> None:
    for i in range(6):
        await _finished(bench, f"r{i}", float(i), "succeeded", f"{i}", "all")
    await _finished(bench, "asks", 0.5, "suspended", "s")
    expect(await bench.store.prune() == 0, "pruning without a rule deletes")
    expect(await bench.store.prune(keep=2) == 4, "not 4 of 6 were pruned")
    left = [run.run_id for run in (await bench.store.runs()).runs]
    expect(left == ["r5", "r4", "asks"], f"{left}")
    expect(await _there(bench, "012345s") == "45s", f"{await _there(bench, '012345s')}")
    expect(await bench.store.prune(keep=0, status=["suspended"]) == 1, "the status is not heeded")
    expect(await bench.store.prune(keep=0) == 2, "keep=0 does not prune all")
    expect(await bench.store.values([value("all").digest]) == {}, "a value outlived its last run")


async def pruning_spares_what_was_updated_lately(bench: Bench) -> None:
    now = bench.clock.now
    await _finished(bench, "old", now - 100.0)
    await _finished(bench, "young", now - 5.0)
    lease = await bench.run("long", Batch(events(0, 1)), created=now - 200.0)
    await bench.store.append(lease, Batch(changes=HeaderChanges(time=now - 5.0, status="failed")))
    await bench.store.release(lease)
    await _finished(bench, "older", now - 300.0)
    expect(await bench.store.prune(keep=3, older_than=50.0) == 1, "both rules must hold")
    expect(await bench.store.prune(older_than=50.0) == 1, "one run is older than 50 s")
    left = [run.run_id for run in (await bench.store.runs()).runs]
    expect(left == ["young", "long"], f"{left}")


async def _copy(bench: Bench, run_id: str) -> bytes:
    return b"".join([piece async for piece in bench.store.export(run_id)])


async def an_exported_run_is_imported_as_it_was(bench: Bench) -> None:
    lease = await bench.run(
        "r", Batch(events(0, 600), [value(f"v{i}", 300) for i in range(400)]), input=b"\xff\x00", user_id="ü"
    )
    await bench.store.append(
        lease, Batch([event(600, b"\xff\xfe\n")], [], (), HeaderChanges(time=9e8, status="failed"))
    )
    await bench.store.post("r", "m", "k", b"\x80")
    await bench.store.post("r", "n", "k", b"line\nline")
    await bench.store.release(lease)
    store = bench.store
    before = (await store.load("r"), await store.events("r"), await store.inbox("r"), set(await store.digests("r")))
    data = await _copy(bench, "r")
    with refused(RunExistsError, "importing a run that is there"):
        await store.import_(data)
    await store.delete("r")

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 1_000):
            yield data[start : start + 1_000]

    found = await store.import_(pieces())
    expect(found == before[0], f"the header came back as {found}")
    after = (found, await store.events("r"), await store.inbox("r"), set(await store.digests("r")))
    expect(after == before, "the imported run differs")
    expect(len(await store.values(after[3])) == 400, "values are missing")
    await store.acquire("r", "me", 1.0)
    expect(await _copy(bench, "r") == data, "a second export differs from the first")


async def a_damaged_export_is_refused_and_leaves_nothing(bench: Bench) -> None:
    await bench.store.release(await bench.run("r", Batch(events(0, 20), [value("v")])))
    data = await _copy(bench, "r")
    await bench.store.delete("r")
    middle = len(data) // 2
    lines = data.splitlines(keepends=True)
    for damaged in (
        b"",
        b"hello",
        data[:middle],
        b"".join(lines[:-1]),
        b"".join(lines[:5] + lines[6:]),
        data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
    ):
        with refused(StoreCorruptError, f"a damaged file, {damaged[:20]!r}..."):
            await bench.store.import_(damaged)
    with refused(StoreVersionError, "a file of a newer version") as caught:
        await bench.store.import_(data.replace(b'"loomgraph-run":1', b'"loomgraph-run":99', 1))
    expect(caught[0].found == 99, f"the error names version {caught[0].found}")
    expect((await bench.store.runs()).runs == [], "a refused file left a run")
    await bench.store.import_([data])


async def exporting_an_unknown_run_is_an_error(bench: Bench) -> None:
    with refused(UnknownRunError, "exporting a run that is not there"):
        await _copy(bench, "nowhere")


CHECKS: tuple[Check, ...] = (
    a_deleted_run_is_gone_with_what_only_it_held,
    very_many_values_of_one_batch_go_with_their_run,
    a_run_that_is_owned_is_not_deleted,
    pruning_keeps_the_newest,
    pruning_spares_what_was_updated_lately,
    an_exported_run_is_imported_as_it_was,
    a_damaged_export_is_refused_and_leaves_nothing,
    exporting_an_unknown_run_is_an_error,
)
