"""Claims about time: what is independent runs at the same time, so a run takes its longest way and nothing beyond.

The clock is virtual (trio's, jumping to the next alarm), and each call of a model takes exactly one second of it.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio

from loomgraph import Agent, tool
from loomgraph.architectures import ReWOO
from loomgraph.models import ModelRequest
from tests.architectures.stage import PLAYS, Speaker
from tests.e2e.virtual import spend, virtually

# seconds on the longest way through each play, which has more calls than that
LONGEST = {
    "blackboard": 1 + 1 + 1 + 1 + 2 + 1,  # two who write at once, then one with tools
    "plan_execute": 1 + 2 + 1 + 1,  # the plan, a step with tools, one that needs it, the answer
    "plan_execute_steps_are_a_workflow": 1 + 1 + 1 + 1 + 1,
    "supervisor": 1 + 2 + 1 + 1 + 1,
    "supervisor_spawns": 1 + 2 + 1,
}


async def second(request: ModelRequest) -> None:
    await spend(1)


@pytest.mark.parametrize("name", LONGEST)
def test_a_run_takes_as_many_seconds_as_calls_follow_each_other(name: str) -> None:
    play = PLAYS[name]

    async def go() -> tuple[float, Any]:
        began = trio.current_time()
        result = await play.agent(Speaker(play.answer, second)).run(play.task)
        return trio.current_time() - began, result

    seconds, result = virtually(go)
    assert result.output == play.output
    assert seconds == pytest.approx(LONGEST[name])
    assert LONGEST[name] < play.calls


@pytest.mark.parametrize(("limit", "longest"), [(None, 1 + 5 + 1), (1, 1 + 9 + 1)])
def test_the_calls_of_a_plan_take_the_longest_chain_of_references_unless_the_limit_is_lower(
    limit: int | None, longest: int
) -> None:
    """Two chains, of 2 + 3 and 3 + 1 seconds: levels with barriers between them would take 3 + 3."""

    @tool(reads=())
    async def work(seconds: int, after: str = "") -> str:
        """Take so long."""
        await spend(seconds)
        return "done"

    plan = [("E1", 2, ""), ("E2", 3, "#E1"), ("E3", 3, ""), ("E4", 1, "#E3")]
    steps = [{"id": id, "tool": "work", "arguments": {"seconds": n, "after": after}} for id, n, after in plan]
    answers = iter([{"steps": steps}, "Done."])
    agent = Agent("worker", Speaker(lambda request: next(answers), second), tools=[work], architecture=ReWOO())

    async def go() -> float:
        began = trio.current_time()
        await agent.run("Do it.", limit=limit)
        return trio.current_time() - began

    assert virtually(go) == pytest.approx(longest)
