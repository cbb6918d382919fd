"""What a SQLite store costs: bytes, threads and transactions; and where one store object may be used."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from loomgraph import END, START, Graph, Workflow
from loomgraph.errors import StoreError
from loomgraph.store.protocol import Batch, Lease, RunHeader, Store, StoredEvent, StoredValue, prompt_append
from loomgraph.store.sqlite import SQLiteStore
from tests.processes import Child, skip_where_none

ROOT = Path(__file__).parents[2]


def _header(run_id: str = "r") -> RunHeader:
    return RunHeader(run_id=run_id, graph="g", fingerprint="f", created=1.0)


def _event(seq: int, body: bytes = b'{"a":1}') -> StoredEvent:
    return StoredEvent(seq, 1.5e9 + seq, "NodeStarted", f"draft#{seq // 3}", body)


async def _turns(path: Path, turns: int, size: int) -> int:
    """A run of so many turns, each three small events and one value of `size` bytes; the size of the file."""
    async with SQLiteStore(path) as store:
        lease = await store.create(_header(), owner="me", ttl=60.0)
        for turn in range(turns):
            value = StoredValue(os.urandom(16), os.urandom(size))
            await store.append(lease, Batch([_event(3 * turn + i) for i in range(3)], [value]))
    assert [file.name for file in path.parent.iterdir()] == [path.name], "closing leaves the database alone"
    return path.stat().st_size


@pytest.mark.anyio
async def test_a_thousand_turns_of_500_bytes_take_under_900_kilobytes(tmp_path: Path) -> None:
    for name in ("half", "whole"):
        (tmp_path / name).mkdir()
    half = await _turns(tmp_path / "half" / "runs.db", 500, 500)
    whole = await _turns(tmp_path / "whole" / "runs.db", 1_000, 500)
    assert whole < 900_000
    assert whole < 2.2 * half


@pytest.mark.parametrize("size", [500, 600, 700, 1_000, 1_300, 2_000, 2_100, 3_000])
@pytest.mark.anyio
async def test_values_of_any_size_take_less_than_twice_their_bytes(tmp_path: Path, size: int) -> None:
    assert await _turns(tmp_path / "runs.db", 300, size) < 2 * 300 * size


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts written bytes as Linux does")
@pytest.mark.anyio
async def test_a_thousand_turns_write_under_12_megabytes(tmp_path: Path) -> None:
    def written() -> int:
        fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return int(fields["wchar"])

    before = written()
    await _turns(tmp_path / "runs.db", 1_000, 500)
    assert written() - before < 12_000_000


class _WhereClock:
    """The time, and on which thread it was asked for: a lease is renewed inside its transaction."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def __call__(self) -> float:
        self.threads.append(threading.get_ident())
        return time.time()


@pytest.mark.anyio
async def test_a_small_write_is_committed_where_it_was_awaited(tmp_path: Path) -> None:
    clock = _WhereClock()
    async with SQLiteStore(tmp_path / "runs.db", clock=clock) as store:
        lease = await store.create(_header(), owner="me", ttl=60.0)
        for _ in range(50):
            await store.renew(lease, 60.0)
    # a commit that the disk held up sends those after it elsewhere
    assert clock.threads.count(threading.get_ident()) > 0


@pytest.mark.anyio
async def test_what_may_take_long_is_committed_elsewhere(tmp_path: Path) -> None:
    clock = _WhereClock()
    async with SQLiteStore(tmp_path / "full.db", synchronous="FULL", clock=clock) as store:
        await store.create(_header(), owner="me", ttl=60.0)
    async with SQLiteStore(tmp_path / "runs.db", clock=clock) as store:
        large = Batch([_event(0, bytes(100_000))])
        lease = await store.create(_header(), large, owner="me", ttl=-1.0)
        await store.append(lease, Batch([_event(1, bytes(100_000))]))
        await store.delete("r")
    assert len(clock.threads) == 3
    assert threading.get_ident() not in clock.threads


def _commits(path: Path) -> int:
    """How many transactions are in the write-ahead log: frames that say how large the database is after them."""
    log = Path(f"{path}-wal").read_bytes()
    page = int.from_bytes(log[8:12], "big")
    salt = log[16:24]
    frames = [log[start : start + 24] for start in range(32, len(log), 24 + page)]
    return sum(frame[4:8] != bytes(4) and frame[8:16] == salt for frame in frames)


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
@pytest.mark.anyio
async def test_writes_that_wait_together_share_a_transaction(tmp_path: Path, synchronous: str) -> None:
    path = tmp_path / "runs.db"
    async with SQLiteStore(path, synchronous="FULL" if synchronous == "FULL" else "NORMAL") as store:
        leases: list[Lease] = [await store.create(_header(f"r{i}"), owner="me", ttl=60.0) for i in range(100)]
        before = _commits(path)
        async with anyio.create_task_group() as group:
            for lease in leases:
                group.start_soon(store.append, lease, Batch([_event(0)]))
        assert _commits(path) - before <= 5
        for lease in leases:
            assert await store.events(lease.run_id) == [_event(0)]


