"""A batch of calls as a graph, one node a call: the engine runs what is independent at the same time.

A call that fails gives an error result, calls that need its value are skipped with the reason, the others keep
theirs. The graph never fails for a call; it fails for what no model should see, such as a cancelled run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from pydantic_core import to_json

from loomgraph.errors import DefinitionError, ToolError
from loomgraph.graph.context import Context
from loomgraph.graph.policy import Limit
from loomgraph.graph.refs import END, START
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.workflow import Workflow
from loomgraph.tools.calls import Outcome, ToolCall, ToolResult
from loomgraph.tools.ordering import OrderedCall, order_calls
from loomgraph.tools.pace import paced
from loomgraph.tools.references import PathError, Syntax, replace_references
from loomgraph.tools.spill import LONGEST, READS_RESULTS, place_of, shown
from loomgraph.tools.tool import Tool

__all__ = ["Around", "Proceed", "batch_graph", "call_graph", "result_of", "run_batch"]

Proceed: TypeAlias = Callable[[ToolCall], Awaitable[ToolResult]]
Around: TypeAlias = Callable[[Tool, ToolCall, Context, Proceed], Awaitable[ToolResult]]
"""What stands around every call: given the tool, the call with its references replaced, the context and what carries
the call out. It returns the result, its own or what `proceed(call)` gave."""


class _Call:
    """The body of one call's node. `results` are those of the calls it waits for."""

    def __init__(
        self,
        ordered: OrderedCall,
        batch: Sequence[OrderedCall],
        tool: Tool | None,
        around: Around | None,
        reader: str | None,
        given: Mapping[str, Any],
        said: Any = None,
    ) -> None:
        self.ordered = ordered
        self.tool = tool
        self.around = around
        self.reader = reader
        self.given = given
        self.said = said
        self.ids = tuple(dict.fromkeys([*(other.call.id for other in batch), *given]))
        self.needed = frozenset(batch[i].call.id for i in ordered.needs)
        self.__name__ = ordered.call.name

    def __loomgraph_fingerprint__(self) -> str:
        said = to_json([self.ordered.call, sorted(self.needed)]).decode()
        return said if self.tool is None else f"{said} {self.tool.__loomgraph_fingerprint__()}"

    async def answer(self, results: Sequence[ToolResult], syntax: Syntax, ctx: Context) -> ToolResult:
        ordered, tool = self.ordered, self.tool
        if ordered.problem is not None or tool is None:
            return _failed(ordered.call, ordered.problem or "it is not there")
        needed = {result.id: result for result in results if result.id in self.needed}
        missing = [result for result in needed.values() if not result.ok]
        if missing:
            why = "; ".join(f"'{result.id}' ({result.name}) has no result: {result.content}" for result in missing)
            return _without(ordered.call, "skipped", f"not called, for it needs results that are not there: {why}")
        values = {**self.given, **{result.id: result.value for result in needed.values()}}
        try:
            arguments = replace_references(dict(ordered.arguments), self.ids, syntax, values.__getitem__)
        except PathError as error:
            return _failed(ordered.call, str(error))
        call = ordered.call.model_copy(update={"arguments": arguments})
        if self.around is None:
            return await self._carried_out(tool, call, ctx)

        async def proceed(changed: ToolCall) -> ToolResult:
            strayed = _strayed(tool, call, changed)
            return await self._carried_out(tool, changed, ctx) if strayed is None else _failed(changed, strayed)

        return await self.around(tool, call, ctx, proceed)

    async def _carried_out(self, tool: Tool, call: ToolCall, ctx: Context) -> ToolResult:
        """One attempt. What the tool raises is its error result, unless its retry wants another attempt."""
        assert isinstance(call.arguments, dict), "references are replaced in arguments that were read"
        rest = f"{self.reader} with result={place_of(ctx.key)[1]!r} and" if self.reader is not None else ""
        try:
            await paced(tool)
            return result_of(tool, call, await tool.call(call.arguments, ctx, self.said), rest)
        except Exception as error:
            retry = tool.retry
            if retry is not None and ctx.attempt < retry.attempts and retry.wants(error):
                raise
            return _failed(call, error)


class _First(_Call):
    """A call that waits for nobody."""

    def __init__(self, syntax: Syntax, *args: Any) -> None:
        super().__init__(*args)
        self.syntax: Syntax = syntax

    async def __call__(self, calls: list[ToolCall], ctx: Context) -> ToolResult:
        return await self.answer((), self.syntax, ctx)


class _Next(_Call):
    """A call that waits for others."""

    def __init__(self, syntax: Syntax, *args: Any) -> None:
        super().__init__(*args)
        self.syntax: Syntax = syntax

    async def __call__(self, results: list[ToolResult], ctx: Context) -> ToolResult:
        return await self.answer(results, self.syntax, ctx)


async def _collect(results: list[ToolResult]) -> list[ToolResult]:
    return results


