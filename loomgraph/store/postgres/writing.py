"""What a write does inside its transaction, which whoever calls has begun and will end. Every refusal comes first.

Rows are gathered in a Pending and written together at the end, so that a transaction shared by a hundred writes has
three round trips more than they need to look, and takes its locks on values in one order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loomgraph.errors import AppendConflictError, LeaseLostError, RunBusyError, RunExistsError
from loomgraph.store.checks import unwritten
from loomgraph.store.postgres.reading import Connection, number_of, read_events, read_header
from loomgraph.store.postgres.schema import TOKEN
from loomgraph.store.protocol import Batch, Lease, Message, RunHeader, RunStatus, StoredEvent

__all__ = ["Pending", "acquire", "append", "create", "delete", "post", "prune", "release", "renew"]


_HOLD = "SELECT token, owner FROM leases WHERE run = %s FOR UPDATE"


class Pending:
    """One transaction on `connection`, and the rows that it has still to write. `name` is the store's, for messages."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection = connection
        self.name = name
        self.values: dict[bytes, bytes] = {}
        self.events: list[tuple[int, StoredEvent]] = []
        self.refs: dict[tuple[int, bytes], int] = {}
        self._runs: set[int] = set()

    def one(self, query: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        """The first row of a query."""
        return self.connection.execute(query.encode(), parameters).fetchone()

    def see(self, number: int) -> None:
        """Write what is pending of this run, because it is about to be read."""
        if number in self._runs:
            self.flush()

    def add(self, number: int, batch: Batch, events: Sequence[StoredEvent], seq: int) -> None:
        """Gather the rows of a batch whose first event is `seq`."""
        self._runs.add(number)
        self.events += [(number, event) for event in events]
        self.values.update(batch.values)
        for digest in (*(value.digest for value in batch.values), *batch.refs):
            self.refs.setdefault((number, digest), seq)

    def commit(self) -> None:
        """Write the rows gathered and end the transaction, in one round trip."""
        with self.connection.pipeline():
            self.flush()
            self.connection.execute("COMMIT")

    def flush(self) -> None:
        """Write the rows gathered."""
        execute = self.connection.execute
        if self.values:
            digests = sorted(self.values)
            execute(
                "INSERT INTO vals SELECT * FROM unnest(%b::bytea[], %b::bytea[]) ON CONFLICT DO NOTHING",
                (digests, [self.values[digest] for digest in digests]),
            )
        if self.refs:
            keys = sorted(self.refs)
            execute(
                "INSERT INTO refs SELECT * FROM unnest(%b::bigint[], %b::bytea[], %b::integer[])"
                " ON CONFLICT DO NOTHING",
                ([run for run, _ in keys], [digest for _, digest in keys], [self.refs[key] for key in keys]),
            )
        if self.events:
            execute(
                "INSERT INTO log SELECT * FROM unnest(%b::bigint[], %b::integer[], %b::float8[], %b::text[],"
                " %b::text[], %b::bytea[])",
                (
                    [number for number, _ in self.events],
                    [event.seq for _, event in self.events],
                    [float(event.time) for _, event in self.events],
                    [event.kind for _, event in self.events],
                    [event.key for _, event in self.events],
                    [event.body for _, event in self.events],
                ),
            )
        self.values, self.refs, self.events, self._runs = {}, {}, [], set()


def create(pending: Pending, header: RunHeader, batch: Batch, owner: str, expires: float) -> Lease:
    """Record a run, its first batch and its lease."""
    if pending.one("SELECT 1 FROM runs WHERE run_id = %s", (header.run_id,)):
        raise RunExistsError(header.run_id, pending.name)
    _check_refs(pending, header.run_id, batch)
    row = pending.one(
        "INSERT INTO runs (run_id, graph, fingerprint, status, created, updated, input, parent, fork_seq, user_id,"
        " session_id, metadata, version) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING number",
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
    assert row is not None
    number: int = row[0]
    token = number << TOKEN | 1
    pending.connection.execute("INSERT INTO leases VALUES (%s, %s, %s, %s)", (number, token, owner, expires))
    _deliver(pending, number, batch.messages)
    pending.add(number, batch, batch.events, 0)
    return Lease(header.run_id, owner, token, expires)


def append(pending: Pending, lease: Lease, batch: Batch) -> None:
    """Write a batch under a lease."""
    number = lease.token >> TOKEN
    pending.see(number)
    # both questions in one round trip; the second is asked once the first has its lock
    with pending.connection.pipeline():
        held = pending.connection.execute(_HOLD, (number,))
        counted = pending.connection.execute("SELECT coalesce(max(seq), -1) + 1 FROM log WHERE run = %s", (number,))
    _check_held(lease, held.fetchone())
    row = counted.fetchone()
    assert row is not None
    size: int = row[0]
    events = batch.events
    if events:

        def stored(start: int, stop: int) -> list[StoredEvent]:
            return read_events(pending.connection, number, start, stop)

        events = unwritten(lease.run_id, events, size, stored)
        if not events:
            return
    _check_refs(pending, lease.run_id, batch)
    changes = batch.changes
    if changes is not None:
        pending.connection.execute(
            "UPDATE runs SET updated = greatest(updated, %s), status = coalesce(%s, status),"
            " fingerprint = coalesce(%s, fingerprint), metadata = coalesce(%s, metadata) WHERE number = %s",
            (changes.time, changes.status, changes.fingerprint, changes.metadata, number),
        )
    _deliver(pending, number, batch.messages)
    pending.add(number, batch, events, size)


def _hold(pending: Pending, lease: Lease) -> None:
    """Make sure that a lease is the current one until the transaction ends. Raises LeaseLostError."""
    _check_held(lease, pending.connection.execute(_HOLD, (lease.token >> TOKEN,)).fetchone())


def _check_held(lease: Lease, row: tuple[Any, ...] | None) -> None:
    if row is None or row[0] != lease.token or row[1] is None:
        raise LeaseLostError(lease.run_id, lease.owner, None if row is None else row[1])


def _check_refs(pending: Pending, run_id: str, batch: Batch) -> None:
    if not batch.refs:
        return
    rows = pending.connection.execute("SELECT digest FROM vals WHERE digest = ANY(%b)", (list(batch.refs),))
    found = {digest for (digest,) in rows} | pending.values.keys()
    for digest in batch.refs:
        if digest not in found:
            raise AppendConflictError(run_id, digest.hex(), f"the value {digest.hex()} is not in {pending.name}")


def _deliver(pending: Pending, number: int, messages: Sequence[Message]) -> None:
    for message in messages:
        # positions follow the order of commits, because whoever takes one holds the run until the end
        pending.connection.execute(
            "INSERT INTO inbox SELECT %s, (SELECT coalesce(max(position), 0) + 1 FROM inbox WHERE run = %s),"
            " %s, %s, %s, %s ON CONFLICT (run, id) DO NOTHING",
            (number, number, message.id, message.kind, message.data, message.time),
        )


def acquire(pending: Pending, run_id: str, owner: str, now: float, ttl: float) -> Lease:
    """Take a lease that is free or has expired."""
    number = number_of(pending.connection, run_id, pending.name)
    row = pending.one("SELECT token, owner, expires FROM leases WHERE run = %s FOR UPDATE", (number,))
    if row is None:  # deleted since
        number_of(pending.connection, run_id, pending.name)
    assert row is not None
    token, holder, expires = row
    if holder is not None and expires > now:
        raise RunBusyError(run_id, holder, expires)
    pending.see(number)
    # in a statement of its own, which sees what was appended until the lease was ours
    log = pending.one("SELECT coalesce(max(seq), -1) + 1 FROM log WHERE run = %s", (number,))
    lease = Lease(run_id, owner, token + 1, now + ttl, None if log is None else log[0])
    pending.connection.execute(
        "UPDATE leases SET token = %s, owner = %s, expires = %s WHERE run = %s",
        (lease.token, owner, lease.expires, number),
    )
    return lease


def renew(pending: Pending, lease: Lease, expires: float) -> Lease:
    """Give a lease a new expiry."""
    _hold(pending, lease)
    pending.connection.execute("UPDATE leases SET expires = %s WHERE run = %s", (expires, lease.token >> TOKEN))
    return lease._replace(expires=expires)


def release(pending: Pending, lease: Lease) -> None:
    """Give a lease up, if it is still the current one."""
    pending.connection.execute(
        "UPDATE leases SET owner = NULL, expires = 0 WHERE run = %s AND token = %s", (lease.token >> TOKEN, lease.token)
    )


def post(pending: Pending, run_id: str, message: Message) -> bool:
    """Put a message into an inbox unless it is there."""
    number = number_of(pending.connection, run_id, pending.name)
    # one sender at a time; the run may have been deleted since, then the message goes with it
    pending.connection.execute("SELECT 1 FROM runs WHERE number = %s FOR UPDATE", (number,))
    known = pending.one("SELECT kind, data FROM inbox WHERE run = %s AND id = %s", (number, message.id))
    if known is None:
        _deliver(pending, number, [message])
        return True
    if known != (message.kind, message.data):
        raise AppendConflictError(run_id, message.id, f"the message id '{message.id}' was used for another message")
    return False


def delete(pending: Pending, run_id: str, now: float) -> None:
    """Remove a run and what only it held."""
    number = number_of(pending.connection, run_id, pending.name)
    pending.see(number)
    row = pending.one("SELECT owner, expires FROM leases WHERE run = %s FOR UPDATE", (number,))
    if row is not None and row[0] is not None and row[1] > now:
        raise RunBusyError(run_id, row[0], row[1])
    _remove(pending, number)


def prune(pending: Pending, run_id: str, now: float, status: Sequence[RunStatus], updated_before: float | None) -> bool:
    """Remove a run if it is there, still of these statuses, not updated since, and owned by nobody."""
    row = pending.one(
        "SELECT number, status FROM runs JOIN leases ON run = number"
        " WHERE run_id = %s AND (owner IS NULL OR expires <= %s) FOR UPDATE",
        (run_id, now),
    )
    if row is None or row[1] not in status:
        return False
    pending.see(row[0])
    if updated_before is not None and read_header(pending.connection, row[0]).updated >= updated_before:
        return False
    _remove(pending, row[0])
    return True


def _remove(pending: Pending, number: int) -> None:
    execute = pending.connection.execute
    # the values are asked about last: a reference that came meanwhile makes the foreign key refuse, and we try again
    held = [digest for (digest,) in execute("DELETE FROM refs WHERE run = %s RETURNING digest", (number,))]
    execute(
        "DELETE FROM vals WHERE digest = ANY(%b) AND NOT EXISTS (SELECT 1 FROM refs WHERE refs.digest = vals.digest)",
        (held,),
    )
    execute("DELETE FROM log WHERE run = %s", (number,))
    execute("DELETE FROM inbox WHERE run = %s", (number,))
    execute("DELETE FROM leases WHERE run = %s", (number,))
    execute("DELETE FROM runs WHERE number = %s", (number,))
