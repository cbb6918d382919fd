"""What a call reads and writes, as resource keys, and so which calls may not overlap. Does not know what a key names.

Hazards order calls that touch the same key, unless all of them only read it. A tool that says nothing writes
everything; one that is read-only and names no key reads everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

from pydantic_core import to_json

__all__ = ["EVERYTHING", "NOTHING", "Footprint", "Hazards", "Keys", "Resources", "footprint_keys"]

Resources: TypeAlias = str | Sequence[str] | Callable[[Mapping[str, Any]], Iterable[str]] | None
"""Argument names whose values are resource keys, or a function of the arguments that gives the keys."""

Keys: TypeAlias = frozenset[str] | None
"""Resource keys; None stands for every key there is."""

EVERYTHING: Final[Keys] = None
NOTHING: Final[Keys] = frozenset()


@dataclass(frozen=True, slots=True)
class Footprint:
    """The keys that one call reads and writes."""

    reads: Keys
    writes: Keys

    def covers(self, other: Footprint) -> bool:
        """Whether the other touches nothing that this one does not touch in the same way."""
        return _within(other.reads, self.reads) and _within(other.writes, self.writes)


def footprint_keys(resources: Resources, arguments: Mapping[str, Any]) -> Keys:
    """The keys that a declaration comes to for these arguments. An argument that is left out names no key."""
    if resources is None:
        return NOTHING
    if callable(resources):
        return frozenset(resources(arguments))
    wanted = [resources] if isinstance(resources, str) else resources
    found: set[str] = set()
    for name in wanted:
        value = arguments.get(name)
        if isinstance(value, (list, tuple)):
            items = cast(Iterable[Any], value)
            found.update(_key(item) for item in items)
        elif value is not None:
            found.add(_key(value))
    return frozenset(found)


def _within(inner: Keys, outer: Keys) -> bool:
    return outer is None or (inner is not None and inner <= outer)


def _key(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value).decode()


@dataclass(slots=True)
class Hazards:
    """Calls in their order, one after the other; says which earlier ones each has to wait for."""

    _all_writer: int | None = None
    _touched: list[int] = field(default_factory=list[int])
    _all_readers: list[int] = field(default_factory=list[int])
    _writer: dict[str, int] = field(default_factory=dict[str, int])
    _readers: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def add(self, call: int, footprint: Footprint) -> set[int]:
        """The earlier calls that `call` may not overlap with."""
        reads, writes = footprint.reads, footprint.writes
        if reads == NOTHING and writes == NOTHING:
            return set()
        after: set[int] = set()
        if self._all_writer is not None:
            after.add(self._all_writer)
        if writes is None:
            after.update(self._touched)
            self._all_writer = call
            self._touched, self._all_readers, self._writer, self._readers = [], [], {}, {}
            return after
        if reads is None:
            after.update(self._writer.values())
            self._all_readers.append(call)
        for key in reads or ():
            if key in self._writer:
                after.add(self._writer[key])
            self._readers.setdefault(key, []).append(call)
        if writes:
            after.update(self._all_readers)
        for key in writes:
            if key in self._writer:
                after.add(self._writer[key])
            after.update(self._readers.pop(key, ()))
            self._writer[key] = call
        self._touched.append(call)
        after.discard(call)
        return after
