"""What takes long for a long run: comparing two, and writing all events as text. Done in threads, a piece at a time.

The page's server answers others meanwhile. One such piece of work is done at a time, however many ask: threads of this
kind of work do not run beside each other anyway, and a request that was left ends after its piece.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread

from loomgraph.engine.facts import event_of
from loomgraph.runtime.comparing import Comparison, compared
from loomgraph.runtime.logbook import PlainReader, Stored, read_stored
from loomgraph.store.codec import Codec
from loomgraph.store.protocol import Store
from loomgraph.ui import documents

__all__ = ["Long"]

T = TypeVar("T")

_AT_ONCE: Final = 500
"""How many events are written between two looks at whether somebody still reads."""


class Long:
    """The long work over one store. The last comparison is kept, for whoever turns its pages."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._limit = anyio.CapacityLimiter(1)
        self._last: tuple[tuple[Any, ...], Comparison] | None = None

    async def compared(self, left: str, right: str, whole: bool, start: int, limit: int) -> dict[str, Any]:
        """Some of what differs between two runs (or of all there is, if `whole`), and how much there is."""
        headers = [await self._store.load(run_id) for run_id in (left, right)]
        asked = (left, right, *((header.events, header.created) for header in headers))
        if self._last is not None and self._last[0] == asked:
            both = self._last[1]
        else:
            stored = [await read_stored(self._store, run_id) for run_id in (left, right)]
            both = await self._apart(lambda: compared(*stored))
            self._last = asked, both

        def page() -> dict[str, Any]:
            found = both.activations if whole else both.differences
            told = documents.compared(both, found[start : start + limit])
            return told | {
                "total": len(found),
                "activities": len(both.activations),
                "differences": len(both.differences),
            }

        return await self._apart(page)

    async def lines(self, stored: Stored) -> AsyncIterator[bytes]:
        """Every event of a run as a line of JSON."""
        reader = PlainReader(Codec(), stored.values)
        run_id, events = stored.header.run_id, stored.events

        def part(begin: int) -> bytes:
            made = (event_of(run_id, one.seq, reader.entry(one)) for one in events[begin : begin + _AT_ONCE])
            lines = [event.model_dump_json(fallback=str, serialize_as_any=True) for event in made]
            return "".join(f"{line}\n" for line in lines).encode()

        for begin in range(0, len(events), _AT_ONCE):
            yield await self._apart(partial(part, begin))

    async def _apart(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._limit)
