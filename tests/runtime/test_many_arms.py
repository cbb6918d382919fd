"""A decision with many arms takes the same edges as one that asks them one after the other, and is quicker."""

from __future__ import annotations

import abc
import enum
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from loomgraph import END, OTHERWISE, START
from loomgraph.compile.nest import find_nest
from loomgraph.compile.plan import Plan, make_plan
from loomgraph.compile.resolve import resolve
from loomgraph.engine.routing import choose
from loomgraph.errors import ConditionError, NoRouteError
from loomgraph.graph.builder import Builder
from tests.compile.counted import lines_run
from tests.properties.budget import examples


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Word(enum.StrEnum):
    ONE = "1"


class Same(enum.Enum):
    """All of its members are equal, which a table of hashes would not see."""

    A = 1
    B = 2

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same)

    def __hash__(self) -> int:
        return id(self)


class Animal(BaseModel):
    legs: int = 4


class Dog(Animal):
    pass


class Shape(abc.ABC):  # noqa: B024 -- it is for registering others with it
    pass


class Square:
    pass


class Round:
    pass


Shape.register(Round)


class Posing:
    """Says that it is a Square."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return Square


class Text(str):
    __slots__ = ()


def even(value: Any) -> bool:
    return isinstance(value, int) and value % 2 == 0


NAN = math.nan
TESTS: list[Any] = [
    *(0, 1, True, False, 1.0, 2.5, NAN, "1", "a", b"1", None, Colour.RED, Colour.BLUE, Word.ONE, Same.A, Same.B),
    *(int, bool, float, str, object, type(None), Animal, Dog, Shape, Square, list, list[int], int | str, Colour, even),
    *(Literal[1, "a"], (1, 2), Text("a")),
]
VALUES: list[Any] = [
    *(0, 1, 2, True, False, 1.0, 2.5, NAN, math.nan, "1", "a", "z", b"1", None, Colour.RED, Colour.BLUE, Word.ONE),
    *(Same.A, Same.B, Animal(), Dog(), Round(), Square(), Posing(), [1], ["a"], [], (1, 2), {}, Text("a"), Text("z")),
]


def decision(tests: list[Any], routed: list[bool], rest: bool) -> Plan:
    """A node with an edge for each test; of those that are routed, the first that matches is taken."""
    builder = Builder("arms", input=Any, output=Any)
    asks = builder.node(lambda value: value, name="asks")
    builder.edge(START, asks)
    for i, test in enumerate(tests):
        builder.edge(asks, builder.node(lambda value: value, name=f"arm{i}"), when=test)
    if rest:
        builder.edge(asks, END, when=OTHERWISE)
    definition = resolve(builder.define())[0]
    first, *arms = definition.edges
    ways = [*routed[: len(tests)], False]  # OTHERWISE is for those that are not routed
    marked = [replace(edge, choice=0) if routed else edge for edge, routed in zip(arms, ways, strict=False)]
    definition = replace(definition, edges=(first, *marked))
    return make_plan(definition, find_nest(definition))


def one_by_one(plan: Plan, value: Any) -> list[int]:
    """What `choose` promises, with every condition asked."""
    taken: list[int] = []
    met: set[int | None] = set()
    arms = [edge for edge in plan.definition.edges if edge.source == 0]
    for edge in arms:
        assert edge.when is not None
        if (edge.choice is None or edge.choice not in met) and edge.when.matches(value):
            taken.append(edge.index)
            met.add(edge.choice)
    spare = [edge.index for edge in arms if edge.when is not None and edge.when.kind == "otherwise"]
    return taken if None in met else [*taken, *spare]


@given(
    st.lists(st.sampled_from(TESTS), min_size=8, max_size=30),
    st.lists(st.booleans(), min_size=30, max_size=30),
    st.booleans(),
)
@examples(150)
def test_many_arms_are_those_that_match_one_by_one(tests: list[Any], routed: list[bool], rest: bool) -> None:
    plan = decision(tests, routed, rest)
    for value in VALUES:
        expected = one_by_one(plan, value)
        if expected:
            assert list(choose(plan, 0, value)) == expected
        else:
            with pytest.raises(NoRouteError):
                choose(plan, 0, value)


def test_a_class_that_is_registered_between_two_values_is_taken_for_what_it_is_by_then() -> None:
    class Late:
        pass

    plan = decision([Shape, *range(10)], [False] * 11, rest=True)
    assert choose(plan, 0, Late()) == (12,)
    Shape.register(Late)
    assert choose(plan, 0, Late()) == (1,)


def test_a_condition_that_raises_is_named_among_many() -> None:
    def broken(value: Any) -> bool:
        raise ValueError("no")

    plan = decision([*range(10), broken], [False] * 11, rest=True)
    with pytest.raises(ConditionError, match="broken"):
        choose(plan, 0, 99)


@pytest.mark.parametrize("tests", [range(400), [type(f"C{i}", (BaseModel,), {}) for i in range(400)]])
def test_ten_times_the_arms_are_not_more_to_ask(tests: Sequence[Any]) -> None:
    def asked(count: int) -> int:
        plan = decision(list(tests[:count]), [True] * count, rest=False)
        value = tests[7] if isinstance(tests[7], int) else tests[7]()
        choose(plan, 0, value)  # lays out the table
        return lines_run(lambda: choose(plan, 0, value), "/loomgraph/")

    assert asked(400) == asked(40)
