"""A store with synchronous="FULL" has room in its write-ahead log before it is needed, and writes over it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from loomgraph import END, START, Graph, Workflow
from loomgraph.store.sqlite import SQLiteStore
from loomgraph.store.sqlite.room import ROOM, make_room
from loomgraph.store.sqlite.schema import connect

_FRAME = 2_072


def _log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


async def _more(x: int) -> int:
    return x + 1


def _chain(steps: int) -> Graph[int, int]:
    wf = Workflow("chain", input=int, output=int)
    wf.chain(START, *(wf.node(_more, name=f"n{i}") for i in range(steps)), END)
    return wf.compile()


def _frames(path: Path) -> int:
    """How many pages the log holds; moves them into the database."""
    with closing(sqlite3.connect(path)) as db:
        _, pages, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(pages)


@pytest.mark.anyio
async def test_the_log_does_not_grow_by_a_step(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with SQLiteStore(path, synchronous="FULL") as store:
        room = _log(path).stat().st_size
        assert room >= ROOM
        await _chain(120).run(0, store=store)
        assert _log(path).stat().st_size == room
        await _chain(300).run(0, store=store)  # more than there is room for, so it was moved into the database
        assert _log(path).stat().st_size < room + 20 * _FRAME


@pytest.mark.anyio
async def test_a_step_writes_little_more_than_one_page(tmp_path: Path) -> None:
    frames: list[int] = []
    for steps in (20, 120):
        path = tmp_path / f"{steps}.db"
        async with SQLiteStore(path, synchronous="FULL") as store:
            await _chain(steps).run(0, store=store)
            frames.append(_frames(path))
    few, many = frames
    assert 100 <= many - few <= 140


@pytest.mark.anyio
async def test_room_leaves_nothing_in_the_database(tmp_path: Path) -> None:
    path, copy = tmp_path / "runs.db", tmp_path / "copy.db"
    async with SQLiteStore(path, synchronous="FULL") as store:
        await _chain(5).run(0, store=store, run_id="r")
        # what a power cut leaves behind
        shutil.copy(path, copy)
        shutil.copy(_log(path), _log(copy))
        events = await store.events("r")
    async with SQLiteStore(copy, synchronous="FULL") as store:
        assert await store.events("r") == events
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) FROM log WHERE id < 0").fetchone() == (0,)
        assert db.execute("PRAGMA page_count").fetchone()[0] < 40


@pytest.mark.anyio
async def test_room_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with SQLiteStore(path):
        pass
    with closing(connect(path, 0.0)) as writes, closing(connect(path, 0.0)) as opens:
        writes.execute("BEGIN IMMEDIATE")
        make_room(opens, path)
        assert not opens.in_transaction
        assert _log(path).stat().st_size < ROOM
        writes.execute("ROLLBACK")
        make_room(opens, path)
        size = _log(path).stat().st_size
        assert size >= ROOM
        make_room(opens, path)
        assert _log(path).stat().st_size == size


@pytest.mark.anyio
async def test_a_full_disk_is_told_by_the_first_write_and_not_by_opening(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with SQLiteStore(path):
        pass
    with closing(connect(path, 0.0)) as opens:
        opens.execute("PRAGMA max_page_count = 20")
        make_room(opens, path)
        assert not opens.in_transaction
        assert opens.execute("PRAGMA cache_size").fetchone()[0] < 0
