"""Claims about MCP servers whose tools agents use, and about serving graphs: real processes, real protocol."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph import END, START, Context, Workflow, tool
from loomgraph.errors import DefinitionError, ToolError, ToolServerError
from loomgraph.store.memory import MemoryStore
from loomgraph.tools import ToolCall, batch_graph
from loomgraph.tools.tool import check_tools

mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")

from loomgraph.integrations.mcp import McpTools, mcp_server  # noqa: E402

PEER = str(Path(__file__).parent / "mcp_peer.py")
pytestmark = pytest.mark.anyio
ONE = pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)  # a process each, which takes its time


def stdio() -> Any:
    return mcp.StdioServerParameters(command=sys.executable, args=[PEER, "stdio"])


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, PEER, "http", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"running on" in line:
                break
        yield f"http://127.0.0.1:{port}/mcp"
        process.kill()


async def used(server: McpTools) -> None:
    tools = {tool.name: tool for tool in server.tools}
    assert tools["add"].description == "Add two numbers."
    assert tools["add"].parameters["required"] == ["a", "b"]
    assert (tools["add"].read_only, tools["add"].effect) == (True, "repeat")
    assert (tools["fail"].destructive, tools["fail"].effect) == (True, "once")
    calls = [
        ToolCall(id="1", name="add", arguments={"a": 1, "b": 2}),
        ToolCall(id="2", name="add", arguments={"a": "{{1}}", "b": 10}),
        ToolCall(id="3", name="shape", arguments={"name": "box"}),
        ToolCall(id="4", name="fail", arguments={"why": "no reason"}),
        ToolCall(id="5", name="add", arguments={"a": "x", "b": 2}),
    ]
    results = (await batch_graph(calls, check_tools(server.tools)).run(calls)).output
    assert [result.outcome for result in results] == ["ok", "ok", "ok", "error", "error"]
    assert [result.value for result in results[:3]] == [3, 13, {"name": "box", "sides": [3, 4]}]


async def test_the_tools_of_a_process_are_listed_and_called_many_at_once_and_it_is_gone_afterwards() -> None:
    async with McpTools(stdio()) as server:
        await used(server)
        found: list[int] = []

        async def ask(number: int) -> None:
            found.append(await server.call("add", {"a": number, "b": 0}))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(ask, number)
        assert sorted(found) == list(range(20))
        pid = await server.call("process", {})
        os.kill(pid, 0)
        with pytest.raises(ToolError, match="nobody"):
            await server.call("nobody", {})
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_the_tools_of_an_http_server_are_listed_and_called(address: str) -> None:
    async with McpTools(address) as server:
        await used(server)
    async with McpTools(address, prefix="peer_") as server:
        assert {tool.name for tool in server.tools} >= {"peer_add", "peer_fail"}


@ONE
async def test_a_server_that_dies_fails_the_call_with_its_name_and_the_next_call_connects_again() -> None:
    async with McpTools(stdio()) as server:
        first = await server.call("process", {})
        with pytest.raises(ToolServerError, match=r"mcp_peer.py stdio' failed: it ended during the call of 'die'"):
            await server.call("die", {})
        second = await server.call("process", {})
        assert first != second
        assert await server.call("add", {"a": 2, "b": 2}) == 4
    for pid in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@ONE
async def test_a_call_that_takes_too_long_says_so() -> None:
    async with McpTools(stdio()) as server:
        server.seconds = 0.1
        with pytest.raises(ToolServerError, match=r"'slow' took more than 0\.1 s"):
            await server.call("slow", {})


async def test_nobody_there_is_an_error_that_names_the_server() -> None:
    with pytest.raises(ToolServerError, match="no-such-program"):
        async with McpTools(mcp.StdioServerParameters(command="no-such-program", args=[])):
            pass
    with pytest.raises(ToolServerError, match=r"http://127.0.0.1:9/mcp"):
        async with McpTools("http://127.0.0.1:9/mcp"):
            pass
    with pytest.raises(DefinitionError, match="inside `async with"):
        await McpTools(stdio()).call("add", {})


async def test_a_graph_is_served_as_a_tool() -> None:
    wf = Workflow("shout", input=str, output=str, doc="Says it loudly.")

    @wf.node
    def shout(text: str) -> str:
        if not text:
            raise ValueError("nothing to say")
        return text.upper()

    wf.chain(START, shout, END)
    async with McpTools(mcp_server("ours", [wf.compile()])) as server:
        [tool] = server.tools
        assert (tool.name, tool.description) == ("shout", "Says it loudly.")
        assert await tool.call({"input": "hello"}) == "HELLO"
        with pytest.raises(ToolError, match="nothing to say"):
            await tool.call({"input": ""})
        with pytest.raises(ToolError, match="input: Input should be a valid string"):
            await tool.call({"input": 5})


async def test_a_served_tool_that_waits_for_somebody_says_so_and_goes_on_when_it_is_answered() -> None:
    paid: list[bool] = []

    @tool(destructive=True)
    async def pay(amount: int, ctx: Context) -> str:
        paid.append(await ctx.ask(f"Pay {amount}?", bool))
        return "done"

    store = MemoryStore()
    offered = mcp_server("ours", [pay], store=store, run_id="r")
    async with McpTools(offered) as server:
        with pytest.raises(ToolError, match=r"run 'r' is suspended(.|\n)*question 'pay': Pay 3\?"):
            await server.call("pay", {"amount": 3})
    asked = ToolCall(id="call", name="pay", arguments={"amount": 3})
    graph = batch_graph([asked], check_tools([pay]), name="ours")
    done = await graph.resume("r", store=store, answers={"pay": True})
    assert (done.output[0].content, paid) == ("done", [True])
