"""What going on with a run costs before its first node starts: one read, one commit to own it, one to begin."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loomgraph import END, START, Graph, Workflow
from loomgraph.errors import NodeFailedError
from loomgraph.store.protocol import Message, RunHeader, StoredEvent
from loomgraph.store.sqlite import SQLiteStore
from loomgraph.store.sqlite import store as sqlite_store


class OneRead(SQLiteStore):
    """A store that is read whole, and counts it."""

    reads = 0

    async def whole(self, run_id: str) -> Any:
        self.reads += 1
        return await super().whole(run_id)

    async def load(self, run_id: str) -> RunHeader:
        raise AssertionError("the header was read apart")

    async def events(self, run_id: str, start: int = 0, stop: int | None = None) -> list[StoredEvent]:
        raise AssertionError("the events were read apart")

    async def digests(self, run_id: str, stop: int | None = None) -> list[bytes]:
        raise AssertionError("the values were read apart")

    async def inbox(self, run_id: str, after: int = 0) -> list[Message]:
        raise AssertionError("the inbox was read apart")


def graph_of(steps: int, said: Callable[[], None]) -> Graph[int, int]:
    """A chain whose last node fails at first, and calls `said` each time."""
    calls: list[int] = []

    async def step(x: int) -> int:
        return x + 1

    async def last(x: int) -> int:
        said()
        calls.append(x)
        if len(calls) == 1:
            raise RuntimeError("not yet")
        return x

    wf = Workflow("chain", input=int, output=int)
    wf.chain(START, *(wf.node(step, name=f"n{i}") for i in range(steps)), last, END)
    return wf.compile()


async def failed(graph: Graph[int, int], store: SQLiteStore) -> None:
    with pytest.raises(NodeFailedError):
        await graph.run(0, store=store, run_id="r")


@pytest.mark.anyio
async def test_a_run_that_goes_on_is_read_once(tmp_path: Path) -> None:
    graph = graph_of(3, lambda: None)
    async with OneRead(tmp_path / "runs.db") as store:
        await failed(graph, store)
        assert (await graph.resume("r", store=store)).output == 3
        assert store.reads == 1


@pytest.mark.anyio
async def test_going_on_takes_two_commits_however_long_the_log_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def connect(path: Path, timeout: float) -> sqlite3.Connection:
        made = original(path, timeout)
        made.set_trace_callback(told.append)
        return made

    original = sqlite_store.connect
    monkeypatch.setattr(sqlite_store, "connect", connect)
    statements: list[list[str]] = []
    for steps in (5, 60):
        at_node: list[list[str]] = []
        graph = graph_of(steps, lambda found=at_node: found.append(list(told)))  # type: ignore[misc]
        async with SQLiteStore(tmp_path / f"{steps}.db") as store:
            await failed(graph, store)
            told.clear()
            await graph.resume("r", store=store)
        statements.append(at_node[-1])
    few, many = statements
    assert len(few) == len(many)
    assert [text.split()[0] for text in many if text.startswith(("BEGIN", "COMMIT"))] == ["BEGIN", "COMMIT"] * 3
    assert sum(text == "BEGIN IMMEDIATE" for text in many) == 2


@pytest.mark.anyio
async def test_a_file_that_is_up_to_date_is_opened_without_the_library_that_makes_it_so(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with SQLiteStore(path) as store:
        await failed(graph_of(3, lambda: None), store)
    code = (
        "import asyncio, sys\n"
        "from loomgraph.store.sqlite import SQLiteStore\n"
        "async def main():\n"
        f"    async with SQLiteStore({str(path)!r}) as store:\n"
        "        assert (await store.whole('r')).header.status == 'failed'\n"
        "        await store.release(await store.acquire('r', 'me', 60.0))\n"
        "asyncio.run(main())\n"
        "print('sqlite_utils' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
