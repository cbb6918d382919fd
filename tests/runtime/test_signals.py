"""Claims about signals: kept until somebody waits, delivered once, in order, and the same again after a resume."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest

from loomgraph import END, START, Context, Graph, NodeFailedError, Workflow
from loomgraph.errors import DefinitionError, InvalidSignalError, StorelessPauseError, UnknownRunError
from loomgraph.events import SignalAwaited, SignalReceived
from loomgraph.runtime.questions import signal
from loomgraph.store.memory import MemoryStore

pytestmark = pytest.mark.anyio


def waiting(count: int = 1, calls: Counter[str] | None = None) -> Graph[Any, Any]:
    """A graph of one node that waits so many times for the signal 'paid'."""
    wf = Workflow("waiting", input=int, output=list[int])

    @wf.node
    async def wait(value: int, ctx: Context) -> list[int]:
        if calls is not None:
            calls["code"] += 1
        return [await ctx.wait_for("paid", int) for _ in range(count)]

    wf.chain(START, wait, END)
    return wf.compile()


async def test_a_run_waits_suspended_for_a_signal_and_gets_its_value() -> None:
    graph, store = waiting(), MemoryStore()
    result = await graph.run(1, store=store, run_id="t")
    assert (result.status, result.signals, result.questions) == ("suspended", ("paid",), ())
    assert [a.status for a in result.activations] == ["waiting"]
    await graph.signal("t", "paid", 17, store=store)
    done = await graph.resume("t", store=store)
    assert (done.output, done.signals) == ([17], ())


async def test_signals_sent_before_anybody_waits_are_kept_and_delivered_once_and_in_order() -> None:
    wf, gate = Workflow("early", input=int, output=list[int]), anyio.Event()

    @wf.node
    async def slow(value: int) -> int:
        await gate.wait()
        return value

    @wf.node
    async def wait(value: int, ctx: Context) -> list[int]:
        return [await ctx.wait_for("paid", int) for _ in range(3)]

    wf.chain(START, slow, wait, END)
    graph, store = wf.compile(), MemoryStore()
    async with graph.start(1, store=store, run_id="t") as run:
        await anext(run.events())
        for value in (1, 2):
            await graph.signal("t", "paid", value, store=store)
        run.signal("other", "for nobody")
        gate.set()
        result = await run.result()
    assert result.status == "suspended"
    await graph.signal("t", "paid", 3, store=store)
    assert (await graph.resume("t", store=store)).output == [1, 2, 3]


async def test_a_signal_sent_twice_under_one_id_is_one_signal() -> None:
    graph, store = waiting(2), MemoryStore()
    await graph.run(1, store=store, run_id="t")
    await graph.signal("t", "paid", 5, store=store, id="webhook-1")
    assert (await graph.resume("t", store=store)).status == "suspended"
    await graph.signal("t", "paid", 5, store=store, id="webhook-1")
    assert (await graph.resume("t", store=store)).status == "suspended"
    await graph.signal("t", "paid", 6, store=store, id="webhook-2")
    assert (await graph.resume("t", store=store)).output == [5, 6]


async def test_each_signal_goes_to_one_waiter_first_sent_to_first_waiting() -> None:
    wf = Workflow("queue", input=list[int], output=list[str])

    @wf.node
    async def wait(value: int, ctx: Context) -> str:
        return f"{value} {await ctx.wait_for('go', str)}"

    mapped = wf.map(START, wait, limit=1)
    wf.edge(mapped, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run([1, 2, 3], store=store, run_id="t")
    for name in "abc":
        await signal(store, "t", "go", name)
    result = await graph.resume("t", store=store)
    assert result.output == ["1 a", "2 b", "3 c"]


async def test_waiters_of_several_nodes_are_served_in_the_order_they_waited() -> None:
    wf = Workflow("queue", input=list[int], output=list[str])

    @wf.node
    async def wait(value: int, ctx: Context) -> str:
        return f"{value} {await ctx.wait_for('go', str)}"

    mapped = wf.map(START, wait)
    wf.edge(mapped, END)
    graph, store = wf.compile(), MemoryStore()
    result = await graph.run([1, 2, 3], store=store, run_id="t")
    order = [event.key for event in result.events if isinstance(event, SignalAwaited)]
    await signal(store, "t", "go", "first")
    result = await graph.resume("t", store=store)
    assert [event.key for event in result.events if isinstance(event, SignalReceived)] == order[:1]
    for name in ("second", "third"):
        await signal(store, "t", "go", name)
    result = await graph.resume("t", store=store)
    assert [event.key for event in result.events if isinstance(event, SignalReceived)] == order
    told = dict(zip(order, ("first", "second", "third"), strict=True))
    assert result.output == [f"{i + 1} {told[f'wait[{i}]']}" for i in range(3)]


async def test_a_value_that_a_waiter_does_not_take_is_refused_when_it_is_sent_and_when_it_was_sent_before() -> None:
    graph, store = waiting(), MemoryStore()
    await graph.run(1, store=store, run_id="t")
    with pytest.raises(InvalidSignalError, match="'much' is not of type 'integer'"):
        await graph.signal("t", "paid", "much", store=store)
    with pytest.raises(InvalidSignalError, match=r"no JSON form|serialize"):
        await graph.signal("t", "paid", object(), store=store)
    assert await store.inbox("t") == []
    with pytest.raises(UnknownRunError):
        await graph.signal("nobody", "paid", 1, store=store)

    early, other = waiting(), MemoryStore()
    await early.run(1, store=other, run_id="t", interrupt_before=["wait"])
    await early.signal("t", "paid", "much", store=other)
    result = await early.resume("t", store=other)
    assert (result.status, result.signals) == ("suspended", ("paid",))
    refused = [event for event in result.events if isinstance(event, SignalReceived)]
    assert [(event.value, event.refused) for event in refused] == [("much", "'much' is not of type 'integer'")]
    await early.signal("t", "paid", 3, store=other)
    assert (await early.resume("t", store=other)).output == [3]


async def test_a_signal_that_nobody_waits_for_changes_nothing_about_a_suspended_run() -> None:
    calls = Counter[str]()
    graph, store = waiting(calls=calls), MemoryStore()
    await graph.run(1, store=store, run_id="t")
    before = await store.events("t")
    await graph.signal("t", "else", 1, store=store)
    assert (await graph.resume("t", store=store)).status == "suspended"
    assert (await store.events("t"), calls["code"]) == (before, 1)


async def test_a_live_run_is_sent_signals_in_process_and_from_elsewhere() -> None:
    graph, store = waiting(2), MemoryStore()
    async with graph.start(1, store=store, run_id="t", when_asked="wait", lease=0.1) as run:
        async for event in run.events():
            if isinstance(event, SignalAwaited):
                run.signal("paid", 1)
                await graph.signal("t", "paid", 2, store=store)
                break
        result = await run.result()
    assert sorted(result.output) == [1, 2]
    with pytest.raises(DefinitionError, match="does not go on here \\(succeeded\\)"):
        run.signal("paid", 3)


async def test_no_store_no_waiting() -> None:
    with pytest.raises(NodeFailedError, match="waits for the signal 'paid'") as caught:
        await waiting().run(1)
    assert isinstance(caught.value.__cause__, StorelessPauseError)


async def test_a_plain_function_waits_too() -> None:
    wf = Workflow("threads", input=int, output=int)

    @wf.node
    def wait(value: int, ctx: Context) -> int:
        return ctx.wait_for_sync("go", int)

    wf.chain(START, wait, END)
    graph, store = wf.compile(), MemoryStore()
    assert (await graph.run(1, store=store, run_id="t")).signals == ("go",)
    await graph.signal("t", "go", 4, store=store)
    assert (await graph.resume("t", store=store)).output == 4
