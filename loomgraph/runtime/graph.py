"""The compiled form of a workflow: frozen, checked, drawable, and ready to run any number of times at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic

import anyio
from typing_extensions import TypeVar

from loomgraph.compile.compiled import CompiledGraph
from loomgraph.compile.nest import Nest
from loomgraph.errors import DefinitionError, Finding
from loomgraph.graph.definition import Definition, OnFailure
from loomgraph.graph.signature import describe_type
from loomgraph.runtime.handle import RunHandle
from loomgraph.runtime.plugs import plug
from loomgraph.runtime.result import RunResult
from loomgraph.runtime.run import DEFAULT_LAG, Run

__all__ = ["Graph"]

# a graph whose input is None may be run without a value
_NOTHING: Any = None

InT = TypeVar("InT", default=Any)
OutT = TypeVar("OutT", default=Any)


class Graph(Generic[InT, OutT]):
    """What `Workflow.compile()` returns. Holds no run: each call of `run` or `start` makes one of its own."""

    def __init__(self, compiled: CompiledGraph) -> None:
        self._compiled = compiled

    @property
    def name(self) -> str:
        """The workflow's name."""
        return self._compiled.definition.name

    @property
    def definition(self) -> Definition:
        """The resolved definition."""
        return self._compiled.definition

    @property
    def nest(self) -> Nest:
        """The loop nest."""
        return self._compiled.nest

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What compile() found that is allowed but worth a look."""
        return tuple(self._compiled.warnings)

    @property
    def fingerprint(self) -> str:
        """Changes when the meaning of the graph may have changed; the same in every process and Python version."""
        return self._compiled.fingerprint

    @property
    def fingerprints(self) -> Mapping[str, str]:
        """The fingerprint of every node, by name."""
        return self._compiled.fingerprints

    @property
    def input_type(self) -> Any:
        """The type a run takes."""
        return self._compiled.definition.input

    @property
    def output_type(self) -> Any:
        """The type a run gives."""
        return self._compiled.definition.output

    def __loomgraph_embed__(self) -> CompiledGraph:
        return self._compiled

    # ------------------------------------------------------------------ running

    async def run(
        self,
        value: InT = _NOTHING,
        *,
        run_id: str | None = None,
        limit: int | None = None,
        deadline: float | None = None,
        deps: Any = None,
        user_id: str | None = None,
        session_id: str | None = None,
        state: Any = None,
        metadata: Mapping[str, Any] | None = None,
        max_activations: int | None = None,
        on_failure: OnFailure | None = None,
    ) -> RunResult[OutT]:
        """Run to the end and return the result.

        `limit` is how many attempts may run at a time, over all nested scopes; `deadline` is in seconds; `deps` are
        live objects for `ctx.deps`; `state` is the first state; `max_activations` and `on_failure` override the
        workflow's. Raises InputRefusedError before anything ran, else the RunError that says why there is no result.
        """
        run = Run(
            self._compiled,
            value,
            run_id=run_id,
            limit=limit,
            deadline=deadline,
            deps=deps,
            user_id=user_id,
            session_id=session_id,
            state=state,
            metadata=metadata,
            max_activations=max_activations,
            on_failure=on_failure,
        )
        return await run.execute()

    def run_sync(self, value: InT = _NOTHING, **options: Any) -> RunResult[OutT]:
        """`run` for scripts, on an event loop of its own. Raises DefinitionError inside a running event loop."""
        _refuse_running_loop()
        from functools import partial

        return anyio.run(partial(self.run, value, **options))

    def start(
        self,
        value: InT = _NOTHING,
        *,
        run_id: str | None = None,
        limit: int | None = None,
        deadline: float | None = None,
        deps: Any = None,
        user_id: str | None = None,
        session_id: str | None = None,
        state: Any = None,
        metadata: Mapping[str, Any] | None = None,
        max_activations: int | None = None,
        on_failure: OnFailure | None = None,
        lag: int | None = DEFAULT_LAG,
    ) -> RunHandle[OutT]:
        """A run in the background: `async with graph.start(value) as run:`.

        `lag` is how many events a reader may fall behind before the run waits for it; None never waits. The other
        options and errors are those of `run`.
        """
        return RunHandle(
            Run(
                self._compiled,
                value,
                run_id=run_id,
                limit=limit,
                deadline=deadline,
                deps=deps,
                user_id=user_id,
                session_id=session_id,
                state=state,
                metadata=metadata,
                max_activations=max_activations,
                on_failure=on_failure,
                lag=lag,
            )
        )

    # ------------------------------------------------------------------ drawing

    def to_mermaid(self, run: Any = None, **options: Any) -> str:
        """The graph as a Mermaid flowchart; with `run` (a RunResult or RunHandle) its status is laid over it."""
        text: str = plug("mermaid")(self.definition, self.nest, run, **options)
        return text

    def to_dot(self, run: Any = None, **options: Any) -> str:
        """The graph in Graphviz' DOT language; with `run` its status is laid over it."""
        text: str = plug("dot")(self.definition, self.nest, run, **options)
        return text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return plug("mimebundle")(self.definition, self.nest, None)

    def __repr__(self) -> str:
        definition = self.definition
        types = f"{describe_type(definition.input)} -> {describe_type(definition.output)}"
        return f"<Graph {self.name!r}: {types}, {len(definition.nodes)} nodes, {len(definition.edges)} edges>"


def _refuse_running_loop() -> None:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise DefinitionError("run_sync was called inside a running event loop; write `await graph.run(...)` there.")
