"""A journal that writes ahead: what is recorded goes to a store before anything acts on it.

All that is recorded in one turn of the scheduler travels in one batch, and whoever commits while a batch is being
written shares the next one. A failed write ends the run: the machine in memory is ahead of the log and is discarded.
Nothing is written after it, for an entry is encoded once and what a failed write took with it is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import anyio

from loomgraph.engine.activation import Activation
from loomgraph.engine.facts import Entry
from loomgraph.engine.journal import Journal
from loomgraph.events import NodeStarted
from loomgraph.graph.signature import EMPTY
from loomgraph.runtime.format import LogFormat
from loomgraph.store.protocol import (
    Batch,
    HeaderChanges,
    Lease,
    RunStatus,
    Store,
    StoredEvent,
    StoredValue,
    prompt_append,
)

__all__ = ["Durability", "DurableJournal"]

Durability: TypeAlias = Literal["sync", "batch", "exit"]
"""sync: every event is durable before it is acted on. batch: written as fast as the store takes it while the run goes
on, so a crash loses what was recorded since the last write. exit: written when the run ends, so a crash loses the run.
That a node with effect="once" begins is durable before it does, in all three."""

# how many events a run in "batch" may be ahead of its log, before it waits for the store
_AHEAD = 4096


class DurableJournal(Journal):
    """The journal of one run in a store. `hold` gives it the lease; until then nothing is written."""

    def __init__(
        self,
        run_id: str,
        now: Callable[[], float],
        lag: int | None,
        *,
        store: Store,
        log: LogFormat,
        durability: Durability,
    ) -> None:
        super().__init__(run_id, now, lag)
        self.durable = True
        self.store = store
        self.log = log
        self.durability: Durability = durability
        self.lease: Lease | None = None
        self._ttl = 0.0
        self._until = 0.0
        self._written = 0
        self.values: Mapping[bytes, bytes] = {}
        self._writing = False
        self._rested: anyio.Event | None = None
        self._append_now = prompt_append(store)
        # of the next write: its events so far, and what it changes of the header
        self._unsent: list[StoredEvent] = []
        self._encoded = 0
        # how far was looked for what is pressing, and up to where it is
        self._looked = self._press = 0
        self.changes: HeaderChanges | None = None
        # told of events when they are encoded, in order
        self.listener: Callable[[list[StoredEvent]], None] | None = None

    @property
    def visible(self) -> int:
        # before it is owned, what is recorded may be discarded: somebody else may have the run
        return self._written if self.durability == "sync" or not self._until else len(self.entries)

    @property
    def written(self) -> int:
        # what is written at the end is in order all the same, and a crash loses the run with it
        return len(self.entries) if self.durability == "exit" else self._written

    def prepare(self, activation: Activation, value: Any, updates: tuple[tuple[str, Any], ...]) -> None:
        self.log.prepare(activation, value, updates)

    def prepare_step(self, activation: Activation, key: str, tp: Any, value: Any) -> None:
        self.log.prepare_step(activation, key, tp, value)

    def prepare_scope(self, path: str, graph: Any, value: Any) -> None:
        self.log.prepare_scope(path, graph, value)

    def prepared_input(self, path: str) -> Any:
        return self.log.prepared_input(path)

    def recall(self, tp: Any, ref: Any, where: str) -> Any:
        return self.log.codec.load(Any if tp is EMPTY else tp, ref, self.values, where)

    def commit_now(self) -> bool:
        if self.broken is not None:
            raise self.broken
        if self._written >= len(self.entries) or (self.durability != "sync" and not self._pressing()):
            return self.owned()
        if self._writing or self._append_now is None:
            return False
        assert self.lease is not None
        try:
            end, batch = self.batch()
            sent = self._append_now(self.lease, batch)
        except BaseException as error:
            self._break(error)
            raise
        if not sent:  # it goes with the next write
            self._unsent[:0] = batch.events
            self.log.rows.update((value.digest, value.data) for value in batch.values)
            self.changes = batch.changes
            return False
        self.wrote(end, batch)
        return self.owned()

    def now(self) -> float:
        """The time, in seconds since the epoch."""
        return self._now()

    def hold(self, lease: Lease, asked: float, ttl: float) -> None:
        """Write under this lease, which was asked for then, for so many seconds."""
        # by the clock of this process: that of the store may be another, and the time since is what counts
        self.lease, self._until, self._ttl = lease, asked + ttl, ttl

    def owned(self) -> bool:
        return self.lease is None or self._now() < self._until

    async def confirm(self) -> None:
        """Renew a lease that has run out, because this process was stopped or kept from renewing it. Raises
        LeaseLostError if somebody has taken the run over, and what the store raises; the run ends with it."""
        if self.owned():
            return
        with anyio.CancelScope(shield=True):
            if self.broken is not None:
                raise self.broken
            lease, asked = self.lease, self._now()
            assert lease is not None
            try:
                renewed = await self.store.renew(lease, self._ttl)
            except BaseException as error:
                self._break(error)
                raise
            if self.lease is not None:
                self.hold(renewed, asked, self._ttl)

    async def commit(self) -> None:
        if self.durability == "sync" or self._pressing():
            await self.flush()
        # after the write, however long it took: what was written is now to be acted on
        await self.confirm()

    def _pressing(self) -> bool:
        """Whether something has to be written now, where not every step has to.

        That is the start of a node with effect="once", for whoever goes on after a crash has to know of it; and in a
        run that is too far ahead of its log.
        """
        entries = self.entries
        for at in range(self._looked, len(entries)):
            _, kind, subject, _ = entries[at]
            if kind is NodeStarted and subject.scope.plan.definition.nodes[subject.node].effect == "once":
                self._press = at + 1
        self._looked = len(entries)
        if self._written < self._press:
            return True
        return self.durability == "batch" and len(entries) - self._written > _AHEAD

    async def write_behind(self, stop: Callable[[str], None]) -> None:
        """Write what is recorded as fast as the store takes it, until cancelled; `stop` the run where that fails."""
        while True:
            try:
                await self.flush()
            except Exception:  # kept as `broken`, and raised by the run as it ends
                stop("its log cannot be written")
                return
            await self._more()

    async def _more(self) -> None:
        while self._written >= len(self.entries):
            if self._grown is None:
                self._grown = anyio.Event()
            await self._grown.wait()

    async def flush(self, status: RunStatus | None = None) -> None:
        """Write everything recorded so far, and the run's status; returns once it is durable.

        Raises what the store raises, now and whenever it is asked again.
        """
        target = len(self.entries)
        if self._written >= target and status is None:
            return
        # an entry is encoded once, so a write that has begun is seen through, and waited for
        with anyio.CancelScope(shield=True):
            while self._written < target or status is not None:
                if self.broken is not None:
                    raise self.broken
                if self._writing:
                    await self._rest()
                    continue
                self._writing = True
                try:
                    await self._write(status)
                    status = None
                finally:
                    self._writing = False
                    if self._rested is not None:
                        self._rested.set()
                        self._rested = None

    async def reopen(self) -> None:
        """The run goes on: say so with the next write, or at once where that may be long in coming."""
        self.changes = replace(self.changes or HeaderChanges(time=0.0), time=self._now(), status="running")
        if self.durability != "sync":
            await self.flush("running")

    async def _rest(self) -> None:
        """Return when the write that is under way has ended."""
        if self._rested is None:
            self._rested = anyio.Event()
        await self._rested.wait()

    def encode(self) -> None:
        """Encode what was recorded so far, for the next write; an entry is encoded once."""
        entries, write, end = self.entries, self.log.write, len(self.entries)
        fresh = [write(seq, entries[seq]) for seq in range(self._encoded, end)]
        self._encoded = end
        self._unsent.extend(fresh)
        if self.listener is not None and fresh:
            self.listener(fresh)

    def batch(self, status: RunStatus | None = None) -> tuple[int, Batch]:
        """What is to be written now: up to which entry, and the batch."""
        self.encode()
        events, self._unsent = self._unsent, []
        values: list[StoredValue] = []
        if self.log.rows:
            values = [StoredValue(digest, data) for digest, data in self.log.rows.items()]
            self.log.rows = {}
        changes, self.changes = self.changes, None
        if status is not None:
            changes = replace(changes or HeaderChanges(time=0.0), time=self._now(), status=status)
        return self._encoded, Batch(events, values, (), changes)

    def restore(self, entries: list[Entry], values: Mapping[bytes, bytes]) -> None:
        """Begin with what the store has already."""
        self.values = values
        self.entries.extend(entries)
        self._written = self._encoded = self._looked = len(self.entries)

    def wrote(self, end: int, batch: Batch) -> None:
        """The entries before `end` are durable."""
        self._written = end
        self._wake()

    async def _write(self, status: RunStatus | None) -> None:
        assert self.lease is not None
        try:
            end, batch = self.batch(status)
            await self.store.append(self.lease, batch)
        except BaseException as error:
            self._break(error)
            raise
        self.wrote(end, batch)

    def _break(self, error: BaseException) -> None:
        self.broken = error
        error.add_note(
            f"Run '{self.run_id}' stopped here: its log is durable up to event {self._written}. "
            f"Resume it from there once this is mended."
        )
