"""Claims about the order of a batch: what waits for what, and what is wrong with which call."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomgraph.tools import OrderedCall, Tool, ToolCall, order_calls, tool
from loomgraph.tools.effects import Footprint
from loomgraph.tools.tool import check_tools


@tool(read_only=True, reads="path")
def read(path: str) -> str:
    return path


@tool(writes="path")
def write(path: str, text: str = "") -> str:
    return path


@tool(reads="source", writes="target")
def copy(source: str, target: str) -> str:
    return target


@tool(read_only=True)
def look(what: str = "") -> str:
    return what


@tool
def act(what: str = "") -> str:
    return what


@tool(reads=())
def think(what: Any = "") -> str:
    return what


@tool(writes=lambda given: [f"account:{given['account']}", "ledger"])
def pay(account: str) -> str:
    return account


TOOLS = check_tools([read, write, copy, look, act, think, pay])


def ordered(*calls: tuple[str, Mapping[str, Any]], syntax: Any = "plan") -> list[OrderedCall]:
    made = [ToolCall(id=f"c{i}", name=name, arguments=dict(given)) for i, (name, given) in enumerate(calls)]
    return order_calls(made, TOOLS, syntax)


def waits(*calls: tuple[str, Mapping[str, Any]]) -> list[tuple[int, ...]]:
    return [tuple(sorted({*o.needs, *o.after})) for o in ordered(*calls)]


def test_calls_that_only_read_wait_for_nobody() -> None:
    assert waits(("read", {"path": "a"}), ("read", {"path": "a"}), ("look", {}), ("read", {"path": "b"})) == [()] * 4


def test_calls_on_one_key_keep_their_order_unless_all_read() -> None:
    a, b = {"path": "a"}, {"path": "b"}
    assert waits(("read", a), ("write", a), ("read", a), ("read", a), ("write", a), ("write", b)) == [
        (),
        (0,),
        (1,),
        (1,),
        (1, 2, 3),
        (),
    ]


def test_reading_one_key_and_writing_another_orders_by_both() -> None:
    assert waits(
        ("write", {"path": "a"}),
        ("copy", {"source": "a", "target": "b"}),
        ("read", {"path": "b"}),
        ("write", {"path": "a"}),
    ) == [(), (0,), (1,), (0, 1)]


def test_a_tool_that_says_nothing_writes_everything() -> None:
    assert waits(("read", {"path": "a"}), ("act", {}), ("look", {}), ("write", {"path": "b"}), ("act", {})) == [
        (),
        (0,),
        (1,),
        (1, 2),
        (1, 2, 3),
    ]


def test_a_tool_that_touches_nothing_waits_for_nobody() -> None:
    assert waits(("act", {}), ("think", {}), ("act", {})) == [(), (), (0,)]


def test_keys_can_come_from_a_function_of_the_arguments() -> None:
    assert waits(("pay", {"account": "x"}), ("pay", {"account": "y"}), ("read", {"path": "account:y"})) == [
        (),
        (0,),
        (1,),
    ]


def test_a_reference_makes_a_call_wait_wherever_it_stands() -> None:
    found = ordered(("think", {"what": "$c1"}), ("think", {}), ("think", {"what": ["a", {"b": "see {{c0}}"}]}))
    assert [o.needs for o in found] == [(1,), (), (0,)]


def test_a_reference_turns_the_order_of_a_hazard_round() -> None:
    found = ordered(("write", {"path": "a", "text": "$c1"}), ("write", {"path": "a"}))
    assert [(o.needs, o.after) for o in found] == [((1,), ()), ((), ())]


def test_what_a_call_touches_is_unknown_while_its_argument_is_a_reference() -> None:
    found = ordered(("think", {}), ("write", {"path": "$c0"}), ("read", {"path": "b"}))
    assert [(o.needs, o.after) for o in found] == [((), ()), ((0,), ()), ((), (1,))]


def problem_of(*calls: tuple[str, Mapping[str, Any]]) -> dict[int, str]:
    return {i: str(o.problem) for i, o in enumerate(ordered(*calls)) if o.problem is not None}


def test_a_dangling_reference_is_the_problem_of_that_call_alone() -> None:
    assert problem_of(("think", {"what": "#E7"}), ("think", {"what": "$c0"})) == {
        0: "#E7 names no call of this batch, which has 'c0' and 'c1'."
    }


def test_a_circle_of_references_is_the_problem_of_the_calls_in_it() -> None:
    found = ordered(
        ("think", {"what": "$c1"}),
        ("think", {"what": "$c0"}),
        ("think", {"what": "$c0"}),
        ("think", {"what": "$c3"}),
        ("think", {}),
    )
    assert [o.problem is not None for o in found] == [True, True, False, True, False]
    assert str(found[0].problem) == "these calls wait for each other's results: 'c0' -> 'c1'. Break the circle."
    assert found[2].needs == (0,)


def test_an_unknown_tool_is_named_with_what_was_meant() -> None:
    assert problem_of(("raed", {"path": "a"}))[0] == "there is no tool 'raed'. Did you mean 'read'?"


def test_arguments_that_nobody_can_read_are_a_problem() -> None:
    calls = [
        ToolCall(id="1", name="think", arguments='{"what": "x"'),
        ToolCall(id="2", name="think", arguments="[1]"),
        ToolCall(id="3", name="think", arguments=""),
        ToolCall(id="4", name="think", arguments='{"what": 1}'),
        ToolCall(id="4", name="think"),
    ]
    found = order_calls(calls, TOOLS)
    assert "they are not JSON" in str(found[0].problem)
    assert "not a JSON object but [1]" in str(found[1].problem)
    assert [found[2].arguments, found[3].arguments] == [{}, {"what": 1}]
    assert "two calls of this batch have the id '4'" in str(found[4].problem)


NAMES = st.sampled_from(["a", "b", "c"])
CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.fixed_dictionaries({"path": NAMES})),
        st.tuples(st.just("write"), st.fixed_dictionaries({"path": NAMES})),
        st.tuples(st.just("copy"), st.fixed_dictionaries({"source": NAMES, "target": NAMES})),
        st.tuples(st.sampled_from(["look", "act", "think"]), st.just({})),
        st.tuples(st.just("think"), st.fixed_dictionaries({"what": st.integers(0, 7).map("{{{{c{}}}}}".format)})),
    ),
    max_size=8,
)


@given(CALLS)
def test_no_two_calls_that_conflict_may_ever_overlap_and_nobody_waits_in_a_circle(
    calls: Sequence[tuple[str, Mapping[str, Any]]],
) -> None:
    found = ordered(*calls)
    before: list[set[int]] = [set() for _ in found]
    left = set(range(len(found)))
    while left:
        free = {i for i in left if not {*found[i].needs, *found[i].after} & left}
        assert free, "calls wait in a circle"
        for i in free:
            for j in {*found[i].needs, *found[i].after}:
                before[i] |= {j, *before[j]}
        left -= free
    for i, j in itertools.combinations(range(len(found)), 2):
        if found[i].problem is None and found[j].problem is None and _conflict(found[i], found[j]):
            assert i in before[j] or j in before[i], f"{i} and {j} may overlap"


def _conflict(a: OrderedCall, b: OrderedCall) -> bool:
    if a.needs or b.needs:
        return False  # `think` alone, which touches nothing
    one, other = (_touched(TOOLS[o.call.name], o.arguments) for o in (a, b))
    return _meet(one.writes, other.writes) or _meet(one.writes, other.reads) or _meet(one.reads, other.writes)


def _touched(used: Tool, arguments: Mapping[str, Any]) -> Footprint:
    return used.footprint(arguments)


def _meet(a: frozenset[str] | None, b: frozenset[str] | None) -> bool:
    if a is None or b is None:
        return a != frozenset() and b != frozenset()
    return bool(a & b)


def test_a_thousand_calls_are_ordered_with_few_waits() -> None:
    found = ordered(*[("write", {"path": str(i % 50)}) for i in range(1_000)])
    assert sum(len(o.after) for o in found) == 950


@pytest.mark.parametrize("text", ["{{c1}}", "x {{c1}} y"])
def test_chat_calls_refer_by_id(text: str) -> None:
    found = ordered(("think", {"what": text}), ("think", {"what": "$c0 #E0"}), syntax="ids")
    assert [o.needs for o in found] == [(1,), ()]
