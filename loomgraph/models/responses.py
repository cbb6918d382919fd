"""What a model answers, as frozen values that survive JSON: the response, its usage, and the events of a stream.

Nothing here is guessed: what a provider does not report is None, or 0 where a count of it was not reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from loomgraph.models.messages import AssistantMessage, ToolCall, Value

__all__ = [
    "AttemptRestarted",
    "FinishReason",
    "ModelResponse",
    "Price",
    "ResponseDone",
    "StreamEvent",
    "TextDelta",
    "ThinkingDelta",
    "ToolCallDelta",
    "ToolCallDone",
    "ToolCallStarted",
    "Usage",
    "UsageReported",
    "dearest",
]


class FinishReason(StrEnum):
    """Why an answer ended. A provider's own word is kept in `ModelResponse.finish_detail`."""

    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    PAUSE = "pause"
    """A long turn with the provider's own tools was interrupted; send the answer back to have it go on."""
    OTHER = "other"


class Usage(Value):
    """Tokens of one call, or of several added up.

    `input_tokens` counts all input, `cached_tokens` and `cache_write_tokens` of it; `output_tokens` counts all output,
    `reasoning_tokens` of it. `cost` is in the currency of the price, None unless every part of it is known.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = None

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cost=None if self.cost is None or other.cost is None else self.cost + other.cost,
        )


class Price(Value):
    """What a million tokens cost. Without `cached` or `cache_write`, those cost what other input costs."""

    input: float
    output: float
    cached: float | None = None
    cache_write: float | None = None

    def of(self, usage: Usage) -> float:
        """The cost of this usage."""
        fresh = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
        cached = self.input if self.cached is None else self.cached
        written = self.input if self.cache_write is None else self.cache_write
        total = fresh * self.input + usage.cached_tokens * cached + usage.cache_write_tokens * written
        return (total + usage.output_tokens * self.output) / 1_000_000


def dearest(prices: Sequence[Price]) -> Price:
    """The price that is in everything as high as the highest of these."""
    cached = [price.input if price.cached is None else price.cached for price in prices]
    written = [price.input if price.cache_write is None else price.cache_write for price in prices]
    return Price(
        input=max(price.input for price in prices),
        output=max(price.output for price in prices),
        cached=max(cached),
        cache_write=max(written),
    )


class ModelResponse(Value):
    """A whole answer. `model` is the name of the Model that gave it, `version` what the provider calls that model.

    `id` is the provider's name for the answer, `usage` is None if it was not reported.
    """

    message: AssistantMessage
    finish: FinishReason
    model: str
    provider: str
    usage: Usage | None = None
    id: str | None = None
    version: str | None = None
    finish_detail: str | None = None

    @property
    def text(self) -> str:
        """All text of the answer."""
        return self.message.text

    @property
    def thinking(self) -> str:
        """All thinking of the answer."""
        return self.message.thinking

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls of the answer, in order."""
        return self.message.tool_calls


class TextDelta(Value):
    """More text of the answer."""

    kind: Literal["text"] = "text"
    text: str


class ThinkingDelta(Value):
    """More of what the model thinks."""

    kind: Literal["thinking"] = "thinking"
    text: str


class ToolCallStarted(Value):
    """A tool call begins; `index` counts the tool calls of this answer from 0."""

    kind: Literal["call_started"] = "call_started"
    index: int
    id: str
    name: str


class ToolCallDelta(Value):
    """More of a tool call's arguments, as JSON text."""

    kind: Literal["call_delta"] = "call_delta"
    index: int
    text: str


class ToolCallDone(Value):
    """A tool call is complete, its arguments read. Act on it when the whole answer is done: it may yet be restarted."""

    kind: Literal["call_done"] = "call_done"
    index: int
    call: ToolCall


class UsageReported(Value):
    """What the answer used; once, just before it is done."""

    kind: Literal["usage"] = "usage"
    usage: Usage


class AttemptRestarted(Value):
    """The answer so far is void: the call failed and is tried again after `wait` seconds, by `model`.

    `error` is the class of the failure and `message` its text; `attempt` is the number of the try that begins.
    """

    kind: Literal["restarted"] = "restarted"
    attempt: int
    model: str
    error: str
    message: str
    wait: float


class ResponseDone(Value):
    """The answer is complete. Always the last event, and there is no other sign of completeness."""

    kind: Literal["done"] = "done"
    response: ModelResponse


StreamEvent: TypeAlias = Annotated[
    TextDelta
    | ThinkingDelta
    | ToolCallStarted
    | ToolCallDelta
    | ToolCallDone
    | UsageReported
    | AttemptRestarted
    | ResponseDone,
    Field(discriminator="kind"),
]
