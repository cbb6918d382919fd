"""Three levels of two steps for each of two paths; the best path turns right first."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import TreeOfThoughts
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import LOOKING, Play, look_up, looked_up, role_of, said

SCORES = {"left": 0.6, "right": 0.5}


def answer(request: ModelRequest) -> Any:
    turns = [word for word in said(request).split() if word in SCORES]
    match role_of(request):
        case "proposer":
            return {"thoughts": ["left", "right", "Left "]}
        case "evaluator":
            return {"score": SCORES[turns[-1]] - 0.1 * turns[:-1].count(turns[-1]), "reason": "so far"}
        case _:
            return f"{' '.join(turns)}: {looked_up(request)}" if looked_up(request) else LOOKING


def agent(model: Model) -> Agent[Any, Any]:
    return Agent("walker", model, tools=[look_up], architecture=TreeOfThoughts())


# two different steps of three proposed
CALLS = 1 + 2 + (3 - 1) * 2 * (1 + 2) + 2
PLAY = Play(agent, answer, "Which {way}?", "right left left: ROME OSLO", calls=CALLS, width=4)
