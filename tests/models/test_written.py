"""What adapters send, word for word, and what they refuse to send, by name."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph.errors import ModelRequestError
from loomgraph.models import (
    Image,
    Message,
    ModelRequest,
    OutputSpec,
    ProviderPart,
    Thinking,
    ToolCall,
    ToolSpec,
    assistant,
    request_of,
    system,
    tool_results,
    user,
)
from tests.models.mocked import APIS, Wire, model, said

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
CLOSED: dict[str, Any] = {**SCHEMA, "additionalProperties": False}
CALL = ToolCall(id="c1", name="look_up", arguments={"key": "{é}"})
PICTURE = Image(data="YQ==", media_type="image/png")
FULL = ModelRequest(
    messages=(
        system("Be {brief}."),
        system("Be kind."),
        user("What is {{x}}?", PICTURE, Image(url="http://test/b.png")),
        assistant(
            Thinking(text="hm", provider="anthropic", signature="sig"),
            Thinking(text="", provider="anthropic", block={"type": "redacted_thinking", "data": "xx"}),
            Thinking(text="so", provider="openai", block={"type": "reasoning", "id": "rs", "encrypted_content": "enc"}),
            Thinking(text="lost", provider="openai", block={"type": "reasoning", "id": "rs"}),
            Thinking(text="shown", provider="openai-chat"),
            "I look.",
            CALL,
        ),
        tool_results(CALL.result("no such key", error=True)),
    ),
    tools=(
        ToolSpec(name="look_up", description="Looks up.", parameters=SCHEMA),
        ToolSpec(name="strictly", parameters=SCHEMA, strict=True),
    ),
    tool_choice="look_up",
    parallel_tools=False,
    output=OutputSpec(name="Out put", json_schema=SCHEMA),
    effort="high",
    max_tokens=77,
    temperature=0.5,
    stop=("END",),
    extra={"seed": 4},
)
CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be {brief}."},
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is {{x}}?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,YQ=="}},
                {"type": "image_url", "image_url": {"url": "http://test/b.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"key": "{é}"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "no such key"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "look_up", "description": "Looks up.", "parameters": SCHEMA, "strict": False},
        },
        {"type": "function", "function": {"name": "strictly", "description": "", "parameters": CLOSED, "strict": True}},
    ],
    "tool_choice": {"type": "function", "function": {"name": "look_up"}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "Out_put", "schema": CLOSED, "strict": True}},
    "reasoning_effort": "high",
    "max_completion_tokens": 77,
    "temperature": 0.5,
    "stop": ["END"],
    "seed": 4,
    "stream": True,
    "stream_options": {"include_usage": True},
}
RESPONSES: dict[str, Any] = {
    "model": "m",
    "store": False,
    "input": [
        {"role": "system", "content": "Be {brief}."},
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is {{x}}?"},
                {"type": "input_image", "image_url": "data:image/png;base64,YQ==", "detail": "auto"},
                {"type": "input_image", "image_url": "http://test/b.png", "detail": "auto"},
            ],
        },
        {"type": "reasoning", "id": "rs", "encrypted_content": "enc"},
        {"role": "assistant", "content": "I look."},
        {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": '{"key": "{é}"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "no such key"},
    ],
    "tools": [
        {"type": "function", "name": "look_up", "description": "Looks up.", "parameters": SCHEMA, "strict": False},
        {"type": "function", "name": "strictly", "description": "", "parameters": CLOSED, "strict": True},
    ],
    "tool_choice": {"type": "function", "name": "look_up"},
    "parallel_tool_calls": False,
    "text": {"format": {"type": "json_schema", "name": "Out_put", "schema": CLOSED, "strict": True}},
    "reasoning": {"effort": "high"},
    "max_output_tokens": 77,
    "temperature": 0.5,
    "stop": ["END"],
    "seed": 4,
    "stream": True,
}
ANTHROPIC: dict[str, Any] = {
    "model": "m",
    "max_tokens": 77,
    "system": "Be {brief}.\n\nBe kind.",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is {{x}}?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "YQ=="}},
                {"type": "image", "source": {"type": "url", "url": "http://test/b.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "redacted_thinking", "data": "xx"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "c1", "name": "look_up", "input": {"key": "{é}"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "content": [{"type": "text", "text": "no such key"}],
                    "is_error": True,
                }
            ],
        },
    ],
    "tools": [
        {"name": "look_up", "description": "Looks up.", "input_schema": SCHEMA},
        {"name": "strictly", "description": "", "input_schema": SCHEMA, "strict": True},
    ],
    "tool_choice": {"type": "tool", "name": "look_up", "disable_parallel_tool_use": True},
    "output_config": {"format": {"type": "json_schema", "schema": CLOSED}, "effort": "high"},
    "thinking": {"type": "adaptive"},
    "stop_sequences": ["END"],
    "temperature": 0.5,
    "seed": 4,
    "stream": True,
}
BODIES = {"chat": CHAT, "responses": RESPONSES, "anthropic": ANTHROPIC}


@pytest.fixture(autouse=True)
def _openai_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings name no address, so that the adapter takes the server for OpenAI's own."""
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


