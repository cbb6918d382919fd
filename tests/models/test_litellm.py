"""LiteLLM: asked for whole answers, without retries of its own; its errors are OpenAI's."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletion

from loomgraph.errors import ModelRateLimitError, OutputTruncatedError
from loomgraph.graph.policy import Retry
from loomgraph.models import LiteLLMModel, ModelRequest, Text, Thinking, ToolCall, ToolSpec, Usage, request_of, user
from tests.models.mocked import body
from tests.models.servers import FaultServer

NEEDY = ToolSpec(name="look_up", parameters={"type": "object", "properties": {"k": {}}, "required": ["k"]})
ASKED = ModelRequest(messages=(user("q"),), tools=(NEEDY,), max_tokens=9, stop=("END",))


class Library:
    """What of the library is used: one function."""

    def __init__(self, *answers: Any) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answers = list(answers)

    async def acompletion(self, **asked: Any) -> Any:
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing to close."""


def _answer(finish: str = "tool_calls", **message: Any) -> ChatCompletion:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": None, **message}}
    told = {"id": "c", "created": 0, "model": "m-1", "object": "chat.completion", "choices": [choice]}
    return ChatCompletion.model_validate(
        {**told, "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
    )


@pytest.mark.anyio
async def test_a_whole_answer_is_asked_for_once_and_read_like_any_completion() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": '{"k": 1}'}}
    library = Library(_answer(content="So.", reasoning_content="hm", tool_calls=[call]))
    model = LiteLLMModel("groq/m", client=lambda: library, api_key="key", timeout=7, retry=None)
    response = await model.generate(ASKED)
    assert response.message.parts == (
        Thinking(text="hm", provider="litellm"),
        Text(text="So."),
        ToolCall(id="c", name="look_up", arguments={"k": 1}),
    )
    assert (response.usage, response.model) == (Usage(input_tokens=3, output_tokens=2), "litellm:groq/m")
    asked = library.asked[0]
    assert (asked["model"], asked["api_key"], asked["timeout"], asked["stop"]) == ("groq/m", "key", 7, ["END"])
    assert (asked["num_retries"], asked["max_retries"], asked.get("stream")) == (0, 0, None)


@pytest.mark.anyio
async def test_its_errors_are_typed_and_retried_like_any() -> None:
    response = body({"error": {"message": "slow down"}}, 429, retry_after="0")
    response.request = httpx2.Request("POST", "http://test")
    limited = openai.RateLimitError("slow down", response=response, body=None)
    library = Library(limited, _answer("stop", content="fine"))
    model = LiteLLMModel("groq/m", client=lambda: library, retry=Retry(attempts=2, delay=0))
    assert (await model.generate(ASKED)).text == "fine"
    once = LiteLLMModel("groq/m", client=lambda: Library(limited), retry=None)
    with pytest.raises(ModelRateLimitError):
        await once.generate(ASKED)
    cut = LiteLLMModel("groq/m", client=lambda: Library(_answer("length", content="so")), retry=None)
    with pytest.raises(OutputTruncatedError):
        await cut.generate(ASKED)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_the_real_library_reaches_a_real_server(faults: FaultServer, anyio_backend: str) -> None:
    pytest.importorskip("litellm", reason="litellm is not installed", exc_type=ImportError)
    faults.reset()
    faults.script("m", {"type": "fail", "status": 500})
    model = LiteLLMModel("openai/m", api_key="k", base_url=faults.base_url("chat"), retry=Retry(attempts=2, delay=0))
    assert (await model.generate(request_of("q"))).text
    assert len(faults.requests()) == 2
