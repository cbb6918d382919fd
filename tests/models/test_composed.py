"""Models for tests and models made of models: echo, scripts, cassettes, fallbacks, rate limits."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph.errors import (
    CassetteError,
    CassetteMismatchError,
    ContentFilterError,
    ContextOverflowError,
    DefinitionError,
    ModelAuthenticationError,
    ModelError,
    ModelRateLimitError,
    ModelRequestError,
    ModelServerError,
    ModelsExhaustedError,
    OutputTruncatedError,
    ScriptExhaustedError,
    ScriptMismatchError,
    StreamTruncatedError,
)
from loomgraph.graph.policy import Retry
from loomgraph.models import (
    AttemptRestarted,
    CassetteModel,
    EchoModel,
    FallbackModel,
    FinishReason,
    ModelRequest,
    ModelResponse,
    RateLimited,
    ResponseDone,
    ScriptedModel,
    StreamEvent,
    TextDelta,
    Timing,
    ToolCall,
    Turn,
    Usage,
    assistant,
    request_of,
    tool_results,
    user,
)

ASKED = request_of("q")
CALL = ToolCall(id="c", name="look_up", arguments={"k": 1})


class Time:
    """Time that passes while somebody waits, or when told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waited: list[float] = []
        self.timing = Timing(sleep=self._sleep, clock=lambda: self.now, chance=lambda: 0.0)

    async def _sleep(self, seconds: float) -> None:
        await anyio.lowlevel.checkpoint()
        self.waited.append(round(seconds, 6))
        self.now += seconds


# ---------------------------------------------------------------------- echo


@pytest.mark.anyio
async def test_an_echo_says_the_last_user_message_word_by_word() -> None:
    request = request_of([user("first"), assistant("a"), user("Hello, {big}  world")])
    async with aclosing(EchoModel().stream(request)) as stream:
        events = [event async for event in stream]
    words = [event.text for event in events if isinstance(event, TextDelta)]
    assert words == ["Hello, ", "{big}  ", "world"]
    done = events[-1]
    assert isinstance(done, ResponseDone)
    assert (done.response.text, done.response.usage) == ("Hello, {big}  world", Usage(input_tokens=4, output_tokens=3))


@pytest.mark.anyio
async def test_an_echo_keeps_the_token_limit_like_any_model() -> None:
    limited = request_of("one two three").model_copy(update={"max_tokens": 2})
    with pytest.raises(OutputTruncatedError) as caught:
        await EchoModel().generate(limited)
    assert caught.value.response.text == "one two "


# ---------------------------------------------------------------------- scripts


@pytest.mark.anyio
async def test_a_script_says_its_turns_and_keeps_what_it_was_asked() -> None:
    model = ScriptedModel(["one", CALL, [CALL, CALL], {"n": 1}, assistant("two", CALL), lambda request: "made"])
    said = [await model.generate(ASKED) for _ in range(6)]
    assert [answer.text for answer in said] == ["one", "", "", '{"n":1}', "two", "made"]
    assert [len(answer.tool_calls) for answer in said] == [0, 1, 2, 0, 1, 0]
    assert [answer.finish is FinishReason.TOOL_CALLS for answer in said] == [False, True, True, False, True, False]
    assert model.requests == [ASKED] * 6
    assert model.unused == 0


@pytest.mark.anyio
async def test_a_script_raises_what_it_is_told_to_and_nothing_after_its_end() -> None:
    model = ScriptedModel([ModelServerError("m")])
    with pytest.raises(ModelServerError):
        await model.generate(ASKED)
    with pytest.raises(ScriptExhaustedError, match="call 2 of 1: 'q'"):
        await model.generate(ASKED)


def _refuse(request: ModelRequest) -> bool:
    return False


def _assert(request: ModelRequest) -> None:
    assert request.tools, "no tools offered"


@pytest.mark.parametrize(
    ("expect", "said"),
    [("weather", "it expects 'weather', not 'q'"), (_refuse, "refuses"), (_assert, "no tools offered")],
)
@pytest.mark.anyio
async def test_a_script_refuses_a_request_that_it_does_not_expect(expect: Any, said: str) -> None:
    model = ScriptedModel([Turn("a", expect)])
    with pytest.raises(ScriptMismatchError, match=said):
        await model.generate(ASKED)


@pytest.mark.anyio
async def test_a_script_goes_on_in_another_process_by_the_answers_in_the_conversation() -> None:
    turns = [CALL, "done"]
    later = ASKED.plus(assistant(CALL), tool_results(CALL.result("found")))
    assert (await ScriptedModel(turns, order="conversation").generate(later)).text == "done"
    assert (await ScriptedModel([CALL, Turn("done", "found")], order="conversation").generate(later)).text == "done"


