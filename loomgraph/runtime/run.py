"""One run from its input to its result. Makes the ids, the clock and the randomness that everything below is given."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Mapping
from typing import Any

import anyio

from loomgraph.compile.compiled import CompiledGraph
from loomgraph.compile.plan import Plan
from loomgraph.compile.values import validator
from loomgraph.engine.activation import Activation
from loomgraph.engine.journal import Journal
from loomgraph.engine.machine import Machine
from loomgraph.engine.routing import choose
from loomgraph.engine.scheduler import Scheduler
from loomgraph.engine.scope import Scope
from loomgraph.errors import (
    ActivationError,
    DeadlineError,
    DefinitionError,
    Failure,
    InputRefusedError,
    OutputRefusedError,
    RunCancelledError,
    RunError,
)
from loomgraph.events import RunCancelled, RunFailed, RunStarted, RunSucceeded
from loomgraph.graph.definition import OnFailure
from loomgraph.graph.ownership import own
from loomgraph.graph.signature import describe_type
from loomgraph.runtime.context import RunContext, RunSettings, failure_error
from loomgraph.runtime.result import RunResult, RunStatus, finished

__all__ = ["Run"]

# how far a reader of run.events() may fall behind before the run waits for it, in events
DEFAULT_LAG = 1024


class Run:
    """One execution. `execute` may be awaited once; everything else may be asked at any time."""

    def __init__(
        self,
        compiled: CompiledGraph,
        value: Any,
        *,
        run_id: str | None,
        limit: int | None,
        deadline: float | None,
        deps: Any,
        user_id: str | None,
        session_id: str | None,
        state: Any,
        metadata: Mapping[str, Any] | None,
        max_activations: int | None,
        on_failure: OnFailure | None,
        lag: int | None = DEFAULT_LAG,
    ) -> None:
        definition = compiled.definition
        _check_options(limit, deadline, max_activations)
        detail = validator(definition.input)(value)
        if detail is not None:
            raise InputRefusedError(definition.name, describe_type(definition.input), value, detail)
        self.compiled = compiled
        self.run_id = run_id if run_id is not None else uuid.uuid4().hex
        self.status: RunStatus = "running"
        self.value = own(value)
        self._fields = _initial(compiled.plan, state)
        self._settings = RunSettings(self.run_id, user_id, session_id, deps, dict(metadata or {}))
        self._deadline = deadline
        self._reason: str | None = None
        self._expired = False
        self._started = time.perf_counter()
        cap = max_activations if max_activations is not None else definition.max_activations
        self.machine = Machine(self.run_id, cap, on_failure=on_failure)
        self.journal = Journal(self.run_id, time.time, lag)
        self.scheduler = Scheduler(
            self.machine,
            self.journal,
            limit=limit,
            context=self._context,
            chance=random.random,
            begin=_initial,
            monotonic=time.monotonic,
        )

    def _context(self, activation: Activation, scheduler: Scheduler) -> RunContext:
        return RunContext(self._settings, activation, scheduler)

    def cancel(self, reason: str = "cancel() was called") -> None:
        """Ask the run to stop; it ends as cancelled once what is in flight has stopped."""
        if self.status == "running" and self._reason is None:
            self._reason = reason
            self.scheduler.stop(reason)

    async def execute(self) -> RunResult[Any]:
        """Drive the run to its end. Raises what `loomgraph.errors.RunError` describes; never a group of one."""
        definition = self.compiled.definition
        taken: tuple[int, ...] = ()
        refused: ActivationError | None = None
        try:
            taken = choose(self.compiled.plan, -1, self.value)
        except ActivationError as error:
            refused = error
        self.journal.add(RunStarted, None, (definition.name, self.compiled.fingerprint, self.value, taken))
        try:
            if refused is not None:
                raise refused
            return self._settle(await self._drive(taken))
        except RunError:
            raise
        except ActivationError as error:
            self.status = "failed"
            raise self._ended_by(self._at("START", error)) from error
        except BaseException as error:
            self.status = "cancelled"
            self.journal.add(RunCancelled, None, (f"{type(error).__name__} from outside",))
            raise
        finally:
            self.journal.close()

    async def _drive(self, taken: tuple[int, ...]) -> Scope:
        def start() -> Scope:
            return self.machine.open(self.compiled.plan, self.value, taken, self._fields)

        if self._deadline is None:
            return await self.scheduler.run(start)
        root: Scope | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._expire, self._deadline)
            root = await self.scheduler.run(start)
            group.cancel_scope.cancel()
        assert root is not None
        return root

    async def _expire(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self._expired = True
        self.cancel(f"its deadline of {seconds:g} s passed")

    # ------------------------------------------------------------------ the end

    def _settle(self, root: Scope) -> RunResult[Any]:
        definition = self.compiled.definition
        if root.failures:
            self.status = "failed"
            error = failure_error(self.run_id, root.failures, finished(self.journal.entries))
            raise self._ended_by(error) from error.__cause__
        if root.stopping:
            self.status = "cancelled"
            raise self._ended_by(self._cancellation())
        detail = validator(definition.output)(root.output)
        if detail is not None:
            self.status = "failed"
            refused = OutputRefusedError(definition.name, describe_type(definition.output), root.output, detail)
            raise self._ended_by(self._at("END", refused)) from refused
        self.status = "succeeded"
        self.journal.add(RunSucceeded, None, (root.output,))
        return self.result(root)

    def result(self, root: Scope | None = None) -> RunResult[Any]:
        """The run as it stands."""
        done = root is not None and self.status == "succeeded"
        state = None
        if done and root is not None and root.state is not None:
            state = root.state.spec.build(root.final_state() or {})
        return RunResult(
            run_id=self.run_id,
            status=self.status,
            output=root.output if done and root is not None else None,
            state=state,
            seconds=time.perf_counter() - self._started,
            entries=self.journal.entries,
        )

    def _at(self, place: str, error: Exception) -> RunError:
        failure = Failure(place, f"#{place}", 1, type(error).__name__, str(error))
        return failure_error(self.run_id, [(failure, error)], finished(self.journal.entries))

    def _cancellation(self) -> RunError:
        done = finished(self.journal.entries)
        if self._expired and self._deadline is not None:
            return DeadlineError(run_id=self.run_id, seconds=self._deadline, finished=done)
        return RunCancelledError(run_id=self.run_id, reason=self._reason or "it was stopped", finished=done)

    def _ended_by(self, error: RunError) -> RunError:
        if isinstance(error, (RunCancelledError, DeadlineError)):
            self.journal.add(RunCancelled, None, (str(error),))
        else:
            self.journal.add(RunFailed, None, (type(error).__name__, str(error), error.failures))
        error.result = self.result()
        return error


def _initial(plan: Plan, given: Any) -> dict[str, Any]:
    """The first fields of a scope's state; {} for a graph without state."""
    definition = plan.definition
    spec = definition.state
    if spec is None:
        if given is not None:
            raise DefinitionError(f"graph '{definition.name}' has no state, but was given state={given!r:.80}.")
        return {}
    if given is not None and not isinstance(given, spec.model):
        raise InputRefusedError(definition.name, f"state={spec.model.__name__}(...)", given, "it is another type")
    if given is None and spec.missing():
        detail = f"the state fields {', '.join(spec.missing())} have no default"
        raise InputRefusedError(definition.name, f"state={spec.model.__name__}(...)", None, detail)
    return spec.initial(given)


def _check_options(limit: int | None, deadline: float | None, max_activations: int | None) -> None:
    if limit is not None and limit < 1:
        raise DefinitionError(f"run(limit={limit}) would run nothing; use at least 1, or leave it out.")
    if deadline is not None and not deadline > 0:
        raise DefinitionError(f"run(deadline={deadline}) leaves no time; use seconds > 0, or leave it out.")
    if max_activations is not None and max_activations < 1:
        raise DefinitionError(f"run(max_activations={max_activations}) would start nothing; use at least 1.")
