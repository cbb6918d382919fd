"""A run that is watched while it goes on, in a notebook: `result = await watch(run)`.

Reads the run's log as it grows and never holds the run back: what happens between two looks is seen at the next. The
drawing is laid out in a thread, so that the run goes on meanwhile. Needs IPython, which the extra `jupyter` brings.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal

import anyio
import anyio.to_thread
from typing_extensions import TypeVar

from loomgraph.errors import DefinitionError
from loomgraph.runtime.handle import RunHandle
from loomgraph.runtime.result import RunResult

__all__ = ["watch"]

OutT = TypeVar("OutT", default=Any)


async def watch(
    run: RunHandle[OutT], *, view: Literal["graph", "timeline"] = "graph", every: float = 0.3
) -> RunResult[OutT]:
    """Show a run and keep what is shown up to date until it ends or waits for somebody; returns its result.

    `async with graph.start(value) as run: result = await watch(run)`. `view` is the graph with the run laid over it, or
    its timeline; `every` is how many seconds lie between two looks at least. Raises what `run.result()` raises, after
    the end was shown, and DefinitionError without IPython.
    """
    if view not in {"graph", "timeline"}:
        raise DefinitionError(f"view={view!r} is unknown; use 'graph' or 'timeline'.")
    shown = _Shown(run, view)
    await shown.update()
    error: Exception | None = None
    result: RunResult[OutT] | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(shown.follow, every)
        try:
            result = await run.result()
        except Exception as raised:  # shown first, raised then
            error = raised
        group.cancel_scope.cancel()
    await shown.update()
    if error is not None:
        raise error
    assert result is not None
    return result


class _Shown:
    """One output of a cell, and how much of the run it has."""

    def __init__(self, run: RunHandle[Any], view: str) -> None:
        self._run = run
        self._view = view
        self._display = _display()
        self._handle: Any = None
        self._seen = (-1, "")

    async def follow(self, every: float) -> None:
        while True:
            await anyio.sleep(every)
            await self.update()

    async def update(self) -> None:
        now = (self._run.recorded, self._run.status)
        if now == self._seen:
            return
        self._seen = now
        snapshot = self._run.snapshot()
        drawn: Any = snapshot.timeline() if self._view == "timeline" else snapshot
        bundle = await anyio.to_thread.run_sync(drawn._repr_mimebundle_)
        if self._handle is None:
            self._handle = self._display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def _display() -> Callable[..., Any]:
    try:
        shown: Any = import_module("IPython.display")
    except ImportError as error:
        raise DefinitionError("watch() needs IPython: pip install 'loomgraph-engine[jupyter]'.") from error
    display: Callable[..., Any] = shown.display
    return display
