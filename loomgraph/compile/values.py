"""Whether a value IS of a type, without converting anything: the check behind every node's output.

Made once a type. Scalars and plain classes are a comparison of classes; containers go through a pydantic-core schema
of instance checks, so that no validator of the user's runs and nothing is coerced. Iterators are not consumed.
"""

from __future__ import annotations

import collections.abc
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator, core_schema

from loomgraph.compile.shapes import (
    is_protocol,
    is_typed_dict,
    is_union,
    missing_attributes,
    open_alias,
    origin_args,
)
from loomgraph.graph.signature import EMPTY, describe_type

__all__ = ["ANYTHING", "Check", "validator"]

Check: TypeAlias = Callable[[Any], "str | None"]
"""None for a value of the type, else a short reason."""

_CACHE: dict[Any, Check] = {}
_CACHE_SIZE = 10_000
_CALLABLE: Any = collections.abc.Callable
_NUMBERS: dict[Any, tuple[type, ...]] = {float: (float, int), complex: (complex, float, int)}


def ANYTHING(value: Any) -> str | None:  # noqa: N802 -- a constant that happens to be a function
    """The check of Any: everything passes."""
    return None


def validator(tp: Any) -> Check:
    """A check that answers None for a value of `tp`, else a short reason; it converts nothing and never raises.

    Sub-classes pass, `int` passes as `float` and `bool` as `int`, as in typing. A Protocol is checked by its members'
    names. The constraints of `Annotated[int, Gt(0)]` are checked, once the value is an `int`.
    """
    try:
        known = _CACHE.get(tp)
    except TypeError:  # unhashable metadata
        return _make(tp)
    if known is None:
        if len(_CACHE) >= _CACHE_SIZE:
            _CACHE.clear()
        known = _CACHE[tp] = _make(tp)
    return known


def _make(tp: Any) -> Check:
    constraints = _constraints(tp)
    if constraints is not None:
        return constraints
    opened = open_alias(tp)
    if opened is Any or tp is EMPTY:
        return ANYTHING
    if opened is types.NoneType:
        return lambda value: None if value is None else _not_a(value, "None")
    if isinstance(opened, typing.NewType):
        return validator(opened.__supertype__)
    if typing.get_origin(opened) is Literal:
        return _literal(typing.get_args(opened))
    if isinstance(opened, type) and not is_typed_dict(opened) and origin_args(opened)[1] == ():
        if is_protocol(opened):
            return _protocol(opened)
        return _instance(opened)
    return _by_schema(opened)


def _instance(tp: type) -> Check:
    kinds: Any = _NUMBERS.get(tp, tp)
    name = describe_type(tp)

    def check(value: Any) -> str | None:
        if type(value) is tp or isinstance(value, kinds):
            return None
        return _not_a(value, name)

    return check


def _protocol(tp: Any) -> Check:
    def check(value: Any) -> str | None:
        missing = [name for name in missing_attributes(type(value), tp) if not hasattr(value, name)]
        return f"it has no {missing[0]!r}, which {tp.__name__} asks for" if missing else None

    return check


def _by_schema(tp: Any) -> Check:
    schema = SchemaValidator(_schema(tp, 0))

    def check(value: Any) -> str | None:
        # a failing value is validated twice, so that a passing one costs no exception
        if schema.isinstance_python(value):
            return None
        try:
            schema.validate_python(value)
        except ValidationError as error:
            return _reason(error)
        return None

    return check


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    # the labels of union arms are pydantic's, not the user's
    where = "".join(f"[{part!r}]" for part in first["loc"] if not str(part).startswith("~"))
    message = first["msg"] if first["type"] == "type" else first["msg"][:1].lower() + first["msg"][1:]
    return f"at {where}: {message}" if where else message


def _not_a(value: Any, expected: str) -> str:
    return f"its type is {'None' if value is None else type(value).__name__}, not {expected}"


def _constraints(tp: Any) -> Check | None:
    """The check of an Annotated type whose metadata pydantic understands; only ever asked about the right class."""
    if typing.get_origin(tp) is not typing.Annotated:
        return None
    base, *metadata = typing.get_args(tp)
    known = [m for m in metadata if type(m).__module__.partition(".")[0] in ("annotated_types", "pydantic")]
    known = [m for m in known if not hasattr(m, "__get_pydantic_core_schema__")]
    inner = validator(base)
    if not known:
        return inner
    try:
        subject: Any = typing.Annotated[(base, *known)]
        adapter: TypeAdapter[Any] = TypeAdapter(subject)
    except Exception:  # a class pydantic knows nothing of
        return inner

    def check(value: Any) -> str | None:
        reason = inner(value)
        if reason is not None:
            return reason
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            return _reason(error)
        return None

    return check


