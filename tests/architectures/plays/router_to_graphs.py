"""A router to graphs: the one that is chosen is a workflow around a supervisor."""

from __future__ import annotations

from typing import Any

from loomgraph import END, START, Agent, Workflow
from loomgraph.architectures import Router
from loomgraph.models import Model, ModelRequest
from tests.architectures.plays import supervisor
from tests.architectures.stage import Play, told


def answer(request: ModelRequest) -> Any:
    if "Choose the one route" in told(request):
        return {"route": "team", "confidence": 1, "reason": "a team has to do it"}
    return supervisor.answer(request)


def agent(model: Model) -> Agent[Any, Any]:
    wf = Workflow("team", input=str, output=str)

    @wf.node
    async def louder(text: str) -> str:
        return text.upper()

    wf.chain(START, wf.node(supervisor.agent(model), name="supervisor"), louder, END)
    other = Workflow("other", input=str, output=str)
    other.chain(START, other.node(Agent("other", model)), END)
    return Agent("desk", model, instructions="You are the desk.", architecture=Router([wf, other]))


PLAY = Play(agent, answer, supervisor.PLAY.task, supervisor.PLAY.output.upper(), supervisor.PLAY.calls + 1, width=3)
