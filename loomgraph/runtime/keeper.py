"""A run's hold on its store: who owns it, for how long, that it is given back, and who asked it to stop meanwhile."""

from __future__ import annotations

import math
import os
import socket
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count

import anyio
from pydantic_core import from_json, to_json

from loomgraph.errors import DefinitionError, LeaseLostError, RunBusyError
from loomgraph.runtime.durable import DurableJournal
from loomgraph.store.protocol import Lease, Message, RunHeader, Store, StoredEvent

__all__ = ["DEFAULT_TTL", "LOOK", "Keeper", "Patience", "ends", "owner_name", "request", "requested"]

# seconds a run stays its owner's without a sign of life; a crashed owner's run can be taken over after that
DEFAULT_TTL = 30.0

# seconds between two looks at whether somebody asked the run to stop, unless the lease is renewed more often
LOOK = 2.0

_ENDS = frozenset({"R+", "R-", "R0"})
# seconds between two looks at whether the owner has let go; an owner without a sign of life is asked when that is known
_OFTEN, _SELDOM = 0.1, 0.5


def owner_name() -> str:
    """A name for this process that a person can find: host, process id, and a part that no other process has."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def ends(events: Iterable[StoredEvent]) -> int:
    """How often a log says that the run ended; what ended may be resumed."""
    return sum(event.kind in _ENDS for event in events)


def request(ended: int, reason: str) -> tuple[str, str, bytes]:
    """Id, kind and data of the message that asks a run to stop, which has ended so many times before.

    It is void once the run has ended again: whoever resumes it later does not meet it.
    """
    return f"cancel:{ended}", "cancel", to_json({"reason": reason})


def requested(messages: Iterable[Message], ended: int) -> str | None:
    """Why somebody wants a run to stop that has ended so many times; None if nobody does."""
    for message in messages:
        if message.kind == "cancel" and message.id == f"cancel:{ended}":
            try:
                return str(from_json(message.data)["reason"])
            except (ValueError, TypeError, LookupError):
                return "somebody asked for it, and did not say why"
    return None


class Patience:
    """How long somebody waits for whoever has a run: `seconds`, from now on. Raises DefinitionError for none at all."""

    def __init__(self, seconds: float) -> None:
        if math.isnan(seconds) or seconds < 0:
            raise DefinitionError(f"wait={seconds} is no time to wait; use seconds >= 0, math.inf for however long.")
        self._until = time.monotonic() + seconds

    async def lasts(self, busy: RunBusyError) -> bool:
        """Wait until it is worth to ask again; False if there is no time left."""
        left = self._until - time.monotonic()
        if left <= 0:
            return False
        # its clock need not be ours
        await anyio.sleep(min(max(busy.expires - time.time(), _OFTEN), _SELDOM, left))
        return True


class Keeper:
    """Holds one run's lease while the run goes on. `ended` is how often it has ended before."""

    def __init__(self, store: Store, run_id: str, ttl: float = DEFAULT_TTL, ended: int = 0) -> None:
        self.store = store
        self.run_id = run_id
        self.ttl = ttl
        self.owner = owner_name()
        self.lost: LeaseLostError | None = None
        self.ended = ended
        self._position = 0

    async def look(self, found: list[Message] | None = None) -> list[Message]:
        """What came into the run's inbox since the last look; `found` is what somebody has just read, all of it."""
        messages = await self.store.inbox(self.run_id, self._position) if found is None else found
        if messages:
            self._position = messages[-1].position
        return messages

    def asked(self, messages: Sequence[Message]) -> str | None:
        """Why the run is to stop, if one of these messages says so."""
        return requested(messages, self.ended)

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
        """Renew the lease while the block runs, and give it up afterwards.

        `stop` is called with the reason once the lease is lost, or somebody asks the run to stop.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._beat, journal, stop)
            if journal.durability == "batch":
                group.start_soon(journal.write_behind, stop)
            try:
                yield
            finally:
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await self._release(journal)

    async def _beat(self, journal: DurableJournal, stop: Callable[[str], None]) -> None:
        trouble: Exception | None = None
        looks = max(1, int(self.ttl / 3 / LOOK))
        for number in count(1):
            await anyio.sleep(self.ttl / 3 / looks)
            lease: Lease | None = journal.lease
            if lease is None:
                return  # given up in the very turn in which the wait ended
            with suppress(Exception):  # a store that cannot be read for a moment: what was asked is there the next time
                reason = self.asked(await self.look())
                if reason is not None:
                    stop(reason)
            if number % looks:
                continue
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
