"""Claims about an agent over three APIs, against a server that refuses what its fixtures do not expect.

Two turns with thinking, two tool calls at once and an answer of a type: one log, whichever provider it is.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph import Agent, RunResult, tool
from loomgraph.errors import NodeFailedError
from loomgraph.models import AnthropicModel, OpenAIChatModel, OpenAIModel, TextDelta, ThinkingDelta
from loomgraph.nodes.live import Heard
from tests.models.servers import FixtureServer

pytestmark = pytest.mark.anyio

APIS = {"chat": OpenAIChatModel, "responses": OpenAIModel, "anthropic": AnthropicModel}
# what a provider says of itself, and how it wants its own thinking back
DETAILS = {"id", "model", "version", "provider", "finish_detail", "signature", "block", "annotations"}


class Packing(BaseModel):
    """What to pack."""

    items: list[str]
    days: int


@tool(reads=())
async def get_weather(city: str, days: int) -> dict[str, Any]:
    """Tells the weather."""
    return {"city": city, "degrees": {"Rome": 24, "Oslo": 3}[city], "days": days}


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if name not in DETAILS}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def told(result: RunResult[Any]) -> list[Any]:
    """The log without times, ids and what is a provider's own."""
    dumped = [event.model_dump(mode="json", exclude={"run_id", "time", "seq"}) for event in result.events]
    return [plain(event) for event in dumped if event["kind"] != "RunStarted"]  # which names the model


async def followed(server: FixtureServer, api: str) -> tuple[RunResult[Packing], dict[str, str]]:
    model = APIS[api]("a-model", api_key="k", base_url=server.base_url(api), retry=None, timeout=20.0)
    agent = Agent("packer", model, tools=[get_weather], output=Packing, repairs=0)
    heard: dict[str, str] = {}
    async with agent.stream("pack for both cities", run_id="r") as run:
        async for event in run:
            if isinstance(event, Heard) and isinstance(event.event, (TextDelta, ThinkingDelta)):
                where = f"{event.key} {event.event.kind}"
                heard[where] = heard.get(where, "") + event.event.text
        return await run.result(), heard


async def test_an_agents_log_is_the_same_over_three_apis_but_for_what_is_the_providers_own(
    fixtures: FixtureServer,
) -> None:
    found = {api: await followed(fixtures, api) for api in APIS}
    first, heard = found["chat"]
    assert first.output == Packing(items=["coat", "hat {size}"], days=3)
    assert {name: first.usage.amounts[name] for name in ("model_calls", "input_tokens", "output_tokens")} == {
        "model_calls": 2,
        "input_tokens": 84,
        "output_tokens": 50,
    }
    assert [record.key for record in first.activations if record.status == "succeeded"] == [
        "prompt",
        "model#0",
        "tools#0",
        "tools#0/@tools/get_weather",
        "tools#0/@tools/get_weather 2",
        "tools#0/@tools/results",
        "model#1",
        "answer",
    ]
    assert heard == {
        "model#0 thinking": "I need both cities.",
        "model#0 text": "Let me look.",
        "model#1 thinking": "Rome is warm, Oslo is not.",
        "model#1 text": '{"items":["coat","hat {size}"],"days":3}',
    }
    for other, also_heard in found.values():
        assert told(other) == told(first)
        assert also_heard == heard


@pytest.mark.parametrize("api", APIS)
async def test_what_no_fixture_expects_fails_the_agent_and_is_never_an_answer(
    fixtures: FixtureServer, api: str
) -> None:
    model = APIS[api]("a-model", api_key="k", base_url=fixtures.base_url(api), retry=None, timeout=20.0)
    with pytest.raises(NodeFailedError):
        await Agent("packer", model).run("something that nobody wrote down")
