"""What goes wrong around a SQLite file: locks, damage, other programs. Each its own error, and nothing is lost.

Full disks and files that may not be written are in `tests/crash/test_run_faults.py`, where runs meet them.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import anyio
import pytest

from loomgraph.errors import (
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreVersionError,
    UnknownRunError,
)
from loomgraph.store.protocol import Batch, Lease, RunHeader, StoredEvent, StoredValue
from loomgraph.store.sqlite import SQLiteStore
from tests.processes import skip_where_none
from tests.store.locking import locked


def _header(run_id: str = "r") -> RunHeader:
    return RunHeader(run_id=run_id, graph="g", fingerprint="f", created=1.0)


def _event(seq: int, body: bytes = b"") -> StoredEvent:
    return StoredEvent(seq, 1.0, "k", "", body)


async def _fill(path: Path, batches: int = 300) -> Lease:
    async with SQLiteStore(path) as store:
        lease = await store.create(_header(), owner="me", ttl=60.0)
        for seq in range(batches):
            digest = seq.to_bytes(16, "big")
            await store.append(lease, Batch([_event(seq)], [StoredValue(digest, digest * 40)]))
        return lease


@pytest.mark.skipif(skip_where_none, reason="the process that locks it is forked, which needs POSIX")
@pytest.mark.anyio
async def test_a_database_that_another_process_keeps_locked_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    lease = await _fill(path, 1)
    async with SQLiteStore(path) as store:
        with locked(path) as other:
            async with anyio.create_task_group() as group:
                group.start_soon(store.append, lease, Batch([_event(1)]))
                await anyio.wait_all_tasks_blocked()
                # reading goes on meanwhile, and shows what is committed
                assert len(await store.events("r")) == 1
                other.unlock()
        assert len(await store.events("r")) == 2


@pytest.mark.skipif(skip_where_none, reason="the process that locks it is forked, which needs POSIX")
@pytest.mark.anyio
async def test_a_database_that_stays_locked_past_the_deadline_is_an_error_that_says_how_long(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    lease = await _fill(path, 1)
    async with SQLiteStore(path, wait=0.05) as store:
        with locked(path), pytest.raises(StoreLockedError, match=r"runs\.db was kept locked .* for 0\.05 s"):
            await store.append(lease, Batch([_event(1)]))
        await store.append(lease, Batch([_event(1)]))
        assert len(await store.events("r")) == 2


@pytest.mark.anyio
async def test_a_file_that_is_no_database_is_corrupt_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.write_text("these are not the runs you are looking for\n" * 100)
    before = path.read_bytes()
    store = SQLiteStore(path)
    for _ in range(2):
        with pytest.raises(StoreCorruptError, match="not a database"):
            await store.load("r")
    await store.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
@pytest.mark.anyio
async def test_a_truncated_database_is_corrupt_for_readers_and_writers(tmp_path: Path, part: float) -> None:
    path = tmp_path / "runs.db"
    lease = await _fill(path)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * part) // 2048 * 2048)
    store = SQLiteStore(path)
    with pytest.raises(StoreCorruptError):
        await store.events("r")
    with pytest.raises(StoreCorruptError):
        await store.append(lease, Batch([_event(300)]))
    await store.close()


@pytest.mark.anyio
async def test_a_damaged_page_is_corrupt_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    await _fill(path)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 2048 * 2048)
        file.write(b"\xff" * 2048 * 8)
    async with SQLiteStore(path) as store:
        assert (await store.load("r")).events == 300
        with pytest.raises(StoreCorruptError, match="malformed"):
            await store.events("r")


@pytest.mark.anyio
async def test_a_file_of_a_newer_version_is_refused_by_number(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    await _fill(path, 1)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    store = SQLiteStore(path)
    with pytest.raises(StoreVersionError, match="format version 99, and this loomgraph reads up to version 1"):
        await store.load("r")
    await store.close()


@pytest.mark.anyio
async def test_a_database_of_another_program_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs (x)")
    connection.close()
    before = path.read_bytes()
    store = SQLiteStore(path)
    with pytest.raises(StoreError, match="another program"):
        await store.load("r")
    await store.close()
    assert path.read_bytes() == before


@pytest.mark.anyio
async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "no" / "runs.db")
    with pytest.raises(StoreError, match=r"there is no folder '.*no'"):
        await store.load("r")
    (tmp_path / "no").mkdir()
    with pytest.raises(UnknownRunError):
        await store.load("r")
    await store.close()
