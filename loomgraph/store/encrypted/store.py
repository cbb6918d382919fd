"""A store around a store that encrypts what runs are about. Decides nothing else, and keeps every promise of Store.

Encrypted, and bound to their run and place: event bodies, values, messages, metadata. Digests of values are keyed. What
anybody who can read the store still sees: ids of runs, users, sessions and messages; names and fingerprints of graphs;
kinds, keys and times of events, which name nodes; statuses; sizes; which runs hold an equal value, but not which value.
An attacker who can write the store cannot change a text or move it elsewhere unnoticed, but can take whole runs, or
the end of one, away. A message that nobody with the key has written is shown as such, and the run says so in its log.

Each run is written with one key, whose id its header names, so that keys can be changed: new runs are written with
the new one, and old runs stay readable as long as their key is there. A fork is written with its parent's key, because
it shares its values.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from loomgraph.errors import StoreKeyError, StoreTamperedError, UnknownRunError
from loomgraph.store.encrypted.sealing import Chest, Sealer, UnsealedError, place
from loomgraph.store.keys import Key, key_ring
from loomgraph.store.opening import open_store
from loomgraph.store.protocol import (
    ANY,
    FINISHED,
    NOTHING,
    SEALED,
    UNSEALED,
    Batch,
    Lease,
    Message,
    RunFilter,
    RunHeader,
    RunPage,
    RunStatus,
    Store,
    StoredEvent,
    StoredValue,
    WholeRun,
    prompt_append,
    whole_run,
)
from loomgraph.store.transfer import parse_run, record_run

__all__ = ["EncryptedStore"]

_VERSION: Final = 1


class EncryptedStore:
    """Any Store, or the one that a string names, with what runs are about encrypted by AES-256-GCM.

    `key` is a key or several (see `Key`); left out, it is read from the environment variable LOOMGRAPH_KEY. `key_id`
    is the id of the key that new runs are written with. Raises StoreKeyError for what is no key, and later for a run
    that was written with a key that is not there, or without one; StoreTamperedError for data that was changed. An
    export holds what the store holds, encrypted; imported, it is readable with the key of its run.
    """

    def __init__(self, store: Store | str, key: Key | None = None, *, key_id: str | None = None) -> None:
        self._ring = key_ring(key, key_id)
        self._inner = open_store(store)
        self._append_now = prompt_append(self._inner)
        self._chests: dict[str, Chest] = {}
        # which key the runs that this process writes have
        self._written: dict[str, Chest] = {}

    @property
    def name(self) -> str:
        """How messages name this store."""
        return self._inner.name

    # ------------------------------------------------------------------ writing

    async def create(self, header: RunHeader, batch: Batch = NOTHING, *, owner: str, ttl: float) -> Lease:
        """See Store.create."""
        chest = await self._chest_for(header)
        sealed = self._seal_batch(chest, header.run_id, batch)
        lease = await self._inner.create(self._seal_header(chest, header), sealed, owner=owner, ttl=ttl)
        self._written[header.run_id] = chest
        return lease

    async def append(self, lease: Lease, batch: Batch) -> None:
        """See Store.append."""
        chest = self._written.get(lease.run_id) or await self._remember(lease.run_id)
        sealed = self._seal_batch(chest, lease.run_id, batch)
        if batch.changes is not None and batch.changes.metadata is not None:
            header = replace(self._open_header(await self._inner.load(lease.run_id)), metadata=batch.changes.metadata)
            changes = replace(batch.changes, metadata=self._seal_header(chest, header).metadata)
            sealed = sealed._replace(changes=changes)
        await self._inner.append(lease, sealed)

    def append_now(self, lease: Lease, batch: Batch) -> bool:
        """See PromptStore.append_now."""
        chest = self._written.get(lease.run_id)
        if self._append_now is None or chest is None:
            return False
        if batch.changes is not None and batch.changes.metadata is not None:
            return False
        return self._append_now(lease, self._seal_batch(chest, lease.run_id, batch))

    async def acquire(self, run_id: str, owner: str, ttl: float) -> Lease:
        """See Store.acquire."""
        lease = await self._inner.acquire(run_id, owner, ttl)
        try:
            await self._remember(run_id)
        except BaseException:
            await self._inner.release(lease)
            raise
        return lease

    async def renew(self, lease: Lease, ttl: float) -> Lease:
        """See Store.renew."""
        return await self._inner.renew(lease, ttl)

    async def release(self, lease: Lease) -> None:
        """See Store.release."""
        self._written.pop(lease.run_id, None)
        await self._inner.release(lease)

    async def post(self, run_id: str, id: str, kind: str, data: bytes) -> bool:
        """See Store.post."""
        chest = self._chest_of(await self._inner.load(run_id))
        return await self._inner.post(run_id, id, kind, chest.run(run_id).seal(data, place("message", id, kind)))

    async def delete(self, run_id: str) -> None:
        """See Store.delete. Needs no key."""
        await self._inner.delete(run_id)

    async def prune(
        self, *, keep: int | None = None, older_than: float | None = None, status: Sequence[RunStatus] = FINISHED
    ) -> int:
        """See Store.prune. Needs no key."""
        return await self._inner.prune(keep=keep, older_than=older_than, status=status)

    # ------------------------------------------------------------------ reading

    async def load(self, run_id: str) -> RunHeader:
        """See Store.load."""
        return self._open_header(await self._inner.load(run_id))

    async def events(self, run_id: str, start: int = 0, stop: int | None = None) -> list[StoredEvent]:
        """See Store.events."""
        chest = self._chest_of(await self._inner.load(run_id))
        return self._open_events(chest, run_id, await self._inner.events(run_id, start, stop))

    async def digests(self, run_id: str, stop: int | None = None) -> list[bytes]:
        """See Store.digests."""
        chest = self._chest_of(await self._inner.load(run_id))
        try:
            return [chest.show(digest) for digest in await self._inner.digests(run_id, stop)]
        except UnsealedError as error:
            raise StoreTamperedError(self.name, run_id, "the name of a value") from error

    async def values(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """See Store.values; looks for them under the keys of the runs that were read, and under the current one."""
        missing: list[bytes] = list(digests)
        found: dict[bytes, bytes] = {}
        for chest in [self._chest(self._ring.current), *self._chests.values()]:
            if not missing:
                break
            hidden = {chest.hide(digest): digest for digest in missing}
            for name, data in (await self._inner.values(hidden)).items():
                try:
                    found[hidden[name]] = chest.values.open(data, name)
                except UnsealedError as error:
                    raise StoreTamperedError(self.name, None, f"the value {hidden[name].hex()}") from error
            missing = [digest for digest in missing if digest not in found]
        return found

    async def runs(self, where: RunFilter = ANY, *, limit: int = 50, cursor: str | None = None) -> RunPage:
        """See Store.runs. The metadata of a run whose key is not there stays sealed, so that it can be listed."""
        page = await self._inner.runs(where, limit=limit, cursor=cursor)
        return RunPage([self._listed(header) for header in page.runs], page.cursor)

    async def inbox(self, run_id: str, after: int = 0) -> list[Message]:
        """See Store.inbox. What was not sealed with the run's key comes as a message of the kind UNSEALED.

        Anybody may post, and nobody can take a message back: a run must not be lost to one that is not its own.
        """
        sealer = self._chest_of(await self._inner.load(run_id)).run(run_id)
        return [_opened(sealer, message) for message in await self._inner.inbox(run_id, after)]

    async def whole(self, run_id: str) -> WholeRun:
        """See WholeStore.whole."""
        header, events, values, inbox = await whole_run(self._inner, run_id)
        chest = self._chest_of(header)
        opened = self._open_header(header), self._open_events(chest, run_id, events)
        messages = [_opened(chest.run(run_id), message) for message in inbox]
        return WholeRun(*opened, self._open_values(chest, run_id, values), messages)

    # ------------------------------------------------------------------ files, and the end

    def export(self, run_id: str) -> AsyncIterator[bytes]:
        """See Store.export. The file is encrypted as the store is."""
        return self._inner.export(run_id)

    async def import_(self, data: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> RunHeader:
        """See Store.import_. What was exported without encryption is encrypted here."""
        header, batch = await parse_run(data)
        if not header.metadata.startswith(SEALED):
            return await record_run(self, header, batch)
        self._chest_of(header)
        return self._open_header(await record_run(self._inner, header, batch))

    async def close(self) -> None:
        """See Store.close."""
        await self._inner.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # ------------------------------------------------------------------ sealing

    def _seal_batch(self, chest: Chest, run_id: str, batch: Batch) -> Batch:
        sealer = chest.run(run_id)
        events = [event._replace(body=sealer.seal(event.body, _event_place(event))) for event in batch.events]
        names = [chest.hide(value.digest) for value in batch.values]
        values = [
            StoredValue(name, chest.values.seal(value.data, name))
            for name, value in zip(names, batch.values, strict=True)
        ]
        messages = [
            message._replace(data=sealer.seal(message.data, place("message", message.id, message.kind)))
            for message in batch.messages
        ]
        return Batch(events, values, [chest.hide(digest) for digest in batch.refs], batch.changes, messages)

    def _seal_header(self, chest: Chest, header: RunHeader) -> RunHeader:
        """The header with its metadata and its input's digest in one sealed piece."""
        plain = json.dumps([header.metadata, header.input.hex()]).encode()
        sealed = chest.run(header.run_id).seal(plain, _header_place(header))
        marks = {"v": _VERSION, "key": chest.id, "check": chest.check, "data": b64encode(sealed).decode()}
        return replace(header, metadata=f"{SEALED} {json.dumps(marks)}}}", input=b"")

    def _open_header(self, header: RunHeader) -> RunHeader:
        chest = self._chest_of(header)
        try:
            sealed = b64decode(_marks(header)["data"], validate=True)
            plain = chest.run(header.run_id).open(sealed, _header_place(header))
        except (UnsealedError, ValueError, TypeError) as error:
            raise StoreTamperedError(self.name, header.run_id, "its header") from error
        metadata, given = json.loads(plain)
        return replace(header, metadata=metadata, input=bytes.fromhex(given))

    def _open_events(self, chest: Chest, run_id: str, events: list[StoredEvent]) -> list[StoredEvent]:
        sealer = chest.run(run_id)
        try:
            return [event._replace(body=sealer.open(event.body, _event_place(event))) for event in events]
        except UnsealedError as error:
            raise StoreTamperedError(self.name, run_id, "an event") from error

    def _open_values(self, chest: Chest, run_id: str, values: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Values by the names that they have in the store."""
        found: dict[bytes, bytes] = {}
        for name, data in values.items():
            try:
                digest = chest.show(name)
            except UnsealedError as error:
                raise StoreTamperedError(self.name, run_id, "the name of a value") from error
            try:
                found[digest] = chest.values.open(data, name)
            except UnsealedError as error:
                raise StoreTamperedError(self.name, run_id, f"the value {digest.hex()}") from error
        return found

    def _listed(self, header: RunHeader) -> RunHeader:
        try:
            return self._open_header(header)
        except StoreKeyError:
            return header

    # ------------------------------------------------------------------ keys

    async def _chest_for(self, header: RunHeader) -> Chest:
        """The key of a new run: its parent's, if it has one here."""
        if header.parent is not None:
            try:
                return self._chest_of(await self._inner.load(header.parent))
            except UnknownRunError:
                pass
        return self._chest(self._ring.current)

    async def _remember(self, run_id: str) -> Chest:
        chest = self._written[run_id] = self._chest_of(await self._inner.load(run_id))
        return chest

    def _chest_of(self, header: RunHeader) -> Chest:
        """The key that a run was written with. Raises StoreKeyError."""
        marks = _marks(header)
        id = marks.get("key")
        if marks.get("v") != _VERSION or not isinstance(id, str):
            remedy = "Open the store without a key to read it."
            raise StoreKeyError(f"run '{header.run_id}' in {self.name}", "it was written without encryption", remedy)
        chest = self._chest(id, header)
        if chest.check != marks.get("check"):
            raise StoreKeyError(
                f"run '{header.run_id}' in {self.name}", f"it was written with another key '{id}'", _GIVE
            )
        return chest

    def _chest(self, id: str, header: RunHeader | None = None) -> Chest:
        chest = self._chests.get(id)
        if chest is None:
            key = self._ring.key(id)
            if key is None:
                what = self.name if header is None else f"run '{header.run_id}' in {self.name}"
                detail = f"it was written with the key '{id}', and this is '{self._ring.current}'"
                raise StoreKeyError(what, detail, _GIVE)
            chest = self._chests[id] = Chest(id, key)
        return chest


_GIVE: Final = "Give the key that it was written with."


def _opened(sealer: Sealer, message: Message) -> Message:
    try:
        return message._replace(data=sealer.open(message.data, place("message", message.id, message.kind)))
    except UnsealedError:
        return message._replace(kind=UNSEALED, data=message.kind.encode())


def _marks(header: RunHeader) -> dict[str, Any]:
    """What the header says of its sealing; {} if it is not sealed."""
    if not header.metadata.startswith(SEALED):
        return {}
    try:
        found: dict[str, Any] = json.loads(header.metadata[len(SEALED) : -1])
    except ValueError:
        return {}
    return found


def _event_place(event: StoredEvent) -> bytes:
    return place("event", event.seq, float(event.time), event.kind, event.key)


def _header_place(header: RunHeader) -> bytes:
    """What of a header never changes; its status, fingerprint and times of change do."""
    return place(
        "header",
        header.run_id,
        header.graph,
        float(header.created),
        header.parent,
        header.fork_seq,
        header.user_id,
        header.session_id,
        header.version,
    )
