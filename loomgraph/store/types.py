"""Which types can be stored, and how a program registers its own. Makes what writes and reads a type; stores nothing.

pydantic knows datetime, date, time, timedelta, Decimal, Enum, dataclasses, bytes, Path, UUID, sets, tuples, NamedTuple,
TypedDict, models and more. Registered classes are found wherever they are declared: at the top, inside containers and
unions, and as fields of models and dataclasses. Arrays of numpy and frames of pandas are registered by themselves, once
such a type is used.
"""

from __future__ import annotations

import functools
import sys
import types
import typing
from base64 import b64decode, b64encode
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, Final, TypeVar, cast

import typing_extensions
from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import CoreSchema, SchemaSerializer, SchemaValidator, core_schema

from loomgraph.errors import DefinitionError
from loomgraph.store.forms import CONFIG, Written, rewrite

__all__ = ["Form", "TypeRegistry", "register"]

T = TypeVar("T")

# the package that a class is from -> the module that has `written(cls)` for its classes
_LATE: Final = {"numpy": "loomgraph.store.arrays", "pandas": "loomgraph.store.frames"}
_FORMS: Final = 4096
_UNKNOWN: Final[Any] = object()
_BUILTIN: Final[dict[type, Written]] = {
    bytearray: (lambda value: b64encode(value).decode(), lambda text: bytearray(b64decode(text, validate=True))),
    range: (lambda value: [value.start, value.stop, value.step], lambda parts: range(*parts)),
}


class Form:
    """Writes values of one type as JSON text and reads them back."""

    __slots__ = ("_serializer", "_validator")

    def __init__(self, schema: Any) -> None:
        self._serializer = SchemaSerializer(schema, CONFIG)
        self._validator = SchemaValidator(schema, cast("Any", {**CONFIG, "strict": True}))

    def dump(self, value: Any) -> bytes:
        """The value as JSON. Raises what pydantic, or a registered `dump`, raises."""
        return self._serializer.to_json(value, warnings=False)

    def load(self, text: bytes) -> Any:
        """The value that JSON stands for. Raises what pydantic, or a registered `load`, raises."""
        return self._validator.validate_json(text)


class TypeRegistry:
    """Which classes are written as what. What does not read back equal is refused by the codec, at the write."""

    def __init__(self) -> None:
        self._known: dict[type, Written] = dict(_BUILTIN)
        # what was found out about classes that nobody registered
        self._late: dict[type, Written | None] = {}
        self._forms: dict[Any, Form] = {}
        self._outside: dict[Any, Form] = {}

    @classmethod
    def default(cls) -> TypeRegistry:
        """The registry that `register` fills; shared by every store of the process."""
        return _DEFAULT

    def register(self, kind: type[T], dump: Callable[[T], Any], load: Callable[[Any], T]) -> None:
        """Write values of class `kind` as the JSON data that `dump` returns; `load` makes them again.

        `dump` must say all there is to a value: two values of the class are the same if it gives the same for both.
        `load` raises ValueError for data that it does not understand. Raises DefinitionError if `kind` is not a class.
        """
        if not isinstance(kind, type):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"register takes a class, not {kind!r}: register(Point, dump, load).")
        self._known[kind] = (dump, load)
        self._forms.clear()
        self._outside.clear()

    def find(self, cls: type) -> Written | None:
        """How a class is written if it is registered, else None."""
        known = self._known.get(cls, _UNKNOWN)
        if known is _UNKNOWN:
            if len(self._late) >= _FORMS:
                self._late.clear()
            known = self._late.get(cls, _UNKNOWN)
        if known is _UNKNOWN:
            module = _LATE.get(getattr(cls, "__module__", "").partition(".")[0])
            known = self._late[cls] = None if module is None else import_module(module).written(cls)
        return cast("Written | None", known)

    def form(self, tp: Any) -> Form:
        """What writes and reads a type. Raises PydanticUserError and its kinds for a type that has no JSON form."""
        return self._made(tp, self._forms, outside=False)

    def outside(self, tp: Any) -> Form:
        """What reads the JSON that people and other programs write: by pydantic's rules, with aliases, strictly."""
        return self._made(tp, self._outside, outside=True)

    def _made(self, tp: Any, made: dict[Any, Form], *, outside: bool) -> Form:
        try:
            known = made.get(tp)
        except TypeError:  # unhashable metadata
            return self._make(tp, outside=outside)
        if known is None:
            if len(made) >= _FORMS:
                made.clear()
            known = made[tp] = self._make(tp, outside=outside)
        return known

    def _make(self, tp: Any, *, outside: bool) -> Form:
        return Form(rewrite(_schema(self._written(tp)), self.find, outside=outside))

    def _written(self, tp: Any) -> Any:
        """The type with what pydantic cannot read replaced: generic aliases of registered classes, and TypedDicts."""
        origin = typing.get_origin(tp)
        for cls in (tp, origin):
            if isinstance(cls, type) and self.find(cls) is not None:
                return Annotated[cls, _Opaque(cls)]
        if sys.version_info < (3, 12) and typing.is_typeddict(tp):
            return self._typed_dict(tp)
        args = typing.get_args(tp)
        if not args or origin is typing.Literal:
            return tp
        if origin is Annotated:
            return Annotated[(self._written(args[0]), *args[1:])]
        inner = tuple(self._written(arg) for arg in args)
        if inner == args:
            return tp
        if origin in (types.UnionType, typing.Union):
            return functools.reduce(lambda a, b: a | b, inner)
        alias: Any = origin
        return alias[inner]

    def _typed_dict(self, tp: Any) -> Any:
        """The same TypedDict as pydantic wants it before Python 3.12."""
        hints = typing_extensions.get_type_hints(tp, include_extras=True)
        # an annotation that is text does not tell the class which of its keys are required
        fields: dict[str, Any] = {}
        for name, hint in hints.items():
            required, left_out = _said(hint)
            needed = required or (name in tp.__required_keys__ and not left_out)
            mark: Any = typing_extensions.Required if needed else typing_extensions.NotRequired
            fields[name] = mark[self._written(_bare(hint))]
        make: Any = typing_extensions.TypedDict
        return make(tp.__name__, fields)


class _Opaque:
    """Keeps pydantic from looking into a registered class, of which it may have ideas of its own."""

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.is_instance_schema(self._cls)


def _said(hint: Any) -> tuple[bool, bool]:
    """Whether a key is said to be required, and whether it is said not to be."""
    origin: Any = typing.get_origin(hint)
    return origin is typing_extensions.Required, origin is typing_extensions.NotRequired


def _bare(hint: Any) -> Any:
    while any(_said(hint)):
        hint = typing.get_args(hint)[0]
    return hint


def _schema(tp: Any) -> Any:
    config: Any = {**CONFIG, "arbitrary_types_allowed": True}
    try:
        return TypeAdapter(tp, config=config).core_schema
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
    # a model or dataclass refuses a configuration from outside; what holds it does not
    several: Any = list
    schema: Any = TypeAdapter(several[tp], config=config).core_schema
    if schema["type"] == "definitions":
        return {**schema, "schema": schema["schema"]["items_schema"]}
    return schema["items_schema"]


_DEFAULT = TypeRegistry()


def register(kind: type[T], dump: Callable[[T], Any], load: Callable[[Any], T]) -> None:
    """Tell every store of this process how values of a class are written: see `TypeRegistry.register`."""
    _DEFAULT.register(kind, dump, load)
