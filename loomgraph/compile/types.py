"""Which types fit where: assignability, union members, what a condition leaves. Looks at types, never at values.

As typing has it, with two differences. Containers are covariant, because a value that travels along an edge is
copied. And Any is allowed on both sides, at any depth: what it turns out to be is checked when the node has run.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from loomgraph.compile.shapes import (
    args_as,
    is_protocol,
    is_typed_dict,
    is_union,
    literal,
    literal_value,
    members,
    missing_attributes,
    open_alias,
    origin_args,
    union,
)
from loomgraph.compile.values import validator
from loomgraph.graph.condition import Condition
from loomgraph.graph.signature import EMPTY, describe_type

__all__ = [
    "Match",
    "Remaining",
    "admits_none",
    "assignable",
    "coverage",
    "disjoint",
    "literal_label",
    "matches",
    "may_be",
    "members",
    "narrow",
    "takes_whole",
    "unhandled",
    "validator",
]

_CACHE: dict[tuple[Any, Any], bool] = {}
_CACHE_SIZE = 10_000
_PROMOTIONS: dict[type, tuple[type, ...]] = {int: (float, complex), bool: (float, complex), float: (complex,)}
# no class can derive from one of these and from something unrelated
_FINAL: frozenset[Any] = frozenset({types.NoneType, bool, range, slice, types.FunctionType})

Match = Literal["all", "some", "none"]


def assignable(source: Any, target: Any) -> bool:
    """Whether every value of `source` is a value of `target`, as far as types can tell; True where they cannot."""
    if source is target or target is Any or target is object or source is Any or source is EMPTY:
        return True
    try:
        known = _CACHE.get((source, target))
    except TypeError:  # metadata or a literal that cannot be hashed
        return _fits(source, target, True, ())
    if known is None:
        known = _fits(source, target, True, ())
        if len(_CACHE) >= _CACHE_SIZE:
            _CACHE.clear()
        _CACHE[source, target] = known
    return known


def admits_none(tp: Any) -> bool:
    """Whether None is a value of the type; Any admits it."""
    return assignable(types.NoneType, tp)


def _fits(source: Any, target: Any, promote: bool, under: tuple[tuple[Any, Any], ...]) -> bool:
    source, target = open_alias(source), open_alias(target)
    if target is Any or source is Any or source is target or source is typing.Never:
        return True
    if target is typing.Never:
        return False
    if (source, target) in under:  # a recursive alias: true as long as nothing else says no
        return True
    deeper = (*under, (source, target)) if len(under) < 50 else under
    if is_union(source):
        return all(_fits(arm, target, promote, deeper) for arm in typing.get_args(source))
    if is_union(target) and any(_fits(source, arm, promote, deeper) for arm in typing.get_args(target)):
        return True
    values = members(source) if source is bool or isinstance(source, enum.EnumMeta) else (source,)
    if values not in ((), (source,)) and (is_union(target) or typing.get_origin(target) is Literal):
        return all(_fits(value, target, promote, deeper) for value in values)
    if is_union(target):
        return False
    return _fits_arm(source, target, promote, deeper)


def _fits_arm(source: Any, target: Any, promote: bool, under: tuple[tuple[Any, Any], ...]) -> bool:
    """`_fits` where neither is a union."""
    if typing.get_origin(source) is Literal:
        return all(_literal_fits(value, target, promote, under) for value in typing.get_args(source))
    if typing.get_origin(target) is Literal:
        return source is types.NoneType and None in typing.get_args(target)
    if isinstance(target, typing.NewType):
        return isinstance(source, typing.NewType) and _fits(source.__supertype__, target, promote, under)
    if isinstance(source, typing.NewType):
        return _fits(source.__supertype__, target, promote, under)
    if is_typed_dict(target) or is_typed_dict(source):
        return _typed_dict_fits(source, target, promote, under)
    kind, wanted = origin_args(source)[0], origin_args(target)[0]
    if not isinstance(kind, type) or not isinstance(wanted, type):
        return _ask_beartype(source, target)
    if not _class_fits(kind, wanted, promote):
        return False
    return _arguments_fit(source, target, wanted, promote, under)


def _literal_fits(value: Any, target: Any, promote: bool, under: tuple[tuple[Any, Any], ...]) -> bool:
    if typing.get_origin(target) is Literal:
        return any(type(value) is type(arm) and value == arm for arm in typing.get_args(target))
    return not isinstance(target, typing.NewType) and _fits_arm(type(value), target, promote, under)


def _class_fits(kind: type, wanted: type, promote: bool) -> bool:
    if promote and wanted in _PROMOTIONS.get(kind, ()):
        return True
    try:
        if issubclass(kind, wanted):
            return True
    except TypeError:  # a Protocol with data members, or one that is not runtime_checkable
        pass
    return is_protocol(wanted) and not missing_attributes(kind, wanted)


def _arguments_fit(source: Any, target: Any, wanted: type, promote: bool, under: tuple[tuple[Any, Any], ...]) -> bool:
    args = origin_args(target)[1]
    if not args:
        return True
    if wanted is tuple and origin_args(source)[0] is tuple:
        return _tuple_fits(origin_args(source)[1], args, promote, under)
    if wanted is type or not all(_is_plain(arg) for arg in args):
        return _ask_beartype(source, target)
    given = args_as(source, wanted)
    if not given:
        return True  # a bare container holds anything
    if len(given) != len(args):
        return _ask_beartype(source, target)
    return all(_fits(a, b, promote, under) for a, b in zip(given, args, strict=True))


def _is_plain(arg: Any) -> bool:
    return arg is not Ellipsis and not isinstance(arg, (list, typing.ParamSpec))


def _tuple_fits(
    source: tuple[Any, ...], target: tuple[Any, ...], promote: bool, under: tuple[tuple[Any, Any], ...]
) -> bool:
    if not source or source[-1] is Ellipsis:
        # of unknown length: only fits where the length is free
        item = source[0] if source else Any
        return not source or (target[-1] is Ellipsis and _fits(item, target[0], promote, under))
    if target[-1] is Ellipsis:
        return all(_fits(item, target[0], promote, under) for item in source)
    return len(source) == len(target) and all(
        _fits(a, b, promote, under) for a, b in zip(source, target, strict=True)
    )


def _typed_dict_fits(source: Any, target: Any, promote: bool, under: tuple[tuple[Any, Any], ...]) -> bool:
    if not is_typed_dict(target):
        origin, args = origin_args(target)
        if not (isinstance(origin, type) and issubclass(dict, origin)):
            return False
        return len(args) < 2 or (_fits(str, args[0], promote, under) and open_alias(args[1]) is Any)
    if not is_typed_dict(source):
        return False
    have, want = typing.get_type_hints(source), typing.get_type_hints(target)
    if not target.__required_keys__ <= source.__required_keys__:
        return False
    return all(key in have and _fits(have[key], tp, promote, under) for key, tp in want.items())


def _ask_beartype(source: Any, target: Any) -> bool:
    """Callables, `type[...]` and the rarer forms. What beartype does not know is left to the run."""
    from beartype.door import is_subhint  # 0.1 s to import, and seldom needed

    try:
        return bool(is_subhint(source, target))
    except Exception:  # beartype raises its own tree, and TypeError and others for strange types
        return True


def disjoint(a: Any, b: Any) -> bool:
    """Whether no value can be of both types, as far as that is certain.

    Two unrelated data classes (models, dataclasses, enums, builtins) count as disjoint unless a class that derives
    from both exists; two unrelated plain or abstract classes may always meet in a class yet to be written.
    """
    a, b = open_alias(a), open_alias(b)
    if a is Any or b is Any or is_union(a) or is_union(b):
        return False
    one, other = _class_of(a), _class_of(b)
    if one is None or other is None or _related(one, other):
        return False
    if is_protocol(one) or is_protocol(other):
        return False
    if one in _FINAL or other in _FINAL or hasattr(one, "__final__") or hasattr(other, "__final__"):
        return True
    return _is_data(one) and _is_data(other) and not _common_subclass(one, other)


def _class_of(tp: Any) -> Any:
    """The class of a type's values; None if it has none."""
    if isinstance(tp, typing.NewType):
        return _class_of(open_alias(tp.__supertype__))
    if typing.get_origin(tp) is Literal:
        value: Any = typing.get_args(tp)[0]
        return value.__class__
    origin: Any = dict if is_typed_dict(tp) else origin_args(tp)[0]
    return origin if isinstance(origin, type) else None


