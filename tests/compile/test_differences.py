"""Claims about what changed between two versions of a graph: each said by name, and nothing else."""

from __future__ import annotations

import operator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Graph, Quorum, Workflow
from loomgraph.compile.blueprint import blueprint_of
from loomgraph.compile.differences import differences

ALL = frozenset({("take",), ("inner",), ("inner", "read"), ("inner", "write"), ("merge",)})


def union(current: set[str], more: set[str]) -> set[str]:
    return current | more


def make(**changed: Any) -> Graph[Any, Any]:
    """take -> inner(read -> write) -> merge, and take -> merge, joined."""

    class State(BaseModel):
        notes: Annotated[list[str], changed.get("reducer", operator.add)] = []

    inner = Workflow("inner", input=changed.get("inner_input", int), output=int)

    async def read(value: Any) -> int:
        return int(value)

    async def write(value: int) -> int:
        return value

    first = inner.node(read, version=changed.get("read", "1"))
    second = inner.node(write, name=changed.get("write", "write"), version="1")
    inner.chain(START, first, second, END)

    wf = Workflow("outer", input=int, output=int, state=changed.get("state", State))

    async def take(value: int, ctx: Context) -> Any:
        return value

    if changed.get("take_gives"):
        take.__annotations__["return"] = changed["take_gives"]
    taken = wf.node(take, version=changed.get("take", "1"))

    async def merge(values: list[Any]) -> int:
        return len(values)

    merged = wf.node(merge, name=changed.get("merge", "merge"), version=changed.get("merge_version", "1"))
    wf.edge(START, taken)
    nested = wf.node(inner.compile())
    wf.edge(taken, nested, when=changed.get("when", int))
    wf.join([taken, nested], into=merged, wait=changed.get("wait", "all"))
    wf.edge(merged, END)
    return wf.compile()


def said(ran: Any = ALL, *, code: bool = True, **changed: Any) -> list[str]:
    was, now = blueprint_of(make().definition), blueprint_of(make(**changed).definition)
    return list(differences(was, now, ran, code=code))


def test_what_did_not_change_is_not_mentioned() -> None:
    assert said() == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"take": "2"}, ["node 'take', which has run, has other code"]),
        ({"read": "2"}, ["node 'inner/read', which has run, has other code"]),
        ({"write": "save"}, ["node 'inner/write', which has run, is called 'save' now"]),
        ({"wait": Quorum(1)}, ["a join into 'merge' binds other parameters, or waits otherwise"]),
        (
            {"when": lambda value: True},
            ["the condition of edge 'take' -> 'inner', which has been asked, is another"],
        ),
        ({"reducer": union}, ["the state of the graph has other reducers or defaults"]),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_a_change_of_what_has_run_is_named(changed: dict[str, Any], expected: list[str]) -> None:
    assert said(**changed) == expected


def test_other_types_are_a_difference_even_where_other_code_is_none() -> None:
    assert said(code=False, take="2", read="2", when=lambda value: True, reducer=union) == []
    assert said(code=False, take_gives=int | str) == ["node 'take', which has run, takes or gives other types"]
    assert said(code=False, inner_input=int | str) == ["the graph of node 'inner' takes or gives other types"]

    class Other(BaseModel):
        notes: list[int] = []

    assert said(code=False, state=Other) == ["the state of the graph has other fields, or fields of other types"]
    assert said(code=False, state=None) == ["the graph has no state any more"]


def test_what_has_not_run_may_do_something_else_but_not_be_called_something_else() -> None:
    ran = frozenset({("take",)})
    assert said(ran, read="2", merge_version="2", write="save") == []
    assert said(ran, merge="combine") == ["node 'merge', which has not run yet, is called 'combine' now"]
    assert said(ran, merge="combine", merge_version="2") == [
        "node 'merge', which has not run yet, is called 'combine' now"
    ]


def test_nodes_that_come_and_go_are_named_once_and_their_edges_go_without_saying() -> None:
    def chain(*names: str) -> Any:
        wf = Workflow("chain", input=int, output=int)

        async def step(value: int) -> int:
            return value

        wf.chain(START, *(wf.node(step, name=name, version=name) for name in names), END)
        return blueprint_of(wf.compile().definition)

    longer = list(differences(chain("a", "b"), chain("a", "b", "c"), {("a",)}, code=True))
    assert longer == ["node 'c' is new", "edge 'b' -> 'END' is gone"]
    shorter = list(differences(chain("a", "b", "c"), chain("a", "c"), {("a",), ("b",)}, code=True))
    assert shorter == ["node 'b', which has run, is gone", "edge 'a' -> 'c' is new"]
    swapped = list(differences(chain("a", "b"), chain("b", "a"), set(), code=True))
    assert swapped == [
        "edge 'START' -> 'a' is gone",
        "edge 'a' -> 'b' is gone",
        "edge 'b' -> 'END' is gone",
        "edge 'START' -> 'b' is new",
        "edge 'b' -> 'a' is new",
        "edge 'a' -> 'END' is new",
    ]
