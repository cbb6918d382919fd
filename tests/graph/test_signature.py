"""What a callable takes and gives, read from its annotations, whatever kind of callable it is."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph import Context, Workflow
from loomgraph.graph.signature import Signature, describe_type, read_signature


def shape(signature: Signature) -> list[tuple[str, Any, bool]]:
    return [(param.name, param.type, param.required) for param in signature.params]


def plain(a: int, b: str = "") -> bool:
    return bool(a or b)


async def waits(a: int) -> str:
    return str(a)


def bare(a, b=1):  # type: ignore[no-untyped-def]
    return a, b


def with_keyword(a: int, *, b: str, c: float = 1.0) -> None: ...


def with_rest(a: int, **rest: int) -> int:
    return a + len(rest)


class Adder:
    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, value: int) -> int:
        return value + self.by

    def method(self, value: int) -> str:
        return str(value)

    @classmethod
    def of(cls, by: int) -> Adder:
        return cls(by)

    @staticmethod
    def static(value: bytes) -> int:
        return len(value)


class AsyncAdder:
    async def __call__(self, value: int) -> int:
        return value


@dataclass
class Point:
    x: int
    y: float = 0.0


class Reply(BaseModel):
    text: str
    score: float = 0.0


@functools.wraps(plain)
def wrapped(*args: Any, **kwargs: Any) -> Any:
    return plain(*args, **kwargs)


@pytest.mark.parametrize(
    ("fn", "params", "output", "style"),
    [
        pytest.param(plain, [("a", int, True), ("b", str, False)], bool, "sync", id="function"),
        pytest.param(waits, [("a", int, True)], str, "async", id="async function"),
        pytest.param(bare, [("a", Any, True), ("b", Any, False)], Any, "sync", id="no annotations"),
        pytest.param(lambda x: x, [("x", Any, True)], Any, "sync", id="lambda"),
        pytest.param(wrapped, [("a", int, True), ("b", str, False)], bool, "sync", id="wrapped function"),
        pytest.param(functools.partial(plain, 1), [("b", str, False)], bool, "sync", id="partial"),
        pytest.param(functools.partial(waits), [("a", int, True)], str, "async", id="async partial"),
        pytest.param(Adder(1), [("value", int, True)], int, "sync", id="callable object"),
        pytest.param(AsyncAdder(), [("value", int, True)], int, "async", id="async callable object"),
        pytest.param(Adder(1).method, [("value", int, True)], str, "sync", id="bound method"),
        pytest.param(Adder.of, [("by", int, True)], Adder, "sync", id="class method"),
        pytest.param(Adder.static, [("value", bytes, True)], int, "sync", id="static method"),
        pytest.param(Adder, [("by", int, True)], Adder, "sync", id="class"),
        pytest.param(Point, [("x", int, True), ("y", float, False)], Point, "sync", id="dataclass"),
        pytest.param(Reply, [("text", str, True), ("score", float, False)], Reply, "sync", id="model"),
        pytest.param(with_rest, [("a", int, True)], int, "sync", id="**rest is left alone"),
    ],
)
def test_the_signature_of_a(fn: Any, params: list[tuple[str, Any, bool]], output: Any, style: str) -> None:
    signature = read_signature(fn)
    assert signature.problems == ()
    assert shape(signature) == params
    assert (signature.output, signature.style) == (output, style)


def test_keyword_only_parameters_are_marked() -> None:
    signature = read_signature(with_keyword)
    assert [(param.name, param.required, param.keyword_only) for param in signature.params] == [
        ("a", True, False),
        ("b", True, True),
        ("c", False, True),
    ]


def first(ctx: Context, a: int) -> int:
    return a


def last(a: int, ctx: Context) -> int:
    return a


def keyword(a: int, *, context: Context[Reply, int]) -> int:
    return a


def with_default(a: int, ctx: Context[Any, Any] = None) -> int:  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
    return a


@pytest.mark.parametrize(
    ("fn", "name", "by_keyword"),
    [(first, "ctx", False), (last, "ctx", False), (keyword, "context", True), (with_default, "ctx", False)],
)
def test_the_context_may_be_anywhere_under_any_name_and_is_no_value(fn: Any, name: str, by_keyword: bool) -> None:
    signature = read_signature(fn)
    assert (signature.context, signature.context_keyword) == (name, by_keyword)
    assert shape(signature) == [("a", int, True)]


def test_a_function_may_take_nothing_but_the_context() -> None:
    def only(ctx: Context) -> None: ...

    signature = read_signature(only)
    assert (signature.params, signature.primary) == ((), None)


def test_a_plain_edge_binds_the_first_required_parameter() -> None:
    def fn(a: int = 1, *, b: str, c: str) -> None: ...

    primary = read_signature(fn).primary
    assert primary is not None
    assert primary.name == "b"


def test_without_a_required_parameter_a_plain_edge_binds_the_first() -> None:
    def fn(a: int = 1, b: str = "") -> None: ...

    primary = read_signature(fn).primary
    assert primary is not None
    assert primary.name == "a"


def yields(a: int) -> Iterator[int]:
    yield a


async def yields_later(a: int) -> AsyncIterator[int]:
    yield a


def takes_all(*values: int) -> int:
    return len(values)


def names_nothing_known(a: Unknown) -> int:  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]
    return 1


@pytest.mark.parametrize(
    ("fn", "said"),
    [(yields, "generator"), (yields_later, "generator"), (takes_all, "*values"), (names_nothing_known, "Unknown")],
)
def test_what_cannot_be_a_node_is_said_and_not_raised(fn: Any, said: str) -> None:
    (problem,) = read_signature(fn).problems
    assert said in problem


def test_what_cannot_be_a_node_is_a_finding_of_the_workflow() -> None:
    wf: Workflow[Any, Any] = Workflow("w")
    wf.node(takes_all)
    assert any("*values" in str(finding) for finding in wf.check())


def test_a_builtin_without_a_signature_is_said() -> None:
    assert read_signature(dict).problems


def test_annotations_may_name_classes_local_to_the_function_that_declares_the_node() -> None:
    class Local(BaseModel):
        text: str

    wf: Workflow[Any, Any] = Workflow("w")

    @wf.node
    def decorated(value: Local) -> list[Local]:
        return [value]

    def used(value: list[Local]) -> Local:
        return value[0]

    wf.edge(decorated, used)
    nodes = wf.define().nodes
    assert [node.signature.problems for node in nodes] == [(), ()]
    assert [shape(node.signature) for node in nodes] == [[("value", Local, True)], [("value", list[Local], True)]]
    assert nodes[1].signature.output is Local


@pytest.mark.parametrize(
    ("tp", "text"),
    [
        (int, "int"),
        (None, "None"),
        (Any, "Any"),
        (list[int], "list[int]"),
        (dict[str, list[int]], "dict[str, list[int]]"),
        (int | None, "int | None"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Reply, "Reply"),
    ],
)
def test_a_type_is_shown_as_a_person_writes_it(tp: Any, text: str) -> None:
    assert describe_type(tp) == text
