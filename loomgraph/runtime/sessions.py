"""Runs that belong together by their session id. Reads headers only."""

from __future__ import annotations

from loomgraph.store.opening import opened
from loomgraph.store.protocol import RunFilter, Store

__all__ = ["latest_run"]


async def latest_run(store: Store | str, *, session_id: str, graph: str) -> str | None:
    """The id of the newest run of a graph in a session that succeeded; None if there is none. One query."""
    async with opened(store) as kept:
        assert kept is not None
        where = RunFilter(session_id=session_id, graph=graph, status=("succeeded",))
        page = await kept.runs(where, limit=1)
        return page.runs[0].run_id if page.runs else None
