"""Events and activations as tuples that a notebook shows as tables. Otherwise they are tuples."""

from __future__ import annotations

from typing import Any, SupportsIndex, TypeVar, overload

from loomgraph.runtime.plugs import plug

__all__ = ["ActivationTable", "EventTable", "Table"]

T = TypeVar("T")


class Table(tuple[T, ...]):
    """A tuple that is shown as a table; so is a part of it."""

    __slots__ = ()
    shown_by = ""

    @overload
    def __getitem__(self, place: SupportsIndex) -> T: ...
    @overload
    def __getitem__(self, place: slice[Any, Any, Any]) -> Table[T]: ...
    def __getitem__(self, place: SupportsIndex | slice[Any, Any, Any]) -> Any:
        if isinstance(place, slice):
            return type(self)(self[at] for at in range(*place.indices(len(self))))
        return super().__getitem__(place)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return plug(self.shown_by)(self)


class EventTable(Table[T]):
    """A log."""

    __slots__ = ()
    shown_by = "event_table"


class ActivationTable(Table[T]):
    """Activations."""

    __slots__ = ()
    shown_by = "activation_table"
