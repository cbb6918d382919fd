"""Claims about forks in every store, sealed or not, of runs that wait, went to another place, or go on elsewhere."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from loomgraph import END, START, Agent, Context, Graph, Workflow, tool
from loomgraph.errors import InvalidAnswerError, QuestionClosedError
from loomgraph.events import RunResumed
from loomgraph.models import ScriptedModel, ToolCall, assistant
from loomgraph.store.keys import new_key
from loomgraph.store.memory import MemoryStore
from loomgraph.store.opening import open_store
from loomgraph.store.protocol import Store
from loomgraph.store.sqlite import SQLiteStore
from loomgraph.tools.calls import ToolResult
from tests.places import Place

pytestmark = pytest.mark.anyio


class Approval(BaseModel):
    ok: bool
    note: str = "a text that is long enough to be stored apart from its event, as most of what people say is " * 2


def refund(calls: list[str]) -> Graph[int, str]:
    """A node that takes a step and asks, one that waits for a signal, and one that tells."""
    wf = Workflow("refund", input=int, output=str)

    @wf.node(version="1")
    async def price(value: int, ctx: Context) -> int:
        calls.append("price")
        return value * 2

    @wf.node(version="1")
    async def approve(price: int, ctx: Context) -> Approval:
        calls.append("approve")
        await ctx.step("note", calls.append, "step")
        return await ctx.ask(f"Refund {price}?", Approval)

    @wf.node(version="1")
    async def paid(approval: Approval, ctx: Context) -> int:
        calls.append("paid")
        return int(await ctx.wait_for("paid", int)) if approval.ok else 0

    @wf.node(version="1")
    async def tell(receipt: int) -> str:
        calls.append("tell")
        return f"receipt {receipt}"

    wf.chain(START, price, approve, paid, tell, END)
    return wf.compile()


@asynccontextmanager
async def kept(place: Place) -> AsyncIterator[Store]:
    """A store; those in SQLite are sealed."""
    store = place.store()
    try:
        yield open_store(store, encrypt=new_key()) if place.kind == "sqlite" else store
    finally:
        await store.close()


async def test_a_fork_of_a_run_that_waits_waits_for_its_own_answers(place: Place) -> None:
    calls: list[str] = []
    graph = refund(calls)
    async with kept(place) as store:
        await graph.run(1, store=store, run_id="r")
        calls.clear()
        await graph.fork("r", store=store, run_id="same")
        await graph.fork("r", store=store, run_id="dearer", outputs={"price": 100})
        assert (await graph.resume("same", store=store)).status == "suspended"
        assert calls == []
        waits = await graph.resume("dearer", store=store)
        assert [question.question for question in waits.questions] == ["Refund 100?"]
        assert calls == ["approve", "step"], "another price is another case, with steps of its own"
        for name, number in (("same", 1), ("dearer", 2)):
            await graph.answer(name, {"approve": Approval(ok=True)}, store=store)
            await graph.signal(name, "paid", number, store=store)
            assert (await graph.resume(name, store=store)).output == f"receipt {number}"
        assert (await graph.replay("r", store=store)).status == "suspended", "the run it came from waits on"
        # what a person said is taken over where the case is the same, and asked again where it is not
        calls.clear()
        again = await graph.fork("dearer", store=store, outputs={"paid": 7})
        assert (await graph.resume(again, store=store)).output == "receipt 7"
        assert calls == ["tell"]
        other = await graph.fork("dearer", store=store, inputs={"approve": 101})
        assert [q.question for q in (await graph.resume(other, store=store)).questions] == ["Refund 101?"]


async def test_what_a_run_waited_for_is_answered_in_the_first_resume_of_its_edited_fork(place: Place) -> None:
    graph, yes = refund([]), {"approve": Approval(ok=True)}
    async with kept(place) as store:
        await graph.run(1, store=store, run_id="r")
        edited = await graph.fork("r", store=store, inputs={START: 1})
        twice = await graph.fork(edited, store=store, inputs={START: 1})
        for fork in (edited, twice):
            assert (await graph.resume(fork, store=store, answers=yes)).signals == ("paid",)
            with pytest.raises(QuestionClosedError, match="it has its answer"):
                await graph.answer(fork, yes, store=store)
        live = await graph.fork("r", store=store, inputs={START: 1})
        async with graph.reopen(live, store=store, when_asked="wait") as run:
            events = run.events()
            while not isinstance(await anext(events), RunResumed):
                pass
            run.answer("approve", Approval(ok=True))
            run.signal("paid", 3)
            assert (await run.result()).output == "receipt 3"


async def test_an_answer_to_what_the_edited_fork_asks_otherwise_is_refused_and_the_new_question_waits() -> None:
    graph, store = refund([]), MemoryStore()
    await graph.run(1, store=store, run_id="r")
    dearer = await graph.fork("r", store=store, outputs={"price": 100})
    with pytest.raises(InvalidAnswerError, match=r"given to 'Refund 2\?', and the run asks something else now"):
        await graph.resume(dearer, store=store, answers={"approve": Approval(ok=True)})
    [question] = (await graph.replay(dearer, store=store)).questions
    assert question.question == "Refund 100?"
    assert question.refused is not None
    assert (await graph.resume(dearer, store=store, answers={"approve": Approval(ok=True)})).signals == ("paid",)


async def test_what_was_answered_before_the_fork_says_how_to_be_answered_anew() -> None:
    graph, store = refund([]), MemoryStore()
    await graph.run(1, store=store, run_id="r")
    await graph.resume("r", store=store, answers={"approve": Approval(ok=True)})
    fork = await graph.fork("r", store=store, inputs={START: 2})
    no = {"approve": Approval(ok=False)}
    with pytest.raises(QuestionClosedError, match=r"has not come to it again\. Resume the run without this answer"):
        await graph.resume(fork, store=store, answers=no)
    assert [q.question for q in (await graph.resume(fork, store=store)).questions] == ["Refund 4?"]
    assert (await graph.resume(fork, store=store, answers=no)).output == "receipt 0"


async def test_a_fork_goes_to_another_store_as_one_file_before_and_after_it_went_on(place: Place) -> None:
    graph, key = refund([]), new_key()
    first = place.store()
    try:
        sealed = place.kind == "sqlite"
        store = open_store(first, encrypt=key) if sealed else first
        await graph.run(1, store=store, run_id="r")
        await graph.fork("r", store=store, run_id="f", outputs={"approve": Approval(ok=False)})
        there = MemoryStore()
        elsewhere = open_store(there, encrypt=key) if sealed else there
        header = await elsewhere.import_(b"".join([piece async for piece in store.export("f")]))
        assert (header.parent, header.fork_seq) == ("r", 6)
        result = await graph.resume("f", store=elsewhere)
        assert result.output == "receipt 0"
        back = b"".join([piece async for piece in elsewhere.export("f")])
        await store.delete("f")
        await store.import_(back)
        assert (await graph.replay("f", store=store)).output == "receipt 0"
        both = await graph.compare("r", "f", store=store)
        assert [found.key for found in both.differences] == ["approve", "paid", "tell"]
        assert (await graph.resume(await graph.fork("f", store=store), store=store)).output == "receipt 0"
    finally:
        await first.close()


GOES_ON = """
    import sys

    import anyio

    from loomgraph import END, START, Workflow

    wf = Workflow("slow", input=int, output=int)

    @wf.node(version="1")
    async def first(value: int) -> int:
        return value + 1

    @wf.node(version="1")
    async def second(value: int) -> int:
        if value == 2:
            print("waiting", flush=True)
            await anyio.to_thread.run_sync(sys.stdin.readline)
        return value * 2

    wf.chain(START, first, second, END)
    graph = wf.compile()
    if __name__ == "__main__":
        print(graph.run_sync(1, store=f"sqlite:{sys.argv[1]}", run_id="r").output)
