"""Claims about sessions whose agent is not what it was: they go on from what was said."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph.architectures import Reflexion, Swarm
from loomgraph.architectures.reflexion import Evaluation
from loomgraph.errors import DefinitionError
from loomgraph.models import ModelRequest, ScriptedModel, ToolCall, assistant
from loomgraph.nodes.agent import Agent
from loomgraph.store.memory import MemoryStore
from loomgraph.tools import tool
from tests.architectures.test_swarm import answer, hand

pytestmark = pytest.mark.anyio


class Verdict(BaseModel):
    good: bool


class Question(BaseModel):
    text: str


@tool(reads=())
async def roll(sides: int) -> int:
    """Roll a die."""
    return sides


def _good(task: Any, answer: Any) -> Evaluation:
    return Evaluation(score=1.0, reason="")


SAID = '{"good": true}'
CHANGES: dict[str, dict[str, Any]] = {
    "a tool": {"tools": [roll]},
    "the instructions": {"instructions": "Be brief."},
    "the answer": {"output": Verdict},
    "the architecture": {"architecture": Reflexion(max_attempts=1, evaluate=_good)},
}


def _said(request: ModelRequest) -> list[str]:
    return [getattr(message, "text", "") for message in request.messages if message.role != "system"]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("back", [False, True])
async def test_a_session_goes_on_though_its_agent_has_changed(change: str, back: bool) -> None:
    store = MemoryStore()
    then, now = (CHANGES[change], {}) if back else ({}, CHANGES[change])
    await Agent("talker", ScriptedModel([SAID]), **then).run("Is it {so}?", store=store, session_id="s")
    model = ScriptedModel([SAID])
    await Agent("talker", model, **now).run("And now?", store=store, session_id="s")
    [told] = model.requests
    heard = "\n".join(_said(told))
    assert heard.index("Is it {so}?") < heard.index(SAID) < heard.index("And now?")
    assert heard.count("Is it {so}?") == heard.count(SAID) == heard.count("And now?") == 1


async def test_what_tools_said_is_said_again_to_an_agent_that_has_other_tools() -> None:
    store = MemoryStore()
    called = assistant(ToolCall(id="1", name="roll", arguments={"sides": 6}))
    await Agent("gambler", ScriptedModel([called, "A 6."]), tools=[roll]).run("Roll!", store=store, session_id="s")
    for turn, (tools, question) in enumerate([([], "What was it?"), ([roll], "Sure?"), ([], "Really?")]):
        model = ScriptedModel([f"It was 6, {turn}."])
        await Agent("gambler", model, tools=tools).run(question, store=store, session_id="s")
    [told] = model.requests
    assert [message.role for message in told.messages] == [
        *("user", "assistant", "tool", "assistant", "user", "assistant", "user", "assistant", "user")
    ]
    assert _said(told)[-5:] == ["What was it?", "It was 6, 0.", "Sure?", "It was 6, 1.", "Really?"]


async def test_a_session_whose_agent_takes_other_values_says_so() -> None:
    store = MemoryStore()
    settled = Reflexion(max_attempts=1, evaluate=_good)
    before: Agent[Any, Any] = Agent("talker", ScriptedModel(["Yes."]), architecture=settled, input=Verdict)
    await before.run(Verdict(good=True), store=store, session_id="s")
    now: Agent[Any, Any] = Agent("talker", ScriptedModel([]), input=Question, tools=[roll])
    with pytest.raises(DefinitionError, match="Begin another session"):
        await now.run(Question(text="Is it?"), store=store, session_id="s")


@pytest.mark.parametrize("left", [False, True])
async def test_a_changed_swarm_goes_on_with_who_answered_last_if_it_is_still_there(left: bool) -> None:
    store = MemoryStore()

    def swarm(desk: list[Any], bills: list[Any], third: str) -> Agent[str, str]:
        others = [Agent("bills", ScriptedModel(bills))] if third != "alone" else []
        peers = [Agent("desk", ScriptedModel(desk)), *others, Agent(third, ScriptedModel([]))]
        return Agent("help", "echo", architecture=Swarm(peers))

    await swarm([hand("bills")], [answer("Paid.")], "other").run("Is it paid?", store=store, session_id="s")
    if left:
        result = await swarm([answer("At the desk.")], [], "alone").run("When?", store=store, session_id="s")
    else:
        result = await swarm([], [answer("In May.")], "another").run("When?", store=store, session_id="s")
    assert result.output == ("At the desk." if left else "In May.")
