"""Claims about the pause: a node cannot swallow it, it holds nothing, and everything else goes on meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any

import anyio
import anyio.to_thread
import pytest

from loomgraph import END, START, Context, Graph, NodeFailedError, Retry, Workflow
from loomgraph.errors import (
    DeadlineError,
    GraphChangedError,
    QuestionClosedError,
    RunCancelledError,
    UnknownQuestionError,
)
from loomgraph.events import NodeCancelled, NodeStarted, QuestionWithdrawn, RunSuspended
from loomgraph.runtime.questions import open_questions
from loomgraph.store.memory import MemoryStore

pytestmark = pytest.mark.anyio


async def swallows(ctx: Context) -> str:
    try:
        return await ctx.ask("?", str)
    except BaseException:
        return "made up"


async def swallows_and_fails(ctx: Context) -> str:
    try:
        return await ctx.ask("?", str)
    except BaseException as error:
        raise ValueError("made up") from error


async def goes_on_in_a_task(ctx: Context) -> str:
    async with anyio.create_task_group() as group:
        group.start_soon(ctx.ask, "?", str)
    return await ctx.ask("?", str, key="never") if ctx.attempt > 9 else "answered"


async def asks_from_a_thread(ctx: Context) -> str:
    with contextlib.suppress(BaseException):
        return await anyio.to_thread.run_sync(lambda: ctx.ask_sync("?", str))
    return "made up"


async def asks_shielded(ctx: Context) -> str:
    with anyio.CancelScope(shield=True), contextlib.suppress(BaseException):
        return await ctx.ask("?", str)
    return "made up"


SWALLOWING = [swallows, swallows_and_fails, goes_on_in_a_task, asks_from_a_thread, asks_shielded]


def graph_of(fn: Any) -> Graph[Any, Any]:
    wf = Workflow("one", input=int, output=str)

    @wf.node(retry=Retry(attempts=3, delay=0, on=Exception))
    async def ask(value: int, ctx: Context) -> str:
        said = await fn(ctx)
        return str(said)

    @wf.node
    async def after(said: str) -> str:
        return f"after {said}"

    wf.chain(START, ask, after, END)
    return wf.compile()


@pytest.mark.parametrize("fn", SWALLOWING)
async def test_a_node_cannot_make_the_pause_an_answer_or_a_failure(fn: Any) -> None:
    graph, store = graph_of(fn), MemoryStore()
    result = await graph.run(1, store=store, run_id="t")
    assert (result.status, [q.id for q in result.questions]) == ("suspended", ["ask"])
    assert [(a.key, a.status, a.attempts) for a in result.activations] == [("ask", "waiting", 1)]
    result = await graph.resume("t", store=store, answers={"ask": "answered"})
    assert result.output == "after answered"


async def test_a_plain_function_cannot_swallow_the_pause_either() -> None:
    wf, reached = Workflow("threads", input=int, output=str), list[str]()

    @wf.node
    def ask(value: int, ctx: Context) -> str:
        try:
            said = ctx.ask_sync("?", str)
        except BaseException:
            reached.append("after the pause")
            with contextlib.suppress(BaseException):
                return ctx.ask_sync("another?", str, key="other")
            return "made up"
        return said

    wf.chain(START, ask, END)
    graph, store = wf.compile(), MemoryStore()
    result = await graph.run(1, store=store, run_id="t")
    assert result.status == "suspended"
    assert (await graph.resume("t", store=store, answers={"ask": "yes"})).output == "yes"
    assert reached == ["after the pause"]


async def test_asyncio_tasks_that_ask_are_stopped_too(anyio_backend_name: str) -> None:
    if anyio_backend_name == "trio":
        pytest.skip("trio has no tasks outside of a nursery")
    wf = Workflow("gathered", input=int, output=list[str])

    @wf.node
    async def ask(value: int, ctx: Context) -> list[str]:
        return await asyncio.gather(*(ctx.ask(f"{name}?", str, key=name) for name in "abc"))

    wf.chain(START, ask, END)
    graph, store = wf.compile(), MemoryStore()
    result = await graph.run(1, store=store, run_id="t")
    assert [q.id for q in result.questions] == ["ask@a", "ask@b", "ask@c"]  # all at once
    answers = {"ask@a": "A", "ask@c": "C"}
    assert [q.id for q in (await graph.resume("t", store=store, answers=answers)).questions] == ["ask@b"]
    assert (await graph.resume("t", store=store, answers={"ask@b": "B"})).output == ["A", "B", "C"]


async def test_several_questions_of_one_node_are_asked_at_once() -> None:
    wf = Workflow("several", input=int, output=dict[str, str])

    @wf.node
    async def ask(value: int, ctx: Context) -> dict[str, str]:
        said: dict[str, str] = {}

        async def one(name: str) -> None:
            said[name] = await ctx.ask(f"{name}?", str, key=name)

        async with anyio.create_task_group() as group:
            for name in "abc":
                group.start_soon(one, name)
        return dict(sorted(said.items()))

    wf.chain(START, ask, END)
    graph, store = wf.compile(), MemoryStore()
    result = await graph.run(1, store=store, run_id="t")
    assert {q.id for q in result.questions} == {"ask@a", "ask@b", "ask@c"}
    answers = {q.id: q.id[-1].upper() for q in result.questions}
    assert (await graph.resume("t", store=store, answers=answers)).output == {"a": "A", "b": "B", "c": "C"}


async def test_a_step_that_has_begun_is_seen_through_before_the_attempt_ends() -> None:
    wf, calls = Workflow("stepping", input=int, output=str), Counter[str]()
    gate, asked = anyio.Event(), anyio.Event()

    async def pay() -> str:
        calls["pay"] += 1
        gate.set()
        await asked.wait()
        calls["paid"] += 1
        return "paid"

    @wf.node
    async def ask(value: int, ctx: Context) -> str:
        said: list[str] = []

        async def step() -> None:
            said.append(await ctx.step("pay", pay))

        async with anyio.create_task_group() as group:
            group.start_soon(step)
            await gate.wait()
            said.append(await ctx.ask("?", str))
        return " ".join(sorted(said))

    wf.chain(START, ask, END)
    graph, store = wf.compile(), MemoryStore()
    async with graph.start(1, store=store, run_id="t") as run:
        async for event in run.events():
            if event.kind == "QuestionAsked":
                asked.set()
        assert (await run.result()).status == "suspended"
    assert (await graph.resume("t", store=store, answers={"ask": "yes"})).output == "paid yes"
    assert calls == {"pay": 1, "paid": 1}


async def test_what_can_work_works_while_a_question_is_open_even_with_one_slot() -> None:
    wf, seen = Workflow("busy", input=int, output=list[int]), list[int]()

    @wf.node(limit=1)
    async def ask(value: int, ctx: Context) -> int:
        return await ctx.ask("?", int)

    @wf.node(retry=Retry(attempts=3, delay=0.01, jitter=0))
    async def work(value: int, ctx: Context) -> int:
        seen.append(value)
        await ctx.sleep(0.01)
        if value == 3 and ctx.attempt < 3:
            raise ConnectionError("not yet")
        return value + 1

    @wf.node
    async def last(told: list[int]) -> list[int]:
        return told

    wf.edge(START, ask)
    wf.edge(START, work)
    wf.edge(work, work, when=lambda value: value < 5, label="on")
    wf.join([ask, work.when(lambda value: value >= 5)], into=last)
    wf.edge(last, END)
    graph, store = wf.compile(), MemoryStore()
    result = await graph.run(1, store=store, run_id="t", limit=1)
    assert (result.status, seen) == ("suspended", [1, 2, 3, 3, 3, 4])
    assert (await graph.resume("t", store=store, answers={"ask": 9}, limit=1)).output == [9, 5]


async def test_no_timeout_runs_while_a_question_is_open_and_each_start_has_all_of_it() -> None:
    wf, store = Workflow("timed", input=int, output=str), MemoryStore()

    @wf.node(timeout=0.3)
    async def ask(value: int, ctx: Context) -> str:
        return await ctx.ask("?", str)

    @wf.node
    async def slow(value: int) -> str:
        await anyio.sleep(0.5)
        return "slow"

    @wf.node
    async def last(told: list[str]) -> str:
        return " ".join(told)

    wf.edge(START, ask)
    wf.edge(START, slow)
    wf.join([ask, slow], into=last)
    wf.edge(last, END)
    graph = wf.compile()
    assert (await graph.run(1, store=store, run_id="t")).status == "suspended"
    assert (await graph.resume("t", store=store, answers={"ask": "quick"})).output == "quick slow"


def nested() -> tuple[Graph[Any, Any], Counter[str]]:
    """A node that runs two graphs at once with ctx.run, and one as its body; all of them ask."""
    calls = Counter[str]()
    inner = Workflow("inner", input=str, output=str)

    @inner.node
    async def prepare(name: str, ctx: Context) -> str:
        calls[ctx.key] += 1
        return name.upper()

    @inner.node
    async def ask(name: str, ctx: Context) -> str:
        calls[ctx.key] += 1
        return f"{name} {await ctx.ask(f'{name}?', str)}"

    inner.chain(START, prepare, ask, END)
    made = inner.compile()
    wf = Workflow("outer", input=str, output=str)

    @wf.node
    async def both(name: str, ctx: Context) -> str:
        calls[ctx.key] += 1
        said: dict[str, str] = {}

        async def run(key: str) -> None:
            said[key] = await ctx.run(made, f"{name}{key}", key=key)

        async with anyio.create_task_group() as group:
            group.start_soon(run, "x")
            group.start_soon(run, "y")
        return f"{said['x']}, {said['y']}"

    wf.chain(START, both, made, END)
    return wf.compile(), calls


async def test_graphs_inside_nodes_ask_and_nothing_that_finished_in_them_runs_again() -> None:
    (graph, calls), store = nested(), MemoryStore()
    result = await graph.run("n", store=store, run_id="t")
    assert {q.id for q in result.questions} == {"both/@x/ask", "both/@y/ask"}
    result = await graph.resume("t", store=store, answers={"both/@y/ask": "yes"})
    assert [q.id for q in result.questions] == ["both/@x/ask"]
    result = await graph.resume("t", store=store, answers={"both/@x/ask": "no"})
    assert [q.id for q in result.questions] == ["inner/ask"]
    result = await graph.resume("t", store=store, answers={"inner/ask": "fine"})
    assert result.output == "NX NO, NY YES fine"
    assert calls["both/@x/prepare"] == calls["both/@y/prepare"] == calls["inner/prepare"] == 1
    assert calls["both/@x/ask"] == calls["both/@y/ask"] == 2


async def test_a_graph_that_a_node_began_goes_on_while_the_node_itself_waits() -> None:
    inner, calls = Workflow("inner", input=int, output=int), Counter[str]()
    gate = anyio.Event()

    @inner.node
    async def work(value: int) -> int:
        calls["work"] += 1
        await gate.wait()
        return value + 1

    inner.chain(START, work, END)
    made = inner.compile()
    wf = Workflow("outer", input=int, output=list[int])

    @wf.node
    async def ask(value: int, ctx: Context) -> list[int]:
        calls["ask"] += 1
        said: list[int] = []

        async def run() -> None:
            said.append(await ctx.run(made, value, key="inner"))

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            while not calls["work"]:
                await anyio.lowlevel.checkpoint()
            answer = await ctx.ask("?", int)
        return [*said, answer]

    wf.chain(START, ask, END)
    graph, store = wf.compile(), MemoryStore()
    async with graph.start(1, store=store, run_id="t", when_asked="wait", lease=0.1) as run:
        async for event in run.events():
            if event.kind == "QuestionAsked":
                run.answer("ask", 7)
            if event.kind == "NodeStarted" and event.key == "ask" and calls["ask"] == 2:
                gate.set()
        assert (await run.result()).output == [2, 7]
    assert calls == {"ask": 2, "work": 1}


async def test_a_node_that_gives_its_graph_another_input_after_a_question_is_told_so() -> None:
    inner = Workflow("inner", input=int, output=int)

    @inner.node
    async def ask(value: int, ctx: Context) -> int:
        return await ctx.ask("inner?", int)

    inner.chain(START, ask, END)
    made, count = inner.compile(), [0]
    wf = Workflow("outer", input=int, output=int)

    @wf.node
    async def both(value: int, ctx: Context) -> int:
        count[0] += 1
        given = 0
        async with anyio.create_task_group() as group:
            group.start_soon(ctx.ask, "outer?", int)
            given = await ctx.run(made, count[0], key="k")
        return given

    wf.chain(START, both, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(NodeFailedError, match="node 'both' runs the graph with another input under") as caught:
        async with graph.start(1, store=store, run_id="t", when_asked="wait", lease=0.1) as run:
            async for event in run.events():
                if event.kind == "QuestionAsked" and event.id == "both":
                    run.answer("both", 7)
            await run.result()
    assert isinstance(caught.value.__cause__, GraphChangedError)


async def test_loops_and_maps_ask_with_an_id_for_each_round_and_item() -> None:
    wf = Workflow("rounds", input=list[int], output=list[int])

    @wf.node
    async def each(value: int, ctx: Context) -> int:
        return value + await ctx.ask(f"{value}?", int)

    mapped = wf.map(START, each)

    @wf.node
    async def again(values: list[int], ctx: Context) -> list[int]:
        return [value + await ctx.ask("more?", int) for value in values[:1]]

    wf.edge(mapped, again)
    wf.edge(again, again, when=lambda values: values[0] < 20, label="small")
    wf.edge(again, END, when=lambda values: values[0] >= 20, label="large")
    graph, store = wf.compile(), MemoryStore()
    result = await graph.run([1, 2, 3], store=store, run_id="t")
    ids: list[str] = []
    while result.status == "suspended":
        ids += [question.id for question in result.questions]
        result = await graph.resume("t", store=store, answers={q.id: 10 for q in result.questions})
    assert sorted(ids) == ["again#0", "each[0]", "each[1]", "each[2]"]
    assert result.output == [21]


async def test_an_early_join_that_is_decided_withdraws_the_questions_of_the_losers() -> None:
    wf = Workflow("race", input=int, output=str)

    @wf.node
    async def ask(value: int, ctx: Context) -> str:
        return await ctx.ask("?", str)

    @wf.node
    async def clock(value: int, ctx: Context) -> str:
        await ctx.wait_for("go")
        return "the clock"

    @wf.node
    async def won(value: str) -> str:
        return value

    wf.edge(START, ask)
    wf.edge(START, clock)
    wf.join([ask, clock], into=won, wait="first")
    wf.edge(won, END)
    graph, store = wf.compile(), MemoryStore()
    assert (await graph.run(1, store=store, run_id="t")).status == "suspended"
    await graph.signal("t", "go", store=store)
    result = await graph.resume("t", store=store)
    assert result.output == "the clock"
    assert [(e.id, e.reason) for e in result.events if isinstance(e, QuestionWithdrawn)] == [
        ("ask", "nobody waits for its node any more")
    ]
    with pytest.raises(QuestionClosedError, match="withdrawn, because nobody waits for its node any more"):
        await graph.answer("t", {"ask": "too late"}, store=store)


@pytest.mark.parametrize("how", ["cancel", "deadline", "failure"])
async def test_a_run_that_ends_otherwise_withdraws_its_questions(how: str) -> None:
    wf, asked, ended = Workflow("ending", input=int, output=list[str]), anyio.Event(), list[bool]()

    @wf.node
    async def ask(value: int, ctx: Context) -> str:
        return await ctx.ask("?", str)

    @wf.node
    async def other(value: int, ctx: Context) -> str:
        if ended:
            return "other"
        await asked.wait()
        if how == "failure":
            raise ValueError("no")
        await anyio.sleep_forever()
        return ""

    @wf.node
    async def last(told: list[str]) -> list[str]:
        return told

    wf.edge(START, ask)
    wf.edge(START, other)
    wf.join([ask, other], into=last)
    wf.edge(last, END)
    graph, store = wf.compile(), MemoryStore()
    expected = {"cancel": RunCancelledError, "deadline": DeadlineError, "failure": NodeFailedError}[how]
    with pytest.raises(expected) as caught:
        async with graph.start(1, store=store, run_id="t", deadline=0.5 if how == "deadline" else None) as run:
            async for event in run.events():
                if event.kind == "QuestionAsked":
                    asked.set()
                    if how == "cancel":
                        run.cancel()
            await run.result()
    events = caught.value.result.events
    assert [event.id for event in events if isinstance(event, QuestionWithdrawn)] == ["ask"]
    assert await open_questions(store, "t") == ()
    status = {record.key: record.status for record in caught.value.result.activations}
    assert status["ask"] == "cancelled"
    with pytest.raises(QuestionClosedError):
        await graph.answer("t", {"ask": "too late"}, store=store)
    ended.append(True)
    assert [q.id for q in (await graph.resume("t", store=store)).questions] == ["ask"]
    assert (await graph.resume("t", store=store, answers={"ask": "yes"})).output == ["yes", "other"]


async def test_a_suspended_run_holds_no_lease_and_another_process_may_take_it() -> None:
    graph, store = graph_of(swallows), MemoryStore()
    await graph.run(1, store=store, run_id="t", lease=1000)
    lease = await store.acquire("t", "somebody", 60)
    await store.release(lease)


async def test_hundreds_of_open_questions_hold_no_task_and_cost_their_number() -> None:
    wf = Workflow("many", input=list[int], output=list[int])

    @wf.node
    async def ask(value: int, ctx: Context) -> int:
        return await ctx.ask(f"{value}?", int)

    mapped = wf.map(START, ask)
    wf.edge(mapped, END)
    graph, store = wf.compile(), MemoryStore()
    result = await graph.run(list(range(300)), store=store, run_id="t")
    assert len(result.questions) == 300
    result = await graph.resume("t", store=store, answers={"ask[7]": 7})
    assert len(result.questions) == 299
    started = [event.key for event in result.events if isinstance(event, NodeStarted)]
    assert Counter(started)["ask[7]"] == 2
    assert len(started) == 302
    suspended = [event.questions for event in result.events if isinstance(event, RunSuspended)]
    assert suspended == [300, 299]
    done = await graph.resume("t", store=store, answers={q.id: int(q.id[4:-1]) for q in result.questions})
    assert done.output == list(range(300))


async def test_what_a_node_asked_and_does_not_need_any_more_is_withdrawn_when_it_ends() -> None:
    wf = Workflow("either", input=int, output=str)

    @wf.node
    async def ask(value: int, ctx: Context) -> str:
        said: list[str] = []
        async with anyio.create_task_group() as group:

            async def one(name: str) -> None:
                said.append(await ctx.ask(f"{name}?", str, key=name))
                group.cancel_scope.cancel()

            group.start_soon(one, "a")
            group.start_soon(one, "b")
        return said[0]

    wf.chain(START, ask, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(1, store=store, run_id="t")
    result = await graph.resume("t", store=store, answers={"ask@b": "B"})
    if result.status == "suspended":  # the other task came first, and ended the attempt again
        result = await graph.resume("t", store=store, answers={"ask@a": "A"})
    assert result.output in {"A", "B"}
    assert not [e for e in result.events if isinstance(e, NodeCancelled)]
    with pytest.raises(QuestionClosedError):
        await graph.answer("t", {"ask@a": "A2"}, store=store)
    with pytest.raises(UnknownQuestionError):
        await graph.answer("t", {"ask@c": "C"}, store=store)
