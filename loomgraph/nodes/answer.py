"""From an answer to the agent's output type; an answer that does not fit goes back to the model, a few times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from loomgraph.errors import OutputValidationError
from loomgraph.graph.context import Context
from loomgraph.models.requests import ModelRequest
from loomgraph.models.structured import OutputType
from loomgraph.nodes.conversation import Answered, Conversation, Ended
from loomgraph.nodes.hooks import NONE, Hooks, passed_through

__all__ = ["answer_node", "ended_node", "prompt_node", "repairable"]


def prompt_node(takes: Any, opening: Callable[[Any], Conversation]) -> Any:
    """A node body that begins a conversation with an input of type `takes`."""

    async def prompt(value: Any) -> Conversation:
        return opening(value)

    prompt.__annotations__["value"] = takes
    return prompt


def repairable(output: Any, repairs: int) -> bool:
    """Whether an answer may be sent back: text always fits."""
    return output is not str and repairs > 0


def answer_node(output: Any, repairs: int, hooks: Hooks = NONE) -> Any:
    """A node body that reads an answer as `output`, or gives the conversation back with what is wrong with it."""
    wanted = OutputType[Any](output)

    async def answer(answered: Answered, ctx: Context) -> Any:
        try:
            return wanted.read(answered.response)
        except OutputValidationError as error:
            before = answered.conversation
            if before.repairs >= repairs:
                raise
            # the model's message is in the conversation already; what is added is what is wrong with it
            asked = wanted.repair(ModelRequest(messages=tuple(before.messages[:-1])), error)
            back = Conversation(messages=list(asked.messages), repairs=before.repairs + 1)
            return await passed_through(hooks.loop_back, back, ctx, Conversation, "loop_back")

    answer.__annotations__["return"] = output | Conversation if repairable(output, repairs) else output
    return answer


def ended_node(output: Any) -> Any:
    """A node body that takes what a tool gave as the output. Raises OutputValidationError if it does not fit."""
    wanted = OutputType[Any](output)
    adapter: TypeAdapter[Any] = TypeAdapter(output)

    async def ended(ended: Ended) -> Any:
        if output is str:
            return ended.content
        try:
            return adapter.validate_json(to_json(ended.value), strict=True)
        except ValidationError as error:
            schema = {} if wanted.spec is None else dict(wanted.spec.json_schema)
            detail = str(error.errors(include_url=False, include_context=False)[0]["msg"])
            raise OutputValidationError(
                "the tool that ended the turn", detail, raw=ended.content, schema=schema
            ) from error

    ended.__annotations__["return"] = output
    return ended
