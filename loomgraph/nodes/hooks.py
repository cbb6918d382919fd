"""Hooks: functions of yours at nine points of an agent's work. They see what goes by, replace it, skip it or stop it.

A hook runs inside the activation of the model call or the tool call that it is about. What it replaces is therefore in
the log as that activation's value, and once the activation has finished, no resume runs its hooks again. Nothing here
calls a model or a tool.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from typing import Any, TypeAlias, TypeVar

from loomgraph.compile.fingerprint import callable_mark
from loomgraph.errors import DefinitionError
from loomgraph.errors.redaction import Redact, environment_secrets, redact, redact_environment, redacted
from loomgraph.graph.context import Context
from loomgraph.graph.signature import describe_type
from loomgraph.models.requests import ModelRequest
from loomgraph.models.responses import ModelResponse
from loomgraph.nodes.conversation import Conversation
from loomgraph.tools.batch import Around, Proceed, result_of
from loomgraph.tools.calls import ToolCall, ToolResult
from loomgraph.tools.tool import Tool

__all__ = ["NONE", "Hook", "Hooks", "Skip", "around_tools", "passed", "passed_through", "redacting"]

T = TypeVar("T")
Hook: TypeAlias = Callable[[T, Context], "Awaitable[T | None] | T | None"]
"""A function, plain or `async def`, of what goes by and the context of its node. What it returns goes on in its place;
None leaves it as it is."""


class Skip(Exception):  # noqa: N818 - it is no error, and the name is what a hook says
    """Raised by a hook: what is about to happen is not done, and `instead` stands in its place.

    Up to `before_model` it is the model's answer, a text or a ModelResponse. In `before_tool` it is the tool's result;
    without one the model is told that the call was skipped, with the `reason`. At the other points there is nothing
    left to skip, and it is a DefinitionError.
    """

    def __init__(self, instead: Any = None, *, reason: str = "a hook skipped it") -> None:
        super().__init__(reason)
        self.instead, self.reason = instead, reason


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What to call where; any of the points may be left out.

    - `before_iteration`: the conversation, before a model is asked to go on with it. What replaces it is the
      conversation from there on.
    - `before_context`: the same. What replaces it is what the model is shown this once.
    - `after_context`, `before_model`: the whole request. `after_model`: the answer.
    - `before_tool`: a call, its references replaced, before it is permitted. Another name, or arguments that touch
      something else, are refused. `after_tool`: its result.
    - `after_iteration`: the conversation with the answer or the tools' results.
    - `loop_back`: the conversation that is about to go back to the model, with results or with what is wrong with an
      answer.

    A hook gives a changed copy (`model_copy`) and leaves what it is given as it is. Agents that the agent calls have
    hooks of their own. Hooks may use the context as a node does: `ctx.step`, `ctx.ask`, `ctx.deps`. An exception other
    than Skip stops the run there, as its cause. With a hook after a model call or a tool call, that call is a durable
    step of its own, so that a hook that asks somebody does not pay for it twice; what a tool does with a Context of its
    own is durable by that Context.
    """

    before_iteration: Hook[Conversation] | None = None
    before_context: Hook[Conversation] | None = None
    after_context: Hook[ModelRequest] | None = None
    before_model: Hook[ModelRequest] | None = None
    after_model: Hook[ModelResponse] | None = None
    before_tool: Hook[ToolCall] | None = None
    after_tool: Hook[ToolResult] | None = None
    after_iteration: Hook[Conversation] | None = None
    loop_back: Hook[Conversation] | None = None

    def __bool__(self) -> bool:
        return self._given

    @cached_property
    def _given(self) -> bool:
        return any(getattr(self, field.name) is not None for field in fields(self))

    def plus(self, others: Sequence[Hooks]) -> Hooks:
        """These hooks and the others: at each point one after the other, each seeing what the one before it made."""
        if not others:
            return self
        every = (self, *others)
        return Hooks(**{field.name: _chain([getattr(hooks, field.name) for hooks in every]) for field in fields(self)})

    def __loomgraph_fingerprint__(self) -> str:
        """The hooks' code."""
        given = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return " ".join(f"{name}={callable_mark(hook)}" for name, hook in given if hook is not None)


