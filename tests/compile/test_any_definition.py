"""Claims of compile() on anything the builder takes, nonsense included: a Graph or a CompileError, never another error.

Nothing is run. What a sound workflow computes is claimed elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from loomgraph import END, OTHERWISE, START, CompileError, Failure, Graph, Quorum, Workflow
from loomgraph.errors import DefinitionError, Finding
from loomgraph.graph.builder import Branch, Node

TYPES: list[Any] = [
    int,
    str,
    None,
    bool,
    Any,
    Failure,
    list[int],
    list[Any],
    int | str,
    int | None,
    Literal["a", "b"],
    tuple[int, ...],
    dict[str, int],
    Callable[[int], str],
    "NotDefinedAnywhere",
]
CONDITIONS: list[Any] = [
    int,
    str,
    None,
    bool,
    "a",
    "b",
    7,
    OTHERWISE,
    list,
    Failure,
    bool.__call__,
    lambda value: value,
]
NAMES = ["a", "b", "c", "d", "e"]
UNKNOWN = ["aa", "nobody", "START", ""]

Draw = Callable[[st.SearchStrategy[Any]], Any]


def generator(a: int) -> Iterator[int]:
    yield a


def anything(*values: int) -> int:
    return sum(values)


def function(draw: Draw) -> Callable[..., Any]:
    """A function of up to three parameters named like nodes, annotated at random, some with defaults."""
    if draw(st.integers(0, 19)) == 0:
        odd: list[Callable[..., Any]] = [generator, anything, int, len, print]
        return odd[draw(st.integers(0, len(odd) - 1))]
    params = draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))
    optional = draw(st.integers(0, len(params)))
    written = ", ".join(f"{name}=None" if i < optional else name for i, name in enumerate(reversed(params)))
    head = draw(st.sampled_from(["async def", "def"]))
    made: dict[str, Any] = {}
    ordered = ", ".join(reversed(written.split(", "))) if written else ""
    exec(f"{head} made({ordered}): return None", made)
    fn: Callable[..., Any] = made["made"]
    for name in [*params, "return"]:
        if draw(st.booleans()):
            fn.__annotations__[name] = draw(st.sampled_from(TYPES))
    return fn


def tame(a: int) -> int:
    return a


class Scribbler:
    """Calls the builder at random, with what it declared and with what nobody did.

    Every second one is tame: a chain of sound nodes with few calls on top, so that some of them compile.
    """

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.tame: bool = draw(st.booleans())
        self.wf: Workflow[Any, Any] = Workflow("any", **({"input": int} if self.tame else self._ends()))  # pyright: ignore[reportCallIssue, reportArgumentType]
        self.nodes: list[Node[..., Any]] = []
        self.asked: set[str] = set()
        for _ in range(draw(st.integers(1, 5))):
            self.nodes.append(self._node())
        if self.tame:
            self.wf.chain(START, *self.nodes, END)
        else:
            self._say(lambda: self.wf.edge(START, self.nodes[0]))
        calls = [self.edge, self.edge, self.edge, self.route, self.join, self.map, self.loop, self.on_error]
        for _ in range(draw(st.integers(0, 2 if self.tame else 10))):
            self._say(draw(st.sampled_from(calls)))

    def _node(self) -> Node[..., Any]:
        name = NAMES[len(self.nodes)]
        if self.tame:
            return self.wf.node(tame, name=name)
        if self.draw(st.integers(0, 9)) == 0:
            name = self.draw(st.sampled_from(NAMES))
        timeout = 1.0 if self.draw(st.integers(0, 9)) == 0 else None
        return self.wf.node(function(self.draw), name=name, timeout=timeout)

    def _ends(self) -> dict[str, Any]:
        given = {key: self.draw(st.sampled_from(TYPES[:-1])) for key in ("input", "output")}
        return {key: tp for key, tp in given.items() if self.draw(st.booleans())}

    def _say(self, call: Callable[[], None]) -> None:
        # what the builder refuses at once is not part of the definition
        with contextlib.suppress(DefinitionError):
            call()

    def ref(self) -> Any:
        kind = self.draw(st.integers(0, 29))
        if kind == 0:
            name = self.draw(st.sampled_from(UNKNOWN))
            self.asked.add(name)
            return name
        if kind < 3:
            return END
        if kind < 5:
            return START
        return self.draw(st.sampled_from(self.nodes))

    def condition(self) -> Any:
        return self.draw(st.sampled_from(CONDITIONS))

    def cap(self) -> Any:
        return self.draw(st.sampled_from([None, None, 2, 3]))

    def wait(self) -> Any:
        return self.draw(st.sampled_from(["all", "all", "first", Quorum(1), Quorum(2), Quorum(9)]))

    def edge(self) -> None:
        when = {"when": self.condition()} if self.draw(st.booleans()) else {}
        self.wf.edge(
            self.ref(), self.ref(), cap=self.cap(), exit=self.draw(st.sampled_from(["strict", "latest"])), **when
        )

    def route(self) -> None:
        chosen = self.draw(st.lists(st.sampled_from(CONDITIONS), max_size=3, unique=True))
        otherwise = self.ref() if self.draw(st.booleans()) else None
        self.wf.route(self.ref(), {test: self.ref() for test in chosen}, otherwise=otherwise)

    def member(self) -> Any:
        node = self.ref()
        plain = not isinstance(node, Node) or self.draw(st.integers(0, 3)) > 0
        return node if plain else Branch(node, node.when(self.condition()).when)

    def join(self) -> None:
        members = [self.member() for _ in range(self.draw(st.integers(0, 3)))]
        if self.draw(st.booleans()):
            self.wf.join(members, into=self.ref(), wait=self.wait())
        else:
            slots = {self.draw(st.sampled_from([*NAMES, "other"])): member for member in members}
            self.wf.join(slots, into=self.ref(), wait=self.wait())

    def map(self) -> None:
        on_error = self.draw(st.sampled_from(["fail", "collect", "skip"]))
        self.wf.map(self.ref(), self.ref(), on_error=on_error, wait=self.wait())

    def loop(self) -> None:
        body = [self.ref() for _ in range(self.draw(st.integers(1, 3)))]
        again = self.condition() if self.draw(st.booleans()) else None
        on_cap = self.ref() if self.draw(st.integers(0, 2)) == 0 else None
        header = self.ref() if self.draw(st.integers(0, 3)) == 0 else None
        include = [self.ref()] if self.draw(st.integers(0, 3)) == 0 else []
        self.wf.loop(*body, again=again, cap=self.cap(), on_cap=on_cap, header=header, include=include)

    def on_error(self) -> None:
        errors = self.draw(st.lists(st.sampled_from([ValueError, Exception, KeyError]), max_size=2))
        self.wf.on_error(self.ref(), self.ref(), *errors)


@st.composite
def scribbles(draw: Draw) -> Scribbler:
    return Scribbler(draw)


def assert_teaches(finding: Finding, known: set[str]) -> None:
    """A finding says what and what to do, and names what exists or was asked for."""
    assert finding.rule
    assert finding.message.strip()
    assert finding.remedy.strip(" .")
    assert "<function" not in str(finding)
    assert " object at 0x" not in str(finding)
    assert set(finding.nodes) <= known


@given(scribbles())
@settings(max_examples=400, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_compile_gives_a_graph_or_a_CompileError_and_nothing_else(scribble: Scribbler) -> None:
    wf = scribble.wf
    known = {node.name for node in scribble.nodes} | scribble.asked | {"START", "END"}
    findings = wf.check()
    for finding in findings:
        assert_teaches(finding, known)
    errors = [finding for finding in findings if finding.severity == "error"]
    assert findings[: len(errors)] == errors, "errors come first"
    event("refused" if errors else "compiled")
    if errors:
        with pytest.raises(CompileError) as refused:
            wf.compile()
        assert list(refused.value.findings) == findings
    else:
        graph = wf.compile()
        assert isinstance(graph, Graph)
        assert list(graph.warnings) == findings
