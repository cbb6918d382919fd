"""A run's log as it grows, read from its store by whoever wants to watch. Runs nothing, owns nothing, writes nothing.

The run may go on in any process, and need not: a log that has ended is read to its end.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio

from loomgraph.engine.facts import event_of
from loomgraph.events import Event
from loomgraph.runtime.format import check_version
from loomgraph.runtime.logbook import PlainReader
from loomgraph.store.codec import Codec
from loomgraph.store.protocol import RunHeader, Store
from loomgraph.store.reach import reach

__all__ = ["follow"]

# what is read at a time of a log that is long already
_PAGE = 2_000


async def follow(store: Store, run_id: str, *, poll: float = 0.25) -> AsyncGenerator[tuple[RunHeader, list[Event]]]:
    """The run's header and its next events, from the first on, again and again; empty lists while nothing happens.

    Values are plain JSON data, as in `read_log`. `poll` is how many seconds lie between two looks. It never ends by
    itself: a run that waits, or has failed, may go on. Whoever reads decides by the header, once the last of its
    `events` has come. Raises what `read_log` raises.
    """
    values: dict[bytes, bytes] = {}
    reader = PlainReader(Codec(), values)
    seen = 0
    while True:
        header = await store.load(run_id)
        check_version(header)
        stored = await store.events(run_id, seen, min(seen + _PAGE, header.events)) if seen < header.events else []
        await reach(store, run_id, [event.body for event in stored], values)
        yield header, [event_of(run_id, event.seq, reader.entry(event)) for event in stored]
        seen += len(stored)
        if seen >= header.events:
            await anyio.sleep(poll)
