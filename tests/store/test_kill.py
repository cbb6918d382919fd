"""What a killed process leaves behind: a real process, a real SIGKILL, again and again on one file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import anyio
import pytest

from loomgraph.store.sqlite import SQLiteStore
from tests.processes import Child, skip_where_none
from tests.store.appending import BATCH, appends, event, value

pytestmark = pytest.mark.skipif(skip_where_none, reason="the process to be killed is forked, which needs POSIX")


def killed_after(path: Path, mode: str, life: str, count: int) -> dict[str, int]:
    """Let a process append until it has acknowledged so many batches, kill it, and say what it acknowledged."""
    acknowledged: dict[str, int] = {}
    with Child(appends, path, mode, life) as child:
        for _ in range(count):
            run_id, events = child.hear()
            acknowledged[run_id] = events
        child.kill()
        try:
            while True:
                run_id, events = child.hear()
                acknowledged[run_id] = events
        except (EOFError, OSError):  # or in the middle of a word
            return acknowledged


@pytest.mark.parametrize("mode", ["NORMAL", "FULL"])
def test_whatever_was_acknowledged_before_the_kill_is_there_and_whole(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "runs.db"
    acknowledged: dict[str, int] = {}
    for life, count in enumerate((1, 3, 70, 700)):
        acknowledged |= killed_after(path, mode, f"life{life}", count)
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
    assert len(acknowledged) >= 7

    async def check() -> None:
        async with SQLiteStore(path) as store:
            for run_id, count in acknowledged.items():
                found = await store.events(run_id)
                assert len(found) >= count
                assert len(found) % BATCH == 0, "a batch was written in part"
                assert found == [event(run_id, seq) for seq in range(len(found))]
                wanted = [value(run_id, seq) for seq in range(0, len(found), BATCH)]
                assert await store.values(v.digest for v in wanted) == {v.digest: v.data for v in wanted}

    anyio.run(check)