def batch_graph(
    calls: Sequence[ToolCall],
    tools: Mapping[str, Tool],
    *,
    syntax: Syntax = "ids",
    around: Around | None = None,
    given: Sequence[ToolResult] = (),
    name: str = "tools",
    at_once: Limit | None = None,
    said: Any = None,
) -> Graph[list[ToolCall], list[ToolResult]]:
    """The graph of a batch: from the list of its calls to their results in the same order.

    Calls wait for each other as `order_calls` says; a tool's retry, limit and effect are its nodes'. References may
    name the results in `given` too, as far as they have a value. `at_once` is the limit of the calls whose tools have
    none of their own. `said` is the conversation that the calls are part of, for tools that share it.
    """
    had = {result.id: result.value for result in given if result.ok}
    ordered = order_calls(calls, tools, syntax, had)
    wf = Workflow(name, input=list[ToolCall], output=list[ToolResult])
    nodes: list[Any] = []
    taken: set[str] = {"results"}
    for place in ordered:
        kind = _Next if place.needs or place.after else _First
        body = kind(syntax, place, ordered, tools.get(place.call.name), around, _reader_of(tools), had, said)
        nodes.append(_added(wf, body, _unused(place.call.name or "call", taken), at_once))
    for place, node in zip(ordered, nodes, strict=True):
        waits = [nodes[i] for i in sorted({*place.needs, *place.after})]
        if waits:
            wf.join(waits, into=node)
        else:
            wf.edge(START, node)
    results = wf.node(_collect, name="results")
    if nodes:
        wf.join(nodes, into=results)
    else:
        wf.node(_nothing, name="nothing")
        wf.chain(START, "nothing", "results")
    wf.edge(results, END)
    return wf.compile()


def call_graph(
    batch: Sequence[OrderedCall],
    at: int,
    tools: Mapping[str, Tool],
    *,
    syntax: Syntax = "ids",
    around: Around | None = None,
    given: Sequence[ToolResult] = (),
    at_once: Limit | None = None,
    said: Any = None,
) -> Graph[list[ToolResult], ToolResult]:
    """The graph of one call of a batch: from the results of the calls that it refers to, to its own.

    For whoever carries out a batch whose calls are not all known yet, and sees to their order.
    """
    had = {result.id: result.value for result in given if result.ok}
    name = batch[at].call.name
    wf = Workflow("call", input=list[ToolResult], output=ToolResult)
    body = _Next(syntax, batch[at], batch, tools.get(name), around, _reader_of(tools), had, said)
    wf.chain(START, _added(wf, body, name or "call", at_once), END)
    return wf.compile()


def _added(wf: Workflow[Any, Any], body: _First | _Next, name: str, at_once: Limit | None) -> Any:
    """The node of a call: its tool's retry, limit and effect are the node's."""
    tool = body.tool
    return wf.node(
        body,
        name=name,
        retry=None if tool is None else tool.retry,
        limit=at_once if tool is None or tool.limit is None else Limit(tool.limit, f"tool:{tool.name}"),
        effect="repeat" if tool is None else tool.effect,
        tags=() if tool is None else tool.tags,
    )


def _reader_of(tools: Mapping[str, Tool]) -> str | None:
    return next((name for name, tool in tools.items() if READS_RESULTS in tool.tags), None)


async def _nothing(calls: list[ToolCall]) -> list[ToolResult]:
    return []


async def run_batch(
    ctx: Context,
    calls: Sequence[ToolCall],
    tools: Mapping[str, Tool],
    *,
    key: str = "tools",
    syntax: Syntax = "ids",
    around: Around | None = None,
    given: Sequence[ToolResult] = (),
    at_once: int | None = None,
    said: Any = None,
) -> list[ToolResult]:
    """Run a batch inside a node: a scope of its own under `key`, each call an activation. Results in calls' order.

    At most `at_once` calls run at a time, those of tools with a limit of their own aside.
    """
    if not calls:
        return []
    limit = None if at_once is None else Limit(at_once, f"batch:{ctx.key}/{key}")
    graph = batch_graph(calls, tools, syntax=syntax, around=around, given=given, at_once=limit, said=said)
    results: list[ToolResult] = await ctx.run(graph, list(calls), key=key)
    return results


def result_of(tool: Tool, call: ToolCall, value: Any, rest: str = "") -> ToolResult:
    """What a call that gave `value` came to; `rest` says how to read what is left out of it.

    Raises ToolResultError for what JSON cannot hold, and ToolError for what is too long to be kept.
    """
    value = tool.plain(value)
    content, omitted = shown(value, tool.max_chars, rest)
    total = tool.max_chars + omitted if omitted else len(content)
    if total > LONGEST:
        raise ToolError(
            f"the result of '{tool.name}' has {total} characters, and no more than {LONGEST} are kept. Ask for less at "
            f"a time."
        )
    return ToolResult(
        id=call.id,
        name=call.name,
        outcome="ok",
        content=content,
        value=value,
        ends_turn=tool.ends_turn,
        omitted=omitted,
    )


def _strayed(tool: Tool, call: ToolCall, changed: ToolCall) -> str | None:
    """Why a call may not be made as it was changed: other calls were ordered by what this one said it touches."""
    if changed is call or changed.arguments == call.arguments:
        return None
    if (changed.id, changed.name) != (call.id, call.name):
        raise DefinitionError(
            f"the call '{call.id}' of '{call.name}' was changed to '{changed.id}' of '{changed.name}'. Its arguments "
            f"may be changed; to have another tool called, give its result in place of this call's."
        )
    assert isinstance(call.arguments, dict)
    assert isinstance(changed.arguments, dict), "arguments of a call under way were read"
    try:
        before, after = tool.footprint(call.arguments), tool.footprint(changed.arguments)
    except Exception:  # they do not fit the tool's schema, and it says so when it is called
        return None
    if before.covers(after):
        return None
    return "not called: its arguments were changed to touch something else; call it anew with those."


def _failed(call: ToolCall, error: BaseException | str) -> ToolResult:
    text = str(error) if isinstance(error, (ToolError, str)) else f"{type(error).__name__}: {error}"
    return _without(call, "error", text)


def _without(call: ToolCall, outcome: Outcome, content: str) -> ToolResult:
    return ToolResult(id=call.id, name=call.name, outcome=outcome, content=content)


def _unused(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name} {number}"
    taken.add(found)
    return found
