"""The shape of a type: aliases opened, origin and arguments, union arms, protocol members. Compares nothing."""

from __future__ import annotations

import collections.abc
import enum
import inspect
import types
import typing
from typing import Any, Literal

import typing_extensions

from loomgraph.graph.signature import EMPTY

__all__ = [
    "args_as",
    "is_protocol",
    "is_typed_dict",
    "is_union",
    "list_of",
    "literal",
    "literal_value",
    "members",
    "missing_attributes",
    "open_alias",
    "origin_args",
    "union",
]

_ALIASES = tuple(
    {t for t in (getattr(typing, "TypeAliasType", None), typing_extensions.TypeAliasType) if isinstance(t, type)}
)
_WRAPPERS: frozenset[Any] = frozenset(
    getattr(module, name)
    for module in (typing, typing_extensions)
    for name in ("ClassVar", "Final", "NotRequired", "ReadOnly", "Required")
    if hasattr(module, name)
)
_ANYTHING = frozenset({EMPTY, Any, object, typing_extensions.Any, typing.Self, typing_extensions.Self})


def open_alias(tp: Any) -> Any:
    """A type without Annotated, aliases and qualifiers; Any for what says nothing (no annotation, a TypeVar)."""
    while True:
        if tp is None:
            return types.NoneType
        if isinstance(tp, type) and tp is not EMPTY:
            return Any if tp is object else tp
        if _says_nothing(tp):
            return Any
        origin = typing.get_origin(tp)
        if origin is typing.Annotated or origin in _WRAPPERS:
            tp = typing.get_args(tp)[0]
        elif isinstance(tp, _ALIASES):
            alias: Any = tp
            tp = alias.__value__
        elif isinstance(origin, _ALIASES):
            tp = _substituted(origin, typing.get_args(tp))
        elif tp is typing.LiteralString:
            return str
        else:
            return typing.Never if tp is typing.NoReturn else tp


def _says_nothing(tp: Any) -> bool:
    # an annotation that could not be resolved is reported by its own finding
    if isinstance(tp, (str, typing.ForwardRef, typing.TypeVar, typing_extensions.TypeVar)):
        return True
    try:
        return tp in _ANYTHING
    except TypeError:  # unhashable metadata
        return False


def _substituted(alias: Any, args: tuple[Any, ...]) -> Any:
    value = alias.__value__
    table = dict(zip(alias.__type_params__, args, strict=False))
    parameters = getattr(value, "__parameters__", ())
    return value[tuple(table.get(p, Any) for p in parameters)] if parameters else value


def is_union(tp: Any) -> bool:
    """Whether a type (opened) is a union."""
    if isinstance(tp, type):
        return False
    origin = typing.get_origin(tp)
    return origin is typing.Union or origin is types.UnionType


def is_typed_dict(tp: Any) -> bool:
    """Whether a type is a TypedDict class."""
    return isinstance(tp, type) and typing_extensions.is_typeddict(tp)


def is_protocol(tp: Any) -> bool:
    """Whether a class is a Protocol of its own, rather than a class that implements one."""
    return isinstance(tp, type) and bool(getattr(tp, "_is_protocol", False))


def missing_attributes(tp: Any, protocol: Any) -> list[str]:
    """The members of a Protocol that a class does not declare; signatures are not compared."""
    declared: set[str] = set()
    for base in getattr(tp, "__mro__", ()):
        declared.update(inspect.get_annotations(base))
    declared.update(getattr(tp, "__pydantic_fields__", ()))
    wanted = typing_extensions.get_protocol_members(protocol)
    return sorted(name for name in wanted if name not in declared and not hasattr(tp, name))


def origin_args(tp: Any) -> tuple[Any, tuple[Any, ...]]:
    """The class and the type arguments of an opened type; a parametrised pydantic model is taken apart too."""
    origin: Any = None if isinstance(tp, type) else typing.get_origin(tp)
    if origin is not None:
        return origin, typing.get_args(tp)
    made: Any = getattr(tp, "__pydantic_generic_metadata__", None)
    return (made["origin"], made["args"]) if made and made["origin"] is not None else (tp, ())


