"""An agent that looks two cities up at once, one more after that, and answers."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import ReAct
from loomgraph.models import Model, ModelRequest, ToolCall, ToolMessage, assistant
from tests.architectures.stage import LOOKING, Play, look_up, looked_up


def answer(request: ModelRequest) -> Any:
    match sum(isinstance(message, ToolMessage) for message in request.messages):
        case 0:
            return LOOKING
        case 1:
            return assistant(ToolCall(id="3", name="look_up", arguments={"city": looked_up(request)}))
        case _:
            return f"seen: {looked_up(request)}"


def agent(model: Model) -> Agent[Any, Any]:
    return Agent("looker", model, instructions="You look.", tools=[look_up], architecture=ReAct(max_turns=5))


PLAY = Play(agent, answer, "Which {cities}?", "seen: ROME OSLO", calls=3)