async def _sent(api: str, request: ModelRequest, name: str = "m", **options: Any) -> dict[str, Any]:
    wire = Wire(said(api))
    async with model(api, wire, name, **options) as made:
        await made.generate(request)
    return wire.sent[0]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_request_with_everything_is_written_word_for_word(api: str) -> None:
    assert await _sent(api, FULL) == BODIES[api]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_what_was_not_asked_for_is_not_sent(api: str) -> None:
    sent = await _sent(api, request_of("q"))
    fixed = {"chat": {"stream_options"}, "responses": {"store"}, "anthropic": {"max_tokens"}}[api]
    conversation = "input" if api == "responses" else "messages"
    assert set(sent) == {"model", conversation, "stream", *fixed}


@pytest.mark.parametrize(
    ("api", "choice", "written"),
    [
        *(("chat", mode, mode) for mode in ("auto", "none", "required")),
        *(("responses", mode, mode) for mode in ("auto", "none", "required")),
        ("anthropic", "auto", {"type": "auto", "disable_parallel_tool_use": False}),
        ("anthropic", "none", {"type": "none"}),
        ("anthropic", "required", {"type": "any", "disable_parallel_tool_use": False}),
    ],
)
@pytest.mark.anyio
async def test_a_choice_of_tools_is_written_as_the_api_has_it(api: str, choice: str, written: Any) -> None:
    request = FULL.model_copy(update={"tool_choice": choice, "parallel_tools": True})
    assert (await _sent(api, request))["tool_choice"] == written


@pytest.mark.anyio
async def test_other_servers_get_the_older_name_of_the_token_limit() -> None:
    request = request_of("q").model_copy(update={"max_tokens": 5})
    for address in ("http://localhost:11434/v1", "https://my.gateway.example/v1"):
        sent = await _sent("chat", request, base_url=address)
        assert (sent.get("max_tokens"), sent.get("max_completion_tokens")) == (5, None)
    for address in ("https://api.openai.com/v1", "https://mine.openai.azure.com/openai/v1/"):
        sent = await _sent("chat", request, base_url=address)
        assert (sent.get("max_tokens"), sent.get("max_completion_tokens")) == (None, 5)


@pytest.mark.parametrize(
    ("name", "asked"), [("gpt-5.2", True), ("o4-mini", True), ("openai/gpt-6", True), ("gpt-4o", False), ("m", False)]
)
@pytest.mark.anyio
async def test_encrypted_reasoning_is_asked_for_where_there_is_reasoning(name: str, asked: bool) -> None:
    assert ("include" in await _sent("responses", request_of("q"), name)) is asked


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_no_effort_is_written_too(api: str) -> None:
    sent = await _sent(api, request_of("q").model_copy(update={"effort": "none"}))
    told = {"chat": sent.get("reasoning_effort"), "responses": sent.get("reasoning"), "anthropic": sent.get("thinking")}
    assert told[api] == {"chat": "none", "responses": {"effort": "none"}, "anthropic": {"type": "disabled"}}[api]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_part_of_the_providers_own_goes_back_as_it_is(api: str) -> None:
    provider = APIS[api].provider
    block = {"type": "file", "file": {"id": "{f}"}}
    sent = await _sent(api, request_of(user("read", ProviderPart(provider=provider, block=block))))
    conversation = sent["input" if api == "responses" else "messages"]
    assert conversation[0]["content"][1] == block
    if api != "chat":
        answer = assistant("a", ProviderPart(provider=provider, block={"type": "web_search_call", "id": "w"}))
        sent = await _sent(api, request_of([user("q"), answer, user("and?")]))
        assert {"type": "web_search_call", "id": "w"} in (
            sent["input"] if api == "responses" else sent["messages"][1]["content"]
        )


