"""Which types fit where, what a condition leaves of one, and which values are of a type, converting nothing."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Literal, Optional, Protocol, TypedDict

import pytest
from pydantic import BaseModel

from loomgraph import OTHERWISE
from loomgraph.compile.narrowing import Split, narrow
from loomgraph.compile.types import admits_none, assignable
from loomgraph.compile.values import validator
from loomgraph.graph.condition import condition


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Animal(BaseModel):
    pass


class Dog(Animal):
    pass


class Cat(Animal):
    pass


@dataclass
class Point:
    x: int = 0


class Movie(TypedDict):
    title: str


class Named(Protocol):
    name: str


class Person:
    name: str = "a"


@pytest.mark.parametrize(
    ("source", "target", "fits"),
    [
        (int, int, True),
        (int, str, False),
        (bool, int, True),
        (int, float, True),
        (float, int, False),
        (Dog, Animal, True),
        (Animal, Dog, False),
        (Any, int, True),
        (int, Any, True),
        (int, int | str, True),
        (int | str, int, False),
        (Dog | Cat, Animal, True),
        (None, Optional[int], True),  # noqa: UP045 -- the older spelling is meant
        (None, int, False),
        (list[int], list[float], True),
        (list[str], list[int], False),
        (list, list[int], True),
        (dict[str, Dog], dict[str, Animal], True),
        (tuple[int, int], tuple[int, ...], True),
        (tuple[int, ...], tuple[int, int], False),
        (Literal["a"], str, True),
        (str, Literal["a"], False),
        (Literal["a"], Literal["a", "b"], True),
        (Literal[True], Literal[1], False),
        (Person, Named, True),
        (Animal, Named, False),
        (Movie, dict[str, Any], True),
        (dict[str, str], Movie, False),
    ],
)
def test_a_type_fits_where_all_its_values_do(source: Any, target: Any, fits: bool) -> None:
    assert assignable(source, target) is fits


@pytest.mark.parametrize(("tp", "admits"), [(None, True), (int | None, True), (Any, True), (int, False), (Dog, False)])
def test_none_is_admitted_by(tp: Any, admits: bool) -> None:
    assert admits_none(tp) is admits


@pytest.mark.parametrize(
    ("source", "before", "when", "left"),
    [
        (Dog | Cat, [], Dog, Dog),
        (Dog | Cat, [Dog], OTHERWISE, Cat),
        (int | None, [None], OTHERWISE, int),
        (Literal["a", "b"], [], "a", Literal["a"]),
        (Literal["a", "b", "c"], ["a"], OTHERWISE, Literal["b", "c"]),
        (Color, [Color.RED], OTHERWISE, Literal[Color.BLUE]),
    ],
)
def test_an_edge_carries_what_its_condition_leaves(source: Any, before: list[Any], when: Any, left: Any) -> None:
    earlier = [made for test in before if (made := condition(test)) is not None]
    assert narrow(source, earlier, condition(when)) == left


@pytest.mark.parametrize(
    ("source", "tests", "missed"),
    [
        (Dog | Cat, [Dog], ["Cat"]),
        (Dog | Cat, [Dog, Cat], []),
        (Dog | Cat, [Animal], []),
        (Dog | Cat, [Dog, OTHERWISE], []),
        (Color, [Color.RED], ["Color.BLUE"]),
        (Literal["a", "b"], ["a"], ["'b'"]),
        (bool, [True], ["False"]),
        (int | None, [int], ["None"]),
    ],
)
def test_what_no_condition_takes_is_named(source: Any, tests: list[Any], missed: list[str]) -> None:
    conditions = {key: made for key, test in enumerate(tests) if (made := condition(test)) is not None}
    assert Split(source, conditions).coverage() == (missed, [])


@pytest.mark.parametrize(
    ("tp", "right", "wrong"),
    [
        (int, [1, True], ["1", 1.0, None]),
        (float, [1.0, 1], ["1", None]),
        (bool, [True], [1, "true"]),
        (str, ["a"], [b"a", 1]),
        (None, [None], [0, ""]),
        (Animal, [Animal(), Dog()], [{}, None, Animal]),
        (Point, [Point()], [{"x": 0}]),
        (Color, [Color.RED], [1, "RED"]),
        (list[int], [[], [1]], [["1"], (1,), [None]]),
        (list[Animal], [[Dog()]], [[{}]]),
        (dict[str, int], [{"a": 1}], [{1: 1}, {"a": "1"}]),
        (tuple[int, ...], [(), (1, 2)], [[1], ("1",)]),
        (set[int], [{1}], [[1], {"1"}]),
        (int | str, [1, "a"], [1.5, None]),
        (int | None, [1, None], ["1"]),
        (Literal["a", 1], ["a", 1], [True, "b"]),
        (Movie, [{"title": "a"}, {"title": "a", "year": 1}], [{}, {"title": 1}, "a"]),
        (Named, [Person()], [1]),
        (Any, [1, None, object()], []),
    ],
)
def test_a_value_of_the_type_passes_and_another_gets_a_reason(tp: Any, right: list[Any], wrong: list[Any]) -> None:
    check = validator(tp)
    assert [check(value) for value in right] == [None] * len(right)
    assert all(check(value) for value in wrong)


def test_a_reason_says_where() -> None:
    assert "[1]" in str(validator(list[int])([1, "2"]))
