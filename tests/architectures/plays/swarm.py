"""Three agents: the first hands off, the second looks something up and hands on, the third answers."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import Swarm
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import LOOKING, Play, look_up, looked_up, told


def answer(request: ModelRequest) -> Any:
    if "You greet." in told(request):
        return {"kind": "handoff", "to": "finder", "message": "find {it}", "payload": ["Rome"]}
    if "You look." in told(request):
        found = looked_up(request)
        return {"kind": "handoff", "to": "writer", "message": found, "payload": [found]} if found else LOOKING
    return {"kind": "answer", "answer": "Rome and {Oslo}."}


def agent(model: Model) -> Agent[Any, Any]:
    agents = [
        Agent("greeter", model, instructions="You greet."),
        Agent("finder", model, instructions="You look.", tools=[look_up]),
        Agent("writer", model, instructions="You write."),
    ]
    way = Swarm(agents, payload=list[str], handoffs={"greeter": ["finder"], "finder": ["writer"]})
    return Agent("team", model, instructions="Be kind.", architecture=way)


PLAY = Play(agent, answer, "Tell me of {cities}.", "Rome and {Oslo}.", calls=1 + 2 + 1)
