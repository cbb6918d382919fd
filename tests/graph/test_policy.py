"""Policies: how long a retry waits, what it retries, and which settings are refused for what they would do."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph.errors import (
    ContextOverflowError,
    DefinitionError,
    LoomgraphError,
    ModelAuthenticationError,
    ModelError,
    ModelOverloadedError,
    ModelRateLimitError,
    ModelsExhaustedError,
    OutputTruncatedError,
    OutputValidationError,
    StreamTruncatedError,
    ToolArgumentsError,
)
from loomgraph.graph.policy import Cache, MapSpec, Quorum, Retry, retryable


class HttpError(Exception):
    def __init__(self, status: Any) -> None:
        self.status_code = status


class AiohttpLikeError(Exception):
    def __init__(self, status: Any) -> None:
        self.status = status


class HttpxLikeError(Exception):
    def __init__(self, status: Any) -> None:
        self.response = HttpError(status)


@pytest.mark.parametrize(
    ("retry", "attempt", "chance", "seconds"),
    [
        (Retry(delay=1, jitter=0), 1, 0.5, 1),
        (Retry(delay=1, jitter=0), 2, 0.5, 2),
        (Retry(delay=1, jitter=0), 4, 0.5, 8),
        (Retry(delay=1, backoff=3, jitter=0), 3, 0, 9),
        (Retry(delay=1, backoff=1, jitter=0), 9, 0, 1),
        (Retry(delay=1, max_delay=5, jitter=0), 9, 0, 5),
        (Retry(delay=1, max_delay=5, jitter=0), 100_000, 0, 5),
        (Retry(delay=0), 3, 1, 0),
        (Retry(delay=4, jitter=0.5), 1, 0, 4),
        (Retry(delay=4, jitter=0.5), 1, 0.5, 3),
        (Retry(delay=4, jitter=0.5), 1, 1, 2),
        (Retry(delay=4, jitter=1), 1, 1, 0),
        (Retry(delay=4, max_delay=2, jitter=0.5), 1, 1, 1),
    ],
)
def test_a_retry_waits_its_delay_times_the_backoff_up_to_the_maximum_less_the_jitter(
    retry: Retry, attempt: int, chance: float, seconds: float
) -> None:
    assert retry.wait(attempt, chance) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError(),
        TimeoutError(),
        OSError(),
        RuntimeError(),
        HttpError(500),
        HttpError(503),
        *(HttpError(status) for status in (408, 409, 425, 429)),
        AiohttpLikeError(429),
        HttpxLikeError(502),
    ],
    ids=lambda error: f"{type(error).__name__}{vars(error)}",
)
def test_by_default_the_world_s_failures_are_retried(error: Exception) -> None:
    assert retryable(error)
    assert Retry().wants(error)


@pytest.mark.parametrize(
    "error",
    [
        *(TypeError(), ValueError(), KeyError("a"), IndexError(), AttributeError(), NameError(), ZeroDivisionError()),
        *(
            AssertionError(),
            ImportError(),
            NotImplementedError(),
            RecursionError(),
            UnicodeDecodeError("a", b"", 0, 1, ""),
        ),
        *(HttpError(status) for status in (400, 401, 403, 404, 422)),
        AiohttpLikeError(404),
        HttpxLikeError(401),
        KeyboardInterrupt(),
        SystemExit(),
    ],
    ids=lambda error: f"{type(error).__name__}{vars(error)}",
)
def test_by_default_programming_errors_client_errors_and_exits_are_not_retried(error: BaseException) -> None:
    assert not retryable(error)
    assert not Retry().wants(error)


def test_a_status_that_is_not_a_number_says_nothing() -> None:
    assert retryable(HttpError("404"))
    assert retryable(HttpError(True))
    assert retryable(HttpError(None))


@pytest.mark.parametrize(
    ("on", "error", "wanted"),
    [
        (ValueError, ValueError(), True),
        (LookupError, KeyError("a"), True),
        (ValueError, OSError(), False),
        ((OSError, ValueError), ValueError(), True),
        ((OSError, ValueError), TypeError(), False),
        (lambda error: "again" in str(error), TypeError("again"), True),
        (lambda error: "again" in str(error), OSError("never"), False),
    ],
)
def test_on_decides_alone_by_classes_or_by_a_predicate(on: Any, error: Exception, wanted: bool) -> None:
    assert Retry(on=on).wants(error) is wanted


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Retry(attempts=0), "attempts"),
        (lambda: Retry(delay=-1), "delay"),
        (lambda: Retry(jitter=2), "jitter"),
        (lambda: Retry(max_retry_after=-1), "max_retry_after"),
        (lambda: Cache(size=0), "size"),
        (lambda: Cache(ttl=0), "ttl"),
        (lambda: Quorum(0), "Quorum"),
        (lambda: MapSpec(limit=0), "limit"),
        (lambda: MapSpec(on_error="ignore"), "on_error"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        (lambda: MapSpec(wait="most"), "wait"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ],
)
def test_a_setting_that_would_do_nothing_is_refused_by_name(make: Any, named: str) -> None:
    with pytest.raises(DefinitionError, match=named):
        make()


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (ModelRateLimitError("m", status=429), True),
        (ModelOverloadedError("m", status=529), True),
        (StreamTruncatedError("m"), True),
        (ToolArgumentsError("m", "look_up", '{"a": ', "cut off"), True),
        (ModelAuthenticationError("m", status=401), False),
        (ContextOverflowError("m", status=500), False),
        (OutputTruncatedError("m"), False),
        (OutputValidationError("m", "no JSON", raw="", schema={}), False),
        (ModelsExhaustedError("m", [ModelAuthenticationError("a")], [], None), False),
        (ModelsExhaustedError("m", [ModelAuthenticationError("a"), StreamTruncatedError("b")], [], None), True),
        (ModelsExhaustedError("m", [], ["a"], 3.0), True),
        (LoomgraphError(), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_model_error_says_itself_whether_it_is_retried(error: Exception, wanted: bool) -> None:
    assert Retry().wants(error) is wanted


def test_an_error_is_not_retried_before_the_time_that_it_asks_for() -> None:
    retry = Retry(delay=1, jitter=0, max_delay=2)
    assert retry.wait(1, 0, ModelRateLimitError("m", retry_after=30)) == 30
    assert retry.wait(1, 0, ModelRateLimitError("m", retry_after=0.2)) == 1
    assert retry.wait(1, 0, ModelRateLimitError("m")) == 1


@pytest.mark.parametrize("odd", [float("nan"), -5, True, "soon"])
def test_a_retry_after_that_is_no_time_is_not_waited_for(odd: Any) -> None:
    error = ModelRateLimitError("m")
    error.retry_after = odd
    assert Retry(delay=1, jitter=0).wait(1, 0, error) == 1


def test_an_error_that_asks_for_more_than_the_ceiling_is_not_retried() -> None:
    error = ModelRateLimitError("m", retry_after=121)
    assert not Retry().wants(error)
    assert not Retry(on=ModelError).wants(error)
    assert Retry(max_retry_after=600).wants(error)
