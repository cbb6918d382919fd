"""From pieces to one answer: every adapter reports its pieces here, so that all of them judge completeness alike.

An answer without a finish reason, with cut tool arguments, or cut by a limit does not leave this module as an answer.
Knows no provider and reads no wire.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_core import from_json

from loomgraph.errors import (
    ContentFilterError,
    CorruptResponseError,
    OutputTruncatedError,
    StreamTruncatedError,
    ToolArgumentsError,
)
from loomgraph.models.messages import AssistantMessage, AssistantPart, ProviderPart, Text, Thinking, ToolCall
from loomgraph.models.requests import ModelRequest
from loomgraph.models.responses import (
    FinishReason,
    ModelResponse,
    Price,
    ResponseDone,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
    Usage,
    UsageReported,
)

__all__ = ["Assembler", "events_of"]

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class _Text:
    pieces: list[str] = field(default_factory=list[str])
    annotations: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass(slots=True)
class _Thinking:
    pieces: list[str] = field(default_factory=list[str])
    signature: str | None = None
    block: dict[str, Any] | None = None


@dataclass(slots=True)
class _Call:
    index: int
    id: str
    name: str
    pieces: list[str] = field(default_factory=list[str])
    call: ToolCall | None = None
    fault: str | None = None


@dataclass(slots=True)
class _Block:
    block: dict[str, Any]
    pieces: list[str] = field(default_factory=list[str])


class Assembler:
    """One answer of one call. A `key` names a part while it grows: whatever the provider tells its parts apart by."""

    def __init__(self, model: str, provider: str, request: ModelRequest, price: Price | None = None) -> None:
        self.model, self.provider = model, provider
        self.id: str | None = None
        self.version: str | None = None
        self.complete = False
        self.refusal = ""
        self.finish: FinishReason | None = None
        self.finish_detail: str | None = None
        self.usage: Usage | None = None
        self.reported: dict[str, Any] = {}
        self._request = request
        self._price = price
        self._parts: dict[object, _Text | _Thinking | _Call | _Block] = {}
        self._calls: list[_Call] = []
        self._half = ""

    def text(self, key: object, delta: str) -> Iterator[StreamEvent]:
        """More text."""
        part = self._said(key)
        delta = self._characters(delta)
        if delta:
            part.pieces.append(delta)
            yield TextDelta(text=delta)

    def annotate(self, key: object, annotation: dict[str, Any]) -> None:
        """Something that the provider notes about this text."""
        self._said(key).annotations.append(annotation)

    def thinking(self, key: object, delta: str) -> Iterator[StreamEvent]:
        """More thinking."""
        part = self._thought(key)
        delta = self._characters(delta)
        if delta:
            part.pieces.append(delta)
            yield ThinkingDelta(text=delta)

    def sign(self, key: object, *, signature: str | None = None, block: dict[str, Any] | None = None) -> None:
        """What the provider needs to take this thinking back; pieces of a signature add up."""
        part = self._thought(key)
        if signature is not None:
            part.signature = (part.signature or "") + signature
        if block is not None:
            part.block = block

    def call(self, key: object, call_id: str | None, name: str) -> Iterator[StreamEvent]:
        """A tool call begins. A provider that gives it no id has one made here, unique in the conversation."""
        if key in self._parts:
            raise CorruptResponseError(self.model, f"a tool call begins twice ({key})")
        if not name:
            raise CorruptResponseError(self.model, f"a tool call that names no tool ({key})")
        index = len(self._calls)
        part = _Call(index, call_id or f"call_{len(self._request.messages)}_{index}", name)
        self._parts[key] = part
        self._calls.append(part)
        yield ToolCallStarted(index=index, id=part.id, name=name)

    def arguments(self, key: object, delta: str) -> Iterator[StreamEvent]:
        """More of a tool call's arguments."""
        part = self._called(key)
        if part.call is not None or part.fault is not None:
            raise CorruptResponseError(self.model, f"more arguments for tool '{part.name}' after they were complete")
        if delta:
            part.pieces.append(delta)
            yield ToolCallDelta(index=part.index, text=delta)

    def close(self, key: object) -> Iterator[StreamEvent]:
        """A part is complete. Whether cut arguments are the limit's fault is known only at the end."""
        part = self._parts.get(key)
        if not isinstance(part, _Call) or part.call is not None or part.fault is not None:
            return
        arguments, part.fault = self._read(part)
        if part.fault is None:
            part.call = ToolCall(id=part.id, name=part.name, arguments=arguments)
            yield ToolCallDone(index=part.index, call=part.call)

    def block(self, key: object, block: dict[str, Any]) -> None:
        """A part that only its provider understands."""
        self._parts[key] = _Block(dict(block))

    def grow(self, key: object, delta: dict[str, Any]) -> bool:
        """More of a part that only its provider understands; False if this is another part.

        Input comes as pieces of JSON, anything else field by field: strings add up, the rest is replaced.
        """
        part = self._parts.get(key)
        if not isinstance(part, _Block):
            return False
        for name, value in delta.items():
            if name == "partial_json":
                part.pieces.append(str(value))
            elif isinstance(value, str) and isinstance(part.block.get(name), str) and name != "type":
                part.block[name] += value
            elif name != "type":
                part.block[name] = value
        return True

    @property
    def calls(self) -> int:
        """How many tool calls have begun."""
        return len(self._calls)

    def call_id(self, key: object) -> str | None:
        """The id of the tool call that began under this key, if one did."""
        part = self._parts.get(key)
        return part.id if isinstance(part, _Call) else None

    def has(self, key: object) -> bool:
        """Whether something came under this key."""
        return key in self._parts

    def has_arguments(self, key: object) -> bool:
        """Whether arguments of this tool call came."""
        part = self._parts.get(key)
        return isinstance(part, _Call) and bool(part.pieces)

    def open_call(self) -> object:
        """The key of the tool call that is growing; None without one."""
        for key, part in self._parts.items():
            if isinstance(part, _Call) and part.call is None and part.fault is None:
                return key
        return None

    def done(self) -> Iterator[StreamEvent]:
        """Nothing more comes: the last events, or the reason why this is no answer."""
        for key in list(self._parts):
            yield from self.close(key)
        if self.finish is None or not self.complete:
            raise StreamTruncatedError(self.model, "it gave no reason for ending" if self.finish is None else "")
        if self._half:
            raise CorruptResponseError(self.model, "it sent half a character")
        if self.refusal:
            self.finish, self.finish_detail = FinishReason.CONTENT_FILTER, f"it refused: {self.refusal}"
        if self._calls and self.finish is FinishReason.STOP:
            self.finish = FinishReason.TOOL_CALLS  # some servers say so although they call tools
        response = self._response(self.finish)
        self._judge(response)
        if response.usage is not None:
            yield UsageReported(usage=response.usage)
        yield ResponseDone(response=response)

    def _judge(self, response: ModelResponse) -> None:
        faulty = next((part for part in self._calls if part.fault is not None), None)
        limited = response.finish is FinishReason.LENGTH
        if limited and (faulty is not None or not self._request.accept_truncated):
            raise OutputTruncatedError(self.model, self.finish_detail or "", response=response)
        if response.finish is FinishReason.CONTENT_FILTER:
            raise ContentFilterError(self.model, self.finish_detail or "", response=response)
        if faulty is not None:
            fault, raw = faulty.fault or "", "".join(faulty.pieces)
            raise ToolArgumentsError(self.model, faulty.name, raw, fault, response=response)

    def _response(self, finish: FinishReason) -> ModelResponse:
        usage = self.usage
        if usage is not None and usage.cost is None and self._price is not None:
            usage = usage.model_copy(update={"cost": self._price.of(usage)})
        parts = tuple(part for part in map(self._whole, self._parts.values()) if part is not None)
        return ModelResponse(
            message=AssistantMessage(parts=parts),
            finish=finish,
            model=self.model,
            provider=self.provider,
            usage=usage,
            id=self.id,
            version=self.version,
            finish_detail=self.finish_detail,
        )

    def _whole(self, part: _Text | _Thinking | _Call | _Block) -> AssistantPart | None:
        if isinstance(part, _Text):
            text = "".join(part.pieces)
            return Text(text=text, annotations=tuple(part.annotations)) if text or part.annotations else None
        if isinstance(part, _Thinking):
            text = "".join(part.pieces)
            if not (text or part.signature or part.block):
                return None
            return Thinking(text=text, provider=self.provider, signature=part.signature, block=part.block)
        if isinstance(part, _Call):
            return part.call
        if part.pieces:
            part.block["input"] = from_json("".join(part.pieces), allow_inf_nan=False)
        return ProviderPart(provider=self.provider, block=part.block)

    def _read(self, part: _Call) -> tuple[dict[str, Any], str | None]:
        raw = "".join(part.pieces).strip()
        try:
            value: Any = from_json(raw, allow_inf_nan=False) if raw else {}
        except ValueError as error:
            return {}, f"its arguments are no JSON ({error})"
        if not isinstance(value, dict):
            return {}, "its arguments are no JSON object"
        tool = self._request.tool(part.name)
        required = tool.parameters.get("required") if tool is not None else None
        if not value and required:
            return {}, f"it has no arguments, and needs {', '.join(map(str, cast(list[Any], required)))}"
        return cast(dict[str, Any], value), None

    def _characters(self, delta: str) -> str:
        """The delta in whole characters: a provider may cut one in two halves, which mean something only together."""
        delta = self._half + delta
        self._half = ""
        if delta.isascii() or not _SURROGATE.search(delta):
            return delta
        if "\ud800" <= delta[-1] <= "\udbff":
            delta, self._half = delta[:-1], delta[-1]
        return delta.encode("utf-16", "surrogatepass").decode("utf-16")

    def _said(self, key: object) -> _Text:
        part = self._parts.setdefault(key, _Text())
        if not isinstance(part, _Text):
            raise CorruptResponseError(self.model, f"text in the middle of another part ({key})")
        return part

    def _thought(self, key: object) -> _Thinking:
        part = self._parts.setdefault(key, _Thinking())
        if not isinstance(part, _Thinking):
            raise CorruptResponseError(self.model, f"thinking in the middle of another part ({key})")
        return part

    def _called(self, key: object) -> _Call:
        part = self._parts.get(key)
        if not isinstance(part, _Call):
            raise CorruptResponseError(self.model, f"arguments of a tool call that did not begin ({key})")
        return part


def events_of(response: ModelResponse) -> Iterator[StreamEvent]:
    """The events of an answer that is there already, one delta a part."""
    index = 0
    for part in response.message.parts:
        if isinstance(part, Text):
            yield TextDelta(text=part.text)
        elif isinstance(part, Thinking):
            if part.text:
                yield ThinkingDelta(text=part.text)
        elif isinstance(part, ToolCall):
            yield ToolCallStarted(index=index, id=part.id, name=part.name)
            yield ToolCallDelta(index=index, text=json.dumps(part.arguments, ensure_ascii=False))
            yield ToolCallDone(index=index, call=part)
            index += 1
    if response.usage is not None:
        yield UsageReported(usage=response.usage)
    yield ResponseDone(response=response)