def args_as(tp: Any, base: Any) -> tuple[Any, ...] | None:
    """The arguments a type has when seen as its generic base class; None if they cannot be told."""
    origin, args = origin_args(tp)
    if origin is base:
        return args
    if origin in (str, bytes) and base is not origin:
        return (str,) if origin is str else (int,)
    if origin is tuple and args:
        return (union([a for a in args if a is not Ellipsis]),)
    builtin = getattr(origin, "__module__", "") in ("builtins", "collections", "collections.abc")
    if builtin and args:
        # a mapping seen as a collection is its keys
        return args if _arity(base) == len(args) else args[:1] if _arity(base) == 1 else None
    parameters = getattr(origin, "__parameters__", ())
    table = dict(zip(parameters, args, strict=False))
    for parent in getattr(origin, "__orig_bases__", ()):
        found: Any = typing.get_origin(parent)
        if found not in (None, typing.Generic, typing.Protocol) and _derives(found, base):
            filled = [table.get(arg, Any) if arg in parameters else arg for arg in typing.get_args(parent)]
            return args_as(found[tuple(filled)], base)
    return None


def _derives(tp: Any, base: Any) -> bool:
    try:
        return issubclass(tp, base)
    except TypeError:
        return False


def _arity(base: Any) -> int:
    two = (dict, collections.abc.Mapping, collections.abc.MutableMapping, collections.abc.ItemsView)
    if base in two or (isinstance(base, type) and issubclass(base, dict)):
        return 2
    return 3 if base is collections.abc.Generator else 1


def list_of(item: Any) -> Any:
    """`list[item]`, for an item type made at run time."""
    return types.GenericAlias(list, (item,))


def literal(value: Any) -> Any:
    """The literal type of one value; its class if it cannot be one."""
    if value is None:
        return types.NoneType
    if isinstance(value, (enum.Enum, bool)) or type(value) in (int, str, bytes):
        return Literal[value]
    return _kind(value)


def _kind(value: Any) -> Any:
    return value.__class__


def literal_value(tp: Any) -> tuple[Any] | None:
    """The value of a literal type of one value, in a tuple; None for any other type. NoneType is a literal."""
    if isinstance(tp, type):
        return (None,) if tp is types.NoneType else None
    if typing.get_origin(tp) is Literal:
        args = typing.get_args(tp)
        return (args[0],) if len(args) == 1 else None
    return None


def members(tp: Any) -> tuple[Any, ...]:
    """What a value of the type can be, one by one: union arms, and the values of Literal, Enum and bool."""
    found: list[Any] = []
    _collect(open_alias(tp), found, 0)
    return tuple(dict.fromkeys(found))


def _collect(tp: Any, found: list[Any], depth: int) -> None:
    if isinstance(tp, type):
        if tp is bool:
            found.extend((Literal[True], Literal[False]))
        elif values := _enum_values(tp):
            found.extend(literal(value) for value in values)
        else:
            found.append(tp)
    elif is_union(tp) and depth < 20:  # a recursive alias never ends
        for arm in typing.get_args(tp):
            _collect(open_alias(arm), found, depth + 1)
    elif typing.get_origin(tp) is Literal:
        found.extend(literal(value) for value in typing.get_args(tp))
    elif tp is not typing.Never:
        found.append(tp)


def _enum_values(tp: Any) -> list[Any]:
    """The members of an Enum; none for a Flag, whose values combine, and for anything else."""
    closed = isinstance(tp, enum.EnumMeta) and not issubclass(tp, enum.Flag)
    return list(tp) if closed else []


def union(arms: list[Any]) -> Any:
    """The union of types; Never of none. Complete sets of enum members or of bools become the class again."""
    if len(arms) < 2:
        return arms[0] if arms else typing.Never
    whole: list[Any] = []
    values: dict[Any, list[Any]] = {}
    for arm in arms:
        value = literal_value(arm)
        if value is None or value[0] is None:
            whole.append(arm)
            continue
        kind = _kind(value[0])
        if kind not in values:
            whole.append(kind)
        values.setdefault(kind, []).append(value[0])
    made = [_family(arm, values.pop(arm)) if arm in values else arm for arm in whole]
    return typing.Union[tuple(made)]  # noqa: UP007 -- built at run time


def _family(kind: type, values: list[Any]) -> Any:
    whole = 2 if kind is bool else len(_enum_values(kind))
    return kind if whole and len(set(values)) == whole else Literal[tuple(values)]
