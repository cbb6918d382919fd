"""What a condition leaves of a type: union members taken whole, in part or not at all. Looks at types, never at values.

A condition on a type takes what `isinstance` says, one on a literal what is equal and of the same class.
"""

from __future__ import annotations

import enum
import typing
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from loomgraph.compile.shapes import is_union, literal, literal_value, members, open_alias, origin_args, union
from loomgraph.compile.types import descendants, disjoint, fits_unconverted, is_data, is_plain
from loomgraph.graph.condition import Condition
from loomgraph.graph.signature import describe_type

__all__ = [
    "Kin",
    "Match",
    "Remaining",
    "coverage",
    "literal_label",
    "matches",
    "may_be",
    "narrow",
    "takes_whole",
    "unhandled",
]

Match = Literal["all", "some", "none"]
_FEW = 8  # types that are compared one by one


def matches(member: Any, condition: Condition) -> tuple[Match, Any]:
    """Which values of one union member a type or literal condition takes, and their type."""
    value = literal_value(member)
    if value is not None:
        return ("all", member) if condition.matches(value[0]) else ("none", typing.Never)
    if condition.kind == "literal":
        fits = may_be(member, condition.subject)
        return ("some", literal(condition.subject)) if fits else ("none", typing.Never)
    return _match_type(member, open_alias(condition.subject))


def may_be(member: Any, value: Any) -> bool:
    """Whether one value can be of a union member that is no literal, as its class tells."""
    kind = value.__class__
    return member is Any or member is kind or fits_unconverted(kind, member)


def _match_type(member: Any, subject: Any) -> tuple[Match, Any]:
    if is_plain(member) and is_plain(subject):
        if subject in member.__mro__:
            # int annotates bools too, and a condition on int does not take those
            return ("some", member) if subject is int else ("all", member)
        return ("none", typing.Never) if disjoint(member, subject) else ("some", subject)
    if is_union(subject):
        found = [_match_type(member, open_alias(arm)) for arm in typing.get_args(subject)]
        if any(match == "all" for match, _ in found):
            return "all", member
        kept = [tp for match, tp in found if match == "some"]
        return ("some", union(kept)) if kept else ("none", typing.Never)
    if subject is Any:
        return "all", member
    if member is Any:
        return "some", subject
    if typing.get_origin(subject) is Literal:
        kept = [literal(v) for v in typing.get_args(subject) if may_be(member, v)]
        return ("some", union(kept)) if kept else ("none", typing.Never)
    if fits_unconverted(member, subject) and not _hides_any(member, subject):
        return ("some", member) if subject is int else ("all", member)
    if disjoint(member, subject):
        return "none", typing.Never
    return "some", subject


def _hides_any(member: Any, subject: Any) -> bool:
    """Whether a bare container is compared with one that says what it holds."""
    return bool(origin_args(subject)[1]) and not origin_args(member)[1]


class Kin:
    """Types, to be asked which of them may share a value with another: comparing all with all takes too long."""

    __slots__ = ("by_class", "others", "types")

    def __init__(self, types: Sequence[Any]) -> None:
        self.types = types
        self.by_class: dict[Any, list[int]] = {}
        self.others: list[int] = []
        if len(types) > _FEW:
            for position, tp in enumerate(types):
                opened = open_alias(tp)
                if is_plain(opened) and is_data(opened):
                    self.by_class.setdefault(opened, []).append(position)
                else:
                    self.others.append(position)

    def near(self, tp: Any) -> Iterable[int]:
        """The positions of the types that may share a value with `tp`, in order; the others certainly share none."""
        tp = open_alias(tp)
        if not self.by_class or not (is_plain(tp) and is_data(tp)):
            return range(len(self.types))
        bases = {base for sub in descendants(tp) for base in sub.__mro__}
        return sorted([*self.others, *(position for base in bases for position in self.by_class.get(base, ()))])


