"""A supervisor of two workers that is told to try again, with the lesson of its first attempt."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import Reflexion, Supervisor
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import Play, role_of, said, told


def answer(request: ModelRequest) -> Any:
    match role_of(request):
        case "evaluator":
            return {"score": 0.9 if "careful" in said(request) else 0.1, "reason": "care"}
        case "reflector":
            return "be careful"
    if "You measure." in told(request) or "You count." in told(request):
        return f"did {said(request)}"
    how = "careful" if "- be careful" in said(request) else "quick"
    if "<report_1>" in said(request):
        return {"value": {"kind": "answer", "answer": f"{how}: {said(request).count('did ')} reports"}}
    parts = [{"worker": worker, "task": f"{worker}, {how}: {said(request)}"} for worker in ("measurer", "counter")]
    return {"value": {"kind": "delegate", "assignments": parts}}


def agent(model: Model) -> Agent[Any, Any]:
    workers = {
        "measurer": Agent("measurer", model, instructions="You measure."),
        "counter": Agent("counter", model, instructions="You count."),
    }
    return Agent("boss", model, architecture=Reflexion(base=Supervisor(workers)))


PLAY = Play(agent, answer, "Survey {the field}.", "careful: 2 reports", calls=2 * 4 + 2 + 1, width=2)