"""


def test_a_run_is_forked_while_another_process_goes_on_with_it(tmp_path: Path) -> None:
    program = tmp_path / "goes_on.py"
    program.write_text(textwrap.dedent(GOES_ON))
    names: dict[str, Any] = {"__name__": "goes_on"}
    exec(compile(program.read_text(), program, "exec"), names)
    graph: Graph[int, int] = names["graph"]
    database = tmp_path / "runs.db"

    async def fork() -> None:
        async with SQLiteStore(database) as store:
            forked = await graph.fork("r", store=store, outputs={"first": 50})
            assert (await graph.resume(forked, store=store)).output == 100
            assert (await store.load("r")).status == "running"

    async def end() -> None:
        assert (await graph.replay("r", store=f"sqlite:{database}")).output == 4

    command = [sys.executable, str(program), str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        anyio.run(fork)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "4\n"
        assert process.wait() == 0
    anyio.run(end)


async def test_what_a_tool_said_is_edited_and_the_agent_goes_on_from_there() -> None:
    looked: list[str] = []

    @tool(read_only=True, reads="item")
    def in_stock(item: str) -> int:
        """How many of an item are in stock."""
        looked.append(item)
        return 5

    def clerk() -> tuple[Graph[Any, Any], ScriptedModel]:
        items = enumerate(("nut", "bolt"))
        look = [ToolCall(id=str(i), name="in_stock", arguments={"item": item}) for i, item in items]
        tells: Any = lambda request: request.messages[-1].results[0].text  # noqa: E731
        model = ScriptedModel([assistant(*look), tells], order="conversation")
        return Agent("clerk", model, tools=[in_stock]).graph, model

    graph, _ = clerk()
    store = MemoryStore()
    assert (await graph.run("nuts and bolts", store=store, run_id="r")).output == "5"
    key = "tools#0/@tools/in_stock"
    said = ToolResult(id="0", name="in_stock", outcome="ok", content="99", value=99)
    for edit in (said, said.model_dump(mode="json")):
        looked.clear()
        graph, model = clerk()
        forked = await graph.fork("r", store=store, outputs={key: edit})
        assert (await graph.resume(forked, store=store)).output == "99"
        assert looked == []
        assert len(model.requests) == 1
        both = await graph.compare("r", forked, store=store)
        assert [found.key for found in both.differences if found.source] == [key]
