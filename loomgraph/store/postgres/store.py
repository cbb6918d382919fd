"""Runs in a PostgreSQL database. Composes the parts of this package and says what the whole promises."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
from anyio import CapacityLimiter, to_thread
from psycopg.conninfo import conninfo_to_dict

from loomgraph.errors import StoreAddressError, StoreError
from loomgraph.store.checks import check_batch, check_header, first_events
from loomgraph.store.commits import Job, Writer
from loomgraph.store.postgres import reading, writing
from loomgraph.store.postgres.faults import CONTENTION, is_common, store_error
from loomgraph.store.postgres.reading import Connection
from loomgraph.store.postgres.schema import prepare
from loomgraph.store.postgres.writing import Pending
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
from loomgraph.store.transfer import export_run, import_run

__all__ = ["PostgresStore"]

T = TypeVar("T")

_TRIES = 5


class PostgresStore:
    """A Store in a PostgreSQL database, which any number of processes on any number of machines may use at once.

    `address` is a `postgresql://` address or any other libpq connection string. Tables are made in `schema`. `wait` is
    how long (s) a lock is waited for before StoreLockedError. `clock` gives seconds since the epoch, for leases and the
    inbox; without one the server's clock is asked, so that machines whose clocks differ agree on when a lease expires.

    Writes go through one connection, on a thread of its own: psycopg's asynchronous connections know asyncio only, and
    here writes that are waiting together share a transaction in any case. A write costs a change of threads, a few
    round trips and the server's commit. What a power cut can undo is the server's business; nothing, as it comes.

    A connection that broke is made anew. If it broke while a commit was on its way the write fails with StoreError, and
    only the log can say whether it took effect; appending the same batch again is right in either case.
    """

    def __init__(
        self,
        address: str,
        *,
        schema: str = "loomgraph",
        wait: float = 30.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._address = address
        try:
            parts = conninfo_to_dict(address)
        except psycopg.Error as error:
            # libpq repeats the address, and with it the password
            detail = str(error).replace(address, "…").strip()
            shown = address.partition("//")[0] + "//…"
            raise StoreAddressError(shown, detail, ["postgresql://USER@HOST/DATABASE"]) from None
        # libpq would wait for ever
        self._patience = int(parts.get("connect_timeout") or max(2.0, wait))
        self._name = f"postgresql://{parts.get('host', '')}/{parts.get('dbname', '')}"
        self._schema = schema
        self._wait = wait
        self._clock = clock
        self._connection: Connection | None = None
        self._readers: deque[Connection] = deque()
        self._closed = False
        self._process = os.getpid()
        self._shutting = threading.Lock()
        self._writer = Writer(self.name, self._commit)

    @property
    def name(self) -> str:
        """How messages name this store, without user and password."""
        return self._name

    async def create(self, header: RunHeader, batch: Batch = NOTHING, *, owner: str, ttl: float) -> Lease:
        """See Store.create."""
        check_header(header)
        size = first_events(header.run_id, batch)
        return await self._write(
            lambda pending: writing.create(pending, header, batch, owner, self._now(pending.connection) + ttl),
            size,
        )

    async def append(self, lease: Lease, batch: Batch) -> None:
        """See Store.append."""
        size = check_batch(lease.run_id, batch)
        await self._write(lambda pending: writing.append(pending, lease, batch), size)

    async def load(self, run_id: str) -> RunHeader:
        """See Store.load."""
        return await self._read(lambda db: reading.read_header(db, reading.number_of(db, run_id, self.name)))

    async def events(self, run_id: str, start: int = 0, stop: int | None = None) -> list[StoredEvent]:
        """See Store.events."""
        return await self._read(
            lambda db: reading.read_events(db, reading.number_of(db, run_id, self.name), start, stop)
        )

    async def digests(self, run_id: str, stop: int | None = None) -> list[bytes]:
        """See Store.digests."""
        return await self._read(lambda db: reading.read_digests(db, reading.number_of(db, run_id, self.name), stop))

    async def values(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """See Store.values."""
        wanted = list(digests)
        return await self._read(lambda db: reading.read_values(db, wanted))

    async def whole(self, run_id: str) -> WholeRun:
        """See WholeStore.whole."""
        return await self._read(lambda db: reading.read_whole(db, reading.number_of(db, run_id, self.name)))

    async def runs(self, where: RunFilter = ANY, *, limit: int = 50, cursor: str | None = None) -> RunPage:
        """See Store.runs."""
        return await self._read(lambda db: reading.read_runs(db, where, limit, cursor))

    async def acquire(self, run_id: str, owner: str, ttl: float) -> Lease:
        """See Store.acquire."""
        return await self._write(
            lambda pending: writing.acquire(pending, run_id, owner, self._now(pending.connection), ttl)
        )

    async def renew(self, lease: Lease, ttl: float) -> Lease:
        """See Store.renew."""
        return await self._write(lambda pending: writing.renew(pending, lease, self._now(pending.connection) + ttl))

    async def release(self, lease: Lease) -> None:
        """See Store.release."""
        await self._write(lambda pending: writing.release(pending, lease))

    async def post(self, run_id: str, id: str, kind: str, data: bytes) -> bool:
        """See Store.post."""
        return await self._write(
            lambda pending: writing.post(pending, run_id, Message(0, id, kind, data, self._now(pending.connection))),
            len(data),
        )

    async def inbox(self, run_id: str, after: int = 0) -> list[Message]:
        """See Store.inbox."""
        return await self._read(lambda db: reading.read_inbox(db, reading.number_of(db, run_id, self.name), after))

    async def delete(self, run_id: str) -> None:
        """See Store.delete."""
        await self._write(lambda pending: writing.delete(pending, run_id, self._now(pending.connection)))

    async def prune(
        self, *, keep: int | None = None, older_than: float | None = None, status: Sequence[RunStatus] = FINISHED
    ) -> int:
        """See Store.prune. Each run is removed in a write of its own."""
        if keep is None and older_than is None:
            return 0

        def spent(db: Connection) -> tuple[list[str], float | None]:
            before = None if older_than is None else self._now(db) - older_than
            return reading.spent_runs(db, status, keep or 0, before), before

        found, before = await self._read(spent)
        removed = 0
        for run_id in found:

            def remove(pending: Pending, run_id: str = run_id) -> bool:
                return writing.prune(pending, run_id, self._now(pending.connection), status, before)

            removed += await self._write(remove)
        return removed

    def export(self, run_id: str) -> AsyncIterator[bytes]:
        """See Store.export."""
        return export_run(self, run_id)

    async def import_(self, data: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> RunHeader:
        """See Store.import_."""
        return await import_run(self, data)

    async def close(self) -> None:
        """See Store.close."""
        await to_thread.run_sync(self._shut, limiter=CapacityLimiter(1))

    async def __aenter__(self) -> Self:
        await self._read(lambda db: None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _write(self, work: Callable[[Pending], T], size: int = 0) -> T:
        self._check_open()
        return await self._writer.submit(work, size)

    async def _read(self, query: Callable[[Connection], T]) -> T:
        self._check_open()
        # a limiter of its own: a read must not wait for a thread that waits for this run
        return await to_thread.run_sync(self._ask, query, limiter=CapacityLimiter(1))

    def _check_open(self) -> None:
        if self._process != os.getpid():
            raise StoreError(f"{self.name} was opened before this process was forked off. Open it again in here.")
        if self._closed:
            raise StoreError(f"{self.name} is closed. Open it again to go on.")

    def _connect(self) -> Connection:
        connection = psycopg.connect(self._address, autocommit=True, connect_timeout=self._patience)
        try:
            prepare(connection, self._schema, self.name, self._wait)
        except BaseException:
            connection.close()
            raise
        return connection

    def _now(self, connection: Connection) -> float:
        if self._clock is not None:
            return self._clock()
        row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        assert row is not None
        return float(row[0])

    def _ask(self, query: Callable[[Connection], T]) -> T:
        try:
            # a connection that has been idle may have been cut off; a new one tells whether the server is there
            for pooled in (True, False):
                connection = self._readers.pop() if pooled and self._readers else self._connect()
                try:
                    return self._in_one_moment(connection, query)
                except psycopg.OperationalError:
                    if not (pooled and connection.broken):
                        raise
                finally:
                    self._put_back(connection)
            raise AssertionError("a new connection either answers or raises")
        except psycopg.Error as error:
            raise store_error(self.name, error, self._wait) from error

    def _in_one_moment(self, connection: Connection, query: Callable[[Connection], T]) -> T:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            return query(connection)
        finally:
            if not connection.broken:
                connection.execute("COMMIT")

    def _put_back(self, connection: Connection) -> None:
        if not connection.broken:
            self._readers.append(connection)
        if self._closed:
            self._dismiss()

    def _commit(self, jobs: Sequence[Job[Any]]) -> None:
        """On the writer thread: run the jobs in one transaction."""
        tries = 0
        while True:
            tries += 1
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self._connect()
                self._transact(self._connection, jobs)
                return
            except psycopg.Error as error:
                # cut off while idle, before anything was asked: worth one new connection
                again = tries < _TRIES if isinstance(error, CONTENTION) else tries == 1 and isinstance(error, _CutOff)
                if not again:
                    if len(jobs) > 1 and not is_common(error):
                        raise
                    raise store_error(self.name, error, self._wait) from error

    def _transact(self, connection: Connection, jobs: Sequence[Job[Any]]) -> None:
        try:
            connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        except psycopg.OperationalError as error:
            raise _CutOff(str(error)) from error
        try:
            pending = Pending(connection, self.name)
            for job in jobs:
                job.run(pending)
            pending.commit()
        except BaseException:
            if not connection.broken:
                connection.execute("ROLLBACK")
            raise

    def _shut(self) -> None:
        with self._shutting:
            self._closed = True
            self._writer.stop()
            self._dismiss()
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _dismiss(self) -> None:
        while self._readers:
            self._readers.pop().close()


class _CutOff(psycopg.OperationalError):
    """The connection was gone before the transaction began."""
