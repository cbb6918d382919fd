"""What adapters make of what comes: whole answers with every part, and typed errors for anything that is none."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from loomgraph.errors import (
    ContentFilterError,
    ContextOverflowError,
    CorruptResponseError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelOverloadedError,
    ModelQuotaError,
    ModelRateLimitError,
    ModelRequestError,
    ModelServerError,
    ModelTimeoutError,
    OutputTruncatedError,
    StreamStalledError,
    StreamTruncatedError,
    ToolArgumentsError,
)
from loomgraph.models import (
    FinishReason,
    ModelRequest,
    ModelResponse,
    Price,
    ProviderPart,
    Text,
    Thinking,
    ToolCall,
    ToolSpec,
    Usage,
    request_of,
    user,
)
from tests.models.mocked import APIS, Wire, body, chat, items, messages, model, raw, said, stream, text

NEEDY = ToolSpec(name="look_up", parameters={"type": "object", "properties": {"k": {}}, "required": ["k"]})
ASKED = ModelRequest(messages=(user("q"),), tools=(NEEDY,))


async def _answer(api: str, reply: Any, request: ModelRequest = ASKED, **options: Any) -> ModelResponse:
    async with model(api, Wire(reply), **options) as made:
        return await made.generate(request)


async def _error(api: str, reply: Any, request: ModelRequest = ASKED, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await _answer(api, reply, request, **options)
    return caught.value


# ---------------------------------------------------------------------- bodies that are none


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    "reply",
    [
        text("<html>Welcome to the proxy</html>"),
        text("upstream is busy", "text/plain"),
        text("{cut", "application/json"),
        text("[1, 2]", "application/json"),
        text("", "application/json"),
        text("[" * 5000, "application/json"),
        raw(b"data: \xff\xfe\n\n"),
        raw("data: {cut\n\n"),
        raw("data: [1]\n\n"),
        raw('data: {"choices": 5, "type": 5, "delta": 5}\n\n'),
        raw('data: {"choices": [{"delta": {"content": NaN}}]}\n\nevent: message_start\ndata: {"message": 5}\n\n'),
    ],
    ids=lambda reply: repr(reply.content[:20]),
)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_body_that_the_protocol_does_not_allow_is_a_typed_error(
    api: str, reply: httpx2.Response, streaming: bool
) -> None:
    error = await _error(api, reply, streaming=streaming)
    assert isinstance(error, (CorruptResponseError, StreamTruncatedError))
    assert error.transient


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_whole_body_in_place_of_a_stream_says_how_to_ask_for_it(api: str) -> None:
    error = await _error(api, body({"id": "x"}))
    assert isinstance(error, CorruptResponseError)
    assert "streaming=False" in str(error)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_an_empty_stream_is_no_answer(api: str) -> None:
    assert isinstance(await _error(api, raw(": keep-alive\n\n")), StreamTruncatedError)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_stream_that_is_cut_anywhere_is_no_answer(api: str) -> None:
    content = said(api, "Hello there").content.decode()
    whole = content.split("\n\n")[:-1]
    for kept in range(len(whole) - 1):
        error = await _error(api, raw("".join(f"{event}\n\n" for event in whole[:kept])))
        assert isinstance(error, StreamTruncatedError), whole[:kept]
    assert (await _answer(api, raw(content))).text == "Hello there"


@pytest.mark.parametrize("ends", ["\r\n", "\r", "\n"])
@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_line_ends_comments_and_separators_inside_text_change_nothing(api: str, ends: str) -> None:
    odd = "one\u2028two\x85three\r\n{four}"
    content = said(api, odd).content.decode().replace("\n", ends)
    reply = raw(f": hello{ends}{ends}{content}{ends}id: 7{ends}retry: 5{ends}{ends}".replace("\\u2028", "\u2028"))
    assert (await _answer(api, reply)).text == odd


@pytest.mark.anyio
async def test_a_character_that_is_cut_in_two_is_put_together_and_half_of_one_is_no_answer() -> None:
    pieces: list[dict[str, Any]] = [{"content": "a \ud83d"}, {"content": "\ude00 b"}]
    assert (await _answer("chat", chat(*pieces))).text == "a \U0001f600 b"
    assert isinstance(await _error("chat", chat(pieces[0])), CorruptResponseError)
    assert isinstance(await _error("chat", chat(pieces[1])), CorruptResponseError)


# ---------------------------------------------------------------------- errors that are told

TOLD = [
    ("server_error", None, "The server had an error", ModelServerError),
    ("overloaded_error", None, "Overloaded", ModelOverloadedError),
    ("rate_limit_error", None, "Slow down", ModelRateLimitError),
    ("requests", "rate_limit_exceeded", "Slow down", ModelRateLimitError),
    ("insufficient_quota", "insufficient_quota", "You exceeded your current quota", ModelQuotaError),
    ("invalid_request_error", "context_length_exceeded", "too long", ContextOverflowError),
    ("invalid_request_error", None, "prompt is too long: 9 tokens > 8 maximum", ContextOverflowError),
    ("invalid_request_error", None, "messages: at least one message is required", ModelRequestError),
    ("invalid_request_error", "content_policy_violation", "no", ContentFilterError),
    ("authentication_error", None, "invalid x-api-key sk-ant-abcdefghijklmnop", ModelAuthenticationError),
    (None, 502, "Provider returned error", ModelServerError),
    (None, None, "something", ModelServerError),
]


@pytest.mark.parametrize("place", ["stream", "in place of a stream", "whole"])
@pytest.mark.parametrize(("kind", "code", "said_", "expected"), TOLD)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_an_error_that_comes_with_status_200_is_told_by_its_words(
    api: str, kind: str | None, code: Any, said_: str, expected: type[ModelError], place: str
) -> None:
    told = {"type": "error", "error": {"type": kind, "code": code, "message": said_}}
    whole = body(told)
    reply = raw(said(api).content + b"\n" + stream(told).content) if place == "stream" else whole
    if place == "stream":  # before anything that completes the answer
        reply = stream(told)
    error = await _error(api, reply, streaming=place != "whole")
    assert type(error) is expected
    assert error.code == (str(code) if code is not None else kind)
    assert "sk-ant-" not in str(error)


@pytest.mark.parametrize("code", ["server_error", "rate_limit_exceeded", "invalid_prompt"])
@pytest.mark.anyio
async def test_a_response_that_failed_is_told_by_its_code(code: str) -> None:
    failed = items(status="failed", error={"code": code, "message": "no"})
    error = await _error("responses", failed)
    assert error.code == code
    expected = {"rate_limit_exceeded": ModelRateLimitError, "invalid_prompt": ContentFilterError}
    assert type(error) is expected.get(code, ModelServerError)
    event = stream({"type": "error", "code": code, "message": "no", "sequence_number": 1})
    assert type(await _error("responses", event)) is expected.get(code, ModelServerError)


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (httpx2.ConnectError("refused"), ModelConnectionError),
        (httpx2.ReadError("reset"), ModelConnectionError),
        (httpx2.RemoteProtocolError("closed"), ModelConnectionError),
        (httpx2.ReadTimeout("slow"), ModelTimeoutError),
        (httpx2.ConnectTimeout("slow"), ModelTimeoutError),
        (httpx2.PoolTimeout("full"), ModelTimeoutError),
        (httpx2.UnsupportedProtocol("htp://"), ModelRequestError),
        (httpx2.LocalProtocolError("Illegal header value"), ModelRequestError),
        (OSError("no route"), ModelConnectionError),
        (ValueError("bad port"), ModelRequestError),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_what_goes_wrong_before_an_answer_begins_is_told_apart(
    api: str, cause: Exception, expected: type[ModelError]
) -> None:
    error = await _error(api, cause)
    assert type(error) is expected
    assert error.__cause__ is not None


class _Breaking(httpx2.AsyncByteStream):
    """The first half of an answer, and then an error."""

    def __init__(self, content: bytes, error: Exception) -> None:
        self.content, self.error = content, error

    async def __aiter__(self) -> Any:
        yield self.content[: len(self.content) // 2]
        raise self.error


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (httpx2.ReadTimeout("slow"), StreamStalledError),
        (httpx2.RemoteProtocolError("incomplete chunked read"), ModelConnectionError),
        (httpx2.ReadError("reset"), ModelConnectionError),
        (httpx2.DecodingError("bad gzip"), CorruptResponseError),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_what_goes_wrong_in_the_middle_of_an_answer_is_told_apart(
    api: str, cause: Exception, expected: type[ModelError], streaming: bool
) -> None:
    def breaking() -> httpx2.Response:
        whole = said(api)
        return httpx2.Response(200, headers=whole.headers, stream=_Breaking(whole.content, cause))

    assert type(await _error(api, breaking, streaming=streaming)) is expected


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.anyio
async def test_a_refusal_is_no_answer(api: str) -> None:
    if api == "chat":
        reply = chat({"refusal": "I can"}, {"refusal": "not."})
    else:
        delta = {"type": "response.refusal.delta", "delta": "I cannot."}
        done = {"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]}
        reply = items([{"type": "message"}, delta, done])
    error = await _error(api, reply)
    assert isinstance(error, ContentFilterError)
    assert "I cannot." in str(error)


# ---------------------------------------------------------------------- how answers end

ENDS = [
    ("chat", "stop", FinishReason.STOP),
    ("chat", "eos", FinishReason.STOP),
    ("chat", "length", OutputTruncatedError),
    ("chat", "model_length", OutputTruncatedError),
    ("chat", "content_filter", ContentFilterError),
    ("chat", "error", ModelServerError),
    ("chat", "abort", StreamTruncatedError),
    ("chat", "something new", FinishReason.OTHER),
    ("anthropic", "end_turn", FinishReason.STOP),
    ("anthropic", "stop_sequence", FinishReason.STOP),
    ("anthropic", "pause_turn", FinishReason.PAUSE),
    ("anthropic", "max_tokens", OutputTruncatedError),
    ("anthropic", "model_context_window_exceeded", OutputTruncatedError),
    ("anthropic", "refusal", ContentFilterError),
    ("anthropic", "something_new", FinishReason.OTHER),
]


@pytest.mark.parametrize(("api", "word", "expected"), ENDS)
@pytest.mark.anyio
async def test_the_reason_for_ending_decides_what_an_answer_is(api: str, word: str, expected: Any) -> None:
    block = [{"type": "text", "text": ""}, {"type": "text_delta", "text": "so far"}]
    reply = chat({"content": "so far"}, finish=word) if api == "chat" else messages(block, stop=word)
    if isinstance(expected, FinishReason):
        response = await _answer(api, reply)
        assert (response.finish, response.finish_detail, response.text) == (expected, word, "so far")
    else:
        error = await _error(api, reply)
        assert type(error) is expected
        assert error.response is None or error.response.text == "so far"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("max_output_tokens", OutputTruncatedError),
        ("content_filter", ContentFilterError),
        ("something new", OutputTruncatedError),
    ],
)
@pytest.mark.anyio
async def test_an_incomplete_response_is_no_answer(reason: str, expected: type[ModelError]) -> None:
    message = {"type": "message", "content": [{"type": "output_text", "text": "so far"}]}
    reply = items([{"type": "message"}, message], status="incomplete", incomplete_details={"reason": reason})
    error = await _error("responses", reply)
    assert type(error) is expected
    assert error.response.text == "so far"


@pytest.mark.anyio
async def test_a_stream_without_an_end_mark_is_whole_if_its_usage_came() -> None:
    content = said("chat").content.removesuffix(b"data: [DONE]\n\n")
    assert (await _answer("chat", raw(content))).text == "Hello"


# ---------------------------------------------------------------------- tool calls


def _call(index: Any, call_id: Any, name: Any, arguments: Any, **more: Any) -> dict[str, Any]:
    call = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}, **more}
    return {key: value for key, value in call.items() if value is not None}


A, B = ToolCall(id="a", name="look_up", arguments={"k": 1}), ToolCall(id="b", name="look_up", arguments={"k": 2})


@pytest.mark.parametrize(
    "deltas",
    [
        [[_call(0, "a", "look_up", "")], [_call(0, None, None, '{"k"')], [_call(0, None, None, ": 1}")],
         [_call(1, "b", "look_up", '{"k": 2}')]],
        [[_call(0, "a", "look_up", '{"k": 1}'), _call(1, "b", "look_up", '{"k": 2}')]],
        [[_call(None, "a", "look_up", '{"k": 1}'), _call(None, "b", "look_up", '{"k": 2}')]],
        [[_call(0, "a", "look_up", '{"k": 1}')], [_call(0, "b", "look_up", '{"k": 2}')]],
        [[_call(0, "a", "look_up", '{"k"')], [_call(0, "a", "look_up", ': 1}')],
         [_call(1, "b", "look_up", '{"k": 2}')]],
        [[_call(None, "a", "look_up", '{"k"')], [_call(None, None, None, ': 1}')],
         [_call(None, "b", "look_up", '{"k": 2}', type="function")]],
    ],
    ids=["in pieces", "at once", "without index", "always index 0", "everything repeated", "pieces without index"],
)  # fmt: skip
@pytest.mark.anyio
async def test_every_way_in_which_servers_stream_tool_calls_is_understood(deltas: list[Any]) -> None:
    for finish in ("tool_calls", "stop"):  # some say stop although they call tools
        response = await _answer("chat", chat(*({"tool_calls": delta} for delta in deltas), finish=finish))
        assert response.tool_calls == (A, B)
        assert response.finish is FinishReason.TOOL_CALLS


@pytest.mark.anyio
async def test_a_call_without_an_id_gets_one_that_is_unique_in_its_conversation() -> None:
    calls = [_call(0, None, "look_up", '{"k": 1}'), _call(1, None, "look_up", '{"k": 2}')]
    response = await _answer("chat", chat({"tool_calls": calls}))
    assert [call.id for call in response.tool_calls] == ["call_1_0", "call_1_1"]
    later = await _answer("chat", chat({"tool_calls": calls}), ASKED.plus(response.message))
    assert [call.id for call in later.tool_calls] == ["call_2_0", "call_2_1"]


@pytest.mark.parametrize(
    "deltas",
    [
        [[_call(0, "a", "look_up", '{"k": 1}')], [_call(1, "b", "look_up", "")], [_call(0, None, None, "more")]],
        [[_call(None, None, None, '{"k": 1}')]],
        [[_call(0, "a", "look_up", '{"k": 1}', type="custom")]],
    ],
    ids=["after its end", "of no call", "of another type"],
)
@pytest.mark.anyio
async def test_arguments_that_belong_to_no_call_are_no_answer(deltas: list[Any]) -> None:
    assert isinstance(await _error("chat", chat(*({"tool_calls": delta} for delta in deltas))), CorruptResponseError)


def _called(api: str, arguments: str, streaming: bool, stop: bool = False) -> httpx2.Response:
    """An answer that calls look_up with these arguments as text."""
    if api == "chat":
        call = _call(0, "a", "look_up", arguments, type="function")
        finish = "length" if stop else "tool_calls"
        if streaming:
            return chat({"tool_calls": [call]}, finish=finish)
        return body({"choices": [{"message": {"tool_calls": [call]}, "finish_reason": finish}]})
    if api == "responses":
        item = {"type": "function_call", "call_id": "a", "name": "look_up", "arguments": arguments}
        status = "incomplete" if stop else "completed"
        reason = {"incomplete_details": {"reason": "max_output_tokens"}} if stop else {}
        if not streaming:
            return body({"id": "r", "status": status, "output": [item], **reason})
        delta = {"type": "response.function_call_arguments.delta", "delta": arguments}
        return items([{**item, "arguments": ""}, delta, item], status=status, **reason)
    block = {"type": "tool_use", "id": "a", "name": "look_up", "input": {}}
    finish = "max_tokens" if stop else "tool_use"
    if streaming:
        return messages([block, {"type": "input_json_delta", "partial_json": arguments}], stop=finish)
    return body({"content": [block], "stop_reason": finish})


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("arguments", ['{"k": "Par', "[1]", "null", '"k"', '{"k": NaN}', "{}", "", '{"k": "\\ud83d"}'])
@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_arguments_that_are_cut_or_missing_are_a_typed_error(api: str, arguments: str, streaming: bool) -> None:
    error = await _error(api, _called(api, arguments, streaming), streaming=streaming)
    assert isinstance(error, ToolArgumentsError)
    assert (error.tool, error.transient) == ("look_up", True)
    if api != "anthropic" or streaming:
        assert error.raw == arguments


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_arguments_that_the_token_limit_cut_are_the_limits_fault_even_if_a_cut_answer_is_accepted(
    api: str, streaming: bool
) -> None:
    for accepts in (False, True):
        request = ASKED.model_copy(update={"accept_truncated": accepts})
        error = await _error(api, _called(api, '{"k": "Par', streaming, stop=True), request, streaming=streaming)
        assert isinstance(error, OutputTruncatedError)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_tool_that_needs_nothing_may_be_called_with_nothing(api: str) -> None:
    free = ModelRequest(messages=(user("q"),), tools=(ToolSpec(name="look_up", parameters={"type": "object"}),))
    for arguments in ("", "{}"):
        response = await _answer(api, _called(api, arguments, streaming=True), free)
        assert response.tool_calls == (ToolCall(id="a", name="look_up"),)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_call_of_a_tool_that_was_not_offered_is_passed_on(api: str) -> None:
    response = await _answer(api, _called(api, '{"z": 1}', streaming=True), request_of("q"))
    assert response.tool_calls == (ToolCall(id="a", name="look_up", arguments={"z": 1}),)


# ---------------------------------------------------------------------- parts of the providers' own


@pytest.mark.anyio
async def test_anthropics_blocks_are_kept_with_all_that_goes_back() -> None:
    citation: Any = {"type": "char_location", "cited_text": "x"}
    reply = messages(
        [{"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": "hm"},
         {"type": "signature_delta", "signature": "si"}, {"type": "signature_delta", "signature": "g"}],
        [{"type": "redacted_thinking", "data": "xx"}],
        [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
         {"type": "input_json_delta", "partial_json": '{"query": '},
         {"type": "input_json_delta", "partial_json": '"q"}'}],
        [{"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result"}]}],
        [{"type": "compaction", "content": "a"}, {"type": "compaction_delta", "content": "b"}, {"type": "x", "n": 2}],
        [{"type": "text", "text": "So"}, {"type": "text_delta", "text": " it is."},
         {"type": "citations_delta", "citation": citation}],
        usage={"output_tokens": 9, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2,
               "output_tokens_details": {"thinking_tokens": 3}},
    )  # fmt: skip
    response = await _answer("anthropic", reply, price=Price(input=1e6, output=1e6))
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result"}]}
    assert response.message.parts == (
        Thinking(text="hm", provider="anthropic", signature="sig"),
        Thinking(text="", provider="anthropic", block={"type": "redacted_thinking", "data": "xx"}),
        ProviderPart(provider="anthropic", block=search),
        ProviderPart(provider="anthropic", block=found),
        ProviderPart(provider="anthropic", block={"type": "compaction", "content": "ab", "n": 2}),
        Text(text="So it is.", annotations=(citation,)),
    )
    assert response.usage == Usage(
        input_tokens=11, output_tokens=9, cached_tokens=4, cache_write_tokens=2, reasoning_tokens=3, cost=20.0
    )
    assert (response.id, response.version) == ("m1", "m-1")


@pytest.mark.anyio
async def test_the_same_blocks_come_whole() -> None:
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "So.", "citations": [{"type": "page"}]},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        {"type": "tool_use", "id": "a", "name": "look_up", "input": {"k": 1}},
    ]
    whole = {"id": "m1", "model": "m-1", "content": content, "stop_reason": "tool_use", "usage": {"input_tokens": 5}}
    response = await _answer("anthropic", body(whole), streaming=False)
    assert response.message.parts == (
        Thinking(text="hm", provider="anthropic", signature="sig"),
        Text(text="So.", annotations=({"type": "page"},)),
        ProviderPart(provider="anthropic", block=content[2]),
        A,
    )


SUMMARY = [{"text": "one"}, {"text": "two"}]
REASONING: Any = {"type": "reasoning", "id": "rs", "summary": SUMMARY, "encrypted_content": "e"}


@pytest.mark.anyio
async def test_openais_items_are_kept_with_all_that_goes_back() -> None:
    note: Any = {"type": "url_citation", "url": "http://a"}
    search: Any = {"type": "web_search_call", "id": "ws", "status": "completed"}
    message = {"type": "message", "content": [{"type": "output_text", "text": "So.", "annotations": [note]}]}
    reply = items(
        [{"type": "reasoning"}, {"type": "response.reasoning_summary_part.added", "summary_index": 0},
         {"type": "response.reasoning_summary_text.delta", "delta": "one"},
         {"type": "response.reasoning_summary_part.added", "summary_index": 1},
         {"type": "response.reasoning_summary_text.delta", "delta": "two"}, REASONING],
        [{"type": "web_search_call"}, {"type": "response.web_search_call.searching"}, search],
        [{"type": "message"}, {"type": "response.output_text.delta", "content_index": 0, "delta": "So."},
         {"type": "response.output_text.annotation.added", "content_index": 0, "annotation": note}, message],
        [{"type": "reasoning"}, {"type": "reasoning", "id": "rs2", "summary": []}],
        usage={"input_tokens": 5, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 4,
               "output_tokens_details": {"reasoning_tokens": 1}},
    )  # fmt: skip
    expected = (
        Thinking(text="one\n\ntwo", provider="openai", block=REASONING),
        ProviderPart(provider="openai", block=search),
        Text(text="So.", annotations=(note,)),
    )
    response = await _answer("responses", reply)
    assert response.message.parts == expected
    assert response.usage == Usage(input_tokens=5, output_tokens=4, cached_tokens=2, reasoning_tokens=1)
    whole = body({"id": "r1", "status": "completed", "output": [REASONING, search, message], "error": None})
    assert (await _answer("responses", whole, streaming=False)).message.parts == expected


@pytest.mark.anyio
async def test_thinking_that_other_servers_show_is_read_under_either_name() -> None:
    for name in ("reasoning_content", "reasoning"):
        response = await _answer("chat", chat({name: "hm"}, {"content": "So."}))
        assert response.message.parts == (Thinking(text="hm", provider="openai-chat"), Text(text="So."))


@pytest.mark.anyio
async def test_usage_is_read_with_its_details_and_the_cost_that_a_gateway_reports() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 6,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": None},
        "cost": 0.25,
    }
    response = await _answer("chat", chat({"content": "a"}, usage=usage), price=Price(input=1, output=1))
    assert response.usage == Usage(input_tokens=10, output_tokens=6, cached_tokens=4, cost=0.25)
    assert (await _answer("chat", chat({"content": "a"}))).usage is None


@pytest.mark.parametrize("odd", [-1, "many", True, [1]])
@pytest.mark.anyio
async def test_a_count_that_is_none_is_not_taken_for_one(odd: Any) -> None:
    error = await _error("chat", chat({"content": "a"}, usage={"prompt_tokens": odd}))
    assert isinstance(error, CorruptResponseError)
    assert f"expected a count, not {odd!r}" in str(error)
