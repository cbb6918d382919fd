"""Another process that keeps a SQLite file locked, in the middle of a write."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from tests.processes import Child

__all__ = ["Locker", "locked"]


class Locker(Child):
    """Such a process, for a file that is there or will be."""

    def __init__(self, path: Path) -> None:
        super().__init__(_locks, path)

    def lock(self) -> None:
        """Return once it has the lock."""
        self.tell()
        assert self.hear() == "locked"

    def unlock(self) -> None:
        """Return once it has ended its write."""
        self.tell()
        assert self.hear() == "unlocked"


def _locks(parent: Connection, path: Path) -> None:
    parent.recv()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE leases SET expires = expires")
    parent.send("locked")
    parent.recv()
    db.execute("COMMIT")
    db.close()
    parent.send("unlocked")


@contextmanager
def locked(path: Path) -> Generator[Locker]:
    """The file is locked from here on, until the process is told to unlock it, or the block ends."""
    with Locker(path) as locker:
        locker.lock()
        yield locker
