"""Runs that belong together by their session id: which came last, and what its log says. Runs and writes nothing."""

from __future__ import annotations

from typing import Any

from loomgraph.errors import GraphChangedError
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.logbook import Log, read_log
from loomgraph.runtime.result import RunResult
from loomgraph.store.opening import opened
from loomgraph.store.protocol import RunFilter, Store

__all__ = ["latest_run", "read_back"]


async def latest_run(store: Store | str, *, session_id: str, graph: str) -> str | None:
    """The id of the newest run of a graph in a session that succeeded; None if there is none. One query."""
    async with opened(store) as kept:
        assert kept is not None
        where = RunFilter(session_id=session_id, graph=graph, status=("succeeded",))
        page = await kept.runs(where, limit=1)
        return page.runs[0].run_id if page.runs else None


async def read_back(graph: Graph[Any, Any], run_id: str, store: Store | str) -> RunResult[Any] | Log:
    """A run with the values of then, or, where the graph has changed since, with plain data as its log has it.

    Raises UnknownRunError, StoreVersionError and ValueMissingError.
    """
    async with opened(store) as kept:
        assert kept is not None
        try:
            return await graph.replay(run_id, store=kept)
        except GraphChangedError:
            return await read_log(kept, run_id)
