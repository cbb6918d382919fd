"""How runs are read from a PostgreSQL database. Each function is one or a few queries and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import psycopg

from loomgraph.errors import UnknownRunError
from loomgraph.store.checks import close_ids
from loomgraph.store.paging import after_cursor, cursor_of
from loomgraph.store.protocol import Message, RunFilter, RunHeader, RunPage, RunStatus, StoredEvent, WholeRun

__all__ = [
    "Connection",
    "number_of",
    "read_digests",
    "read_events",
    "read_header",
    "read_inbox",
    "read_runs",
    "read_values",
    "read_whole",
    "spent_runs",
]

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_HEADERS = """
    SELECT run_id, graph, fingerprint, created, status, greatest(updated, coalesce(last.time, 0)) AS latest, input,
           parent, fork_seq, user_id, session_id, metadata, coalesce(last.seq, -1) + 1 AS events, version, number
    FROM runs LEFT JOIN LATERAL (
        SELECT seq, time FROM log WHERE run = number ORDER BY seq DESC LIMIT 1
    ) AS last ON true
"""


def number_of(connection: Connection, run_id: str, name: str) -> int:
    """The number of a run. Raises UnknownRunError, naming recent runs with a similar id."""
    row = connection.execute("SELECT number FROM runs WHERE run_id = %s", (run_id,)).fetchone()
    if row is None:
        recent = connection.execute("SELECT run_id FROM runs ORDER BY number DESC LIMIT 2000").fetchall()
        raise UnknownRunError(run_id, name, close_ids(run_id, [known for (known,) in recent]))
    return int(row[0])


def read_header(connection: Connection, number: int) -> RunHeader:
    """The header of the run with this number."""
    row = connection.execute(f"{_HEADERS} WHERE number = %s", (number,)).fetchone()
    assert row is not None
    return _header(row)


def read_events(connection: Connection, number: int, start: int = 0, stop: int | None = None) -> list[StoredEvent]:
    """The events `start <= seq < stop` of a run in order."""
    rows = connection.execute(
        "SELECT seq, time, kind, key, body FROM log WHERE run = %s AND seq >= %s AND seq < %s ORDER BY seq",
        (number, start, 2**31 - 1 if stop is None else stop),
        binary=True,
    )
    return [StoredEvent(*row) for row in rows]


def read_digests(connection: Connection, number: int, stop: int | None = None) -> list[bytes]:
    """The digests of a run's values, in the order in which they came."""
    rows = connection.execute(
        "SELECT digest FROM refs WHERE run = %s AND seq < %s ORDER BY seq, digest",
        (number, 2**31 - 1 if stop is None else stop),
        binary=True,
    )
    return [digest for (digest,) in rows]


def read_values(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, bytes]:
    """The values that are there, by digest."""
    rows = connection.execute("SELECT digest, data FROM vals WHERE digest = ANY(%b)", (list(digests),), binary=True)
    return {digest: data for digest, data in rows}  # noqa: C416 - dict() does not take rows of unknown width


def read_whole(connection: Connection, number: int) -> WholeRun:
    """All there is of a run."""
    rows = connection.execute(
        "SELECT digest, data FROM refs JOIN vals USING (digest) WHERE run = %s", (number,), binary=True
    )
    values: dict[bytes, bytes] = {digest: data for digest, data in rows}  # noqa: C416 - as above
    header, events = read_header(connection, number), read_events(connection, number)
    return WholeRun(header, events, values, read_inbox(connection, number, 0))


def read_runs(connection: Connection, where: RunFilter, limit: int, cursor: str | None) -> RunPage:
    """A page of runs, newest first."""
    conditions = ["true"]
    values: list[object] = []
    if where.status:
        conditions.append("status = ANY(%s)")
        values.append(list(where.status))
    for column in ("graph", "user_id", "session_id", "parent"):
        wanted = getattr(where, column)
        if wanted is not None:
            conditions.append(f"{column} = %s")
            values.append(wanted)
    if where.created_from is not None:
        conditions.append("created >= %s")
        values.append(where.created_from)
    if where.created_before is not None:
        conditions.append("created < %s")
        values.append(where.created_before)
    before = after_cursor(cursor)
    if before is not None:
        conditions.append("(created, number) < (%s, %s)")
        values += before
    rows = connection.execute(
        f"{_HEADERS} WHERE {' AND '.join(conditions)} ORDER BY created DESC, number DESC LIMIT %s".encode(),
        (*values, limit + 1),
    ).fetchall()
    page = [_header(row) for row in rows[:limit]]
    more = cursor_of(page[-1].created, rows[limit - 1][-1]) if page and len(rows) > limit else None
    return RunPage(page, more)


def read_inbox(connection: Connection, number: int, after: int) -> list[Message]:
    """The messages of a run behind a position."""
    rows = connection.execute(
        "SELECT position, id, kind, data, time FROM inbox WHERE run = %s AND position > %s ORDER BY position",
        (number, after),
        binary=True,
    )
    return [Message(*row) for row in rows]


def spent_runs(
    connection: Connection, status: Sequence[RunStatus], keep: int, updated_before: float | None
) -> list[str]:
    """The ids of runs of these statuses behind the newest `keep` of them and not updated since, oldest first."""
    rows = connection.execute(
        f"SELECT run_id FROM ({_HEADERS} WHERE status = ANY(%s)"  # noqa: S608 - only constants
        " ORDER BY created DESC, number DESC OFFSET %s) AS behind WHERE latest < %s ORDER BY created, number",
        (list(status), keep, float("inf") if updated_before is None else updated_before),
    )
    return [run_id for (run_id,) in rows]


def _header(row: tuple[Any, ...]) -> RunHeader:
    return RunHeader(
        run_id=row[0],
        graph=row[1],
        fingerprint=row[2],
        created=row[3],
        status=row[4],
        updated=row[5],
        input=row[6],
        parent=row[7],
        fork_seq=row[8],
        user_id=row[9],
        session_id=row[10],
        metadata=row[11],
        events=row[12],
        version=row[13],
    )
