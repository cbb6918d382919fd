"""A coordinator with two workers, one of which has tools: three errands at once, one more, and an answer."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import Supervisor
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import LOOKING, Play, look_up, looked_up, said, told


def parts(request: ModelRequest, *workers: str) -> dict[str, Any]:
    """Each of these workers is given the whole task as its part."""
    task = said(request).partition("<task>\n")[2].partition("\n</task>\n")[0] or said(request)
    return {"kind": "delegate", "assignments": [{"worker": worker, "task": f"{worker}: {task}"} for worker in workers]}


def answer(request: ModelRequest) -> Any:
    if "You lead workers" not in told(request):
        if "You look things up." in told(request):
            return looked_up(request) or LOOKING
        return "It is so."
    match said(request).count(" was told: "):
        case 0:
            return parts(request, "finder", "judge", "judge")
        case 3:
            return parts(request, "judge")
        case _:
            return {"kind": "answer", "answer": "Rome and {Oslo}."}


def agent(model: Model) -> Agent[Any, Any]:
    finder = Agent("finder", model, instructions="You look things up.", tools=[look_up])
    judge = Agent("judge", model, instructions="You judge.", description="says whether it is so")
    return Agent("boss", model, instructions="You are the boss.", architecture=Supervisor([finder, judge]))


PLAY = Play(agent, answer, "Which {cities} are there?", "Rome and {Oslo}.", calls=3 + (2 + 1 + 1) + 1, width=3)
