"""How runs are read from a SQLite file. Each function is one or a few queries and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from sqlite3 import Connection
from typing import Any

from loomgraph.store.paging import after_cursor, cursor_of
from loomgraph.store.protocol import Message, RunFilter, RunHeader, RunPage, RunStatus, StoredEvent, WholeRun
from loomgraph.store.sqlite.schema import EVENT, EVENTS, RUN, SLOTS

__all__ = [
    "read_digests",
    "read_events",
    "read_header",
    "read_inbox",
    "read_runs",
    "read_values",
    "read_whole",
    "spent_runs",
]

# how many values are asked for at once; SQLite takes 32766 parameters
_VALUES = 500

# the number of events and the time of the last one are read off the end of the run's range of the log
_HEADERS = f"""
    SELECT runs.*, coalesce((last & {EVENTS}) >> {EVENT}, -1) + 1 AS events,
           max(updated, coalesce((SELECT time FROM log WHERE id = last & ~{SLOTS}), 0)) AS latest
    FROM (SELECT *, (SELECT max(id) FROM log WHERE id >= number << {RUN} AND id < number + 1 << {RUN}) AS last
          FROM runs) AS runs
"""  # noqa: S608 - only constants


def read_header(connection: Connection, number: int) -> RunHeader:
    """The header of the run with this number."""
    cursor = connection.execute(f"{_HEADERS} WHERE number = ?", (number,))
    row = cursor.fetchone()
    return _header({column[0]: value for column, value in zip(cursor.description, row, strict=True)})


def read_events(connection: Connection, number: int, start: int = 0, stop: int | None = None) -> list[StoredEvent]:
    """The events `start <= seq < stop` of a run in order."""
    base = number << RUN
    first = base | max(start, 0) << EVENT
    end = (number + 1) << RUN if stop is None else base | max(stop, 0) << EVENT
    rows = connection.execute(
        f"SELECT (id & {EVENTS}) >> {EVENT}, time, kind, key, body FROM log"  # noqa: S608 - only constants
        " WHERE id >= ? AND id < ? AND kind IS NOT NULL ORDER BY id",
        (first, end),
    )
    return list(map(StoredEvent._make, rows))


def read_digests(connection: Connection, number: int, stop: int | None = None) -> list[bytes]:
    """The digests of a run's values, in the order in which they came."""
    base = number << RUN
    end = (number + 1) << RUN if stop is None else base | max(stop, 0) << EVENT
    rows = connection.execute(
        f"SELECT key, (id & {EVENTS}) >> {EVENT} AS seq FROM log WHERE id >= ?1 AND id < ?2 AND kind IS NULL"  # noqa: S608
        " AND key IS NOT NULL"
        " UNION ALL SELECT log.key, refs.seq FROM refs JOIN log ON log.id = refs.value"
        " WHERE refs.run = ?3 AND (?4 IS NULL OR refs.seq < ?4) ORDER BY seq",
        (base, end, number, stop),
    )
    return [digest for digest, _ in rows]


def read_values(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, bytes]:
    """The values that are there, by digest."""
    wanted = list(digests)
    found: dict[bytes, bytes] = {}
    for start in range(0, len(wanted), _VALUES):
        some = wanted[start : start + _VALUES]
        marks = ",".join("?" * len(some))
        rows = connection.execute(
            f"SELECT id, key, time, body FROM log WHERE kind IS NULL AND key IN ({marks})",  # noqa: S608 - only marks
            some,
        ).fetchall()
        for id, digest, parts, data in rows:
            found[digest] = data if parts is None else data + _rest(connection, id, int(parts))
    return found


def _rest(connection: Connection, id: int, parts: int) -> bytes:
    """The parts of a value behind the first."""
    rows = connection.execute("SELECT body FROM log WHERE id > ? AND id < ? ORDER BY id", (id, id + parts))
    return b"".join([part for (part,) in rows])


