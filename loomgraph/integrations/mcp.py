"""MCP: tools of a server as tools here; tools, graphs and agents of here served to others. Needs the extra `mcp`.

A connection lives in one task of its own, because the client of an MCP server may not be entered in one task and left
in another. A server that ends fails the calls under way with a typed error; the next call connects again. Nothing that
was called is called again by itself, for nobody knows what it did.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeAlias, cast

import anyio
from anyio.abc import TaskGroup
from mcp import Client, MCPError, StdioServerParameters, types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from loomgraph.errors import DefinitionError, RunError, ToolError, ToolServerError
from loomgraph.errors.redaction import redact
from loomgraph.graph.refs import Embeddable
from loomgraph.tools import Tool, ToolCall, batch_graph
from loomgraph.tools.tool import check_tools

__all__ = ["McpTools", "Target", "mcp_server", "serve_stdio"]

Target: TypeAlias = "str | StdioServerParameters | Server[Any] | Any"
"""Where a server is: a URL of Streamable HTTP, what to start for stdio, or a server object in this process."""

_NEVER_AGAIN = -32000  # what the client says when its server is gone


class McpTools:
    """The tools of one MCP server: `async with McpTools(target) as server: Agent(..., tools=server.tools)`.

    `prefix` is put before the tools' names, to tell servers apart. `seconds` is how long a call or a connection may
    take. A tool that its server calls read-only is read-only here; one it calls destructive has to be allowed.
    Raises ToolServerError where no server answers.
    """

    def __init__(self, target: Target, *, prefix: str = "", seconds: float = 60.0) -> None:
        self.target = target
        self.prefix = prefix
        self.seconds = seconds
        self.tools: list[Tool] = []
        self._group: TaskGroup | None = None
        self._connection: _Connection | None = None
        self._lock = anyio.Lock()

    @property
    def name(self) -> str:
        """How errors name the server."""
        if isinstance(self.target, StdioServerParameters):
            return " ".join([self.target.command, *self.target.args])
        return self.target if isinstance(self.target, str) else str(getattr(self.target, "name", self.target))

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        try:
            connection = await self._connected()
            self.tools = [self._tool(found) for found in await connection.listed()]
        except BaseException:
            self._group.cancel_scope.cancel()
            await self._group.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._group is not None
        if self._connection is not None:
            self._connection.close()
        # the block's own exception is not the group's: it goes on as it is
        await self._group.__aexit__(None, None, None)
        self._group = None

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Call a tool by the server's own name for it; gives its structured result, or its text.

        Raises ToolError with what the server says is wrong, ToolServerError if it is gone or too slow.
        """
        connection = await self._connected()
        try:
            result = await connection.client.call_tool(name, arguments, read_timeout_seconds=self.seconds)
        except MCPError as error:
            if error.code == _NEVER_AGAIN:
                connection.broken = True
                connection.close()
                raise ToolServerError(self.name, f"it ended during the call of '{name}' ({error})") from error
            if "timed out" in str(error).lower():
                raise ToolServerError(self.name, f"'{name}' took more than {self.seconds:g} s") from error
            raise ToolError(str(error)) from error
        return _value(result)

    async def _connected(self) -> _Connection:
        if self._group is None:
            raise DefinitionError("the tools of an MCP server are there inside `async with McpTools(...)` only.")
        async with self._lock:
            if self._connection is None or self._connection.broken:
                connection = _Connection(self.target, self.seconds, self.name)
                await self._group.start(connection.live)
                if connection.failure is not None:
                    raise connection.failure
                self._connection = connection
            return self._connection

    def _tool(self, found: types.Tool) -> Tool:
        hints = found.annotations
        read_only = bool(hints and hints.read_only_hint)

        async def call(**arguments: Any) -> Any:
            return await self.call(found.name, arguments)

        return Tool(
            name=f"{self.prefix}{found.name}",
            description=found.description or found.title or "",
            parameters=found.input_schema,
            fn=call,
            read_only=read_only,
            destructive=bool(hints and hints.destructive_hint and not read_only),
            effect="repeat" if read_only or (hints and hints.idempotent_hint) else "once",
        )


