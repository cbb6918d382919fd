"""Large graphs of extreme shapes, each of about n nodes: what compile() must not be slow on."""

import functools
import operator
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import create_model

from loomgraph import END, OTHERWISE, START, Quorum, Workflow
from loomgraph.graph.builder import Node
from loomgraph.graph.refs import ALWAYS

__all__ = ["SHAPES"]

Shape = Callable[[int], Workflow[int, int]]

ROW, ARMS = 20, 100


def _new(name: str) -> Workflow[int, int]:
    return Workflow(name, input=int, output=int)


def _step() -> Callable[[int], Awaitable[int]]:
    async def step(x: int) -> int:
        return x + 1

    return step


async def _total(values: list[int]) -> int:
    return sum(values)


def _row(wf: Workflow[int, int], n: int, body: Callable[[], Any] = _step, role: str = "n") -> list[Node[..., Any]]:
    return [wf.node(body(), name=f"{role}{i}") for i in range(n)]


def lattice(n: int) -> Workflow[int, int]:
    """Rows of twenty nodes, each joining three of the row before, and twenty nodes that follow the last one."""
    wf = _new("lattice")
    above = _row(wf, ROW, role="first")
    wf.parallel(above, source=START)
    for level in range(n // ROW - 2):
        row = _row(wf, ROW, lambda: _total, f"{level}-")
        for column, node in enumerate(row):
            wf.join(above[max(0, column - 1) : column + 2], into=node)
        above = row
    meets = wf.node(_total, name="meets")
    wf.join(above, into=meets)
    wf.chain(meets, *_row(wf, ROW - 1, role="last"), END)
    return wf


def route(n: int) -> Workflow[int, int]:
    """One decision with n arms."""
    wf = _new("route")
    asks, arms = wf.node(_step(), name="asks"), _row(wf, n - 1)
    wf.edge(START, asks)
    wf.route(asks, dict(enumerate(arms)), otherwise=END)
    for arm in arms:
        wf.edge(arm, END)
    return wf


def hub(n: int) -> Workflow[int, int]:
    """A supervisor with n workers that go back to it."""
    wf = _new("hub")
    asks, workers = wf.node(_step(), name="asks"), _row(wf, n - 1)
    wf.edge(START, asks)
    wf.route(asks, dict(enumerate(workers)), otherwise=END)
    for worker in workers:
        wf.edge(worker, asks)
    return wf


def loops(n: int) -> Workflow[int, int]:
    """n/2 loops of two nodes, one after the other."""
    wf = _new("loops")
    before: Any = START
    for first, last in zip(_row(wf, n // 2), _row(wf, n // 2, role="m"), strict=True):
        wf.edge(before, first, when=ALWAYS if before is START else OTHERWISE)
        wf.loop(first, last, again=_negative, cap=5)
        before = last
    wf.edge(before, END, when=OTHERWISE)
    return wf


def self_loops(n: int) -> Workflow[int, int]:
    """n nodes in a row, each of which may repeat itself."""
    wf = _new("self loops")
    before: Any = START
    for node in _row(wf, n):
        wf.edge(before, node, when=ALWAYS if before is START else OTHERWISE)
        wf.edge(node, node, when=_negative, cap=5)
        before = node
    wf.edge(before, END, when=OTHERWISE)
    return wf


def unions(n: int) -> Workflow[int, int]:
    """n/100 nodes in a row that give one of a hundred models, and a node for each of these."""
    wf = _new("unions")
    before: Any = START
    for block in range(n // ARMS):
        models = _models(block)
        decides, meets = wf.node(_giving(models), name=f"decides{block}"), wf.node(_step(), name=f"meets{block}")
        wf.edge(before, decides)
        for i, model in enumerate(models):
            wf.edge(decides, arm := wf.node(_taking(model), name=f"{block}-{i}"), when=model)
            wf.edge(arm, meets)
        before = meets
    wf.edge(before, END)
    return wf


def quorums(n: int) -> Workflow[int, int]:
    """n/4 times three nodes of which two are enough: each join is fed by all that comes before it."""
    wf = _new("quorums")
    before: Any = START
    for level in range(n // 4):
        sides = _row(wf, 3, role=f"{level}-")
        wf.parallel(sides, source=before)
        before = wf.node(_total, name=f"meets{level}")
        wf.join(sides, into=before, wait=Quorum(2))
    wf.edge(before, END)
    return wf


def knot(n: int) -> Workflow[int, int]:
    """n nodes that go on to three others each, whatever their order: loops entered everywhere, hundreds deep."""
    wf = _new("knot")
    nodes = _row(wf, n)
    wf.edge(START, nodes[0])
    for i, node in enumerate(nodes):
        for target in sorted({(i + 1) % n, (i * 7 + 1) % n, (i * 13 + 5) % n} - {i}):
            wf.edge(node, nodes[target], when=_negative)
        wf.edge(node, END, when=OTHERWISE)
    return wf


@functools.cache
def _models(block: int) -> list[Any]:
    return [create_model(f"M{block}_{i}", x=(int, 0)) for i in range(ARMS - 2)]


def _giving(models: list[Any]) -> Any:
    async def decide(x: int) -> Any: ...

    decide.__annotations__["return"] = functools.reduce(operator.or_, models)
    return decide


def _taking(model: Any) -> Any:
    async def take(x: Any) -> int: ...

    take.__annotations__["x"] = model
    return take


def _negative(x: int) -> bool:
    return x < 0


SHAPES: dict[str, Shape] = {
    "lattice": lattice,
    "route": route,
    "hub": hub,
    "loops": loops,
    "self-loops": self_loops,
    "unions": unions,
    "quorums": quorums,
    "knot": knot,
}
