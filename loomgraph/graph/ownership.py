"""A value of one's own: what a node is handed shares nothing mutable with anybody else's.

Scalars pass as they are, and so do tuples and frozen pydantic models that hold nothing else; lists, dicts, other tuples
and models are copied here; anything else by `copy.deepcopy`. Sub-classes survive. What cannot be copied is refused.
"""

from __future__ import annotations

import copy
import enum
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from operator import is_not
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, NoneType
from typing import Any, TypeVar, cast
from uuid import UUID

from pydantic import BaseModel

from loomgraph.errors import CopyRefusedError, Failure

__all__ = ["own"]

T = TypeVar("T")

_ATOMS: frozenset[type] = frozenset(
    {
        *(int, float, bool, str, bytes, complex, NoneType, type, range, FunctionType, BuiltinFunctionType),
        *(date, datetime, time, timedelta, Decimal, Fraction, UUID, Failure),
    }
)


def own(value: T) -> T:
    """A copy of `value` that shares nothing mutable with it; the value itself where it is immutable.

    Raises CopyRefusedError, naming the type, for what cannot be copied (locks, sockets, clients).
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    try:
        return cast(T, _copy(value, kind))
    except RecursionError:  # something that contains itself, which deepcopy's memo knows how to follow
        return cast(T, _deep(value))


def _own(value: Any) -> Any:
    """`own`, inside a value: running out of stack is for the outermost call to mend, as only it has the stack."""
    return value if type(value) in _ATOMS else _copy(value, type(value))


def _deep(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception as error:
        raise CopyRefusedError(value, str(error) or type(error).__name__) from error


def _copy_model(value: BaseModel) -> BaseModel:
    """What `deepcopy` makes of a model, several times faster: conversations are lists of these."""
    kind = type(value)
    given = value.__dict__
    extra = value.__pydantic_extra__
    if kind.model_config.get("frozen") and not extra:
        changed = {
            name: mine
            for name, item in given.items()
            if type(item) not in _ATOMS and (mine := _copy(item, type(item))) is not item
        }
        if not changed:
            return value
        fields = given | changed
    else:
        fields = {name: item if type(item) in _ATOMS else _own(item) for name, item in given.items()}
    copied = kind.__new__(kind)
    object.__setattr__(copied, "__dict__", fields)
    object.__setattr__(copied, "__pydantic_extra__", _own(extra))
    object.__setattr__(copied, "__pydantic_fields_set__", set(value.__pydantic_fields_set__))
    object.__setattr__(copied, "__pydantic_private__", _own(value.__pydantic_private__))
    return copied


def _copy(value: Any, kind: Any) -> Any:
    copied: Any
    if kind is list:
        copied = [item if type(item) in _ATOMS else _copy(item, type(item)) for item in value]
        return copied
    if kind is dict:
        copied = {_own(key): _own(item) for key, item in value.items()}
        return copied
    if kind is tuple:
        copied = tuple([item if type(item) in _ATOMS else _copy(item, type(item)) for item in value])
        return copied if any(map(is_not, copied, value)) else value
    if isinstance(value, BaseModel):
        if kind.__deepcopy__ is BaseModel.__deepcopy__ and not value.__pydantic_private__:
            return _copy_model(value)
    elif isinstance(value, (enum.Enum, PurePath)):
        return value
    return _deep(value)