class _Connection:
    """One client in one task, from its connecting to its end."""

    def __init__(self, target: Target, seconds: float, name: str) -> None:
        self._target, self._seconds, self._name = target, seconds, name
        self._over = anyio.Event()
        self.client: Any = None
        self.broken = False
        self.failure: ToolServerError | None = None

    async def live(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Connect, say so, and stay until `close`."""
        started = False
        try:
            async with Client(self._target, read_timeout_seconds=self._seconds) as client:
                self.client = client
                started = True
                task_status.started()
                await self._over.wait()
        except Exception as error:  # a group, a missing program, a refused connection: the library raises all of these
            self.broken = True
            if not started:
                self.failure = ToolServerError(self._name, _said(error))
                self.failure.__cause__ = error
                task_status.started()

    def close(self) -> None:
        """End the connection; it goes away in its own task."""
        self._over.set()

    async def listed(self) -> list[types.Tool]:
        """All tools of the server, page by page."""
        found: list[types.Tool] = []
        cursor: str | None = None
        while True:
            page = await self.client.list_tools(cursor=cursor)
            found.extend(page.tools)
            cursor = page.next_cursor
            if cursor is None:
                return found


def _value(result: types.CallToolResult) -> Any:
    texts: list[str] = []
    for part in result.content:
        if isinstance(part, types.TextContent):
            texts.append(part.text)
        elif isinstance(part, types.EmbeddedResource) and isinstance(part.resource, types.TextResourceContents):
            texts.append(f"[{part.resource.uri}]\n{part.resource.text}")
        elif isinstance(part, types.ResourceLink):
            texts.append(f"[{part.name}: {part.uri}]")
        else:
            texts.append(f"[{part.type}, which is not text]")
    text = "\n".join(texts)
    if result.is_error:
        raise ToolError(text or "the tool failed and did not say why.")
    if result.structured_content is None:
        return text
    structured = cast(dict[str, Any], result.structured_content)
    return structured["result"] if structured.keys() == {"result"} else structured


def _said(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


# ---------------------------------------------------------------------- serving


def mcp_server(
    name: str, tools: Sequence[Any], *, instructions: str | None = None, **options: Any
) -> Server[dict[str, Any]]:
    """A server that offers these tools, graphs and agents; run it over stdio or HTTP with `mcp`.

    Each call is a run of its own, with `options` of `Graph.run` such as `store=` and `limit=`. What fails is told to
    the caller as an error result, and so is a run that waits for somebody, with its id and what it waits for. Whoever
    offers a tool here allows it: the caller is told that it is destructive, and nobody is asked.
    Raises DefinitionError for two tools of one name.
    """
    offered = check_tools([item if isinstance(item, Tool) else _tool_of(item) for item in tools])

    async def list_tools(_ctx: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(item) for item in offered.values()])

    async def call_tool(_ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        call = ToolCall(id="call", name=params.name, arguments=dict(params.arguments or {}))
        try:
            [result] = (await batch_graph([call], offered, name=name).run([call], **options)).output
        except RunError as error:  # suspended, cancelled or over its budget: the caller is told which
            text = types.TextContent(type="text", text=redact(str(error)))
            return types.CallToolResult(content=[text], is_error=True)
        value = result.value
        structured = cast(dict[str, Any], value) if isinstance(value, dict) else {"result": value}
        content: list[Any] = [types.TextContent(type="text", text=result.content)]
        return types.CallToolResult(
            content=content, is_error=not result.ok, structured_content=structured if result.ok else None
        )

    @asynccontextmanager
    async def lifespan(_server: Server[dict[str, Any]]) -> AsyncGenerator[dict[str, Any]]:
        yield {}

    return Server(name, instructions=instructions, lifespan=lifespan, on_list_tools=list_tools, on_call_tool=call_tool)


async def serve_stdio(server: Server[dict[str, Any]]) -> None:
    """Serve over this process's standard input and output until the input ends: the body of a program of its own."""
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def _tool_of(item: Any) -> Tool:
    if isinstance(item, Embeddable):
        graph: Any = item
        return cast(Tool, graph.as_tool())
    raise DefinitionError(f"an MCP server offers tools, compiled graphs and agents, not {item!r:.80}.")


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=json.loads(json.dumps(dict(tool.parameters))),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.read_only or None, destructive_hint=tool.destructive or None
        ),
    )
