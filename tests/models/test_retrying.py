"""Retries: how long, how often, for what, on a clock of the test; and what errors say of a provider's words."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from loomgraph.errors import (
    ContentFilterError,
    ContextOverflowError,
    CorruptResponseError,
    ModelAuthenticationError,
    ModelError,
    ModelNotFoundError,
    ModelOverloadedError,
    ModelPermissionError,
    ModelQuotaError,
    ModelRateLimitError,
    ModelRequestError,
    ModelServerError,
    ModelTimeoutError,
    StreamTruncatedError,
)
from loomgraph.graph.policy import Retry
from loomgraph.models import RETRY, AttemptRestarted, ResponseDone, StreamEvent, TextDelta, Timing, request_of
from loomgraph.models.faults import refused, retry_after
from loomgraph.models.retrying import answer_of, retried
from tests.models.mocked import APIS, Wire, body, model, said

ASKED = request_of("q")


class Waits:
    """A clock that passes only while somebody waits, and notes how long."""

    def __init__(self, chance: float = 0.0) -> None:
        self.waited: list[float] = []
        self.timing = Timing(sleep=self._sleep, clock=lambda: sum(self.waited), chance=lambda: chance)

    async def _sleep(self, seconds: float) -> None:
        self.waited.append(seconds)


def _fail(status: int, **headers: str) -> Any:
    return body({"error": {"message": "no", "type": "t"}}, status, **headers)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_transient_failure_is_waited_for_longer_each_time_and_tried_three_times(api: str) -> None:
    waits = Waits()
    wire = Wire(_fail(500), _fail(503), said(api))
    async with model(api, wire, retry=RETRY, timing=waits.timing) as made:
        assert (await made.generate(ASKED)).text == "Hello"
    assert waits.waited == [0.5, 1.0]
    assert wire.sent[0] == wire.sent[1] == wire.sent[2]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_the_wait_that_the_provider_asks_for_is_kept_up_to_the_ceiling(api: str) -> None:
    waits = Waits()
    wire = Wire(_fail(429, retry_after="7"), _fail(529, retry_after_ms="2500"), said(api))
    async with model(api, wire, retry=RETRY, timing=waits.timing) as made:
        await made.generate(ASKED)
    assert waits.waited == [7.0, 2.5]
    wire = Wire(_fail(429, retry_after="61"), said(api))
    async with model(api, wire, retry=RETRY, timing=waits.timing) as made:
        with pytest.raises(ModelRateLimitError) as caught:
            await made.generate(ASKED)
    assert (caught.value.retry_after, caught.value.attempts, len(wire.sent)) == (61.0, 1, 1)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_the_last_failure_is_raised_with_the_number_of_tries(api: str) -> None:
    waits = Waits(chance=1.0)
    wire = Wire(_fail(500))
    async with model(api, wire, retry=Retry(attempts=4, delay=1, jitter=0.5), timing=waits.timing) as made:
        with pytest.raises(ModelServerError) as caught:
            await made.generate(ASKED)
    assert (caught.value.attempts, caught.value.status, len(wire.sent)) == (4, 500, 4)
    assert waits.waited == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 415, 422, 431, 501])
@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_permanent_failure_is_not_tried_again(api: str, status: int) -> None:
    waits = Waits()
    wire = Wire(_fail(status))
    async with model(api, wire, retry=RETRY, timing=waits.timing) as made:
        with pytest.raises(ModelError) as caught:
            await made.generate(ASKED)
    assert (caught.value.transient, caught.value.status, len(wire.sent), waits.waited) == (False, status, 1, [])


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_provider_that_says_not_to_try_again_is_believed(api: str) -> None:
    wire = Wire(_fail(500, x_should_retry="false"))
    async with model(api, wire, retry=RETRY, timing=Waits().timing) as made:
        with pytest.raises(ModelServerError):
            await made.generate(ASKED)
    assert len(wire.sent) == 1


@pytest.mark.anyio
async def test_whoever_listens_is_told_that_what_came_so_far_is_void() -> None:
    waits = Waits()
    half = said("chat").content.replace(b'"finish_reason": "stop"', b'"finish_reason": null').replace(b"[DONE]", b"{}")
    cut = said("chat")
    cut = type(cut)(200, headers=cut.headers, content=half)
    wire = Wire(cut, _fail(500), said("chat"))
    made = model("chat", wire, retry=RETRY, timing=waits.timing)
    async with made, aclosing(made.stream(ASKED)) as stream:
        events = [event async for event in stream]
    told = [event for event in events if isinstance(event, AttemptRestarted)]
    assert [(event.attempt, event.error, event.wait) for event in told] == [
        (2, "StreamTruncatedError", 0.5),
        (3, "ModelServerError", 1.0),
    ]
    assert [type(event) for event in events[:2]] == [TextDelta, AttemptRestarted]
    assert isinstance(events[-1], ResponseDone)


@pytest.mark.anyio
async def test_what_a_model_raises_that_is_no_model_error_is_not_tried_again() -> None:
    async def attempt(number: int) -> AsyncGenerator[StreamEvent]:
        if number:
            raise RuntimeError("a bug")
        yield TextDelta(text="")

    with pytest.raises(RuntimeError, match="a bug"):
        await answer_of("m", retried("m", attempt, RETRY, Waits().timing))


@pytest.mark.anyio
async def test_a_stream_without_an_end_is_no_answer() -> None:
    async def attempt() -> AsyncGenerator[StreamEvent]:
        yield TextDelta(text="a")

    with pytest.raises(CorruptResponseError, match="without a ResponseDone"):
        await answer_of("m", attempt())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_read_in_milliseconds_in_seconds_and_as_a_date(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        (400, None, "This model's maximum context length is 8 tokens", ContextOverflowError),
        (400, "context_length_exceeded", "", ContextOverflowError),
        (400, None, "request (9 tokens) exceeds the available context size (8 tokens)", ContextOverflowError),
        (413, None, "Prompt is too long", ContextOverflowError),
        (400, None, "max_tokens is too large", ModelRequestError),
        (400, "content_filter", "filtered", ContentFilterError),
        (400, None, "Your credit balance is too low to access the Anthropic API", ModelQuotaError),
        (429, "insufficient_quota", "You exceeded your current quota", ModelQuotaError),
        (429, "rate_limit_exceeded", "Rate limit reached for tokens per minute", ModelRateLimitError),
        (401, "invalid_api_key", "Incorrect API key provided", ModelAuthenticationError),
        (403, None, "Country not supported", ModelPermissionError),
        (404, "model_not_found", "The model does not exist", ModelNotFoundError),
        (400, "model_not_found", "The model does not exist", ModelNotFoundError),
        (408, None, "timeout", ModelTimeoutError),
        (409, None, "conflict", ModelServerError),
        (500, "overloaded_error", "Overloaded", ModelOverloadedError),
        (502, None, "bad gateway", ModelServerError),
        (504, None, "gateway timeout", ModelTimeoutError),
        (302, None, "moved", CorruptResponseError),
        (None, "429", "slow down", ModelRateLimitError),
        (None, None, "who knows", ModelServerError),
    ],
)
def test_a_refusal_is_told_by_status_code_and_words(
    status: int | None, code: str | None, message: str, expected: type[ModelError]
) -> None:
    error = refused("m", message, status=status, code=code)
    assert type(error) is expected
    assert (error.status, error.code) == (status, code)


def test_an_error_says_what_who_and_what_to_do() -> None:
    error = refused("openai:m", "Rate limit\nreached", status=429, request_id="req_1", headers={"retry-after": "3"})
    assert str(error) == (
        "model 'openai:m' refused the call for its rate limit: Rate limit reached (status 429, request req_1, retry "
        "after 3 s). Call less often, for instance through RateLimited."
    )
    assert str(StreamTruncatedError("m")) == "model 'm' ended its stream before the answer was complete."


def test_a_key_that_a_provider_repeats_is_not_in_the_error() -> None:
    error = refused("m", "Incorrect API key provided: sk-proj-abcdef1234567890", status=401)
    assert "abcdef" not in str(error)
