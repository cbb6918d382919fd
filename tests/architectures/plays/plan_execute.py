"""Four steps, of which two run at once and one needs both; each is done by an agent with tools."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import PlanAndExecute
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import LOOKING, Play, look_up, looked_up, said, told


def step(id: str, task: str, *needs: str) -> dict[str, Any]:
    return {"id": id, "task": task, "needs": list(needs)}


def answer(request: ModelRequest) -> Any:
    if "Plan the task as steps" in told(request):
        return {
            "steps": [step("a", "find"), step("b", "judge"), step("c", "sum up {it}", "a", "b"), step("d", "judge")]
        }
    if "All steps are done" in told(request):
        assert "c: sum up {it}\nit is ROME OSLO" in said(request)
        return "Rome and {Oslo}."
    if "<your_step>\nfind" in said(request):
        return looked_up(request) or LOOKING
    return "it is ROME OSLO" if "a: find\nROME OSLO" in said(request) else "so so"


def agent(model: Model) -> Agent[Any, Any]:
    return Agent("doer", model, instructions="You are quick.", tools=[look_up], architecture=PlanAndExecute())


PLAY = Play(agent, answer, "Do {something}.", "Rome and {Oslo}.", calls=1 + (2 + 1 + 1 + 1) + 1, width=3)
