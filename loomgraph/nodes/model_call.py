"""A call of a model as the body of a node: one activation, one answer, counted in the run's usage.

Whether a failed call is tried again is the model's business, so the node needs no retry= of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

from pydantic_core import to_json

from loomgraph.compile.source import code_text
from loomgraph.errors import UnknownToolError
from loomgraph.graph.context import Context
from loomgraph.models.messages import Message, system
from loomgraph.models.naming import resolve_model
from loomgraph.models.protocol import Model
from loomgraph.models.requests import ModelRequest, OutputSpec, ToolSpec
from loomgraph.models.responses import ModelResponse, ResponseDone
from loomgraph.nodes.conversation import Answered, Calls, Conversation
from loomgraph.nodes.live import LISTENER, Heard
from loomgraph.tools.tool import Tool

_ANSWER = 1_000  # what an answer without max_tokens is taken to need, in tokens

__all__ = ["Instructions", "ModelCall", "PlainModelCall", "call_model", "instructions_mark", "tool_specs"]

Instructions: TypeAlias = str | Callable[[Context], str]
"""What the model is told first: a text, or a function of the context that gives one. Never formatted."""


class ModelCall:
    """A node body: asks the model to go on with a conversation; gives `Calls` of tools or that it has `Answered`.

    `settings` are further fields of `ModelRequest`, such as `temperature` or `max_tokens`.
    """

    def __init__(
        self,
        model: Model | str,
        *,
        instructions: Instructions = "",
        tools: Sequence[Tool] = (),
        output: OutputSpec | None = None,
        **settings: Any,
    ) -> None:
        self.model: Model = resolve_model(model) if isinstance(model, str) else model
        self.instructions = instructions
        self.template = ModelRequest(messages=(), tools=tool_specs(tools), output=output, **settings)
        self.__name__ = "model"

    async def __call__(self, conversation: Conversation, ctx: Context) -> Calls | Answered:
        """One answer."""
        return await self._asked(conversation, ctx)

    async def _asked(self, conversation: Conversation, ctx: Context) -> Calls | Answered:
        text = self.instructions if isinstance(self.instructions, str) else self.instructions(ctx)
        first: list[Message] = [system(text)] if text else []
        messages = (*first, *conversation.messages)
        response = await call_model(self.model, self.template.model_copy(update={"messages": messages}), ctx)
        following = conversation.plus(response.message)
        calls = list(response.tool_calls)
        if not calls:
            return Answered(conversation=following, response=response)
        return Calls(conversation=following, calls=calls)

    def __loomgraph_fingerprint__(self) -> str:
        """The model, what it is told, and what it is offered."""
        return f"model {self.model.name} {instructions_mark(self.instructions)} {to_json(self.template).decode()}"


class PlainModelCall(ModelCall):
    """The same without tools: it can only answer."""

    async def __call__(self, conversation: Conversation, ctx: Context) -> Answered:
        """One answer. Raises UnknownToolError if the model calls a tool all the same."""
        said = await self._asked(conversation, ctx)
        if isinstance(said, Calls):
            raise UnknownToolError(said.calls[0].name, [])
        return said


async def call_model(model: Model, request: ModelRequest, ctx: Context) -> ModelResponse:
    """Ask a model inside a node: counted, within its budget, and heard by whoever listens to the run.

    Raises ModelError, and BudgetExceededError before the call.
    """
    with ctx.budget.reserve(**_most(request)):
        return await _called(model, request, ctx)


def _most(request: ModelRequest) -> dict[str, float]:
    """What a call may use at most, as far as that can be said before it: about four characters make a token."""
    said = len(to_json([request.messages, request.tools]))
    return {"model_calls": 1, "input_tokens": said / 4, "output_tokens": request.max_tokens or _ANSWER}


async def _called(model: Model, request: ModelRequest, ctx: Context) -> ModelResponse:
    listener = LISTENER.get()
    if listener is None:
        response = await model.generate(request)
    else:
        done: ModelResponse | None = None
        async with aclosing(model.stream(request)) as events:
            async for event in events:
                await listener(Heard(ctx.node, ctx.key, event))
                if isinstance(event, ResponseDone):
                    done = event.response
        assert done is not None, "a stream that ends without an answer raises"
        response = done
    count(response, ctx)
    return response


def count(response: ModelResponse, ctx: Context) -> None:
    """Count a model's answer in the run's usage."""
    usage = response.usage
    if usage is None:
        ctx.meter(model_calls=1, unreported_calls=1)
        return
    amounts: dict[str, float] = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost": usage.cost or 0,
    }
    ctx.meter(model_calls=1, **{name: amount for name, amount in amounts.items() if amount})


def tool_specs(tools: Sequence[Tool]) -> tuple[ToolSpec, ...]:
    """The tools as a model is told of them."""
    return tuple(
        ToolSpec(name=tool.name, description=tool.description, parameters=dict(tool.parameters)) for tool in tools
    )


def instructions_mark(told: Instructions) -> str:
    """Instructions as text that is the same in every process: a function by its source or its name."""
    if isinstance(told, str):
        return told
    own = getattr(told, "__loomgraph_fingerprint__", None)
    if own is not None:
        return str(own())
    code: Any = getattr(told, "__code__", None)
    text = None if code is None else code_text(code)
    if text is None:
        return str(getattr(told, "__qualname__", type(told).__qualname__))
    return hashlib.sha256(text.encode()).hexdigest()
