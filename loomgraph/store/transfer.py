"""One run as one file, from any store to any other. Reads and writes stores only through Store's own methods.

The file is lines of JSON in UTF-8: a head with the format's version and the run's header; then events, values and
messages as arrays that begin with their kind; last a SHA-256 of every line before it, so that a file that was cut
short or changed is noticed. Bytes that are UTF-8 stand as text, others as {"b64": ...}; digests are in hex.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

from loomgraph.errors import StoreCorruptError, StoreVersionError
from loomgraph.events import VERSION as LOG_VERSION
from loomgraph.store.protocol import Batch, Lease, Message, RunHeader, StoredEvent, StoredValue

__all__ = ["VERSION", "export_run", "import_run", "parse_run", "record_run"]

VERSION = 1

# values are read so many at a time, so that a long run does not stand in memory twice
_VALUES = 256
_PIECE = 64 * 1024


class _Readable(Protocol):
    async def load(self, run_id: str) -> RunHeader: ...
    async def events(self, run_id: str, start: int = 0, stop: int | None = None) -> list[StoredEvent]: ...
    async def digests(self, run_id: str, stop: int | None = None) -> list[bytes]: ...
    async def values(self, digests: Iterable[bytes]) -> dict[bytes, bytes]: ...
    async def inbox(self, run_id: str, after: int = 0) -> list[Message]: ...


class _Writable(Protocol):
    async def create(self, header: RunHeader, batch: Batch, *, owner: str, ttl: float) -> Lease: ...
    async def release(self, lease: Lease) -> None: ...
    async def load(self, run_id: str) -> RunHeader: ...


async def export_run(store: _Readable, run_id: str) -> AsyncIterator[bytes]:
    """The run in pieces of a file, as of when the first was asked for. Raises UnknownRunError."""
    header = await store.load(run_id)
    seal = hashlib.sha256()
    piece: list[bytes] = []
    size = 0
    async for line in _lines(store, header):
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        seal.update(data)
        piece.append(data)
        size += len(data)
        if size >= _PIECE:
            yield b"".join(piece)
            piece, size = [], 0
    piece.append(json.dumps(["end", seal.hexdigest()]).encode() + b"\n")
    yield b"".join(piece)


async def import_run(store: _Writable, data: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> RunHeader:
    """Record the run of such a file in one write, and give it up at once.

    Raises RunExistsError, StoreVersionError for a file or a log of a newer version, and StoreCorruptError for a file
    that is not whole.
    """
    return await record_run(store, *await parse_run(data))


async def parse_run(data: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> tuple[RunHeader, Batch]:
    """What such a file holds. Raises StoreVersionError and StoreCorruptError."""
    header, batch = _parse(await _whole(data))
    if header.version > LOG_VERSION:
        raise StoreVersionError(f"the log of run '{header.run_id}'", header.version, LOG_VERSION)
    return header, batch


async def record_run(store: _Writable, header: RunHeader, batch: Batch) -> RunHeader:
    """Record a whole run in one write, and give it up at once. Raises RunExistsError."""
    lease = await store.create(header, batch, owner="import", ttl=60.0)
    await store.release(lease)
    return await store.load(header.run_id)


async def _lines(store: _Readable, header: RunHeader) -> AsyncIterator[Any]:
    run_id = header.run_id
    yield {"loomgraph-run": VERSION, "header": {**asdict(header), "input": header.input.hex()}}
    for start in range(0, header.events, _VALUES):
        for event in await store.events(run_id, start, min(start + _VALUES, header.events)):
            yield ["event", event.seq, event.time, event.kind, event.key, _text(event.body)]
    digests = await store.digests(run_id, header.events)
    for chunk in _chunks(digests):
        found = await store.values(chunk)
        for digest in chunk:
            yield ["value", digest.hex(), _text(found[digest])]
    for message in await store.inbox(run_id):
        yield ["message", message.id, message.kind, _text(message.data), message.time]


def _chunks(digests: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(digests), _VALUES):
        yield digests[start : start + _VALUES]


async def _whole(data: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, AsyncIterable):
        return b"".join([piece async for piece in data])
    return b"".join(data)


def _parse(data: bytes) -> tuple[RunHeader, Batch]:
    lines = data.splitlines(keepends=True)
    try:
        head = json.loads(lines[0])
        version = head["loomgraph-run"]
    except (IndexError, ValueError, KeyError, TypeError):
        raise StoreCorruptError("the file", "it does not begin like an exported run") from None
    if version != VERSION:
        raise StoreVersionError("the exported run", version, VERSION)
    seal = hashlib.sha256(b"".join(lines[:-1])).hexdigest()
    if lines[-1].strip() != json.dumps(["end", seal]).encode():
        raise StoreCorruptError("the file", "it was cut short or changed, its checksum does not match")
    try:
        fields: dict[str, Any] = head["header"]
        fields["input"] = bytes.fromhex(fields["input"])
        return replace(RunHeader(**fields), events=0), _batch(lines[1:-1])
    except (ValueError, KeyError, TypeError, Base64Error) as error:
        raise StoreCorruptError("the file", f"a line of it is not understood: {error}") from error


def _batch(lines: Sequence[bytes]) -> Batch:
    events: list[StoredEvent] = []
    values: list[StoredValue] = []
    messages: list[Message] = []
    for line in lines:
        match json.loads(line):
            case ["event", int(seq), float() | int() as time, str(kind), str(key), body]:
                events.append(StoredEvent(seq, time, kind, key, _bytes(body)))
            case ["value", str(digest), body]:
                values.append(StoredValue(bytes.fromhex(digest), _bytes(body)))
            case ["message", str(id), str(kind), body, float() | int() as time]:
                messages.append(Message(len(messages) + 1, id, kind, _bytes(body), time))
            case other:
                raise ValueError(f"{str(other)[:80]!r}")
    return Batch(events, values, (), None, messages)


def _text(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"b64": b64encode(data).decode()}


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return b64decode(value["b64"], validate=True)
