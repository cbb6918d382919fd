"""One activation from its first attempt to its end: call, timeout, check, retry, cache, route, report.

A user's exception becomes a failure here and nowhere else; a cancellation that is not the run's own is one too.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.to_thread
from pydantic_core import PydanticSerializationError, to_json

from loomgraph.engine.activation import Activation, failure_of
from loomgraph.engine.program import Program, programs
from loomgraph.engine.routing import choose
from loomgraph.engine.waits import Paused
from loomgraph.engine.watch import watched
from loomgraph.errors import CacheKeyError, NodeTimeoutError, QuestionError, StrayCancellationError
from loomgraph.events import AttemptFailed, NodeStarted
from loomgraph.graph.ownership import own

if TYPE_CHECKING:
    from loomgraph.engine.scheduler import Scheduler

__all__ = ["Attempts", "unwrapped"]

_ABSENT: Any = object()


def unwrapped(error: BaseException) -> BaseException:
    """The one exception inside a group of one, however deep; anything else as it is."""
    inside: Any = error
    while isinstance(inside, BaseExceptionGroup) and len(inside.exceptions) == 1:  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        inside = inside.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return cast(BaseException, inside)


class Attempts:
    """Runs activations of one run. `context` makes the Context of an attempt; `monotonic` is for cache ages."""

    def __init__(
        self,
        scheduler: Scheduler,
        context: Callable[[Activation, Scheduler], Any],
        monotonic: Callable[[], float],
    ) -> None:
        self._scheduler = scheduler
        self._context = context
        self._monotonic = monotonic

    async def execute(self, activation: Activation) -> None:
        """Run an activation to its end and report it. Only the run's own cancellation gets out."""
        scheduler = self._scheduler
        program = programs(activation.scope.plan)[activation.node]
        context: Any = None
        try:
            while True:
                context = None if program.context is None else self._context(activation, scheduler)
                try:
                    if program.simple:
                        variables = scheduler.variables.copy()
                        called = variables.run(program.call, activation.input, context)
                        value = await watched(called, variables, scheduler.blocked)
                        cached = False
                    else:
                        value, cached = await self._guarded(activation, program, context)
                except Exception as error:
                    wait = self._failed(activation, program, unwrapped(error))
                except asyncio.CancelledError as error:
                    wait = self._failed(activation, program, _stray(activation, error))
                except (Paused, BaseExceptionGroup):
                    if scheduler.waits is None or not scheduler.waits.pauses(activation):
                        raise
                    return
                else:
                    self._report(activation, program, value, context, cached)
                    return
                if wait is None:
                    return
                scheduler.slots.give(activation)
                scheduler.kick()
                await scheduler.journal.commit()
                await anyio.sleep(wait)
                await scheduler.slots.retake(activation)
                activation.attempt += 1
                scheduler.journal.add(NodeStarted, activation, (activation.attempt, activation.input))
                await scheduler.journal.commit()
        finally:
            scheduler.slots.give(activation)
            if activation.held:
                scheduler.leave(activation)
            if scheduler.waits is not None:
                scheduler.waits.park(activation)

    def give(self, activation: Activation, value: Any) -> None:
        """Report an output that somebody else gave for an activation, as if its node had."""
        self._report(activation, programs(activation.scope.plan)[activation.node], value, None, cached=False)

    def _report(self, activation: Activation, program: Program, value: Any, context: Any, cached: bool) -> None:
        """Check the output, choose the edges, tell the machine. Refusals fail the activation without retry."""
        scheduler = self._scheduler
        if scheduler.waits is not None and scheduler.waits.pauses(activation):
            return
        detail = program.check(value)
        error: Any = None if detail is None else program.refusal(activation.path, value, detail)
        taken: tuple[int, ...] = ()
        updates: tuple[tuple[str, Any], ...] = ()
        if error is None:
            try:
                value = own(value)
                updates = context.updates() if context is not None else ()
                if scheduler.journal.durable:
                    scheduler.journal.prepare(activation, value, updates)
                if activation.owner is None:
                    taken = choose(activation.scope.plan, activation.node, value)
            except Exception as refused:
                error = refused
        if scheduler.waits is not None:
            scheduler.waits.over(activation, "its node ended without it")
            if error is None and scheduler.waits.hold(activation, value, taken, updates, cached):
                return
        if error is None:
            scheduler.machine.succeeded(activation, value, taken, updates, cached)
        else:
            scheduler.refuse(activation, error)
        scheduler.absorb()

    def _failed(self, activation: Activation, program: Program, error: BaseException) -> float | None:
        """Record a failed attempt; seconds to wait for the next one, None if it was the last."""
        scheduler = self._scheduler
        if scheduler.waits is not None and scheduler.waits.pauses(activation):
            return None
        retry = program.retry if not isinstance(error, QuestionError) else None
        last = retry is None or activation.tries >= retry.attempts or activation.dead or activation.cancelling
        if retry is None or last or not retry.wants(error):
            if scheduler.waits is not None:
                scheduler.waits.over(activation, "its node failed")
            scheduler.refuse(activation, error)
            scheduler.absorb()
            return None
        wait = retry.wait(activation.tries, scheduler.chance(), error)
        failure = failure_of(activation, error)
        scheduler.journal.add(AttemptFailed, activation, (activation.attempt, failure, wait))
        return wait

    # ------------------------------------------------------------------ the less common ways to call

    async def _guarded(self, activation: Activation, program: Program, context: Any) -> tuple[Any, bool]:
        store = key = None
        if program.cache is not None:
            store, key = _cache_of(activation, program)
            found = self._cached(program, store, key)
            if found is not _ABSENT:
                return found, True
        value = await self._timed(activation, program, context)
        if store is not None and program.cache is not None and program.check(value) is None:
            store[key] = (self._monotonic(), own(value))
            store.move_to_end(key)
            while len(store) > program.cache.size:
                store.popitem(last=False)
        return value, False

    def _cached(self, program: Program, store: OrderedDict[Any, tuple[float, Any]], key: Any) -> Any:
        assert program.cache is not None
        kept = store.get(key)
        if kept is None:
            return _ABSENT
        if program.cache.ttl is not None and self._monotonic() - kept[0] > program.cache.ttl:
            del store[key]
            return _ABSENT
        return kept[1]

    async def _timed(self, activation: Activation, program: Program, context: Any) -> Any:
        if program.timeout is None:
            return await self._called(activation, program, context)
        with anyio.move_on_after(program.timeout) as scope:
            return await self._called(activation, program, context)
        if scope.cancelled_caught:
            raise NodeTimeoutError(activation.path, program.timeout)
        raise AssertionError("a cancel scope ended without a result and without a timeout")

    async def _called(self, activation: Activation, program: Program, context: Any) -> Any:
        if program.style == "async":
            variables = self._scheduler.variables.copy()
            called = variables.run(program.call, activation.input, context)
            return await watched(called, variables, self._scheduler.blocked)
        self._scheduler.blocked()
        # boxed, because trio refuses a plain function that returns a coroutine
        [value] = await anyio.to_thread.run_sync(lambda: [program.call(activation.input, context)])
        # a plain function may still hand out an awaitable: a decorator that lost the `async`, a partial
        return await value if inspect.isawaitable(value) else value


def _cache_of(activation: Activation, program: Program) -> tuple[OrderedDict[Any, tuple[float, Any]], Any]:
    """The node's cache, shared by all runs of the compiled graph, and this input's key in it."""
    cache = program.cache
    assert cache is not None
    if cache.key is not None:
        key: Any = cache.key(own(activation.input))
    else:
        try:
            key = to_json(activation.input)
        except (PydanticSerializationError, ValueError) as error:
            raise CacheKeyError(activation.path, activation.input, str(error)) from error
    return program.results, key


def _stray(activation: Activation, error: asyncio.CancelledError) -> BaseException:
    """A CancelledError that the node's own code let out, as a failure; the run's own cancellation goes on."""
    ours = anyio.current_effective_deadline() == float("-inf")
    if not ours:
        try:
            task = asyncio.current_task()
        except RuntimeError:  # on trio the run's own cancellation is never this class
            task = None
        ours = task is not None and task.cancelling() > 0
    if ours:
        raise error
    stray = StrayCancellationError(activation.path)
    stray.__cause__ = error
    return stray
