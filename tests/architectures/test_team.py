"""Claims about Team: each spelling is an agent with that architecture, and a setting goes where it belongs."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph import Agent
from loomgraph.architectures import ActorCritic, Blackboard, MultiAgentDebate, Router, Supervisor, Swarm, Team
from loomgraph.errors import DefinitionError
from loomgraph.models import ScriptedModel

pytestmark = pytest.mark.anyio

HELP: Any = [Agent("helper", "echo"), Agent("other", "echo")]
DONE = {"kind": "answer", "answer": "Done."}


@pytest.mark.parametrize(
    ("team", "way"),
    [
        (Team.supervisor(HELP, model="echo", max_rounds=3), Supervisor(HELP, max_rounds=3)),
        (Team.router(HELP, model="echo", fallback="other"), Router(HELP, fallback="other")),
        (Team.swarm(HELP, entry="other"), Swarm(HELP, entry="other")),
        (Team.blackboard(HELP, model="echo", decider=False), Blackboard(HELP, decider=False)),
        (Team.debate(HELP, rounds=1), MultiAgentDebate(HELP, rounds=1)),
        (Team.debate(model="echo", judge=True), MultiAgentDebate(judge=True)),
        (Team.actor_critic(model="echo", threshold=0.5), ActorCritic(threshold=0.5)),
    ],
    ids=["supervisor", "router", "swarm", "blackboard", "debate", "copies", "actor-critic"],
)
async def test_a_team_is_an_agent_with_that_architecture(team: Agent[Any, Any], way: Any) -> None:
    assert team.architecture == way
    assert team.graph.fingerprint == Agent(team.name, "echo", architecture=way).graph.fingerprint


async def test_a_team_runs_and_is_a_worker_of_another() -> None:
    moves = [{"kind": "delegate", "assignments": [{"worker": "inner", "task": "do {it}"}]}, DONE]
    inner = Team.swarm([Agent("one", ScriptedModel([DONE]))], name="inner")
    outer = Team.supervisor([inner], model=ScriptedModel(moves), instructions="Be quick.", name="outer")
    result = await outer.run("Do it.")
    assert (outer.instructions, result.output, result.usage.model_calls) == ("Be quick.", "Done.", 3)
    assert "delegate#0[0]/inner/one#0/turn/model#0" in {record.key for record in result.activations}


async def test_what_no_setting_is_called_and_a_team_without_a_model_are_refused() -> None:
    with pytest.raises(DefinitionError, match="has a setting 'max_round'"):
        Team.supervisor(HELP, model="echo", max_round=3)
    with pytest.raises(DefinitionError, match="has no agent whose model it could use"):
        Team.swarm({"a": "react"})
