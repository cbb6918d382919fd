"""What `when=` means: a type, a literal, a predicate or OTHERWISE, and which values each of them takes."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NewType, Optional

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from loomgraph import OTHERWISE
from loomgraph.errors import DefinitionError
from loomgraph.graph.condition import condition
from loomgraph.graph.refs import ALWAYS


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Size(enum.IntEnum):
    SMALL = 1


class Animal(BaseModel):
    name: str = ""


class Dog(Animal):
    pass


class Plain:
    pass


@dataclass
class Point:
    x: int = 0


Seconds = NewType("Seconds", int)


class Movie(TypedDict):
    title: str


@pytest.mark.parametrize(
    ("when", "takes", "leaves"),
    [
        (Animal, [Animal(), Dog()], [None, "Animal", Animal]),
        (Dog, [Dog()], [Animal()]),
        (Point, [Point()], [{"x": 0}]),
        (str, ["", "a"], [b"a", 1]),
        (int, [0, 1], [True, False, 1.0, "1"]),
        (bool, [True, False], [0, 1]),
        (float, [1.0], ["1.0"]),
        (Color, [Color.RED, Color.BLUE], [1]),
        (type(None), [None], [0, False]),
        (int | str, [1, "a"], [True, 1.5]),
        (Optional[Dog], [None, Dog()], [Animal()]),  # noqa: UP045 -- the older spelling is meant
        (Literal["a", 1], ["a", 1], ["b", True, 1.0]),
        (Literal[True], [True], [1]),
        (Literal[Color.RED], [Color.RED], [Color.BLUE, 1]),
        (Annotated[int, "seconds"], [1], [True, "1"]),
        (list[int], [[], [1]], [["1"], [True], (1,), 1]),
        (dict[str, int], [{}, {"a": 1}], [{"a": "1"}, {1: 1}]),
        (tuple[int, str], [(1, "a")], [[1, "a"], ("a", 1), (1,)]),
        (list[Dog], [[Dog()]], [[Animal()], [{"name": "a"}]]),
        (list[Plain], [[Plain()], []], [[1]]),
        (list[int] | None, [None, [1]], [["1"]]),
        (Seconds, [1], [True, "1", 1.5]),
        (Movie, [{"title": "a"}], [{"title": 1}, {}, "a"]),
    ],
)
def test_a_type_takes_its_instances_and_converts_nothing(when: Any, takes: list[Any], leaves: list[Any]) -> None:
    made = condition(when)
    assert made is not None
    assert made.kind == "type"
    assert [made.matches(value) for value in takes] == [True] * len(takes)
    assert [made.matches(value) for value in leaves] == [False] * len(leaves)


@pytest.mark.parametrize(
    ("when", "leaves"),
    [
        ("yes", ["no", "", None, b"yes"]),
        (1, [True, 1.0, "1", Size.SMALL]),
        (True, [1, "True", False]),
        (0, [False, 0.0, None, ""]),
        (None, [0, False, "", "None"]),
        (Color.RED, [Color.BLUE, 1, "RED"]),
        (Size.SMALL, [1]),
        (("a", 1), [["a", 1]]),
        ([1], [(1,), [2]]),
    ],
    ids=repr,
)
def test_a_literal_takes_what_is_equal_and_of_the_same_class(when: Any, leaves: list[Any]) -> None:
    made = condition(when)
    assert made is not None
    assert made.kind == "literal"
    assert made.matches(when)
    assert not any(made.matches(value) for value in leaves)


def test_a_predicate_takes_what_it_says_by_truth() -> None:
    made = condition(lambda value: value["items"])
    assert made is not None
    assert made.kind == "predicate"
    assert made.matches({"items": [1]}) is True
    assert made.matches({"items": []}) is False


def test_what_a_predicate_raises_is_not_hidden() -> None:
    made = condition(lambda value: value["items"])
    assert made is not None
    with pytest.raises(KeyError):
        made.matches({})


def test_otherwise_takes_nothing_by_itself() -> None:
    made = condition(OTHERWISE)
    assert made is not None
    assert made.kind == "otherwise"
    assert not made.matches(OTHERWISE)


def test_always_is_no_condition() -> None:
    assert condition(ALWAYS) is None


def test_a_condition_is_kept_as_it_is() -> None:
    made = condition(int, "whole")
    assert condition(made) is made


def is_long(value: str) -> bool:
    return len(value) > 3


@pytest.mark.parametrize(
    ("when", "label"),
    [
        (Dog, "Dog"),
        (int | None, "int | None"),
        (Literal["a", "b"], "Literal['a', 'b']"),
        (list[int], "list[int]"),
        ("yes", "'yes'"),
        (True, "True"),
        (None, "None"),
        (Color.RED, "Color.RED"),
        (is_long, "is_long"),
        (lambda value: value, "condition"),
        (OTHERWISE, "otherwise"),
    ],
)
def test_a_drawing_shows_a_condition_as_it_was_written(when: Any, label: str) -> None:
    made = condition(when)
    assert made is not None
    assert made.label == label


def test_a_label_of_one_s_own_is_shown_instead() -> None:
    made = condition(is_long, "is it long?")
    assert made is not None
    assert made.label == "is it long?"


def test_any_is_no_condition() -> None:
    with pytest.raises(DefinitionError, match="leave when= out"):
        condition(Any)
