"""Claims about results that are too long to be shown whole, and about tools that may not be called too fast."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from loomgraph import Agent, tool
from loomgraph.errors import DefinitionError
from loomgraph.models import ModelRequest, ScriptedModel, ToolCall, ToolMessage, assistant
from loomgraph.store.memory import MemoryStore
from loomgraph.tools import ToolCall as Call
from loomgraph.tools import ToolResult, batch_graph
from loomgraph.tools.builtin import read_result
from loomgraph.tools.spill import LONGEST
from tests.e2e.virtual import spend, virtually

BOOK = "".join(f"line {number:05d}\n" for number in range(10_000))


@tool(reads=(), max_chars=60)
async def fetch(name: str) -> str:
    return BOOK if name == "book" else name * (LONGEST + 1)


def results(request: ModelRequest) -> list[str]:
    message = request.messages[-1]
    assert isinstance(message, ToolMessage)
    return [result.text for result in message.results]


def call(id: str, tool: str, /, **given: Any) -> ToolCall:
    return ToolCall(id=id, name=tool, arguments=given)


NAME = "tools#0/@tools/fetch"


def reader(*turns: Any, **options: Any) -> tuple[Agent[str, str], ScriptedModel]:
    model = ScriptedModel([call("1", "fetch", name="book"), *turns, "Done."], order="conversation")
    return Agent("reader", model, tools=[fetch, read_result], **options), model


@pytest.mark.anyio
async def test_what_is_left_out_of_a_result_says_how_to_read_it_and_is_read_from_the_log() -> None:
    reading = assistant(
        call("2", "read_result", result=NAME, start=40, length=11),
        call("3", "read_result", result=NAME, find="line 04321", length=10),
        call("4", "read_result", result=NAME, start=len(BOOK) - 11),
    )
    agent, model = reader(reading)
    await agent.run("Read.")
    [shown] = results(model.requests[1])
    total = len(BOOK)
    note = f"[... {total - 60} of {total} characters left out; read_result with result='{NAME}' and start=40 ...]"
    assert shown == f"{BOOK[:40]}\n{note}\n{BOOK[-20:]}"
    assert results(model.requests[2]) == [
        f"003\nline 00\n[characters 40 to 51 of {len(BOOK)}; read on with start=51]",
        f"line 04321\n[characters {4321 * 11} to {4321 * 11 + 10} of {len(BOOK)}; read on with start={4321 * 11 + 10}]",
        f"line 09999\n\n[characters {len(BOOK) - 11} to {len(BOOK)} of {len(BOOK)}]",
    ]


@pytest.mark.anyio
async def test_it_is_there_in_an_agent_inside_a_graph_and_after_a_resume_in_another_process(tmp_path: Path) -> None:
    broken = [True]

    @tool(reads=())
    async def pause() -> str:
        if broken[0]:
            raise BaseExceptionGroup("the process ends", [KeyboardInterrupt()])
        return "on"

    agent, model = reader(call("2", "pause"), call("3", "read_result", result=NAME, start=99_990))
    agent = agent.replace(tools=[fetch, read_result, pause])
    outer = Agent(
        "outer", ScriptedModel([call("a", "reader", input="Read."), "Read."], order="conversation"), tools=[agent]
    )
    store = f"sqlite:{tmp_path / 'runs.db'}"
    with pytest.raises(BaseException):  # noqa: B017, PT011 - whatever a process that ends raises
        await outer.run("Read.", store=store, run_id="r")
    broken[0] = False
    assert (await outer.resume("r", store=store)).output == "Read."
    assert results(model.requests[-1])[0].startswith("line 0909")
    assert f"result='{NAME}'" in results(model.requests[1])[0]


@pytest.mark.anyio
async def test_another_result_and_places_outside_of_it_are_refused() -> None:
    reading = assistant(
        call("2", "read_result", result="nothing"),
        call("3", "read_result", result="model#0"),
        call("4", "read_result", result=NAME, start=len(BOOK)),
        call("5", "read_result", result=NAME, find="nowhere"),
        call("6", "fetch", name="x"),
    )
    agent, model = reader(reading)
    await agent.run("Read.", store=MemoryStore())
    told = results(model.requests[2])
    assert told[0].startswith("there is no result 'nothing'")
    assert told[1].startswith("there is no result 'model#0'")
    assert "start=110000, length=20000 is none" in told[2]
    assert told[3] == "'nowhere' does not stand in the result behind character 0."
    assert f"has {LONGEST + 1} characters, and no more than {LONGEST} are kept" in told[4]


def test_calls_of_a_tool_with_a_pace_follow_one_another_no_faster() -> None:
    began: list[float] = []

    @tool(reads=(), calls_per_minute=30)
    async def search(text: str) -> str:
        began.append(trio.current_time())
        return text

    @tool(reads=())
    async def other(text: str) -> str:
        return text

    calls = [Call(id=f"{i}", name="search" if i < 4 else "other", arguments={"text": "x"}) for i in range(8)]
    tools = {"search": search, "other": other}

    async def twice() -> list[ToolResult]:
        graph = batch_graph(calls, tools)
        first = (await graph.run(calls)).output
        return [*first, *(await graph.run(calls)).output]

    assert all(result.ok for result in virtually(twice))
    assert [round(at - began[0], 6) for at in began] == [0, 2, 4, 6, 8, 10, 12, 14]
    with pytest.raises(DefinitionError, match="calls_per_minute=0 leaves nothing"):
        tool(calls_per_minute=0)(search.fn)


def test_the_calls_of_one_answer_run_so_many_at_a_time() -> None:
    running, most = [0], [0]

    @tool(reads=())
    async def work(name: str) -> str:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await spend(1.0)
        running[0] -= 1
        return name

    calls = assistant(*[call(f"{i}", "work", name=f"{i}") for i in range(6)])

    async def seconds(at_once: int | None) -> float:
        began = trio.current_time()
        await Agent("worker", ScriptedModel([calls, "Done."]), tools=[work], at_once=at_once).run("Work.")
        return trio.current_time() - began

    assert virtually(partial(seconds, None)) == pytest.approx(1.0)
    assert most[0] == 6
    most[0] = 0
    assert virtually(partial(seconds, 2)) == pytest.approx(3.0)
    assert most[0] == 2
    with pytest.raises(DefinitionError, match="at_once=0 would call nothing"):
        Agent("worker", ScriptedModel([]), at_once=0)
