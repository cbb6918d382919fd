"""Runs in a SQLite file. Composes the parts of this package and says what the whole promises."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from anyio import CapacityLimiter, to_thread

from loomgraph.errors import StoreError
from loomgraph.store.checks import check_batch, check_header, first_events
from loomgraph.store.commits import Job, Writer
from loomgraph.store.protocol import (
    ANY,
    FINISHED,
    NOTHING,
    Batch,
    Lease,
    Message,
    RunFilter,
    RunHeader,
    RunPage,
    RunStatus,
    StoredEvent,
    WholeRun,
)
from loomgraph.store.sqlite import reading, writing
from loomgraph.store.sqlite.faults import is_common, is_locked, store_error
from loomgraph.store.sqlite.keeper import Keeper
from loomgraph.store.sqlite.room import PAGES, make_room
from loomgraph.store.sqlite.schema import connect, prepare
from loomgraph.store.transfer import export_run, import_run

__all__ = ["SQLiteStore"]

T = TypeVar("T")

# what the event loop's thread may commit by itself
_INLINE_JOBS = 32
_INLINE_BYTES = 32_000
# two commits there that each took longer (s), with fewer than so many between them, send the next ones to the writer
# thread for a while (s); one alone may as well be a processor that was busy
_SLOW = 0.005
_BETWEEN = 16
_CALM = 0.25
# how long (s) the event loop's thread may block for a fast disk
_BRIEF = 0.0005
# pauses (s) between tries for a locked database
_PAUSES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)


class SQLiteStore:
    """A Store in one SQLite file, which any number of processes on one machine may use at once.

    `path` is made if it is not there (its folder must be). `wait` is how long (s) a database that another process keeps
    locked is waited for before StoreLockedError. `clock` gives seconds since the epoch, for leases and the inbox.

    *What a write costs and where it happens.* All writes go through one connection, in `BEGIN IMMEDIATE` transactions;
    those that are waiting together share one. With `synchronous="NORMAL"` a commit is a write into the operating
    system's page cache, some 20 us, less than waking a thread. So a small commit (up to 32 writes, 32 kB) is made on
    the event loop's own thread, if nobody else holds the database: no lock is waited for there, and no file is synced
    there, because a background thread does all checkpoints. Should the disk stall them nevertheless, two of a few for
    over five milliseconds, the next quarter of a second goes to the writer thread, as do larger writes and whatever
    meets a lock.

    *What can be lost.* A killed process loses nothing that was acknowledged, with either setting, and neither a power
    cut nor a crash of the operating system corrupts the file. With "FULL" they lose nothing, and each commit waits
    for the disk, on the writer thread; the event loop looks on for half a millisecond at most, and only where the last
    commit took no longer. The log has half a megabyte from the start then. With "NORMAL", the default, they can lose
    the last commits, about a second of them at most (the background thread syncs the log that often); what is left is
    an earlier state of the same run, which resumes from there. It is the default because what this library promises is
    about processes, and because a step that runs twice after a power cut is rare, where every step would wait for the
    disk. Choose "FULL" where even that must not be.

    Deleted runs leave room inside the file that new runs use; the file itself does not shrink.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        wait: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path)
        self._synchronous = synchronous
        self._wait = wait
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._readers: deque[sqlite3.Connection] = deque()
        # held by whoever uses the writing connection
        self._held = threading.Lock()
        self._opening = threading.Lock()
        self._closed = False
        self._process = os.getpid()
        self._calm_until = 0.0
        # commits on the event loop's thread since one was slow
        self._quick = _BETWEEN
        normal = synchronous == "NORMAL"
        self._keeper = Keeper(self.path, lambda: connect(self.path, wait), self._held) if normal else None
        self._writer = Writer(
            self.name, self._commit, self._commit_here if normal else None, _INLINE_JOBS, 0.0 if normal else _BRIEF
        )

    @property
    def name(self) -> str:
        """How messages name this store."""
        return f"sqlite:{self.path}"

    async def create(self, header: RunHeader, batch: Batch = NOTHING, *, owner: str, ttl: float) -> Lease:
        """See Store.create."""
        check_header(header)
        size = first_events(header.run_id, batch)
        return await self._write(
            lambda db: writing.create(db, header, batch, owner, self._clock() + ttl, self.name), size
        )

    async def append(self, lease: Lease, batch: Batch) -> None:
        """See Store.append."""
        size = check_batch(lease.run_id, batch)
        await self._write(lambda db: writing.append(db, lease, batch, self.name), size)

    def append_now(self, lease: Lease, batch: Batch) -> bool:
        """See PromptStore.append_now."""
        if self._connection is None or self._process != os.getpid():
            return False
        size = check_batch(lease.run_id, batch)
        return self._writer.now(lambda db: writing.append(db, lease, batch, self.name), size)

    async def load(self, run_id: str) -> RunHeader:
        """See Store.load."""
        return await self._read(lambda db: reading.read_header(db, writing.number_of(db, run_id, self.name)))

    async def events(self, run_id: str, start: int = 0, stop: int | None = None) -> list[StoredEvent]:
        """See Store.events."""
        return await self._read(
            lambda db: reading.read_events(db, writing.number_of(db, run_id, self.name), start, stop)
        )

    async def digests(self, run_id: str, stop: int | None = None) -> list[bytes]:
        """See Store.digests."""
        return await self._read(lambda db: reading.read_digests(db, writing.number_of(db, run_id, self.name), stop))

    async def values(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """See Store.values."""
        wanted = list(digests)
        return await self._read(lambda db: reading.read_values(db, wanted))

    async def whole(self, run_id: str) -> WholeRun:
        """See WholeStore.whole."""
        return await self._read(lambda db: reading.read_whole(db, writing.number_of(db, run_id, self.name)))

    async def runs(self, where: RunFilter = ANY, *, limit: int = 50, cursor: str | None = None) -> RunPage:
        """See Store.runs."""
        return await self._read(lambda db: reading.read_runs(db, where, limit, cursor))

    async def acquire(self, run_id: str, owner: str, ttl: float) -> Lease:
        """See Store.acquire."""
        return await self._write(lambda db: writing.acquire(db, run_id, owner, self._clock(), ttl, self.name))

    async def renew(self, lease: Lease, ttl: float) -> Lease:
        """See Store.renew."""
        return await self._write(lambda db: writing.renew(db, lease, self._clock() + ttl))

    async def release(self, lease: Lease) -> None:
        """See Store.release."""
        await self._write(lambda db: writing.release(db, lease))

    async def post(self, run_id: str, id: str, kind: str, data: bytes) -> bool:
        """See Store.post."""
        return await self._write(
            lambda db: writing.post(db, run_id, Message(0, id, kind, data, self._clock()), self.name), len(data)
        )

    async def inbox(self, run_id: str, after: int = 0) -> list[Message]:
        """See Store.inbox."""
        return await self._read(lambda db: reading.read_inbox(db, writing.number_of(db, run_id, self.name), after))

    async def delete(self, run_id: str) -> None:
        """See Store.delete."""
        # the size keeps it off the event loop's thread: how long it takes depends on the run
        await self._write(lambda db: writing.delete(db, run_id, self._clock(), self.name), _INLINE_BYTES + 1)

    async def prune(
        self, *, keep: int | None = None, older_than: float | None = None, status: Sequence[RunStatus] = FINISHED
    ) -> int:
        """See Store.prune. Each run is removed in a transaction of its own."""
        if keep is None and older_than is None:
            return 0
        before = None if older_than is None else self._clock() - older_than
        spent = await self._read(lambda db: reading.spent_runs(db, status, keep or 0, before))
        removed = 0
        for run_id in spent:

            def remove(db: sqlite3.Connection, run_id: str = run_id) -> bool:
                return writing.prune(db, run_id, self._clock(), status, before)

            removed += await self._write(remove, _INLINE_BYTES + 1)
        return removed

    def export(self, run_id: str) -> AsyncIterator[bytes]:
        """See Store.export."""
        return export_run(self, run_id)

    async def import_(self, data: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> RunHeader:
        """See Store.import_."""
        return await import_run(self, data)

    async def close(self) -> None:
        """See Store.close. The last one to close a file moves its write-ahead log into it."""
        await to_thread.run_sync(self._shut, limiter=CapacityLimiter(1))

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _write(self, work: Callable[[sqlite3.Connection], T], size: int = 0) -> T:
        if self._connection is None or self._process != os.getpid():
            await self._open()
        return await self._writer.submit(work, size)

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        await self._open()
        # a limiter of its own: a read must not wait for a thread that waits for this run
        return await to_thread.run_sync(self._ask, query, limiter=CapacityLimiter(1))

    async def _open(self) -> None:
        if self._process != os.getpid():
            raise StoreError(f"{self.name} was opened before this process was forked off. Open it again in here.")
        if self._closed:
            raise StoreError(f"{self.name} is closed. Open it again to go on.")
        if self._connection is None:
            await to_thread.run_sync(self._connect, limiter=CapacityLimiter(1))

    def _connect(self) -> None:
        with self._opening:
            if self._closed:
                raise StoreError(f"{self.name} is closed. Open it again to go on.")
            if self._connection is not None:
                return
            deadline = time.monotonic() + self._wait
            connection: sqlite3.Connection | None = None
            try:
                connection = connect(self.path, self._wait)
                self._patiently(lambda: prepare(connection, self.name), deadline)
                connection.execute(f"PRAGMA synchronous = {self._synchronous}")
                connection.execute(f"PRAGMA wal_autocheckpoint = {0 if self._keeper is not None else PAGES}")
                # from here on whoever uses the connection decides whether to wait
                connection.execute("PRAGMA busy_timeout = 0")
                if self._keeper is None:
                    make_room(connection, self.path)
            except BaseException as error:
                if connection is not None:
                    connection.close()
                if isinstance(error, sqlite3.Error):
                    raise self._error(error) from error
                raise
            self._connection = connection

    def _patiently(self, action: Callable[[], object], deadline: float) -> None:
        """Repeat an action that fails because the database is locked, until the deadline."""
        tries = 0
        while True:
            try:
                action()
                return
            except sqlite3.Error as error:
                pause = _PAUSES[min(tries, len(_PAUSES) - 1)]
                if not is_locked(error) or time.monotonic() + pause > deadline:
                    raise
            tries += 1
            time.sleep(pause)

    def _ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = None
        try:
            connection = self._readers.pop() if self._readers else connect(self.path, self._wait)
            # several queries, one moment
            connection.execute("BEGIN")
            try:
                return query(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._error(error) from error
        finally:
            if connection is not None:
                self._readers.append(connection)
                if self._closed:
                    self._dismiss()

    def _commit(self, jobs: Sequence[Job[Any]]) -> None:
        """On the writer thread: wait for the database, then run the jobs in one transaction."""
        connection = self._connection
        assert connection is not None
        with self._held:
            try:
                deadline = time.monotonic() + self._wait
                self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"), deadline)
                self._transact(connection, jobs)
            except sqlite3.Error as error:
                if len(jobs) > 1 and not is_common(error):
                    raise
                raise self._error(error) from error
        self._wrote(jobs)

    def _commit_here(self, jobs: Sequence[Job[Any]]) -> bool:
        """On the event loop's thread: the same if it needs no waiting; says whether it was done."""
        size = 0
        for job in jobs:
            size += job.size
        if size > _INLINE_BYTES:
            return False
        started = time.monotonic()
        if started < self._calm_until or not self._held.acquire(blocking=False):
            return False
        try:
            connection = self._connection
            assert connection is not None
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                if is_locked(error):
                    return False
                raise
            self._transact(connection, jobs)
        except sqlite3.Error as error:
            raise self._error(error) from error
        finally:
            self._held.release()
        now = time.monotonic()
        self._quick += 1
        if now - started > _SLOW:
            if self._quick < _BETWEEN:
                self._calm_until = now + _CALM
            self._quick = 0
        self._wrote(jobs)
        return True

    def _transact(self, connection: sqlite3.Connection, jobs: Sequence[Job[Any]]) -> None:
        try:
            for job in jobs:
                job.run(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _wrote(self, jobs: Sequence[Job[Any]]) -> None:
        if self._keeper is not None:
            pages = 1
            for job in jobs:
                pages += 1 + job.size // 2048
            self._keeper.wrote(pages)

    def _error(self, error: sqlite3.Error) -> StoreError:
        return store_error(self.name, self.path, error, self._wait)

    def _shut(self) -> None:
        self._closed = True
        self._writer.stop()
        if self._keeper is not None:
            self._keeper.stop()
        self._dismiss()
        with self._opening, self._held:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _dismiss(self) -> None:
        while self._readers:
            self._readers.pop().close()
