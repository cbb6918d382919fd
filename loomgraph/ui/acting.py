"""What the page does to runs: answer, signal, resume, cancel, fork. Each is one call of the library.

A run that goes on here goes on in this process and belongs to it, as with `loomgraph resume`; when the server ends, it
is let go of and can be resumed elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import anyio
from anyio.abc import TaskGroup

from loomgraph.errors import RunEndedError, RunError
from loomgraph.runtime import questions
from loomgraph.runtime.cancelling import cancel
from loomgraph.runtime.forking import copied
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.handle import RunHandle
from loomgraph.runtime.recorded import OnChange
from loomgraph.store.protocol import Store

__all__ = ["ActionRefusedError", "Actions"]

_PATIENCE: Final = 3600.0
"""For how many seconds a process that was asked to stop a run is watched, in case it is dead."""


class ActionRefusedError(Exception):
    """What was asked for cannot be done from here; the message says what can."""


class Actions:
    """The runs that go on in this process, and what may be done to those of the store. `graphs` are by name."""

    def __init__(self, store: Store, graphs: Mapping[str, Graph[Any, Any]], group: TaskGroup) -> None:
        self._store = store
        self._graphs = graphs
        self._group = group
        self._handles: dict[str, RunHandle[Any]] = {}
        self._ending: set[str] = set()
        self.problems: dict[str, str] = {}
        """Why a run stopped going on here, where its log cannot say so."""

    def here(self, run_id: str) -> bool:
        """Whether the run goes on in this process."""
        return run_id in self._handles

    async def answer(self, run_id: str, id: str, value: Any, by: str | None) -> None:
        """Send an answer. Raises what `Graph.answer` raises."""
        graph = self._graphs.get((await self._store.load(run_id)).graph)
        if graph is not None:
            await graph.answer(run_id, {id: value}, store=self._store, by=by)
        else:
            await questions.answer(self._store, run_id, {id: value}, by=by)

    async def signal(self, run_id: str, name: str, value: Any) -> None:
        """Send a signal. Raises what `Graph.signal` raises."""
        await questions.signal(self._store, run_id, name, value)

    async def resume(
        self, run_id: str, on_change: OnChange = "strict", in_doubt: Literal["fail", "rerun", "ask"] = "fail"
    ) -> None:
        """Go on with a run in this process; returns when it goes on, or has nothing to go on with.

        Raises ActionRefusedError, and what `Graph.resume` raises before the first new event.
        """
        graph = await self._graph(run_id, "go on with it")
        if run_id in self._handles:
            raise ActionRefusedError(f"Run '{run_id}' goes on here already.")
        self.problems.pop(run_id, None)
        begun = _Begun()
        self._group.start_soon(self._drive, graph, run_id, on_change, in_doubt, begun)
        await begun.event.wait()
        if begun.error is not None:
            raise begun.error

    async def _drive(
        self, graph: Graph[Any, Any], run_id: str, on_change: OnChange, in_doubt: Any, begun: _Begun
    ) -> None:
        known = (await self._store.load(run_id)).events
        try:
            async with graph.reopen(run_id, store=self._store, on_change=on_change, in_doubt=in_doubt) as handle:
                self._handles[run_id] = handle
                async for _ in handle.events(known):
                    begun.event.set()
                await handle.result()
        except RunError:
            pass  # the log says it, and so does the page
        except Exception as error:  # a store may raise anything; the server and the other runs go on
            begun.error = error
            self.problems[run_id] = f"{type(error).__name__}: {error}"
        finally:
            self._handles.pop(run_id, None)
            begun.event.set()

    async def cancel(self, run_id: str, reason: str | None = None) -> str:
        """Cancel a run, wherever it goes on; returns what came of it. Raises what `Graph.cancel` raises."""
        reason = reason or "somebody cancelled it on the page"
        handle = self._handles.get(run_id)
        if handle is not None:
            handle.cancel(reason)
            return "The run was asked to stop."
        if await cancel(self._store, run_id, reason=reason) == "cancelled":
            return "The run was cancelled."
        if run_id not in self._ending:
            self._ending.add(run_id)
            self._group.start_soon(self._end, run_id, reason)
        return "The process that has the run was asked to stop it."

    async def _end(self, run_id: str, reason: str) -> None:
        """End a run once its process turns out to be dead; one that lives ends it itself."""
        try:
            await cancel(self._store, run_id, reason=reason, wait=_PATIENCE)
        except RunEndedError:
            pass  # it had its result before it saw the request
        except Exception as error:  # a store may raise anything; the request is in it, and the page says what it was
            self.problems[run_id] = f"{type(error).__name__}: {error}"
        finally:
            self._ending.discard(run_id)

    def cancel_all(self) -> None:
        """Let go of everything that goes on here."""
        self._group.cancel_scope.cancel()

    async def fork(
        self,
        run_id: str,
        at: int | str | None,
        new_id: str | None,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
    ) -> str:
        """Make a new run from an old one; returns its id. Runs nothing. Raises what `Graph.fork` raises."""
        graph = self._graphs.get((await self._store.load(run_id)).graph)
        if graph is None:
            if inputs or outputs:
                await self._graph(run_id, "check what you edited")
            return await copied(self._store, run_id, new_id, at)
        return await graph.fork(run_id, store=self._store, at=at, run_id=new_id, inputs=inputs, outputs=outputs)

    async def _graph(self, run_id: str, purpose: str) -> Graph[Any, Any]:
        name = (await self._store.load(run_id)).graph
        found = self._graphs.get(name)
        if found is None:
            raise ActionRefusedError(
                f"The code of graph '{name}' is needed to {purpose}. Start the page with it: "
                "loomgraph ui STORE --graph MODULE:WORKFLOW"
            )
        return found


class _Begun:
    """Whether a run goes on by now, or why it does not."""

    def __init__(self) -> None:
        self.event = anyio.Event()
        self.error: Exception | None = None