@pytest.mark.anyio
async def test_a_script_for_calls_in_parallel_gives_each_the_turn_that_expects_it() -> None:
    model = ScriptedModel([Turn("A", "a?"), Turn("B", "b?"), Turn("B2", "b?")], order="any")
    assert [(await model.generate(request_of(q))).text for q in ("b?", "a?", "b?")] == ["B", "A", "B2"]
    with pytest.raises(ScriptExhaustedError):
        await model.generate(request_of("a?"))
    with pytest.raises(ScriptMismatchError, match="none of 1 unused turns expects"):
        await ScriptedModel([Turn("A", "a?")], order="any").generate(request_of("c?"))


# ---------------------------------------------------------------------- cassettes


def _recorder(path: Path, *turns: Any) -> CassetteModel:
    return CassetteModel(path, ScriptedModel(turns, name="real:model", usage=Usage(input_tokens=1, output_tokens=1)))


@pytest.mark.anyio
async def test_a_cassette_is_recorded_once_and_replayed_without_the_model(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tape.json"
    recorder = _recorder(path, "one", CALL, "again")
    other = request_of("other {x}")
    said = [await recorder.generate(request) for request in (ASKED, other, ASKED)]
    replayed = CassetteModel(path)
    assert [await replayed.generate(request) for request in (ASKED, ASKED, other)] == [said[0], said[2], said[1]]
    assert replayed.name == "real:model"
    untouched = ScriptedModel([])
    assert (await CassetteModel(path, untouched).generate(ASKED)) == said[0]
    assert untouched.requests == []


@pytest.mark.anyio
async def test_a_cassette_that_grew_by_calls_in_parallel_has_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    recorder = CassetteModel(path, EchoModel())
    async with anyio.create_task_group() as group:
        for n in range(8):
            group.start_soon(recorder.generate, request_of(f"question {n}"))
    replayed = CassetteModel(path)
    for n in range(8):
        assert (await replayed.generate(request_of(f"question {n}"))).text == f"question {n}"


@pytest.mark.anyio
async def test_a_request_that_was_not_recorded_is_refused_with_the_difference_to_the_closest(tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    recorder = _recorder(path, "one", "two")
    await recorder.generate(request_of([user("a"), assistant("b"), user("c")]))
    await recorder.generate(request_of("unrelated"))
    with pytest.raises(CassetteMismatchError, match=r"tape.json") as caught:
        await CassetteModel(path).generate(request_of([user("a"), assistant("b"), user("changed")]))
    assert '-     "text": "c",' in caught.value.diff
    assert '+     "text": "changed",' in caught.value.diff
    assert "unrelated" not in caught.value.diff
    assert caught.value.diff in str(caught.value)


@pytest.mark.anyio
async def test_a_request_that_comes_more_often_than_it_was_recorded_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    await _recorder(path, "one").generate(ASKED)
    replayed = CassetteModel(path)
    await replayed.generate(ASKED)
    with pytest.raises(CassetteError, match="recorded 1 times and is asked once more"):
        await replayed.generate(ASKED)


@pytest.mark.anyio
async def test_secrets_are_not_written_and_do_not_matter_for_the_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "correct-horse-battery")
    path = tmp_path / "tape.json"
    secret = request_of(f"use correct-horse-battery or sk-ant-{'a1' * 10}")
    await _recorder(path, "I used correct-horse-battery").generate(secret)
    written = path.read_text()
    assert "correct-horse" not in written
    assert "sk-ant" not in written
    monkeypatch.setenv("SHOP_API_KEY", "another-long-secret")
    other = request_of(f"use another-long-secret or sk-ant-{'b2' * 10}")
    assert (await CassetteModel(path).generate(other)).text == "I used [redacted SHOP_API_KEY]"


@pytest.mark.anyio
async def test_a_failure_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    recorder = _recorder(path, ModelServerError("m"), "fine")
    with pytest.raises(ModelServerError):
        await recorder.generate(ASKED)
    assert not path.exists()
    await recorder.generate(ASKED)
    assert len(json.loads(path.read_text())["recordings"]) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("", "is damaged"),
        ("{}", "is damaged"),
        ('{"version": 2}', "has format 2"),
        ('{"version": 1, "model": "m", "recordings": [{"request": {}, "response": {}}]}', "is damaged"),
    ],
)
def test_a_cassette_that_cannot_be_read_says_why(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "tape.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CassetteError, match=said):
        CassetteModel(path, mode="replay")


# ---------------------------------------------------------------------- fallbacks


@pytest.mark.anyio
async def test_the_first_model_that_answers_is_asked_and_told() -> None:
    first, second = ScriptedModel([ModelServerError("a"), "one"], name="a"), ScriptedModel(["two"], name="b")
    model = FallbackModel([first, second])
    async with aclosing(model.stream(ASKED)) as stream:
        events = [event async for event in stream]
    assert events[0] == AttemptRestarted(
        attempt=2, model="b", error="ModelServerError", message=str(ModelServerError("a")), wait=0.0
    )
    done = events[-1]
    assert isinstance(done, ResponseDone)
    assert (done.response.text, done.response.model) == ("two", "b")
    assert (await model.generate(ASKED)).text == "one"


@pytest.mark.parametrize("error", [ModelAuthenticationError("a"), ContextOverflowError("a"), StreamTruncatedError("a")])
@pytest.mark.anyio
async def test_what_another_provider_may_do_better_goes_to_the_next(error: ModelError) -> None:
    assert (await FallbackModel([ScriptedModel([error]), EchoModel()]).generate(ASKED)).text == "q"


@pytest.mark.parametrize("error", [ModelRequestError("a"), ContentFilterError("a"), OutputTruncatedError("a")])
@pytest.mark.anyio
async def test_what_is_wrong_with_the_request_or_the_answer_does_not(error: ModelError) -> None:
    model = FallbackModel([ScriptedModel([error], name="a"), EchoModel()])
    with pytest.raises(type(error)):
        await model.generate(ASKED)
    assert model.health[0].failures == 0
    assert (await FallbackModel([ScriptedModel([error]), EchoModel()], on=lambda _: True).generate(ASKED)).text == "q"


@pytest.mark.anyio
async def test_a_model_that_keeps_failing_rests_and_is_tried_by_one_call_after_that() -> None:
    time = Time()
    sick = ScriptedModel([ModelServerError("a")] * 4 + ["well"], name="a")
    model = FallbackModel([sick, EchoModel()], failures=3, cooldown=30, timing=time.timing)
    for _ in range(5):
        assert (await model.generate(ASKED)).text == "q"
    assert len(sick.requests) == 3
    assert (model.health[0].failures, model.health[0].rests) == (3, 30.0)
    time.now += 31
    assert (await model.generate(ASKED)).text == "q"  # the trial fails
    assert (len(sick.requests), model.health[0].rests) == (4, 30.0)
    time.now += 31
    assert (await model.generate(ASKED)).text == "well"
    assert (model.health[0].failures, model.health[0].rests, model.health[0].error) == (0, 0.0, None)


class _Slow:
    """A model that answers when told to."""

    provider = "slow"

    def __init__(self, error: ModelError | None = None) -> None:
        self.name = "slow"
        self.asked, self.go, self.calls = anyio.Event(), anyio.Event(), 0
        self.error = error

    async def generate(self, request: ModelRequest) -> ModelResponse:
        raise NotImplementedError

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        self.calls += 1
        if self.error is not None and self.calls == 1:
            raise self.error
        self.asked.set()
        await self.go.wait()
        async with aclosing(EchoModel().stream(request)) as events:
            async for event in events:
                yield event


@pytest.mark.anyio
async def test_while_one_call_tries_a_rested_model_nobody_else_does() -> None:
    time = Time()
    slow = _Slow(ModelServerError("slow"))
    model = FallbackModel([slow, ScriptedModel(["other"] * 2)], failures=1, cooldown=5, timing=time.timing)
    assert (await model.generate(ASKED)).text == "other"
    time.now += 6
    async with anyio.create_task_group() as group:
        group.start_soon(model.generate, ASKED)
        with anyio.fail_after(20):
            await slow.asked.wait()
            assert (await model.generate(ASKED)).text == "other"
        slow.go.set()
    assert (slow.calls, model.health[0].rests) == (2, 0.0)


@pytest.mark.anyio
async def test_a_trial_that_is_cancelled_leaves_the_model_to_the_next_call() -> None:
    time = Time()
    slow = _Slow(ModelServerError("slow"))
    model = FallbackModel([slow, EchoModel()], failures=1, cooldown=5, timing=time.timing)
    await model.generate(ASKED)
    time.now += 6
    async with anyio.create_task_group() as group:
        group.start_soon(model.generate, ASKED)
        with anyio.fail_after(20):
            await slow.asked.wait()
        group.cancel_scope.cancel()
    slow.go.set()
    assert (await model.generate(ASKED)).model == "echo"
    assert slow.calls == 3


@pytest.mark.anyio
async def test_a_model_that_asks_for_a_pause_gets_it() -> None:
    time = Time()
    busy = ScriptedModel([ModelRateLimitError("a", retry_after=20), "back"], name="a")
    model = FallbackModel([busy, EchoModel()], timing=time.timing)
    assert [(await model.generate(ASKED)).text for _ in range(2)] == ["q", "q"]
    assert len(busy.requests) == 1
    time.now += 20.5
    assert (await model.generate(ASKED)).text == "back"


@pytest.mark.anyio
async def test_without_a_model_left_every_failure_is_told_and_when_to_come_back() -> None:
    time = Time()
    model = FallbackModel(
        [
            ScriptedModel([ModelRateLimitError("a", retry_after=20)] * 2, name="a"),
            ScriptedModel([ModelServerError("b")] * 2, name="b"),
        ],
        failures=2,
        cooldown=5,
        timing=time.timing,
    )
    with pytest.raises(ModelsExhaustedError, match="ModelRateLimitError from 'a'; ModelServerError from 'b'") as caught:
        await model.generate(ASKED)
    assert (caught.value.transient, caught.value.retry_after) == (True, 20.0)
    assert isinstance(caught.value.__cause__, ModelServerError)
    with pytest.raises(ModelsExhaustedError, match="'a' resting") as caught:
        await model.generate(ASKED)
    assert caught.value.retry_after == 5.0
    broke = FallbackModel([ScriptedModel([ModelAuthenticationError("a")])])
    with pytest.raises(ModelsExhaustedError) as caught:
        await broke.generate(ASKED)
    assert caught.value.transient is False


@pytest.mark.anyio
async def test_all_models_are_gone_through_again_after_the_wait_that_they_ask_for() -> None:
    time = Time()
    busy = ScriptedModel([ModelRateLimitError("a", retry_after=20), "back"], name="a")
    model = FallbackModel([busy], retry=Retry(attempts=2, delay=1, jitter=0), timing=time.timing)
    assert (await model.generate(ASKED)).text == "back"
    assert time.waited == [20.0]


def test_a_fallback_to_nothing_is_refused() -> None:
    for make in (lambda: FallbackModel([]), lambda: FallbackModel(["echo"], failures=0)):
        with pytest.raises(DefinitionError):
            make()


def test_models_named_by_strings_have_no_retries_of_their_own() -> None:
    model = FallbackModel(["openai:gpt-5.2", "anthropic:claude-sonnet-5", "echo"])
    assert model.name == "fallback:openai:gpt-5.2|anthropic:claude-sonnet-5|echo"


# ---------------------------------------------------------------------- rate limits


@pytest.mark.anyio
async def test_calls_are_spread_over_the_minute_after_the_burst() -> None:
    time = Time()
    model = RateLimited(EchoModel(), calls_per_minute=30, burst=3, timing=time.timing)
    for _ in range(6):
        await model.generate(ASKED)
    assert time.waited == [2.0, 2.0, 2.0]
    time.now += 600
    for _ in range(4):
        await model.generate(ASKED)
    assert time.waited == [2.0, 2.0, 2.0, 2.0]


@pytest.mark.anyio
async def test_tokens_are_settled_by_what_was_really_used() -> None:
    time = Time()
    used = Usage(input_tokens=60, output_tokens=60)
    model = RateLimited(ScriptedModel(["a"] * 3, usage=used), tokens_per_minute=60, timing=time.timing)
    for _ in range(3):
        await model.generate(ASKED)
    assert time.now - 100 > 2 * 120 - 60 / 10  # two answers are paid for, less the burst, before the third


@pytest.mark.anyio
async def test_no_more_calls_run_at_a_time_than_allowed() -> None:
    running = most = 0

    class Counting(EchoModel):
        async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await anyio.lowlevel.checkpoint()
            async with aclosing(super().stream(request)) as events:
                async for event in events:
                    yield event
            running -= 1

    model = RateLimited(Counting(), concurrency=2)
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(model.generate, ASKED)
    assert most == 2
    assert model.name == "echo"


@pytest.mark.anyio
async def test_a_call_that_is_cancelled_while_it_waits_has_used_nothing() -> None:
    time = Time()
    waiting = anyio.Event()

    async def sleep(seconds: float) -> None:
        waiting.set()
        await anyio.sleep_forever()

    timing = Timing(sleep=sleep, clock=lambda: time.now)
    model = RateLimited(EchoModel(), calls_per_minute=60, timing=timing)
    await model.generate(ASKED)
    async with anyio.create_task_group() as group:
        group.start_soon(model.generate, ASKED)
        await waiting.wait()
        group.cancel_scope.cancel()
    time.now += 1
    with anyio.fail_after(20):
        await model.generate(ASKED)


@pytest.mark.parametrize(
    "limits", [{}, {"calls_per_minute": 0}, {"concurrency": -1}, {"calls_per_minute": 1, "burst": 0}]
)
def test_a_limit_that_lets_nothing_through_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        RateLimited(EchoModel(), **limits)
