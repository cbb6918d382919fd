"""Two rounds: two contributors at once, then one with tools; a coordinator picks them and a decider answers."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import Blackboard
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import LOOKING, Play, look_up, looked_up, said, told


def entry(kind: str, text: str) -> dict[str, Any]:
    return {"entries": [{"kind": kind, "text": text}]}


def answer(request: ModelRequest) -> Any:
    first = "<board>" not in said(request)
    if "you do not write yourself" in told(request):
        return {"kind": "pick", "contributors": ["guesser", "knower"] if first else ["finder"]}
    if "Say whether the board" in told(request):
        if "ROME OSLO" in said(request):
            return {"kind": "answer", "answer": "Rome and {Oslo}."}
        return {"kind": "go_on", "missing": "a {look}"}
    if "You look." in told(request):
        return entry("answer", looked_up(request)) if looked_up(request) else LOOKING
    return entry("hypothesis" if "You guess." in told(request) else "fact", "there are {two}")


def agent(model: Model) -> Agent[Any, Any]:
    contributors = [
        Agent("guesser", model, instructions="You guess."),
        Agent("knower", model, instructions="You know."),
        Agent("finder", model, instructions="You look.", tools=[look_up]),
    ]
    return Agent("team", model, instructions="Be sure.", architecture=Blackboard(contributors))


PLAY = Play(agent, answer, "Which {cities}?", "Rome and {Oslo}.", calls=2 * 1 + (2 + 2) + 2, width=2)
