"""What a model is asked, as one frozen value: the conversation, the tools, the shape of the answer, the settings.

A request is complete: the same request means the same question today, in a log, in a cassette and in another process.
It names no model and holds no key.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, JsonValue

from loomgraph.models.messages import Message, Value, system, user

__all__ = ["Effort", "ModelRequest", "OutputSpec", "ToolSpec", "request_of"]

Effort: TypeAlias = Literal["none", "low", "medium", "high", "xhigh", "max"]
"""How much to think; which of them a model has is the provider's business."""


class ToolSpec(Value):
    """A tool as a model sees it. `parameters` is the JSON schema of its arguments, an object.

    `strict` asks the provider to enforce the schema, which then may hold only what the provider's strict mode allows.
    """

    name: str
    description: str = ""
    parameters: dict[str, JsonValue]
    strict: bool = False


class OutputSpec(Value):
    """The JSON schema that an answer must fit; an object, because providers take nothing else at the top."""

    name: str
    json_schema: dict[str, JsonValue]


class ModelRequest(Value):
    """One question to a model.

    `tool_choice` is "auto" (as the model likes), "none", "required" (at least one), or the name of the tool to call.
    `output` asks for an answer in JSON; the model's text is then to be parsed by whoever asked. `max_tokens` limits the
    answer; an answer that reaches a limit is an error unless `accept_truncated`. `extra` are parameters of the
    provider's own, sent as they are, over anything said here. None means the provider's default.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    parallel_tools: bool | None = None
    output: OutputSpec | None = None
    effort: Effort | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    stop: tuple[str, ...] = ()
    accept_truncated: bool = False
    extra: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])

    def plus(self, *messages: Message) -> ModelRequest:
        """The same request with these messages added to the conversation."""
        return self.model_copy(update={"messages": (*self.messages, *messages)})

    def tool(self, name: str) -> ToolSpec | None:
        """The tool of that name, if it is offered."""
        return next((tool for tool in self.tools if tool.name == name), None)


def request_of(
    prompt: str | Message | ModelRequest | list[Message], *, instructions: str | None = None
) -> ModelRequest:
    """A request from whatever is at hand: a text, a message, a conversation, or a request."""
    if isinstance(prompt, ModelRequest):
        request = prompt
    elif isinstance(prompt, str):
        request = ModelRequest(messages=(user(prompt),))
    else:
        request = ModelRequest(messages=tuple(prompt) if isinstance(prompt, list) else (prompt,))
    if instructions is None:
        return request
    return request.model_copy(update={"messages": (system(instructions), *request.messages)})
