"""Claims about attempts: retries, timeouts, caches, and where plain functions run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
import trio.testing
from pydantic import BaseModel

from loomgraph import Cache, Context, NodeFailedError, Retry, RunResult
from loomgraph.errors import CacheKeyError, DefinitionError, NodeTimeoutError
from loomgraph.events import AttemptFailed, NodeStarted
from tests.runtime.graphs import chain, parallel

AT_ONCE = Retry(attempts=3, delay=0)


class HttpError(Exception):
    """As SDKs raise it: with the status of the response."""

    def __init__(self, status_code: int) -> None:
        super().__init__(f"HTTP {status_code}")
        self.status_code = status_code


class Flaky:
    """A node that raises the errors it was given, one a call, and then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self, value: int) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return value


def virtual(function: Callable[[], Coroutine[Any, Any, Any]]) -> tuple[Any, float]:
    """Run on trio with a clock that jumps; what came out, and the seconds that passed on that clock."""

    async def timed() -> tuple[Any, float]:
        began = trio.current_time()
        return await function(), trio.current_time() - began

    clock = trio.testing.MockClock(autojump_threshold=0)
    found: tuple[Any, float] = anyio.run(timed, backend="trio", backend_options={"clock": clock})
    return found


# ---------------------------------------------------------------------- retries


@pytest.mark.anyio
@pytest.mark.parametrize(
    "error",
    [ConnectionError("reset"), OSError("disk"), TimeoutError(), RuntimeError("odd"), HttpError(500), HttpError(429)],
)
async def test_the_default_retry_tries_again_after_what_may_pass(error: Exception) -> None:
    flaky = Flaky(error, error)
    result = await chain(flaky, retry=AT_ONCE).run(1)
    assert flaky.calls == 3
    [record] = result.activations
    assert (record.status, record.attempts, len(record.failures)) == ("succeeded", 3, 2)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        TypeError("bad"),
        KeyError("bad"),
        AttributeError("bad"),
        AssertionError(),
        NotImplementedError(),
    ]
    + [HttpError(status) for status in (400, 401, 403, 404, 422)],
)
async def test_the_default_retry_does_not_try_again_after_a_mistake(error: Exception) -> None:
    flaky = Flaky(error, error)
    with pytest.raises(NodeFailedError) as caught:
        await chain(flaky, retry=AT_ONCE).run(1)
    assert flaky.calls == 1
    assert caught.value.attempt == 1
    assert caught.value.__cause__ is error


@pytest.mark.anyio
async def test_without_retry_a_node_is_tried_once() -> None:
    flaky = Flaky(ConnectionError())
    with pytest.raises(NodeFailedError):
        await chain(flaky).run(1)
    assert flaky.calls == 1


@pytest.mark.anyio
async def test_the_last_of_all_attempts_is_the_failure() -> None:
    flaky = Flaky(*[ConnectionError(str(i)) for i in range(1, 6)])
    with pytest.raises(NodeFailedError) as caught:
        await chain(flaky, retry=AT_ONCE).run(1)
    assert flaky.calls == 3
    assert (caught.value.attempt, str(caught.value.__cause__)) == (3, "3")
    [record] = caught.value.result.activations
    assert [failure.message for failure in record.failures] == ["1", "2", "3"]


@pytest.mark.anyio
async def test_retry_on_says_what_is_retried() -> None:
    chosen = Flaky(ValueError("1"))
    assert (await chain(chosen, retry=Retry(delay=0, on=ValueError)).run(1)).output == 1
    picked = Flaky(ValueError("again"))
    assert (await chain(picked, retry=Retry(delay=0, on=lambda error: "again" in str(error))).run(1)).output == 1
    refused = Flaky(ConnectionError())
    with pytest.raises(NodeFailedError):
        await chain(refused, retry=Retry(delay=0, on=(ValueError, KeyError))).run(1)
    assert refused.calls == 1


@pytest.mark.anyio
async def test_every_attempt_is_in_the_log_and_knows_its_number() -> None:
    numbers: list[int] = []

    async def flaky(value: int, ctx: Context) -> int:
        numbers.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ConnectionError
        return value

    result = await chain(flaky, retry=AT_ONCE).run(1)
    assert numbers == [1, 2, 3]
    assert [e.attempt for e in result.events if isinstance(e, NodeStarted)] == [1, 2, 3]
    assert [e.attempt for e in result.events if isinstance(e, AttemptFailed)] == [1, 2]


