"""Claims about how much runs at once: the run's limit over all scopes, a node's own, a map's, and the total cap."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from loomgraph import END, START, Context, Graph, NodeFailedError, Workflow
from loomgraph.errors import ActivationLimitError, DefinitionError
from tests.runtime.graphs import Meeting, chain, parallel

pytestmark = pytest.mark.anyio


class Gauge:
    """Counts who is inside: `most` is how many were at one time."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.total = 0
        self.lock = threading.Lock()

    async def pass_through(self) -> None:
        self.enter()
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        self.leave()

    def enter(self) -> None:
        with self.lock:
            self.inside += 1
            self.total += 1
            self.most = max(self.most, self.inside)

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1


def nested_maps(gauge: Gauge, **options: Any) -> Graph[Any, Any]:
    """A map whose worker is a graph with a map."""

    async def leaf(value: int) -> int:
        await gauge.pass_through()
        return value

    async def spread(value: int) -> list[int]:
        return [value] * 4

    inner = Workflow("inner", input=int, output=list[int])
    inner.edge(START, spread)
    inner.edge(inner.map(spread, leaf), END)
    outer = Workflow("outer", input=list[int], output=list[list[int]])
    outer.edge(outer.map(START, outer.node(inner.compile(), **options)), END)
    return outer.compile()


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_the_runs_limit_holds_over_nested_maps(limit: int) -> None:
    gauge = Gauge()
    result = await nested_maps(gauge).run([1, 2, 3, 4], limit=limit)
    assert result.output == [[value] * 4 for value in (1, 2, 3, 4)]
    assert (gauge.most, gauge.total) == (limit, 16)


async def test_without_a_limit_all_of_them_run_at_once() -> None:
    meeting = Meeting(16)

    async def leaf(value: int) -> int:
        await meeting()
        return value

    async def spread(value: int) -> list[int]:
        return [value] * 4

    inner = Workflow("inner", input=int, output=list[int])
    inner.edge(START, spread)
    inner.edge(inner.map(spread, leaf), END)
    outer = Workflow("outer", input=list[int], output=list[list[int]])
    outer.edge(outer.map(START, inner.compile()), END)
    with anyio.fail_after(30):
        await outer.compile().run([1, 2, 3, 4])


async def test_the_runs_limit_holds_for_plain_functions_too() -> None:
    gauge = Gauge()
    pair = threading.Barrier(2, timeout=30)

    def leaf(value: int) -> int:
        gauge.enter()
        pair.wait()  # so two are inside at a time, and never three
        gauge.leave()
        return value

    wf = Workflow("threads", input=list[int], output=list[int])
    wf.edge(wf.map(START, leaf), END)
    await wf.compile().run(list(range(8)), limit=2)
    assert (gauge.most, gauge.total) == (2, 8)


async def test_a_node_that_runs_a_graph_does_not_deadlock_under_a_limit_of_one() -> None:
    async def leaf(value: int) -> int:
        return value + 1

    inner = chain(leaf, name="inner")

    async def runs(value: int, ctx: Context) -> int:
        first: int = await ctx.run(inner, value, key="first")
        second: int = await ctx.run(inner, first, key="second")
        return second

    with anyio.fail_after(30):
        assert (await parallel(runs, chain(runs, name="nested")).run(1, limit=1)).output == [3, 3]


@pytest.mark.parametrize("limit", [1, 2])
async def test_graphs_that_one_node_runs_side_by_side_stay_within_the_limit(limit: int) -> None:
    gauge = Gauge()

    async def leaf(value: int) -> int:
        await gauge.pass_through()
        return value

    inner = chain(leaf, name="inner")

    async def runs(value: int, ctx: Context) -> int:
        async def one(key: str) -> None:
            await ctx.run(inner, value, key=key)

        async with anyio.create_task_group() as group:
            for i in range(6):
                group.start_soon(one, str(i))
        return value

    with anyio.fail_after(30):
        await chain(runs).run(1, limit=limit)
    assert gauge.total == 6
    assert gauge.most <= limit


async def test_a_node_that_sleeps_with_its_context_holds_no_slot() -> None:
    order: list[str] = []
    woken = anyio.Event()

    async def sleeps(value: int, ctx: Context) -> int:
        order.append("sleeps")
        await ctx.sleep(0.1)  # far longer than it takes to start the other
        order.append("woken")
        woken.set()
        return value

    async def works(value: int) -> int:
        order.append("works")
        return value

    with anyio.fail_after(30):
        await parallel(sleeps, works).run(1, limit=1)
    assert order == ["sleeps", "works", "woken"]
    assert woken.is_set()


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_a_nodes_limit_holds_over_all_its_activations(limit: int) -> None:
    gauge = Gauge()

    async def guarded(value: int) -> int:
        await gauge.pass_through()
        return value

    wf = Workflow("node limit", input=list[int], output=list[int])
    wf.edge(wf.map(START, wf.node(guarded, limit=limit)), END)
    result = await wf.compile().run(list(range(10)))
    assert result.output == list(range(10))
    assert (gauge.most, gauge.total) == (limit, 10)


