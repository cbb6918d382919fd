"""Claims about runs that are resumed with another version of their graph: what fits goes on, the rest is named."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph import END, START, Context, Graph, NodeFailedError, Workflow
from loomgraph.errors import GraphChangedError, InvalidAnswerError
from loomgraph.events import NodeStarted, QuestionAnswered, QuestionAsked, RunRedriven
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Store
from tests.runtime.rehearsal import cut_short

pytestmark = pytest.mark.anyio


def nested(version: str, last: str = "last", *, broken: bool = True, gives: Any = int) -> Graph[int, int]:
    """A graph in a graph, whose last node fails while it is broken."""
    inner = Workflow("inner", input=int, output=int)

    async def deep(value: int) -> int:
        return value + 1

    deep.__annotations__["return"] = gives
    inner.chain(START, inner.node(deep, version=version), END)
    wf = Workflow("outer", input=int, output=int)

    async def ends(value: int) -> int:
        if broken:
            raise OSError("not yet")
        return value * 10

    wf.chain(START, inner.compile(), wf.node(ends, name=last, version="1"), END)
    return wf.compile()


async def failed() -> Store:
    store = MemoryStore()
    with pytest.raises(NodeFailedError):
        await nested("1").run(1, store=store, run_id="r")
    return store


async def test_a_change_inside_a_nested_graph_is_named_by_its_path_and_the_run_stays_as_it_was() -> None:
    store = await failed()
    before = (await store.load("r"), await store.events("r"))
    with pytest.raises(GraphChangedError) as caught:
        await nested("2", broken=False).resume("r", store=store)
    assert caught.value.differences == ("node 'inner/deep', which has run, has other code",)
    assert (await store.load("r"), await store.events("r")) == before
    result = await nested("2", broken=False).resume("r", store=store, on_change="compatible")
    assert result.output == 20


async def test_a_renamed_pending_node_is_named_as_what_it_is() -> None:
    store = MemoryStore()
    await nested("1", broken=False).run(1, store=store, run_id="r")
    events = await store.events("r")
    started = next(e.seq for e in events if e.key == "last")
    cut = await cut_short(store, "r", started)
    with pytest.raises(GraphChangedError) as caught:
        await nested("1", "finish", broken=False).resume("r", store=cut)
    assert caught.value.differences == ("node 'last', which has not run yet, is called 'finish' now",)
    assert "on_change='rerun'" in str(caught.value)
    assert (await nested("1", broken=False).resume("r", store=cut)).output == 20


async def test_a_node_that_has_not_run_may_do_something_else() -> None:
    def make(version: str, factor: int) -> Graph[int, int]:
        wf = Workflow("w", input=int, output=int)

        async def first(value: int) -> int:
            return value

        async def second(value: int) -> int:
            return value * factor

        wf.chain(START, wf.node(first, version="1"), wf.node(second, version=version), END)
        return wf.compile()

    store = MemoryStore()
    await make("1", 2).run(3, store=store, run_id="r")
    cut = await cut_short(store, "r", 3)
    assert (await make("2", 5).resume("r", store=cut)).output == 15


async def test_other_types_are_refused_whatever_may_change() -> None:
    store = await failed()
    with pytest.raises(GraphChangedError, match="'inner/deep', which has run, takes or gives other types"):
        await nested("1", gives=bool).resume("r", store=store, on_change="compatible")


@pytest.mark.parametrize("cap", [2, 3, 5])
async def test_a_loop_that_went_past_its_cap_has_done_so_whatever_the_cap_is_by_now(cap: int) -> None:
    def make(cap: int) -> Graph[int, int]:
        wf = Workflow("capped", input=int, output=int)

        @wf.node
        async def again(value: int) -> int:
            return value + 1

        @wf.node
        async def late(value: int, ctx: Context) -> int:
            return value * 100

        wf.edge(START, again)
        wf.edge(again, again, when=lambda value: value < 100, label="again")
        wf.edge(again, END, when=lambda value: value >= 100, label="out")
        wf.loop(again, cap=cap, on_cap=late)
        wf.edge(late, END)
        return wf.compile()

    store = MemoryStore()
    result = await make(3).run(0, store=store, run_id="r")
    assert result.output == 300
    for stop in range(1, len(await store.events("r"))):
        cut = await cut_short(store, "r", stop)
        events = await cut.events("r")
        again = await make(cap).resume("r", store=cut)
        if any(event.kind == "c" for event in events):
            assert again.output == 300, stop
        else:  # the cap was not reached, so the new one counts, but never less than what had begun
            begun = len([event for event in events if event.kind == "i"]) + 1
            assert again.output == max(cap, begun) * 100, stop


@pytest.mark.parametrize("limit", [1, 2, None])
async def test_items_of_a_map_that_had_begun_are_known_whatever_its_limit_is_by_now(limit: int | None) -> None:
    running = most = 0

    def make(limit: int | None) -> Graph[list[int], list[int]]:
        wf = Workflow("mapped", input=list[int], output=list[int])

        @wf.node
        async def work(value: int, ctx: Context) -> int:
            nonlocal running, most
            running, most = running + 1, max(most, running + 1)
            await ctx.sleep(0)
            running -= 1
            return value * 2

        wf.edge(wf.map(START, work, limit=limit), END)
        return wf.compile()

    store = MemoryStore()
    result = await make(4).run(list(range(8)), store=store, run_id="r")
    for stop in range(1, len(await store.events("r"))):
        cut = await cut_short(store, "r", stop)
        done = {event.key for event in await cut.events("r") if event.kind == "+"}
        begun = {event.key for event in await cut.events("r") if event.kind == "s"} - done
        most = 0
        again = await make(limit).resume("r", store=cut)
        assert again.output == result.output
        assert most <= max(limit or 8, len(begun))
        later = {e.key for e in again.events[stop:] if isinstance(e, NodeStarted)}
        assert not later & done


def asking(version: str, factor: int, asked: list[str]) -> Graph[int, str]:
    """A node that may change, one that asks about what it gave, and one that waits for a signal."""
    wf = Workflow("asking", input=int, output=str)

    async def before(value: int) -> int:
        return value * factor

    @wf.node(version="1")
    async def ask(value: int, ctx: Context) -> str:
        asked.append(f"{value}")
        return await ctx.ask(f"is it {value}?", str)

    @wf.node(version="1")
    async def tell(answer: str, ctx: Context) -> str:
        return f"{answer} {await ctx.wait_for('go', int)}"

    wf.chain(START, wf.node(before, name="before", version=version), ask, tell, END)
    return wf.compile()


async def test_an_answer_fits_the_question_that_is_asked_again_once_the_graph_has_changed() -> None:
    store, asked = MemoryStore(), list[str]()
    assert (await asking("1", 2, asked).run(1, store=store, run_id="r")).status == "suspended"
    same = asking("2", 2, asked)  # other code that gives the same
    await same.signal("r", "go", 7, store=store)
    result = await same.resume("r", store=store, on_change="rerun", answers={"ask": "yes"})
    assert result.output == "yes 7"
    assert len([event for event in result.events if isinstance(event, QuestionAnswered)]) == 1
    begin = next(event.seq for event in result.events if isinstance(event, RunRedriven))
    for stop in range(begin, len(result.events)):
        cut = await cut_short(store, "r", stop)
        for message in await store.inbox("r"):
            await cut.post("r", message.id, message.kind, message.data)
        assert (await same.resume("r", store=cut, on_change="rerun")).output == "yes 7", stop


async def test_an_answer_to_what_is_asked_no_more_is_not_taken_for_one_to_what_is_asked_instead() -> None:
    store, asked = MemoryStore(), list[str]()
    await asking("1", 2, asked).run(1, store=store, run_id="r")
    other = asking("2", 5, asked)
    with pytest.raises(InvalidAnswerError, match=r"'yes' is no answer to question 'ask' .* was given to 'is it 2\?"):
        await other.resume("r", store=store, on_change="rerun", answers={"ask": "yes"})
    for _ in range(2):
        result = await other.resume("r", store=store)
        [question] = result.questions
        assert question.question == "is it 5?"
        assert question.refused == "it was given to 'is it 2?', and the run asks something else now"
        assert len([event for event in result.events if isinstance(event, QuestionAsked)]) == 3
    assert asked == ["2", "5"]
    result = await other.resume("r", store=store, answers={"ask": "no"})
    assert result.signals == ("go",)
