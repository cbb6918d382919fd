"""Claims about what a newcomer gets wrong: it is refused before a model is asked, by name, with a remedy."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from loomgraph import Agent, NodeFailedError, tool
from loomgraph.architectures import (
    ActorCritic,
    Blackboard,
    MultiAgentDebate,
    PlanAndExecute,
    ReAct,
    Reflexion,
    ReWOO,
    Router,
    Supervisor,
    Swarm,
)
from loomgraph.errors import DefinitionError, OutputValidationError, RunCancelledError
from loomgraph.models import ModelRequest, ScriptedModel
from tests.architectures.stage import PLAYS, Play, Speaker

pytestmark = pytest.mark.anyio


def some(*names: str) -> list[Any]:
    return [Agent(name, "echo") for name in names]


ODD: Any = "odd"
NOTHING: Any = None

WRONG: list[tuple[Any, str]] = [
    (lambda: ReAct, "cannot work as .*ReAct.*; give an architecture such as ReAct"),
    (lambda: NOTHING, "cannot work as None"),
    (lambda: ReAct(max_turns=0), "max_turns=0 leaves no turn"),
    (lambda: ActorCritic(threshold=NOTHING), r"ActorCritic\(threshold=None\)"),
    (lambda: Reflexion(threshold=NOTHING), r"Reflexion\(threshold=None\)"),
    (lambda: Supervisor([]), "needs at least one worker"),
    (lambda: Supervisor(some("a", "a")), "two workers called 'a'"),
    (lambda: Supervisor({"": "react"}), "'' cannot be the name of a worker"),
    (lambda: Supervisor(some("report")), "a worker cannot be called 'report'.*'the report'"),
    (lambda: Supervisor(some("to a", "a")), "a worker cannot be called 'to a'"),
    (lambda: Supervisor(some("spawned"), allow_spawn=True), "a worker cannot be called 'spawned'"),
    (lambda: Supervisor(some("a"), max_rounds=0), "max_rounds=0"),
    (lambda: Supervisor(some("a"), max_spawned=-1), "max_spawned=-1"),
    (lambda: Supervisor(some("a"), on_worker_error=ODD), "on_worker_error='odd' is unknown; use 'fail' or 'tell'"),
    (lambda: Supervisor(some("a"), conversation=ODD), "conversation='odd' is unknown; use 'fresh' or 'shared'"),
    (lambda: PlanAndExecute(conversation=ODD), "conversation='odd' is unknown"),
    (lambda: MultiAgentDebate(conversation=ODD), "conversation='odd' is unknown"),
    (lambda: MultiAgentDebate(some("sit out", "a")), "a debater cannot be called 'sit out'"),
    (lambda: Router(some("classify")), "a route cannot be called 'classify'"),
    (lambda: Swarm(some("hub")), "an agent cannot be called 'hub'"),
    (lambda: Swarm(some("a"), history=ODD), "history='odd' is unknown; use 'all', 'last' or 'none'"),
    (lambda: Blackboard(some("note")), "a contributor cannot be called 'note'"),
    (lambda: Blackboard(some("a"), coordinator=ODD), "coordinator='odd' is unknown; use 'model' or 'round-robin'"),
    (lambda: Blackboard(some("a"), max_rounds=0), "max_rounds=0 leaves no round"),
]


@pytest.mark.parametrize(("way", "complaint"), WRONG, ids=[f"{at}" for at in range(len(WRONG))])
def test_what_cannot_be_meant_is_refused_by_name_before_anything_runs(way: Any, complaint: str) -> None:
    with pytest.raises(DefinitionError, match=complaint):
        _ = Agent("x", "echo", architecture=way()).graph


@pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS)
async def test_a_run_that_is_cancelled_while_a_model_speaks_ends_as_cancelled(play: Play) -> None:
    async def hang(request: ModelRequest) -> None:
        run.cancel()
        await anyio.sleep_forever()

    agent = play.agent(Speaker(play.answer, hang))
    async with agent.graph.start(play.task) as run:
        with pytest.raises(RunCancelledError), anyio.fail_after(20):
            await run.result()


@tool(reads=())
async def look(at: str) -> str:
    """Look."""
    return at


@pytest.mark.parametrize("stream_plan", [False, True])
def test_a_planner_that_answers_garbage_twice_fails_with_what_it_said(stream_plan: bool) -> None:
    model = ScriptedModel(["no", "never"])
    agent = Agent("x", model, tools=[look], architecture=ReWOO(stream_plan=stream_plan))
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Look.")
    assert isinstance(caught.value.__cause__, OutputValidationError)
    assert caught.value.__cause__.raw == "never"


def test_a_hundred_workers_are_no_trouble() -> None:
    parts = [{"worker": f"w{number}", "task": "t"} for number in range(100)]
    delegated: list[Any] = [{"kind": "delegate", "assignments": parts}, {"kind": "answer", "answer": "done"}]
    chosen: list[Any] = [{"route": "w99", "confidence": 1, "reason": ""}]
    for way, moves in ((Supervisor, delegated), (Router, chosen)):
        workers = [Agent(f"w{number}", ScriptedModel(["done"])) for number in range(100)]
        assert Agent("x", ScriptedModel(moves), architecture=way(workers)).run_sync("Do it.").output == "done"
