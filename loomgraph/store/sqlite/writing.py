"""What a write does inside its transaction, which whoever calls has begun and will end. Every refusal comes first.

All functions take the connection and the name of the store for messages; times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection, Cursor

from loomgraph.errors import (
    AppendConflictError,
    LeaseLostError,
    RunBusyError,
    RunExistsError,
    UnknownRunError,
)
from loomgraph.store.checks import close_ids, unwritten
from loomgraph.store.protocol import (
    Batch,
    HeaderChanges,
    Lease,
    Message,
    RunHeader,
    RunStatus,
    StoredEvent,
    StoredValue,
)
from loomgraph.store.sqlite.reading import read_events, read_header
from loomgraph.store.sqlite.schema import EVENT, EVENTS, PART, PARTED, RUN, SLOTS, TOKEN

__all__ = ["acquire", "append", "create", "delete", "number_of", "post", "prune", "release", "renew"]

_HEAD = "SELECT token, owner, (SELECT max(id) FROM log WHERE id < ?1) FROM leases WHERE run = ?2"
_FIND = "SELECT id FROM log WHERE kind IS NULL AND key = ?"
_LOG = "INSERT INTO log (id, kind, key, time, body) VALUES (?, ?, ?, ?, ?)"
_REF = "INSERT OR IGNORE INTO refs (run, value, seq) VALUES (?, ?, ?)"


def number_of(connection: Connection, run_id: str, name: str) -> int:
    """The number of a run in this file. Raises UnknownRunError, naming recent runs with a similar id."""
    row = connection.execute("SELECT number FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        recent = connection.execute("SELECT run_id FROM runs ORDER BY number DESC LIMIT 2000").fetchall()
        raise UnknownRunError(run_id, name, close_ids(run_id, [known for (known,) in recent]))
    number: int = row[0]
    return number


def create(connection: Connection, header: RunHeader, batch: Batch, owner: str, expires: float, name: str) -> Lease:
    """Record a run, its first batch and its lease."""
    if connection.execute("SELECT 1 FROM runs WHERE run_id = ?", (header.run_id,)).fetchone():
        raise RunExistsError(header.run_id, name)
    cursor = connection.cursor()
    refs = _refs(cursor, header.run_id, batch, name)
    cursor.execute(
        "INSERT INTO runs (run_id, graph, fingerprint, status, created, updated, input, parent, fork_seq, user_id,"
        " session_id, metadata, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            header.run_id,
            header.graph,
            header.fingerprint,
            header.status,
            header.created,
            max(header.created, header.updated),
            header.input,
            header.parent,
            header.fork_seq,
            header.user_id,
            header.session_id,
            header.metadata,
            header.version,
        ),
    )
    number = cursor.lastrowid
    assert number is not None
    token = number << TOKEN | 1
    connection.execute("INSERT INTO leases VALUES (?, ?, ?, ?)", (number, token, owner, expires))
    _write(cursor, number, batch, batch.events, refs, 0)
    return Lease(header.run_id, owner, token, expires)


def append(connection: Connection, lease: Lease, batch: Batch, name: str) -> None:
    """Write a batch under a lease."""
    number = lease.token >> TOKEN
    # one cursor for all of it: making one costs as much as a row
    cursor = connection.cursor()
    row = cursor.execute(_HEAD, ((number + 1) << RUN, number)).fetchone()
    if row is None or row[0] != lease.token or row[1] is None:
        raise LeaseLostError(lease.run_id, lease.owner, None if row is None else row[1])
    size = _size(number, row[2])
    events = batch.events
    if events and events[0].seq != size:

        def stored(start: int, stop: int) -> list[StoredEvent]:
            return read_events(connection, number, start, stop)

        events = unwritten(lease.run_id, events, size, stored)
        if not events:
            return
    refs = _refs(cursor, lease.run_id, batch, name) if batch.refs else ()
    _write(cursor, number, batch, events, refs, size)


def _size(number: int, last: int | None) -> int:
    """How many events a run has, given the last id up to the end of its range."""
    return 0 if last is None or last >> RUN != number else ((last & EVENTS) >> EVENT) + 1


def _refs(cursor: Cursor, run_id: str, batch: Batch, name: str) -> list[int]:
    found: list[int] = []
    for digest in batch.refs:
        row = cursor.execute(_FIND, (digest,)).fetchone()
        if row is None:
            raise AppendConflictError(run_id, digest.hex(), f"the value {digest.hex()} is not in {name}")
        found.append(row[0])
    return found


def _write(
    cursor: Cursor,
    number: int,
    batch: Batch,
    events: Sequence[StoredEvent],
    refs: Sequence[int],
    seq: int,
) -> None:
    base = number << RUN
    rows: list[tuple[object, ...]] = [
        (base | event[0] << EVENT, event[2], event[3], event[1], event[4]) for event in events
    ]
    foreign = [value for value in refs if value >> RUN != number]
    if batch.values:
        # behind the first event, so that whoever reads up to the middle of the batch has its values
        rows[1:1], more = _place(cursor, number, batch, base | seq << EVENT if events else None)
        foreign += more
    if rows:
        cursor.executemany(_LOG, rows)
    if foreign:
        cursor.executemany(_REF, [(number, value, seq) for value in foreign])
    if batch.changes is not None:
        _change(cursor, number, batch.changes)
    if batch.messages:
        _deliver(cursor, number, batch.messages)


def _place(cursor: Cursor, number: int, batch: Batch, first: int | None) -> tuple[list[tuple[object, ...]], list[int]]:
    """Rows for the values that are new to the file, and the ids of values that lie in no range of this run."""
    rows: list[tuple[object, ...]] = []
    foreign: list[int] = []
    seen: set[bytes] = set()
    for value in batch.values:
        if value.digest in seen:
            continue
        seen.add(value.digest)
        row = cursor.execute(_FIND, (value.digest,)).fetchone()
        if row is not None:
            if row[0] >> RUN != number:
                foreign.append(row[0])
            continue
        parts = _parts(value)
        if first is not None and len(rows) + len(parts) <= SLOTS:
            at = first + len(rows) + 1
            rows += [(at + i, *part) for i, part in enumerate(parts)]
        else:
            at = _shared(cursor)
            cursor.executemany(_LOG, [(at + i, *part) for i, part in enumerate(parts)])
            foreign.append(at)
    return rows, foreign


def _parts(value: StoredValue) -> list[tuple[object, ...]]:
    """The rows of a value, without their ids."""
    digest, data = value
    size = len(data)
    if not PART < size <= PARTED:
        return [(None, digest, None, data)]
    count = -(-size // PART)
    step = -(-size // count)
    cut = [data[start : start + step] for start in range(0, size, step)]
    return [(None, digest, count, cut[0]), *((None, None, None, part) for part in cut[1:])]


def _shared(cursor: Cursor) -> int:
    """The next id in nobody's range."""
    last = cursor.execute("SELECT max(id) FROM log WHERE id < ?", (1 << RUN,)).fetchone()[0]
    return (last or 0) + 1


