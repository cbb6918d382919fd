"""Claims about `ctx.patched`: code that changes while runs are half-way through it goes the old way in those alone."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph import END, START, Context, Graph, NodeFailedError, Workflow
from loomgraph.errors import DefinitionError
from loomgraph.events import StepSucceeded
from loomgraph.store.memory import MemoryStore
from tests.places import Place
from tests.runtime.rehearsal import cut_short

pytestmark = pytest.mark.anyio


class Bill:
    """A node that takes durable steps, in two versions of its code, and fails after them while it is broken."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.broken = True

    async def _step(self, name: str) -> int:
        self.taken.append(name)
        return len(self.taken)

    def _fail(self) -> None:
        if self.broken:
            raise OSError("down")

    def old(self) -> Graph[int, str]:
        async def bill(value: int, ctx: Context) -> str:
            await ctx.step("net", self._step, "net")
            self._fail()
            await ctx.step("tax", self._step, "tax")
            return "one tax"

        return self._graph(bill)

    def new(self) -> Graph[int, str]:
        async def bill(value: int, ctx: Context) -> str:
            two = ctx.patched("two-taxes")
            await ctx.step("net", self._step, "net")
            if not two:
                await ctx.step("tax", self._step, "tax")
                return "one tax"
            await ctx.step("state tax", self._step, "state tax")
            self._fail()
            await ctx.step("city tax", self._step, "city tax")
            return "two taxes"

        return self._graph(bill)

    def _graph(self, bill: Any) -> Graph[int, str]:
        wf = Workflow("bill", input=int, output=str)

        @wf.node(version="1")
        async def before(value: int) -> int:
            return value

        wf.chain(START, before, wf.node(bill, name="bill"), END)
        return wf.compile()


async def test_a_new_run_goes_the_new_way_with_a_store_and_without() -> None:
    bill = Bill()
    bill.broken = False
    assert (await bill.new().run(1)).output == "two taxes"
    result = await bill.new().run(1, store=MemoryStore())
    assert result.output == "two taxes"
    said = [(e.step, e.output) for e in result.events if isinstance(e, StepSucceeded)]
    assert said[0] == ("patched:two-taxes", True)


async def test_what_was_half_way_through_the_old_code_goes_on_the_old_way(place: Place) -> None:
    bill, store = Bill(), place.store()
    try:
        with pytest.raises(NodeFailedError):
            await bill.old().run(1, store=store, run_id="r")
        bill.broken = False
        result = await bill.new().resume("r", store=store, on_change="compatible")
        assert result.output == "one tax"
        assert bill.taken == ["net", "tax"]
        said = [(e.step, e.output) for e in result.events if isinstance(e, StepSucceeded)]
        assert said == [("step:net", 1), ("patched:two-taxes", False), ("step:tax", 2)]
        assert (await bill.new().resume("r", store=store, on_change="compatible")).output == "one tax"
    finally:
        await store.close()


async def test_what_had_not_come_to_that_node_or_left_nothing_in_it_goes_the_new_way() -> None:
    bill, store = Bill(), MemoryStore()
    with pytest.raises(NodeFailedError):
        await bill.old().run(1, store=store, run_id="r")
    bill.broken = False
    events = await store.events("r")
    begun = next(event.seq for event in events if event.key == "bill")
    for stop in (begun, begun + 1):  # before the node began, and before it left anything
        bill.taken.clear()
        cut = await cut_short(store, "r", stop)
        result = await bill.new().resume("r", store=cut, on_change="compatible")
        assert result.output == "two taxes", stop
        assert bill.taken == ["net", "state tax", "city tax"]


async def test_what_was_said_once_is_said_again_in_every_attempt_and_process() -> None:
    bill, store = Bill(), MemoryStore()
    with pytest.raises(NodeFailedError):
        await bill.new().run(1, store=store, run_id="r")
    events = await store.events("r")
    bill.broken = False
    for stop in range(1, len(events)):
        bill.taken.clear()
        cut = await cut_short(store, "r", stop)
        assert (await bill.new().resume("r", store=cut)).output == "two taxes", stop
    bill.taken.clear()
    assert (await bill.new().resume("r", store=store)).output == "two taxes"
    assert bill.taken == ["city tax"]


