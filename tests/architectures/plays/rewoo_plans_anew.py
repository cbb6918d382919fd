"""A plan of which a call fails, and another one that uses what the first one found."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent, tool
from loomgraph.architectures import ReWOO
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import Play, look_up, said, told


@tool(reads=())
async def measure(city: str) -> int:
    """Measure a city, if it is written in capitals."""
    if not city.isupper():
        raise ValueError("capitals only")
    return len(city)


def answer(request: ModelRequest) -> Any:
    if "Plan the tool calls" not in told(request):
        assert "\n4" in said(request)
        return "It is 4 {long}."
    if "capitals only" in said(request):
        return {"steps": [{"id": "E4", "tool": "measure", "arguments": {"city": "#E1"}}]}
    return {
        "steps": [
            {"id": "E1", "tool": "look_up", "arguments": {"city": "Rome"}},
            {"id": "E2", "tool": "measure", "arguments": {"city": "Rome"}},
            {"id": "E3", "tool": "look_up", "arguments": {"city": "#E2"}},
        ]
    }


def agent(model: Model) -> Agent[Any, Any]:
    way = ReWOO(max_replans=1)
    return Agent("planner", model, instructions="You are exact.", tools=[look_up, measure], architecture=way)


PLAY = Play(agent, answer, "How {long} is it?", "It is 4 {long}.", calls=2 + 1)
