"""A run in the background: its events as they happen, its result, its end. Never lets a failure pass unseen."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Generic

import anyio
from anyio.abc import TaskGroup
from typing_extensions import TypeVar

from loomgraph.engine.attempts import unwrapped
from loomgraph.engine.journal import Reader
from loomgraph.errors import DefinitionError
from loomgraph.runtime.asking import Asking
from loomgraph.runtime.carrying import carry
from loomgraph.runtime.drawing import DrawableRun, Drawn
from loomgraph.runtime.result import ActivationRecord, RunResult, RunStatus, fold
from loomgraph.runtime.run import Run
from loomgraph.runtime.waiting import Question, WaitingFold
from loomgraph.store.protocol import Store

__all__ = ["RunHandle"]

OutT = TypeVar("OutT", default=Any)


class RunHandle(DrawableRun, Generic[OutT]):
    """`async with graph.start(value) as run:` starts it; leaving the block waits for its end.

    If the block raises, the run is cancelled. If the run failed and nobody asked for `result()`, leaving the block
    raises what `result()` would have raised.
    """

    def __init__(self, run: Run, store: Store | None = None, wait: float = 0.0) -> None:
        self._run = run
        self._wait = wait
        run.follow = self._follow
        self._store = store  # opened for this run alone, so closed with it
        self._group: TaskGroup | None = None
        self._done: anyio.Event | None = None
        self._result: RunResult[OutT] | None = None
        self._error: BaseException | None = None
        self._asked = False

    def _follow(self, run: Run) -> None:
        self._run = run

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._run.run_id

    @property
    def status(self) -> RunStatus:
        """ "running", "suspended", "succeeded", "failed" or "cancelled"."""
        return self._run.status

    @property
    def questions(self) -> tuple[Question, ...]:
        """The open questions, in the order they were asked."""
        return self._run.questions

    @property
    def activations(self) -> tuple[ActivationRecord, ...]:
        """The activations so far."""
        return fold(self._run.journal.entries)

    @property
    def recorded(self) -> int:
        """How many events were recorded so far."""
        return len(self._run.journal.entries)

    def snapshot(self) -> RunResult[OutT]:
        """The run as it stands now: a RunResult with the log so far and without an output."""
        run = self._run
        return RunResult(
            run_id=run.run_id,
            status=run.status,
            output=None,
            state=None,
            seconds=run.result().seconds,
            entries=list(run.journal.entries),  # the run goes on; what was seen of it does not
            compiled=run.compiled,
        )

    def _drawn(self, run: Any) -> Drawn:
        compiled = self._run.compiled
        return compiled.definition, compiled.nest, self.snapshot() if run is None else run

    def events(self, start: int = 0) -> Reader:
        """The run's events from the beginning (or from `start`), as they happen, until it ends.

        Nothing is dropped: a reader that has begun to read and falls behind holds the run back until it catches up,
        leaves, or is closed.
        """
        return Reader(self._run.journal, start)

    def answer(self, id: str, value: Any) -> None:
        """Answer an open question. The answer is checked here and recorded as soon as the store has it.

        Raises UnknownQuestionError, InvalidAnswerError, QuestionClosedError, and DefinitionError for a run that does
        not go on in this process any more: `graph.resume(run_id, answers=...)` then.
        """
        asking = self._going("answer")
        asking.send(asking.check(id, value))

    def signal(self, name: str, value: Any = None, *, id: str | None = None) -> None:
        """Send a signal to a node that waits for it, or will. `id` names this sending, see `Graph.signal`.

        Raises InvalidSignalError, and DefinitionError for a run that does not go on in this process any more.
        """
        asking = self._going("signal")
        asking.send(asking.check_signal(name, value, id))

    def _going(self, what: str) -> Asking:
        if self._group is None or self._run.status != "running":
            raise DefinitionError(
                f"run '{self.run_id}' does not go on here ({self.status}), so run.{what}(...) would reach nobody. "
                f"Use graph.{what}({self.run_id!r}, ..., store=...) and graph.resume."
            )
        run = self._run
        asking = run.asking(f"run.{what}(...) was called")
        if run.recorded is not None and run.scheduler.group is None and not asking.found.waited:
            asking.found = WaitingFold.of(run.recorded.told())  # it has not been read yet, and is called already
        return asking

    def cancel(self, reason: str = "cancel() was called") -> None:
        """Ask the run to stop. `result()` then raises RunCancelledError."""
        self._run.cancel(reason)

    async def result(self) -> RunResult[OutT]:
        """Wait for the end and return the result; raises what a failed or cancelled run raises, however often asked."""
        self._asked = True
        if self._done is None:
            raise DefinitionError("the run has not started; use `async with graph.start(...) as run:`.")
        await self._done.wait()
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    async def __aenter__(self) -> RunHandle[OutT]:
        if self._done is not None:
            raise DefinitionError("a run starts once; call graph.start(...) again for another.")
        self._done = anyio.Event()
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._execute)
        return self

    async def _execute(self) -> None:
        assert self._done is not None
        try:
            self._result = await carry(self._run, self._wait)
        except Exception as error:
            self._error = error
        finally:
            if self._store is not None:
                with anyio.CancelScope(shield=True):
                    await self._store.close()
            self._done.set()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._group is not None
        self._run.journal.release()  # the block has ended, so nobody reads on: the run must not wait for it
        if error is not None:
            self.cancel("the block that started it raised")
        try:
            swallowed = await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            inner = unwrapped(group)
            raise inner from inner.__cause__  # not `from None`: the cause is the user's exception
        if error is None and self._error is not None and not self._asked:
            raise self._error
        return swallowed
