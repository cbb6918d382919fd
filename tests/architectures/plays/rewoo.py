"""Three calls planned at once, of which one needs another's result."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import ReWOO
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import Play, look_up, said, told


def call(id: str, city: str) -> dict[str, Any]:
    return {"id": id, "why": "to {see}", "tool": "look_up", "arguments": {"city": city}}


def answer(request: ModelRequest) -> Any:
    if "Plan the tool calls" in told(request):
        return {"steps": [call("E1", "Rome"), call("E2", "from #E1 to {{E1}}"), call("E3", "Oslo")]}
    assert "FROM ROME TO ROME" in said(request)
    return "Rome and {Oslo}."


def agent(model: Model) -> Agent[Any, Any]:
    return Agent("planner", model, instructions="You are exact.", tools=[look_up], architecture=ReWOO())


PLAY = Play(agent, answer, "Look at {cities}.", "Rome and {Oslo}.", calls=2)