@pytest.mark.anyio
async def test_each_attempt_is_given_its_own_copy_of_the_input() -> None:
    seen: list[list[int]] = []

    async def appends(values: list[int], ctx: Context) -> int:
        seen.append(list(values))
        values.append(9)
        if ctx.attempt < 3:
            raise ConnectionError
        return len(values)

    assert (await chain(appends, retry=AT_ONCE).run([1])).output == 2
    assert seen == [[1], [1], [1]]


@pytest.mark.anyio
async def test_a_group_of_one_is_retried_as_what_is_inside_it() -> None:
    flaky = Flaky(ExceptionGroup("tasks", [ConnectionError()]), ExceptionGroup("tasks", [ValueError("bad")]))
    with pytest.raises(NodeFailedError) as caught:
        await chain(flaky, retry=AT_ONCE).run(1)
    assert flaky.calls == 2
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.anyio
async def test_a_graph_as_a_node_is_retried_as_a_whole() -> None:
    calls: list[str] = []

    async def first(value: int) -> int:
        calls.append("first")
        return value

    async def second(value: int) -> int:
        calls.append("second")
        if len(calls) < 4:
            raise ConnectionError
        return value

    inner = chain(first, second, name="inner")
    outer = await chain(inner, name="outer", retry=AT_ONCE).run(1)
    assert calls == ["first", "second"] * 2
    keys = ["inner", "inner/first", "inner/second", "inner!2/first", "inner!2/second"]
    assert [record.key for record in outer.activations] == keys


def test_the_wait_between_attempts_grows_up_to_its_maximum() -> None:
    retry = Retry(attempts=5, delay=1, backoff=10, max_delay=50, jitter=0)
    flaky = Flaky(*[ConnectionError() for _ in range(4)])
    result, seconds = virtual(lambda: chain(flaky, retry=retry).run(1))
    assert [e.retry_in for e in result.events if isinstance(e, AttemptFailed)] == [1, 10, 50, 50]
    assert seconds == pytest.approx(111)


def test_jitter_only_takes_away_from_the_wait() -> None:
    flaky = Flaky(*[ConnectionError() for _ in range(9)])
    result, _ = virtual(lambda: chain(flaky, retry=Retry(attempts=10, delay=1, backoff=1, jitter=0.5)).run(1))
    waits = [e.retry_in for e in result.events if isinstance(e, AttemptFailed)]
    assert all(0.5 <= wait <= 1 for wait in waits)
    assert len(set(waits)) > 1


def test_a_node_that_waits_for_its_next_attempt_holds_no_slot() -> None:
    order: list[str] = []

    async def flaky(value: int, ctx: Context) -> int:
        order.append(f"flaky {ctx.attempt}")
        if ctx.attempt == 1:
            raise ConnectionError
        return value

    async def steady(value: int) -> int:
        order.append("steady")
        return value

    graph = parallel(flaky, steady, retry=Retry(attempts=2, delay=60))
    virtual(lambda: graph.run(1, limit=1))
    assert order == ["flaky 1", "steady", "flaky 2"]


# ---------------------------------------------------------------------- timeouts


def test_a_timeout_counts_for_each_attempt_anew() -> None:
    async def slow(value: int, ctx: Context) -> int:
        await anyio.sleep(8 if ctx.attempt < 3 else 4)
        return ctx.attempt

    result, seconds = virtual(lambda: chain(slow, timeout=5, retry=AT_ONCE).run(1))
    assert result.output == 3
    assert seconds == pytest.approx(5 + 5 + 4)


def test_a_timeout_is_a_failure_that_names_the_node_and_the_seconds() -> None:
    async def slow(value: int) -> int:
        await anyio.sleep_forever()
        return value

    async def fails() -> NodeFailedError:
        with pytest.raises(NodeFailedError, match="slow") as caught:
            await chain(slow, timeout=5).run(1)
        return caught.value

    error, seconds = virtual(fails)
    assert isinstance(error.__cause__, NodeTimeoutError)
    assert "5 s" in str(error.__cause__)
    assert seconds == pytest.approx(5)


def test_a_timeout_of_the_nodes_own_is_not_taken_for_the_nodes_timeout() -> None:
    mine = TimeoutError("of a client")

    async def fails(value: int) -> int:
        raise mine

    async def run() -> NodeFailedError:
        with pytest.raises(NodeFailedError) as caught:
            await chain(fails, timeout=5).run(1)
        return caught.value

    error, _ = virtual(run)
    assert error.__cause__ is mine


