"""The types that JSON does not know, and how a program registers its own. Builds validators; reads and writes nothing.

pydantic already writes and reads datetime, date, time, timedelta, Decimal, Enum, dataclasses, bytes, Path, UUID, sets
and tuples through their declared types. Registered types are found wherever a type is written out: at the top, and
inside list, dict, tuple, set, Optional and unions. A model's own field of such a type annotates it itself.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, PlainSerializer, PlainValidator, TypeAdapter
from pydantic.errors import PydanticUserError

from loomgraph.errors import DefinitionError

__all__ = ["TypeRegistry", "register"]

T = TypeVar("T")

# bytes as base64, so that any bytes survive; non-finite floats as strings, so that they do too
_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="strings")


class TypeRegistry:
    """Which classes are written as what. Frozen types read back equal, or the codec refuses them at the write."""

    def __init__(self) -> None:
        self._known: dict[type, Any] = {}

    @classmethod
    def default(cls) -> TypeRegistry:
        """The registry that `register` fills; shared by every store of the process."""
        return _DEFAULT

    def register(self, kind: type[T], dump: Callable[[T], Any], load: Callable[[Any], T]) -> None:
        """Write values of class `kind` as the JSON data that `dump` returns; `load` makes them again.

        Raises DefinitionError if `kind` is not a class.
        """
        if not isinstance(kind, type):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"register takes a class, not {kind!r}: register(Point, dump, load).")
        self._known[kind] = Annotated[kind, PlainSerializer(dump), PlainValidator(_loader(kind, load))]

    def adapter(self, tp: Any) -> TypeAdapter[Any]:
        """A validator and serializer of a type, registered classes inside it included."""
        written = self._written(tp)
        try:
            return TypeAdapter(written, config=_CONFIG)
        except PydanticUserError as error:
            if error.code != "type-adapter-config-unused":
                raise DefinitionError(f"{tp!r} has no JSON form: {error}. See loomgraph.register.") from error
            return TypeAdapter(written)  # models and dataclasses bring their own configuration

    def _written(self, tp: Any) -> Any:
        if not self._known:
            return tp
        if isinstance(tp, type) and tp in self._known:
            return self._known[tp]
        args = typing.get_args(tp)
        if not args or typing.get_origin(tp) in (typing.Literal, Annotated):
            return tp
        inner = tuple(self._written(arg) for arg in args)
        if inner == args:
            return tp
        if isinstance(tp, types.UnionType) or typing.get_origin(tp) is typing.Union:
            return functools.reduce(lambda a, b: a | b, inner)
        origin: Any = typing.get_origin(tp)
        return origin[inner]


def _loader(kind: type[T], load: Callable[[Any], T]) -> Callable[[Any], T]:
    def read(value: Any) -> T:
        return value if isinstance(value, kind) else load(value)

    return read


_DEFAULT = TypeRegistry()


def register(kind: type[T], dump: Callable[[T], Any], load: Callable[[Any], T]) -> None:
    """Tell every store of this process how values of a class are written: see `TypeRegistry.register`."""
    _DEFAULT.register(kind, dump, load)
