"""One firing of one node, as the machine hands it out. Holds no code and starts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loomgraph.errors import Failure
from loomgraph.events import activation_key, escape

if TYPE_CHECKING:  # an activation points to its scope, and a scope keeps its activations
    from loomgraph.engine.maps import MapRun
    from loomgraph.engine.scope import Scope
    from loomgraph.engine.state import View

__all__ = ["Activation", "Cancel", "Completed", "Ended", "Failed", "Named", "Trouble"]

Trouble = tuple[Failure, BaseException]
"""A failure and the live exception behind it."""


class Named(dict[str, Any]):
    """An input bound by parameter name: what a join into several parameters carries."""


class Activation:
    """One firing of a node. The machine's command to start is the activation itself.

    `index` is the item's position in a map, None for anything else; `map` is set on the map's own activation,
    `child` on a graph node's; `held`, `slot` and `task` are the driver's. `dead` means that nobody waits for the
    result any more: it is refused and not logged.
    """

    __slots__ = (
        "attempt",
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
        self.dead = False
        self.cancelling = False
        self.held = False
        self.slot = False
        self.child: Scope | None = None
        self.map: MapRun | None = None
        self.owner: Activation | None = None
        self.task: Any = None

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
