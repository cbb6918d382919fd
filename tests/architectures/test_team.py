"""Claims about Team: each spelling is an agent with that architecture, and a setting goes where it belongs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from loomgraph import END, START, Agent, Context, NodeFailedError, Workflow, tool
from loomgraph.architectures import (
    ActorCritic,
    Blackboard,
    MultiAgentDebate,
    PlanAndExecute,
    ReWOO,
    Router,
    Supervisor,
    Swarm,
    Team,
)
from loomgraph.errors import DefinitionError
from loomgraph.models import ScriptedModel, ToolCall
from loomgraph.nodes.permissions import Approval
from loomgraph.store.memory import MemoryStore
from tests.architectures.voices import asked

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
def test_a_team_is_an_agent_with_that_architecture(team: Agent[Any, Any], way: Any) -> None:
    assert team.architecture == way
    assert team.graph.fingerprint == Agent(team.name, "echo", architecture=way).graph.fingerprint


async def test_a_team_runs_and_is_a_worker_of_another() -> None:
    moves = [{"kind": "delegate", "assignments": [{"worker": "inner", "task": "do {it}"}]}, DONE]
    inner = Team.swarm([Agent("one", ScriptedModel([DONE]))], name="inner")
    outer = Team.supervisor([inner], model=ScriptedModel(moves), instructions="Be quick.", name="outer")
    result = await outer.run("Do it.")
    assert (outer.instructions, result.output, result.usage.model_calls) == ("Be quick.", "Done.", 3)
    assert "delegate#0[0]/inner/one#0/turn/model#0" in {record.key for record in result.activations}


def test_an_architecture_of_other_agents_cannot_be_named_by_a_text_alone() -> None:
    for name, way in (("router", "Router"), ("supervisor", "Supervisor"), ("swarm", "Swarm"), ("blackboard", "Blackb")):
        with pytest.raises(DefinitionError, match=rf"needs to know of other agents: write architecture={way}.*Team"):
            _ = Agent("a", "echo", architecture=name).graph


async def test_a_session_of_a_team_goes_on_with_what_was_asked_and_answered() -> None:
    choice = {"route": "one", "confidence": 1, "reason": "it says so"}
    plan = {"steps": [{"id": "a", "task": "do it"}]}
    call = {"steps": [{"id": "E1", "tool": "look", "arguments": {}}]}
    entry = {"entries": [{"kind": "fact", "text": "done"}]}
    pick = {"kind": "pick", "contributors": ["one"]}

    @tool(reads=())
    async def look() -> str:
        """Look."""
        return "seen"

    teams: list[tuple[Any, list[Any]]] = [
        (Swarm({}), [DONE]),
        (Supervisor({}), [DONE]),
        (Router({}), [choice, "Done."]),
        (Blackboard({}), [pick, entry, DONE]),
        (PlanAndExecute(), [plan, "did it", "Done."]),
        (ReWOO(), [call, "Done."]),
    ]
    for way, turns in teams:
        model, store = ScriptedModel([*turns, *turns, *turns]), MemoryStore()
        one = [Agent("one", model)]
        key = next((key for key in ("agents", "workers", "routes", "contributors") if hasattr(way, key)), None)
        made = dataclasses.replace(way, **{key: one}) if key else way
        team = Agent("team", model, tools=[] if key else [look], architecture=made)
        for asked_for in ("Do {it}.", "And now?", "And then?"):
            assert (await team.run(asked_for, store=store, session_id="s")).output == "Done."
        second, third = (asked(model.requests[len(turns) * number]) for number in (1, 2))
        assert "user: Do {it}.\nassistant: Done.\n</conversation_so_far>\n\n<message>\nAnd now?\n</message>" in second
        assert "user: Do {it}.\nassistant: Done.\nuser: And now?\nassistant: Done.\n" in third


async def test_an_architecture_that_takes_no_conversation_says_so() -> None:
    numbers = Workflow("numbers", input=int, output=str)

    @numbers.node
    async def text(value: int) -> str:
        return str(value)

    numbers.chain(START, text, END)
    choice = {"route": "numbers", "confidence": 1, "reason": "it says so"}
    team: Any = Agent("team", ScriptedModel([choice, choice]), input=int, architecture=Router([numbers]))
    store = MemoryStore()
    assert (await team.run(5, store=store, session_id="s")).output == "5"
    with pytest.raises(NodeFailedError, match="takes no conversation to go on with"):
        await team.run(6, store=store, session_id="s")

    class Fixed:
        name = "fixed"

        def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
            return numbers

    fixed: Any = Agent("numbers", "echo", architecture=Fixed())
    await fixed.run(5, store=store, session_id="f")
    with pytest.raises(DefinitionError, match="'numbers' works as 'fixed', which begins with a task"):
        await fixed.run(6, store=store, session_id="f")


async def test_workers_have_the_callers_user_and_its_questions_are_the_runs() -> None:
    @tool(writes=(), destructive=True)
    async def pay(ctx: Context) -> str:
        """Pay."""
        return f"paid for {ctx.user_id}"

    def payer() -> Agent[Any, Any]:
        return Agent("payer", ScriptedModel([ToolCall(id="1", name="pay"), "It is paid."]), tools=[pay])

    step = {"steps": [{"id": "a", "task": "pay"}]}
    move = {
        "kind": "delegate",
        "assignments": [{"worker": "payer", "task": "pay"}, {"worker": "other", "task": "wait"}],
    }
    teams = [
        Team.supervisor([payer(), Agent("other", "echo")], model=ScriptedModel([move, DONE])),
        Team.router([payer()], model=ScriptedModel([{"route": "payer", "confidence": 1, "reason": ""}])),
        Agent("plan", ScriptedModel([step, "Done."]), architecture=PlanAndExecute(step=payer())),
        Agent(
            "rewoo", ScriptedModel([{"steps": [{"id": "E1", "tool": "pay"}]}, "Done."]), "", [pay], architecture="rewoo"
        ),
    ]
    for team in teams:
        store = MemoryStore()
        asked = await team.run("Pay.", store=store, run_id="r", user_id="ada")
        [question] = asked.questions
        done = await team.resume("r", store=store, answers={question.id: Approval(approve=True)})
        assert done.status == "succeeded"
        assert "paid for ada" in str([record.output for record in done.activations])


def test_what_no_setting_is_called_and_a_team_without_a_model_are_refused() -> None:
    with pytest.raises(DefinitionError, match="has a setting 'max_round'"):
        Team.supervisor(HELP, model="echo", max_round=3)
    with pytest.raises(DefinitionError, match="has no agent whose model it could use"):
        Team.swarm({"a": "react"})
