"""A coordinator that makes a worker of its own, and forwards what it said word for word."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import Supervisor
from loomgraph.models import Model, ModelRequest
from tests.architectures.plays.supervisor import parts
from tests.architectures.stage import LOOKING, Play, look_up, looked_up, said, told


def answer(request: ModelRequest) -> Any:
    if "You lead workers" not in told(request):
        return looked_up(request) or (LOOKING if "You are made for this" in told(request) else "It is so.")
    if " was told: " in said(request):
        return {"kind": "forward", "worker": "poet"}
    new = [{"name": "poet", "instructions": "You are made for this, {poet}."}]
    return {**parts(request, "judge", "poet"), "new_workers": new}


def agent(model: Model) -> Agent[Any, Any]:
    way = Supervisor([Agent("judge", model)], allow_spawn=True, conversation="shared")
    return Agent("boss", model, instructions="You are the boss.", tools=[look_up], architecture=way)


PLAY = Play(agent, answer, "Write of {cities}.", "ROME OSLO", calls=2 + 1 + 2, width=2)
