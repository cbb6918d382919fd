"""Claims about hooks under every architecture whose calls are all made by one agent: none of them goes by unseen."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from loomgraph import Context
from loomgraph.nodes.hooks import Hooks
from tests.architectures.stage import PLAYS, Speaker

# in the others some calls are those of agents that the agent calls, which have hooks of their own
OWN = (
    "actor_critic",
    "plan_execute",
    "reflexion",
    "rewoo",
    "router",
    "self_refine",
    "tree_of_thoughts",
    "tree_of_thoughts_deep",
)


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)  # what is counted is no matter of the loop
@pytest.mark.parametrize("name", OWN)
@pytest.mark.anyio
async def test_every_call_of_a_model_and_of_a_tool_goes_by_the_agents_hooks(name: str) -> None:
    play = PLAYS[name]
    seen: Counter[str] = Counter()

    def noting(point: str) -> Any:
        def note(value: Any, ctx: Context) -> None:
            seen[point] += 1

        return note

    model = Speaker(play.answer)
    agent = play.agent(model).replace(hooks=Hooks(**{point: noting(point) for point in Hooks.__dataclass_fields__}))
    result = await agent.run(play.task)
    assert result.output == play.output
    tools = [record for record in result.activations if "@tools" in record.path and record.path[-1] != "results"]
    for point in ("before_iteration", "before_context", "after_context", "before_model", "after_model"):
        assert seen[point] == play.calls == len(model.requests)
    assert seen["before_tool"] == seen["after_tool"] == len(tools)
