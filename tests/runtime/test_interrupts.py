"""Claims about interrupts: a run stops before or after the nodes it was told to, once each; the rest goes on."""

from __future__ import annotations

import operator
from collections import Counter
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Graph, NodeFailedError, Workflow
from loomgraph.errors import DefinitionError, RunSuspendedError, StorelessPauseError
from loomgraph.events import NodeHeld, NodeSucceeded
from loomgraph.store.memory import MemoryStore
from tests.runtime.rehearsal import cut_short

pytestmark = pytest.mark.anyio


class Notes(BaseModel):
    lines: Annotated[list[str], operator.add] = []


def review(calls: Counter[str]) -> Graph[Any, Any]:
    """A graph node with two nodes inside, a branch beside it, and a join after both; state throughout."""
    inner = Workflow("review", input=int, output=int)

    @inner.node
    async def draft(value: int, ctx: Context) -> int:
        calls[ctx.key] += 1
        return value + 1

    @inner.node
    async def check(value: int, ctx: Context) -> int:
        calls[ctx.key] += 1
        return value * 10

    inner.chain(START, draft, check, END)
    wf = Workflow("outer", input=int, output=list[int], state=Notes)

    @wf.node
    async def beside(value: int, ctx: Context[Notes]) -> int:
        calls[ctx.key] += 1
        ctx.update(lines=["beside"])
        return value

    @wf.node
    async def last(told: list[int], ctx: Context[Notes]) -> list[int]:
        calls[ctx.key] += 1
        return [*told, len(ctx.state.lines)]

    made = inner.compile()
    wf.edge(START, made)
    wf.edge(START, beside)
    wf.join([made, beside], into=last)
    wf.edge(last, END)
    return wf.compile()