@pytest.mark.anyio
async def test_a_picture_from_a_tool_goes_where_the_api_takes_it() -> None:
    conversation: list[Message] = [user("q"), assistant(CALL), tool_results(CALL.result(PICTURE))]
    sent = await _sent("responses", request_of(conversation))
    assert sent["input"][-1]["output"] == [{"type": "input_image", "image_url": PICTURE.address, "detail": "auto"}]
    sent = await _sent("anthropic", request_of(conversation))
    assert sent["messages"][-1]["content"][0]["content"][0]["type"] == "image"


@pytest.mark.anyio
async def test_a_schema_that_cannot_be_enforced_is_told_in_words_to_anthropic_and_not_strictly_to_openai() -> None:
    free: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "integer"}}
    asked = request_of("q {x}", instructions="Be brief.").model_copy(
        update={"output": OutputSpec(name="counts", json_schema=free)}
    )
    sent = await _sent("anthropic", asked)
    assert "output_config" not in sent
    assert '{"type":"object","additionalProperties":{"type":"integer"}}' in sent["system"]
    assert sent["system"].startswith("Be brief.")
    sent = await _sent("chat", asked)
    assert sent["response_format"]["json_schema"] == {"name": "counts", "schema": free, "strict": False}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_server_that_enforces_nothing_is_asked_in_words(api: str) -> None:
    sent = await _sent(api, FULL.model_copy(update={"effort": None}), structured="prompt")
    assert not {"response_format", "text", "output_config"} & sent.keys()
    assert '{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}' in str(sent)


FOREIGN = ProviderPart(provider="elsewhere", block={"type": "search"})
LATE = (user("q"), system("later"))


@pytest.mark.parametrize(
    ("api", "request_", "said_"),
    [
        *((api, request_of(user(FOREIGN)), "a 'search' that only 'elsewhere' understands") for api in APIS),
        *((api, request_of([user("q"), assistant(FOREIGN)]), "only 'elsewhere' understands") for api in APIS),
        *(
            (api, ModelRequest(messages=(user("q"),), tools=(ToolSpec(name="no good", parameters={}),)), "'no good'")
            for api in APIS
        ),
        *((api, ModelRequest(messages=(user("q"),), tool_choice="other"), "tool_choice='other'") for api in APIS),
        *((api, ModelRequest(messages=(user("q"),), tool_choice="required"), "without tools") for api in APIS),
        ("anthropic", ModelRequest(messages=LATE), "a system message stands in the middle"),
        ("anthropic", ModelRequest(messages=(system("only"),)), "no message but instructions"),
        ("chat", request_of([user("q"), assistant(CALL), tool_results(CALL.result(PICTURE))]), "has a picture"),
        (
            "chat",
            ModelRequest(
                messages=(user("q"),), tools=(ToolSpec(name="t", parameters={"type": "object"}, strict=True),)
            ),
            "tool 't' cannot be strict",
        ),
    ],
)
@pytest.mark.anyio
async def test_what_an_api_cannot_express_is_refused_by_name_and_not_sent(
    api: str, request_: ModelRequest, said_: str
) -> None:
    wire = Wire(said(api))
    async with model(api, wire) as made:
        with pytest.raises(ModelRequestError, match=said_):
            await made.generate(request_)
    assert wire.sent == []


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_the_sdk_sends_a_call_once_and_says_that_it_is_the_first(api: str) -> None:
    wire = Wire(said(api))
    async with model(api, wire, headers={"x-team": "blue"}) as made:
        await made.generate(request_of("q"))
    assert [headers["x-stainless-retry-count"] for headers in wire.headers] == ["0"]