class Remaining:
    """What is left of a type while conditions take their shares of it, one by one."""

    __slots__ = ("kin", "open", "shrunk", "source", "values")

    def __init__(self, source: Any) -> None:
        self.source = source
        self.shrunk = False
        self.values: dict[Any, Any] = {}
        self.open: dict[int, Any] = {}
        for member in members(source):
            value = literal_value(member)
            if value is None:
                self.open[len(self.open)] = member
            else:
                self.values[value[0].__class__, value[0]] = member
        self.kin = Kin(tuple(self.open.values()))

    def share(self, condition: Condition) -> Any:
        """The type of the values that a type or literal condition takes from what is left; Never if none."""
        kept: list[Any] = []
        key = _value_key(condition)
        if key in self.values:
            kept.append(self.values[key])
        elif condition.kind == "type":
            kept.extend(m for m in self.values.values() if matches(m, condition)[0] == "all")
        if condition.kind == "literal":
            if any(may_be(member, condition.subject) for member in self.open.values()):
                kept.append(literal(condition.subject))
            return union(kept)
        for _, member in self._near(condition):
            match, tp = matches(member, condition)
            if match != "none":
                kept.append(tp)
        return union(kept)

    def drop(self, condition: Condition) -> None:
        """Take away what a type or literal condition takes for certain."""
        before = len(self.values) + len(self.open)
        key = _value_key(condition)
        if key in self.values:
            del self.values[key]
        elif condition.kind == "type":
            self.values = {k: m for k, m in self.values.items() if matches(m, condition)[0] != "all"}
        if condition.kind == "type":
            for position, member in self._near(condition):
                if takes_whole(member, condition):
                    del self.open[position]
        self.shrunk = self.shrunk or len(self.values) + len(self.open) < before

    def rest(self) -> Any:
        """The type of what is left."""
        return union([*self.values.values(), *self.open.values()]) if self.shrunk else self.source

    def _near(self, condition: Condition) -> list[tuple[int, Any]]:
        near = self.kin.near(condition.subject)
        return [(position, self.open[position]) for position in near if position in self.open]


def takes_whole(member: Any, condition: Condition) -> bool:
    """Whether a type or literal condition takes every value of a union member, but for what nobody means."""
    if matches(member, condition)[0] == "all":
        return True
    # an int that is not a bool is what somebody means who writes int
    return member is int and condition.kind == "type" and open_alias(condition.subject) is int


def narrow(source: Any, before: Iterable[Condition], condition: Condition | None) -> Any:
    """The type that an edge with `condition` carries out of a node that gives `source`.

    `before` are the conditions that did not match: those of earlier arms of the same route, or for OTHERWISE all
    others of its group. Never, if nothing is left.
    """
    if condition is None:
        return source
    left = Remaining(source)
    for earlier in before:
        left.drop(earlier)
    return left.rest() if condition.kind in ("predicate", "otherwise") else left.share(condition)


def coverage(source: Any, conditions: Sequence[Condition]) -> tuple[list[str], list[str]]:
    """The union members that no condition takes, and those that conditions may take only in part."""
    if any(c.kind in ("predicate", "otherwise") for c in conditions):
        return [], []
    values = {_value_key(c) for c in conditions if c.kind == "literal"}
    tests = [c for c in conditions if c.kind == "type"]
    kin = Kin([c.subject for c in tests])
    missed: list[str] = []
    partial: list[str] = []
    for member in members(source):
        value = literal_value(member)
        if value is not None and (type(value[0]), value[0]) in values:
            continue
        near = [tests[position] for position in kin.near(member)]
        if any(takes_whole(member, c) for c in near):
            continue
        reachable = any(matches(member, c)[0] != "none" for c in near) or (
            value is None and any(may_be(member, c.subject) for c in conditions if c.kind == "literal")
        )
        named = describe_type(member) if value is None else literal_label(value[0])
        (partial if reachable else missed).append(named)
    return missed, partial


def literal_label(value: Any) -> str:
    """A literal as it would be written in `when=`: `Color.RED`, `'yes'`, `None`."""
    return f"{type(value).__name__}.{value.name}" if isinstance(value, enum.Enum) else repr(value)


def _value_key(condition: Condition) -> Any:
    if condition.kind != "literal":
        return None
    try:
        hash(condition.subject)
    except TypeError:
        return None
    return type(condition.subject), condition.subject


def unhandled(source: Any, conditions: Sequence[Condition]) -> list[str]:
    """The union members, as text, that no edge takes; none where a predicate or OTHERWISE may take them."""
    return coverage(source, conditions)[0]
