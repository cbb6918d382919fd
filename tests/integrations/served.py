"""An agent, a graph and a tool of ours as an MCP server; as a program it serves over stdio."""

from __future__ import annotations

import anyio

from loomgraph import END, START, Agent, Workflow, tool
from loomgraph.integrations.mcp import mcp_server, serve_stdio
from loomgraph.models import ModelRequest, ScriptedModel, ToolCall, ToolMessage


@tool(reads=())
def price(item: str) -> int:
    """What something costs."""
    return len(item)


def told(request: ModelRequest) -> str:
    message = request.messages[-1]
    assert isinstance(message, ToolMessage)
    return f"It costs {message.results[0].text}."


model = ScriptedModel([ToolCall(id="1", name="price", arguments={"item": "tea"}), told], order="conversation")
waiter = Agent("waiter", model, tools=[price], description="Knows the prices.")

wf = Workflow("double", input=int, output=int, doc="Twice as much.")


@wf.node
def double(n: int) -> int:
    return n * 2


wf.chain(START, double, END)
server = mcp_server("ours", [waiter, wf.compile(), price])

if __name__ == "__main__":
    anyio.run(serve_stdio, server)
