"""What a condition leaves of a type: union members taken whole, in part or not at all. Looks at types, never at values.

A condition on a type takes what `isinstance` says, one on a literal what is equal and of the same class.
"""

from __future__ import annotations

import enum
import typing
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal

from loomgraph.compile.shapes import is_union, literal, literal_value, members, open_alias, origin_args, union
from loomgraph.compile.types import apart, descendants, disjoint, fits_unconverted, is_data, is_plain
from loomgraph.graph.condition import Condition
from loomgraph.graph.signature import describe_type

__all__ = ["Match", "Remaining", "Split", "literal_label", "matches", "may_be", "narrow"]

Match = Literal["all", "some", "none"]
_FEW = 8  # types that are compared one by one


def matches(member: Any, condition: Condition) -> tuple[Match, Any]:
    """Which values of one union member a condition on a type takes, and their type."""
    value = literal_value(member)
    if value is not None:
        return ("all", member) if condition.matches(value[0]) else ("none", typing.Never)
    subject = open_alias(condition.subject)
    if member is int and subject is int:
        return "all", member  # bools, which `int` takes too and the condition does not, are not what it is written for
    return _match_type(member, subject)


def may_be(member: Any, value: Any) -> bool:
    """Whether one value can be of a union member that is no literal, as its class tells."""
    kind = value.__class__
    return member is Any or member is kind or fits_unconverted(kind, member)


def _match_type(member: Any, subject: Any) -> tuple[Match, Any]:
    if is_plain(member) and is_plain(subject):
        if subject in member.__mro__:
            # int annotates bools too, and a condition on int does not take those
            return ("some", member) if subject is int else ("all", member)
        return ("none", typing.Never) if apart(member, subject) else ("some", subject)
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


class Split:
    """How conditions divide the members of a type among them; the conditions go by keys of the caller's.

    `members` are what a value can be, `open` the places of those that are no literals. `takes` has, for each condition
    on a type, what it takes: (place of the member, all of it or some, the type of that). Literal conditions are looked
    up instead, since there may be thousands of them.
    """

    __slots__ = ("conditions", "members", "open", "source", "takes", "values")

    def __init__(self, source: Any, conditions: Mapping[int, Condition]) -> None:
        self.source = source
        self.conditions = conditions
        self.members = members(source)
        self.values: dict[Any, int] = {}
        self.open: list[int] = []
        for place, member in enumerate(self.members):
            value = literal_value(member)
            if value is None:
                self.open.append(place)
            else:
                self.values[value[0].__class__, value[0]] = place
        kin = _Kin([self.members[place] for place in self.open])
        self.takes: dict[int, list[tuple[int, Match, Any]]] = {}
        for key, condition in conditions.items():
            if condition.kind == "type":
                self.takes[key] = self._taken(condition, kin)

    def _taken(self, condition: Condition, kin: _Kin) -> list[tuple[int, Match, Any]]:
        found: list[tuple[int, Match, Any]] = []
        for place in (*self.values.values(), *(self.open[near] for near in kin.near(condition.subject))):
            match, tp = matches(self.members[place], condition)
            if match != "none":
                found.append((place, match, tp))
        return found

    def by_member(self) -> list[list[tuple[int, Match]]]:
        """For each member, the conditions on types that take it, in order."""
        found: list[list[tuple[int, Match]]] = [[] for _ in self.members]
        for key, taken in self.takes.items():
            for place, match, _ in taken:
                found[place].append((key, match))
        return found

    def coverage(self, keys: AbstractSet[int] | None = None) -> tuple[list[str], list[str]]:
        """The members that no condition takes, and those that conditions may take only in part; of all, or of some."""
        conditions = [tested for key, tested in self.conditions.items() if keys is None or key in keys]
        if any(condition.kind in ("predicate", "otherwise") for condition in conditions):
            return [], []
        literals = [condition for condition in conditions if condition.kind == "literal"]
        named = {self.values.get(_value_key(condition), -1) for condition in literals}
        missed: list[str] = []
        partial: list[str] = []
        for place, (member, tests) in enumerate(zip(self.members, self.by_member(), strict=True)):
            taken = [(key, match) for key, match in tests if keys is None or key in keys]
            if place in named or any(match == "all" for _, match in taken):
                continue
            value = literal_value(member)
            in_part = taken or (value is None and any(may_be(member, condition.subject) for condition in literals))
            text = describe_type(member) if value is None else literal_label(value[0])
            (partial if in_part else missed).append(text)
        return missed, partial


class _Kin:
    """Types, to be asked which of them may share a value with another: comparing all with all takes too long."""

    __slots__ = ("by_class", "others", "types")

    def __init__(self, types: Sequence[Any]) -> None:
        self.types = types
        self.by_class: dict[Any, list[int]] = {}
        self.others: list[int] = []
        if len(types) > _FEW:
            for position, tp in enumerate(types):
                if is_plain(tp) and is_data(tp):
                    self.by_class.setdefault(tp, []).append(position)
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
    """What is left of a split type while conditions take their shares of it, one by one."""

    __slots__ = ("gone", "split")

    def __init__(self, split: Split) -> None:
        self.split = split
        self.gone: set[int] = set()

    def share(self, key: int) -> Any:
        """The type of the values that a condition takes from what is left; Never if none."""
        split, condition = self.split, self.split.conditions[key]
        if condition.kind in ("predicate", "otherwise"):
            return self.rest()
        if condition.kind == "type":
            return union([tp for place, _, tp in split.takes[key] if place not in self.gone])
        place = split.values.get(_value_key(condition), -1)
        kept = [split.members[place]] if place >= 0 and place not in self.gone else []
        if any(may_be(split.members[place], condition.subject) for place in split.open if place not in self.gone):
            kept.append(literal(condition.subject))
        return union(kept)

    def drop(self, key: int) -> None:
        """Take away what a condition takes for certain."""
        condition = self.split.conditions[key]
        if condition.kind == "type":
            self.gone.update(place for place, match, _ in self.split.takes[key] if match == "all")
        elif condition.kind == "literal":
            place = self.split.values.get(_value_key(condition), -1)
            if place >= 0:
                self.gone.add(place)

    def rest(self) -> Any:
        """The type of what is left."""
        if not self.gone:
            return self.split.source
        places = (*self.split.values.values(), *self.split.open)
        return union([self.split.members[place] for place in places if place not in self.gone])


def narrow(source: Any, before: Iterable[Condition], condition: Condition | None) -> Any:
    """The type that an edge with `condition` carries out of a node that gives `source`.

    `before` are the conditions that did not match: those of earlier arms of the same route, or for OTHERWISE all
    others of its group. Never, if nothing is left.
    """
    if condition is None:
        return source
    conditions = dict(enumerate([*before, condition]))
    left = Remaining(Split(source, conditions))
    for key in range(len(conditions) - 1):
        left.drop(key)
    return left.share(len(conditions) - 1)


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
