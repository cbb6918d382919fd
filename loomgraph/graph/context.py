"""What node code may ask of the run it is part of. Names the promises; `loomgraph.runtime` keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Literal, TypeAlias, overload

from typing_extensions import TypeVar

from loomgraph.graph.budget import Account

__all__ = ["Context", "DepsT", "StateT", "Whose"]

Whose: TypeAlias = Literal["run", "user"]
"""Whom a note is about: this run, or its user in all runs of the store."""

StateT = TypeVar("StateT", default=Any)
DepsT = TypeVar("DepsT", default=Any)
T = TypeVar("T")


class Context(Generic[StateT, DepsT]):
    """A node that wants it annotates one parameter with `Context` (or `Context[State, Deps]`); its name is free.

    A Context belongs to one attempt; keep nothing of it after the node returned.
    """

    __slots__ = ()

    @property
    def run_id(self) -> str:
        """The run this attempt belongs to."""
        raise NotImplementedError

    @property
    def node(self) -> str:
        """The node's path: its name, with the enclosing graph nodes before it, separated by '/'."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """The activation key: unique in the run, the same on every attempt and after a resume."""
        raise NotImplementedError

    @property
    def attempt(self) -> int:
        """The number of this attempt, 1-based."""
        raise NotImplementedError

    @property
    def iteration(self) -> tuple[int, ...]:
        """The iteration of each enclosing loop, outermost first, 0-based; empty outside loops."""
        raise NotImplementedError

    @property
    def index(self) -> int | None:
        """The item's position in the map, 0-based; None outside maps."""
        raise NotImplementedError

    @property
    def user_id(self) -> str | None:
        """Whom the run is for, as given to `run`."""
        raise NotImplementedError

    @property
    def session_id(self) -> str | None:
        """The session the run belongs to, as given to `run`."""
        raise NotImplementedError

    @property
    def deps(self) -> DepsT:
        """The live objects given to `run(deps=...)`; never copied, never logged."""
        raise NotImplementedError

    @property
    def state(self) -> StateT:
        """The state this activation sees: the fold of its causal ancestors' updates. A copy; write with `update`.

        Raises DefinitionError if the workflow has no state.
        """
        raise NotImplementedError

    def update(self, **fields: Any) -> None:
        """Write state fields; visible downstream once this activation succeeds. Several calls add up.

        Raises StateFieldError for an undeclared field and StateTypeError for a value of the wrong type.
        """
        raise NotImplementedError

    async def emit(self, data: Any) -> None:
        """Put a value of yours in the run's event stream, as an `Emitted` event. From a sync node use `emit_sync`."""
        raise NotImplementedError

    def emit_sync(self, data: Any) -> None:
        """`emit`, for nodes that are plain functions in a worker thread."""
        raise NotImplementedError

    def meter(self, **amounts: float) -> None:
        """Count what this attempt used: `ctx.meter(model_calls=1, input_tokens=812, cost=0.004)`. Amounts add up.

        Kept with the log, also for attempts that fail; see `RunResult.usage`. Nothing is counted that is not recorded:
        a crash before the next commit loses the amount, and the attempt runs again. Raises DefinitionError for an
        amount that is no finite number or below zero.
        """
        raise NotImplementedError

    @property
    def budget(self) -> Account:
        """What the run may still use: `with ctx.budget.reserve(cost=0.02): ...` before a call, `meter` after it.

        Raises BudgetExceededError if that much is not left. A run without a budget has one without limits. `reserve`
        of the context itself keeps to the budget of the run's user too.
        """
        raise NotImplementedError

    @property
    def limits(self) -> frozenset[str]:
        """The names of the amounts that the run's budget or its user's limits."""
        raise NotImplementedError

    def reserve(self, **amounts: float) -> AbstractAsyncContextManager[None]:
        """Hold these amounts while the block runs: `async with ctx.reserve(cost=0.02): ...`, then `meter`.

        Raises BudgetExceededError, before the block runs, if the run's budget or its user's has not that much left.
        """
        raise NotImplementedError

    async def run(self, graph: Any, value: Any = None, *, key: str) -> Any:
        """Run a graph made or chosen at run time, as a scope inside this activation; returns its output.

        `key` names the scope and is unique in this activation. While the graph runs, this node holds no slot of the
        run's concurrency limit. Raises what a failed graph raises.
        """
        raise NotImplementedError

    @property
    def idempotency_key(self) -> str:
        """A text that names this activation in all the world, the same on every attempt and after every resume.

        Hand it to services that refuse to do the same thing twice.
        """
        raise NotImplementedError

    async def step(self, key: str, fn: Callable[..., Any], *args: Any, result: Any = None, **kwargs: Any) -> Any:
        """Call `fn` (sync ones in a worker thread) and keep what it returned, so that it is not called again.

        A retry of this node, or a resume after a crash, gets the kept value. `key` names the step, once in a node;
        `result` is the type it is kept as, by default `fn`'s return annotation. Raises what `fn` raises (nothing is
        kept then), and CodecError for what cannot be stored.
        """
        raise NotImplementedError

    def step_sync(self, key: str, fn: Callable[..., Any], *args: Any, result: Any = None, **kwargs: Any) -> Any:
        """`step`, for nodes that are plain functions in a worker thread."""
        raise NotImplementedError

    def has_step(self, key: str) -> bool:
        """Whether `step` has kept something under this key, in this attempt or before, and would give it back."""
        raise NotImplementedError

    def finished(self, key: str, result: Any = Any) -> Any:
        """What the activation of this run with that key gave, as `result`, the type that it gave.

        Without a type, what an earlier process recorded in a graph of `ctx.run` is plain JSON data. Raises LookupError
        for an activation that has not succeeded, and pydantic's ValidationError for a value of another type.
        """
        raise NotImplementedError

    async def note(self, topic: str, data: Any, *, whose: Whose = "run") -> None:
        """Write something down that has a JSON form, for later in this run, or for all runs of this user in the store.

        The same note of one activation twice is one note. Raises StorelessPauseError in a run without a store, and
        for a note about a user in a run that has none.
        """
        raise NotImplementedError

    async def noted(self, topic: str, *, whose: Whose = "run") -> list[Any]:
        """What was noted on a topic, as plain JSON data, in the order it was written down; [] without a store.

        It changes while runs go on, so what is decided by it belongs into a `ctx.step`.
        """
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        """Wait without holding a slot of the run's concurrency limit. After a resume only the rest is waited for.

        The n-th sleep of an attempt is the n-th sleep of the next one.
        """
        raise NotImplementedError

    def patched(self, id: str) -> bool:
        """Whether this activation goes the new way of a change to its code that you call `id`.

        For node code that changes while runs are half-way through it (resumed with on_change="compatible", or with a
        `version=` that stayed): `if ctx.patched("two-taxes"): ... else: ...`, with what it did before in the `else`.
        True, unless this activation has left something in its log that the old way would find again, and has not asked
        for `id` before it did: a durable step, a sleep, a question, a wait for a signal or a graph of `ctx.run`.
        What was said first is kept with the log, and said again by every later attempt, in any process; two activations
        of one node decide each for itself. Ask before the first step of the new way, not after it. Works in plain
        functions too. Once no run is left that began the old way, take the call and the `else` out: what is kept is
        then never asked for. Raises DefinitionError for an empty id.
        """
        raise NotImplementedError

    @overload
    async def ask(self, question: Any, answer: type[T], *, key: str | None = None) -> T: ...

    @overload
    async def ask(self, question: Any, answer: Any, *, key: str | None = None) -> Any: ...

    async def ask(self, question: Any, answer: Any, *, key: str | None = None) -> Any:
        """Ask a person, and return their answer, which is of type `answer`.

        `question` is a text, or anything that has a JSON form; `answer` any type that pydantic can describe. The
        question is recorded before anybody sees it, and the attempt ends here: it holds no task and no slot, no
        timeout runs, and whatever else the node was doing is stopped (a `ctx.step` that has begun is seen through).
        Once there is an answer the node's code starts again from its beginning, with its durable steps kept, and this
        call returns the answer, on this attempt and every later one. Nothing that the code does after catching what
        ends it is taken for a result.

        The question's id is this activation's key and, after the first one, `key` or how many were asked before it;
        several questions that are asked at once, or under a condition, need a key each. Raises DefinitionError for a
        key that was used before in this attempt, StorelessPauseError in a run without a store, QuestionChangedError
        if another question was asked under that id. From a sync node use `ask_sync`.
        """
        raise NotImplementedError

    @overload
    def ask_sync(self, question: Any, answer: type[T], *, key: str | None = None) -> T: ...

    @overload
    def ask_sync(self, question: Any, answer: Any, *, key: str | None = None) -> Any: ...

    def ask_sync(self, question: Any, answer: Any, *, key: str | None = None) -> Any:
        """`ask`, for nodes that are plain functions in a worker thread."""
        raise NotImplementedError

    @overload
    async def wait_for(self, signal: str, result: type[T]) -> T: ...

    @overload
    async def wait_for(self, signal: str, result: Any = Any) -> Any: ...

    async def wait_for(self, signal: str, result: Any = Any) -> Any:
        """Wait for a signal that somebody sends to the run under this name, and return its value, of type `result`.

        A signal that was sent before is there already; each goes to one waiter, first sent to first waiting. Otherwise
        the attempt ends here, as with `ask`. The n-th wait of an attempt for a name is the n-th of the next one. A
        value of another type is refused, which the log says, and waiting goes on. Raises StorelessPauseError.
        """
        raise NotImplementedError

    @overload
    def wait_for_sync(self, signal: str, result: type[T]) -> T: ...

    @overload
    def wait_for_sync(self, signal: str, result: Any = Any) -> Any: ...

    def wait_for_sync(self, signal: str, result: Any = Any) -> Any:
        """`wait_for`, for nodes that are plain functions in a worker thread."""
        raise NotImplementedError

    @property
    def tags(self) -> tuple[str, ...]:
        """The node's tags."""
        raise NotImplementedError

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What `run(metadata=...)` was given."""
        raise NotImplementedError
