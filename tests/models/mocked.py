"""Adapters whose HTTP goes to a function of the test: what they send is seen, what they get is said. No socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import anthropic
import httpx2
import openai

from loomgraph.models import AnthropicModel, OpenAIChatModel, OpenAIModel
from loomgraph.models.adapter import Adapter, Options

APIS = {"chat": OpenAIChatModel, "responses": OpenAIModel, "anthropic": AnthropicModel}


class Wire:
    """Answers each request with the next reply; the last one again and again. `sent` has the bodies of the requests."""

    def __init__(self, *replies: httpx2.Response | Exception | Callable[[], httpx2.Response]) -> None:
        self.sent: list[dict[str, Any]] = []
        self.headers: list[httpx2.Headers] = []
        self._replies = list(replies)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(json.loads(request.content))
        self.headers.append(request.headers)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        # a response is read once; another request needs one of its own
        return (
            reply()
            if callable(reply)
            else httpx2.Response(reply.status_code, headers=reply.headers, content=reply.content)
        )


def model(api: str, wire: Callable[[httpx2.Request], httpx2.Response], name: str = "m", **options: Any) -> Adapter:
    """The adapter of this API over `wire`, without retries unless `options` say so."""

    def client() -> Any:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(wire))
        if api == "anthropic":
            return anthropic.AsyncAnthropic(api_key="k", base_url="http://test", http_client=http)
        return openai.AsyncOpenAI(api_key="k", base_url="http://test/v1", http_client=http)

    given = cast(Options, {"client": client, "retry": None, **options})
    return APIS[api](name, **given)


def body(value: Any, status: int = 200, **headers: str) -> httpx2.Response:
    """A JSON body."""
    return httpx2.Response(status, json=value, headers={name.replace("_", "-"): told for name, told in headers.items()})


def text(said: str, kind: str = "text/html", status: int = 200) -> httpx2.Response:
    """A body that is no JSON."""
    return httpx2.Response(status, content=said.encode(), headers={"content-type": kind})


def raw(content: str | bytes, kind: str = "text/event-stream") -> httpx2.Response:
    """A stream as it is."""
    data = content.encode() if isinstance(content, str) else content
    return httpx2.Response(200, content=data, headers={"content-type": kind})


def stream(*events: dict[str, Any] | str) -> httpx2.Response:
    """A stream of events; a dict with a `type` is also named so, a string is sent as its data."""
    lines: list[str] = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        name = event.get("type") if isinstance(event, dict) else None
        lines.append((f"event: {name}\n" if name else "") + f"data: {data}\n\n")
    return raw("".join(lines))


def chat(*deltas: dict[str, Any], finish: str | None = "stop", usage: dict[str, Any] | None = None) -> httpx2.Response:
    """A Chat Completions stream of these deltas."""
    chunks: list[dict[str, Any] | str] = [
        {"id": "c1", "model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    if finish is not None:
        chunks.append({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if usage is not None:
        chunks.append({"id": "c1", "choices": [], "usage": usage})
    return stream(*chunks, "[DONE]")


def messages(*blocks: Any, stop: str | None = "end_turn", usage: dict[str, Any] | None = None) -> httpx2.Response:
    """A Messages stream: each block is its start and its deltas."""
    events: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {"id": "m1", "model": "m-1", "usage": {"input_tokens": 5, "output_tokens": 1}},
        }
    ]
    for index, (start, *deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": usage or {"output_tokens": 7}})
    return stream(*events, {"type": "message_stop"})


def items(*said: Any, status: str = "completed", **more: Any) -> httpx2.Response:
    """A Responses stream: each item is the item when it is added, its events, and the item when it is done."""
    events: list[dict[str, Any]] = [{"type": "response.created", "response": {"id": "r1"}}]
    for index, (added, *between, done) in enumerate(said):
        events.append({"type": "response.output_item.added", "output_index": index, "item": added})
        events += [{"output_index": index, **event} for event in between]
        events.append({"type": "response.output_item.done", "output_index": index, "item": done})
    kind = "response.completed" if status == "completed" else f"response.{status}"
    events.append({"type": kind, "response": {"id": "r1", "model": "m-1", "status": status, **more}})
    return stream(*events)


def said(api: str, answer: str = "Hello") -> httpx2.Response:
    """A plain answer of this API, as a stream."""
    if api == "chat":
        return chat({"content": answer}, usage={"prompt_tokens": 3, "completion_tokens": 2})
    if api == "anthropic":
        return messages([{"type": "text", "text": ""}, {"type": "text_delta", "text": answer}])
    delta = {"type": "response.output_text.delta", "content_index": 0, "delta": answer}
    done = {"type": "message", "content": [{"type": "output_text", "text": answer}]}
    return items([{"type": "message"}, delta, done], usage={"input_tokens": 3, "output_tokens": 2})
