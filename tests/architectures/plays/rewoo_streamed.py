"""Four calls of a plan that is carried out while it is written; asked once more, its model plans the rest."""

from __future__ import annotations

import json
from typing import Any

from loomgraph import Agent
from loomgraph.architectures import ReWOO
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import Play, look_up, said, told

STEPS = [("E1", "Rome"), ("E2", "from #E1 to {{E1}}"), ("E3", "Oslo"), ("E4", "#E2 and #E3")]


def answer(request: ModelRequest) -> Any:
    if "Plan the tool calls" in told(request):
        begun = told(request).partition("may refer to them")[2]
        left = [(id, city) for id, city in STEPS if f'"id": "{id}"' not in begun]
        calls = [{"id": id, "why": "to {see}", "tool": "look_up", "arguments": {"city": city}} for id, city in left]
        return json.dumps({"steps": calls})
    assert "FROM ROME TO ROME AND OSLO" in said(request)
    return "Rome and {Oslo}."


def agent(model: Model) -> Agent[Any, Any]:
    way = ReWOO(stream_plan=True)
    return Agent("planner", model, instructions="You are exact.", tools=[look_up], architecture=way)


PLAY = Play(agent, answer, "Look at {cities}.", "Rome and {Oslo}.", calls=2)
