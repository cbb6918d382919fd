"""An actor with tools whose second answer is the best of three, and a critic with a model of its own."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import ActorCritic
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import LOOKING, Play, drafts_in, look_up, looked_up, role_of, said

SCORES = {"answer 1": 0.2, "answer 2": 0.8, "answer 3": 0.8}


def answer(request: ModelRequest) -> Any:
    if role_of(request) == "critic":
        score = next(score for answer, score in SCORES.items() if f"<answer>\n{answer}" in said(request))
        return {"score": score, "issues": ["it is short"], "summary": f"worth {score}"}
    return f"answer {drafts_in(request) + 1}, {looked_up(request)}" if looked_up(request) else LOOKING


def agent(model: Model) -> Agent[Any, Any]:
    return Agent("actor", model, tools=[look_up], architecture=ActorCritic())


PLAY = Play(agent, answer, "Do {something}.", "answer 2, ROME OSLO", calls=3 * (2 + 1))
