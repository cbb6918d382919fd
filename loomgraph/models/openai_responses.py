"""OpenAI's Responses API. Nothing is stored at OpenAI: a conversation is sent whole, its reasoning encrypted.

Reasoning that came without its encrypted content is not sent back: without storage the API could not find it. It cannot
tell a model that a tool failed other than by the text of the result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, assert_never

from loomgraph.models.adapter import Adapter
from loomgraph.models.assemble import Assembler
from loomgraph.models.faults import refused
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
from loomgraph.models.openai_client import make_client, tool_schema, wanted_format
from loomgraph.models.refusals import check_tools, foreign
from loomgraph.models.requests import ModelRequest
from loomgraph.models.responses import FinishReason, StreamEvent, Usage
from loomgraph.models.wire import ServerEvent, as_count, as_dict, as_list, as_object, as_text

__all__ = ["OpenAIModel"]

# Other models refuse to be asked for encrypted reasoning.
_REASONS = re.compile(r"(?:^|/)(?:o\d|gpt-[5-9]|codex)")
_INCOMPLETE = {"max_output_tokens": FinishReason.LENGTH, "content_filter": FinishReason.CONTENT_FILTER}


class OpenAIModel(Adapter):
    """`openai:NAME`: the Responses API, in which reasoning goes on from one tool call to the next."""

    provider: ClassVar[str] = "openai"

    def _client(self, http: Any) -> Any:
        return make_client(self.name, self.settings, http)

    def _send(self, client: Any, body: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
        sent: AbstractAsyncContextManager[Any] = client.responses.with_streaming_response.create(**body)
        return sent

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        check_tools(self.name, request)
        items = [written for message in request.messages for written in self._items(message)]
        body: dict[str, Any] = {"model": self.model, "input": items, "store": False}
        if _REASONS.search(self.model):
            body["include"] = ["reasoning.encrypted_content"]
        if request.tools:
            body["tools"] = [{"type": "function", **tool_schema(self.name, tool)} for tool in request.tools]
            body["tool_choice"] = _choice(request.tool_choice)
            if request.parallel_tools is not None:
                body["parallel_tool_calls"] = request.parallel_tools
        if request.output is not None:
            body["text"] = {"format": {"type": "json_schema", **wanted_format(request.output)}}
        if request.effort is not None:
            body["reasoning"] = {"effort": request.effort}
        if request.max_tokens is not None:
            body["max_output_tokens"] = request.max_tokens
        if request.temperature is not None:
            body["temperature"] = request.temperature
        extra: dict[str, Any] = dict(request.extra)
        if request.stop:
            extra.setdefault("stop", list(request.stop))  # not in the SDK's signature; the server judges it
        if self.settings.streaming:
            body["stream"] = True
        if extra:
            body["extra_body"] = extra
        return body

    def _items(self, message: Message) -> Iterator[dict[str, Any]]:
        match message:
            case SystemMessage(text=text):
                yield {"role": "system", "content": text}
            case UserMessage():
                yield {"role": "user", "content": [self._shown(part) for part in message.parts]}
            case AssistantMessage():
                for part in message.parts:
                    yield from self._said(part)
            case ToolMessage(results=results):
                for result in results:
                    yield {"type": "function_call_output", "call_id": result.call_id, "output": self._result(result)}
            case _:
                assert_never(message)

    def _shown(self, part: Text | Image | ProviderPart) -> dict[str, Any]:
        match part:
            case Text(text=text):
                return {"type": "input_text", "text": text}
            case Image():
                return {"type": "input_image", "image_url": part.address, "detail": "auto"}
            case ProviderPart(provider=self.provider):
                return dict(part.block)
            case ProviderPart():
                raise foreign(self.name, part)
            case _:
                assert_never(part)

    def _said(self, part: Text | Thinking | ToolCall | ProviderPart) -> Iterator[dict[str, Any]]:
        match part:
            case Text(text=text):
                yield {"role": "assistant", "content": text}
            case Thinking():
                if part.provider == self.provider and part.block and part.block.get("encrypted_content"):
                    yield {key: value for key, value in part.block.items() if value is not None and key != "status"}
            case ToolCall():
                arguments = json.dumps(part.arguments, ensure_ascii=False)
                yield {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": arguments}
            case ProviderPart(provider=self.provider):
                yield dict(part.block)
            case ProviderPart():
                raise foreign(self.name, part)
            case _:
                assert_never(part)

    def _result(self, result: ToolResult) -> Any:
        if any(isinstance(part, Image) for part in result.content):
            return [self._shown(part) for part in result.content]
        return result.text

    def _piece(self, assembler: Assembler, sent: ServerEvent) -> Iterator[StreamEvent]:
        if sent.data == "[DONE]" or not sent.data:
            return
        event = as_object(sent.data)
        kind = as_text(event.get("type")) or sent.name
        if kind == "error":
            self._refuse(event)
            raise refused(self.name, as_text(event.get("message")), code=as_text(event.get("code")) or None)
        self._refuse(event)
        if kind in {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}:
            self._end(assembler, as_dict(event.get("response")))
        elif kind.startswith("response.output_item"):
            yield from _read_item(assembler, as_dict(event.get("item")), event.get("output_index"), kind)
        else:
            yield from _read_delta(assembler, event, kind)

    def _whole(self, assembler: Assembler, body: dict[str, Any]) -> Iterator[StreamEvent]:
        for index, item in enumerate(as_list(body.get("output"))):
            yield from _read_whole(assembler, item, index)
        self._end(assembler, body)

    def _end(self, assembler: Assembler, response: dict[str, Any]) -> None:
        self._refuse(response)
        assembler.id = as_text(response.get("id")) or None
        assembler.version = as_text(response.get("model")) or None
        if response.get("usage"):
            assembler.usage = _usage(as_dict(response["usage"]))
        status = as_text(response.get("status")) or "completed"
        reason = as_text(as_dict(response.get("incomplete_details")).get("reason"))
        assembler.finish_detail = reason or status
        assembler.complete = True
        if status == "completed":
            assembler.finish = FinishReason.STOP
        elif status == "incomplete":
            assembler.finish = _INCOMPLETE.get(reason, FinishReason.LENGTH)  # without a reason it is short too
        else:
            raise refused(self.name, f"the response is {status}")


def _read_delta(assembler: Assembler, event: dict[str, Any], kind: str) -> Iterator[StreamEvent]:
    index = event.get("output_index")
    delta = as_text(event.get("delta")) if isinstance(event.get("delta"), str) else ""
    match kind:
        case "response.output_text.delta":
            yield from assembler.text(("text", index, event.get("content_index")), delta)
        case "response.output_text.annotation.added":
            assembler.annotate(("text", index, event.get("content_index")), as_dict(event.get("annotation")))
        case "response.refusal.delta":
            assembler.refusal += delta
        case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
            yield from assembler.thinking(("item", index), delta)
        case "response.reasoning_summary_part.added":
            if event.get("summary_index"):
                yield from assembler.thinking(("item", index), "\n\n")
        case "response.function_call_arguments.delta":
            yield from assembler.arguments(("item", index), delta)
        case _:  # progress, and the ends of parts, whose item says it all
            pass


def _read_item(assembler: Assembler, item: dict[str, Any], index: Any, kind: str) -> Iterator[StreamEvent]:
    """An item begins, or is complete. What was said of it in between counts; what was not is taken from its end."""
    key = ("item", index)
    what = as_text(item.get("type"))
    if kind == "response.output_item.added":
        if what == "function_call":
            yield from assembler.call(key, as_text(item.get("call_id")), as_text(item.get("name")))
        return
    match what:
        case "function_call":
            if assembler.call_id(key) is None:
                yield from assembler.call(key, as_text(item.get("call_id")), as_text(item.get("name")))
            if not assembler.has_arguments(key):
                yield from assembler.arguments(key, as_text(item.get("arguments")))
            yield from assembler.close(key)
        case "reasoning":
            thought = _thought(item)
            if not assembler.has(key):
                yield from assembler.thinking(key, thought)
            if thought or item.get("encrypted_content"):
                assembler.sign(key, block=item)
        case "message":
            for position, part in enumerate(as_list(item.get("content"))):
                if not assembler.has(("text", index, position)):
                    yield from _read_content(assembler, part, ("text", index, position))
        case _:
            assembler.block(key, item)


def _read_whole(assembler: Assembler, item: dict[str, Any], index: int) -> Iterator[StreamEvent]:
    yield from _read_item(assembler, item, index, "response.output_item.done")


def _read_content(assembler: Assembler, part: dict[str, Any], key: object) -> Iterator[StreamEvent]:
    if part.get("type") == "refusal":
        if not assembler.refusal:
            assembler.refusal = as_text(part.get("refusal"))
        return
    yield from assembler.text(key, as_text(part.get("text")))
    for annotation in as_list(part.get("annotations")):
        assembler.annotate(key, annotation)


def _thought(item: dict[str, Any]) -> str:
    summary = "\n\n".join(as_text(part.get("text")) for part in as_list(item.get("summary")))
    return summary or "".join(as_text(part.get("text")) for part in as_list(item.get("content")))


def _usage(usage: dict[str, Any]) -> Usage:
    read, written = as_dict(usage.get("input_tokens_details")), as_dict(usage.get("output_tokens_details"))
    return Usage(
        input_tokens=as_count(usage.get("input_tokens")),
        output_tokens=as_count(usage.get("output_tokens")),
        cached_tokens=as_count(read.get("cached_tokens")),
        cache_write_tokens=as_count(read.get("cache_write_tokens")),
        reasoning_tokens=as_count(written.get("reasoning_tokens")),
    )


def _choice(choice: str) -> Any:
    return choice if choice in {"auto", "none", "required"} else {"type": "function", "name": choice}
