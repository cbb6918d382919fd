"""A run's hold on its store: who owns it, for how long, and that it is given back. Decides nothing about the run."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

import anyio

from loomgraph.errors import LeaseLostError
from loomgraph.runtime.durable import DurableJournal
from loomgraph.store.protocol import Lease, RunHeader, Store

__all__ = ["DEFAULT_TTL", "Keeper", "owner_name"]

# seconds a run stays its owner's without a sign of life; a crashed owner's run can be taken over after that
DEFAULT_TTL = 30.0


def owner_name() -> str:
    """A name for this process that a person can find: host, process id, and a part that no other process has."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


class Keeper:
    """Holds one run's lease while the run goes on."""

    def __init__(self, store: Store, run_id: str, ttl: float = DEFAULT_TTL) -> None:
        self.store = store
        self.run_id = run_id
        self.ttl = ttl
        self.owner = owner_name()
        self.lost: LeaseLostError | None = None

    async def create(self, journal: DurableJournal, header: RunHeader) -> None:
        """Record the run with what its journal has so far. Raises RunExistsError."""
        end, batch = journal.batch()
        asked = journal.now()
        journal.hold(await self.store.create(header, batch, owner=self.owner, ttl=self.ttl), asked, self.ttl)
        journal.wrote(end, batch)

    async def acquire(self, journal: DurableJournal) -> None:
        """Take the lease of a run that is there. Raises UnknownRunError and RunBusyError."""
        asked = journal.now()
        journal.hold(await self.store.acquire(self.run_id, self.owner, self.ttl), asked, self.ttl)

    @asynccontextmanager
    async def keeping(self, journal: DurableJournal, stop: Callable[[str], None]) -> AsyncGenerator[None]:
        """Renew the lease while the block runs, and give it up afterwards; `stop` is called once it is lost."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._beat, journal, stop)
            try:
                yield
            finally:
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await self._release(journal)

    async def _beat(self, journal: DurableJournal, stop: Callable[[str], None]) -> None:
        trouble: Exception | None = None
        while True:
            await anyio.sleep(self.ttl / 3)
            lease: Lease | None = journal.lease
            if lease is None:
                return  # given up in the very turn in which the wait ended
            try:
                asked = journal.now()
                renewed = await self.store.renew(lease, self.ttl)
                if journal.lease is not None:
                    journal.hold(renewed, asked, self.ttl)
            except LeaseLostError as error:
                error.__cause__ = trouble
                self.lost = error
                stop("another process took the run over")
                return
            except Exception as error:
                # once the lease has run out, nothing is done before it was renewed: until then, try again
                trouble = error

    async def _release(self, journal: DurableJournal) -> None:
        lease, journal.lease = journal.lease, None
        if lease is not None and self.lost is None:
            # what the run came to is written already, or could not be: neither is undone by a lease that runs out
            with suppress(Exception):
                await self.store.release(lease)
