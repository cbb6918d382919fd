"""Somewhere to keep runs, once for each kind of store, with a clock that a test can put forward."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from loomgraph.store.protocol import Store

__all__ = ["KINDS", "Place"]

KINDS = ("memory", "sqlite", "postgresql")


class Place:
    """An empty place of one kind. `ahead` (s) is added to the time, for leases: an hour passes in an instant."""

    def __init__(self, kind: str, folder: Path, address: str | None = None) -> None:
        self.kind, self.ahead = kind, 0.0
        self._folder, self._address = folder, address
        self._schema = f"place_{uuid.uuid4().hex}"

    def clock(self) -> float:
        """Seconds since the epoch, as the stores of this place see it."""
        return time.time() + self.ahead

    @property
    def address(self) -> str:
        """How a command names the file or the server, where others may have runs too; not for one in memory."""
        if self.kind == "sqlite":
            return f"sqlite:{self._folder / 'runs.db'}"
        assert self._address is not None
        return self._address

    def store(self) -> Store:
        """A store of its own; in memory it is empty, else it shows what is at the place. Whoever asks closes it."""
        match self.kind:
            case "memory":
                from loomgraph.store.memory import MemoryStore

                return MemoryStore(clock=self.clock)
            case "sqlite":
                from loomgraph.store.sqlite import SQLiteStore

                return SQLiteStore(self._folder / "runs.db", clock=self.clock)
            case _:
                from loomgraph.store.postgres import PostgresStore

                assert self._address is not None
                return PostgresStore(self._address, schema=self._schema, clock=self.clock)