def _related(a: Any, b: Any) -> bool:
    try:
        return issubclass(a, b) or issubclass(b, a)
    except TypeError:  # a Protocol with data members
        return True


def _is_data(tp: Any) -> bool:
    if issubclass(tp, (BaseModel, enum.Enum)) or dataclasses.is_dataclass(tp):
        return True
    return tp.__module__ == "builtins" or tp.__module__ in ("datetime", "decimal", "uuid", "fractions", "pathlib")


def _common_subclass(a: Any, b: Any) -> bool:
    work, seen = [a], {a}
    while work:
        for sub in type.__subclasses__(work.pop()):
            if issubclass(sub, b):
                return True
            if sub not in seen:
                seen.add(sub)
                work.append(sub)
    return False


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
    return member is Any or member is kind or _fits(kind, member, False, ())


def _match_type(member: Any, subject: Any) -> tuple[Match, Any]:
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
    if _fits(member, subject, False, ()) and not _hides_any(member, subject):
        # int annotates bools too, and a condition on int does not take those
        return ("some", member) if subject is int else ("all", member)
    if disjoint(member, subject):
        return "none", typing.Never
    return "some", subject


def _hides_any(member: Any, subject: Any) -> bool:
    """Whether a bare container is compared with one that says what it holds."""
    return bool(origin_args(subject)[1]) and not origin_args(member)[1]


class Remaining:
    """What is left of a type while conditions take their shares of it, one by one."""

    __slots__ = ("open", "shrunk", "source", "values")

    def __init__(self, source: Any) -> None:
        self.source = source
        self.shrunk = False
        self.values: dict[Any, Any] = {}
        self.open: list[Any] = []
        for member in members(source):
            value = literal_value(member)
            if value is None:
                self.open.append(member)
            else:
                self.values[value[0].__class__, value[0]] = member

    def share(self, condition: Condition) -> Any:
        """The type of the values that a type or literal condition takes from what is left; Never if none."""
        kept: list[Any] = []
        key = _value_key(condition)
        if key in self.values:
            kept.append(self.values[key])
        elif condition.kind == "type":
            kept.extend(m for m in self.values.values() if matches(m, condition)[0] == "all")
        kept.extend(tp for match, tp in (matches(m, condition) for m in self.open) if match != "none")
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
            self.open = [m for m in self.open if not takes_whole(m, condition)]
        self.shrunk = self.shrunk or len(self.values) + len(self.open) < before

    def rest(self) -> Any:
        """The type of what is left."""
        return union([*self.values.values(), *self.open]) if self.shrunk else self.source


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
    missed: list[str] = []
    partial: list[str] = []
    for member in members(source):
        value = literal_value(member)
        if value is not None and (type(value[0]), value[0]) in values:
            continue
        found = {matches(member, c)[0] for c in tests}
        if "all" in found or any(takes_whole(member, c) for c in tests):
            continue
        reachable = "some" in found or (value is None and any(matches(member, c)[0] == "some" for c in conditions))
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
