"""One conversation through three APIs, against a server that refuses what its fixtures do not expect.

Two parallel tool calls with thinking, their results, and an answer of a type: the same events whichever API it is.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph.errors import (
    CorruptResponseError,
    ModelConnectionError,
    ModelError,
    ModelOverloadedError,
    OutputTruncatedError,
    OutputValidationError,
)
from loomgraph.models import (
    AnthropicModel,
    Model,
    ModelRequest,
    OpenAIChatModel,
    OpenAIModel,
    OutputType,
    ResponseDone,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
    ToolSpec,
    Usage,
    UsageReported,
    ask,
    request_of,
    system,
    tool_results,
    user,
)
from tests.models.servers import FixtureServer

APIS = {"chat": OpenAIChatModel, "responses": OpenAIModel, "anthropic": AnthropicModel}
STREAMING = [True, False]

TOOL = ToolSpec(
    name="get_weather",
    description="Tells the weather.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    },
)


class Packing(BaseModel):
    """What to pack."""

    items: list[str]
    days: int


def _make(server: FixtureServer, api: str, streaming: bool) -> Model:
    return APIS[api](
        "a-model", api_key="k", base_url=server.base_url(api), streaming=streaming, retry=None, timeout=20.0
    )


async def _folded(model: Model, request: ModelRequest) -> tuple[list[Any], ResponseDone]:
    """The events of an answer, neighbouring deltas joined; without what is a provider's own."""
    folded: list[Any] = []
    done: StreamEvent | None = None
    async with aclosing(model.stream(request)) as events:
        async for event in events:
            done = event
            match event:
                case TextDelta() | ThinkingDelta():
                    if folded and folded[-1][0] == event.kind:
                        folded[-1][1] += event.text
                    else:
                        folded.append([event.kind, event.text])
                case ToolCallStarted():
                    folded.append([event.kind, event.index, event.id, event.name])
                case ToolCallDelta():
                    pass  # how arguments are cut and spaced is the provider's own; what they say comes when it is done
                case ToolCallDone():
                    folded.append([event.kind, event.index, event.call.arguments])
                case UsageReported():
                    folded.append([event.kind, event.usage])
                case _:
                    folded.append([event.kind])
    assert isinstance(done, ResponseDone)
    return folded, done


FIRST = [
    ["thinking", "I need both cities."],
    ["text", "Let me look."],
    ["call_started", 0, "call_rome", "get_weather"],
    ["call_done", 0, {"city": "Rome", "days": 3}],
    ["call_started", 1, "call_oslo", "get_weather"],
    ["call_done", 1, {"city": "Oslo", "days": 3}],
    ["usage", Usage(input_tokens=23, output_tokens=31)],
    ["done"],
]
SECOND = [
    ["thinking", "Rome is warm, Oslo is not."],
    ["text", '{"items":["coat","hat {size}"],"days":3}'],
    ["usage", Usage(input_tokens=61, output_tokens=19)],
    ["done"],
]


@pytest.mark.parametrize("streaming", STREAMING)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_conversation_with_parallel_tools_thinking_and_a_typed_answer_is_the_same_everywhere(
    fixtures: FixtureServer, api: str, streaming: bool
) -> None:
    model = _make(fixtures, api, streaming)
    wanted: OutputType[Packing] = OutputType(Packing)
    asked = ModelRequest(messages=(system("You know {weather}."), user("pack for both")), tools=(TOOL,), effort="low")
    events, first = await _folded(model, asked)
    assert events == FIRST
    results = tool_results(*(call.result(f"mild in {call.arguments['city']}") for call in first.response.tool_calls))
    events, second = await _folded(model, wanted.of(asked).plus(first.response.message, results))
    assert events == SECOND
    assert wanted.read(second.response) == Packing(items=["coat", "hat {size}"], days=3)
    assert (first.response.provider, first.response.model) == (APIS[api].provider, f"{APIS[api].provider}:a-model")


@pytest.mark.parametrize("streaming", STREAMING)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_an_answer_that_does_not_fit_is_repaired_once(fixtures: FixtureServer, api: str, streaming: bool) -> None:
    model = _make(fixtures, api, streaming)
    answer = await ask(model, "wrong shape", Packing)
    assert answer.value == Packing(items=["coat"], days=1)
    with pytest.raises(OutputValidationError) as caught:
        await ask(model, "wrong shape", Packing, repairs=0)
    assert caught.value.raw == "The items are: coat, hat."
    assert caught.value.schema["required"] == ["items", "days"]


@pytest.mark.parametrize(
    ("streaming", "prompt", "error"),
    [
        *((streaming, "malformed", CorruptResponseError) for streaming in STREAMING),
        *((streaming, "cut off", OutputTruncatedError) for streaming in STREAMING),
        *((streaming, "nobody expects this", ModelOverloadedError) for streaming in STREAMING),
        (True, "broken line", ModelConnectionError),  # the server breaks streams only
    ],
)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_what_is_no_whole_answer_is_a_typed_error(
    fixtures: FixtureServer, api: str, streaming: bool, prompt: str, error: type[ModelError]
) -> None:
    with pytest.raises(ModelError) as caught:
        await _make(fixtures, api, streaming).generate(request_of(prompt))
    assert type(caught.value) is error
    if error is OutputTruncatedError:
        assert caught.value.response.text == "This answer has no room to"
        free = request_of(prompt).model_copy(update={"accept_truncated": True})
        response = await _make(fixtures, api, streaming).generate(free)
        assert (response.finish, response.text) == ("length", "This answer has no room to")