NODES = ["beside", "last", "review", "review/draft", "review/check"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("node", NODES)
async def test_the_run_stops_there_and_a_resume_passes_it_with_the_same_outcome(when: str, node: str) -> None:
    calls, store = Counter[str](), MemoryStore()
    graph = review(calls)
    told: Any = {f"interrupt_{when}": [node]}
    result = await graph.run(1, store=store, run_id="t", **told)
    assert (result.status, result.interrupts) == ("suspended", (node,))
    assert ({"review": "review/draft"}.get(node, node) in calls) == (when == "after")
    assert "last" not in calls or (node, when) == ("last", "after")
    assert "beside" in calls or node == "beside"  # everything else goes on
    with pytest.raises(RunSuspendedError, match=f"stopped at '{node}', as it was told"):
        _ = result.output
    again = await graph.resume("t", store=store, **told)  # told so again, it passes what it has stopped at
    assert (again.status, again.output, again.interrupts) == ("succeeded", [20, 1, 1], ())
    assert set(calls.values()) == {1}
    assert again.state == Notes(lines=["beside"])


async def test_all_nodes_are_stopped_at_one_after_the_other() -> None:
    calls, store = Counter[str](), MemoryStore()
    graph = review(calls)
    stops: list[tuple[str, ...]] = []
    result = await graph.run(1, store=store, run_id="t", interrupt_before=NODES, interrupt_after=NODES)
    while result.status == "suspended":
        stops.append(tuple(sorted(result.interrupts)))
        result = await graph.resume("t", store=store, interrupt_before=NODES, interrupt_after=NODES)
    assert stops == [
        ("beside", "review"),
        ("beside", "review/draft"),
        ("review/draft",),
        ("review/check",),
        ("review/check",),
        ("review",),
        ("last",),
        ("last",),
    ]
    assert result.output == [20, 1, 1]
    assert set(calls.values()) == {1}


async def test_what_finished_before_a_stop_is_kept_and_does_not_run_again_wherever_the_process_died() -> None:
    calls, kept = Counter[str](), MemoryStore()
    graph = review(calls)
    await graph.run(1, store=kept, run_id="t", interrupt_after=["beside"])
    events = await kept.events("t")
    held = next(event.seq for event in events if event.kind == "h")
    for stop in range(held + 1, len(events) + 1):
        calls.clear()
        cut = await cut_short(kept, "t", stop)
        result = await graph.resume("t", store=cut)
        assert result.output == [20, 1, 1], stop
        assert "beside" not in calls
        kinds = [type(e) for e in result.events if getattr(e, "key", "") == "beside"]
        assert (kinds.count(NodeHeld), kinds.count(NodeSucceeded)) == (1, 1)


async def test_a_process_that_died_before_the_run_was_suspended_stops_when_told_again() -> None:
    calls, kept = Counter[str](), MemoryStore()
    graph = review(calls)
    await graph.run(1, store=kept, run_id="t", interrupt_after=["beside"])
    events = await kept.events("t")
    cut = await cut_short(kept, "t", next(event.seq for event in events if event.kind == "h") + 1)
    result = await graph.resume("t", store=cut, interrupt_after=["beside"])
    assert (result.status, result.interrupts) == ("suspended", ("beside",))
    assert (await graph.resume("t", store=cut, interrupt_after=["beside"])).output == [20, 1, 1]


async def test_a_map_stops_as_a_whole_and_its_items_inside() -> None:
    calls = Counter[str]()
    wf = Workflow("mapped", input=list[int], output=list[int])

    @wf.node
    async def each(value: int, ctx: Context) -> int:
        calls[ctx.key] += 1
        return value + 1

    mapped = wf.map(START, each)
    wf.edge(mapped, END)
    graph, store = wf.compile(), MemoryStore()
    result = await graph.run([1, 2, 3], store=store, run_id="t", interrupt_before=["each"], interrupt_after=["each"])
    assert (result.interrupts, calls) == (("each",), Counter())
    result = await graph.resume("t", store=store, interrupt_before=["each"], interrupt_after=["each"])
    assert (result.interrupts, len(calls)) == (("each",), 3)
    assert (await graph.resume("t", store=store)).output == [2, 3, 4]
    assert set(calls.values()) == {1}


async def test_each_round_of_a_loop_is_stopped_at() -> None:
    wf = Workflow("loop", input=int, output=int)

    @wf.node
    async def turn(value: int) -> int:
        return value + 1

    wf.edge(START, turn)
    wf.edge(turn, turn, when=lambda value: value < 3, label="on")
    wf.edge(turn, END, when=lambda value: value >= 3, label="out")
    graph, store = wf.compile(), MemoryStore()
    result = await graph.run(0, store=store, run_id="t", interrupt_after=["turn"])
    stops = list(result.interrupts)
    while result.status == "suspended":
        result = await graph.resume("t", store=store, interrupt_after=["turn"])
        stops += result.interrupts
    assert (stops, result.output) == (["turn#0", "turn#1", "turn#2"], 3)


async def test_a_run_that_fails_elsewhere_ends_and_keeps_what_had_finished_at_a_stop() -> None:
    calls, broken = Counter[str](), [True]
    wf = Workflow("failing", input=int, output=list[int])

    @wf.node
    async def fine(value: int, ctx: Context) -> int:
        calls[ctx.key] += 1
        return value

    @wf.node
    async def fails(value: int, ctx: Context) -> int:
        await ctx.sleep(0.02)
        if broken:
            raise ValueError("no")
        return value + 1

    @wf.node
    async def last(told: list[int]) -> list[int]:
        return told

    wf.edge(START, fine)
    wf.edge(START, fails)
    wf.join([fine, fails], into=last)
    wf.edge(last, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(NodeFailedError):
        await graph.run(1, store=store, run_id="t", interrupt_after=["fine"])
    broken.clear()
    assert (await graph.resume("t", store=store)).output == [1, 2]
    assert calls == {"fine": 1}


async def test_a_question_and_a_stop_wait_together_and_waiting_in_process_ends_with_stops_alone() -> None:
    wf = Workflow("both", input=int, output=list[str])

    @wf.node
    async def ask(value: int, ctx: Context) -> str:
        return await ctx.ask("?", str)

    @wf.node
    async def plain(value: int) -> str:
        return "plain"

    @wf.node
    async def last(told: list[str]) -> list[str]:
        return told

    wf.edge(START, ask)
    wf.edge(START, plain)
    wf.join([ask, plain], into=last)
    wf.edge(last, END)
    graph, store = wf.compile(), MemoryStore()
    async with graph.start(1, store=store, run_id="t", interrupt_before=["plain"], when_asked="wait", lease=0.1) as run:
        async for event in run.events():
            if event.kind == "QuestionAsked":
                run.answer("ask", "said")
        result = await run.result()
    assert (result.status, result.questions, result.interrupts) == ("suspended", (), ("plain",))
    assert (await graph.resume("t", store=store)).output == ["said", "plain"]


@pytest.mark.parametrize("word", ["interrupt_before", "interrupt_after"])
async def test_unknown_names_and_a_missing_store_are_refused_before_anything_runs(word: str) -> None:
    calls: Counter[str] = Counter()
    graph = review(calls)

    def told(names: Any) -> Any:
        return {word: names}

    with pytest.raises(DefinitionError, match=rf"no node 'review/drat'\. Did you mean {word}=\['review/draft'\]\?"):
        await graph.run(1, store=MemoryStore(), **told(["review/drat"]))
    with pytest.raises(DefinitionError, match="is one name and should be a list"):
        await graph.run(1, store=MemoryStore(), **told("beside"))
    with pytest.raises(StorelessPauseError, match=r"it is to stop (before|after) 'beside'"):
        await graph.run(1, **told(["beside"]))
    assert not calls
