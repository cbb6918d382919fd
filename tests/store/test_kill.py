"""What a killed process leaves behind: a real process, a real SIGKILL, again and again on one file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from loomgraph.store.sqlite import SQLiteStore
from tests.store.appending import BATCH, event, value

ROOT = Path(__file__).parents[2]


def _kill_after(path: Path, mode: str, life: str, lines: int) -> dict[str, int]:
    """Let a process append until it has acknowledged so many batches, kill it, and say what it acknowledged."""
    command = [sys.executable, "-m", "tests.store.appending", str(path), mode, life]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.readlines()
    assert process.returncode < 0, "the process was to be killed, not to end"
    acknowledged: dict[str, int] = {}
    for line in said:
        if line.endswith("\n"):
            run_id, count = line.split()
            acknowledged[run_id] = int(count)
    return acknowledged


@pytest.mark.parametrize("mode", ["NORMAL", "FULL"])
@pytest.mark.anyio
async def test_whatever_was_acknowledged_before_the_kill_is_there_and_whole(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "runs.db"
    acknowledged: dict[str, int] = {}
    for life, lines in enumerate((1, 3, 70, 700)):
        acknowledged |= _kill_after(path, mode, f"life{life}", lines)
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
    assert len(acknowledged) >= 7
    async with SQLiteStore(path) as store:
        for run_id, count in acknowledged.items():
            found = await store.events(run_id)
            assert len(found) >= count
            assert len(found) % BATCH == 0, "a batch was written in part"
            assert found == [event(run_id, seq) for seq in range(len(found))]
            wanted = [value(run_id, seq) for seq in range(0, len(found), BATCH)]
            assert await store.values(v.digest for v in wanted) == {v.digest: v.data for v in wanted}
