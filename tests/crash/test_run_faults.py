"""Claims about runs whose database fails under them: a clear error, nothing committed is lost, and the run goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph import END, START, Graph, Workflow
from loomgraph.errors import LogDamagedError, StoreCorruptError, StoreError, StoreLockedError
from loomgraph.store.sqlite import SQLiteStore
from tests.crash.three import OUTPUT, WHOLE, noted, nowhere, three_nodes
from tests.processes import Child, skip_where_none
from tests.store.locking import Locker

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(skip_where_none, reason="the process that disturbs is forked, which needs POSIX"),
]

# seconds that a database is kept locked once the run waits for it; `make crash` says 6
HELD = float(os.environ.get("LOOMGRAPH_CRASH_LOCKED", "0"))


def is_whole(path: Path) -> bool:
    """What SQLite says of the file."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        found: list[tuple[str]] = db.execute("PRAGMA integrity_check").fetchall()
    return found == [("ok",)]


# ---------------------------------------------------------------------- locks


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the runs of a test are."""
    return tmp_path / "runs.db"


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Where is noted what ran."""
    noted_in = tmp_path / "calls"
    noted_in.touch()
    return noted_in


async def test_a_database_that_another_process_keeps_locked_delays_a_run_and_does_not_fail_it(
    path: Path, calls: Path
) -> None:
    graph = three_nodes(calls)
    results: list[Any] = []
    stepping = anyio.Event()
    async with SQLiteStore(path) as store:
        with Locker(path) as other:

            def lock(where: str) -> None:
                if where == "in the step":
                    other.lock()
                    stepping.set()

            async def run() -> None:
                results.append(await graph.run(1, store=store, run_id="r", deps=lock))

            async with anyio.create_task_group() as group:
                group.start_soon(run)
                await stepping.wait()
                await anyio.wait_all_tasks_blocked()
                await anyio.sleep(HELD)
                # it waits: what it did is not in the log, and nothing that follows from it has begun
                assert [event.kind for event in await store.events("r")] == ["R", "s", "+", "s"]
                assert noted(calls) == WHOLE - Counter(["last"])
                other.unlock()
    assert results[0].output == OUTPUT
    assert noted(calls) == WHOLE
    assert is_whole(path)


async def test_a_database_that_stays_locked_ends_the_run_and_names_the_file_and_it_goes_on_later(
    path: Path, calls: Path
) -> None:
    graph = three_nodes(calls)
    with Locker(path) as other:

        def lock(where: str) -> None:
            if where == "in the step":
                other.lock()

        async with SQLiteStore(path, wait=0.05) as store:
            with pytest.raises(StoreLockedError) as caught:
                await graph.run(1, store=store, run_id="r", deps=lock)
        assert str(caught.value) == (
            f"sqlite:{path} was kept locked by another process for 0.05 s, so nothing was written. "
            f"Find who holds a transaction open, or give the store a larger wait=."
        )
        assert caught.value.__notes__ == [
            "Run 'r' stopped here: its log is durable up to event 4. Resume it from there once this is mended."
        ]
        other.unlock()
    async with SQLiteStore(path, clock=in_an_hour) as store:
        assert (await graph.resume("r", store=store, deps=nowhere)).output == OUTPUT
    assert noted(calls) == WHOLE + Counter(["middle", "pay"])
    assert is_whole(path)


def in_an_hour() -> float:
    """When every lease has run out."""
    return time.time() + 3600


# ---------------------------------------------------------------------- disks


TURNS = 60


def turn_text(number: int) -> str:
    """Some 4 kB that nothing can make smaller."""
    return "".join(hashlib.sha512(f"{number} {part}".encode()).hexdigest() for part in range(32))


def diary(calls: Path) -> Graph[list[str], list[str]]:
    """A loop that adds a text to a list in each turn, and notes which."""
    wf = Workflow("diary", input=list[str], output=list[str])

    @wf.node
    async def write(texts: list[str]) -> list[str]:
        with calls.open("a", encoding="utf-8") as file:
            file.write(f"{len(texts)}\n")
        return [*texts, turn_text(len(texts))]

    wf.edge(START, write)
    wf.edge(write, write, when=lambda texts: len(texts) < TURNS, label="more", cap=TURNS)
    wf.edge(write, END, when=lambda texts: len(texts) >= TURNS, label="enough")
    return wf.compile()


