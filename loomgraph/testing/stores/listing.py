"""Claims about listing runs: filters, order, paging."""

from __future__ import annotations

from typing import Any

from loomgraph.errors import StoreError
from loomgraph.store.protocol import Batch, RunFilter, Store
from loomgraph.testing.stores.bench import Bench, Check, events, expect, refused

__all__ = ["CHECKS"]


async def _ids(store: Store, **where: Any) -> list[str]:
    return [run.run_id for run in (await store.runs(RunFilter(**where))).runs]


async def runs_are_listed_newest_first(bench: Bench) -> None:
    expect(await _ids(bench.store) == [], "an empty store lists runs")
    for run_id, created in (("b", 20.0), ("a", 10.0), ("c", 30.0), ("b2", 20.0)):
        await bench.run(run_id, Batch(events(0, 3)), created=created)
    expect(await _ids(bench.store) == ["c", "b2", "b", "a"], f"{await _ids(bench.store)}")
    page = await bench.store.runs()
    expect(page.cursor is None, "there is a cursor behind the last run")
    expect([run.events for run in page.runs] == [3] * 4, "the events are not counted")
    expect(page.runs[0] == await bench.store.load("c"), "the listed header is not the loaded one")


async def runs_are_filtered(bench: Bench) -> None:
    await bench.run("a", created=1.0, graph="g", user_id="u", status="failed")
    await bench.run("b", created=2.0, graph="g", session_id="s", status="succeeded")
    await bench.run("c", created=3.0, graph="h", user_id="u", parent="a")
    await bench.run("d", created=4.0, graph="h", session_id="s", parent="a", status="failed")
    for where, wanted in (
        ({"status": ["failed"]}, "da"),
        ({"status": ("failed", "running")}, "dca"),
        ({"graph": "g"}, "ba"),
        ({"user_id": "u"}, "ca"),
        ({"session_id": "s"}, "db"),
        ({"parent": "a"}, "dc"),
        ({"created_from": 2.0}, "dcb"),
        ({"created_before": 2.0}, "a"),
        ({"created_from": 2.0, "created_before": 4.0}, "cb"),
        ({"graph": "h", "user_id": "u", "status": ["running"]}, "c"),
        ({"graph": "nowhere"}, ""),
    ):
        found = "".join(await _ids(bench.store, **where))
        expect(found == wanted, f"{where} gave {found!r}, not {wanted!r}")


async def paging_visits_every_run_once_whatever_happens_meanwhile(bench: Bench) -> None:
    for i in range(23):
        await bench.run(f"r{i}", created=float(i // 4), graph="gh"[i % 2])
    whole = await _ids(bench.store)
    expect(len(whole) == 23, f"{len(whole)} of 23 runs on the first page")
    seen: list[str] = []
    cursor: str | None = None
    pages = 0
    while True:
        page = await bench.store.runs(limit=5, cursor=cursor)
        seen += [run.run_id for run in page.runs]
        pages += 1
        cursor = page.cursor
        if cursor is None:
            break
        # newer ones, and the very run that the cursor stands behind
        await bench.run(f"new{pages}", created=1_000.0 + pages)
        bench.clock.advance(100.0)
        await bench.store.delete(page.runs[-1].run_id)
    expect(seen == whole, f"paging gave {seen}, not {whole}")
    expect(pages == 5, f"{pages} pages of 5 for 23 runs")


async def paging_keeps_to_the_filter(bench: Bench) -> None:
    for i in range(12):
        await bench.run(f"r{i}", created=float(i), graph="gh"[i % 2])
    first = await bench.store.runs(RunFilter(graph="g"), limit=4)
    second = await bench.store.runs(RunFilter(graph="g"), limit=4, cursor=first.cursor)
    found = [run.run_id for run in (*first.runs, *second.runs)]
    expect(found == ["r10", "r8", "r6", "r4", "r2", "r0"], f"{found}")
    expect(second.cursor is None, "there is a cursor behind the last run")


async def a_cursor_that_no_page_gave_is_refused(bench: Bench) -> None:
    await bench.run()
    for cursor in ("", "nonsense", "1.0", "1.0~x"):
        with refused(StoreError, f"the cursor {cursor!r}"):
            await bench.store.runs(cursor=cursor)


CHECKS: tuple[Check, ...] = (
    runs_are_listed_newest_first,
    runs_are_filtered,
    paging_visits_every_run_once_whatever_happens_meanwhile,
    paging_keeps_to_the_filter,
    a_cursor_that_no_page_gave_is_refused,
)
