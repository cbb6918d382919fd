"""How runs lie in a SQLite file: what its keys mean, and whose file it is. Reads and writes no run.

The tables are in `migrations`, which is loaded for a file that is not up to date.

A run has an integer number inside the file. Its events and values share one table, `log`, so that a write touches one
page of it, at its end, and a run is read back in one sweep. The row id says what a row is:

    run number << 36 | event number << 8 | slot

Slot 0 is the event itself. Slots 1 to 255 are the values brought by the batch that begins with this event: `kind` is
NULL then, `key` the digest and `body` the data. A value of about half a page would leave the other half empty, so it is
cut into parts: `time` of its row is their number, and the rows behind it, without a key, have the others.

A run holds the values in its own range. Those of other runs that it names are rows of `refs`. Number 0 is nobody's
range: values are there that outlived their run, and those that found no slot; they are held through `refs` alone.

A lease's token is run number << 32 | count. Run numbers are never used again, so neither are tokens.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from loomgraph.errors import StoreError, StoreVersionError

__all__ = ["EVENT", "EVENTS", "PART", "PARTED", "RUN", "SLOTS", "TOKEN", "VERSION", "connect", "prepare"]

VERSION: Final = 1
RUN: Final = 36
EVENT: Final = 8
EVENTS: Final = (1 << RUN) - 1
SLOTS: Final = (1 << EVENT) - 1
TOKEN: Final = 32

# "LOOM", in the file's header: says that the file is ours before a table of it is read
_APPLICATION: Final = 0x4C4F4F4D

# Half of SQLite's usual size: a commit writes two or three whole pages, however little is on them.
_PAGE: Final = 2048

# Values between these sizes are cut into parts of at most the smaller. Larger ones fill pages of their own.
PART: Final = 640
PARTED: Final = 1_980


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    """A connection that begins and ends transactions when told to, and waits `timeout` s for locks."""
    return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False, cached_statements=256)


def prepare(connection: sqlite3.Connection, name: str) -> None:
    """Make a file ours and bring it up to date; changes nothing if it is. Safe against others doing the same.

    Raises StoreVersionError for a file of a newer loomgraph, StoreError for another program's file, sqlite3.Error.
    """
    application, version, tables = _head(connection)
    if application != _APPLICATION and tables:
        raise StoreError(
            f"{name} is a SQLite database of another program. Give loomgraph a file of its own; nothing was changed."
        )
    if version > VERSION:
        raise StoreVersionError(name, version, VERSION)
    if not tables:
        connection.execute(f"PRAGMA page_size = {_PAGE}")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(f"{name} cannot have a write-ahead log here ({mode}). Put it on a local disk.")
    if version == VERSION:
        return
    # sqlite-utils takes longer to load than a short run takes to go on
    from loomgraph.store.sqlite.migrations import migrate

    connection.execute("BEGIN IMMEDIATE")
    try:
        # inside the transaction: another process may have done it since
        migrate(connection)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _head(connection: sqlite3.Connection) -> tuple[int, int, int]:
    # one read transaction: another process may be making the file ours just now
    connection.execute("BEGIN")
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")
    return application, version, tables
