"""How runs lie in a PostgreSQL database: tables and migrations, in a schema of their own. Reads and writes no run.

A run has a number; numbers are never used again. A lease's token is run number << 32 | count. A value is a row of
`vals` and is held by the runs that `refs` names for it; `seq` there is the first event of the batch that brought it.
"""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import sql

from loomgraph.errors import StoreVersionError

__all__ = ["TOKEN", "VERSION", "prepare"]

TOKEN: Final = 32

# held while a schema is made or brought up to date; "LOOM"
_LOCK: Final = 0x4C4F4F4D

_MIGRATIONS: Final = (
    """
    CREATE TABLE runs (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id text NOT NULL UNIQUE, graph text NOT NULL,
        fingerprint text NOT NULL, status text NOT NULL, created float8 NOT NULL, updated float8 NOT NULL,
        input bytea NOT NULL, parent text, fork_seq integer, user_id text, session_id text, metadata text NOT NULL,
        version integer NOT NULL
    );
    CREATE INDEX runs_created ON runs (created DESC, number DESC);
    CREATE TABLE leases (run bigint PRIMARY KEY, token bigint NOT NULL, owner text, expires float8 NOT NULL);
    CREATE TABLE log (
        run bigint, seq integer, time float8 NOT NULL, kind text NOT NULL, key text NOT NULL, body bytea NOT NULL,
        PRIMARY KEY (run, seq)
    );
    CREATE TABLE vals (digest bytea PRIMARY KEY, data bytea NOT NULL);
    CREATE TABLE refs (
        run bigint, digest bytea REFERENCES vals (digest), seq integer NOT NULL, PRIMARY KEY (run, digest)
    );
    CREATE INDEX refs_digest ON refs (digest);
    CREATE TABLE inbox (
        run bigint, position integer, id text NOT NULL, kind text NOT NULL, data bytea NOT NULL, time float8 NOT NULL,
        PRIMARY KEY (run, position), UNIQUE (run, id)
    );
    """,
)

VERSION: Final = len(_MIGRATIONS)


def prepare(connection: psycopg.Connection, schema: str, name: str, wait: float) -> None:
    """Make the schema and bring it up to date, and let the connection find it. Safe against others doing the same.

    The connection is in autocommit mode before and after. Raises StoreVersionError for a schema of a newer loomgraph.
    """
    named = sql.Identifier(schema)
    connection.execute(sql.SQL("SET search_path TO {}").format(named))
    connection.execute(sql.SQL("SET lock_timeout TO {}").format(sql.Literal(int(wait * 1000))))
    if _version(connection, schema) == VERSION:
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        # inside the lock: another process may have done it since
        version = _version(connection, schema)
        if version > VERSION:
            raise StoreVersionError(name, version, VERSION)
        if version == VERSION:
            return
        if version == 0:
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(named))
            connection.execute("CREATE TABLE format (version integer NOT NULL)")
            connection.execute("INSERT INTO format VALUES (0)")
        for script in _MIGRATIONS[version:]:
            connection.execute(script)
        connection.execute("UPDATE format SET version = %s", (VERSION,))


def _version(connection: psycopg.Connection, schema: str) -> int:
    """The version of the schema, which is in the search path; 0 if it is not made yet."""
    # not to_regclass: within a transaction it may not have heard of a schema that another process has made meanwhile
    found = "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'format'"
    row = connection.execute(found, (schema,)).fetchone()
    if row is None or not row[0]:
        return 0
    row = connection.execute("SELECT version FROM format").fetchone()
    return 0 if row is None else int(row[0])
