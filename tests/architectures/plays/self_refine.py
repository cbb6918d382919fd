"""A writer whose third draft of four is the best, and who looks something up with two tools at once."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import SelfRefine
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import LOOKING, Play, drafts_in, look_up, looked_up, role_of, said

SCORES = {"first": 0.2, "draft 2": 0.5, "draft 3": 0.9, "draft 4": 0.9}


def answer(request: ModelRequest) -> Any:
    match role_of(request):
        case "critic":
            score = next(score for draft, score in SCORES.items() if f"<draft>\n{draft}" in said(request))
            return {"feedback": f"worth {score}", "score": score, "stop": False}
        case "refiner":
            return f"draft {drafts_in(request) + 1}"
        case _:
            return f"first, {looked_up(request)}" if looked_up(request) else LOOKING


def agent(model: Model) -> Agent[Any, Any]:
    return Agent("writer", model, tools=[look_up], architecture=SelfRefine(max_rounds=4))


PLAY = Play(agent, answer, "Write {something}.", "draft 3", calls=2 + 2 * 4 - 1)
