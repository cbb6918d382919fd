"""Whether two values are the same value: equal, of the same classes, all the way down. Compares; converts nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

__all__ = ["same"]

_ATOMS = frozenset({int, str, bool, bytes, type(None)})


def same(a: Any, b: Any, path: str = "it") -> str | None:
    """None if the two are the same; else where and how they differ, in words."""
    if type(a) is not type(b):
        return f"{path} is a {type(a).__name__} and reads back as a {type(b).__name__}"
    if type(a) in _ATOMS:
        return None if a == b else f"{path} is {a!r:.60} and reads back as {b!r:.60}"
    if isinstance(a, (list, tuple)):
        return _sequences(a, b, path)
    if isinstance(a, Mapping):
        return _mappings(a, b, path)
    if isinstance(a, BaseModel):
        return _models(a, b, path)
    if dataclasses.is_dataclass(a):
        fields = [field.name for field in dataclasses.fields(a)]
        return _attributes(a, b, fields, path)
    if isinstance(a, float) and math.isnan(a) and math.isnan(b):
        return None  # not a number, and still not one
    return None if _equal(a, b) else f"{path} is {a!r:.60} and reads back as {b!r:.60}"


def _sequences(a: Any, b: Any, path: str) -> str | None:
    if len(a) != len(b):
        return f"{path} has {len(a)} items and reads back with {len(b)}"
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        if type(x) in _ATOMS and type(x) is type(y) and x == y:
            continue
        found = same(x, y, f"{path}[{i}]")
        if found is not None:
            return found
    return None


def _mappings(a: Any, b: Any, path: str) -> str | None:
    if len(a) != len(b):
        return f"{path} has {len(a)} keys and reads back with {len(b)}"
    for (k, x), (q, y) in zip(a.items(), b.items(), strict=True):
        found = same(k, q, f"a key of {path}") or same(x, y, f"{path}[{k!r:.40}]")
        if found is not None:
            return found
    return None


def _models(a: BaseModel, b: BaseModel, path: str) -> str | None:
    found = _attributes(a, b, list(type(a).model_fields), path)
    if found is None and (a.__pydantic_extra__ or b.__pydantic_extra__):
        found = same(a.__pydantic_extra__ or {}, b.__pydantic_extra__ or {}, f"what {path} has besides its fields")
    if found is None and a.__pydantic_private__ and a.__pydantic_private__ != b.__pydantic_private__:
        found = f"private attributes of {path} do not read back"
    return found


def _attributes(a: Any, b: Any, names: list[str], path: str) -> str | None:
    for name in names:
        found = same(getattr(a, name), getattr(b, name), f"{path}.{name}")
        if found is not None:
            return found
    return None


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b)
    except Exception:  # arrays and the like compare item by item
        return bool(repr(a) == repr(b))
