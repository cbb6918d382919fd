"""A model that says what a test wrote down, and checks what it is asked. Beyond its script it raises."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, assert_never, cast

from pydantic_core import to_json

from loomgraph.errors import ScriptExhaustedError, ScriptMismatchError, brief_text
from loomgraph.models.assemble import events_of
from loomgraph.models.messages import (
    AssistantMessage,
    Message,
    SystemMessage,
    Text,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from loomgraph.models.requests import ModelRequest
from loomgraph.models.responses import FinishReason, ModelResponse, StreamEvent, Usage
from loomgraph.models.retrying import answer_of

__all__ = ["Order", "ScriptedModel", "Turn"]

Reply: TypeAlias = Any
"""A text, a ToolCall or several, a message or response, an exception to raise, a value to be said as JSON, or a
function of the request that returns one of these."""

Order: TypeAlias = Literal["calls", "conversation", "any"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer: `reply` is said; `expect` is a text that the last message must contain, or a check of the request.

    A check raises AssertionError or returns False to refuse. `usage` is reported with the answer.
    """

    reply: Reply
    expect: str | Callable[[ModelRequest], object] | None = None
    usage: Usage | None = None


class ScriptedModel:
    """Answers with its turns. `.requests` has what it was asked.

    `order="calls"`: the n-th call gets the n-th turn. `"conversation"`: a request with n answers in it gets turn n, so
    that a run resumed in another process goes on where it was. `"any"`: a call gets the first unused turn that expects
    it, for calls in parallel. Raises ScriptExhaustedError and ScriptMismatchError.
    """

    provider = "scripted"

    def __init__(
        self,
        turns: Iterable[Reply | Turn],
        *,
        name: str = "scripted",
        order: Order = "calls",
        usage: Usage | None = None,
    ) -> None:
        self.name = name
        self.requests: list[ModelRequest] = []
        self._turns = [turn if isinstance(turn, Turn) else Turn(turn) for turn in turns]
        self._order: Order = order
        self._usage = usage
        self._used: set[int] = set()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"ScriptedModel({self.name!r}, {len(self._turns)} turns, {len(self._used)} used)"

    @property
    def unused(self) -> int:
        """How many turns nobody asked for."""
        return len(self._turns) - len(self._used)

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """The next turn."""
        return await answer_of(self.name, self.stream(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        """The next turn, a part an event."""
        turn = self._next(request)
        reply: Any = turn.reply
        if callable(reply) and not isinstance(reply, type):
            reply = reply(request)
        if isinstance(reply, BaseException):
            raise reply
        for event in events_of(self._response(reply, turn.usage or self._usage)):
            yield event

    def _next(self, request: ModelRequest) -> Turn:
        with self._lock:
            self.requests.append(request)
            at = self._place(request)
            if at is None or at >= len(self._turns):
                call = f"call {len(self.requests)} of {len(self._turns)}: {_last(request)}"
                raise ScriptExhaustedError(self.name, call)
            turn = self._turns[at]
            complaint = _complaint(turn, request)
            if complaint is not None:
                raise ScriptMismatchError(self.name, f"turn {at + 1}: {complaint}")
            self._used.add(at)
            return turn

    def _place(self, request: ModelRequest) -> int | None:
        match self._order:
            case "calls":
                return len(self.requests) - 1
            case "conversation":
                return sum(isinstance(message, AssistantMessage) for message in request.messages)
            case "any":
                free = [at for at in range(len(self._turns)) if at not in self._used]
                if not free:
                    return None
                fitting = [at for at in free if _complaint(self._turns[at], request) is None]
                if not fitting:
                    raise ScriptMismatchError(self.name, f"none of {len(free)} unused turns expects {_last(request)}")
                return fitting[0]
            case _:
                assert_never(self._order)

    def _response(self, reply: Any, usage: Usage | None) -> ModelResponse:
        if isinstance(reply, ModelResponse):
            return reply
        message = _message(reply)
        finish = FinishReason.TOOL_CALLS if message.tool_calls else FinishReason.STOP
        return ModelResponse(message=message, finish=finish, model=self.name, provider=self.provider, usage=usage)


def _message(reply: Any) -> AssistantMessage:
    if isinstance(reply, AssistantMessage):
        return reply
    if isinstance(reply, str):
        return AssistantMessage(parts=(Text(text=reply),) if reply else ())
    if isinstance(reply, ToolCall):
        return AssistantMessage(parts=(reply,))
    if isinstance(reply, (list, tuple)) and reply:
        parts = cast(Sequence[Any], reply)
        if all(isinstance(part, ToolCall) for part in parts):
            return AssistantMessage(parts=tuple(parts))
    return AssistantMessage(parts=(Text(text=to_json(reply).decode()),))


def _complaint(turn: Turn, request: ModelRequest) -> str | None:
    """What is wrong with asking this turn this; None if nothing is."""
    if turn.expect is None:
        return None
    if isinstance(turn.expect, str):
        return None if turn.expect in _text(request) else f"it expects {turn.expect!r}, not {_last(request)}"
    try:
        accepted = turn.expect(request)
    except AssertionError as error:
        return str(error) or "its check refuses the request"
    return "its check refuses the request" if accepted is False else None


def _last(request: ModelRequest) -> str:
    return repr(brief_text(_text(request), 100))


def _text(request: ModelRequest) -> str:
    """What the last message says."""
    message: Message | None = request.messages[-1] if request.messages else None
    match message:
        case None:
            return ""
        case SystemMessage(text=text):
            return text
        case UserMessage() | AssistantMessage():
            return message.text
        case ToolMessage(results=results):
            return "\n".join(result.text for result in results)
        case _:
            assert_never(message)
