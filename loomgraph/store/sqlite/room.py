"""Room in the write-ahead log of a store with `synchronous="FULL"`, made before it is needed. Changes nothing else.

A commit that makes a file longer waits for the disk twice: for its data, and for the file's new length. One that
writes over what is there waits once. So the log is made long when the store is opened, by a transaction that is taken
back, which SQLite writes over afterwards; and it is moved into the database as soon as that room is used up.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["PAGES", "ROOM", "make_room"]

PAGES: Final = 250
"""How many pages of the log there is room for."""

ROOM: Final = PAGES * 2_072
"""How many bytes of the log that is: a page of 2 KiB, and what the log says about it."""

# how many pages may stay in memory: so few that the transaction goes to the log
_CACHE: Final = 10
_BYTES: Final = (PAGES + 2 * _CACHE) * 2_044


def make_room(connection: sqlite3.Connection, path: Path) -> None:
    """Make the log long enough, unless it is; does nothing where somebody else writes just now, or the disk is full.

    The connection must not wait for locks, and be in no transaction.
    """
    log = path.with_name(path.name + "-wal")
    # what is in the way here is in the way of the first write too, which then says so
    with suppress(OSError, sqlite3.Error):
        if log.exists() and log.stat().st_size >= ROOM:
            return
        cache = connection.execute("PRAGMA cache_size").fetchone()[0]
        try:
            connection.execute(f"PRAGMA cache_size = {_CACHE}")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO log (id, body) VALUES (-1, zeroblob(?))", (_BYTES,))
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.execute(f"PRAGMA cache_size = {cache}")