@pytest.mark.anyio
async def test_the_cleanup_of_a_node_that_timed_out_has_run() -> None:
    ended: list[str] = []

    async def slow(value: int) -> int:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cleaned up")
        return value

    with pytest.raises(NodeFailedError):
        await chain(slow, timeout=0.001).run(1)
    assert ended == ["cleaned up"]


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_timeout_without_time_is_refused(timeout: float) -> None:
    with pytest.raises(DefinitionError, match="leaves no time"):
        chain(Flaky(), timeout=timeout)


# ---------------------------------------------------------------------- plain functions


@pytest.mark.anyio
async def test_plain_functions_run_in_threads_at_the_same_time() -> None:
    barrier = threading.Barrier(3, timeout=30)
    threads: set[int] = set()

    def meets(value: int) -> int:
        threads.add(threading.get_ident())
        barrier.wait()
        return value

    graph = parallel(*_named(meets, 3))
    assert (await graph.run(1)).output == [1, 1, 1]
    assert len(threads) == 3
    assert threading.get_ident() not in threads


@pytest.mark.anyio
async def test_a_plain_function_may_block_while_others_go_on() -> None:
    release = threading.Event()

    def blocks(value: int) -> int:
        assert release.wait(timeout=30)
        return value

    async def releases(value: int) -> int:
        release.set()
        return value

    assert (await parallel(blocks, releases).run(1)).output == [1, 1]


@pytest.mark.anyio
async def test_context_variables_reach_plain_functions() -> None:
    import contextvars

    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")

    def reads(value: int) -> str:
        return variable.get()

    assert (await chain(reads).run(1)).output == "set"


def _named(fn: Callable[[int], int], count: int) -> list[Callable[[int], int]]:
    def copy(index: int) -> Callable[[int], int]:
        def node(value: int) -> int:
            return fn(value)

        node.__name__ = f"node {index}"
        return node

    return [copy(index) for index in range(count)]


# ---------------------------------------------------------------------- cache


@dataclass
class Question:
    text: str
    tags: list[str]


class Answer(BaseModel):
    text: str


class Handle:
    """Something without a JSON form."""


@pytest.mark.anyio
async def test_a_cached_node_is_called_once_for_equal_inputs() -> None:
    calls: list[str] = []

    async def answers(question: Question) -> Answer:
        calls.append(question.text)
        return Answer(text=question.text.upper())

    graph = chain(answers, cache=True)
    results: list[RunResult[Any]] = [await graph.run(Question(text, ["x"])) for text in ("a", "b", "a")]
    assert calls == ["a", "b"]
    assert [result.output.text for result in results] == ["A", "B", "A"]
    assert [result.activations[0].cached for result in results] == [False, False, True]


@pytest.mark.anyio
async def test_what_comes_out_of_a_cache_is_a_copy() -> None:
    async def answers(value: int) -> list[int]:
        return [value]

    graph = chain(answers, cache=True)
    first = await graph.run(1)
    first.output.append(2)
    assert (await graph.run(1)).output == [1]


@pytest.mark.anyio
async def test_a_failure_is_not_cached() -> None:
    flaky = Flaky(ConnectionError())
    graph = chain(flaky, cache=True)
    with pytest.raises(NodeFailedError):
        await graph.run(1)
    assert (await graph.run(1)).output == 1
    assert flaky.calls == 2


@pytest.mark.anyio
async def test_a_cache_keeps_its_newest_results() -> None:
    calls: list[int] = []

    async def counts(value: int) -> int:
        calls.append(value)
        return value

    graph = chain(counts, cache=Cache(size=2))
    for value in (1, 2, 3, 3, 2, 1):
        await graph.run(value)
    assert calls == [1, 2, 3, 1]


@pytest.mark.anyio
async def test_a_cache_key_says_what_is_equal() -> None:
    calls: list[str] = []

    async def reads(text: str) -> str:
        calls.append(text)
        return text

    graph = chain(reads, cache=Cache(key=str.lower))
    assert [(await graph.run(text)).output for text in ("A", "a")] == ["A", "A"]
    assert calls == ["A"]


@pytest.mark.anyio
async def test_an_input_that_cannot_be_compared_is_an_error_that_says_so() -> None:
    async def reads(handle: Handle) -> int:
        return 1

    with pytest.raises(NodeFailedError, match="has no JSON form") as caught:
        await chain(reads, cache=True).run(Handle())
    assert isinstance(caught.value.__cause__, CacheKeyError)
