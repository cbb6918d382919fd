"""What a store promises, and the values that go in and out of it.

A store keeps, for each run, a log of events, the values they name, an inbox and a lease. It knows nothing of graphs:
bodies, values and metadata are bytes and text to it, and it never decides what runs next. Whoever implements Store
can be checked with `loomgraph.testing.stores`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self, TypeAlias, cast

__all__ = [
    "ANY",
    "FINISHED",
    "NOTHING",
    "SEALED",
    "UNSEALED",
    "Batch",
    "HeaderChanges",
    "Lease",
    "Message",
    "PromptStore",
    "RunFilter",
    "RunHeader",
    "RunPage",
    "RunStatus",
    "Store",
    "StoredEvent",
    "StoredValue",
    "WholeRun",
    "WholeStore",
    "prompt_append",
    "whole_run",
]

RunStatus: TypeAlias = Literal["running", "suspended", "succeeded", "failed", "cancelled"]

FINISHED: tuple[RunStatus, ...] = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """What is known of a run without reading its log.

    `graph` and `fingerprint` name what ran, `input` is the digest of what it was given, `parent` and `fork_seq` say
    where a fork was taken. `created` is in seconds since the epoch and given by the caller; `updated` is the latest of
    it, of the time of the last event and of the last change of the header. `metadata` is JSON text that the store does
    not read. `events` is the number of events in the log and is counted by the store, whatever the caller says.
    `version` is the format of the log.
    """

    run_id: str
    graph: str
    fingerprint: str
    created: float
    status: RunStatus = "running"
    updated: float = 0.0
    input: bytes = b""
    parent: str | None = None
    fork_seq: int | None = None
    user_id: str | None = None
    session_id: str | None = None
    metadata: str = "{}"
    events: int = 0
    version: int = 1


class StoredEvent(NamedTuple):
    """One event: `seq` is its place in the log (0-based, no gaps), `time` seconds since the epoch, `key` may be ""."""

    seq: int
    time: float
    kind: str
    key: str
    body: bytes


class StoredValue(NamedTuple):
    """A value under the digest of its content. Equal digests mean equal data, which the caller guarantees."""

    digest: bytes
    data: bytes


class Message(NamedTuple):
    """A message in a run's inbox: `position` orders it (1-based), `id` is the sender's, `time` when it arrived."""

    position: int
    id: str
    kind: str
    data: bytes
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderChanges:
    """What of a header changes with a batch; None leaves a field as it is. `time` becomes `updated`."""

    time: float
    status: RunStatus | None = None
    fingerprint: str | None = None
    metadata: str | None = None


class Batch(NamedTuple):
    """What is written together or not at all.

    `events` have consecutive sequence numbers. `values` are those that these events name for the first time in this
    run; `refs` are the digests of values that they name and that are known to be in the store already, from a parent
    for instance. A value lives as long as a run has written or referred to it. `messages` go into the inbox (used
    where a run is copied); their positions are given anew.
    """

    events: Sequence[StoredEvent] = ()
    values: Sequence[StoredValue] = ()
    refs: Sequence[bytes] = ()
    changes: HeaderChanges | None = None
    messages: Sequence[Message] = ()


class Lease(NamedTuple):
    """The right to write to one run, until `expires` (seconds since the epoch) and as long as nobody took it over.

    `events` is how many events the log had at the moment when the lease was acquired; None where the store does not say
    so with it, and has to be asked.
    """

    run_id: str
    owner: str
    token: int
    expires: float
    events: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; None or empty means any. `created_from` is included, `created_before` is not."""

    status: Sequence[RunStatus] = ()
    graph: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    parent: str | None = None
    created_from: float | None = None
    created_before: float | None = None


SEALED = '{"$encrypted":'
"""How the metadata of a run begins that is encrypted: see `loomgraph.store.encrypted`."""

