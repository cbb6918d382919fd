"""The words an edge is written with: START, END, OTHERWISE, and what else may stand where a node is expected.

Sentinels are objects, never strings, so a user may name a node "END" or "start" and mean just that.
"""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeAlias, final, runtime_checkable

__all__ = ["ALWAYS", "END", "END_INDEX", "OTHERWISE", "START", "START_INDEX", "Embeddable", "Ref", "Sentinel"]


@final
class Sentinel:
    """A named constant with identity; compares by identity and survives copying."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def __copy__(self) -> Sentinel:
        return self

    def __deepcopy__(self, memo: object) -> Sentinel:
        return self


START: Final = Sentinel("START")
"""Where a run enters; edges out of START carry the run's input."""
END: Final = Sentinel("END")
"""Where a run's output is taken from."""
OTHERWISE: Final = Sentinel("OTHERWISE")
"""`when=OTHERWISE`: taken when no other conditional edge of the same node matches."""
ALWAYS: Final = Sentinel("ALWAYS")
"""The default of `when`: the edge is unconditional. (None is a literal that matches None.)"""

START_INDEX: Final = -1
END_INDEX: Final = -2

Ref: TypeAlias = int | str
"""A node inside a Definition: its index, START_INDEX, END_INDEX, or a name that nobody declared (yet)."""


@runtime_checkable
class Embeddable(Protocol):
    """Something that can stand where a node is expected and is itself a graph: a compiled Graph, an Agent.

    `__loomgraph_embed__` returns the compiled form (see `loomgraph.graph.definition.Compiled`).
    """

    def __loomgraph_embed__(self) -> Any: ...
