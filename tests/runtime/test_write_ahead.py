"""Nothing is acted on before the event that says so is durable: shown on a store that takes its time to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from loomgraph import END, START, Context, Graph, NodeFailedError, Retry, Workflow
from loomgraph.errors import RunCancelledError, RunError, StoreFullError
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import NOTHING, Batch, Lease, RunHeader, StoredEvent
from loomgraph.testing.crash import FailingStore, WatchedStore

pytestmark = pytest.mark.anyio


class SlowStore(WatchedStore):
    """Every write waits for a while in which anything else that can run does run. `log` is what is durable."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.log: list[StoredEvent] = []

    async def create(self, header: RunHeader, batch: Batch = NOTHING, *, owner: str, ttl: float) -> Lease:
        lease = await super().create(header, batch, owner=owner, ttl=ttl)
        self.log += batch.events
        return lease

    async def append(self, lease: Lease, batch: Batch) -> None:
        for _ in range(30):
            await checkpoint()
        await super().append(lease, batch)
        self.log += batch.events

    def says(self, kind: str, key: str) -> int:
        """How many durable events there are of this kind and key."""
        return sum(event.kind == kind and event.key == key for event in self.log)


async def test_a_node_begins_once_its_start_and_what_caused_it_are_durable() -> None:
    store, seen = SlowStore(), list[tuple[str, int, int]]()
    wf = Workflow("w", input=int, output=list[int])

    def begun(ctx: Context, *causes: str) -> None:
        seen.append((ctx.key, store.says("s", ctx.key), sum(store.says("+", cause) for cause in causes)))

    @wf.node
    async def first(value: int, ctx: Context) -> int:
        begun(ctx)
        return value

    @wf.node
    async def left(value: int, ctx: Context) -> int:
        begun(ctx, "first")
        return value + 1

    @wf.node
    def right(value: int, ctx: Context) -> int:
        begun(ctx, "first")
        return value + 2

    @wf.node
    async def last(values: list[int], ctx: Context) -> list[int]:
        begun(ctx, "first", "left", "right")
        return values

    wf.edge(START, first)
    wf.edge(first, left)
    wf.edge(first, right)
    wf.join([left, right], into=last)
    wf.edge(last, END)
    result = await wf.compile().run(1, store=store)
    assert sorted(seen) == [("first", 1, 0), ("last", 1, 3), ("left", 1, 1), ("right", 1, 1)]
    assert result.output == [2, 3]
    assert store.says("R+", "") == 1, "a run returns once its end is durable"


async def test_a_node_whose_start_cannot_be_recorded_does_not_begin() -> None:
    began: list[int] = []
    wf = Workflow("w", input=list[int], output=list[int])

    @wf.node
    async def works(value: int) -> int:
        began.append(value)
        return value

    mapped = wf.map(START, works)
    wf.edge(mapped, END)
    for at in range(2, 4):  # the first write creates the run
        began.clear()
        inner = SlowStore()
        error = StoreFullError("sqlite:runs.db", "disk full")
        with pytest.raises(StoreFullError) as caught:
            await wf.compile().run([1, 2, 3], store=FailingStore(inner, error, at=at), run_id="r")
        assert caught.value is error
        assert len(began) == sum(event.kind == "s" and event.key != "works" for event in inner.log)


async def test_a_further_attempt_begins_once_the_failure_before_it_is_durable() -> None:
    store, seen = SlowStore(), list[tuple[int, int, int]]()
    wf = Workflow("w", input=int, output=int)

    @wf.node(retry=Retry(attempts=3, delay=0))
    async def flaky(value: int, ctx: Context) -> int:
        seen.append((ctx.attempt, store.says("s", "flaky"), store.says("?", "flaky")))
        if ctx.attempt < 3:
            raise OSError("not yet")
        return value

    wf.chain(START, flaky, END)
    await wf.compile().run(1, store=store)
    assert seen == [(1, 1, 0), (2, 2, 1), (3, 3, 2)]


async def test_a_failed_attempt_is_durable_while_the_next_one_is_waited_for() -> None:
    store = SlowStore()
    wf = Workflow("w", input=int, output=int)

    @wf.node(retry=Retry(attempts=2, delay=3600))
    async def flaky(value: int) -> int:
        raise OSError("not yet")

    wf.chain(START, flaky, END)
    with anyio.fail_after(30), pytest.raises(RunCancelledError):
        async with wf.compile().start(1, store=store) as run:
            async for event in run.events():
                if event.kind == "AttemptFailed":
                    assert store.says("?", "flaky") == 1
                    run.cancel()
            await run.result()