def fill(folder: Path, make_room: Callable[[], None]) -> dict[str, Any]:
    """Run it until the disk is full, make room and go on; what happened."""
    graph, path = diary(folder / "calls"), folder / "runs.db"
    told: dict[str, Any] = {"name": f"sqlite:{path}"}
    ahead = 0.0

    async def main() -> None:
        nonlocal ahead
        async with SQLiteStore(path, clock=lambda: time.time() + ahead) as store:
            try:
                await graph.run([], store=store, run_id="r")
            except StoreError as error:
                told["error"], told["message"] = type(error).__name__, str(error)
            kept = await store.events("r")
            told["finished"] = [event.kind for event in kept].count("+")
            told["whole"] = is_whole(path)
            make_room()
            ahead = 3600.0  # there was no room to give the lease up either
            result = await graph.resume("r", store=store)
            told["output"] = result.output == [turn_text(number) for number in range(TURNS)]
        async with SQLiteStore(path) as store:
            told["kept"] = (await store.events("r"))[: len(kept)] == kept
            told["output"] = told["output"] and (await graph.replay("r", store=store)).output == result.output

    anyio.run(main)
    told["calls"] = (folder / "calls").read_text(encoding="utf-8").split()
    told["whole"] = told["whole"] and is_whole(path)
    return told


def check_filled(told: dict[str, Any]) -> None:
    """What must be so after any full disk."""
    finished = told["finished"]
    assert 5 < finished < TURNS - 5, finished
    assert (told["whole"], told["kept"], told["output"]) == (True, True, True)
    # every turn ran once, but for the one whose end could not be written
    assert Counter(map(int, told["calls"])) == Counter(range(TURNS)) + Counter([finished])


def on_a_small_disk() -> None:
    """Said by a process of its own, in a folder that has little room and a ballast: see the test."""
    folder = Path(sys.argv[1])
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(1_400_000))
    sys.stdout.write(json.dumps(fill(folder, ballast.unlink)))


