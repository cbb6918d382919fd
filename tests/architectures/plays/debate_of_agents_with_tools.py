"""Three agents with tools who never agree, one of which wants tools for ever in the second round; and a judge."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import MultiAgentDebate, ReAct
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import LOOKING, Play, look_up, looked_up, role_of, said, told

NAMES = ("red", "green", "blue")


def answer(request: ModelRequest) -> Any:
    if role_of(request) == "judge":
        return " and ".join(name for name in NAMES if f"{name}:\n{name} says ROME OSLO after 2" in said(request))
    me = next(name for name in NAMES if f"You are {name}." in told(request))
    others = [name for name in NAMES if f"{name}:\n{name} says" in said(request)]
    if me == "green" and others:
        return LOOKING
    return f"{me} says {looked_up(request)} after {len(others)}" if looked_up(request) else LOOKING


def agent(model: Model) -> Agent[Any, Any]:
    way = ReAct(max_turns=2)
    debaters = [
        Agent(name, model, instructions=f"You are {name}.", tools=[look_up], architecture=way) for name in NAMES
    ]
    return Agent("panel", model, architecture=MultiAgentDebate(debaters, rounds=1, judge=True))


PLAY = Play(agent, answer, "Which {colour}?", "red and blue", calls=2 * 3 * (1 + 1) + 1, width=3)