def _inner() -> Graph[Any, Any]:
    inner = Workflow("inner", input=int, output=int)

    @inner.node
    async def doubles(value: int) -> int:
        if value < 0:
            raise ValueError("less than nothing")
        return value * 2

    inner.chain(START, doubles, END)
    return inner.compile()


async def _step(ctx: Context, store: SlowStore) -> bool:
    await ctx.step("pay", _paid)
    return store.says("p", ctx.key) == 1


async def _paid() -> int:
    return 1


async def _sleep(ctx: Context, store: SlowStore) -> bool:
    await ctx.sleep(0)
    return store.says("p", ctx.key) == 1


async def _emit(ctx: Context, store: SlowStore) -> bool:
    await ctx.emit({"percent": 50})
    return store.says("e", ctx.key) == 1


async def _run(ctx: Context, store: SlowStore) -> bool:
    await ctx.run(_inner(), 1, key="twice")
    return store.says("+", f"{ctx.key}/@twice/doubles") == store.says("G", f"{ctx.key}/@twice") == 1


async def _run_that_fails(ctx: Context, store: SlowStore) -> bool:
    with pytest.raises(NodeFailedError):
        await ctx.run(_inner(), -1, key="twice")
    return store.says("-", f"{ctx.key}/@twice/doubles") == store.says("G", f"{ctx.key}/@twice") == 1


@pytest.mark.parametrize("act", [_step, _sleep, _emit, _run, _run_that_fails])
async def test_node_code_is_given_what_a_crash_cannot_take_back(act: Callable[..., Any]) -> None:
    store, durable = SlowStore(), list[bool]()
    wf = Workflow("w", input=int)

    @wf.node
    async def acts(value: int, ctx: Context) -> None:
        durable.append(await act(ctx, store))

    wf.chain(START, acts, END)
    await wf.compile().run(1, store=store)
    assert durable == [True]


async def test_a_reader_sees_what_is_durable_as_soon_as_it_is() -> None:
    store, read = SlowStore(), anyio.Event()
    wf = Workflow("w", input=int, output=int)

    @wf.node
    async def tells(value: int, ctx: Context) -> int:
        await ctx.emit("half way")
        await read.wait()  # a run whose reader saw nothing before the end would wait for ever
        return value

    wf.chain(START, tells, END)
    with anyio.fail_after(30):
        async with wf.compile().start(1, store=store) as run:
            async for event in run.events():
                assert len(store.log) > event.seq
                if event.kind == "Emitted":
                    read.set()
            assert (await run.result()).output == 1


class Flooded(SlowStore):
    """Has no room once `full` is set."""

    full = False

    def before(self, number: int, what: str, batch: Batch) -> None:
        if self.full:
            raise StoreFullError("sqlite:runs.db", "disk full")


@pytest.mark.parametrize("act", [_step, _sleep, _emit, _run])
async def test_a_store_that_fails_under_node_code_ends_the_run_whatever_the_node_makes_of_it(
    act: Callable[..., Any],
) -> None:
    store, tries = Flooded(), list[int]()
    wf = Workflow("w", input=int)

    @wf.node(retry=Retry(attempts=5, delay=0))
    async def keeps_it_to_itself(value: int, ctx: Context) -> None:
        tries.append(ctx.attempt)
        store.full = True
        try:
            await act(ctx, store)
        except StoreFullError:
            store.full = False  # whatever the node does about it, the log has a gap here
            if ctx.attempt < 5:
                raise

    wf.chain(START, keeps_it_to_itself, END)
    graph = wf.compile()
    with pytest.raises(StoreFullError, match="no room left") as caught:
        await graph.run(1, store=store, run_id="r")
    assert not isinstance(caught.value, RunError)
    assert tries == [1], "it is no failure of the node, so it is not retried"
    assert [event.kind for event in await store.events("r")] == ["R", "s"]


async def test_a_node_that_swallows_the_error_of_its_store_does_not_get_its_result_recorded() -> None:
    store = Flooded()
    wf = Workflow("w", input=int)

    @wf.node
    async def swallows(value: int, ctx: Context) -> None:
        store.full = True
        try:
            await ctx.step("pay", _paid)
        except StoreFullError:
            store.full = False

    wf.chain(START, swallows, END)
    with pytest.raises(StoreFullError):
        await wf.compile().run(1, store=store, run_id="r")
    assert [event.kind for event in store.log] == ["R", "s"]
    result = await wf.compile().resume("r", store=store.inner)
    assert result.status == "succeeded"
