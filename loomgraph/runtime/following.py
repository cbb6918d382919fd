"""A run's log as it grows, read from its store by whoever wants to watch. Runs nothing, owns nothing, writes nothing.

The run may go on in any process, and need not: a log that has ended is read to its end.
"""

from __future__ import annotations

import anyio

from loomgraph.engine.facts import event_of
from loomgraph.events import Event
from loomgraph.runtime.format import check_version
from loomgraph.runtime.logbook import PlainReader
from loomgraph.store.codec import Codec
from loomgraph.store.protocol import RunHeader, Store
from loomgraph.store.reach import reach

__all__ = ["Following"]

# what is read at a time of a log that is long already
_PAGE = 2_000


class Following:
    """`async for header, events in Following(store, "t-42")`: the run's header and its next events, again and again.

    From the first event on, each once; an empty list while nothing happens. Values are plain JSON data, as in
    `read_log`. `poll` is how many seconds lie between two looks. It never ends by itself: a run that waits, or has
    failed, may go on. Whoever reads decides by the header, once the last of its `events` has come. Raises what
    `read_log` raises.
    """

    def __init__(self, store: Store, run_id: str, *, poll: float = 0.25) -> None:
        self._store, self._run_id, self._poll = store, run_id, poll
        self._values: dict[bytes, bytes] = {}
        self._reader = PlainReader(Codec(), self._values)
        self._seen = 0
        self._rest = False

    def __aiter__(self) -> Following:
        return self

    async def __anext__(self) -> tuple[RunHeader, list[Event]]:
        if self._rest:
            await anyio.sleep(self._poll)
        header = await self._store.load(self._run_id)
        check_version(header)
        stop = min(self._seen + _PAGE, header.events)
        stored = await self._store.events(self._run_id, self._seen, stop) if self._seen < stop else []
        await reach(self._store, self._run_id, [event.body for event in stored], self._values)
        self._seen += len(stored)
        self._rest = self._seen >= header.events
        return header, [event_of(self._run_id, event.seq, self._reader.entry(event)) for event in stored]