def _change(cursor: Cursor, number: int, changes: HeaderChanges) -> None:
    cursor.execute(
        "UPDATE runs SET updated = max(updated, ?), status = coalesce(?, status),"
        " fingerprint = coalesce(?, fingerprint), metadata = coalesce(?, metadata) WHERE number = ?",
        (changes.time, changes.status, changes.fingerprint, changes.metadata, number),
    )


def _deliver(cursor: Cursor, number: int, messages: Sequence[Message]) -> None:
    last = cursor.execute("SELECT max(position) FROM inbox WHERE run = ?", (number,)).fetchone()[0] or 0
    for message in messages:
        cursor.execute(
            "INSERT OR IGNORE INTO inbox (run, position, id, kind, data, time) VALUES (?, ?, ?, ?, ?, ?)",
            (number, last + 1, message.id, message.kind, message.data, message.time),
        )
        last += cursor.rowcount


def acquire(connection: Connection, run_id: str, owner: str, now: float, ttl: float, name: str) -> Lease:
    """Take a lease that is free or has expired."""
    number = number_of(connection, run_id, name)
    token, holder, expires, last = connection.execute(
        "SELECT token, owner, expires, (SELECT max(id) FROM log WHERE id < ?1) FROM leases WHERE run = ?2",
        ((number + 1) << RUN, number),
    ).fetchone()
    if holder is not None and expires > now:
        raise RunBusyError(run_id, holder, expires)
    lease = Lease(run_id, owner, token + 1, now + ttl, _size(number, last))
    connection.execute(
        "UPDATE leases SET token = ?, owner = ?, expires = ? WHERE run = ?", (lease.token, owner, lease.expires, number)
    )
    return lease


