"""The tables of a SQLite file, and the way from each version of them to the next. What they mean is in `schema`."""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

__all__ = ["migrate"]

_migrations = Migrations("loomgraph")


@_migrations(name="0001_runs")
def _runs(db: Database) -> None:
    db.conn.execute(
        # AUTOINCREMENT: a number that was deleted is never given again
        "CREATE TABLE runs (number INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL UNIQUE,"
        " graph TEXT NOT NULL, fingerprint TEXT NOT NULL, status TEXT NOT NULL, created REAL NOT NULL,"
        " updated REAL NOT NULL, input BLOB NOT NULL, parent TEXT, fork_seq INTEGER, user_id TEXT, session_id TEXT,"
        " metadata TEXT NOT NULL, version INTEGER NOT NULL)"
    )
    db.conn.execute("CREATE INDEX runs_created ON runs (created, number)")
    db.conn.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, kind TEXT, key, time REAL, body BLOB)")
    db.conn.execute("CREATE INDEX log_values ON log (key) WHERE kind IS NULL AND key IS NOT NULL")
    db.conn.execute(
        "CREATE TABLE refs (run INTEGER NOT NULL, value INTEGER NOT NULL, seq INTEGER NOT NULL,"
        " PRIMARY KEY (run, value)) WITHOUT ROWID"
    )
    db.conn.execute("CREATE INDEX refs_value ON refs (value)")
    db.conn.execute(
        "CREATE TABLE leases (run INTEGER PRIMARY KEY, token INTEGER NOT NULL, owner TEXT, expires REAL NOT NULL)"
    )
    db.conn.execute(
        "CREATE TABLE inbox (run INTEGER NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,"
        " data BLOB NOT NULL, time REAL NOT NULL, PRIMARY KEY (run, position), UNIQUE (run, id)) WITHOUT ROWID"
    )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file up to date, inside the transaction that whoever calls has begun."""
    _migrations.apply(Database(connection, recursive_triggers=False, execute_plugins=False))