UNSEALED = "unsealed"
"""The kind of a message in an encrypted run's inbox that was not sealed with its key; its data is the kind it had."""

NOTHING = Batch()
ANY = RunFilter()


class RunPage(NamedTuple):
    """Some runs, newest first, and the cursor that gives the next ones; None after the last."""

    runs: list[RunHeader]
    cursor: str | None


class Store(Protocol):
    """Where runs live. Every method may be called from many tasks at once, on asyncio and on trio.

    What any store guarantees:

    - *Atomic.* Every call takes effect wholly or not at all, also when the process is killed in the middle of it.
    - *Durable.* When a writing call returns, a killed process does not undo it. (A store says itself what a power cut
      can undo.) A call that was cancelled may have taken effect or not.
    - *Ordered.* Whoever reads after a writing call returned, in any process, sees what it wrote. A read shows one
      moment, never half of a write.
    - *Isolated.* What is read is the reader's own, and what was handed in may be changed afterwards.
    - *Exact.* Bytes, text and numbers come back as they went in.
    - *Patient.* Contention with other processes is waited out up to a deadline.

    Text holds no NUL character. Errors are StoreError and its kinds (`loomgraph.store.errors`).
    """

    @property
    def name(self) -> str:
        """How messages name this store, without passwords."""
        ...

    async def create(self, header: RunHeader, batch: Batch = NOTHING, *, owner: str, ttl: float) -> Lease:
        """Record a new run with its first events, and give `owner` its lease for `ttl` seconds.

        `header.events` is ignored and counted anew. Raises RunExistsError if there is a run of that id, and
        AppendConflictError if the events do not start at 0. Of two concurrent calls with one id exactly one succeeds.
        """
        ...

    async def append(self, lease: Lease, batch: Batch) -> None:
        """Write a batch to the run of `lease`; durable on return.

        Idempotent: events that are in the log already, with the same content, are not written again, and a batch all
        of whose events are in the log changes nothing. Raises LeaseLostError if `lease` is not the current one, which
        is checked in the same transaction (an expired lease that nobody took over is still current); and
        AppendConflictError if an event differs from the one in the log with its number, if its number would leave a
        gap, or if a digest in `refs` is not in the store.
        """
        ...

    async def load(self, run_id: str) -> RunHeader:
        """The header of a run, with `updated` and `events` as of now. Raises UnknownRunError, naming close ids."""
        ...

    async def events(self, run_id: str, start: int = 0, stop: int | None = None) -> list[StoredEvent]:
        """The events `start <= seq < stop` in order. Raises UnknownRunError."""
        ...

    async def digests(self, run_id: str, stop: int | None = None) -> list[bytes]:
        """The digests of all values written or referred to by this run, each once; with `stop`, by batches that
        began before event `stop`. Raises UnknownRunError."""
        ...

    async def values(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """The data of these values by digest; a digest that is not in the store is not in the answer."""
        ...

    async def runs(
        self,
        where: RunFilter = RunFilter(),
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RunPage:
        """At most `limit` runs that match, newest first (by `created`, then by when the store got them).

        Paging is stable: with the cursor of one page the next goes on behind its last run, whatever was created or
        deleted meanwhile. Raises StoreError for a cursor that no page gave.
        """
        ...

    async def acquire(self, run_id: str, owner: str, ttl: float) -> Lease:
        """Take the lease of a run for `ttl` seconds, if it is free or expired.

        Each lease of a run has a greater token than the one before, and no token is ever used again, not even by a
        run of the same id after a `delete`. Raises UnknownRunError, and RunBusyError if somebody's lease has not
        expired, be it the same owner's.
        """
        ...

    async def renew(self, lease: Lease, ttl: float) -> Lease:
        """The same lease, expiring `ttl` seconds from now. Raises LeaseLostError if it is not the current one."""
        ...

    async def release(self, lease: Lease) -> None:
        """Give the run up; the lease is lost from here on. Does nothing if it was lost already."""
        ...

    async def post(self, run_id: str, id: str, kind: str, data: bytes) -> bool:
        """Put a message into the inbox of a run; needs no lease. True if it is new.

        Idempotent by `id`: the same message again is not stored again. Raises UnknownRunError, and
        AppendConflictError if the id was used with another kind or other data.
        """
        ...

    async def inbox(self, run_id: str, after: int = 0) -> list[Message]:
        """The messages behind position `after`, in the order they arrived. Raises UnknownRunError."""
        ...

    async def delete(self, run_id: str) -> None:
        """Remove a run, and the values that no other run has written or referred to.

        Raises UnknownRunError, and RunBusyError if its lease has not expired. Its forks stay whole.
        """
        ...

    async def prune(
        self, *, keep: int | None = None, older_than: float | None = None, status: Sequence[RunStatus] = FINISHED
    ) -> int:
        """Delete runs of these statuses; says how many. Runs whose lease has not expired stay.

        `keep` spares the newest so many of them; `older_than` spares those updated within so many seconds. Given both,
        a run must be spared by neither. Given neither, nothing is deleted. Other callers get their turn meanwhile.
        """
        ...

    def export(self, run_id: str) -> AsyncIterator[bytes]:
        """One run as one file, in pieces: header, events, values and inbox, sealed by a checksum.

        Raises UnknownRunError. The file does not depend on the kind of store.
        """
        ...

    async def import_(self, data: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> RunHeader:
        """Record the run that `export` wrote, with nobody owning it; all of it or nothing.

        Raises RunExistsError, StoreVersionError for a file of a newer version, and StoreCorruptError for one that is
        cut short or changed.
        """
        ...

    async def close(self) -> None:
        """Finish what was begun and let go of files and connections. Further calls raise StoreError; closing twice
        is fine."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PromptStore(Store, Protocol):
    """A Store that can often write without waiting. No store need be one; writers then await `append`."""

    def append_now(self, lease: Lease, batch: Batch) -> bool:
        """`append`, done before this returns and on the caller's thread, if that takes no longer than a task switch.

        False, and nothing was done, where it would have to wait for anything, or where others are likely to write at
        the same time and would share the transaction; then `append` is to be awaited. Raises what `append` raises.
        """
        ...


def prompt_append(store: Store) -> Callable[[Lease, Batch], bool] | None:
    """The `append_now` of a store that has one, for whoever has `append` in hand.

    Only of the class that has `append` itself: what wraps or extends a store to see its writes must see all of them.
    """
    for kind in type(store).__mro__:
        if "append" in vars(kind):
            return getattr(store, "append_now", None) if "append_now" in vars(kind) else None
    return None


class WholeRun(NamedTuple):
    """All that a store has of one run, but for its lease; `values` by digest."""

    header: RunHeader
    events: list[StoredEvent]
    values: dict[bytes, bytes]
    inbox: list[Message]


class WholeStore(Store, Protocol):
    """A Store that gives a whole run in one read. No store need be one; `whole_run` then asks for the parts."""

    async def whole(self, run_id: str) -> WholeRun:
        """What `load`, `events`, `values` of `digests`, and `inbox` give, as of one moment. Raises UnknownRunError."""
        ...


_READS = frozenset({"load", "events", "digests", "values", "inbox"})


async def whole_run(store: Store, run_id: str) -> WholeRun:
    """All of one run; in one read where the store can, else part by part. Raises UnknownRunError.

    As with `prompt_append`, what wraps or extends a store to see what is read sees all of it.
    """
    for kind in type(store).__mro__:
        if "whole" in vars(kind):
            return await cast("WholeStore", store).whole(run_id)
        if not _READS.isdisjoint(vars(kind)):
            break
    header, events = await store.load(run_id), await store.events(run_id)
    values = await store.values(await store.digests(run_id))
    return WholeRun(header, events, values, await store.inbox(run_id))