def test_a_full_disk_stops_a_run_and_room_is_all_it_needs_to_go_on(tmp_path: Path) -> None:
    # a disk of 2 MB of our own; needs user namespaces
    mount = f'mount -t tmpfs -o size=1900k tmpfs "{tmp_path}" && exec "$@"'
    enter = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces here, so no small disk to fill")
    code = "from tests.crash.test_run_faults import on_a_small_disk; on_a_small_disk()"
    command = [*enter, sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["error"] == "StoreFullError"
    assert told["message"] == (
        f"{told['name']} has no room left (database or disk is full, SQLITE_FULL); the last write was undone and "
        f"everything before it is kept. Make room, for instance with prune(), and resume the run."
    )
    check_filled(told)


def within_a_limit(parent: Connection, folder: Path) -> None:
    """The same with a limit on the size of files in place of a small disk."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    free = resource.RLIM_INFINITY
    parent.send(fill(folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (free, free))))


def test_a_limit_on_files_stops_a_run_and_lifting_it_is_all_it_needs_to_go_on(tmp_path: Path) -> None:
    with Child(within_a_limit, tmp_path) as child:
        told = child.hear()
    assert told["error"] == "StoreError"
    assert told["message"].startswith(f"{told['name']} could not be read or written (")
    assert told["message"].endswith("what was committed before is kept. Check the disk, its quota and its free space.")
    check_filled(told)


def without_rights(parent: Connection, path: Path, calls: Path, elsewhere: Path) -> None:
    """Go on with the run as somebody who may read the file and not write it."""

    async def main() -> None:
        # what is imported late is imported while it still may be read
        await three_nodes(calls.with_name("others")).run(1, store=f"sqlite:{elsewhere}", deps=nowhere)
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            await three_nodes(calls).resume("r", store=f"sqlite:{path}", deps=nowhere)
        except StoreError as error:
            parent.send((type(error).__name__, str(error)))

    anyio.run(main)


async def test_a_file_that_may_not_be_written_is_named_and_the_run_goes_on_once_it_may(
    tmp_path: Path, calls: Path
) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    path = folder / "runs.db"
    await left_in_the_middle(path, calls)
    before = path.read_bytes()
    open_up(folder)
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        with Child(without_rights, path, calls, tmp_path / "other.db") as child:
            name, message = child.hear()
    finally:
        folder.chmod(0o755)
        path.chmod(0o644)
    assert name == "StoreReadOnlyError"
    assert message.startswith(f"sqlite:{path} may not be written by this process (")
    assert message.endswith("Check who owns the file and its directory; SQLite writes files beside the database.")
    assert path.read_bytes() == before
    assert (await three_nodes(calls).resume("r", store=f"sqlite:{path}", deps=nowhere)).output == OUTPUT
    assert noted(calls) == WHOLE + Counter(["middle"])


def open_up(folder: Path) -> None:
    """Let other users get there: to the temporary folders of this session, which its other processes need too."""
    for parent in folder.parents:
        if parent == Path(tempfile.gettempdir()):
            return
        parent.chmod(0o755)


# ---------------------------------------------------------------------- damage


class Killed(BaseException):
    """Ends a run as the end of its process does, but for its lease."""


async def left_in_the_middle(path: Path, calls: Path) -> None:
    """A run that has its first node behind it, in a file that nobody has open."""

    def dies(where: str) -> None:
        raise Killed

    with pytest.raises(Killed):
        await three_nodes(calls).run(1, store=f"sqlite:{path}", run_id="r", deps=dies)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def refused(path: Path, calls: Path, error: type[Exception]) -> str:
    """What going on with the run says, which must change neither the file nor what ran."""
    before, ran = path.read_bytes(), noted(calls)
    with pytest.raises(error) as caught:
        await three_nodes(calls).resume("r", store=f"sqlite:{path}", deps=nowhere)
    assert path.read_bytes() == before
    assert noted(calls) == ran
    return str(caught.value)


async def test_a_truncated_or_damaged_database_is_named_and_left_alone_and_a_copy_of_it_goes_on(
    path: Path, calls: Path, tmp_path: Path
) -> None:
    await left_in_the_middle(path, calls)
    whole = path.read_bytes()
    half = len(whole) // 2 // 2048 * 2048
    damages = [
        whole[:half],
        whole[:-2048],
        b"SQLite format 3\0" + b"\xff" * (len(whole) - 16),
        whole[:half] + b"\xff" * (len(whole) - half),
        b"these are no runs\n" * 200,
    ]
    for damaged in damages:
        path.write_bytes(damaged)
        message = await refused(path, calls, StoreCorruptError)
        assert message.startswith(f"sqlite:{path} cannot be read: ")
        assert message.endswith(
            "Nothing was changed. Restore it from a copy, or save what can be saved with SQLite's '.recover'."
        )
    path.write_bytes(whole)
    assert (await three_nodes(calls).resume("r", store=f"sqlite:{path}", deps=nowhere)).output == OUTPUT
    assert noted(calls) == WHOLE + Counter(["middle"])
    assert is_whole(path)


async def test_an_event_or_a_value_that_is_not_what_was_written_is_named_and_a_copy_goes_on(
    path: Path, tmp_path: Path
) -> None:
    """What SQLite cannot notice: pages that are in order, with other bytes in them."""
    calls = tmp_path / "turns"
    graph = diary(calls)
    async with SQLiteStore(path) as store:
        await graph.run([], store=store, run_id="r")
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        rows: list[tuple[int, str | None, bytes]] = db.execute("SELECT id, kind, body FROM log").fetchall()
    whole, ran = path.read_bytes(), noted(calls)
    last = [id for id, kind, _ in rows if kind == "+"][-1]
    # the last list goes on from the rows of those before it; the first had too few items to be stored by its growth
    grown = [id for id, kind, body in rows if kind is None and body[:1] == b"L" and len(body) > 500][-1]
    alone = next(id for id, kind, body in rows if kind is None and body[:3] == b'J["' and len(body) > 500)
    for what, id in (("NodeSucceeded", last), ("value", grown), ("value", alone)):
        body = next(body for row, _, body in rows if row == id)
        other = body[:-3] + bytes([body[-3] ^ 1]) + body[-2:]
        for damaged in (body[:-1], bytes([body[0] ^ 1]) + body[1:], *([other, b""] if what == "value" else [])):
            with contextlib.closing(sqlite3.connect(path)) as db:
                db.execute("UPDATE log SET body = ? WHERE id = ?", (damaged, id))
                db.commit()
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with pytest.raises(LogDamagedError, match=f"{what}.* is not what was written: .* from a copy") as caught:
                # read when they are asked for
                _ = [record.output for record in (await graph.replay("r", store=f"sqlite:{path}")).activations]
            assert caught.value.where
            path.write_bytes(whole)
    assert (await graph.resume("r", store=f"sqlite:{path}")).output == [turn_text(number) for number in range(TURNS)]
    assert noted(calls) == ran
