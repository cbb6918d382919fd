"""When JSON alone does not tell of which member of a union a value is, and what tells it then. Rewrites nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

__all__ = ["Tags", "tags_of"]

# the class of a schema's values, and what JSON makes of them; no class, or None, where that depends
_CLASSES: Final[dict[str, tuple[type, str | None]]] = {
    "none": (NoneType, "null"),
    "bool": (bool, "bool"),
    "int": (int, "int"),
    "float": (float, "float"),
    "str": (str, "string"),
    "bytes": (bytes, "string"),
    "date": (date, "string"),
    "datetime": (datetime, "string"),
    "time": (time, "string"),
    "timedelta": (timedelta, "string"),
    "decimal": (Decimal, "string"),
    "uuid": (UUID, "string"),
    "complex": (complex, "string"),
    "list": (list, "array"),
    "tuple": (tuple, "array"),
    "set": (set, "array"),
    "frozenset": (frozenset, "array"),
    "dict": (dict, None),
    "typed-dict": (dict, "object"),
}
_TRANSPARENT: Final = frozenset({"function-after", "function-before", "function-wrap", "default"})
_STRICTER: Final = {"json-or-python": "python_schema", "lax-or-strict": "strict_schema"}


@dataclass(frozen=True, slots=True)
class Tags:
    """The members of a union by name, and the class that each one's values have."""

    names: tuple[str, ...]
    classes: tuple[type[Any], ...]

    def pair(self, value: Any) -> tuple[str, Any]:
        """The member that a value belongs to, and the value. Raises ValueError if it belongs to none."""
        for name, cls in zip(self.names, self.classes, strict=True):
            if type(value) is cls:
                return name, value
        for name, cls in zip(self.names, self.classes, strict=True):
            # a Path is never just a Path; a sub-class of a model would lose its own fields
            if isinstance(value, cls) and not issubclass(cls, BaseModel) and not is_dataclass(cls):
                return name, value
        raise ValueError(f"a {type(value).__name__} is none of {', '.join(self.names)}")


def tags_of(choices: Sequence[dict[str, Any]], registered: Callable[[type], object | None]) -> Tags | None:
    """Names for the members, if JSON could take a value of one for another's; None if it cannot, or nothing helps."""
    known = [_class_of(choice) for choice in choices]
    classes = [cls for cls, _ in known if cls is not None]
    kinds = [None if cls is None or registered(cls) is not None else kind for cls, kind in known]
    if None not in kinds and len(set(kinds)) == len(kinds):
        return None
    if len(classes) < len(choices) or len(set(classes)) < len(classes):
        return None
    names = _names(classes)
    return Tags(names, tuple(classes)) if len(set(names)) == len(names) else None


def _class_of(schema: dict[str, Any]) -> tuple[type[Any] | None, str | None]:
    kind = schema["type"]
    while kind in _TRANSPARENT or kind in _STRICTER:
        schema = schema[_STRICTER.get(kind, "schema")]
        kind = schema["type"]
    match kind:
        case "model" | "dataclass":
            return schema["cls"], None if schema.get("root_model") else "object"
        case "enum" | "is-instance" if isinstance(schema["cls"], type):
            return schema["cls"], None
        case "literal":
            found: set[type[Any]] = {value.__class__ for value in schema["expected"]}
            cls = found.pop() if len(found) == 1 else None
            return cls, "string" if cls is str else None
        case _:
            return _CLASSES.get(kind, (None, None))


def _names(classes: Sequence[type]) -> tuple[str, ...]:
    short = [cls.__name__ for cls in classes]
    return tuple(
        name if short.count(name) == 1 else f"{cls.__module__}.{cls.__qualname__}"
        for name, cls in zip(short, classes, strict=True)
    )