async def test_a_nodes_limit_holds_over_the_scopes_it_runs_in() -> None:
    gauge = Gauge()

    async def guarded(value: int) -> int:
        await gauge.pass_through()
        return value

    inner = chain(guarded, name="inner", limit=2)
    wf = Workflow("scopes", input=list[int], output=list[int])
    wf.edge(wf.map(START, inner), END)
    await wf.compile().run(list(range(8)))
    assert (gauge.most, gauge.total) == (2, 8)


async def test_a_nodes_limit_does_not_hold_other_nodes_up() -> None:
    meeting = Meeting(2)

    async def guarded(value: int) -> int:
        await meeting()
        return value

    async def other(value: int) -> int:
        await meeting()
        return value

    wf = Workflow("others", output=list[Any])
    wf.parallel([wf.node(guarded, limit=1), wf.node(other, limit=1)], source=START, into=END)
    with anyio.fail_after(30):
        await wf.compile().run(1)


@pytest.mark.parametrize("limit", [1, 4])
async def test_a_maps_limit_holds_within_that_map(limit: int) -> None:
    gauge = Gauge()

    async def leaf(value: int) -> int:
        await gauge.pass_through()
        return value

    wf = Workflow("map limit", input=list[int], output=list[int])
    wf.edge(wf.map(START, leaf, limit=limit), END)
    await wf.compile().run(list(range(12)))
    assert (gauge.most, gauge.total) == (limit, 12)


@pytest.mark.parametrize("limit", [1, 2])
async def test_a_limit_on_a_graph_node_bounds_how_many_of_its_scopes_are_open(limit: int) -> None:
    gauge = Gauge()
    scopes = Gauge()

    async def enters(value: int) -> int:
        scopes.enter()
        await anyio.lowlevel.checkpoint()
        return value

    async def leaves(value: int) -> int:
        await gauge.pass_through()
        scopes.leave()
        return value

    wf = Workflow("open scopes", input=list[int], output=list[int])
    wf.edge(wf.map(START, wf.node(chain(enters, leaves, name="inner"), limit=limit)), END)
    await wf.compile().run(list(range(6)))
    assert (scopes.most, scopes.total) == (limit, 6)


async def test_a_failed_node_gives_its_place_back() -> None:
    async def fails_for_odd(value: int) -> int:
        if value % 2:
            raise RuntimeError("odd")
        return value

    wf = Workflow("given back", input=list[int], output=list[int])
    wf.edge(wf.map(START, wf.node(fails_for_odd, limit=1), on_error="skip"), END)
    with anyio.fail_after(30):
        assert (await wf.compile().run(list(range(7)), limit=1)).output == [0, 2, 4, 6]


async def test_reaching_the_total_cap_is_an_error_that_names_the_node() -> None:
    async def more(value: int) -> int:
        return value + 1

    wf = Workflow("endless", input=int, output=int)
    wf.edge(START, more)
    wf.edge(more, more, when=lambda value: value < 1000, cap=1000)
    wf.edge(more, END, when=lambda value: value >= 1000)
    graph = wf.compile()
    with pytest.raises(ActivationLimitError, match="max_activations=7 when 'more' was about to start") as caught:
        await graph.run(0, max_activations=7)
    assert (caught.value.limit, caught.value.node) == (7, "more")
    assert len(caught.value.finished) == 7
    assert (await graph.run(995, max_activations=7)).output == 1000


async def test_the_total_cap_counts_map_items_and_nested_graphs() -> None:
    gauge = Gauge()
    with pytest.raises(ActivationLimitError):
        await nested_maps(gauge).run([1, 2, 3, 4], max_activations=12)
    assert gauge.total <= 12


@pytest.mark.parametrize("options", [{"limit": 0}, {"max_activations": 0}, {"deadline": 0}, {"deadline": -1}])
async def test_an_option_that_would_run_nothing_is_refused(options: dict[str, Any]) -> None:
    async def leaf(value: int) -> int:
        return value

    with pytest.raises(DefinitionError, match=next(iter(options))):
        await chain(leaf).run(1, **options)


async def test_a_failure_inside_a_map_under_a_limit_is_not_a_hang() -> None:
    async def fails(value: int) -> int:
        await anyio.lowlevel.checkpoint()
        raise RuntimeError("item")

    wf = Workflow("failing map", input=list[int], output=list[int])
    wf.edge(wf.map(START, wf.node(fails, limit=2)), END)
    with anyio.fail_after(30), pytest.raises(NodeFailedError):
        await wf.compile().run(list(range(10)), limit=3)
