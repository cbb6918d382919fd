"""A call of a model as the body of a node: one activation, one answer, counted in the run's usage.

Whether a failed call is tried again is the model's business, so the node needs no retry= of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

from pydantic_core import to_json

from loomgraph.compile.fingerprint import callable_mark
from loomgraph.errors import DefinitionError, UnknownToolError, brief
from loomgraph.graph.context import Context
from loomgraph.models.messages import Message, assistant, system
from loomgraph.models.naming import resolve_model
from loomgraph.models.protocol import Model
from loomgraph.models.requests import ModelRequest, OutputSpec, ToolSpec
from loomgraph.models.responses import FinishReason, ModelResponse, Price, ResponseDone
from loomgraph.nodes.conversation import Answered, Calls, Conversation
from loomgraph.nodes.hooks import NONE, Hooks, Skip, passed, passed_through
from loomgraph.nodes.live import LISTENER, Heard
from loomgraph.tools.tool import Tool

_ANSWER = 1_000  # what an answer without max_tokens is taken to need, in tokens

__all__ = ["Instructions", "ModelCall", "PlainModelCall", "call_model", "instructions_mark", "tool_specs"]

Instructions: TypeAlias = str | Callable[[Context], str]
"""What the model is told first: a text, or a function of the context that gives one. Never formatted."""


class ModelCall:
    """A node body: asks the model to go on with a conversation; gives `Calls` of tools or that it has `Answered`.

    `settings` are further fields of `ModelRequest`, such as `temperature` or `max_tokens`. An architecture that makes
    one for an agent takes `agent.model_call(...)`, so that the agent's settings and hooks go with it.
    """

    def __init__(
        self,
        model: Model | str,
        *,
        instructions: Instructions = "",
        tools: Sequence[Tool] = (),
        output: OutputSpec | None = None,
        hooks: Hooks = NONE,
        **settings: Any,
    ) -> None:
        self.model: Model = resolve_model(model) if isinstance(model, str) else model
        self.instructions = instructions
        self.template = ModelRequest(messages=(), tools=tool_specs(tools), output=output, **settings)
        self.hooks = hooks
        self.__name__ = "model"

    async def __call__(self, conversation: Conversation, ctx: Context) -> Calls | Answered:
        """One answer."""
        return await self._asked(conversation, ctx)

    async def _asked(self, conversation: Conversation, ctx: Context) -> Calls | Answered:
        if not self.hooks:
            response = await call_model(self.model, self._request(conversation, ctx), ctx)
        else:
            conversation, response = await self._hooked(conversation, ctx)
        following = conversation.plus(response.message)
        calls = list(response.tool_calls)
        if calls:
            return Calls(conversation=following, calls=calls)
        hook = self.hooks.after_iteration
        if hook is not None:
            following = await passed_through(hook, following, ctx, Conversation, "after_iteration")
        return Answered(conversation=following, response=response)

    def _request(self, conversation: Conversation, ctx: Context) -> ModelRequest:
        text = self.instructions if isinstance(self.instructions, str) else self.instructions(ctx)
        first: list[Message] = [system(text)] if text else []
        return self.template.model_copy(update={"messages": (*first, *conversation.messages)})

    async def _hooked(self, conversation: Conversation, ctx: Context) -> tuple[Conversation, ModelResponse]:
        hooks = self.hooks
        try:
            conversation = await passed(hooks.before_iteration, conversation, ctx, Conversation)
            shown = await passed(hooks.before_context, conversation, ctx, Conversation)
            request = await passed(hooks.after_context, self._request(shown, ctx), ctx, ModelRequest)
        except Skip as skip:
            return conversation, await _answered(self.model, _instead(self.model, skip), ctx, hooks)
        return conversation, await call_model(self.model, request, ctx, hooks=hooks)

    def __loomgraph_fingerprint__(self) -> str:
        """The model, what it is told, and what it is offered; and its hooks."""
        told = instructions_mark(self.instructions)
        said = f"model {self.model.name} {told} {to_json(self.template).decode()}"
        return f"{said} {self.hooks.__loomgraph_fingerprint__()}" if self.hooks else said


class PlainModelCall(ModelCall):
    """The same without tools: it can only answer."""

    async def __call__(self, conversation: Conversation, ctx: Context) -> Answered:
        """One answer. Raises UnknownToolError if the model calls a tool all the same."""
        said = await self._asked(conversation, ctx)
        if isinstance(said, Calls):
            raise UnknownToolError(said.calls[0].name, [])
        return said


async def call_model(
    model: Model, request: ModelRequest, ctx: Context, *, hooks: Hooks = NONE, key: str = "loomgraph:model"
) -> ModelResponse:
    """Ask a model inside a node: counted, within its budget, and heard by whoever listens to the run.

    With hooks after it the call is a durable step called `key`, which a node that makes several calls says for each.
    Raises ModelError, and BudgetExceededError before the call.
    """
    if not hooks:
        return await _paid(model, request, ctx)
    try:
        request = await passed(hooks.before_model, request, ctx, ModelRequest)
    except Skip as skip:
        return await _answered(model, _instead(model, skip), ctx, hooks)
    if hooks.after_model is None and hooks.after_iteration is None:
        return await _paid(model, request, ctx)
    # a hook that asks somebody ends this attempt; the next one must not pay for the answer again
    response: ModelResponse = await ctx.step(key, _paid, model, request, ctx, result=ModelResponse)
    return await _answered(model, response, ctx, hooks)


async def _answered(model: Model, response: ModelResponse, ctx: Context, hooks: Hooks) -> ModelResponse:
    return await passed_through(hooks.after_model, response, ctx, ModelResponse, "after_model")


def _instead(model: Model, skip: Skip) -> ModelResponse:
    """The answer that a hook gave in place of the model."""
    given = skip.instead
    if isinstance(given, ModelResponse):
        return given
    if isinstance(given, str):
        return ModelResponse(
            message=assistant(given),
            finish=FinishReason.STOP,
            model=model.name,
            provider="hook",
            finish_detail="skipped",
        )
    raise DefinitionError(
        f"a hook skipped a call of {model.name} with {brief(given)} in place of its answer. Raise Skip with a text or "
        f"a ModelResponse."
    ) from skip


async def _paid(model: Model, request: ModelRequest, ctx: Context) -> ModelResponse:
    if not ctx.limits:
        return await _called(model, request, ctx)
    async with ctx.reserve(**_most(model, request, ctx.limits)):
        return await _called(model, request, ctx)


def _most(model: Model, request: ModelRequest, limits: Collection[str]) -> dict[str, float]:
    """What a call may use at most, as far as that can be said before it: about four characters make a token."""
    sent, answered = len(to_json([request.messages, request.tools])) / 4, request.max_tokens or _ANSWER
    amounts: dict[str, float] = {"model_calls": 1, "input_tokens": sent, "output_tokens": answered}
    if "cost" in limits:
        price: Price | None = getattr(model, "price", None)
        if price is None:
            raise DefinitionError(
                f"the budget limits cost, and nobody said what {model.name} costs, so no call of it could be kept "
                f"within it. Give the model a price=Price(...), or wrap it: Priced(model, {{...}})."
            )
        amounts["cost"] = (sent * max(price.input, price.cache_write or 0) + answered * price.output) / 1_000_000
    return amounts


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
    return told if isinstance(told, str) else callable_mark(told)
