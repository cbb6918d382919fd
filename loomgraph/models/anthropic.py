"""Anthropic's Messages API. Thinking goes back with its signature, blocks of Anthropic's own as they came.

System messages are possible at the beginning of a conversation only: this API has no place for later ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, assert_never

from loomgraph.errors import ModelMissingError, ModelRequestError
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
from loomgraph.models.refusals import check_tools, foreign
from loomgraph.models.requests import ModelRequest, OutputSpec
from loomgraph.models.responses import FinishReason, StreamEvent, Usage
from loomgraph.models.schemas import is_recursive, strict_schema
from loomgraph.models.wire import ServerEvent, as_count, as_dict, as_list, as_object, as_text

__all__ = ["AnthropicModel"]

# The API wants a limit; this one is within that of every current model and of what it takes without streaming.
_MAX_TOKENS = 16_000
_FINISH = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "refusal": FinishReason.CONTENT_FILTER,
    "pause_turn": FinishReason.PAUSE,
}


class AnthropicModel(Adapter):
    """`anthropic:NAME`. Without `max_tokens`, an answer has at most 16,000."""

    provider: ClassVar[str] = "anthropic"

    def _client(self, http: Any) -> Any:
        try:
            import anthropic
            import httpx2
        except ImportError as error:
            raise ModelMissingError(self.name, error.name or "anthropic", "anthropic") from error
        settings = self.settings
        return anthropic.AsyncAnthropic(
            api_key=settings.api_key,
            base_url=settings.base_url,
            timeout=httpx2.Timeout(settings.timeout, connect=settings.connect_timeout),
            max_retries=0,
            default_headers=settings.headers,
            http_client=http,
        )

    def _send(self, client: Any, body: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
        sent: AbstractAsyncContextManager[Any] = client.messages.with_streaming_response.create(**body)
        return sent

    def _enforces(self, output: OutputSpec) -> bool:
        # it closes every object and knows no recursion: such a schema would be another one
        return strict_schema(output.json_schema) is not None and not is_recursive(output.json_schema)

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        check_tools(self.name, request)
        instructions, messages = self._split(request.messages)
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": request.max_tokens or _MAX_TOKENS,
            "messages": [self._message(message) for message in messages],
        }
        if instructions:
            body["system"] = "\n\n".join(message.text for message in instructions)
        if request.tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
                | ({"strict": True} if tool.strict else {})
                for tool in request.tools
            ]
            body["tool_choice"] = _choice(request)
        config: dict[str, Any] = {}
        if request.output is not None:
            config["format"] = {"type": "json_schema", "schema": _transformed(request.output)}
        if request.effort == "none":
            body["thinking"] = {"type": "disabled"}
        elif request.effort is not None:
            config["effort"] = request.effort
            body["thinking"] = {"type": "adaptive"}
        if config:
            body["output_config"] = config
        if request.stop:
            body["stop_sequences"] = list(request.stop)
        extra: dict[str, Any] = dict(request.extra)
        if request.temperature is not None:
            extra.setdefault("temperature", request.temperature)  # not in the SDK's signature any more
        if self.settings.streaming:
            body["stream"] = True
        if extra:
            body["extra_body"] = extra
        return body

    def _split(self, messages: tuple[Message, ...]) -> tuple[list[SystemMessage], list[Message]]:
        """The instructions at the beginning, and the conversation."""
        instructions: list[SystemMessage] = []
        for at, message in enumerate(messages):
            if not isinstance(message, SystemMessage):
                rest = list(messages[at:])
                if any(isinstance(later, SystemMessage) for later in rest):
                    raise ModelRequestError(self.name, "a system message stands in the middle of the conversation")
                return instructions, rest
            instructions.append(message)
        raise ModelRequestError(self.name, "the conversation has no message but instructions")

    def _message(self, message: Message) -> dict[str, Any]:
        match message:
            case UserMessage(parts=parts):
                return {"role": "user", "content": [self._shown(part) for part in parts]}
            case AssistantMessage(parts=parts):
                return {"role": "assistant", "content": [block for part in parts for block in self._said(part)]}
            case ToolMessage(results=results):
                return {"role": "user", "content": [self._result(result) for result in results]}
            case SystemMessage():
                raise AssertionError("instructions were split off before")
            case _:
                assert_never(message)

    def _shown(self, part: Text | Image | ProviderPart) -> dict[str, Any]:
        match part:
            case Text(text=text):
                return {"type": "text", "text": text}
            case Image(url=str(url)):
                return {"type": "image", "source": {"type": "url", "url": url}}
            case Image():
                return {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": part.data}}
            case ProviderPart(provider=self.provider):
                return dict(part.block)
            case ProviderPart():
                raise foreign(self.name, part)
            case _:
                assert_never(part)

    def _said(self, part: Text | Thinking | ToolCall | ProviderPart) -> Iterator[dict[str, Any]]:
        match part:
            case Text(text=text):
                if text:  # the API refuses empty ones
                    yield {"type": "text", "text": text}
            case Thinking():
                if part.provider != self.provider:
                    return
                if part.block is not None:
                    yield dict(part.block)
                elif part.signature is not None:
                    yield {"type": "thinking", "thinking": part.text, "signature": part.signature}
            case ToolCall():
                yield {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
            case ProviderPart(provider=self.provider):
                yield dict(part.block)
            case ProviderPart():
                raise foreign(self.name, part)
            case _:
                assert_never(part)

    def _result(self, result: ToolResult) -> dict[str, Any]:
        return {
            "type": "tool_result",
            "tool_use_id": result.call_id,
            "content": [self._shown(part) for part in result.content],
            "is_error": result.error,
        }

    def _piece(self, assembler: Assembler, sent: ServerEvent) -> Iterator[StreamEvent]:
        if not sent.data:
            return
        event = as_object(sent.data)
        self._refuse(event)
        index = event.get("index")
        match as_text(event.get("type")) or sent.name:
            case "message_start":
                _opened(assembler, as_dict(event.get("message")))
            case "content_block_start":
                yield from _block(assembler, as_dict(event.get("content_block")), index)
            case "content_block_delta":
                yield from _delta(assembler, as_dict(event.get("delta")), index)
            case "content_block_stop":
                yield from assembler.close(index)
            case "message_delta":
                _finished(assembler, as_dict(event.get("delta")), as_dict(event.get("usage")))
            case "message_stop":
                assembler.complete = True
            case _:  # pings, and events that came after this was written
                pass

    def _whole(self, assembler: Assembler, body: dict[str, Any]) -> Iterator[StreamEvent]:
        _opened(assembler, body)
        for index, block in enumerate(as_list(body.get("content"))):
            yield from _block(assembler, block, index)
            if block.get("type") == "tool_use" and not assembler.has_arguments(index):
                yield from assembler.arguments(index, json.dumps(as_dict(block.get("input"))))
            yield from assembler.close(index)
        _finished(assembler, body, {})


def _opened(assembler: Assembler, message: dict[str, Any]) -> None:
    assembler.id = as_text(message.get("id")) or None
    assembler.version = as_text(message.get("model")) or None
    _reported(assembler, as_dict(message.get("usage")))


def _block(assembler: Assembler, block: dict[str, Any], index: Any) -> Iterator[StreamEvent]:
    match as_text(block.get("type")):
        case "text":
            yield from assembler.text(index, as_text(block.get("text")))
            for citation in as_list(block.get("citations")):
                assembler.annotate(index, citation)
        case "thinking":
            yield from assembler.thinking(index, as_text(block.get("thinking")))
            assembler.sign(index, signature=as_text(block.get("signature")) or None)
        case "redacted_thinking":
            assembler.sign(index, block=block)
        case "tool_use":
            yield from assembler.call(index, as_text(block.get("id")), as_text(block.get("name")))
            if block.get("input"):  # some servers send it whole
                yield from assembler.arguments(index, json.dumps(as_dict(block["input"]), ensure_ascii=False))
        case _:
            assembler.block(index, block)


def _delta(assembler: Assembler, delta: dict[str, Any], index: Any) -> Iterator[StreamEvent]:
    if assembler.grow(index, delta):
        return
    match as_text(delta.get("type")):
        case "text_delta":
            yield from assembler.text(index, as_text(delta.get("text")))
        case "thinking_delta":
            yield from assembler.thinking(index, as_text(delta.get("thinking")))
        case "signature_delta":
            assembler.sign(index, signature=as_text(delta.get("signature")))
        case "input_json_delta":
            yield from assembler.arguments(index, as_text(delta.get("partial_json")))
        case "citations_delta":
            assembler.annotate(index, as_dict(delta.get("citation")))
        case other:
            raise TypeError(f"a part grows by {other!r}, which is not known")


def _finished(assembler: Assembler, delta: dict[str, Any], usage: dict[str, Any]) -> None:
    reason = as_text(delta.get("stop_reason"))
    if reason:
        assembler.finish = _FINISH.get(reason, FinishReason.OTHER)
        assembler.finish_detail = reason
    _reported(assembler, usage)


def _reported(assembler: Assembler, usage: dict[str, Any]) -> None:
    """Counts are totals so far; what a later report leaves out was said before."""
    if usage:
        assembler.reported |= {name: count for name, count in usage.items() if count is not None}
        assembler.usage = _usage(assembler.reported)


def _usage(usage: dict[str, Any]) -> Usage:
    read = as_count(usage.get("cache_read_input_tokens"))
    written = as_count(usage.get("cache_creation_input_tokens"))
    details = as_dict(usage.get("output_tokens_details"))
    return Usage(
        input_tokens=as_count(usage.get("input_tokens")) + read + written,
        output_tokens=as_count(usage.get("output_tokens")),
        cached_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=as_count(details.get("thinking_tokens")),
    )


def _transformed(output: OutputSpec) -> dict[str, Any]:
    import anthropic

    return anthropic.transform_schema(dict(output.json_schema))


def _choice(request: ModelRequest) -> dict[str, Any]:
    choice = request.tool_choice
    kinds = {"auto": "auto", "none": "none", "required": "any"}
    chosen: dict[str, Any] = {"type": kinds[choice]} if choice in kinds else {"type": "tool", "name": choice}
    if request.parallel_tools is not None and choice != "none":
        chosen["disable_parallel_tool_use"] = not request.parallel_tools
    return chosen
