"""A plan whose steps are done by a workflow: an agent, and a function behind it. The first plan's last step fails."""

from __future__ import annotations

from typing import Any

from loomgraph import END, START, Agent, Workflow
from loomgraph.architectures import PlanAndExecute
from loomgraph.models import Model, ModelRequest
from tests.architectures.plays.plan_execute import step
from tests.architectures.stage import Play, said, told


def answer(request: ModelRequest) -> Any:
    if "Plan the task as steps" in told(request):
        if "OSError" in said(request):
            return {"steps": [step("d", "try {again}", "a")]}
        return {"steps": [step("a", "find"), step("b", "break"), step("c", "never", "b")]}
    if "All steps are done" in told(request):
        assert "d: try {again}\nFOUND" in said(request)
        return "It is {done}."
    return "break" if "<your_step>\nbreak" in said(request) else "found"


def agent(model: Model) -> Agent[Any, Any]:
    wf = Workflow("one step", input=str, output=str)

    @wf.node
    async def check(text: str) -> str:
        if text == "break":
            raise OSError("it broke")
        return text.upper()

    wf.chain(START, wf.node(Agent("worker", model)), check, END)
    way = PlanAndExecute(step=wf)
    return Agent("doer", model, instructions="You are quick.", architecture=way)


PLAY = Play(agent, answer, "Do {something}.", "It is {done}.", calls=1 + 2 + 1 + 1 + 1, width=2)
