"""How often a tool may be called in a minute. Counts for each event loop of this process, over all its runs."""

from __future__ import annotations

from collections.abc import MutableMapping
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import RunVar

from loomgraph.graph.bucket import Bucket
from loomgraph.tools.tool import Tool

__all__ = ["paced"]

_BUCKETS: RunVar[MutableMapping[Tool, Bucket]] = RunVar("loomgraph_tool_buckets")


async def paced(tool: Tool) -> None:
    """Return when it is this call's turn, in the order they come."""
    if tool.calls_per_minute is None:
        return
    try:
        buckets = _BUCKETS.get()
    except LookupError:
        buckets = WeakKeyDictionary[Tool, Bucket]()
        _BUCKETS.set(buckets)
    bucket = buckets.setdefault(tool, Bucket(tool.calls_per_minute / 60, 1))
    now = anyio.current_time()
    wait = bucket.take(1, now)
    if wait > 0:
        try:
            await anyio.sleep(wait)
        except BaseException:  # cancelled: it was not called
            bucket.take(-1, now)
            raise
