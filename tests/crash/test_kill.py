"""A run killed with SIGKILL at any write, and resumed in another process, ends as if nothing had happened.

Real processes, a real database. What had finished when the process died is read from the log, and the side file says
what was called: nothing that finished is called again.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph.errors import UnknownRunError
from loomgraph.store.opening import open_store
from tests.crash.graphs import GRAPHS

ROOT = Path(__file__).parents[2]
# every so many writes; `make crash` says 1, which is every write
STRIDE = int(os.environ.get("LOOMGRAPH_CRASH_STRIDE", "3"))
LEASE = 0.05

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the process to be killed is forked, which needs POSIX")


class Zygote:
    """Talks to the process that forks the runs."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.crash.zygote"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ}
        )

    def run(self, folder: Path, graph: str, *, resume: bool = False, at: int = 0, after: bool = False) -> Any:
        """Run or resume in a process of its own, which dies at its `at`-th write."""
        order = {
            "graph": graph,
            "database": str(folder / "runs.db"),
            "calls": str(folder / "calls"),
            "resume": resume,
            "at": at,
            "after": after,
            "lease": LEASE,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        while True:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
            # the dead owner's lease still holds for a moment
            if "RunBusyError" not in answer.get("error", ""):
                return answer

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(timeout=30) == 0


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()


def calls(folder: Path) -> collections.Counter[str]:
    """How often each line stands in the side file."""
    path = folder / "calls"
    return collections.Counter(path.read_text(encoding="utf-8").splitlines() if path.exists() else [])


def finished(folder: Path) -> set[str]:
    """The keys of what the log says succeeded; the database is checked on the way."""
    path = folder / "runs.db"
    if not path.exists():
        return set()
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return anyio.run(_finished, str(path))


async def _finished(path: str) -> set[str]:
    store = open_store(f"sqlite:{path}")
    try:
        return {event.key for event in await store.events("run") if event.kind == "+"}
    except UnknownRunError:
        return set()
    finally:
        await store.close()


@pytest.mark.parametrize("graph", sorted(GRAPHS))
def test_a_run_killed_at_any_write_and_resumed_elsewhere_ends_as_if_nothing_had_happened(
    graph: str, zygote: Zygote, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    reference = zygote.run(whole, graph)
    assert "result" in reference, reference
    writes = reference["result"].pop("writes")
    once = calls(whole)
    for at in range(1 + writes % STRIDE, writes + 1, STRIDE):
        for after in (False, True):
            folder = tmp_path / f"{at}-{after}"
            folder.mkdir()
            assert zygote.run(folder, graph, at=at, after=after)["killed"]
            done, before = finished(folder), calls(folder)
            # killed before its first write, there is no run to go on with
            again = zygote.run(folder, graph, resume=at > 1 or after)
            assert "result" in again, (at, after, again)
            del again["result"]["writes"]
            assert again["result"] == reference["result"], (at, after)
            for line, count in (calls(folder) - before).items():
                assert line.split(" ")[0] not in done, f"{line} was called again ({count}) after write {at}"
            assert set(calls(folder)) == set(once)
