"""An MCP server that tests start as a process: `python mcp_peer.py stdio`, or `... http PORT`."""

from __future__ import annotations

import os
import sys
from typing import Any

import anyio
from mcp import types
from mcp.server import MCPServer

server = MCPServer("peer")


@server.tool(annotations=types.ToolAnnotations(read_only_hint=True))
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def shape(name: str) -> dict[str, Any]:
    """A structured result."""
    return {"name": name, "sides": [3, 4]}


@server.tool(annotations=types.ToolAnnotations(destructive_hint=True))
def fail(why: str) -> str:
    """Fails."""
    raise ValueError(why)


@server.tool()
def process() -> int:
    """The process that answers."""
    return os.getpid()


@server.tool()
def die() -> str:
    """Ends the process in the middle of the call."""
    os._exit(3)


@server.tool()
async def slow() -> str:
    """Takes longer than anybody waits."""
    await anyio.sleep_forever()
    raise AssertionError("never")


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run()
    else:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
