"""A classifier with three routes, of which one is a worker with tools and one a graph."""

from __future__ import annotations

from typing import Any

from loomgraph import END, START, Agent, Workflow
from loomgraph.architectures import ReAct, Router
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import LOOKING, Play, look_up, looked_up, told


def answer(request: ModelRequest) -> Any:
    if "Choose the one route" in told(request):
        return {"route": "cities", "confidence": 0.9, "reason": "it names {cities}"}
    return looked_up(request) or LOOKING


def agent(model: Model) -> Agent[Any, Any]:
    wf = Workflow("loud", input=str, output=str)

    @wf.node
    async def shout(text: str) -> str:
        return text.upper()

    wf.chain(START, shout, END)
    routes: Any = {"cities": ReAct(), "loud": wf, "other": Agent("other", model)}
    return Agent("desk", model, instructions="You are the desk.", tools=[look_up], architecture=Router(routes))


PLAY = Play(agent, answer, "Tell me of {cities}.", "ROME OSLO", calls=1 + 2)