def read_whole(connection: Connection, number: int) -> WholeRun:
    """All there is of a run: its range of the log in one sweep, and what it holds of others."""
    rows = connection.execute(
        f"SELECT (id & {EVENTS}) >> {EVENT}, time, kind, key, body FROM log WHERE id >= ? AND id < ? ORDER BY id",  # noqa: S608
        (number << RUN, (number + 1) << RUN),
    )
    events: list[StoredEvent] = []
    values: dict[bytes, bytes] = {}
    digest = b""
    for row in rows:
        _, _, kind, key, body = row
        if kind is not None:
            events.append(StoredEvent._make(row))
        elif key is not None:
            digest, values[key] = key, body
        else:  # a further part of the value before it
            values[digest] += body
    foreign = connection.execute(
        "SELECT log.key FROM refs JOIN log ON log.id = refs.value WHERE refs.run = ?", (number,)
    ).fetchall()
    if foreign:
        values.update(read_values(connection, [digest for (digest,) in foreign]))
    return WholeRun(read_header(connection, number), events, values, read_inbox(connection, number, 0))


def read_runs(connection: Connection, where: RunFilter, limit: int, cursor: str | None) -> RunPage:
    """A page of runs, newest first."""
    conditions: list[str] = []
    values: list[object] = []
    if where.status:
        conditions.append(f"status IN ({','.join('?' * len(where.status))})")
        values += where.status
    for column in ("graph", "user_id", "session_id", "parent"):
        wanted = getattr(where, column)
        if wanted is not None:
            conditions.append(f"{column} = ?")
            values.append(wanted)
    if where.created_from is not None:
        conditions.append("created >= ?")
        values.append(where.created_from)
    if where.created_before is not None:
        conditions.append("created < ?")
        values.append(where.created_before)
    before = after_cursor(cursor)
    if before is not None:
        conditions.append("(created, number) < (?, ?)")
        values += before
    matching = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = list(
        _query(
            connection,
            f"{_HEADERS}{matching} ORDER BY created DESC, number DESC LIMIT ?",
            (*values, limit + 1),
        )
    )
    page = rows[:limit]
    more = cursor_of(page[-1]["created"], page[-1]["number"]) if page and len(rows) > limit else None
    return RunPage([_header(row) for row in page], more)


def read_inbox(connection: Connection, number: int, after: int) -> list[Message]:
    """The messages of a run behind a position."""
    rows = connection.execute(
        "SELECT position, id, kind, data, time FROM inbox WHERE run = ? AND position > ? ORDER BY position",
        (number, after),
    )
    return [Message(*row) for row in rows]


def spent_runs(
    connection: Connection, status: Sequence[RunStatus], keep: int, updated_before: float | None
) -> list[str]:
    """The ids of runs of these statuses behind the newest `keep` of them and not updated since, oldest first."""
    marks = ",".join("?" * len(status))
    rows = _query(
        connection,
        f"SELECT run_id FROM ({_HEADERS} WHERE status IN ({marks}) ORDER BY created DESC, number DESC"  # noqa: S608
        " LIMIT -1 OFFSET ?) WHERE ? IS NULL OR latest < ? ORDER BY created, number",
        (*status, keep, updated_before, updated_before),
    )
    return [row["run_id"] for row in rows]


def _query(connection: Connection, sql: str, parameters: Sequence[object]) -> Iterable[dict[str, Any]]:
    # loaded when runs are listed: it takes longer than a short run takes to go on
    from sqlite_utils import Database

    db: Any = Database(connection, recursive_triggers=False, execute_plugins=False)
    rows: Iterable[dict[str, Any]] = db.query(sql, parameters)
    return rows


def _header(row: dict[str, Any]) -> RunHeader:
    return RunHeader(
        run_id=row["run_id"],
        graph=row["graph"],
        fingerprint=row["fingerprint"],
        created=row["created"],
        status=row["status"],
        updated=row["latest"],
        input=row["input"],
        parent=row["parent"],
        fork_seq=row["fork_seq"],
        user_id=row["user_id"],
        session_id=row["session_id"],
        metadata=row["metadata"],
        events=row["events"],
        version=row["version"],
    )
