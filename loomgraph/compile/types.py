"""Which types fit where: assignability, and whether two types can share a value. Looks at types, never at values.

As typing has it, with two differences. Containers are covariant, because a value that travels along an edge is
copied. And Any is allowed on both sides, at any depth: what it turns out to be is checked when the node has run.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel

from loomgraph.compile.shapes import (
    args_as,
    is_protocol,
    is_typed_dict,
    is_union,
    members,
    missing_attributes,
    open_alias,
    origin_args,
)
from loomgraph.graph.signature import EMPTY

__all__ = ["admits_none", "apart", "assignable", "descendants", "disjoint", "fits_unconverted", "is_data", "is_plain"]

_LITERAL: Any = type(Literal[0])
_CACHE: dict[tuple[Any, Any], bool] = {}
_CACHE_SIZE = 10_000
_PROMOTIONS: dict[type, tuple[type, ...]] = {int: (float, complex), bool: (float, complex), float: (complex,)}
# no class can derive from one of these and from something unrelated
_FINAL: frozenset[Any] = frozenset({types.NoneType, bool, range, slice, types.FunctionType})


def assignable(source: Any, target: Any) -> bool:
    """Whether every value of `source` is a value of `target`, as far as types can tell; True where they cannot."""
    if source is target or target is Any or target is object or source is Any or source is EMPTY:
        return True
    if type(source) is _LITERAL and isinstance(target, type):
        return all(assignable(value.__class__, target) for value in source.__args__)
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


def fits_unconverted(source: Any, target: Any) -> bool:
    """`assignable` to the letter: an int is no float, which a condition on float does not take."""
    return _fits(source, target, False, ())


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
    return len(source) == len(target) and all(_fits(a, b, promote, under) for a, b in zip(source, target, strict=True))


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
    if one is None or other is None:
        return False
    return not (is_protocol(one) or is_protocol(other)) and apart(one, other)


def apart(one: type, other: type) -> bool:
    """`disjoint` for classes that are no Protocols."""
    if _related(one, other):
        return False
    if _is_final(one) or _is_final(other):
        return True
    if not (is_data(one) and is_data(other)):
        return False
    return not type.__subclasses__(one) or all(other not in sub.__mro__ for sub in descendants(one))


def _class_of(tp: Any) -> Any:
    """The class of a type's values; None if it has none."""
    if is_plain(tp):
        return tp
    if isinstance(tp, typing.NewType):
        return _class_of(open_alias(tp.__supertype__))
    if typing.get_origin(tp) is Literal:
        value: Any = typing.get_args(tp)[0]
        return value.__class__
    origin: Any = dict if is_typed_dict(tp) else origin_args(tp)[0]
    return origin if isinstance(origin, type) else None


def _related(a: Any, b: Any) -> bool:
    if b in a.__mro__ or a in b.__mro__:
        return True
    try:
        # register() makes relatives of abstract classes; nobody calls it on data, and asking takes long
        return (not is_data(b) and issubclass(a, b)) or (not is_data(a) and issubclass(b, a))
    except TypeError:  # a Protocol with data members
        return True


def is_plain(tp: Any) -> bool:
    """Whether a type is a class of which `isinstance` says all: no Protocol, TypedDict or parametrised model."""
    return isinstance(tp, type) and _is_plain_class(tp)


@functools.lru_cache(maxsize=20_000)
def _is_plain_class(tp: Any) -> bool:
    return tp is not EMPTY and not origin_args(tp)[1] and not is_typed_dict(tp) and not is_protocol(tp)


@functools.lru_cache(maxsize=20_000)
def is_data(tp: Any) -> bool:
    """Whether a class is a model, a dataclass, an enum or a builtin: one that is seldom mixed with another."""
    if issubclass(tp, (BaseModel, enum.Enum)) or dataclasses.is_dataclass(tp):
        return True
    return tp.__module__ == "builtins" or tp.__module__ in ("datetime", "decimal", "uuid", "fractions", "pathlib")


@functools.lru_cache(maxsize=20_000)
def _is_final(tp: type) -> bool:
    return tp in _FINAL or hasattr(tp, "__final__")


def descendants(tp: type) -> Iterator[type[Any]]:
    """A class and every class there is by now that derives from it."""
    work: list[type[Any]] = [tp]
    seen = {tp}
    while work:
        found = work.pop()
        yield found
        for sub in type.__subclasses__(found):
            if sub not in seen:
                seen.add(sub)
                work.append(sub)
