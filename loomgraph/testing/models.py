"""The check that any Model can be run through: what `loomgraph.models.Model` promises, claim by claim.

    from loomgraph.testing.models import CHECKS, ModelBench, check_model, run_check

    bench = ModelBench(lambda: MyModel("small"))      # tools=False, output=False for a model that has none
    await check_model(bench)                          # every claim; raises AssertionError naming the first that fails

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    @pytest.mark.anyio
    async def test_my_model(check):                   # or one test a claim
        await run_check(check, bench)

Each claim asks the model a question or two, so that against a real provider the whole check costs a few cents. How a
model fails is not checked here: that needs a provider that fails when told to.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
from pydantic import TypeAdapter

from loomgraph.models.messages import ToolCall, tool_results, user
from loomgraph.models.protocol import Model
from loomgraph.models.requests import ModelRequest, ToolSpec
from loomgraph.models.responses import (
    AttemptRestarted,
    FinishReason,
    ModelResponse,
    ResponseDone,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
)
from loomgraph.models.structured import ask

__all__ = ["CHECKS", "Check", "ModelBench", "check_model", "run_check"]

_EVENTS: TypeAdapter[Any] = TypeAdapter(StreamEvent)
_HELLO = ModelRequest(messages=(user("Say hello."),))
_ODD = ModelRequest(messages=(user("Say hello. {0} {{x}} {% if %} ${a} %s <b>&amp;</b> \\n \u2028 \U0001f600 'é"),))
_TOOL = ToolSpec(
    name="get_weather",
    description="Tells the weather in a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
_WEATHER = ModelRequest(
    messages=(user("What is the weather in Paris?"),), tools=(_TOOL,), tool_choice="required", max_tokens=2000
)


@dataclass(frozen=True, slots=True)
class ModelBench:
    """A model under test. `make` makes one; `tools` and `output` say whether it calls tools and follows schemas."""

    make: Callable[[], Model]
    tools: bool = True
    output: bool = True


Check: TypeAlias = Callable[[ModelBench], Awaitable[None]]


async def run_check(check: Check, bench: ModelBench) -> None:
    """Run one claim. Raises AssertionError, which names the claim."""
    try:
        await check(bench)
    except AssertionError as error:
        raise AssertionError(f"{check.__name__}: {error}") from error


async def check_model(bench: ModelBench) -> None:
    """Run every claim. Raises AssertionError for the first that does not hold."""
    for check in CHECKS:
        await run_check(check, bench)


async def it_is_a_model_with_a_name(bench: ModelBench) -> None:
    """It has what the protocol asks for."""
    model: Any = bench.make()
    _expect(isinstance(model, Model), f"{type(model).__name__} has not all methods of Model")
    _expect(isinstance(model.name, str) and bool(model.name), f"its name is {model.name!r}")


async def an_answer_is_whole(bench: ModelBench) -> None:
    """A plain question gets text, and a reason for ending that is no limit."""
    _whole(await bench.make().generate(_HELLO))


async def user_text_passes_unharmed(bench: ModelBench) -> None:
    """Braces, template syntax, markup and odd characters are text like any other."""
    _whole(await bench.make().generate(_ODD))


async def a_stream_ends_with_the_whole_answer(bench: ModelBench) -> None:
    """One ResponseDone, at the end, and what was streamed adds up to it."""
    events = await _all(bench.make().stream(_HELLO))
    _adds_up(events)


async def everything_survives_json(bench: ModelBench) -> None:
    """Requests, responses and events read back as what they were."""
    model = bench.make()
    request = _WEATHER if bench.tools else _HELLO
    events = await _all(model.stream(request))
    for event in events:
        _expect(_EVENTS.validate_json(_EVENTS.dump_json(event)) == event, f"{event!r} reads back as another event")
    response = _done(events)
    again = ModelResponse.model_validate_json(response.model_dump_json())
    _expect(again == response, "the response reads back as another one")
    asked = request.plus(response.message)
    _expect(ModelRequest.model_validate_json(asked.model_dump_json()) == asked, "the conversation reads back changed")


async def a_request_is_left_as_it_was(bench: ModelBench) -> None:
    """Asking changes nothing in the request, so that it can be asked again."""
    request = _WEATHER if bench.tools else _HELLO
    before = request.model_dump_json()
    await bench.make().generate(request)
    _expect(request.model_dump_json() == before, "the request was changed")


async def calls_at_once_get_an_answer_each(bench: ModelBench) -> None:
    """Five calls of one model at the same time."""
    model = bench.make()
    answers: list[ModelResponse] = []

    async def call() -> None:
        answers.append(await model.generate(_HELLO))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(call)
    for answer in answers:
        _whole(answer)


async def a_stream_can_be_left(bench: ModelBench) -> None:
    """Whoever leaves after the first event can ask again."""
    model = bench.make()
    async with aclosing(model.stream(_HELLO)) as events:
        async for _ in events:
            break
    _whole(await model.generate(_HELLO))


async def a_call_can_be_cancelled(bench: ModelBench) -> None:
    """A cancelled call ends as cancelled, and the model can be asked again."""
    model = bench.make()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await model.generate(_HELLO)
        await anyio.lowlevel.checkpoint()
    _expect(scope.cancelled_caught, "the cancellation was swallowed")
    _whole(await model.generate(_HELLO))


async def it_works_in_one_event_loop_after_another(bench: ModelBench) -> None:
    """One model, two event loops: nothing of the first is left in the way of the second."""
    model = bench.make()
    for _ in range(2):
        _whole(await anyio.to_thread.run_sync(lambda: anyio.run(model.generate, _HELLO)))


async def a_required_tool_is_called(bench: ModelBench) -> None:
    """A tool call has an id, the name of an offered tool, and its arguments as an object."""
    if not bench.tools:
        return
    events = await _all(bench.make().stream(_WEATHER))
    _adds_up(events)
    response = _done(events)
    _expect(response.finish is FinishReason.TOOL_CALLS, f"it finished for {response.finish}")
    _expect(bool(response.tool_calls), "it called no tool")
    ids = [call.id for call in response.tool_calls]
    _expect(all(ids) and len(set(ids)) == len(ids), f"the ids of its calls are {ids}")
    for call in response.tool_calls:
        _expect(call.name == _TOOL.name, f"it called {call.name!r}, which was not offered")
        _expect(bool(call.arguments), "its arguments are missing")


async def a_tool_result_is_answered(bench: ModelBench) -> None:
    """The answer with the call goes back as it came, with the result after it."""
    if not bench.tools:
        return
    model = bench.make()
    first = await model.generate(_WEATHER)
    results = tool_results(*(call.result("21 degrees, sunny") for call in first.tool_calls))
    free = _WEATHER.model_copy(update={"tool_choice": "auto"})
    _whole(await model.generate(free.plus(first.message, results)))


async def an_answer_of_a_type_is_of_it(bench: ModelBench) -> None:
    """Asked for a type, it answers so that the value can be read, at most one repair later."""
    if not bench.output:
        return
    answer = await ask(bench.make(), "Name three colours.", list[str])
    _expect(all(isinstance(item, str) for item in answer.value), f"it answered {answer.value!r}")  # pyright: ignore[reportUnnecessaryIsInstance]


CHECKS: tuple[Check, ...] = (
    it_is_a_model_with_a_name,
    an_answer_is_whole,
    user_text_passes_unharmed,
    a_stream_ends_with_the_whole_answer,
    everything_survives_json,
    a_request_is_left_as_it_was,
    calls_at_once_get_an_answer_each,
    a_stream_can_be_left,
    a_call_can_be_cancelled,
    it_works_in_one_event_loop_after_another,
    a_required_tool_is_called,
    a_tool_result_is_answered,
    an_answer_of_a_type_is_of_it,
)
"""Every claim, as an async function of a ModelBench; its name is the claim."""


async def _all(events: AsyncGenerator[StreamEvent]) -> list[StreamEvent]:
    async with aclosing(events):
        return [event async for event in events]


def _done(events: list[StreamEvent]) -> ModelResponse:
    last = events[-1] if events else None
    _expect(isinstance(last, ResponseDone), f"its stream ends with {last!r:.80}")
    assert isinstance(last, ResponseDone)
    return last.response


def _whole(response: ModelResponse) -> None:
    _expect(response.finish is FinishReason.STOP, f"it finished for {response.finish} ({response.finish_detail})")
    _expect(bool(response.text), "its answer has no text")


def _adds_up(events: list[StreamEvent]) -> None:
    """What was streamed since the last restart is the response."""
    response = _done(events)
    _expect(sum(isinstance(event, ResponseDone) for event in events) == 1, "it is done more than once")
    start = max((at + 1 for at, event in enumerate(events) if isinstance(event, AttemptRestarted)), default=0)
    said, thought = "", ""
    calls: list[ToolCall] = []
    open_at: int | None = None
    for event in events[start:]:
        if isinstance(event, TextDelta):
            said += event.text
        elif isinstance(event, ThinkingDelta):
            thought += event.text
        elif isinstance(event, ToolCallStarted):
            _expect(open_at is None and event.index == len(calls), f"call {event.index} begins at the wrong time")
            open_at = event.index
        elif isinstance(event, ToolCallDelta):
            _expect(event.index == open_at, f"arguments of call {event.index} come while it is not open")
        elif isinstance(event, ToolCallDone):
            _expect(event.index == open_at, f"call {event.index} is done while it is not open")
            calls.append(event.call)
            open_at = None
    _expect(said == response.text, f"it streamed {said!r:.60} and says {response.text!r:.60}")
    _expect(thought == response.thinking, "the thinking that it streamed is not that of its response")
    _expect(tuple(calls) == response.tool_calls, "the calls that it streamed are not those of its response")


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