def renew(connection: Connection, lease: Lease, expires: float) -> Lease:
    """Give a lease a new expiry."""
    number = lease.token >> TOKEN
    row = connection.execute("SELECT token, owner FROM leases WHERE run = ?", (number,)).fetchone()
    if row is None or row[0] != lease.token or row[1] is None:
        raise LeaseLostError(lease.run_id, lease.owner, None if row is None else row[1])
    connection.execute("UPDATE leases SET expires = ? WHERE run = ?", (expires, number))
    return lease._replace(expires=expires)


def release(connection: Connection, lease: Lease) -> None:
    """Give a lease up, if it is still the current one."""
    connection.execute(
        "UPDATE leases SET owner = NULL, expires = 0 WHERE run = ? AND token = ?", (lease.token >> TOKEN, lease.token)
    )


def post(connection: Connection, run_id: str, message: Message, name: str) -> bool:
    """Put a message into an inbox unless it is there."""
    number = number_of(connection, run_id, name)
    known = connection.execute("SELECT kind, data FROM inbox WHERE run = ? AND id = ?", (number, message.id)).fetchone()
    if known is None:
        _deliver(connection.cursor(), number, [message])
        return True
    if known != (message.kind, message.data):
        raise AppendConflictError(run_id, message.id, f"the message id '{message.id}' was used for another message")
    return False


def delete(connection: Connection, run_id: str, now: float, name: str) -> None:
    """Remove a run and what only it held."""
    number = number_of(connection, run_id, name)
    owner, expires = connection.execute("SELECT owner, expires FROM leases WHERE run = ?", (number,)).fetchone()
    if owner is not None and expires > now:
        raise RunBusyError(run_id, owner, expires)
    _remove(connection, number)


def prune(
    connection: Connection, run_id: str, now: float, status: Sequence[RunStatus], updated_before: float | None
) -> bool:
    """Remove a run if it is there, still of these statuses, not updated since, and owned by nobody."""
    row = connection.execute(
        "SELECT number, status FROM runs JOIN leases ON run = number"
        " WHERE run_id = ? AND (owner IS NULL OR expires <= ?)",
        (run_id, now),
    ).fetchone()
    if row is None or row[1] not in status:
        return False
    if updated_before is not None and read_header(connection, row[0]).updated >= updated_before:
        return False
    _remove(connection, row[0])
    return True


def _remove(connection: Connection, number: int) -> None:
    first, end = number << RUN, (number + 1) << RUN
    # values of this run that others refer to outlive it, in nobody's range
    kept = connection.execute(
        "SELECT DISTINCT value, log.time FROM refs JOIN log ON log.id = value WHERE value >= ? AND value < ?",
        (first, end),
    ).fetchall()
    for value, parts in kept:
        shared = _shared(connection.cursor())
        connection.execute(
            "UPDATE log SET id = id - ?1 + ?2 WHERE id >= ?1 AND id < ?1 + ?3", (value, shared, int(parts or 1))
        )
        connection.execute("UPDATE refs SET value = ? WHERE value = ?", (shared, value))
    held = connection.execute(
        "SELECT value, log.time FROM refs JOIN log ON log.id = value WHERE refs.run = ? AND value < ?",
        (number, 1 << RUN),
    ).fetchall()
    connection.execute("DELETE FROM refs WHERE run = ?", (number,))
    connection.executemany(
        "DELETE FROM log WHERE id >= ?1 AND id < ?1 + ?2 AND NOT EXISTS (SELECT 1 FROM refs WHERE value = ?1)",
        [(value, int(parts or 1)) for value, parts in held],
    )
    connection.execute("DELETE FROM log WHERE id >= ? AND id < ?", (first, end))
    connection.execute("DELETE FROM inbox WHERE run = ?", (number,))
    connection.execute("DELETE FROM leases WHERE run = ?", (number,))
    connection.execute("DELETE FROM runs WHERE number = ?", (number,))
