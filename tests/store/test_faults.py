"""What goes wrong around a SQLite file: locks, full disks, rights, damage. Each its own error, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
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

ROOT = Path(__file__).parents[2]


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


@contextmanager
def _locked(path: Path) -> Generator[subprocess.Popen[str]]:
    """Another process in the middle of a write; it ends the write when a line is sent to it."""
    code = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('BEGIN IMMEDIATE'); db.execute('UPDATE leases SET expires = expires')\n"
        "print('locked', flush=True); sys.stdin.readline()\n"
        "db.execute('COMMIT'); db.close()\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        if process.poll() is None and not process.stdin.closed:
            process.stdin.close()


@pytest.mark.anyio
async def test_a_database_that_another_process_keeps_locked_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    lease = await _fill(path, 1)
    async with SQLiteStore(path) as store:
        with _locked(path) as other:
            async with anyio.create_task_group() as group:
                group.start_soon(store.append, lease, Batch([_event(1)]))
                await anyio.wait_all_tasks_blocked()
                # reading goes on meanwhile, and shows what is committed
                assert len(await store.events("r")) == 1
                assert other.stdin is not None
                other.stdin.close()
        assert len(await store.events("r")) == 2


@pytest.mark.anyio
async def test_a_database_that_stays_locked_past_the_deadline_is_an_error_that_says_how_long(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    lease = await _fill(path, 1)
    async with SQLiteStore(path, wait=0.05) as store:
        with _locked(path), pytest.raises(StoreLockedError, match=r"runs\.db was kept locked .* for 0\.05 s"):
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


_FILL = """
import json, os, sys, anyio
from loomgraph.errors import StoreError
from loomgraph.store.protocol import Batch, RunHeader, StoredEvent
from loomgraph.store.sqlite import SQLiteStore

def batch(seq):
    return Batch([StoredEvent(seq, 1.0, "k", "", os.urandom(4000))])

async def main(folder):
    ballast = os.path.join(folder, "ballast")
    with open(ballast, "wb") as file:
        file.write(bytes(200_000))
    told = {"acknowledged": 0}
    async with SQLiteStore(os.path.join(folder, "runs.db")) as store:
        lease = await store.create(RunHeader(run_id="r", graph="g", fingerprint="f", created=1.0), owner="me", ttl=60.0)
        try:
            while True:
                await store.append(lease, batch(told["acknowledged"]))
                told["acknowledged"] += 1
        except StoreError as error:
            told["error"], told["message"] = type(error).__name__, str(error)
        told["kept"] = len(await store.events("r"))
        os.remove(ballast)
        MAKE_ROOM
        await store.append(lease, batch(told["acknowledged"]))
        told["after"] = len(await store.events("r"))
    async with SQLiteStore(os.path.join(folder, "runs.db")) as store:
        told["reopened"] = len(await store.events("r"))
    import sqlite3
    told["integrity"] = sqlite3.connect(os.path.join(folder, "runs.db")).execute("PRAGMA integrity_check").fetchone()[0]
    print(json.dumps(told))
"""


def test_a_full_disk_is_an_error_and_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    # a disk of 2 MB of our own; needs user namespaces
    mount = f'mount -t tmpfs -o size=2m tmpfs "{tmp_path}" && exec "$@"'
    enter = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces here, so no small disk to fill")
    code = _FILL.replace("MAKE_ROOM", "") + f"anyio.run(main, {str(tmp_path)!r})"
    done = subprocess.run([*enter, sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["error"] == "StoreFullError"
    assert "no room left" in told["message"]
    assert told["acknowledged"] > 50
    assert told["kept"] == told["acknowledged"]
    assert told["reopened"] == told["after"] == told["acknowledged"] + 1
    assert told["integrity"] == "ok"


def test_a_limit_on_the_size_of_files_is_an_error_and_loses_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits on files are a POSIX matter")
    assert resource is not None
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, resource.RLIM_INFINITY))\n"
    room = "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)"
    code = limit + _FILL.replace("MAKE_ROOM", room) + f"anyio.run(main, {str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["error"] == "StoreError"
    assert "Check the disk, its quota and its free space" in told["message"]
    assert told["kept"] == told["acknowledged"] > 50
    assert told["reopened"] == told["after"] == told["acknowledged"] + 1
    assert told["integrity"] == "ok"


_READ_ONLY = """
import os, sys, anyio
from loomgraph.errors import StoreError
from loomgraph.store.protocol import Batch, Lease, RunHeader, StoredEvent
from loomgraph.store.sqlite import SQLiteStore

async def warm():
    # loads everything that is loaded late while it still may be read
    async with SQLiteStore(sys.argv[2]) as store:
        await store.create(RunHeader(run_id="r", graph="g", fingerprint="f", created=1.0), owner="me", ttl=60.0)
        await store.load("r")

async def main():
    store = SQLiteStore(sys.argv[1])
    try:
        await store.append(Lease("r", "me", 1 << 32 | 1, 0.0), Batch([StoredEvent(1, 1.0, "k", "", b"")]))
    except StoreError as error:
        print(type(error).__name__)
    await store.close()

anyio.run(warm)
if os.geteuid() == 0:
    os.setuid(65534)
anyio.run(main)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights on files are a POSIX matter")
@pytest.mark.anyio
async def test_a_database_that_may_not_be_written_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    path = folder / "runs.db"
    await _fill(path, 1)
    # another user has to get there
    for parent in (tmp_path, *tmp_path.parents):
        if parent == Path(tempfile.gettempdir()):
            break
        parent.chmod(0o755)
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _READ_ONLY, str(path), str(tmp_path / "other.db")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        folder.chmod(0o755)
    assert done.stdout == "StoreReadOnlyError\n", done.stderr
