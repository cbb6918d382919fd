"""One firing of one node, as the machine hands it out. Holds no code and starts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loomgraph.errors import Failure, RecordedError
from loomgraph.errors.redaction import redact
from loomgraph.events import activation_key, escape

if TYPE_CHECKING:  # an activation points to its scope, and a scope keeps its activations
    from loomgraph.engine.maps import MapRun
    from loomgraph.engine.scope import Scope
    from loomgraph.engine.state import View

__all__ = [
    "PATCHED",
    "Activation",
    "Cancel",
    "Causes",
    "Completed",
    "Ended",
    "Failed",
    "Named",
    "Stored",
    "Trouble",
    "failure_of",
    "signal_step",
]

Trouble = tuple[Failure, BaseException]
"""A failure and the live exception behind it."""


# shared by all activations without steps; whoever has one gets a dict of its own
_NO_STEPS: dict[str, Any] = {}


PATCHED = "patched:"
"""Begins the names of the steps that keep what `ctx.patched` said."""


def signal_step(signal: str, number: int) -> str:
    """The step under which an activation keeps what its n-th wait for a signal got."""
    return f"signal:{signal}@{number}"


class Stored:
    """The output of a durable step as the log refers to it, until node code asks for it with its type."""

    __slots__ = ("ref",)

    def __init__(self, ref: Any) -> None:
        self.ref = ref


class Named(dict[str, Any]):
    """An input bound by parameter name: what a join into several parameters carries."""


class Causes(dict[tuple[int, tuple[int, ...], bool], Failure]):
    """The failures behind a skipped edge, by place: (node, iteration, whether the loop of this header failed)."""


class Activation:
    """One firing of a node. The machine's command to start is the activation itself.

    `index` is the item's position in a map, None for anything else; `map` is set on the map's own activation,
    `child` on a graph node's, `steps` has its durable steps; `spent` counts the attempts before an unhandled
    failure that the run has gone on from; `held`, `slot`, `away` and `task` are the driver's.
    `dead` means that nobody waits for the result any more: it is refused and not logged.
    """

    __slots__ = (
        "attempt",
        "away",
        "cancelling",
        "child",
        "dead",
        "held",
        "index",
        "input",
        "iteration",
        "map",
        "node",
        "owner",
        "scope",
        "slot",
        "spent",
        "steps",
        "task",
        "view",
    )

    def __init__(
        self, scope: Scope, node: int, iteration: tuple[int, ...], index: int | None, input: Any, view: View | None
    ) -> None:
        self.scope = scope
        self.node = node
        self.iteration = iteration
        self.index = index
        self.input = input
        self.view = view
        self.attempt = 1
        self.spent = 0
        self.dead = False
        self.cancelling = False
        self.held = False
        self.slot = False
        self.away = 0
        self.child: Scope | None = None
        self.map: MapRun | None = None
        self.owner: Activation | None = None
        self.task: Any = None
        self.steps: dict[str, Any] = _NO_STEPS

    def stepped(self, key: str, value: Any) -> None:
        """A durable step of this activation finished; it is kept over attempts and resumes."""
        if self.steps is _NO_STEPS:
            self.steps = {}
        self.steps[key] = value

    def next_signal(self, signal: str) -> str:
        """The step under which the next signal of this name is kept; the n-th wait for it gets the n-th."""
        number = 1
        while signal_step(signal, number) in self.steps:
            number += 1
        return signal_step(signal, number)

    @property
    def tries(self) -> int:
        """Which attempt this is of those that its retry policy allows: going on after a failure begins anew."""
        return self.attempt - self.spent

    @property
    def name(self) -> str:
        """The node's own name."""
        return self.scope.plan.names[self.node]

    @property
    def key(self) -> str:
        """The activation key, unique in the run; see `loomgraph.events`."""
        if self.node == self.scope.plan.end:  # a user's node may be called END, so END is spelt as no node can be
            return f"{self.scope.path}/#END" if self.scope.path else "#END"
        return activation_key(self.scope.path, self.name, self.iteration, self.index)

    @property
    def path(self) -> str:
        """The node's path: escaped names with '/'."""
        outer = self.scope.node_path
        return f"{outer}/{escape(self.name)}" if outer else escape(self.name)

    @property
    def parent(self) -> str | None:
        """The enclosing activation's key: of the map an item belongs to, or of the node whose graph this is in."""
        if self.owner is not None:
            return self.owner.key
        return self.scope.parent.key if self.scope.parent is not None else None

    def __repr__(self) -> str:
        return f"<activation {self.key}>"


class Cancel:
    """Command: stop this attempt; answer with `Machine.cancelled` (which ignores the dead)."""

    __slots__ = ("activation",)

    def __init__(self, activation: Activation) -> None:
        self.activation = activation


class Completed:
    """Command: a map or graph node has its value; choose the edges and answer with `Machine.succeeded`."""

    __slots__ = ("activation", "value")

    def __init__(self, activation: Activation, value: Any) -> None:
        self.activation, self.value = activation, value


class Failed:
    """Command: a map or graph node failed, or the engine refused one; route it and answer with `Machine.failed`."""

    __slots__ = ("activation", "troubles")

    def __init__(self, activation: Activation, troubles: list[Trouble]) -> None:
        self.activation, self.troubles = activation, troubles


class Ended:
    """Command: the run's own scope, or one opened by ctx.run, has ended."""

    __slots__ = ("scope",)

    def __init__(self, scope: Scope) -> None:
        self.scope = scope


def failure_of(activation: Activation, error: BaseException) -> Failure:
    """An exception as the value that handlers and the log get."""
    if isinstance(error, RecordedError):  # what it was is known by name only
        return Failure(activation.path, activation.key, activation.attempt, error.failure.error, error.failure.message)
    # a failed ctx.run says it in one line here; its own message has the details
    message = getattr(error, "summary", None) or _said(error) or type(error).__name__
    return Failure(activation.path, activation.key, activation.attempt, type(error).__name__, redact(message))


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # the user's own __str__; the failure must be told all the same
        return f"<{type(error).__name__} whose str raised {type(broken).__name__}>"
