"""Claims about what is durable inside a node: steps, naps, graphs that it runs, and the key to give to others."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph import END, START, Context, Graph, NodeFailedError, Retry, Workflow
from loomgraph.errors import DefinitionError, GraphChangedError
from loomgraph.store.memory import MemoryStore

pytestmark = pytest.mark.anyio


class Killed(BaseException):
    """Ends a run as the end of its process does."""


async def one() -> int:
    return 1


async def test_two_steps_of_a_node_with_one_key_are_refused() -> None:
    wf = Workflow("w", input=int, output=int)

    @wf.node
    async def twice(value: int, ctx: Context) -> int:
        return await ctx.step("pay", one) + await ctx.step("pay", one)

    wf.chain(START, twice, END)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(1, store=MemoryStore())
    assert isinstance(caught.value.__cause__, DefinitionError)
    assert str(caught.value.__cause__) == "node 'twice' took two steps with the key 'pay'; give each its own key."


async def test_a_nap_that_was_begun_ends_when_it_was_to_end_whoever_goes_on() -> None:
    wf, killed = Workflow("w", input=int, output=int), list[bool]()

    @wf.node
    async def naps(value: int, ctx: Context) -> int:
        await ctx.sleep(0.05)
        if not killed:
            killed.append(True)
            raise Killed
        await ctx.sleep(0)
        return value

    wf.chain(START, naps, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(Killed):
        await graph.run(1, store=store, run_id="r")
    result = await graph.resume("r", store=store)
    naps_of = [event.step for event in result.events if event.kind == "StepSucceeded"]
    assert naps_of == ["sleep:1", "sleep:2"], "when the first was to end is in the log once"


async def test_the_key_to_give_to_others_is_one_over_attempts_and_lives_and_another_for_each_item() -> None:
    wf, keys, killed = Workflow("w", input=list[int], output=list[int]), list[str](), list[bool]()

    @wf.node(retry=Retry(attempts=2, delay=0))
    async def pays(value: int, ctx: Context) -> int:
        keys.append(ctx.idempotency_key)
        if ctx.attempt == 1:
            raise OSError("once")
        if not killed:
            killed.append(True)
            raise Killed
        return value

    wf.edge(wf.map(START, pays), END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(Killed):
        await graph.run([1, 2], store=store, run_id="r", limit=1)
    assert (await graph.resume("r", store=store, limit=1)).output == [1, 2]
    assert set(keys) == {"r:pays[0]", "r:pays[1]"}
    assert min(keys.count(key) for key in set(keys)) > 1


def inner(code: str) -> Graph[Any, Any]:
    wf = Workflow("inner", input=int, output=int)

    @wf.node
    async def first(value: int) -> int:
        return value

    @wf.node(version=code)
    async def second(value: int) -> int:
        if code == "one":
            raise Killed
        return value

    wf.chain(START, first, second, END)
    return wf.compile()


async def test_a_node_that_runs_another_graph_under_the_same_key_is_told_what_is_other() -> None:
    wf = Workflow("w", input=int, output=int)

    @wf.node
    async def runs(value: int, ctx: Context) -> int:
        result: int = await ctx.run(inner(ctx.deps), value, key="it")
        return result

    wf.chain(START, runs, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(Killed):
        await graph.run(1, store=store, run_id="r", deps="one")
    with pytest.raises(NodeFailedError) as caught:
        await graph.resume("r", store=store, deps="two")
    assert isinstance(caught.value.__cause__, GraphChangedError)
    assert caught.value.__cause__.differences == ("node 'runs/@it/second', which has run, has other code",)


async def test_a_node_can_ask_whether_a_step_was_taken_in_this_life_or_an_earlier_one() -> None:
    wf, taken = Workflow("w", input=int, output=int), list[tuple[bool, bool]]()

    @wf.node
    async def counts(value: int, ctx: Context) -> int:
        before = ctx.has_step("first")
        await ctx.step("first", one)
        taken.append((before, ctx.has_step("first")))
        assert not ctx.has_step("second")
        if len(taken) == 1:
            raise Killed
        return value

    wf.chain(START, counts, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(Killed):
        await graph.run(1, store=store, run_id="r")
    await graph.resume("r", store=store)
    assert taken == [(False, True), (True, True)]
