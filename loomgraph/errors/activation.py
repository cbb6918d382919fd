"""Why one activation failed, when the engine itself says so. Never retried, save for a timeout."""

from __future__ import annotations

from collections.abc import Sequence

from loomgraph.errors.base import Failure, LoomgraphError, brief, names

__all__ = [
    "ActivationError",
    "AmbiguousInputError",
    "BudgetExceededError",
    "CacheKeyError",
    "ConditionError",
    "EffectDoneError",
    "JoinIncompleteError",
    "MapInputError",
    "NoRouteError",
    "NodeTimeoutError",
    "QuorumError",
    "ReducerError",
    "ScopeCancelledError",
    "StateConflictError",
    "StateError",
    "StateFieldError",
    "StateTypeError",
    "StrayCancellationError",
]


class ActivationError(LoomgraphError):
    """The engine itself refuses to go on with one activation; never retried, may be taken by `on_error`."""


class AmbiguousInputError(ActivationError):
    """Two alternatives of one input were taken in one pass."""

    def __init__(self, node: str, sources: Sequence[str]) -> None:
        self.node, self.sources = node, tuple(sources)
        super().__init__(
            f"node '{node}' got a value from {names(sources)} in one pass, but plain edges mean \"one of these\". "
            f'Use wf.join([...], into={node!r}) for "all of these", or make the branches exclusive with when=.'
        )


class JoinIncompleteError(ActivationError):
    """A required member of a join was skipped while another was taken."""

    def __init__(self, node: str, skipped: Sequence[str], taken: Sequence[str]) -> None:
        self.node, self.skipped, self.taken = node, tuple(skipped), tuple(taken)
        super().__init__(
            f"the join into '{node}' got {names(taken)} but {names(skipped)} was skipped and is required. "
            f"Give that parameter a default or an Optional type, or join into one list."
        )


class QuorumError(ActivationError):
    """Fewer members finished than an early join or map needs. `.failures` has the failed ones."""

    def __init__(self, node: str, needed: int, got: int, total: int, failures: Sequence[Failure] = ()) -> None:
        self.node, self.needed, self.got, self.total, self.failures = node, needed, got, total, tuple(failures)
        causes = "".join(f"; {failure}" for failure in self.failures[:5])
        super().__init__(
            f"'{node}' needs {needed} of {total} results and can only have {got}{causes}. "
            f"Lower the quorum, or make the branches more reliable with retry=."
        )


class MapInputError(ActivationError):
    """A map node was given something it cannot go through item by item."""

    def __init__(self, node: str, value: object) -> None:
        self.node = node
        super().__init__(
            f"the map '{node}' takes a list, not {brief(value)}. Return a list from the node before it, or use a "
            f"plain edge instead of wf.map."
        )


class ScopeCancelledError(ActivationError):
    """A graph that a node ran with ctx.run was cancelled before it had a result."""

    def __init__(self, graph: str) -> None:
        super().__init__(f"graph '{graph}' was cancelled before it had a result, because its run is ending.")


class NoRouteError(ActivationError):
    """No edge out of a conditional node matched its value."""

    def __init__(self, node: str, value: object, conditions: Sequence[str]) -> None:
        self.node, self.value, self.conditions = node, value, tuple(conditions)
        super().__init__(
            f"no edge out of '{node}' matches {brief(value)}: it has edges for {', '.join(conditions)}. "
            f"Add an edge for this value, or one with when=OTHERWISE."
        )


class ConditionError(ActivationError):
    """A `when` predicate raised; its exception is the `__cause__`."""

    def __init__(self, node: str, target: str, condition: str, error: BaseException) -> None:
        self.node, self.target = node, target
        super().__init__(
            f"the condition {condition} on the edge '{node}' -> '{target}' raised {type(error).__name__}: {error}. "
            f"A predicate must answer for every value '{node}' can return."
        )


class CacheKeyError(ActivationError):
    """The input of a node with cache= cannot be compared, because it has no JSON form."""

    def __init__(self, node: str, value: object, detail: str) -> None:
        self.node = node
        super().__init__(
            f"node '{node}' is cached, but its input {brief(value)} has no JSON form to compare by ({detail}). "
            f"Give it cache=Cache(key=...), or take the cache away."
        )


class StrayCancellationError(ActivationError):
    """Node code let out a cancellation that neither the run nor its caller asked for."""

    def __init__(self, node: str) -> None:
        self.node = node
        super().__init__(
            f"node '{node}' let out a cancellation that nobody asked for, probably of a task it awaited. "
            f"Catch it in the node and return a value or raise an exception of your own."
        )


class NodeTimeoutError(ActivationError):
    """An attempt took longer than the node's `timeout` (seconds). Retried if the node has a `retry`."""

    def __init__(self, node: str, seconds: float) -> None:
        self.node, self.seconds = node, seconds
        super().__init__(f"node '{node}' did not finish within {seconds:g} s. Raise timeout=, or make the node faster.")


class BudgetExceededError(ActivationError):
    """A call was refused because what it may use is more than its budget has left. It was not made."""

    def __init__(self, account: str, name: str, limit: float, spent: float, reserved: float, wanted: float) -> None:
        self.account, self.name, self.limit, self.spent = account, name, limit, spent
        self.reserved, self.wanted = reserved, wanted
        held = f", {reserved:g} of it held by calls under way" if reserved else ""
        super().__init__(
            f"the budget '{account}' allows {name}={limit:g}; {spent + reserved:g} is used{held}, and this call may "
            f"use {wanted:g}. It was not made. Raise the budget and resume, or let the call use less."
        )


class EffectDoneError(ActivationError):
    """A node with effect="once" would have its effect a second time: it began before with another input or code."""

    def __init__(self, node: str) -> None:
        self.node = node
        super().__init__(
            f"node '{node}' must not run twice, and has begun before with another input, state or code. "
            f"Resume with in_doubt='rerun' to run it all the same, or fork the run with outputs= to say what it gave."
        )


class StateError(ActivationError):
    """The state layer refused a write or a merge."""


class StateConflictError(StateError):
    """Two concurrent writes to a field that has no reducer."""

    def __init__(self, field: str, first: str, second: str) -> None:
        self.field, self.writers = field, (first, second)
        super().__init__(
            f"state field '{field}' was written by '{first}' and '{second}', neither of which runs after the other. "
            f"Give the field a reducer (Annotated[..., reducer]), or order the two nodes with an edge."
        )


class StateFieldError(StateError):
    """A write to a field the state model does not declare."""

    def __init__(self, node: str, field: str, known: Sequence[str], suggestion: str | None) -> None:
        self.node, self.field = node, field
        hint = f"Did you mean '{suggestion}'?" if suggestion else f"Declared fields: {', '.join(known) or 'none'}."
        super().__init__(f"node '{node}' wrote state field '{field}', which the state does not declare. {hint}")


class StateTypeError(StateError):
    """A write of a value that is not of the field's declared type."""

    def __init__(self, node: str, field: str, expected: str, value: object, detail: str) -> None:
        self.node, self.field = node, field
        super().__init__(
            f"node '{node}' wrote {brief(value)} to state field '{field}', which takes {expected}: {detail}. "
            f"Write a value of that type, or change the field's annotation."
        )


class ReducerError(StateError):
    """A reducer raised; its exception is the `__cause__`."""

    def __init__(self, field: str, error: BaseException) -> None:
        self.field = field
        super().__init__(
            f"the reducer of state field '{field}' raised {type(error).__name__}: {error}. "
            f"A reducer takes (current, update) and returns the new value, for any two values of the field."
        )
