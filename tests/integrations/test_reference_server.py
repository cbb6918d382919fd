"""Claims about the reference server of the protocol, which nobody here wrote, and about ours as seen by its client."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph import Agent
from loomgraph.errors import ToolError, ToolServerError
from loomgraph.models import ModelRequest, ScriptedModel, ToolCall, ToolMessage, assistant
from tests.npm import Unavailable, node_for

mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")

import uvicorn  # noqa: E402

from loomgraph.integrations.mcp import McpTools  # noqa: E402
from tests.integrations.served import server as ours  # noqa: E402

FOLDER = Path(__file__).parent / "everything"
PROGRAM = str(FOLDER / "node_modules" / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js")
OURS = str(Path(__file__).parent / "served.py")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True),  # processes, which take their time
    pytest.mark.skipif(sys.platform == "win32", reason="processes are started and watched as POSIX does"),
]


@pytest.fixture(scope="module")
def node() -> list[str]:
    try:
        return node_for(FOLDER)
    except (Unavailable, OSError) as error:
        pytest.skip(str(error))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(command: list[str], sign: bytes, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process, once it has said that it listens."""
    given = {**os.environ, **environment}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=given) as process:
        assert process.stdout is not None
        try:
            assert any(sign in line for line in process.stdout), "it ended"
            yield process
        finally:
            process.kill()


def started(node: list[str], folder: Path) -> Any:
    """How the server is started, each process leaving its id in the file `ids`."""
    script = 'echo $$ >> "$0"; exec "$@"'
    return mcp.StdioServerParameters(command="sh", args=["-c", script, str(folder / "ids"), *node, PROGRAM, "stdio"])


def ids(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "ids").read_text().split()]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def used(server: McpTools) -> None:
    """The tools are listed with their schemas, and an agent calls them."""
    tools = {tool.name: tool for tool in server.tools}
    assert {"echo", "get-sum", "get-structured-content", "trigger-long-running-operation"} <= set(tools)
    assert tools["get-sum"].parameters["required"] == ["a", "b"]
    assert (tools["echo"].read_only, tools["toggle-simulated-logging"].effect) == (True, "once")
    calls = [
        ToolCall(id="1", name="echo", arguments={"message": "hello"}),
        ToolCall(id="2", name="get-sum", arguments={"a": 2, "b": 40}),
        ToolCall(id="3", name="get-structured-content", arguments={"location": "Chicago"}),
        ToolCall(id="4", name="get-resource-reference", arguments={"resourceType": "Text", "resourceId": 1}),
        ToolCall(id="5", name="get-tiny-image"),
        ToolCall(id="6", name="get-sum", arguments={"a": "two", "b": 40}),
    ]

    def told(request: ModelRequest) -> str:
        message = request.messages[-1]
        assert isinstance(message, ToolMessage)
        return "\n".join(f"{result.error} {result.text}" for result in message.results)

    model = ScriptedModel([assistant(*calls), told])
    answer = (await Agent("caller", model, tools=server.tools).run("Call.")).output
    assert answer.startswith("False Echo: hello\nFalse The sum of 2 and 40 is 42.\nFalse {")
    assert '"temperature":' in answer
    assert "[demo://resource/dynamic/text/1]\nResource 1: This is a plaintext resource" in answer
    assert "[image, which is not text]" in answer
    assert "\nTrue MCP error -32602: Input validation error" in answer


async def test_it_is_listed_and_called_over_stdio_and_killed_in_a_call_and_connected_anew(
    node: list[str], tmp_path: Path
) -> None:
    async with McpTools(started(node, tmp_path)) as server:
        await used(server)
        [first] = ids(tmp_path)
        failures: list[ToolServerError] = []
        called = anyio.Event()

        async def call() -> None:
            called.set()
            with pytest.raises(ToolServerError, match="it ended during the call of 'trigger-long") as caught:
                await server.call("trigger-long-running-operation", {"duration": 600, "steps": 600})
            failures.append(caught.value)

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            group.start_soon(call)
            await called.wait()
            assert await server.call("echo", {"message": "still there"}) == "Echo: still there"
            os.kill(first, signal.SIGKILL)
        assert len(failures) == 2
        assert await server.call("get-sum", {"a": 1, "b": 1}) == "The sum of 1 and 1 is 2."
        assert len(ids(tmp_path)) == 2
    assert [gone(pid) for pid in ids(tmp_path)] == [True, True]


async def test_it_is_listed_and_called_over_http_and_killed_in_a_call_and_connected_anew(node: list[str]) -> None:
    port = free_port()
    command = [*node, PROGRAM, "streamableHttp"]
    with serving(command, b"listening on port", PORT=str(port)) as process:
        async with McpTools(f"http://127.0.0.1:{port}/mcp") as server:
            await used(server)

            async def call() -> None:
                with pytest.raises(ToolServerError, match=f"http://127.0.0.1:{port}/mcp"):
                    await server.call("trigger-long-running-operation", {"duration": 600, "steps": 600})

            async with anyio.create_task_group() as group:
                group.start_soon(call)
                assert await server.call("echo", {"message": "still there"}) == "Echo: still there"
                process.kill()
                process.wait()
            with pytest.raises(ToolServerError, match=f"http://127.0.0.1:{port}/mcp"):
                await server.call("echo", {"message": "anybody?"})
            with serving(command, b"listening on port", PORT=str(port)):
                assert await server.call("get-sum", {"a": 1, "b": 1}) == "The sum of 1 and 1 is 2."


async def test_an_agent_and_a_graph_of_ours_are_served_over_stdio_and_http() -> None:
    async def offered(server: McpTools) -> None:
        tools = {tool.name: tool for tool in server.tools}
        assert {name: tool.description for name, tool in tools.items()} == {
            "waiter": "Knows the prices.",
            "double": "Twice as much.",
            "price": "What something costs.",
        }
        assert await server.call("waiter", {"input": "What is tea?"}) == "It costs 3."
        assert await server.call("double", {"input": 21}) == 42
        with pytest.raises(ToolError, match="do not fit its schema"):
            await server.call("double", {"input": "21"})

    path = {"PYTHONPATH": str(Path(__file__).parents[2])}
    async with McpTools(mcp.StdioServerParameters(command=sys.executable, args=[OURS], env=path)) as server:
        await offered(server)
    listening = socket.create_server(("127.0.0.1", 0))  # so that nobody has to wait for it
    http = uvicorn.Server(uvicorn.Config(ours.streamable_http_app(), log_config=None))
    async with anyio.create_task_group() as group:
        group.start_soon(http.serve, [listening])
        async with McpTools(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp") as server:
            await offered(server)
        http.should_exit = True