def _schema(tp: Any, depth: int) -> CoreSchema:
    """The instance checks of an opened or unopened type as a schema; a recursive alias is cut off at some depth."""
    if _constraints(tp) is not None or isinstance(tp, typing.NewType):
        return _asking(validator(tp))
    tp = open_alias(tp)
    if tp is Any or depth > 8:
        return core_schema.any_schema()
    if tp is types.NoneType:
        return core_schema.none_schema()
    if is_union(tp):
        arms = [_schema(arm, depth + 1) for arm in typing.get_args(tp)]
        labelled: list[CoreSchema | tuple[CoreSchema, str]] = [(arm, f"~{i}") for i, arm in enumerate(arms)]
        return core_schema.union_schema(
            labelled,
            mode="left_to_right",
            custom_error_type="type",
            custom_error_message="{reason}",
            custom_error_context={"reason": f"it should be {describe_type(tp)}"},
        )
    if typing.get_origin(tp) is Literal:
        return _asking(_literal(typing.get_args(tp)))
    if is_typed_dict(tp):
        return _typed_dict(tp, depth)
    origin, args = origin_args(tp)
    if isinstance(origin, type) and args:
        return _container(origin, args, tp, depth)
    return _asking(validator(tp)) if is_protocol(tp) else _class(tp)


def _class(tp: Any) -> CoreSchema:
    if not isinstance(tp, type):
        return core_schema.any_schema()
    kinds: Any = _NUMBERS.get(tp, tp)
    return core_schema.is_instance_schema(kinds, cls_repr=describe_type(tp))


def _container(origin: Any, args: tuple[Any, ...], tp: Any, depth: int) -> CoreSchema:
    def inner(position: int) -> CoreSchema:
        return _schema(args[position], depth + 1)

    if origin is list:
        return core_schema.list_schema(inner(0), strict=True)
    if origin is dict:
        return core_schema.dict_schema(inner(0), inner(1), strict=True)
    if origin is set:
        return core_schema.set_schema(inner(0), strict=True)
    if origin is frozenset:
        return core_schema.frozenset_schema(inner(0), strict=True)
    if origin is tuple:
        if args[-1] is Ellipsis:
            return core_schema.tuple_schema([inner(0)], variadic_item_index=0, strict=True)
        return core_schema.tuple_schema([_schema(arg, depth + 1) for arg in args], strict=True)
    if origin is type:
        return _asking(_subclass(args[0]))
    if origin is _CALLABLE:
        return core_schema.callable_schema()
    if issubclass(origin, BaseModel):
        return _asking(_generic_model(tp, origin))
    if issubclass(origin, collections.abc.Mapping) and len(args) == 2:
        return _asking(_mapping(origin, SchemaValidator(inner(0)), SchemaValidator(inner(1))))
    if issubclass(origin, collections.abc.Collection) and len(args) == 1:
        return _asking(_collection(origin, SchemaValidator(inner(0))))
    return _class(origin)


def _asking(check: Check) -> CoreSchema:
    def ask(value: Any) -> Any:
        reason = check(value)
        if reason is not None:
            raise PydanticCustomError("type", "{reason}", {"reason": reason})
        return value

    return core_schema.no_info_plain_validator_function(ask)


def _literal(values: tuple[Any, ...]) -> Check:
    # with the class, because 1 == True == 1.0
    allowed = {(value.__class__, value) for value in values}

    def check(value: Any) -> str | None:
        try:
            if (value.__class__, value) in allowed:
                return None
        except TypeError:  # what cannot be hashed is no literal
            pass
        return f"it should be {' or '.join(map(repr, values))}"

    return check


def _subclass(wanted: Any) -> Check:
    wanted = open_alias(wanted)

    def check(value: Any) -> str | None:
        if not isinstance(value, type):
            return _not_a(value, "a class")
        fits = not isinstance(wanted, type) or is_protocol(wanted) or issubclass(value, wanted)
        return None if fits else f"{value.__name__} does not derive from {describe_type(wanted)}"

    return check


def _generic_model(tp: Any, origin: type[BaseModel]) -> Check:
    """A parametrised model: an instance of it, or of the bare model with fields that fit."""
    fields = {name: validator(info.annotation) for name, info in tp.model_fields.items()}

    def check(value: Any) -> str | None:
        if isinstance(value, tp):
            return None
        if not isinstance(value, origin):
            return _not_a(value, describe_type(tp))
        for name, inside in fields.items():
            reason = inside(getattr(value, name, None))
            if reason is not None:
                return f"field '{name}': {reason}"
        return None

    return check


def _mapping(origin: Any, keys: SchemaValidator, values: SchemaValidator) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, origin):
            return _not_a(value, origin.__name__)
        for key, item in value.items():
            if not keys.isinstance_python(key):
                return f"its key {key!r:.80} is of type {type(key).__name__}"
            if not values.isinstance_python(item):
                return f"at [{key!r:.80}]: {type(item).__name__} is not what it should hold"
        return None

    return check


def _collection(origin: Any, items: SchemaValidator) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, origin):
            return _not_a(value, origin.__name__)
        for position, item in enumerate(value):
            if not items.isinstance_python(item):
                return f"at [{position}]: {type(item).__name__} is not what it should hold"
        return None

    return check


def _typed_dict(tp: Any, depth: int) -> CoreSchema:
    hints = typing.get_type_hints(tp, include_extras=True)
    fields = {
        key: core_schema.typed_dict_field(_schema(hint, depth + 1), required=key in tp.__required_keys__)
        for key, hint in hints.items()
    }
    # a TypedDict may hold more than it declares: a sub-type's keys
    return core_schema.typed_dict_schema(fields, strict=True, extra_behavior="allow")
