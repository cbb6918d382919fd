"""Conversations, requests, answers and events are values: they read back as what they were, also from a run's log."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from loomgraph.models import (
    AssistantMessage,
    AttemptRestarted,
    FinishReason,
    Image,
    Message,
    ModelRequest,
    ModelResponse,
    OutputSpec,
    Price,
    ProviderPart,
    ResponseDone,
    StreamEvent,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
    ToolSpec,
    Usage,
    UsageReported,
    assistant,
    request_of,
    system,
    tool_results,
    user,
)
from loomgraph.store.codec import Codec

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(words, json_values, max_size=3)
texts = st.builds(Text, text=words, annotations=st.lists(objects, max_size=1).map(tuple))
images = st.builds(Image, url=words) | st.builds(Image, data=words, media_type=words)
provided = st.builds(ProviderPart, provider=words, block=objects)
thoughts = st.builds(Thinking, text=words, provider=words, signature=st.none() | words, block=st.none() | objects)
calls = st.builds(ToolCall, id=words, name=words, arguments=objects)
answers = st.lists(texts | thoughts | calls | provided, max_size=4).map(lambda parts: assistant(*parts))
messages = st.one_of(
    words.map(system),
    st.lists(texts | images | provided, max_size=3).map(lambda parts: user(*parts)),
    answers,
    st.lists(st.builds(ToolCall.result, calls, words, error=st.booleans()), max_size=2).map(lambda r: tool_results(*r)),
)
usages = st.builds(
    Usage, input_tokens=st.integers(0, 9), output_tokens=st.integers(0, 9), cost=st.none() | st.just(0.5)
)
responses = st.builds(
    ModelResponse,
    message=answers,
    finish=st.sampled_from(FinishReason),
    model=words,
    provider=words,
    usage=st.none() | usages,
    id=st.none() | words,
)
requests = st.builds(
    ModelRequest,
    messages=st.lists(messages, max_size=4).map(tuple),
    tools=st.lists(st.builds(ToolSpec, name=words, parameters=objects), max_size=2).map(tuple),
    output=st.none() | st.builds(OutputSpec, name=words, json_schema=objects),
    effort=st.sampled_from([None, "none", "high"]),
    stop=st.lists(words, max_size=2).map(tuple),
    extra=objects,
)
events = st.one_of(
    st.builds(TextDelta, text=words),
    st.builds(ThinkingDelta, text=words),
    st.builds(ToolCallStarted, index=st.integers(0, 3), id=words, name=words),
    st.builds(ToolCallDelta, index=st.integers(0, 3), text=words),
    st.builds(ToolCallDone, index=st.integers(0, 3), call=calls),
    st.builds(UsageReported, usage=usages),
    st.builds(AttemptRestarted, attempt=st.just(2), model=words, error=words, message=words, wait=st.just(0.5)),
    st.builds(ResponseDone, response=responses),
)


@settings(max_examples=40)
@given(st.lists(messages, max_size=4), requests, responses, st.lists(events, max_size=4))
def test_every_value_reads_back_from_json_and_from_a_runs_log(
    conversation: list[Message], request: ModelRequest, response: ModelResponse, streamed: list[StreamEvent]
) -> None:
    codec = Codec()
    values: list[tuple[Any, Any]] = [
        (list[Message], conversation),
        (ModelRequest, request),
        (ModelResponse, response),
        (list[StreamEvent], streamed),
    ]
    for tp, value in values:
        adapter = TypeAdapter(tp)
        assert adapter.validate_json(adapter.dump_json(value)) == value
        ref, rows = codec.dump(tp, value, "here")
        assert codec.load(tp, ref, rows, "here") == value


def test_a_value_is_frozen_and_has_no_other_fields() -> None:
    part = Text(text="a")
    with pytest.raises(ValidationError, match="frozen"):
        setattr(part, "text", "b")  # noqa: B010
    with pytest.raises(ValidationError, match="Extra inputs"):
        Text.model_validate({"text": "a", "size": 1})


@pytest.mark.parametrize("fields", [{}, {"url": "http://a", "data": "YQ=="}])
def test_an_image_is_in_exactly_one_place(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="either url= or data="):
        Image.model_validate(fields)


def test_an_image_of_data_has_an_address_too() -> None:
    assert Image(data="YQ==", media_type="image/gif").address == "data:image/gif;base64,YQ=="
    assert Image(url="http://a/b.png").address == "http://a/b.png"


def test_a_message_gives_its_text_its_thinking_and_its_calls() -> None:
    call = ToolCall(id="1", name="look_up", arguments={"a": 1})
    message = assistant(Thinking(text="hm", provider="p"), "one ", call, "two")
    assert (message.text, message.thinking, message.tool_calls) == ("one two", "hm", (call,))
    assert call.result("found", error=True).text == "found"
    assert call.result("found", error=True).call_id == "1"


def test_a_request_is_made_from_whatever_is_at_hand() -> None:
    asked = ModelRequest(messages=(user("{q}"),))
    assert request_of("{q}") == request_of(user("{q}")) == request_of([user("{q}")]) == request_of(asked) == asked
    assert request_of("{q}", instructions="Be {brief}").messages == (system("Be {brief}"), user("{q}"))


def test_a_request_grows_by_messages_and_finds_its_tools() -> None:
    tool = ToolSpec(name="look_up", parameters={"type": "object"})
    asked = ModelRequest(messages=(user("q"),), tools=(tool,))
    assert asked.plus(assistant("a")).messages == (user("q"), AssistantMessage(parts=(Text(text="a"),)))
    assert asked.tool("look_up") is tool
    assert asked.tool("other") is None


def test_usage_adds_up_and_a_cost_is_known_only_if_every_part_of_it_is() -> None:
    one = Usage(input_tokens=3, output_tokens=2, cached_tokens=1, cache_write_tokens=1, reasoning_tokens=1, cost=0.5)
    two = one + one
    assert two.model_dump() == {name: 2 * value for name, value in one.model_dump().items()}
    assert (one + Usage(input_tokens=1)).cost is None
    assert one.total_tokens == 5


def test_a_price_counts_cached_input_at_its_own_rate() -> None:
    usage = Usage(input_tokens=1000, cached_tokens=400, cache_write_tokens=100, output_tokens=200)
    assert Price(input=2, output=10).of(usage) == pytest.approx((1000 * 2 + 200 * 10) / 1e6)
    rates = Price(input=2, output=10, cached=0.2, cache_write=2.5)
    assert rates.of(usage) == pytest.approx((500 * 2 + 400 * 0.2 + 100 * 2.5 + 200 * 10) / 1e6)