async def test_each_change_and_each_activation_decides_for_itself() -> None:
    def make(changes: list[str], broken: list[int], seen: list[Any]) -> Graph[int, int]:
        wf = Workflow("round", input=int, output=int)

        @wf.node(version="1")
        def again(value: int, ctx: Context) -> int:
            seen.append((value, {name: ctx.patched(name) for name in changes}))
            ctx.step_sync("half", int, 1)
            if value in broken:
                raise OSError("not yet")
            return value + 1

        wf.edge(START, again)
        wf.edge(again, again, when=lambda value: value < 3, label="more")
        wf.edge(again, END, when=lambda value: value >= 3, label="enough")
        return wf.compile()

    store, seen = MemoryStore(), list[Any]()
    with pytest.raises(NodeFailedError):
        await make(["first"], [1], seen).run(0, store=store, run_id="r")
    seen.clear()
    assert (await make(["first", "second"], [], seen).resume("r", store=store)).output == 3
    # the node has one version all along, so nothing but the log says that other code began iteration 1
    assert seen == [(1, {"first": True, "second": False}), (2, {"first": True, "second": True})]


async def test_a_question_a_sleep_a_wait_and_a_graph_are_left_behind_too() -> None:
    small = Workflow("small", input=int, output=int)

    @small.node(version="1")
    async def breaks(value: int) -> int:
        raise OSError("not yet")

    small.chain(START, breaks, END)
    inner = small.compile()

    def make(what: str, new: bool, said: list[bool]) -> Graph[int, int]:
        wf = Workflow("left", input=int, output=int)

        @wf.node(version="1")
        async def waits(value: int, ctx: Context) -> int:
            if new:
                said.append(ctx.patched("new"))
                return value
            if what == "question":
                await ctx.ask("go on?", bool)
            elif what == "signal":
                await ctx.wait_for("go")
            elif what == "sleep":
                await ctx.sleep(0)
                raise OSError("not yet")
            elif what == "graph":
                await ctx.run(inner, value, key="small")
            raise OSError("nothing left behind")

        wf.chain(START, waits, END)
        return wf.compile()

    for what, way in (("question", False), ("signal", False), ("sleep", False), ("graph", False), ("nothing", True)):
        store, said = MemoryStore(), list[bool]()
        try:
            await make(what, False, said).run(1, store=store, run_id="r")
        except NodeFailedError:
            assert what in ("sleep", "graph", "nothing")
        if what == "question":
            await make(what, True, said).answer("r", {"waits": True}, store=store)
        elif what == "signal":
            await make(what, True, said).signal("r", "go", store=store)
        assert (await make(what, True, said).resume("r", store=store)).output == 1
        assert said == [way], what


async def test_a_fork_that_keeps_the_steps_of_old_code_goes_its_way() -> None:
    bill, store = Bill(), MemoryStore()
    with pytest.raises(NodeFailedError):
        await bill.old().run(1, store=store, run_id="r")
    bill.broken = False
    cut = await bill.old().fork("r", store=store)
    assert (await bill.new().resume(cut, store=store, on_change="compatible")).output == "one tax"
    # driven once more, code that changed keeps no step, so there is nothing that the old way would find
    bill.taken.clear()
    anew = await bill.old().fork("r", store=store, graph=bill.new())
    assert (await bill.new().resume(anew, store=store)).output == "two taxes"
    assert bill.taken == ["net", "state tax", "city tax"]


async def test_a_change_without_a_name_is_refused() -> None:
    wf = Workflow("nameless", input=int, output=int)

    @wf.node
    async def asks(value: int, ctx: Context) -> int:
        return value if ctx.patched("") else 0

    wf.chain(START, asks, END)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(1)
    assert isinstance(caught.value.__cause__, DefinitionError)
    assert "name the change" in str(caught.value.__cause__)
