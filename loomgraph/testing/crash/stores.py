"""Stores around a store, to choose what happens at its n-th write: the process dies, or the write fails.

A write is `create`, `acquire`, `append`, `post` or `release`. Renewals of the lease are passed on but not counted: the
clock decides how many there are, and what is counted must be the same in every run.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Self

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
    Store,
    StoredEvent,
    WholeRun,
    prompt_append,
    whole_run,
)

__all__ = ["FailingStore", "KillingStore", "WatchedStore"]


class WatchedStore:
    """Wraps a Store, keeps its promises, and counts its `writes`.

    `before` and `after` are called around each write with its number (from 1) and what it is; override them. `after`
    is called once the write is durable. What they raise, the write raises. A write that the store puts off is begun
    again, with the same number.
    """

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.writes = 0

    def before(self, number: int, what: str, batch: Batch) -> None:
        """About to write."""

    def after(self, number: int, what: str, batch: Batch) -> None:
        """Written."""

    def _begin(self, what: str, batch: Batch = NOTHING) -> int:
        self.writes += 1
        number = self.writes
        self.before(number, what, batch)
        return number

    @property
    def name(self) -> str:
        """See Store.name."""
        return self.inner.name

    async def create(self, header: RunHeader, batch: Batch = NOTHING, *, owner: str, ttl: float) -> Lease:
        """See Store.create."""
        number = self._begin("create", batch)
        lease = await self.inner.create(header, batch, owner=owner, ttl=ttl)
        self.after(number, "create", batch)
        return lease

    async def append(self, lease: Lease, batch: Batch) -> None:
        """See Store.append."""
        number = self._begin("append", batch)
        await self.inner.append(lease, batch)
        self.after(number, "append", batch)

    def append_now(self, lease: Lease, batch: Batch) -> bool:
        """See PromptStore.append_now; counted if it writes. False where the store has none."""
        append_now = prompt_append(self.inner)
        if append_now is None:
            return False
        number = self._begin("append", batch)
        if not append_now(lease, batch):
            self.writes -= 1
            return False
        self.after(number, "append", batch)
        return True

    async def acquire(self, run_id: str, owner: str, ttl: float) -> Lease:
        """See Store.acquire."""
        number = self._begin("acquire")
        lease = await self.inner.acquire(run_id, owner, ttl)
        self.after(number, "acquire", NOTHING)
        return lease

    async def release(self, lease: Lease) -> None:
        """See Store.release."""
        number = self._begin("release")
        await self.inner.release(lease)
        self.after(number, "release", NOTHING)

    async def post(self, run_id: str, id: str, kind: str, data: bytes) -> bool:
        """See Store.post."""
        number = self._begin("post")
        new = await self.inner.post(run_id, id, kind, data)
        self.after(number, "post", NOTHING)
        return new

    async def renew(self, lease: Lease, ttl: float) -> Lease:
        """See Store.renew; not counted."""
        return await self.inner.renew(lease, ttl)

    async def load(self, run_id: str) -> RunHeader:
        """See Store.load."""
        return await self.inner.load(run_id)

    async def events(self, run_id: str, start: int = 0, stop: int | None = None) -> list[StoredEvent]:
        """See Store.events."""
        return await self.inner.events(run_id, start, stop)

    async def digests(self, run_id: str, stop: int | None = None) -> list[bytes]:
        """See Store.digests."""
        return await self.inner.digests(run_id, stop)

    async def values(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """See Store.values."""
        return await self.inner.values(digests)

    async def runs(self, where: RunFilter = ANY, *, limit: int = 50, cursor: str | None = None) -> RunPage:
        """See Store.runs."""
        return await self.inner.runs(where, limit=limit, cursor=cursor)

    async def inbox(self, run_id: str, after: int = 0) -> list[Message]:
        """See Store.inbox."""
        return await self.inner.inbox(run_id, after)

    async def whole(self, run_id: str) -> WholeRun:
        """See WholeStore.whole."""
        return await whole_run(self.inner, run_id)

    async def delete(self, run_id: str) -> None:
        """See Store.delete; not counted."""
        await self.inner.delete(run_id)

    async def prune(
        self, *, keep: int | None = None, older_than: float | None = None, status: Sequence[RunStatus] = FINISHED
    ) -> int:
        """See Store.prune; not counted."""
        return await self.inner.prune(keep=keep, older_than=older_than, status=status)

    def export(self, run_id: str) -> AsyncIterator[bytes]:
        """See Store.export."""
        return self.inner.export(run_id)

    async def import_(self, data: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> RunHeader:
        """See Store.import_; not counted."""
        return await self.inner.import_(data)

    async def close(self) -> None:
        """See Store.close."""
        await self.inner.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class KillingStore(WatchedStore):
    """Kills its process with SIGKILL at the `at`-th write (0: never), before it or, with `late`, once it is durable."""

    def __init__(self, inner: Store, *, at: int, late: bool = False) -> None:
        super().__init__(inner)
        self.at = at
        self.late = late

    def before(self, number: int, what: str, batch: Batch) -> None:
        """Die, if this is the one."""
        if number == self.at and not self.late:
            os.kill(os.getpid(), signal.SIGKILL)

    def after(self, number: int, what: str, batch: Batch) -> None:
        """Die, if this is the one."""
        if number == self.at and self.late:
            os.kill(os.getpid(), signal.SIGKILL)


class FailingStore(WatchedStore):
    """Raises `error` at the `at`-th write: before it or, with `late`, although it is durable.

    With `broken`, every write from there on fails, as on a disk that is full and stays so.
    """

    def __init__(self, inner: Store, error: Exception, *, at: int, late: bool = False, broken: bool = False) -> None:
        super().__init__(inner)
        self.error = error
        self.at = at
        self.late = late
        self.broken = broken

    def _strikes(self, number: int) -> bool:
        return number >= self.at if self.broken else number == self.at

    def before(self, number: int, what: str, batch: Batch) -> None:
        """Fail, if this is the one."""
        if self._strikes(number) and not self.late:
            raise self.error

    def after(self, number: int, what: str, batch: Batch) -> None:
        """Fail, if this is the one."""
        if self._strikes(number) and self.late:
            raise self.error
