"""Every model of ours keeps what Model promises; a model that breaks a promise is found out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from loomgraph.errors import StreamTruncatedError
from loomgraph.models import (
    AnthropicModel,
    AttemptRestarted,
    CassetteModel,
    EchoModel,
    FallbackModel,
    Model,
    ModelRequest,
    ModelResponse,
    OpenAIChatModel,
    OpenAIModel,
    RateLimited,
    ResponseDone,
    ScriptedModel,
    StreamEvent,
    TextDelta,
    ToolCall,
)
from loomgraph.models.messages import ToolMessage
from loomgraph.testing.models import CHECKS, Check, ModelBench, check_model, run_check
from tests.models.servers import FaultServer

WIRED = {"chat": OpenAIChatModel, "responses": OpenAIModel, "anthropic": AnthropicModel}


def _reply(request: ModelRequest) -> Any:
    """What a model that can do everything says."""
    if request.output is not None:
        return ["red", "green", "blue"]
    if request.tools and not any(isinstance(message, ToolMessage) for message in request.messages):
        return ToolCall(id=f"call_{len(request.messages)}", name="get_weather", arguments={"city": "Paris"})
    return "Hello."


def _scripted() -> Model:
    return ScriptedModel([_reply] * 9)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "bench",
    [
        ModelBench(_scripted),
        ModelBench(EchoModel, tools=False, output=False),
        ModelBench(lambda: FallbackModel([ScriptedModel([StreamTruncatedError("a")] * 9), _scripted()])),
        ModelBench(lambda: RateLimited(_scripted(), concurrency=2)),
    ],
    ids=["scripted", "echo", "fallback", "limited"],
)
@pytest.mark.anyio
async def test_models_without_a_provider_keep_every_promise(bench: ModelBench, check: Check) -> None:
    await run_check(check, bench)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.anyio
async def test_a_cassette_keeps_every_promise_while_it_records(check: Check, tmp_path: Path) -> None:
    await run_check(check, ModelBench(lambda: CassetteModel(tmp_path / "tape.json", _scripted())))


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("api", WIRED)
@pytest.mark.anyio
async def test_adapters_keep_every_promise_over_the_wire(faults: FaultServer, api: str, streaming: bool) -> None:
    faults.reset()

    def make() -> Model:
        return WIRED[api]("a-model", api_key="k", base_url=faults.base_url(api), streaming=streaming, timeout=60.0)

    # that server knows Anthropic's older way to ask for a schema only
    await check_model(ModelBench(make, output=api != "anthropic"))


class Broken(ScriptedModel):
    """A scripted model whose stream is changed by `change`."""

    def __init__(self, change: Callable[[list[StreamEvent]], list[StreamEvent]]) -> None:
        super().__init__([_reply] * 9)
        self.change = change

    async def generate(self, request: ModelRequest) -> ModelResponse:
        async with aclosing(self.stream(request)) as events:
            done = [event async for event in events][-1]
        assert isinstance(done, ResponseDone)
        return done.response

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        async with aclosing(super().stream(request)) as events:
            said = [event async for event in events]
        for event in self.change(said):
            yield event


def _without_id(events: list[StreamEvent]) -> list[StreamEvent]:
    done = events[-1]
    assert isinstance(done, ResponseDone)
    message = done.response.message
    parts = tuple(part.model_copy(update={"id": ""}) if isinstance(part, ToolCall) else part for part in message.parts)
    changed = message.model_copy(update={"parts": parts})
    return [*events[:-1], ResponseDone(response=done.response.model_copy(update={"message": changed}))]


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        (lambda events: [*events, events[-1]], "a_stream_ends_with_the_whole_answer: it is done more than once"),
        (lambda events: [TextDelta(text="x"), *events], "a_stream_ends_with_the_whole_answer: it streamed"),
        (lambda events: [*events[1:]], "a_stream_ends_with_the_whole_answer: it streamed"),
        (
            lambda events: [
                *events[:1],
                AttemptRestarted(attempt=2, model="", error="", message="", wait=0),
                *events[1:],
            ],
            "a_stream_ends_with_the_whole_answer: it streamed",
        ),
        (_without_id, "a_required_tool_is_called: "),
        (lambda events: [event for event in events if event.kind != "call_started"], "a_required_tool_is_called: "),
        (lambda events: [event for event in events if event.kind != "call_done"], "a_required_tool_is_called: "),
    ],
)
@pytest.mark.anyio
async def test_a_model_that_breaks_a_promise_is_named_with_it(change: Any, claim: str) -> None:
    with pytest.raises(AssertionError) as caught:
        await check_model(ModelBench(lambda: Broken(change)))
    assert str(caught.value).startswith(claim)


@pytest.mark.anyio
async def test_a_model_without_a_name_or_a_method_is_none() -> None:
    class Nameless(EchoModel):
        name = ""  # pyright: ignore[reportAssignmentType]

    for make in (Nameless, object):
        with pytest.raises(AssertionError, match="it_is_a_model_with_a_name"):
            await check_model(ModelBench(make))  # pyright: ignore[reportArgumentType]
