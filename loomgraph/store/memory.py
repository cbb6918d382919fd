"""Runs in this process's memory: for tests and for runs that need a store but not to outlive the process.

Keeps every guarantee of Store except the durable one: everything is gone when the process ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from anyio.lowlevel import checkpoint

from loomgraph.errors import (
    AppendConflictError,
    LeaseLostError,
    RunBusyError,
    RunExistsError,
    StoreError,
    UnknownRunError,
)
from loomgraph.store.checks import check_batch, check_header, close_ids, first_events, unwritten
from loomgraph.store.paging import after_cursor, cursor_of
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
)
from loomgraph.store.transfer import export_run, import_run

__all__ = ["MemoryStore"]


@dataclass(slots=True)
class _Run:
    number: int
    header: RunHeader
    token: int
    owner: str | None
    expires: float
    events: list[StoredEvent] = field(default_factory=list[StoredEvent])
    # digest -> number of the first event of the batch that brought it
    values: dict[bytes, int] = field(default_factory=dict[bytes, int])
    messages: dict[str, Message] = field(default_factory=dict[str, Message])

    def current(self) -> RunHeader:
        latest = max(self.header.updated, self.events[-1].time if self.events else 0.0)
        return replace(self.header, events=len(self.events), updated=latest)


class MemoryStore:
    """A Store in memory. `clock` gives seconds since the epoch, for leases and the inbox."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._values: dict[bytes, bytes] = {}
        # how many runs hold a value
        self._held: dict[bytes, int] = {}
        self._created = 0
        self._token = 0
        self._closed = False

    @property
    def name(self) -> str:
        """How messages name this store."""
        return "memory:"

    async def create(self, header: RunHeader, batch: Batch = NOTHING, *, owner: str, ttl: float) -> Lease:
        """See Store.create."""
        check_header(header)
        first_events(header.run_id, batch)
        await self._turn()
        with self._lock:
            if header.run_id in self._runs:
                raise RunExistsError(header.run_id, self.name)
            self._check_refs(header.run_id, batch)
            self._created += 1
            self._token += 1
            lease = Lease(header.run_id, owner, self._token, self._clock() + ttl)
            header = replace(header, updated=max(header.updated, header.created))
            run = _Run(self._created, header, lease.token, owner, lease.expires)
            self._runs[header.run_id] = run
            self._write(run, batch, batch.events)
            return lease

    async def append(self, lease: Lease, batch: Batch) -> None:
        """See Store.append."""
        check_batch(lease.run_id, batch)
        await self._turn()
        with self._lock:
            run = self._held_by(lease)
            events = batch.events
            if events:
                events = unwritten(lease.run_id, events, len(run.events), lambda a, b: run.events[a:b])
                if not events:
                    return
            self._check_refs(lease.run_id, batch)
            self._write(run, batch, events)

    async def load(self, run_id: str) -> RunHeader:
        """See Store.load."""
        await self._turn()
        with self._lock:
            return self._run(run_id).current()

    async def events(self, run_id: str, start: int = 0, stop: int | None = None) -> list[StoredEvent]:
        """See Store.events."""
        await self._turn()
        with self._lock:
            return self._run(run_id).events[max(start, 0) : stop if stop is None else max(stop, 0)]

    async def digests(self, run_id: str, stop: int | None = None) -> list[bytes]:
        """See Store.digests."""
        await self._turn()
        with self._lock:
            found = self._run(run_id).values
            return [digest for digest, seq in found.items() if stop is None or seq < stop]

    async def values(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """See Store.values."""
        await self._turn()
        with self._lock:
            return {digest: self._values[digest] for digest in digests if digest in self._values}

    async def runs(self, where: RunFilter = ANY, *, limit: int = 50, cursor: str | None = None) -> RunPage:
        """See Store.runs."""
        await self._turn()
        with self._lock:
            before = after_cursor(cursor)
            found = sorted(self._runs.values(), key=lambda run: (run.header.created, run.number), reverse=True)
            page: list[_Run] = []
            for run in found:
                if before is not None and (run.header.created, run.number) >= before:
                    continue
                if not _matches(run.header, where):
                    continue
                if len(page) >= limit:
                    last = page[-1]
                    return RunPage([r.current() for r in page], cursor_of(last.header.created, last.number))
                page.append(run)
            return RunPage([run.current() for run in page], None)

    async def acquire(self, run_id: str, owner: str, ttl: float) -> Lease:
        """See Store.acquire."""
        await self._turn()
        with self._lock:
            run, now = self._run(run_id), self._clock()
            if run.owner is not None and run.expires > now:
                raise RunBusyError(run_id, run.owner, run.expires)
            self._token += 1
            run.token, run.owner, run.expires = self._token, owner, now + ttl
            return Lease(run_id, owner, run.token, run.expires, len(run.events))

    async def renew(self, lease: Lease, ttl: float) -> Lease:
        """See Store.renew."""
        await self._turn()
        with self._lock:
            run = self._held_by(lease)
            run.expires = self._clock() + ttl
            return lease._replace(expires=run.expires)

    async def release(self, lease: Lease) -> None:
        """See Store.release."""
        await self._turn()
        with self._lock:
            run = self._runs.get(lease.run_id)
            if run is not None and run.token == lease.token:
                run.owner, run.expires = None, 0.0

    async def post(self, run_id: str, id: str, kind: str, data: bytes) -> bool:
        """See Store.post."""
        await self._turn()
        with self._lock:
            messages = self._run(run_id).messages
            known = messages.get(id)
            if known is None:
                messages[id] = Message(len(messages) + 1, id, kind, data, self._clock())
                return True
            if (known.kind, known.data) != (kind, data):
                raise AppendConflictError(run_id, id, f"the message id '{id}' was used for another message")
            return False

    async def inbox(self, run_id: str, after: int = 0) -> list[Message]:
        """See Store.inbox."""
        await self._turn()
        with self._lock:
            return [message for message in self._run(run_id).messages.values() if message.position > after]

    async def delete(self, run_id: str) -> None:
        """See Store.delete."""
        await self._turn()
        with self._lock:
            run = self._run(run_id)
            if run.owner is not None and run.expires > self._clock():
                raise RunBusyError(run_id, run.owner, run.expires)
            self._remove(run)

    async def prune(
        self, *, keep: int | None = None, older_than: float | None = None, status: Sequence[RunStatus] = FINISHED
    ) -> int:
        """See Store.prune."""
        await self._turn()
        if keep is None and older_than is None:
            return 0
        with self._lock:
            now = self._clock()
            found = [run for run in self._runs.values() if run.header.status in status]
            found.sort(key=lambda run: (run.header.created, run.number), reverse=True)
            doomed = [
                run
                for run in found[keep or 0 :]
                if (older_than is None or run.current().updated < now - older_than)
                and (run.owner is None or run.expires <= now)
            ]
            for run in doomed:
                self._remove(run)
            return len(doomed)

    def export(self, run_id: str) -> AsyncIterator[bytes]:
        """See Store.export."""
        return export_run(self, run_id)

    async def import_(self, data: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> RunHeader:
        """See Store.import_."""
        return await import_run(self, data)

    async def close(self) -> None:
        """See Store.close. What was stored is gone."""
        self._closed = True
        with self._lock:
            self._runs.clear()
            self._values.clear()
            self._held.clear()
        await checkpoint()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _turn(self) -> None:
        if self._closed:
            raise StoreError(f"{self.name} is closed. Open it again to go on.")
        await checkpoint()

    def _run(self, run_id: str) -> _Run:
        run = self._runs.get(run_id)
        if run is None:
            raise UnknownRunError(run_id, self.name, close_ids(run_id, list(self._runs)))
        return run

    def _held_by(self, lease: Lease) -> _Run:
        run = self._runs.get(lease.run_id)
        if run is None or run.owner is None or run.token != lease.token:
            raise LeaseLostError(lease.run_id, lease.owner, run.owner if run is not None else None)
        return run

    def _check_refs(self, run_id: str, batch: Batch) -> None:
        for digest in batch.refs:
            if digest not in self._values:
                raise AppendConflictError(run_id, digest.hex(), f"the value {digest.hex()} is not in {self.name}")

    def _write(self, run: _Run, batch: Batch, events: Sequence[StoredEvent]) -> None:
        seq = events[0].seq if events else len(run.events)
        run.events.extend(events)
        for digest, data in batch.values:
            self._values.setdefault(digest, data)
        for digest in (*(value.digest for value in batch.values), *batch.refs):
            if digest not in run.values:
                run.values[digest] = seq
                self._held[digest] = self._held.get(digest, 0) + 1
        for message in batch.messages:
            run.messages.setdefault(message.id, message._replace(position=len(run.messages) + 1))
        changes = batch.changes
        if changes is not None:
            old = run.header
            run.header = replace(
                old,
                updated=max(old.updated, changes.time),
                status=old.status if changes.status is None else changes.status,
                fingerprint=old.fingerprint if changes.fingerprint is None else changes.fingerprint,
                metadata=old.metadata if changes.metadata is None else changes.metadata,
            )

    def _remove(self, run: _Run) -> None:
        del self._runs[run.header.run_id]
        for digest in run.values:
            self._held[digest] -= 1
            if not self._held[digest]:
                del self._held[digest], self._values[digest]


def _matches(header: RunHeader, where: RunFilter) -> bool:
    return (
        (not where.status or header.status in where.status)
        and where.graph in {None, header.graph}
        and where.user_id in {None, header.user_id}
        and where.session_id in {None, header.session_id}
        and where.parent in {None, header.parent}
        and (where.created_from is None or header.created >= where.created_from)
        and (where.created_before is None or header.created < where.created_before)
    )