@pytest.mark.anyio
async def test_a_lone_writer_need_not_wait_for_anybody(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with SQLiteStore(path) as store:
        lease = await store.create(_header(), owner="me", ttl=60.0)
        before = _commits(path)
        at_once = 0
        for seq in range(100):
            if store.append_now(lease, Batch([_event(seq)])):
                at_once += 1
                # before it returned, so before anything else of this process ran
                assert _commits(path) - before == seq + 1
            else:
                await store.append(lease, Batch([_event(seq)]))
        assert at_once > 0
        assert len(await store.events("r")) == 100


@pytest.mark.anyio
async def test_writers_that_never_wait_still_find_each_other(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"

    async def work(run_id: str) -> None:
        lease = await store.create(_header(run_id), owner="me", ttl=60.0)
        for seq in range(200):
            if not store.append_now(lease, Batch([_event(seq)])):
                await store.append(lease, Batch([_event(seq)]))

    async with SQLiteStore(path) as store:
        await store.create(_header("first"), owner="me", ttl=60.0)
        before = _commits(path)
        async with anyio.create_task_group() as group:
            for i in range(10):
                group.start_soon(work, f"r{i}")
        # of 2_000 writes; trio wakes tasks in any order, so not every group has all ten
        assert _commits(path) - before < 1_000


@pytest.mark.anyio
async def test_whoever_wraps_append_sees_every_write(tmp_path: Path) -> None:
    class Watched(SQLiteStore):
        async def append(self, lease: Lease, batch: Batch) -> None:
            seen.append(batch)
            await super().append(lease, batch)

    class Passing:
        def __init__(self, inner: SQLiteStore) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        async def append(self, lease: Lease, batch: Batch) -> None:
            seen.append(batch)
            await self.inner.append(lease, batch)

    wf = Workflow("two", input=int, output=int)
    wf.chain(START, wf.node(_more, name="a"), wf.node(_more, name="b"), END)
    graph = wf.compile()
    seen: list[Batch] = []
    async with Watched(tmp_path / "watched.db") as watched, SQLiteStore(tmp_path / "passing.db") as inner:
        assert prompt_append(inner) is not None
        for store in (watched, cast("Store", Passing(inner))):
            seen.clear()
            result = await graph.run(0, store=store)
            stored = await store.events(result.run_id)
            assert [event for batch in seen for event in batch.events] == stored[1:]


async def _more(x: int) -> int:
    return x + 1


class _Traced(SQLiteStore):
    """Notes every statement of its writing connection."""

    statements: list[str]

    def _connect(self) -> None:
        super()._connect()
        assert self._connection is not None
        self.statements = []
        self._connection.set_trace_callback(self.statements.append)


def _chained(length: int) -> Graph[int, int]:
    wf = Workflow("chain", input=int, output=int)
    wf.chain(START, *(wf.node(_more, name=f"n{i}") for i in range(length)), END)
    return wf.compile()


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
@pytest.mark.anyio
async def test_a_step_costs_one_commit_of_few_statements(tmp_path: Path, synchronous: str) -> None:
    async with _Traced(tmp_path / "runs.db", synchronous="FULL" if synchronous == "FULL" else "NORMAL") as store:
        await _chained(100).run(0, store=store)
    text = "\n".join(statement.partition(" (")[0] for statement in store.statements)
    begins = [part.splitlines() for part in text.split("BEGIN IMMEDIATE\n")[1:]]
    # "finished n" and "started n + 1" travel together; before them comes the question whose run it is
    step = ["SELECT token, owner,", "INSERT INTO log", "INSERT INTO log", "COMMIT"]
    assert begins.count(step) >= 99
    assert len(begins) < 106


@pytest.mark.anyio
async def test_items_of_a_map_share_commits(tmp_path: Path) -> None:
    wf = Workflow("map", input=list[int], output=list[int])
    wf.edge(wf.map(START, wf.node(_more)), END)
    async with _Traced(tmp_path / "runs.db") as store:
        await wf.compile().run(list(range(500)), store=store)
        assert store.statements.count("COMMIT") < 250


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
@pytest.mark.anyio
async def test_a_write_that_cannot_be_made_does_not_take_its_neighbours_down(tmp_path: Path, synchronous: str) -> None:
    failed: list[str] = []

    async def append(lease: Lease, event: StoredEvent) -> None:
        try:
            await store.append(lease, Batch([event]))
        except UnicodeEncodeError:
            failed.append(lease.run_id)

    async with SQLiteStore(tmp_path / "runs.db", synchronous="FULL" if synchronous == "FULL" else "NORMAL") as store:
        leases = [await store.create(_header(f"r{i}"), owner="me", ttl=60.0) for i in range(10)]
        async with anyio.create_task_group() as group:
            for lease in leases:
                bad = lease.run_id == "r3"
                group.start_soon(append, lease, _event(0)._replace(key="\ud800") if bad else _event(0))
        assert failed == ["r3"]
        for lease in leases:
            assert len(await store.events(lease.run_id)) == (lease.run_id != "r3")


def test_one_store_serves_one_event_loop_after_the_other(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "runs.db")

    async def create(run_id: str) -> None:
        await store.create(_header(run_id), owner="me", ttl=60.0)

    async def cut_short() -> None:
        asyncio.get_running_loop().call_soon(lambda: task.cancel())
        task = asyncio.ensure_future(create("maybe"))
        await asyncio.wait([task])

    asyncio.run(create("a"))
    asyncio.run(cut_short())
    anyio.run(create, "b", backend="trio")
    asyncio.run(create("c"))

    async def check() -> None:
        assert {run.run_id for run in (await store.runs()).runs} - {"maybe"} == {"a", "b", "c"}
        await store.close()

    asyncio.run(check())


def forks_itself(parent: Connection, path: Path) -> None:
    """Open a store, fork, and say what the child makes of it."""
    store = SQLiteStore(path)
    anyio.run(lambda: store.create(_header(), owner="me", ttl=60.0))
    child = os.fork()
    if child == 0:
        for use in (lambda: store.load("r"), lambda: store.acquire("r", "me", 60.0)):
            try:
                anyio.run(use)
                os._exit(9)
            except StoreError as error:
                if "was opened before this process was forked off. Open it again in here." not in str(error):
                    os._exit(8)
        os._exit(7)
    parent.send(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


@pytest.mark.skipif(skip_where_none, reason="there is no fork on this platform")
def test_a_store_does_not_survive_a_fork(tmp_path: Path) -> None:
    with Child(forks_itself, tmp_path / "runs.db") as child:
        assert child.hear() == 7


def test_one_store_serves_event_loops_on_several_threads(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "runs.db")
    failed: list[BaseException] = []

    async def write(run_id: str) -> None:
        lease = await store.create(_header(run_id), owner="me", ttl=60.0)
        for seq in range(200):
            batch = Batch([_event(seq)])
            if not store.append_now(lease, batch):
                await store.append(lease, batch)

    def work(i: int) -> None:
        try:
            anyio.run(write, f"r{i}", backend=("asyncio", "trio")[i % 2])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []

    async def check() -> None:
        for i in range(4):
            assert await store.events(f"r{i}") == [_event(seq) for seq in range(200)]
        await store.close()

    anyio.run(check)


@pytest.mark.anyio
async def test_a_read_of_several_queries_shows_one_moment(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "runs.db") as store:
        await store.create(_header(), owner="me", ttl=60.0)

        def query(db: sqlite3.Connection) -> list[int]:
            first = db.execute("SELECT count(*) FROM runs").fetchone()[0]
            other = sqlite3.connect(tmp_path / "runs.db")
            other.execute("DELETE FROM runs")
            other.commit()
            other.close()
            return [first, db.execute("SELECT count(*) FROM runs").fetchone()[0]]

        assert await store._read(query) == [1, 1]


@pytest.mark.anyio
async def test_closing_finishes_what_is_waiting(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = SQLiteStore(path, synchronous="FULL")
    lease = await store.create(_header(), owner="me", ttl=60.0)
    async with anyio.create_task_group() as group:
        group.start_soon(store.append, lease, Batch([_event(0)]))
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        await store.close()
    async with SQLiteStore(path) as again:
        assert len(await again.events("r")) == 1
    with pytest.raises(StoreError, match="closed"):
        await store.append(lease, Batch([_event(1)]))


def test_nothing_loads_a_database_before_a_store_is_asked_for() -> None:
    code = (
        "import sys, loomgraph, loomgraph.store.opening, loomgraph.store.memory, loomgraph.store.transfer\n"
        "print(sorted({'sqlite3', 'sqlite_utils', 'psycopg'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
