"""What SQLite's errors mean to whoever uses a store. Decides nothing but the words."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from loomgraph.errors import (
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreReadOnlyError,
)

__all__ = ["is_common", "is_locked", "store_error"]

_COMMON = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
}


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another connection is in the way, so that trying again can help."""
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_common(error: sqlite3.Error) -> bool:
    """Whether any other transaction would have failed in the same way."""
    return _code(error) in _COMMON


def store_error(name: str, path: Path, error: sqlite3.Error, waited: float) -> StoreError:
    """The StoreError for what SQLite raised; `waited` is how long (s) a lock was waited for."""
    detail = f"{error}, {getattr(error, 'sqlite_errorname', 'no code')}"
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreLockedError(name, waited)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreCorruptError(name, detail)
        case sqlite3.SQLITE_FULL:
            return StoreFullError(name, detail)
        case sqlite3.SQLITE_READONLY:
            return StoreReadOnlyError(name, detail)
        case sqlite3.SQLITE_CANTOPEN if not path.parent.is_dir():
            return StoreError(f"{name} cannot be opened: there is no folder '{path.parent}'. Make it first.")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return StoreReadOnlyError(name, detail)
        case sqlite3.SQLITE_IOERR:
            return StoreError(
                f"{name} could not be read or written ({detail}); what was committed before is kept. "
                f"Check the disk, its quota and its free space."
            )
        case _:
            return StoreError(f"{name}: {detail}.")


def _code(error: sqlite3.Error) -> int:
    # the low byte is the primary code, the rest refines it
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
