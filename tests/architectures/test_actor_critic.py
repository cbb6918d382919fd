"""Claims about ActorCritic: rounds, what the actor is shown again, the best answer, and what a failure leaves."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph import END, START, NodeFailedError, Workflow
from loomgraph.architectures import ActorCritic, SelfRefine
from loomgraph.errors import DefinitionError, OutputValidationError, ThresholdError
from loomgraph.models import Image, ScriptedModel, ToolCall, UserMessage, user
from loomgraph.nodes.agent import Agent
from tests.architectures.stage import look_up, role_of, said, told

pytestmark = pytest.mark.anyio


def review(score: float, *issues: str) -> dict[str, Any]:
    return {"summary": f"worth {score}", "score": score, "issues": issues}


def actor(*turns: Any, tools: Any = (), **settings: Any) -> tuple[Agent[Any, Any], ScriptedModel]:
    model = ScriptedModel(turns)
    return Agent("actor", model, tools=tools, architecture=ActorCritic(**settings)), model


@pytest.mark.parametrize(
    ("settings", "turns", "calls"),
    [
        ({"max_rounds": 1}, ["a1", review(0.5)], 2 * 1),
        ({}, ["a1", review(0.5), "a2", review(0.6), "a3", review(0.7)], 2 * 3),
        ({}, ["a1", review(0.5), "a2", review(0.9)], 2 * 2),
        ({"threshold": 0.5}, ["a1", review(0.5)], 2 * 1),
        (
            {"max_rounds": 2, "tools": [look_up]},
            [ToolCall(id="1", name="look_up", arguments={"city": "Rome"}), "a1", review(0.5), "a2", review(0.6)],
            2 + 1 + 2,
        ),
    ],
)
async def test_two_calls_for_each_round_and_what_the_tools_take(
    settings: dict[str, Any], turns: list[Any], calls: int
) -> None:
    agent, model = actor(*turns, **settings)
    result = await agent.run("Do it.")
    assert len(model.requests) == calls
    assert model.unused == 0
    assert result.output == [turn for turn in turns if isinstance(turn, str)][-1]


def test_the_actor_hears_the_task_first_and_then_all_its_answers_with_their_reviews() -> None:
    agent, model = actor("a1", review(0.5, "no source", "no date"), "a2", review(1))
    agent.replace(instructions="Be brief.").run_sync("Do it.")
    assert [role_of(request) for request in model.requests] == ["agent", "critic", "agent", "critic"]
    first, critic, again, last = model.requests
    assert (told(first), said(first)) == ("Be brief.", "Do it.")
    assert said(critic) == "<task>\nDo it.\n</task>\n\n<answer>\na1\n</answer>"
    assert told(again) == "Be brief."
    shown = "<review_1>\nworth 0.5\n- no source\n- no date\n\nScore: 0.5\n</review_1>\n\n<now>\nYour earlier answers"
    assert said(again).startswith(f"<task>\nDo it.\n</task>\n\n<draft_1>\na1\n</draft_1>\n\n{shown}")
    assert said(last).endswith("<answer>\na2\n</answer>")


@pytest.mark.parametrize(("scores", "best"), [((0.3, 0.7, 0.5), "a2"), ((0.7, 0.7, 0.7), "a1"), ((0, 0, 0.1), "a3")])
def test_the_best_answer_is_given_and_of_equal_ones_the_earliest(scores: tuple[float, ...], best: str) -> None:
    agent, _ = actor(*[turn for number, score in enumerate(scores, 1) for turn in (f"a{number}", review(score))])
    assert agent.run_sync("Do it.").output == best


def test_answers_that_were_not_good_enough_are_an_error_that_has_them_if_that_is_wanted() -> None:
    agent, _ = actor("a1", review(0.6), "a2", review(0.5), max_rounds=2, at_cap="fail")
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Do it.")
    error = caught.value.__cause__
    assert isinstance(error, ThresholdError)
    assert (error.best, error.score, error.threshold, error.drafts) == ("a1", 0.6, 0.9, ("a1", "a2"))


def test_a_review_that_cannot_be_read_fails_the_run_with_the_answer_kept() -> None:
    agent, model = actor("a1", "good!", "really good!")
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Do it.")
    assert isinstance(caught.value.__cause__, OutputValidationError)
    assert caught.value.__cause__.raw == "really good!"
    assert caught.value.finished["act#0"].answer == "a1"
    assert len(model.requests) == 3


def test_an_actor_may_be_any_graph_that_takes_text_or_another_architecture() -> None:
    wf = Workflow("shout", input=str, output=str)
    wf.chain(START, wf.node(lambda text: text.upper()[-9:], name="loud"), END)
    critic = ScriptedModel([review(0.1), review(1)])
    agent = Agent("actor", "echo", architecture=ActorCritic(base=wf, critic_model=critic))
    assert agent.run_sync("Do it.").output == "R.\n</NOW>"

    refining = {"feedback": "", "score": 0.5, "stop": True}
    agent, model = actor("a1", refining, review(0.2), "a2", refining, review(0.9), base=SelfRefine())
    assert agent.run_sync("Do it.").output == "a2"
    assert [role_of(request) for request in model.requests] == ["agent", "critic", "critic"] * 2
    assert "<draft_1>\na1" in said(model.requests[3])

    number = Workflow("number", input=int, output=str)
    number.chain(START, number.node(lambda value: str(value), name="say"), END)
    with pytest.raises(DefinitionError, match=r"'number' does the part 'actor' of agent 'actor'.*takes int"):
        _ = Agent("actor", "echo", architecture=ActorCritic(base=number)).graph


def test_pictures_are_shown_in_every_round_to_both() -> None:
    picture = Image(url="https://example.org/cat.png")
    model = ScriptedModel(["a dog", review(0.1), "a cat", review(1)])
    agent: Agent[Any, Any] = Agent("seer", model, input=UserMessage, architecture=ActorCritic())
    assert agent.run_sync(user("What is it?", picture)).output == "a cat"
    for request in model.requests:
        message = request.messages[-1]
        assert isinstance(message, UserMessage)
        assert picture in message.parts

    inside = ScriptedModel(["a dog", "a cat"])
    inner = Agent("inner", inside)
    way = ActorCritic(base=inner, critic_model=ScriptedModel([review(0.1), review(1)]))
    agent = Agent("seer", "echo", input=UserMessage, architecture=way)
    assert agent.run_sync(user("?", picture)).output == "a cat"
    assert all("Image" in repr(request.messages) for request in inside.requests)


def test_settings_that_cannot_be_meant_are_refused() -> None:
    refused: list[dict[str, Any]] = [{"max_rounds": 0}, {"threshold": -1}, {"at_cap": "stop"}]
    for settings in refused:
        with pytest.raises(DefinitionError):
            ActorCritic(**settings)


def test_the_drawing_is_actor_critic_and_back_with_every_call_inside() -> None:
    agent, _ = actor(tools=[look_up], max_rounds=4)
    drawn = agent.to_mermaid(depth=0)
    for line in (
        'n2[["act<br/>graph of 2 nodes"]]',
        'n3[["critique<br/>graph of 2 nodes"]]',
        "n2 --> n3",
        'n3 ==>|"Rejected ↺ ≤ 4"| n2',
        'n3 -->|"Accepted"| n4',
        'n2 -.->|"at the cap of 4"| n4',
    ):
        assert f"    {line}\n" in drawn
    whole = agent.to_mermaid()
    assert [whole.count(f'["{name}"]') for name in ("model", "tools", "judge")] == [2, 1, 1]
