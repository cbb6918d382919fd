"""OpenAI's Chat Completions, and every server that speaks it: Ollama, vLLM, llama.cpp, Azure, gateways.

Thinking that a server shows (`reasoning_content`, `reasoning`) is read and never sent back: this API has no place for
it. It cannot tell a model that a tool failed other than by the text of the result, nor show it pictures from tools.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, assert_never

from loomgraph.errors import ModelRequestError, ModelServerError, StreamTruncatedError
from loomgraph.models.adapter import Adapter
from loomgraph.models.assemble import Assembler
from loomgraph.models.messages import (
    AssistantMessage,
    Image,
    Message,
    ProviderPart,
    SystemMessage,
    Text,
    Thinking,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from loomgraph.models.openai_client import is_official, make_client, tool_schema, wanted_format
from loomgraph.models.refusals import check_tools, foreign
from loomgraph.models.requests import ModelRequest
from loomgraph.models.responses import FinishReason, StreamEvent, Usage
from loomgraph.models.wire import ServerEvent, as_count, as_dict, as_list, as_object, as_text

__all__ = ["OpenAIChatModel", "read_chunk"]

# OpenAI's words, and those of servers that speak the same with an accent
_FINISH = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "refusal": FinishReason.CONTENT_FILTER,
    "safety": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,
}
_FAILED = frozenset({"error", "network_error", "insufficient_system_resource"})


class OpenAIChatModel(Adapter):
    """`openai-chat:NAME`. With `base_url`, any server that has Chat Completions."""

    provider: ClassVar[str] = "openai-chat"

    def _client(self, http: Any) -> Any:
        return make_client(self.name, self.settings, http)

    def _send(self, client: Any, body: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
        sent: AbstractAsyncContextManager[Any] = client.chat.completions.with_streaming_response.create(**body)
        return sent

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        check_tools(self.name, request)
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [written for message in request.messages for written in self._message(message)],
        }
        if request.tools:
            body["tools"] = [{"type": "function", "function": tool_schema(self.name, tool)} for tool in request.tools]
            body["tool_choice"] = _choice(request.tool_choice)
            if request.parallel_tools is not None:
                body["parallel_tool_calls"] = request.parallel_tools
        if request.output is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": wanted_format(request.output)}
        if request.effort is not None:
            body["reasoning_effort"] = request.effort
        if request.max_tokens is not None:
            # other servers know only the older name, and OpenAI's newer models only the newer one
            official = is_official(self.settings.base_url)
            body["max_completion_tokens" if official else "max_tokens"] = request.max_tokens
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.stop:
            body["stop"] = list(request.stop)
        if self.settings.streaming:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if request.extra:
            body["extra_body"] = request.extra
        return body

    def _message(self, message: Message) -> Iterator[dict[str, Any]]:
        match message:
            case SystemMessage(text=text):
                yield {"role": "system", "content": text}
            case UserMessage():
                if all(isinstance(part, Text) for part in message.parts):
                    yield {"role": "user", "content": message.text}
                else:
                    yield {"role": "user", "content": [self._shown(part) for part in message.parts]}
            case AssistantMessage():
                yield self._said(message)
            case ToolMessage(results=results):
                for result in results:
                    yield {"role": "tool", "tool_call_id": result.call_id, "content": self._result(result)}
            case _:
                assert_never(message)

    def _shown(self, part: Text | Image | ProviderPart) -> dict[str, Any]:
        match part:
            case Text(text=text):
                return {"type": "text", "text": text}
            case Image():
                return {"type": "image_url", "image_url": {"url": part.address}}
            case ProviderPart(provider=self.provider):
                return dict(part.block)
            case ProviderPart():
                raise foreign(self.name, part)
            case _:
                assert_never(part)

    def _said(self, message: AssistantMessage) -> dict[str, Any]:
        said: dict[str, Any] = {"role": "assistant", "content": message.text or None}
        calls: list[dict[str, Any]] = []
        for part in message.parts:
            match part:
                case ToolCall():
                    function = {"name": part.name, "arguments": json.dumps(part.arguments, ensure_ascii=False)}
                    calls.append({"id": part.id, "type": "function", "function": function})
                case ProviderPart():
                    raise foreign(self.name, part)
                case Text() | Thinking():
                    pass
                case _:
                    assert_never(part)
        if calls:
            said["tool_calls"] = calls
        elif said["content"] is None:
            said["content"] = ""
        return said

    def _result(self, result: ToolResult) -> str:
        if any(isinstance(part, Image) for part in result.content):
            raise ModelRequestError(
                self.name, f"the result of tool '{result.name}' has a picture, which it cannot take"
            )
        return result.text

    def _piece(self, assembler: Assembler, sent: ServerEvent) -> Iterator[StreamEvent]:
        if sent.data == "[DONE]":
            assembler.complete = True
            return
        if not sent.data:
            return
        chunk = as_object(sent.data)
        self._refuse(chunk)
        yield from read_chunk(assembler, chunk)

    def _whole(self, assembler: Assembler, body: dict[str, Any]) -> Iterator[StreamEvent]:
        yield from read_chunk(assembler, body)


def read_chunk(assembler: Assembler, chunk: dict[str, Any]) -> Iterator[StreamEvent]:
    """Read one chunk of a stream, or a whole completion: they differ in `delta` and `message`."""
    assembler.id = assembler.id or as_text(chunk.get("id")) or None
    assembler.version = assembler.version or as_text(chunk.get("model")) or None
    if chunk.get("usage"):
        assembler.usage = _usage(as_dict(chunk["usage"]))
        assembler.complete = True
    for choice in as_list(chunk.get("choices")):
        if choice.get("index", 0) != 0:
            continue
        yield from _read_delta(assembler, as_dict(choice.get("delta") or choice.get("message")))
        finish = as_text(choice.get("finish_reason"))
        if finish:
            _finished(assembler, finish)


def _read_delta(assembler: Assembler, delta: dict[str, Any]) -> Iterator[StreamEvent]:
    thought = as_text(delta.get("reasoning_content")) or as_text(delta.get("reasoning"))
    if thought:
        yield from assembler.thinking("thinking", thought)
    yield from assembler.text("text", as_text(delta.get("content")))
    for annotation in as_list(delta.get("annotations")):
        assembler.annotate("text", annotation)
    assembler.refusal += as_text(delta.get("refusal"))
    if delta.get("function_call"):
        raise TypeError("it called a function in the way of 2023, which is not supported")
    for call in as_list(delta.get("tool_calls")):
        yield from _read_call(assembler, call)


def _read_call(assembler: Assembler, call: dict[str, Any]) -> Iterator[StreamEvent]:
    if call.get("type") not in {None, "function"}:
        raise TypeError(f"it called a tool of type {call['type']!r}, which was not offered")
    function = as_dict(call.get("function"))
    name, call_id, index = as_text(function.get("name")), as_text(call.get("id")), call.get("index")
    growing = assembler.open_call()
    key: object = ("call", index)
    if index is None:  # calls that come whole may have no index: a name begins one
        key = ("call", "nameless", call_id or assembler.calls) if name else growing
    elif call_id and assembler.call_id(key) not in {None, call_id}:
        key = ("call", index, call_id)  # one server gives every call the index 0
    if assembler.call_id(key) is None:
        if growing is not None:
            yield from assembler.close(growing)
        yield from assembler.call(key, call_id or None, name)
    yield from assembler.arguments(key, as_text(function.get("arguments")))


def _finished(assembler: Assembler, finish: str) -> None:
    if finish in _FAILED:
        raise ModelServerError(assembler.model, f"the answer ended with '{finish}'")
    if finish == "abort":
        raise StreamTruncatedError(assembler.model, "the server gave the answer up")
    assembler.finish = _FINISH.get(finish, FinishReason.OTHER)
    assembler.finish_detail = finish


def _usage(usage: dict[str, Any]) -> Usage:
    read, written = as_dict(usage.get("prompt_tokens_details")), as_dict(usage.get("completion_tokens_details"))
    cost = usage.get("cost")
    return Usage(
        input_tokens=as_count(usage.get("prompt_tokens")),
        output_tokens=as_count(usage.get("completion_tokens")),
        cached_tokens=as_count(read.get("cached_tokens")),
        cache_write_tokens=as_count(read.get("cache_write_tokens")),
        reasoning_tokens=as_count(written.get("reasoning_tokens")),
        cost=float(cost) if isinstance(cost, (int, float)) else None,
    )


def _choice(choice: str) -> Any:
    return choice if choice in {"auto", "none", "required"} else {"type": "function", "function": {"name": choice}}
