"""What a node is handed is its own: copies share nothing mutable, keep their class, and locks are refused by name."""

from __future__ import annotations

import dataclasses
import enum
import threading
from collections import OrderedDict, deque
from datetime import date
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, PrivateAttr

from loomgraph.errors import CopyRefusedError
from loomgraph.graph.ownership import own


class Color(enum.Enum):
    RED = 1


class Note(BaseModel):
    text: str = ""
    tags: list[str] = []


class LongNote(Note):
    pages: dict[str, list[int]] = {}


class OpenNote(BaseModel):
    model_config = ConfigDict(extra="allow")


class FrozenNote(BaseModel):
    model_config = ConfigDict(frozen=True)
    tags: list[str]


class PrivateNote(BaseModel):
    _seen: list[str] = PrivateAttr(default_factory=list)


class UnsetPrivateNote(BaseModel):
    _seen: str = PrivateAttr()


@dataclasses.dataclass
class Point:
    xs: list[int]


@dataclasses.dataclass(frozen=True)
class FrozenPoint:
    xs: list[int]


class Names(list[str]):
    pass


@pytest.mark.parametrize(
    "value",
    [
        1,
        1.5,
        True,
        None,
        "a",
        b"a",
        1j,
        range(3),
        len,
        Note,
        date(2026, 1, 1),
        Decimal(1),
        Color.RED,
        PurePosixPath("a"),
    ],
    ids=repr,
)
def test_what_cannot_change_is_passed_as_it_is(value: Any) -> None:
    assert own(value) is value


@pytest.mark.parametrize(
    "value",
    [
        [[1], [2]],
        {"a": [1]},
        {("a", 1): {"b": [1]}},
        ([1], [2]),
        {1, 2},
        deque([[1]]),
        OrderedDict(a=[1]),
        bytearray(b"a"),
        Names(["a"]),
        Point([1]),
        FrozenPoint([1]),
        Note(text="a", tags=["b"]),
        LongNote(text="a", tags=["b"], pages={"c": [1]}),
        OpenNote.model_validate({"more": [1]}),
        FrozenNote(tags=["a"]),
        [Note(tags=["a"]), Point([1])],
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_copy_is_equal_of_the_same_class_and_another_object(value: Any) -> None:
    copied = own(value)
    assert copied == value
    assert type(copied) is type(value)
    assert copied is not value


def test_nothing_mutable_inside_is_shared_at_any_depth() -> None:
    original: Any = {"list": [[1]], "tuple": ([1],), "model": LongNote(pages={"a": [1]}), "point": FrozenPoint([1])}
    copied = own(original)
    copied["list"][0].append(2)
    copied["tuple"][0].append(2)
    copied["model"].pages["a"].append(2)
    copied["point"].xs.append(2)
    assert original == {
        "list": [[1]],
        "tuple": ([1],),
        "model": LongNote(pages={"a": [1]}),
        "point": FrozenPoint([1]),
    }


def test_a_model_s_extra_fields_are_copied() -> None:
    original: Any = OpenNote.model_validate({"more": [1]})
    copied = own(original)
    copied.more.append(2)
    copied.other = 1
    assert original.model_dump() == {"more": [1]}


def test_a_frozen_model_s_lists_are_copied() -> None:
    original = FrozenNote(tags=["a"])
    own(original).tags.append("b")
    assert original.tags == ["a"]


def test_a_model_s_private_attributes_are_copied() -> None:
    original = PrivateNote()
    original._seen.append("a")
    copied = own(original)
    copied._seen.append("b")
    assert (original._seen, copied._seen) == (["a"], ["a", "b"])


def test_a_private_attribute_set_on_a_copy_is_not_set_on_the_original() -> None:
    original = UnsetPrivateNote()
    own(original)._seen = "a"
    assert not hasattr(original, "_seen")


def test_a_model_s_set_of_given_fields_survives_and_is_its_own() -> None:
    original = Note(text="a")
    copied = own(original)
    copied.tags = ["b"]
    assert (original.model_fields_set, copied.model_fields_set) == ({"text"}, {"text", "tags"})


def test_a_list_that_contains_itself_is_copied_into_one_that_contains_itself() -> None:
    original: list[Any] = [1]
    original += [original, original]
    copied = own(original)
    assert copied is not original
    assert copied[0] == 1
    assert copied[1] is copied
    assert copied[2] is copied


def test_a_value_around_one_that_contains_itself_is_copied() -> None:
    inner: dict[str, Any] = {}
    inner["self"] = inner
    copied = own([Point([1]), inner])
    assert copied[1] is not inner
    assert copied[1]["self"] is copied[1]  # pyright: ignore[reportIndexIssue]


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"a": (x,)}], ids=["bare", "list", "deep"])
def test_a_lock_is_refused_by_the_name_of_its_type(wrap: Any) -> None:
    with pytest.raises(CopyRefusedError, match="lock"):
        own(wrap(threading.Lock()))


def test_a_lock_beside_a_list_that_contains_itself_is_refused_too() -> None:
    original: list[Any] = []
    original += [original, threading.Lock()]
    with pytest.raises(CopyRefusedError, match="lock"):
        own(original)


def test_a_model_that_holds_a_lock_is_refused() -> None:
    with pytest.raises(CopyRefusedError, match="lock"):
        own(OpenNote.model_validate({"held": threading.Lock()}))
