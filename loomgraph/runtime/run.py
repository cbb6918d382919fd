"""One run from its input to its result. Makes the ids, the clock and the randomness that everything below is given."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import anyio

from loomgraph.compile.compiled import CompiledGraph
from loomgraph.compile.values import validator
from loomgraph.engine.activation import Activation
from loomgraph.engine.attempts import unwrapped
from loomgraph.engine.facts import Shadow, key_of
from loomgraph.engine.journal import Journal
from loomgraph.engine.machine import Edits, Machine
from loomgraph.engine.routing import choose
from loomgraph.engine.scheduler import Scheduler
from loomgraph.engine.scope import Scope
from loomgraph.errors import (
    ActivationError,
    DeadlineError,
    Failure,
    InDoubtError,
    InputRefusedError,
    OutputRefusedError,
    RunCancelledError,
    RunError,
    StorelessPauseError,
)
from loomgraph.errors.redaction import redact
from loomgraph.events import (
    NodeCancelled,
    RunCancelled,
    RunFailed,
    RunRedriven,
    RunResumed,
    RunStarted,
    RunSucceeded,
)
from loomgraph.graph.ownership import own
from loomgraph.graph.signature import describe_type
from loomgraph.runtime.asking import POLL, Asking
from loomgraph.runtime.cancelling import CALLED, ENDING, WITHDRAWN, left_open
from loomgraph.runtime.context import RunContext, RunSettings, failure_error
from loomgraph.runtime.durable import DurableJournal
from loomgraph.runtime.edits import carried
from loomgraph.runtime.format import LogFormat
from loomgraph.runtime.keeper import Keeper
from loomgraph.runtime.notes import Notes
from loomgraph.runtime.options import RunOptions
from loomgraph.runtime.places import check_paths
from loomgraph.runtime.purse import Purse
from loomgraph.runtime.recorded import Recorded, initial_fields, rests
from loomgraph.runtime.redrive import Answers
from loomgraph.runtime.result import RunResult, RunStatus, finished
from loomgraph.runtime.waiting import Question, WaitingFold
from loomgraph.store.codec import Codec
from loomgraph.store.protocol import HeaderChanges, Message, Store

__all__ = ["GrownError", "Run"]


class GrownError(Exception):
    """The log that was read is not all of it any more: to be read again."""


def _nobody(run: Run) -> None:
    """Nobody asks what became of a run that is awaited."""


class Run:
    """One execution. `once` may be awaited once (see `carrying`); everything else may be asked at any time.

    Without a store the log is in memory. With one, `recorded` is the run's log if it is to go on.
    `refused` are answers that turned out in this process not to be of their question's type: (answer, problem) by
    question id. `follow` is told of a Run that goes on in place of this one. `cancelled` is why it was cancelled here.
    """

    def __init__(
        self,
        compiled: CompiledGraph,
        value: Any,
        options: RunOptions,
        store: Store | None = None,
        recorded: Recorded | None = None,
        refused: dict[str, tuple[Any, str]] | None = None,
    ) -> None:
        definition = compiled.definition
        if recorded is None:
            detail = validator(definition.input)(value)
            if detail is not None:
                raise InputRefusedError(definition.name, describe_type(definition.input), value, detail)
        check_paths(compiled, "interrupt_before", options.interrupt_before)
        check_paths(compiled, "interrupt_after", options.interrupt_after)
        self.compiled = compiled
        self.options = options
        self.run_id = options.run_id if options.run_id is not None else uuid.uuid4().hex
        self.status: RunStatus = "running"
        self.value = own(value)
        self._fields = initial_fields(compiled.plan, options.state)
        self.recorded = recorded
        self._reason: str | None = None
        self.cancelled: str | None = None
        self._expired: float | None = None
        self._started = time.perf_counter()
        ended = 0 if recorded is None else recorded.ended
        self.keeper = None if store is None else Keeper(store, self.run_id, options.lease, ended)
        self.refused: dict[str, tuple[Any, str]] = {} if refused is None else refused
        self.follow: Callable[[Run], None] = _nobody
        self._asking: Asking | None = None
        if store is None:
            self._refuse_pauses()
        cap = options.max_activations if options.max_activations is not None else definition.max_activations
        self.machine = Machine(self.run_id, cap, on_failure=options.on_failure)
        self.journal = self._journal(store)
        self.purse = Purse(options, self.run_id, store)
        self.notes = Notes(store, self.run_id, options.user_id, lambda: self.journal.written)
        self._metadata = dict(options.metadata or {})
        self._settings: RunSettings | None = None
        self.scheduler = Scheduler(
            self.machine,
            self.journal,
            limit=options.limit,
            context=self._context,
            chance=random.random,
            begin=initial_fields,
            monotonic=time.monotonic,
            wall=time.time,
        )
        if options.interrupts:
            self.asking()

    def _context(self, activation: Activation, scheduler: Scheduler) -> RunContext:
        if self._settings is None:  # few nodes ask for their context
            options = self.options
            self._settings = RunSettings(
                self.run_id,
                self.asking,
                options.user_id,
                options.session_id,
                options.deps,
                self._metadata,
                self.purse,
                self.notes,
            )
        return RunContext(self._settings, activation, scheduler)

    def _journal(self, store: Store | None) -> Journal:
        if store is None:
            return Journal(self.run_id, time.time, self.options.lag)
        log = self.recorded.log if self.recorded is not None else LogFormat(self.compiled, Codec())
        log.codec.max_bytes = self.options.max_value_bytes
        durability = self.options.durability
        return DurableJournal(self.run_id, time.time, self.options.lag, store=store, log=log, durability=durability)

    def _refuse_pauses(self) -> None:
        """Without a store nobody can be waited for; what is known to wait is told before anything runs."""
        options = self.options
        if self.compiled.asks:
            raise StorelessPauseError(self.run_id, f"node '{self.compiled.asks[0]}' asks a person")
        for word, paths in (("before", options.interrupt_before), ("after", options.interrupt_after)):
            for path in paths:
                raise StorelessPauseError(self.run_id, f"it is to stop {word} '{path}'")

    def asking(self, what: str = "somebody is to be waited for") -> Asking:
        """What the run waits for, made when it first does. Raises StorelessPauseError, with `what` it would be."""
        if self._asking is None:
            journal, options = self.journal, self.options
            if not isinstance(journal, DurableJournal):
                raise StorelessPauseError(self.run_id, what)
            self._asking = self.scheduler.waits = Asking(
                self.scheduler,
                journal,
                wait=options.when_asked == "wait",
                interval=min(POLL, options.lease / 3),
                before=options.interrupt_before,
                after=options.interrupt_after,
            )
            self._asking.refused = self.refused
        return self._asking

    def take_over(self, stale: Run) -> None:
        """What was sent to `stale` in this process, and has not been posted, is sent to this run, in its place."""
        if stale._asking is not None:
            for message in stale._asking.unsent:
                self.asking().send(message)

    @property
    def questions(self) -> tuple[Question, ...]:
        """The open questions, in the order they were asked."""
        return () if self._asking is None else tuple(self._asking.found.questions.values())

    def cancel(self, reason: str = CALLED) -> None:
        """Ask the run to stop; it ends as cancelled once what is in flight has stopped."""
        if self.status in ("running", "suspended") and self._reason is None:
            self.cancelled = reason
            self._stop(reason)

    def _stop(self, reason: str) -> None:
        """The same for whatever reason: somebody in this process, in another one, or a lease that is lost."""
        if self._reason is None:
            self._reason = reason
            if self.status == "running":
                self.scheduler.stop(reason)

    # ------------------------------------------------------------------ the way through

    async def called(self) -> bool:
        """Whether somebody called a suspended run after its last look into its inbox.

        Nobody else could go on with it then, for it was still owned here. Where a run was told to stop, it stops.
        """
        if self._asking is None or self.keeper is None or self._reason is not None:
            return False
        messages = await self.keeper.look()
        if self.keeper.asked(messages) is not None:
            return True
        return not self._asking.stops() and self._asking.news(messages)

    async def once(self) -> RunResult[Any]:
        """Drive the run until it lets go of this process. Raises GrownError if it is to be read again first."""
        if self.keeper is None:
            return await self._perform(self._begin())
        if self.recorded is None:
            start = self._begin()
        else:
            inbox = await self.keeper.look(self.recorded.inbox)
            reason = self.keeper.asked(inbox)
            if reason is not None:
                self._stop(reason)
            start = self._go_on(self.recorded, inbox)
            if self.status == "suspended":
                return self.result()  # nothing has come in, so nothing goes on
        recorded = self.recorded
        if recorded is not None and recorded.header.status == "succeeded" and not recorded.rerun:
            root = start()
            if root.ended and not root.troubles:
                self.status = "succeeded"
                return self.result(root)  # nothing to do, so nothing to own
        return await self._kept(self.keeper, start)

    async def _kept(self, keeper: Keeper, start: Callable[[], Scope]) -> RunResult[Any]:
        """The same, owning the run in its store and writing its end there."""
        journal = self.journal
        assert isinstance(journal, DurableJournal)
        if self.recorded is None:
            compiled = self.compiled
            header = self.options.header(self.run_id, compiled.definition.name, compiled.fingerprint, time.time())
            await keeper.create(journal, header)
        else:
            await keeper.acquire(journal)
        try:
            async with keeper.keeping(journal, self._stop):
                if self.recorded is not None:
                    await self._unchanged(journal, self.recorded)
                    if self.recorded.header.status != "running":
                        await journal.reopen()
                return await self._perform_and_write(journal, keeper, start)
        except BaseExceptionGroup as error:
            inner = unwrapped(error)
            raise inner from inner.__cause__
        finally:
            if keeper.lost is not None:
                raise keeper.lost

    async def _unchanged(self, journal: DurableJournal, recorded: Recorded) -> None:
        """Raise GrownError if somebody went on with the run after its log was read, and before it was ours."""
        events = None if journal.lease is None else journal.lease.events
        if events is None:
            events = (await journal.store.load(self.run_id)).events
        if events != len(recorded.events):
            raise GrownError(self.run_id)

    async def _perform_and_write(
        self, journal: DurableJournal, keeper: Keeper, start: Callable[[], Scope]
    ) -> RunResult[Any]:
        try:
            await self.purse.begin()
            return await self._perform(start)
        finally:
            with anyio.CancelScope(shield=True):
                # stopped from outside, the run is not at its end: it stays as it is, to be resumed
                if self.status != "running" and keeper.lost is None:
                    await journal.flush(self.status)
                await self.purse.end()

    def _begin(self, kind: Any = RunStarted, state: Any = None, inbox: Sequence[Message] = ()) -> Callable[[], Scope]:
        """Record the start; returns what opens the run's scope, once."""
        definition = self.compiled.definition
        taken: tuple[int, ...] = ()
        refused: ActivationError | None = None
        try:
            taken = choose(self.compiled.plan, -1, self.value)
        except ActivationError as error:
            refused = error
        given = self.options.state if state is None else state
        fields = self._fields if state is None else initial_fields(self.compiled.plan, state)
        start: tuple[Any, ...] = (definition.name, self.compiled.fingerprint, self.value, taken, given)
        self.journal.add(kind, None, start if kind is RunStarted else (*start, {}, {}))

        return partial(self._open, inbox, taken, fields, refused)

    def _open(
        self,
        inbox: Sequence[Message],
        taken: tuple[int, ...],
        fields: dict[str, Any],
        refused: ActivationError | None,
    ) -> Scope:
        if refused is not None:
            raise refused
        if self._asking is not None:
            self._asking.take_in(inbox)
            self._asking.begin()
        return self.machine.open(self.compiled.plan, self.value, taken, fields)

    def _as_it_was(self, root: Scope) -> Scope:
        if self._asking is not None:  # somebody has called the run while it was read
            self._asking.begin()
        return root

    def _go_on(self, recorded: Recorded, inbox: Sequence[Message]) -> Callable[[], Scope]:
        """Fold the log; returns what hands out the scope as the log left it."""
        journal, options = self.journal, self.options
        assert isinstance(journal, DurableJournal)
        if recorded.rerun:
            return self._once_more(recorded, inbox)
        root, entries, fold = recorded.replay(self.machine, self.scheduler, journal, self._answers())
        if recorded.doubtful and options.in_doubt == "fail" and self._reason is None:
            raise InDoubtError(self.run_id, recorded.doubtful)
        self.value = root.input
        self.purse.count(entries, recorded.copied)
        found = WaitingFold.of(entries)
        doubts = recorded.doubtful if options.in_doubt == "ask" else []
        if root.ended or not (found.waited or inbox or fold.held or doubts or options.interrupts):
            if not root.ended:
                journal.add(RunResumed, None, (len(entries),))
            return partial(self._as_it_was, root)
        asking = self.asking()
        asking.found = found
        asking.doubts = frozenset(doubts)
        asking.passed.update(found.passed)
        called = self._reason is not None or found.interrupts or asking.unsent or asking.news(inbox)
        if options.when_asked == "suspend" and rests(entries) and not called:
            self.status = "suspended"
            return lambda: root
        journal.add(RunResumed, None, (len(entries),))
        found.interrupts = ()

        def go_on() -> Scope:
            asking.resume(fold)
            asking.take_in(inbox)
            asking.begin()
            return root

        return go_on

    def _answers(self) -> Answers:
        """What another pass needs to know of this run to take over answers of earlier ones."""

        def take_over(kind: Any, subject: Any, values: tuple[Any, ...]) -> None:
            self.asking().record(kind, subject, values)

        return Answers(self.options.in_doubt == "rerun", take_over, self.notes)

    def _once_more(self, recorded: Recorded, inbox: Sequence[Message]) -> Callable[[], Scope]:
        """Begin another pass, with this graph, and with all that was recorded as its history."""
        journal, options = self.journal, self.options
        assert isinstance(journal, DurableJournal)
        self.value, state = recorded.beginning()
        journal.log.edits = edits = carried(recorded.events).written()
        self.machine.edits = Edits(dict(edits[0] or []), dict(edits[1] or []), recorded.given)
        history = recorded.told()
        self.purse.count(history, recorded.copied)
        journal.restore(history, recorded.values)
        recorded.redrive(self.scheduler, journal, recorded.events, self._answers())
        journal.changes = HeaderChanges(time=time.time(), fingerprint=self.compiled.fingerprint)
        found = WaitingFold.of(history)
        if found.waited or inbox or options.interrupts:
            found.again()
            self.asking().found = found
            self.asking().passed.update(found.passed)
        return self._begin(RunRedriven, state, inbox)

    async def _perform(self, start: Callable[[], Scope]) -> RunResult[Any]:
        try:
            if self._reason is not None:  # cancelled before it began: nothing runs
                self.status = "cancelled"
                self._withdraw(WITHDRAWN)
                for key in left_open((kind, key_of(subject)) for _, kind, subject, _ in self.journal.entries):
                    self.journal.add(NodeCancelled, Shadow(key), (ENDING,))
                raise self._ended_by(self._cancellation())
            return self._settle(await self._drive(start))
        except RunError:
            raise
        except ActivationError as error:
            self.status = "failed"
            raise self._ended_by(self._at("START", error)) from error
        except BaseException as error:
            if self.keeper is None:
                self.status = "cancelled"
                self.journal.add(RunCancelled, None, (f"{type(error).__name__} from outside",))
            raise

    async def _drive(self, start: Callable[[], Scope]) -> Scope:
        deadline = self.purse.start(self.options.deadline)
        try:
            if deadline is None:
                return await self.scheduler.run(start)
            root: Scope | None = None
            async with anyio.create_task_group() as group:
                group.start_soon(self._expire, deadline)
                root = await self.scheduler.run(start)
                group.cancel_scope.cancel()
            assert root is not None
            return root
        finally:
            self.purse.stop()

    async def _expire(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self._expired = seconds
        self.cancel(f"its deadline of {seconds:g} s passed")

    # ------------------------------------------------------------------ the end

    def _settle(self, root: Scope) -> RunResult[Any]:
        definition = self.compiled.definition
        asking = self._asking
        if asking is not None and asking.suspended:
            self.status = "suspended"
            asking.suspend()
            return self.result()
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
        self._withdraw("the run has ended")
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
            compiled=self.compiled,
        )

    def _at(self, place: str, error: Exception) -> RunError:
        failure = Failure(place, f"#{place}", 1, type(error).__name__, redact(str(error)))
        return failure_error(self.run_id, [(failure, error)], finished(self.journal.entries))

    def _cancellation(self) -> RunError:
        done = finished(self.journal.entries)
        if self._expired is not None:
            of_budget = self._expired != self.options.deadline
            return DeadlineError(run_id=self.run_id, seconds=self._expired, finished=done, budget=of_budget)
        return RunCancelledError(run_id=self.run_id, reason=self._reason or "it was stopped", finished=done)

    def _withdraw(self, reason: str) -> None:
        if self._asking is not None:
            self._asking.withdraw(reason)

    def _ended_by(self, error: RunError) -> RunError:
        self._withdraw(WITHDRAWN)
        if isinstance(error, (RunCancelledError, DeadlineError)):
            self.journal.add(RunCancelled, None, (str(error),))
        else:
            self.journal.add(RunFailed, None, (type(error).__name__, str(error), error.failures))
        error.result = self.result()
        return error
