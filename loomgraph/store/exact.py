"""Whether two values are the same value: equal, of the same classes, all the way down. Compares; converts nothing."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import datetime, time, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias

from pydantic import BaseModel
from pydantic_core import TzInfo

__all__ = ["Dump", "same"]

Dump: TypeAlias = "Callable[[type], Callable[[Any], Any] | None]"
"""How a registered class is written; two of its values are the same if they are written the same."""

_ATOMS = frozenset({int, str, bool, bytes, type(None)})


# whose classes say of their values that they are equal only where they are
_STANDARD = frozenset({"datetime", "decimal", "fractions", "ipaddress", "pathlib", "uuid", "zoneinfo"})


def same(a: Any, b: Any, path: str = "it", dump: Dump = lambda cls: None, *, wary: bool = False) -> str | None:
    """None if the two are the same; else where and how they differ, in words.

    `wary` says that nobody has compared what they are written as: then a class that says itself when its values are
    equal is not believed.
    """
    return _Comparison(dump, wary).same(a, b, path)


class _Comparison:
    def __init__(self, dump: Dump, wary: bool) -> None:
        self._dump = dump
        self._wary = wary

    def same(self, a: object, b: object, path: str) -> str | None:
        kind = type(a)
        if kind is not type(b):
            return f"{path} is a {kind.__name__} and reads back as a {type(b).__name__}"
        if kind in _ATOMS:
            return None if a == b else _differ(a, b, path)
        if kind is list or kind is tuple:
            return self._sequences(a, b, path)
        if kind is dict:
            return self._mappings(a, b, path)
        dump = self._dump(kind)
        if dump is not None:
            return None if _equal(dump(a), dump(b)) else _differ(a, b, path)
        if isinstance(a, BaseModel):
            return self._models(a, b, path)
        if dataclasses.is_dataclass(a):
            return self._attributes(a, b, [field.name for field in dataclasses.fields(a)], path)
        found = self._contents(a, b, path)
        if found is None and hasattr(a, "__dict__") and isinstance(a, (list, tuple, dict, set, frozenset, str, bytes)):
            found = self.same(vars(a), vars(b), f"what {path} has besides its items")
        return found

    def _contents(self, a: Any, b: Any, path: str) -> str | None:
        match a:
            case list() | tuple() | deque():
                return self._sequences(a, b, path)
            case Mapping():
                return self._mappings(a, b, path)
            case set() | frozenset():
                return self._sets(a, b, path)
            case float():
                return _floats(a, b, path)
            case datetime() | time():
                return _moments(a, b, path)
            case Decimal():
                # equal numbers may be written with more or fewer digits
                return None if str(a) == str(b) else _differ(a, b, path)
            case complex():
                return _floats(a.real, b.real, path) or _floats(a.imag, b.imag, path)
            case _:
                if self._wary and not isinstance(a, Enum) and type(a).__module__ not in _STANDARD:
                    return f"{path} may be another one"
                return None if _equal(a, b) else _differ(a, b, path)

    def _sequences(self, a: Any, b: Any, path: str) -> str | None:
        if len(a) != len(b):
            return f"{path} has {len(a)} items and reads back with {len(b)}"
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            if type(x) in _ATOMS and type(x) is type(y) and x == y:
                continue
            found = self.same(x, y, f"{path}[{i}]")
            if found is not None:
                return found
        if isinstance(a, deque) and a.maxlen != b.maxlen:
            return f"the maxlen of {path} does not read back"
        return None

    def _mappings(self, a: Any, b: Any, path: str) -> str | None:
        if len(a) != len(b):
            return f"{path} has {len(a)} keys and reads back with {len(b)}"
        for (k, x), (q, y) in zip(a.items(), b.items(), strict=True):
            found = self.same(k, q, f"a key of {path}") or self.same(x, y, f"{path}[{k!r:.40}]")
            if found is not None:
                return found
        if isinstance(a, defaultdict) and a.default_factory is not b.default_factory:
            return f"the default_factory of {path} does not read back"
        return None

    def _sets(self, a: Any, b: Any, path: str) -> str | None:
        if len(a) != len(b):
            return f"{path} has {len(a)} items and reads back with {len(b)}"
        others = {item: item for item in b}
        for item in a:
            # what is not a number equals nothing, not even itself
            if item not in others:
                return f"{item!r:.60} of {path} does not read back"
            found = self.same(item, others[item], f"an item of {path}")
            if found is not None:
                return found
        return None

    def _models(self, a: BaseModel, b: Any, path: str) -> str | None:
        mine, other, found = a.__dict__, b.__dict__, None
        for name in type(a).__pydantic_fields__:
            x, y = mine.get(name, _MISSING), other.get(name, _MISSING)
            if type(x) in _ATOMS and type(x) is type(y) and x == y:
                continue
            found = found or self.same(x, y, f"{path}.{name}")
        if found is None and (a.__pydantic_extra__ or b.__pydantic_extra__):
            found = self.same(
                a.__pydantic_extra__ or {}, b.__pydantic_extra__ or {}, f"what {path} has besides its fields"
            )
        if found is None and not _privately_equal(a.__pydantic_private__, b.__pydantic_private__):
            found = f"private attributes of {path} do not read back"
        if (
            found is None
            and a.__pydantic_fields_set__ != b.__pydantic_fields_set__
            and not type(a).__pydantic_root_model__
        ):
            found = f"which fields of {path} were set does not read back"
        return found

    def _attributes(self, a: Any, b: Any, names: list[str], path: str) -> str | None:
        for name in names:
            found = self.same(getattr(a, name, _MISSING), getattr(b, name, _MISSING), f"{path}.{name}")
            if found is not None:
                return found
        return None


class _Missing:
    """Stands for an attribute that is not there."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Missing)

    __hash__ = object.__hash__


_MISSING = _Missing()


def _differ(a: Any, b: Any, path: str) -> str:
    return f"{path} is {a!r:.60} and reads back as {b!r:.60}"


def _floats(a: float, b: float, path: str) -> str | None:
    if math.isnan(a) and math.isnan(b):
        return None  # not a number, and still not one
    return None if a == b and math.copysign(1.0, a) == math.copysign(1.0, b) else _differ(a, b, path)


def _moments(a: Any, b: Any, path: str) -> str | None:
    if a.replace(tzinfo=None) != b.replace(tzinfo=None) or a.fold != b.fold or not _zones(a.tzinfo, b.tzinfo):
        return _differ(a, b, path)
    return None


def _zones(a: tzinfo | None, b: tzinfo | None) -> bool:
    """Whether two zones are one. Offsets that pydantic read and offsets of the standard library are the same thing."""
    if isinstance(a, (TzInfo, timezone)) and isinstance(b, (TzInfo, timezone)):
        named = isinstance(a, timezone) and a.tzname(None) != timezone(a.utcoffset(None)).tzname(None)
        return a.utcoffset(None) == b.utcoffset(None) and (not named or a.tzname(None) == b.tzname(None))
    return type(a) is type(b) and a == b


def _privately_equal(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> bool:
    return not a or _equal(a, b)


def _equal(a: Any, b: Any) -> bool:
    try:
        return (a == b) is True
    except Exception:  # whatever a class's own comparison raises, it has not said yes
        return False
