"""Types whose values are stored, of as many kinds as there are, and strategies for types with their values."""

from __future__ import annotations

import dataclasses
import enum
import math
import typing
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, Generic, NamedTuple, NotRequired, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel, computed_field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

BERLIN = ZoneInfo("Europe/Berlin")
T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Options(TypedDict):
    name: str
    until: NotRequired[datetime]


class Standard(typing.TypedDict, total=False):
    """As the standard library has it, which pydantic does not take before Python 3.12."""

    at: typing.Required[datetime]
    inner: Options


class Billing(BaseModel):
    text: str


class Technical(BaseModel):
    text: str


class Refund(Billing):
    amount: int = 0


class Case(BaseModel):
    """Everything about a model that its own JSON would lose."""

    at: datetime
    key: bytes = b"\xff\x00"
    ratio: float = math.nan
    secret: str = Field(default="s", exclude=True)
    long_name: int = Field(default=1, alias="longName")
    subject: Billing | Technical | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return 2 * self.long_name


class Open(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    ids: frozenset[int] = frozenset()


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


class Box(BaseModel, Generic[T]):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    item: T


class Dates(RootModel[list[date]]):
    pass


class Private(BaseModel):
    value: int
    _seen: int = PrivateAttr(0)


@dataclasses.dataclass
class Record:
    at: datetime
    data: bytes = b"\xfe"
    subject: Billing | Technical | None = None
    size: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        self.size = len(self.data)


@dataclasses.dataclass(frozen=True, slots=True)
class Spot:
    row: int
    column: int


@pydantic_dataclass
class Checked:
    at: datetime
    subject: Billing | Technical


class Plain:
    """A class that pydantic knows nothing of and that has no equality."""

    def __init__(self, name: str) -> None:
        self.name = name


class Holder(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    plain: Plain


# ---------------------------------------------------------------------- strategies

_ZONES = st.one_of(
    st.none(),
    st.just(UTC),
    st.just(BERLIN),
    st.timezones(),
    st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    type(None): st.none(),
    bool: st.booleans(),
    int: st.integers() | st.integers(-(10**400), 10**400),
    float: st.floats() | st.integers(-(10**30), 10**30),
    complex: st.complex_numbers(),
    str: _TEXT,
    bytes: st.binary(max_size=20),
    bytearray: st.binary(max_size=20).map(bytearray),
    datetime: st.datetimes(timezones=_ZONES),
    date: st.dates(),
    time: st.times(timezones=_ZONES),
    timedelta: st.timedeltas(),
    Decimal: st.decimals(),
    UUID: st.uuids(),
    Path: _TEXT.map(Path),
    PurePosixPath: _TEXT.map(PurePosixPath),
    Color: st.sampled_from(Color),
    Level: st.sampled_from(Level),
    Right: st.sampled_from([Right.READ, Right.READ | Right.WRITE, Right(0)]),
    Spot: st.builds(Spot, st.integers(), st.integers()),
    Point: st.builds(Point, st.integers(), st.floats()),
    Billing: st.builds(Billing, text=_TEXT),
    Technical: st.builds(Technical, text=_TEXT),
    Record: st.builds(Record, st.datetimes(timezones=_ZONES), st.binary(max_size=5)),
    Options: st.fixed_dictionaries({"name": _TEXT}, optional={"until": st.datetimes(timezones=_ZONES)}),
    Case: st.builds(
        lambda at, subject, chosen: Case(at=at, subject=subject, **chosen),
        st.datetimes(timezones=_ZONES),
        st.none() | st.builds(Billing, text=_TEXT) | st.builds(Technical, text=_TEXT),
        st.fixed_dictionaries(
            {}, optional={"key": st.binary(), "ratio": st.floats(), "secret": _TEXT, "longName": st.integers()}
        ),
    ),
    Open: st.builds(lambda extra: Open(**extra), st.dictionaries(st.sampled_from("abc"), st.integers())),
}
HASHABLE = [int, str, bytes, bool, date, timedelta, UUID, Color, Spot, datetime, Path, tuple[int, str]]
SCALARS[tuple[int, str]] = st.tuples(st.integers(), _TEXT)

Typed = tuple[Any, st.SearchStrategy[Any]]


def _list(inner: Typed) -> Typed:
    return list[inner[0]], st.lists(inner[1], max_size=12)  # type: ignore[name-defined]


def _tuple(inner: tuple[Typed, Typed]) -> Typed:
    (a, x), (b, y) = inner
    return tuple[a, b], st.tuples(x, y)


def _optional(inner: Typed) -> Typed:
    return inner[0] | None, st.none() | inner[1]


def _dict(inner: tuple[Any, Typed]) -> Typed:
    key, (tp, values) = inner
    return dict[key, tp], st.dictionaries(SCALARS[key], values, max_size=4)


def _set(key: Any) -> Typed:
    return set[key], st.sets(SCALARS[key], max_size=4)


def _box(inner: Typed) -> Typed:
    boxed = Box[inner[0]]  # type: ignore[name-defined]
    return boxed, inner[1].map(lambda item: boxed.model_construct(item=item))


def _union(inner: list[Any]) -> Typed:
    tp: Any = inner[0]
    for other in inner[1:]:
        tp = tp | other
    return tp, st.one_of([SCALARS[member] for member in inner])


_LEAVES = st.sampled_from(list(SCALARS.items()))
TYPES: st.SearchStrategy[Typed] = st.recursive(
    _LEAVES | st.sampled_from(HASHABLE).map(_set),
    lambda inner: st.one_of(
        inner.map(_list),
        inner.map(_optional),
        st.tuples(inner, inner).map(_tuple),
        st.tuples(st.sampled_from(HASHABLE), inner).map(_dict),
        inner.map(_box),
    ),
    max_leaves=4,
)
UNIONS = st.lists(
    st.sampled_from([t for t in SCALARS if isinstance(t, type)]), min_size=2, max_size=4, unique=True
).map(_union)
"""A type, and a strategy for its values; every one of them can be stored."""