NONE = Hooks()
"""No hook anywhere."""


async def passed(hook: Hook[T] | None, value: T, ctx: Context, kind: type[T]) -> T:
    """What goes on: `value`, or what the hook put in its place. Raises DefinitionError if that is no `kind`."""
    if hook is None:
        return value
    made = hook(value, ctx)
    if inspect.isawaitable(made):
        made = await made
    if made is None:
        return value
    if not isinstance(made, kind):
        raise DefinitionError(
            f"a hook of node '{ctx.node}' was given {describe_type(kind)} and returned {describe_type(type(made))}. "
            f"Return a {kind.__name__}, or None to leave it as it is."
        )
    return made


async def passed_through(hook: Hook[T] | None, value: T, ctx: Context, kind: type[T], point: str) -> T:
    """The same at a point where nothing is left to skip."""
    try:
        return await passed(hook, value, ctx, kind)
    except Skip as skip:
        raise DefinitionError(
            f"a hook at {point} of node '{ctx.node}' raised Skip, but there nothing is left to skip. Skip at "
            f"before_model or before_tool, or return a replacement."
        ) from skip


def around_tools(hooks: Hooks, inner: Around) -> Around:
    """What stands around every tool call so that its hooks are called; `inner` stands between them and the tool."""
    if hooks.before_tool is None and hooks.after_tool is None:
        return inner

    async def around(tool: Tool, call: ToolCall, ctx: Context, proceed: Proceed) -> ToolResult:
        async def carried_out(call: ToolCall) -> ToolResult:
            if hooks.after_tool is None or tool.context is not None:
                return await proceed(call)
            result: ToolResult = await ctx.step("loomgraph:call", proceed, call, result=ToolResult)
            return result

        try:
            call = await passed(hooks.before_tool, call, ctx, ToolCall)
        except Skip as skip:
            return _instead(tool, call, skip)
        result = await inner(tool, call, ctx, carried_out)
        return await passed_through(hooks.after_tool, result, ctx, ToolResult, "after_tool")

    return around


def redacting(by: Redact | None, inner: Around) -> Around:
    """What stands around every tool call so that nobody outside of the tool sees its secrets: neither the model, nor
    the log, nor what stands around the call."""
    if by is None:
        return inner

    async def around(tool: Tool, call: ToolCall, ctx: Context, proceed: Proceed) -> ToolResult:
        async def cleaned(call: ToolCall) -> ToolResult:
            result = await proceed(call)
            clean = by
            if by is redact or by is redact_environment:
                secrets = environment_secrets()  # looked up once, and not for each text in the value
                if not secrets and by is redact_environment:
                    return result
                known = redact if by is redact else redact_environment
                clean = partial(known, environment=secrets)
            content, value = clean(result.content), redacted(result.value, clean)
            if content == result.content and value == result.value:
                return result
            return result.model_copy(update={"content": content, "value": value})

        return await inner(tool, call, ctx, cleaned)

    return around


def _instead(tool: Tool, call: ToolCall, skip: Skip) -> ToolResult:
    given = skip.instead
    if isinstance(given, ToolResult):
        return given
    if given is None:
        return ToolResult(id=call.id, name=call.name, outcome="skipped", content=f"not called: {skip.reason}.")
    return result_of(tool, call, given)


def _chain(hooks: Sequence[Hook[Any] | None]) -> Hook[Any] | None:
    given = [hook for hook in hooks if hook is not None]
    if len(given) < 2:
        return given[0] if given else None
    return _Chain(given)


class _Chain:
    """Several hooks at one point."""

    def __init__(self, hooks: Sequence[Hook[Any]]) -> None:
        self.hooks = tuple(hooks)

    async def __call__(self, value: Any, ctx: Context) -> Any:
        kind: type[Any] = value.__class__
        for hook in self.hooks:
            value = await passed(hook, value, ctx, kind)
        return value

    def __loomgraph_fingerprint__(self) -> str:
        return ",".join(callable_mark(hook) for hook in self.hooks)
