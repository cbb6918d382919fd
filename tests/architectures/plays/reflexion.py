"""An agent with tools whose second attempt of three is the best."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import Reflexion
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import LOOKING, Play, look_up, looked_up, role_of, said

SCORES = {"attempt 0": 0.2, "attempt 1": 0.7, "attempt 2": 0.6}


def answer(request: ModelRequest) -> Any:
    match role_of(request):
        case "evaluator":
            score = next(score for answer, score in SCORES.items() if f"<answer>\n{answer}" in said(request))
            return {"score": score, "reason": f"worth {score}"}
        case "reflector":
            return f"lesson {said(request).count('- lesson') + 1}"
        case _:
            learned = said(request).count("- lesson")
            return f"attempt {learned}, {looked_up(request)}" if looked_up(request) else LOOKING


def agent(model: Model) -> Agent[Any, Any]:
    return Agent("learner", model, tools=[look_up], architecture=Reflexion())


PLAY = Play(agent, answer, "Find {something}.", "attempt 1, ROME OSLO", calls=3 * 2 + 3 + 2)
