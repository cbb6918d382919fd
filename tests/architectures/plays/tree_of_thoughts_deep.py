"""Depth first: the first way down is a dead end, the second solves the task."""

from __future__ import annotations

from typing import Any

from loomgraph import Agent
from loomgraph.architectures import TreeOfThoughts
from loomgraph.models import Model, ModelRequest
from tests.architectures.stage import Play, role_of, said

SCORES = {"a": 0.6, "b": 0.5, "aa": 0.1, "ab": 0.2, "ba": 1.0, "bb": 0.3}


def answer(request: ModelRequest) -> Any:
    steps = [line.partition(". ")[2] for line in said(request).splitlines() if line[:3] in ("1. ", "2. ")]
    match role_of(request):
        case "proposer":
            return {"thoughts": [(steps[-1] if steps else "") + letter for letter in "ab"]}
        case "evaluator":
            step = said(request).partition("<last_step>\n")[2].partition("\n")[0]
            return {"score": SCORES[step], "reason": step}
        case _:
            return " ".join(steps)


def agent(model: Model) -> Agent[Any, Any]:
    way = TreeOfThoughts(branch_factor=2, max_depth=2, min_score=0.4, search="dfs")
    return Agent("diver", model, architecture=way)


PLAY = Play(agent, answer, "Which {way}?", "b ba", calls=3 * (1 + 2) + 1, width=2)
