"""The Context that node code receives: keeps the promises of `loomgraph.graph.context` for one attempt."""

from __future__ import annotations

import functools
import inspect
import math
import threading
import typing
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio.lowlevel import checkpoint
from pydantic import TypeAdapter

from loomgraph.compile.values import validator
from loomgraph.engine.activation import PATCHED, Activation, Stored, signal_step
from loomgraph.engine.attempts import unwrapped
from loomgraph.engine.later import read
from loomgraph.engine.scheduler import Scheduler
from loomgraph.engine.waits import Paused
from loomgraph.errors import DefinitionError, InputRefusedError, NodeFailedError, RunError, brief
from loomgraph.events import Emitted, Metered, NodeSucceeded, StepSucceeded, escape, question_id
from loomgraph.graph.budget import UNLIMITED, Account
from loomgraph.graph.context import Context, Whose
from loomgraph.graph.ownership import own
from loomgraph.graph.refs import Embeddable
from loomgraph.graph.signature import EMPTY, describe_type
from loomgraph.graph.state import Updates
from loomgraph.runtime.asking import Asking
from loomgraph.runtime.notes import Notes
from loomgraph.runtime.purse import Purse

__all__ = ["RunContext", "RunSettings"]


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What a run was started with and its nodes may ask for. `asking` raises StorelessPauseError, saying for what."""

    run_id: str
    asking: Callable[[str], Asking]
    user_id: str | None = None
    session_id: str | None = None
    deps: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    purse: Purse | None = None
    notes: Notes | None = None


class RunContext(Context[Any, Any]):
    """One attempt's view of its run."""

    __slots__ = (
        "_activation",
        "_counts",
        "_keys",
        "_paused",
        "_quiet",
        "_scheduler",
        "_settings",
        "_steps",
        "_written",
    )

    def __init__(self, settings: RunSettings, activation: Activation, scheduler: Scheduler) -> None:
        self._settings = settings
        self._activation = activation
        self._scheduler = scheduler
        self._written: list[tuple[str, Any]] = []
        self._keys: set[str] = set()
        # how often this attempt has slept, asked without a key, and waited for each signal
        self._counts: dict[str, int] = {}
        # durable steps that are running now, and who waits for their end
        self._steps = 0
        self._quiet: anyio.Event | None = None
        self._paused = False

    @property
    def run_id(self) -> str:
        return self._settings.run_id

    @property
    def node(self) -> str:
        return self._activation.path

    @property
    def key(self) -> str:
        return self._activation.key

    @property
    def attempt(self) -> int:
        return self._activation.attempt

    @property
    def iteration(self) -> tuple[int, ...]:
        return self._activation.iteration

    @property
    def index(self) -> int | None:
        return self._activation.index

    @property
    def user_id(self) -> str | None:
        return self._settings.user_id

    @property
    def session_id(self) -> str | None:
        return self._settings.session_id

    @property
    def deps(self) -> Any:
        return self._settings.deps

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self._settings.metadata

    @property
    def budget(self) -> Account:
        return UNLIMITED if self._settings.purse is None else self._settings.purse.account

    @property
    def limits(self) -> frozenset[str]:
        return frozenset() if self._settings.purse is None else self._settings.purse.limits

    @asynccontextmanager
    async def reserve(self, **amounts: float) -> AsyncGenerator[None]:
        if self._settings.purse is None:
            yield
        else:
            async with self._settings.purse.reserve(amounts):
                yield

    @property
    def tags(self) -> tuple[str, ...]:
        activation = self._activation
        return activation.scope.plan.definition.nodes[activation.node].tags

    # ------------------------------------------------------------------ state

    @property
    def state(self) -> Any:
        return self._state().spec.build(self._fields())

    def update(self, **fields: Any) -> None:
        state = self._state()
        path = self._activation.path
        for name, value in fields.items():
            state.spec.check(path, name, value)
            write = (name, own(value))
            if name in state.spec.reducers:
                # reduced once here, so that a reducer's refusal is an error of this node, at this line
                state.spec.fold(self._fields(), [(path, (*self._written, write))])
            self._written.append(write)

    def updates(self) -> Updates:
        """The writes of this attempt, in order."""
        return tuple(self._written)

    def _state(self) -> Any:
        state = self._activation.scope.state
        if state is None:
            name = self._activation.scope.plan.definition.name
            raise DefinitionError(f"workflow '{name}' has no state; declare it with Workflow({name!r}, state=Model).")
        return state

    def _fields(self) -> dict[str, Any]:
        activation = self._activation
        scope = activation.scope
        assert scope.state is not None
        assert activation.view is not None
        return scope.state.fields(activation.view, scope.plan.region_of[activation.node])

    # ------------------------------------------------------------------ the run

    async def emit(self, data: Any) -> None:
        given = own(data)
        if not self._activation.dead:
            self._scheduler.journal.add(Emitted, self._activation, (given,))
            await self._scheduler.recorded()  # a reader is shown only what a crash cannot take back

    def emit_sync(self, data: Any) -> None:
        anyio.from_thread.run(self.emit, data)

    def meter(self, **amounts: float) -> None:
        for name, amount in amounts.items():
            if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not 0 <= amount < math.inf:  # pyright: ignore[reportUnnecessaryIsInstance]
                raise DefinitionError(f"ctx.meter({name}={amount!r}): an amount is a finite number of at least 0.")
        if threading.get_ident() == self._scheduler.thread:
            self._count(amounts)
        else:
            anyio.from_thread.run_sync(self._count, amounts)

    def _count(self, amounts: dict[str, float]) -> None:
        if amounts and not self._activation.dead:
            self._scheduler.journal.add(Metered, self._activation, (amounts,))
            if self._settings.purse is not None:
                self._settings.purse.spend(amounts)

    async def run(self, graph: Any, value: Any = None, *, key: str) -> Any:
        if not isinstance(graph, Embeddable):
            raise DefinitionError(f"ctx.run takes a compiled Graph or an Agent, not {graph!r}. Call .compile() first.")
        if f"run:{key}" in self._keys:
            raise DefinitionError(f"node '{self.node}' ran two graphs under the key {key!r}; give each its own key.")
        self._keys.add(f"run:{key}")
        compiled = graph.__loomgraph_embed__()
        definition = compiled.definition
        detail = validator(definition.input)(value)
        if detail is not None:
            raise InputRefusedError(definition.name, describe_type(definition.input), value, detail)
        scope = await self._scheduler.run_named(self._activation, key, compiled, own(value))
        troubles = self._scheduler.machine.root_failures(scope)
        if troubles:
            raise failure_error(self.run_id, troubles, {})
        return own(scope.output)

    @property
    def idempotency_key(self) -> str:
        return f"{self.run_id}:{self._activation.key}"

    async def step(self, key: str, fn: Callable[..., Any], *args: Any, result: Any = None, **kwargs: Any) -> Any:
        name, tp = f"step:{key}", _result_type(fn) if result is None else result
        if name in self._keys:
            raise DefinitionError(f"node '{self.node}' took two steps with the key {key!r}; give each its own key.")
        self._keys.add(name)
        if name not in self._activation.steps:
            await self._take(name, fn, args, kwargs, tp)
        return self._kept(name, tp)

    def step_sync(self, key: str, fn: Callable[..., Any], *args: Any, result: Any = None, **kwargs: Any) -> Any:
        return anyio.from_thread.run(functools.partial(self.step, key, fn, *args, result=result, **kwargs))

    def has_step(self, key: str) -> bool:
        return f"step:{key}" in self._activation.steps

    async def _take(self, name: str, fn: Callable[..., Any], args: Any, kwargs: Any, tp: Any) -> None:
        """Take a step that was not taken before. A question asked meanwhile waits for its end."""
        doing, activation = self._scheduler.doing, self._activation
        doing[activation] = doing.get(activation, 0) + 1
        self._steps += 1
        try:
            await self._scheduler.owned()
            await self._keep(name, await _called(fn, args, kwargs), tp)
        finally:
            self._done()
            self._steps -= 1
            if not self._steps and self._quiet is not None:
                self._quiet.set()

    def _done(self) -> None:
        doing, activation = self._scheduler.doing, self._activation
        doing[activation] -= 1
        if not doing[activation]:
            del doing[activation]

    async def _keep(self, name: str, value: Any, tp: Any) -> None:
        """Record a step's value; returns once it is durable."""
        activation, journal = self._activation, self._scheduler.journal
        if activation.dead:
            return
        kept = own(value)
        if journal.durable:
            journal.prepare_step(activation, name, tp, kept)
        activation.stepped(name, kept)
        journal.add(StepSucceeded, activation, (name, kept, "run"))
        await self._scheduler.recorded()

    def _kept(self, name: str, tp: Any) -> Any:
        activation = self._activation
        value = activation.steps.get(name)
        if isinstance(value, Stored):
            value = self._scheduler.journal.recall(tp, value.ref, f"{name} of node '{self.node}'")
            activation.stepped(name, value)
        return own(value)

    def patched(self, id: str) -> bool:
        if not id:
            raise DefinitionError(f"node '{self.node}' calls ctx.patched(''); name the change: ctx.patched('new-tax').")
        name = PATCHED + id
        if name not in self._activation.steps:
            if threading.get_ident() == self._scheduler.thread:
                self._decide(name)
            else:
                anyio.from_thread.run_sync(self._decide, name)
        return bool(self._kept(name, bool))

    def _decide(self, name: str) -> None:
        """Keep whether this activation goes the new way: it does unless earlier code left something in it."""
        activation, journal = self._activation, self._scheduler.journal
        new = activation not in self._scheduler.machine.inherited
        if journal.durable and not activation.dead:
            journal.prepare_step(activation, name, bool, new)
        activation.stepped(name, new)
        if not activation.dead:
            # written with the next step or answer at the latest, and without one there is nothing to be kept apart from
            journal.add(StepSucceeded, activation, (name, new, "run"))

    def finished(self, key: str, result: Any = Any) -> Any:
        for _, kind, subject, values in reversed(self._scheduler.journal.entries):
            if kind is NodeSucceeded and subject.key == key:
                return TypeAdapter(result).validate_python(own(read(values[1])))
        raise LookupError(f"no activation {key!r} of run '{self.run_id}' has succeeded")

    async def note(self, topic: str, data: Any, *, whose: Whose = "run") -> None:
        await self._notes.add(self.key, topic, data, whose)

    async def noted(self, topic: str, *, whose: Whose = "run") -> list[Any]:
        return await self._notes.read(topic, whose)

    @property
    def _notes(self) -> Notes:
        return self._settings.notes or Notes(None, self.run_id, self.user_id)

    async def sleep(self, seconds: float) -> None:
        name = f"sleep:{self._ordinal('sleep')}"
        if name not in self._activation.steps:
            await self._keep(name, self._scheduler.wall() + seconds, float)
        seconds = max(0.0, self._kept(name, float) - self._scheduler.wall())
        doing, activation = self._scheduler.doing, self._activation
        doing[activation] = doing.get(activation, 0) + 1
        try:
            await self._scheduler.outside(activation, lambda: anyio.sleep(seconds))
        finally:
            self._done()

    def _ordinal(self, what: str) -> int:
        self._counts[what] = self._counts.get(what, 0) + 1
        return self._counts[what]

    # ------------------------------------------------------------------ waiting for somebody

    async def ask(self, question: Any, answer: Any, *, key: str | None = None) -> Any:
        return await self._ask(question, answer, key, threaded=False)

    def ask_sync(self, question: Any, answer: Any, *, key: str | None = None) -> Any:
        return anyio.from_thread.run(functools.partial(self._ask, question, answer, key, threaded=True))

    async def _ask(self, question: Any, answer: Any, key: str | None, *, threaded: bool) -> Any:
        asking = self._asking(f"node '{self.node}' asks {brief(question, 80)}")
        id = question_id(self._activation.key, self._question_name(key))
        while not await asking.asked(self._activation, id, question, answer):
            await self._pause(asking, threaded)
        return self._kept(f"ask:{id}", answer)

    def _asking(self, what: str) -> Asking:
        asking = self._settings.asking(what)
        if self._paused and self._activation not in asking.pausing:
            raise Paused(self._activation.key)  # code that outlived its attempt
        return asking

    def _question_name(self, key: str | None) -> str:
        if key is None:
            count = self._ordinal("ask")
            return "" if count == 1 else str(count)
        if not key or key.isdigit():
            raise DefinitionError(
                f"node '{self.node}' asks with key={key!r}, but numbers are for questions without a key; use a word."
            )
        if f"ask:{key}" in self._keys:
            raise DefinitionError(f"node '{self.node}' asked twice with the key {key!r}; give each its own key.")
        self._keys.add(f"ask:{key}")
        return escape(key)

    async def wait_for(self, signal: str, result: Any = Any) -> Any:
        return await self._wait_for(signal, result, threaded=False)

    def wait_for_sync(self, signal: str, result: Any = Any) -> Any:
        return anyio.from_thread.run(functools.partial(self._wait_for, signal, result, threaded=True))

    async def _wait_for(self, signal: str, result: Any, *, threaded: bool) -> Any:
        asking = self._asking(f"node '{self.node}' waits for the signal '{signal}'")
        number = self._ordinal(f"signal:{signal}")
        while not await asking.signalled(self._activation, signal, number, result):
            await self._pause(asking, threaded)
        return self._kept(signal_step(signal, number), result)

    async def _pause(self, asking: Asking, threaded: bool) -> None:
        """End this attempt, whatever node code does about it; what it gives from here on is refused."""
        self._paused = True
        asking.pausing.add(self._activation)
        await self._scheduler.recorded()
        await checkpoint()  # what the node's other tasks are about to ask is asked too
        while self._steps:
            self._quiet = self._quiet or anyio.Event()
            await self._quiet.wait()
        if self._activation.task is not None:
            self._activation.task.cancel()
        if not threaded:
            await checkpoint()
        # where a cancellation does not reach: in worker threads, in tasks that the node lets run on its own
        raise Paused(self._activation.key)


def failure_error(run_id: str, troubles: list[Any], done: Mapping[str, Any]) -> RunError:
    """The exception for a run or scope that failed: the engine's own, or NodeFailedError with the user's as cause."""
    failures = [failure for failure, _ in troubles]
    exceptions = [unwrapped(error) for _, error in troubles]
    first = exceptions[0]
    if isinstance(first, RunError) and not isinstance(first, NodeFailedError):
        first.failures = tuple(failures)
        first.finished = done
        return first
    error = NodeFailedError(run_id=run_id, failures=failures, exceptions=exceptions, finished=done)
    error.__cause__ = first
    return error


async def _called(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(fn):
        return await fn(*args, **kwargs)
    [value] = await anyio.to_thread.run_sync(lambda: [fn(*args, **kwargs)])
    return await value if inspect.isawaitable(value) else value


def _result_type(fn: Callable[..., Any]) -> Any:
    try:
        return typing.get_type_hints(fn, include_extras=True).get("return", EMPTY)
    except (NameError, TypeError):
        return EMPTY
