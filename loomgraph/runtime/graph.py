"""The compiled form of a workflow: frozen, checked, drawable, and ready to run any number of times at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, Unpack

import anyio
from typing_extensions import TypeVar

from loomgraph.errors import DefinitionError, Finding
from loomgraph.graph.definition import Definition
from loomgraph.graph.signature import describe_type
from loomgraph.runtime.drawing import Drawable, Drawn
from loomgraph.runtime.plugs import plug

if TYPE_CHECKING:  # what runs a graph is a third of the library's import time, and a graph may only be drawn
    from loomgraph.compile.compiled import CompiledGraph
    from loomgraph.compile.nest import Nest
    from loomgraph.runtime.comparing import Comparison
    from loomgraph.runtime.handle import RunHandle
    from loomgraph.runtime.history import History
    from loomgraph.runtime.options import ResumeKeywords, RunKeywords
    from loomgraph.runtime.recorded import OnChange
    from loomgraph.runtime.result import RunResult
    from loomgraph.runtime.run import Run
    from loomgraph.runtime.waiting import Question
    from loomgraph.store.protocol import Store

__all__ = ["Graph", "refuse_running_loop"]

# a graph whose input is None may be run without a value
_NOTHING: Any = None

InT = TypeVar("InT", default=Any)
OutT = TypeVar("OutT", default=Any)


class Graph(Drawable, Generic[InT, OutT]):
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
        store: Store | str | None = None,
        **options: Unpack[RunKeywords],
    ) -> RunResult[OutT]:
        """Run to the end and return the result. The options are those of `RunKeywords`.

        With `store` (a Store, or a string such as "sqlite:runs.db") every step is recorded there before it is acted
        on, and `resume` goes on with the run after a crash. A run that waits for people is returned with the status
        "suspended" and its questions, to be answered with `resume` or `answer`. Raises InputRefusedError before it
        runs, RunExistsError if the store has a run of that id, StorelessPauseError if it is made to wait for somebody
        and has no store, else the RunError that says why there is no result.
        """
        from loomgraph.runtime.carrying import carry
        from loomgraph.runtime.options import RunOptions
        from loomgraph.runtime.run import Run

        if store is None:
            return await carry(Run(self._compiled, value, RunOptions(**options)))
        from loomgraph.store.opening import opened

        async with opened(store) as kept:
            return await carry(Run(self._compiled, value, RunOptions(**options), kept))

    def run_sync(
        self, value: InT = _NOTHING, *, store: Store | str | None = None, **options: Unpack[RunKeywords]
    ) -> RunResult[OutT]:
        """`run` for scripts, on an event loop of its own. Raises DefinitionError inside a running event loop."""
        refuse_running_loop()
        return anyio.run(partial(self.run, value, store=store, **options))

    def start(
        self, value: InT = _NOTHING, *, store: Store | str | None = None, **options: Unpack[RunKeywords]
    ) -> RunHandle[OutT]:
        """A run in the background: `async with graph.start(value) as run:`. Options and errors are those of `run`."""
        from loomgraph.runtime.handle import RunHandle
        from loomgraph.runtime.options import RunOptions
        from loomgraph.runtime.run import Run
        from loomgraph.store.opening import open_store

        given = None if store is None else open_store(store)
        run = Run(self._compiled, value, RunOptions(**options), given)
        return RunHandle(run, given if isinstance(store, str) else None)

    async def resume(
        self,
        run_id: str,
        *,
        store: Store | str,
        answers: Mapping[str, Any] | None = None,
        on_change: OnChange = "strict",
        wait: float = 0.0,
        **options: Unpack[ResumeKeywords],
    ) -> RunResult[OutT]:
        """Go on with a run where its log ends, in this process, and return its result.

        Nothing that finished runs again; what was in flight, or had failed unhandled, gets a new attempt. A run that
        succeeded is not run at all: its result is read from the log; neither is one that waits for answers or signals
        and has got none. `answers` are those to some or all of its questions, by question id. `wait` is for how many
        seconds another process that owns the run is waited for, math.inf for however long it takes: until it lets go
        of the run, or its lease has run out without a sign of life. A run that was cancelled goes on when it is
        resumed; one that somebody has asked to stop, or cancels while this waits, does not: RunCancelledError.

        Raises UnknownRunError, RunBusyError while another process owns the run, GraphChangedError if the log does not
        fit this graph (`on_change="compatible"` lets nodes that ran have other code, "rerun" runs again what changed
        and what follows from it, and takes over the rest), what `answer` raises, and what `run` raises.
        """
        from loomgraph.runtime import questions
        from loomgraph.runtime.carrying import carry
        from loomgraph.store.opening import opened

        async with opened(store) as kept:
            assert kept is not None
            run = await self._recalled(kept, run_id, answers, on_change, options)
            result = await carry(run, wait)
            if result.status == "suspended":
                questions.refuse_invalid(run_id, answers or {}, run.refused)
            return result

    @asynccontextmanager
    async def reopen(
        self,
        run_id: str,
        *,
        store: Store | str,
        answers: Mapping[str, Any] | None = None,
        on_change: OnChange = "strict",
        wait: float = 0.0,
        **options: Unpack[ResumeKeywords],
    ) -> AsyncGenerator[RunHandle[OutT]]:
        """`resume` in the background: `async with graph.reopen("t-42", store=...) as run:`.

        The handle is that of `start`. `run.events()` begins with what the log has, `run.events(n)` with event `n`.
        Options and errors are those of `resume`.
        """
        from loomgraph.runtime import questions
        from loomgraph.runtime.handle import RunHandle
        from loomgraph.store.opening import opened

        async with opened(store) as kept:
            assert kept is not None
            run = await self._recalled(kept, run_id, answers, on_change, options)
            async with RunHandle[OutT](run, wait=wait) as handle:
                yield handle
            if handle.status == "suspended":
                questions.refuse_invalid(run_id, answers or {}, run.refused)

    async def _recalled(
        self,
        store: Store,
        run_id: str,
        answers: Mapping[str, Any] | None,
        on_change: OnChange,
        options: ResumeKeywords,
    ) -> Run:
        """A run as its store has it, ready to go on, with these answers sent to it."""
        from loomgraph.runtime import questions
        from loomgraph.runtime.options import RunOptions, whom
        from loomgraph.runtime.recorded import load
        from loomgraph.runtime.run import Run

        recorded = await load(store, run_id, self._compiled, on_change)
        given: ResumeKeywords = {**whom(recorded.header), **options}
        run = Run(self._compiled, None, RunOptions(run_id=run_id, **given), store, recorded)
        if answers:
            await questions.answer(store, run_id, answers, typed=self._answered_in)
            recorded.inbox = None
        return run

    async def answer(
        self, run_id: str, answers: Mapping[str, Any], *, store: Store | str, by: str | None = None
    ) -> None:
        """Answer questions of a run, by question id; runs nothing, and works while another process runs it.

        Answers are values of the type that was asked for, or their plain JSON data; all of them are sent or, if one is
        refused, none. The same answer again is fine, so a caller that was killed can repeat itself. `by` is who
        answered. The run has them once it is resumed, or within a second or so if it goes on somewhere at this moment.
        Raises UnknownRunError, UnknownQuestionError, InvalidAnswerError, and QuestionClosedError for a question that
        has an answer or was withdrawn.
        """
        from loomgraph.runtime import questions
        from loomgraph.store.opening import opened

        async with opened(store) as kept:
            assert kept is not None
            await questions.answer(kept, run_id, answers, by=by, typed=self._answered_in)

    async def signal(
        self, run_id: str, name: str, value: Any = None, *, store: Store | str, id: str | None = None
    ) -> None:
        """Send a signal to a run, for the node that waits for it or will; runs nothing, as `answer`.

        It is kept and delivered once. `id` names this sending: sent again under it, it is the same signal. Raises
        UnknownRunError, and InvalidSignalError if nodes wait for it and the value is not what they take.
        """
        from loomgraph.runtime import questions
        from loomgraph.store.opening import opened

        async with opened(store) as kept:
            assert kept is not None
            await questions.signal(kept, run_id, name, value, id=id)

    async def cancel(
        self, run_id: str, *, store: Store | str, reason: str = "cancel() was called", wait: float = 0.0
    ) -> Literal["cancelled", "running"]:
        """Cancel a run, wherever it goes on; what finished is kept, and `resume` can go on with it later.

        "cancelled": it has ended, with `reason` in its log and its questions withdrawn. "running": another process has
        it, which was asked to stop and does so within two seconds or so, once its nodes let go; if that process is
        dead, whoever resumes the run meets the request, or the next cancel ends it when the lease has run out. `wait`
        is for how many seconds that is waited for. Asking again changes nothing, and the request outlives whoever
        asked. Raises UnknownRunError, and RunEndedError for a run that has succeeded or failed.
        """
        from loomgraph.runtime.cancelling import cancel
        from loomgraph.store.opening import opened

        async with opened(store) as kept:
            assert kept is not None
            return await cancel(kept, run_id, reason=reason, wait=wait)

    def _answered_in(self, question: Question) -> Any:
        from loomgraph.runtime.places import answered_in

        return answered_in(self._compiled, question.node)

    async def fork(
        self,
        source: str,
        /,
        *,
        store: Store | str,
        at: int | str | None = None,
        run_id: str | None = None,
        inputs: Mapping[Any, Any] | None = None,
        outputs: Mapping[Any, Any] | None = None,
        graph: Graph[Any, Any] | None = None,
    ) -> str:
        """Record a new run that begins as run `source` did, and return its id; `resume` goes on with it.

        Runs nothing. `run_id` is the new id, made if left out. `at` is where to leave the other run: just after an
        event (by number), or just after an activation was settled (by key); None is the end of its log. `inputs` and
        `outputs` change what activations were given or gave, by key: to values of the declared types, or their plain
        JSON data (START is the run's own input; a join by name takes a mapping). `graph` is another graph to go on
        with. The other run may have ended, wait, or go on at this moment; it stays as it is.

        Without edits the new log is the first part of the other's. If just its last event is edited, that event is.
        Any other edit, or a graph with other code in what has run, drives the new run once more from its start: an
        old answer, and every durable step, is taken over where the activation's node, input and visible state are
        the same, and all else runs anew, an effect="once" node only with `in_doubt="rerun"`. The new log then has the
        other's first part as its history, a RunRedriven, and what became of each activation: `origin` of
        NodeSucceeded says "run", "reused" or "edited".

        Raises UnknownRunError, UnknownEventError for a place or key that the log does not have, EditTooLateError for
        a key that comes after `at`, EditRefusedError for what was skipped or is of another type, InputRefusedError,
        GraphChangedError for a log too old to be driven once more, RunExistsError for a `run_id` that is taken.
        """
        from loomgraph.runtime.forking import fork
        from loomgraph.store.opening import opened

        target = self._compiled if graph is None else graph._compiled
        async with opened(store) as kept:
            assert kept is not None
            return await fork(kept, target, source, run_id, at, inputs, outputs)

    # ------------------------------------------------------------------ reading

    async def replay(self, run_id: str, *, store: Store | str) -> RunResult[OutT]:
        """The result of a run as its log has it, whatever became of it; nothing runs, and nothing is written.

        The run may have ended, failed, or go on in another process at this moment: `status` says which, and `state`
        is what had been written by then. `output` is None unless it succeeded. Values inside graphs that a node ran
        with ctx.run are plain JSON data, for only that node knows their types. Raises UnknownRunError, and
        GraphChangedError if the log does not fit this graph; nodes may have other code.
        """
        from loomgraph.runtime.history import replayed
        from loomgraph.runtime.recorded import load
        from loomgraph.store.opening import opened

        async with opened(store) as kept:
            assert kept is not None
            return replayed(await load(kept, run_id, self._compiled, "compatible"))

    async def history(self, run_id: str, *, store: Store | str) -> History:
        """The run at any of its events: `(await graph.history("t-42", store=...)).at(17).state`.

        Reads the log once, and as `replay` does. Raises what `replay` raises.
        """
        from loomgraph.runtime.history import History
        from loomgraph.runtime.recorded import load
        from loomgraph.store.opening import opened

        async with opened(store) as kept:
            assert kept is not None
            return History(await load(kept, run_id, self._compiled, "compatible"))

    async def compare(self, left: str, right: str, *, store: Store | str) -> Comparison:
        """Two runs side by side, activation by activation: what a fork, or another version, did otherwise, and why.

        `(await graph.compare("t-42", fork, store=...)).differences`. Told from their logs alone, so they may be runs of
        other graphs too. Raises UnknownRunError.
        """
        from loomgraph.runtime.comparing import compare
        from loomgraph.store.opening import opened

        async with opened(store) as kept:
            assert kept is not None
            return await compare(kept, left, right)

    def as_tool(self, *, name: str | None = None, description: str | None = None, **options: Any) -> Any:
        """The graph as a tool for agents: see `loomgraph.tools.graph_tool`."""
        return plug("tool")(self, name=name, description=description, **options)

    # ------------------------------------------------------------------ drawing

    def _drawn(self, run: Any) -> Drawn:
        return self.definition, self.nest, run

    def __repr__(self) -> str:
        definition = self.definition
        types = f"{describe_type(definition.input)} -> {describe_type(definition.output)}"
        return f"<Graph {self.name!r}: {types}, {len(definition.nodes)} nodes, {len(definition.edges)} edges>"


def refuse_running_loop() -> None:
    """Raise DefinitionError inside a running event loop, on which a synchronous run would deadlock."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        try:
            anyio.get_current_task()  # trio, or any other loop that anyio knows
        except (RuntimeError, LookupError):  # what anyio raises outside of a loop differs between its versions
            return
    raise DefinitionError("run_sync was called inside a running event loop; write `await graph.run(...)` there.")
