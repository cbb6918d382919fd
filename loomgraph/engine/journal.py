"""The log of one run in this process, and those who read it while it grows.

Entries are kept, so a reader is a position, never a queue of its own. A reader that falls behind by more than `lag`
entries holds the run back (back pressure) until it has caught up or gone; one that nobody refers to any more, because
its `async for` was left, is gone.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import anyio

from loomgraph.engine.facts import Entry, event_of
from loomgraph.events import Event

__all__ = ["Journal", "Reader"]


class Journal:
    """`entries` in log order; `now` gives the time in seconds since the epoch.

    `durable` says whether `commit` has to be awaited before anything recorded is acted on. `broken` is why a write
    failed: the log ends there, nothing more is written, and the run ends with it.
    """

    def __init__(self, run_id: str, now: Callable[[], float], lag: int | None = None) -> None:
        self.run_id = run_id
        self.entries: list[Entry] = []
        self.closed = False
        self.durable = False
        self.broken: BaseException | None = None
        self.lag = lag
        self.readers: list[weakref.ref[Reader]] = []
        self._now = now
        # the one that has this log from here on, where the run was read anew and goes on
        self.successor: Journal | None = None
        self._grown: anyio.Event | None = None
        self._read: anyio.Event | None = None

    def extend(self, facts: list[tuple[Any, Any, tuple[Any, ...]]]) -> None:
        """Append facts, and wake the readers."""
        now = self._now()
        entries = self.entries
        for kind, subject, values in facts:
            entries.append((now, kind, subject, values))
        facts.clear()
        self._wake()

    def add(self, kind: Any, subject: Any, values: tuple[Any, ...]) -> None:
        """Append one fact."""
        self.entries.append((self._now(), kind, subject, values))
        self._wake()

    def _wake(self) -> None:
        if self._grown is not None:
            self._grown.set()
            self._grown = None

    @property
    def visible(self) -> int:
        """How many entries readers may see: those that a crash cannot take back."""
        return len(self.entries)

    @property
    def written(self) -> int:
        """How many entries are durable."""
        return len(self.entries)

    def prepare(self, activation: Any, value: Any, updates: Any) -> None:
        """An activation is about to report this; a journal that stores values refuses here what it cannot store."""

    def prepare_step(self, activation: Any, key: str, tp: Any, value: Any) -> None:
        """The same for a durable step of an activation."""

    def prepare_scope(self, path: str, graph: Any, value: Any) -> None:
        """The same for a graph that node code is about to run on this value; `path` is the scope's."""

    def prepared_input(self, path: str) -> Any:
        """The input that was prepared for such a graph; equal inputs give equal answers."""
        raise AssertionError(f"{path} is compared in a journal in memory")

    def recall(self, tp: Any, ref: Any, where: str) -> Any:
        """A value that an old entry refers to, as this type. A journal in memory has no old entries."""
        raise AssertionError(f"{where} is recalled from a journal in memory")

    def commit_now(self) -> bool:
        """`commit`, if that takes no waiting; False if it has to be awaited."""
        return True

    async def commit(self) -> None:
        """Make what was recorded so far durable, whoever is cancelled meanwhile. In memory there is nothing to do."""

    def owned(self) -> bool:
        """Whether nobody else can have gone on with the run meanwhile. False: `confirm` before anything is done."""
        return True

    async def confirm(self) -> None:
        """Make sure of it; raises if somebody else has the run, which then ends here."""

    def close(self) -> None:
        """No more will come."""
        self.closed = True
        self._wake()

    def follow(self, successor: Journal) -> None:
        """No more will come here; readers go on with another journal of the same run."""
        self.successor = successor
        self.close()

    @property
    def held(self) -> bool:
        """Whether a reader is too far behind for more work to start."""
        if not self.readers or self.lag is None:
            return False
        live = [reader for reader in (ref() for ref in self.readers) if reader is not None]
        return bool(live) and len(self.entries) - min(reader.position for reader in live) > self.lag

    async def relieved(self) -> None:
        """Return when no reader holds the run back any more."""
        while self.held and not self.closed:
            if self._read is None:
                self._read = anyio.Event()
            await self._read.wait()

    def joined(self, reader: Reader) -> None:
        """A reader began to read."""
        self.readers.append(weakref.ref(reader, self._left))

    def _left(self, ref: weakref.ref[Reader]) -> None:
        if ref in self.readers:
            self.readers.remove(ref)
            self.progressed()

    def release(self) -> None:
        """The run is ending, or nobody reads on: from now on no reader holds it back. They still see every event."""
        self.lag = None
        self.progressed()

    def progressed(self) -> None:
        """A reader moved on or left."""
        if self._read is not None and not self.held:
            self._read.set()
            self._read = None

    async def grown(self, position: int) -> bool:
        """Wait for an entry at `position`; False once the log ended before it."""
        while position >= self.visible:
            if self.closed:
                return False
            if self._grown is None:
                self._grown = anyio.Event()
            await self._grown.wait()
        return True

    def events(self, start: int = 0) -> tuple[Event, ...]:
        """The events from position `start`."""
        return tuple(event_of(self.run_id, start + i, entry) for i, entry in enumerate(self.entries[start:]))


class Reader:
    """An asynchronous iterator over a journal's events from `start`; ends with the run."""

    def __init__(self, journal: Journal, start: int = 0) -> None:
        self._journal = journal
        self.position = start
        self._counted = False

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> Event:
        journal = self._journal
        if not self._counted:  # whoever never starts to read holds nobody back
            self._counted = True
            journal.joined(self)
        while not await journal.grown(self.position):
            self.close()
            if journal.successor is None:
                raise StopAsyncIteration
            self._journal = journal = journal.successor
            journal.joined(self)
        event = event_of(journal.run_id, self.position, journal.entries[self.position])
        self.position += 1
        journal.progressed()
        return event

    def close(self) -> None:
        """Stop reading; the run is not held back for this reader any more."""
        journal = self._journal
        journal.readers[:] = [ref for ref in journal.readers if ref() is not self]
        journal.progressed()

    async def aclose(self) -> None:
        """`close`, for `contextlib.aclosing`."""
        self.close()
