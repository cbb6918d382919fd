"""The background thread of a store with `synchronous="NORMAL"`: it pays for the disk, so that writers need not.

It moves the write-ahead log into the database when that has grown, and asks the disk to keep what was committed within
a second. It never changes what is committed.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

__all__ = ["Keeper"]

# pages of 2 KiB; as many bytes as SQLite lets a log grow by itself, and four times that
_GROWN = 2_000
_LONG = 8_000
_FLUSH_AFTER = 1.0


class Keeper:
    """Works on a connection of its own, which `connect` makes. `held` is the lock of the writing connection."""

    def __init__(self, path: Path, connect: Callable[[], sqlite3.Connection], held: threading.Lock) -> None:
        self._log = path.with_name(path.name + "-wal")
        self._connect = connect
        self._held = held
        self._pages = 0
        self._awake = False
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def wrote(self, pages: int) -> None:
        """About so many pages were committed. Takes a microsecond."""
        self._pages += pages
        if not self._awake:
            self._awake = True
            self._wake.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name=f"loomgraph keeper {self._log}", daemon=True)
                self._thread.start()
        elif self._pages >= _GROWN and not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        """End the thread. Blocks; may be called twice."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        try:
            while True:
                self._wake.wait()
                self._wake.clear()
                if self._stop.is_set():
                    return
                # woken by a first write: let a second's worth gather; woken by a grown log: go
                if self._pages < _GROWN:
                    self._wake.wait(_FLUSH_AFTER)
                    self._wake.clear()
                    if self._stop.is_set():
                        return
                self._awake = False
                if self._pages >= _GROWN:
                    connection = connection or self._connect()
                    self._checkpoint(connection)
                else:
                    self._flush()
        finally:
            if connection is not None:
                connection.close()

    def _flush(self) -> None:
        # the file is gone once the last connection of another process closed the database
        with suppress(OSError):
            file = os.open(self._log, os.O_RDWR)
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        self._pages = 0
        # whoever is in the way will do it, or the next time will
        with suppress(sqlite3.Error):
            _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages > _LONG:
                # Written to all the time, so it never was moved whole and never began anew. Hold the writers off for
                # the little that is left: they queue for their thread meanwhile, no event loop waits.
                with self._held:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
