"""Claims about time: a run takes as long as its critical path, because nobody waits for what it does not depend on.

The clock is virtual (trio's, jumping to the next alarm), so a run that does not waste time takes its critical path
exactly; any barrier between the branches shows as whole seconds.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Awaitable, Callable, Sequence

import pytest
import trio

from loomgraph import END, OTHERWISE, START, Graph, Workflow
from tests.e2e.virtual import spend, virtually

Ended = dict[str, float]


def sleeper(name: str, seconds: float, ended: Ended) -> Callable[[int], Awaitable[int]]:
    """A node that sleeps and writes down when it was done, in virtual seconds."""

    async def sleep(value: int) -> int:
        await spend(seconds)
        ended[name] = trio.current_time()
        return value

    return sleep


async def collect(values: list[int]) -> int:
    return sum(values)


def branches(lengths: Sequence[Sequence[float]], ended: Ended) -> Graph[int, int]:
    """START, then each branch as a chain of sleeps, then a join of them all. Node 2 of branch 1 is called "1.2"."""
    wf = Workflow("branches", input=int, output=int)
    lasts: list[object] = []
    for branch, seconds in enumerate(lengths):
        nodes = [
            wf.node(sleeper(f"{branch}.{place}", one, ended), name=f"{branch}.{place}")
            for place, one in enumerate(seconds)
        ]
        wf.chain(START, *nodes)
        lasts.append(nodes[-1])
    wf.join([f"{branch}.{len(seconds) - 1}" for branch, seconds in enumerate(lengths)], into=collect)
    wf.edge(collect, END)
    return wf.compile()


def timed(graph: Graph[int, int], *, limit: int | None = None) -> tuple[float, float]:
    """When a run began, and how long it took, in virtual seconds."""

    async def go() -> tuple[float, float]:
        began = trio.current_time()
        await graph.run(1, limit=limit)
        return began, trio.current_time() - began

    return virtually(go)


def test_three_fast_nodes_in_a_row_never_wait_for_the_slow_one_beside_them() -> None:
    ended: Ended = {}
    wf = Workflow("uneven", input=int, output=int)
    a, slow = wf.node(sleeper("a", 1, ended), name="a"), wf.node(sleeper("slow", 10, ended), name="slow")
    fast = [wf.node(sleeper(f"fast {i}", 1, ended), name=f"fast {i}") for i in range(3)]
    wf.chain(START, a, *fast)
    wf.edge(a, slow)
    wf.join([fast[-1], slow], into=collect)
    wf.edge(collect, END)
    began, seconds = timed(wf.compile())
    assert {name: at - began for name, at in ended.items()} == pytest.approx(
        {"a": 1, "fast 0": 2, "fast 1": 3, "fast 2": 4, "slow": 11}
    )
    assert seconds == pytest.approx(11)


@pytest.mark.parametrize("seed", range(8))
def test_eight_branches_of_five_nodes_take_as_long_as_the_longest_branch(seed: int) -> None:
    chance = random.Random(seed)
    lengths = [[chance.uniform(0.1, 2) for _ in range(5)] for _ in range(8)]
    ended: Ended = {}
    began, seconds = timed(branches(lengths, ended))
    for branch, sleeps in enumerate(lengths):
        for place, due in enumerate(itertools.accumulate(sleeps)):
            assert ended[f"{branch}.{place}"] - began == pytest.approx(due)
    assert seconds == pytest.approx(max(map(sum, lengths)))


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_a_limit_leaves_nobody_idle_while_there_is_work(seed: int, limit: int) -> None:
    chance = random.Random(seed)
    lengths = [[chance.uniform(0.1, 2) for _ in range(5)] for _ in range(8)]
    work, longest = sum(map(sum, lengths)), max(map(sum, lengths))
    _, seconds = timed(branches(lengths, {}), limit=limit)
    assert work / limit <= seconds + 1e-9
    assert seconds <= work / limit + (1 - 1 / limit) * longest + 1e-9


def test_the_items_of_a_map_go_through_their_graph_without_waiting_for_each_other() -> None:
    inner = Workflow("inner", input=float, output=float)

    async def rest(seconds: float) -> float:
        await spend(seconds)
        return seconds

    async def rest_in_turn(seconds: float) -> float:
        await spend(3 - seconds)  # the sooner the first step was done, the longer the second takes
        return seconds

    inner.chain(START, rest, rest_in_turn, END)
    wf = Workflow("outer", input=list[float], output=list[float])
    wf.edge(wf.map(START, inner.compile()), END)
    graph = wf.compile()

    async def go() -> float:
        began = trio.current_time()
        await graph.run([1.0, 2.0, 0.5])
        return trio.current_time() - began

    assert virtually(go) == pytest.approx(3)


def test_a_loop_beside_a_slow_node_goes_round_in_its_own_time() -> None:
    ended: Ended = {}
    wf = Workflow("loop beside", input=int, output=int)
    slow = wf.node(sleeper("slow", 5, ended), name="slow")

    @wf.node
    async def count(value: int) -> int:
        await spend(1)
        return value + 1

    done = wf.node(sleeper("done", 0, ended), name="done")
    wf.edge(START, slow)
    wf.edge(START, count)
    wf.loop(count, again=lambda value: value < 4, cap=5)
    wf.edge(count, done, when=OTHERWISE)
    wf.join([slow, done], into=collect)
    wf.edge(collect, END)
    began, seconds = timed(wf.compile())
    assert ended["done"] - began == pytest.approx(3)
    assert seconds == pytest.approx(5)
