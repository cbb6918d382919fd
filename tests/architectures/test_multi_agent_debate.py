"""Claims about MultiAgentDebate: rounds at the same time, agreement, judge and vote, and who sits out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from pydantic import BaseModel

from loomgraph import END, START, Budget, NodeFailedError, Workflow
from loomgraph.architectures import MultiAgentDebate, SelfRefine
from loomgraph.architectures.multi_agent_debate import Absent, likeness
from loomgraph.errors import (
    BudgetExceededError,
    DebateQuorumError,
    DefinitionError,
    ModelAuthenticationError,
    OutputValidationError,
)
from loomgraph.models import ModelRequest, ScriptedModel
from loomgraph.nodes.agent import Agent
from tests.architectures.stage import PLAYS, Speaker, look_up, role_of, said, told
from tests.architectures.voices import Meeting, replying
from tests.e2e.virtual import spend, virtually

pytestmark = pytest.mark.anyio


def panel(*scripts: Any, judge: Any = None, output: Any = str, **settings: Any) -> tuple[Agent[Any, Any], list[Any]]:
    """Debaters a, b, c... who say what is in their scripts, round by round; a judge if there is something to say."""
    models = [ScriptedModel(script) for script in scripts]
    debaters = {name: Agent(name, model, output=output) for name, model in zip("abcde", models, strict=False)}
    judging = ScriptedModel([] if judge is None else judge if isinstance(judge, list) else [judge])
    way = MultiAgentDebate(debaters, judge=judge is not None, judge_model=judging, **settings)
    return Agent("panel", "echo", output=output, architecture=way), [*models, judging]


def calls(models: list[Any]) -> int:
    return sum(len(model.requests) for model in models)


@pytest.mark.parametrize(
    ("scripts", "settings", "count", "output"),
    [
        ([["yes"], ["Yes "]], {}, 2 * (1 + 0), "yes"),
        ([["yes", "yes"], ["no", "yes"]], {"judge": "?"}, 2 * (1 + 1), "yes"),
        ([["1", "2", "3"], ["4", "5", "6"], ["7", "8", "9"]], {}, 3 * (1 + 2), "3"),
        ([["1", "2"], ["4", "5"]], {"rounds": 1, "judge": "none"}, 2 * (1 + 1) + 1, "none"),
        ([["1"], ["4"], ["4"]], {"rounds": 0}, 3 * (1 + 0), "4"),
    ],
)
async def test_everybody_answers_in_each_round_and_a_judge_is_asked_only_where_nobody_agrees(
    scripts: Any, settings: dict[str, Any], count: int, output: str
) -> None:
    agent, models = panel(*scripts, **settings)
    result = await agent.run("Well?")
    assert calls(models) == result.usage.model_calls == count
    assert result.output == output


def test_a_debater_sees_the_task_alone_and_then_its_own_answer_and_those_of_the_others() -> None:
    agent, [a, b, judge] = panel(["one", "two"], ["{three}", "four"], rounds=1, judge="five")
    assert agent.replace(instructions="Be brief.").run_sync("Well?").output == "five"
    assert said(a.requests[0]) == said(b.requests[0]) == "Well?"
    assert "<your_answer>\none\n</your_answer>\n\n<other_answer_1>\nb:\n{three}\n</other_answer_1>" in said(
        a.requests[1]
    )
    assert "<your_answer>\n{three}\n</your_answer>\n\n<other_answer_1>\na:\none\n</other" in said(b.requests[1])
    assert role_of(judge.requests[0]) == "judge"
    assert told(judge.requests[0]).startswith("Be brief.\n\n")
    answers = "<answer_1>\na:\ntwo\n</answer_1>\n\n<answer_2>\nb:\nfour\n</answer_2>"
    assert said(judge.requests[0]) == f"<task>\nWell?\n</task>\n\n{answers}"


@pytest.mark.parametrize(
    ("last", "wins"),
    [
        (["x", "y", "y"], "y"),
        (["x", "y", "z"], "x"),
        (["y", "x", "x", "y"], "y"),
        (["no", "the sea is blue today", "The sea is  blue today!"], "no"),
        (["no", "the sea and the sky are blue", "the sea and the sky were blue"], "the sea and the sky are blue"),
    ],
)
def test_in_a_vote_the_largest_group_of_like_answers_wins_and_of_equal_ones_the_earliest(
    last: list[str], wins: str
) -> None:
    agent, _ = panel(*[[answer] for answer in last], rounds=0)
    assert agent.run_sync("Well?").output == wins


class Verdict(BaseModel):
    guilty: bool
    years: int


def test_answers_of_a_type_agree_if_they_are_equal_or_as_a_function_says() -> None:
    ten, nine = Verdict(guilty=True, years=10), Verdict(guilty=True, years=9)
    agent, models = panel([ten], [ten], output=Verdict)
    assert agent.run_sync("Well?").output == ten
    agent, models = panel([ten, ten], [nine, nine], output=Verdict, rounds=1)
    assert agent.run_sync("Well?").output == ten
    assert calls(models) == 4
    agent, models = panel([ten], [nine], output=Verdict, alike=lambda one, other: float(one.guilty == other.guilty))
    assert agent.run_sync("Well?").output == ten
    assert calls(models) == 2


def test_texts_are_alike_by_their_words_in_order_and_other_values_only_if_equal() -> None:
    assert likeness("Yes, it  is", "yes, IT is") == 1
    assert likeness("a b c d", "a b c e") == 0.75
    assert likeness("", "x") == 0
    assert likeness(1, 1) == 1
    assert likeness(1, 2) == 0


def named(name: str) -> Callable[[ModelRequest], str]:
    return lambda request: name + said(request)[:1]


async def test_debaters_of_a_round_are_asked_at_the_same_time_under_the_limit_of_the_run() -> None:
    for limit, most in ((None, 3), (2, 2), (1, 1)):
        meeting = Meeting(most)
        debaters = [Agent(name, meeting.of(replying(named(name), name))) for name in "abc"]
        agent = Agent("panel", "echo", architecture=MultiAgentDebate(debaters, rounds=1))
        assert (await agent.run("?", limit=limit)).output == "a<"
        assert (meeting.most, meeting.came) == (most, 6)


def test_a_round_takes_as_long_as_its_slowest_debater() -> None:
    play = PLAYS["debate_of_agents_with_tools"]

    async def second(request: ModelRequest) -> None:
        await spend(1)

    async def timed() -> float:
        began = trio.current_time()
        assert (await play.agent(Speaker(play.answer, second)).run(play.task)).output == play.output
        return trio.current_time() - began

    # two rounds of two turns each, and the judge
    assert virtually(timed) == 2 * 2 + 1


async def test_a_debater_that_fails_sits_out_from_then_on() -> None:
    refused = ModelAuthenticationError("b", "no key")
    agent, [_, b, *_] = panel(["1", "2", "3"], ["4", refused], ["7", "8", "9"])
    result = await agent.run("Well?")
    assert result.output == "3"
    assert len(b.requests) == 2
    [absent] = [one for one in result.node("debate") if isinstance(one.output, Absent)]
    assert absent.output.debater == "b"
    assert absent.output.error == "ModelAuthenticationError"
    assert [len(positions) for positions in result.node("weigh")[-1].output.rounds] == [3, 2, 2]


def test_fewer_debaters_than_a_quorum_fail_the_run_with_all_that_was_said() -> None:
    refused = ModelAuthenticationError("b", "no key")
    agent, _ = panel(["1", "2"], ["4", refused], ["7", refused])
    with pytest.raises(NodeFailedError, match="1 of 3 debaters are left, and the debate needs 2") as caught:
        agent.run_sync("Well?")
    error = caught.value.__cause__
    assert isinstance(error, DebateQuorumError)
    assert [absent.debater for absent in error.absent] == ["b", "c"]
    assert [[position.answer for position in positions] for positions in error.rounds] == [["1", "4", "7"], ["2"]]

    agent, _ = panel(["1"], ["2"], [refused], [refused], [refused])
    with pytest.raises(NodeFailedError, match="2 of 5 debaters are left, and the debate needs 3"):
        agent.run_sync("Well?")

    agent, _ = panel(["1", "2"], ["4", refused], ["7", refused], quorum=1)
    assert agent.run_sync("Well?").output == "2"


def test_an_answer_that_cannot_be_read_makes_its_debater_sit_out_and_an_unreadable_judge_fails_the_run() -> None:
    ten = Verdict(guilty=True, years=10)
    agent, _ = panel([ten], ["guilty", "very guilty"], [ten], output=Verdict)
    result = agent.run_sync("Well?")
    assert result.output == ten
    assert "OutputValidationError" in [getattr(one.output, "error", None) for one in result.node("debate")]

    agent, _ = panel([ten], [Verdict(guilty=False, years=0)], output=Verdict, rounds=0, judge=["hm", "hm!"])
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Well?")
    assert isinstance(caught.value.__cause__, OutputValidationError)
    assert caught.value.finished["weigh#0"].rounds[0][0].answer == ten


def test_a_spent_budget_and_a_mistake_in_code_are_no_reason_to_sit_out() -> None:
    agent, _ = panel(["1"], ["2"], ["3"])
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Well?", budget=Budget(model_calls=2))
    assert isinstance(caught.value.__cause__, BudgetExceededError)

    def mistaken(request: ModelRequest) -> Any:
        raise KeyError("typo")

    agent, _ = panel(["1"], ["2"], [mistaken])
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Well?")
    assert isinstance(caught.value.__cause__, KeyError)


def test_debaters_are_copies_of_the_agent_or_architectures_agents_and_graphs_in_a_row() -> None:
    model = ScriptedModel(["1", "2", "1"])
    agent = Agent("panel", model, instructions="Be brief.", architecture=MultiAgentDebate(3, rounds=0))
    result = agent.run_sync("Well?", limit=1)
    assert result.output == "1"
    assert [position.debater for position in result.node("weigh")[0].output.rounds[0]] == [
        "debater 1",
        "debater 2",
        "debater 3",
    ]
    assert {told(request) for request in model.requests} == {"Be brief."}

    wf = Workflow("shout", input=str, output=str)
    wf.chain(START, wf.node(lambda text: text.upper(), name="loud"), END)
    stop = {"feedback": "", "score": 1, "stop": True}
    agent = Agent("panel", ScriptedModel(["WELL?", stop]), architecture=MultiAgentDebate([SelfRefine(), wf]))
    assert agent.run_sync("Well?").output == "WELL?"


def test_settings_that_cannot_be_meant_are_refused() -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"debaters": 1}, "needs two"),
        ({"debaters": []}, "0 debaters"),
        ({"rounds": -1}, "rounds=-1"),
        ({"similarity": 0}, "similarity=0"),
        ({"quorum": 4}, "quorum=4"),
    ]
    for settings, complaint in refused:
        with pytest.raises(DefinitionError, match=complaint):
            MultiAgentDebate(**settings)
    twin = Agent("twin", "echo")
    with pytest.raises(DefinitionError, match="two debaters have one name"):
        _ = Agent("panel", "echo", architecture=MultiAgentDebate([twin, twin])).graph
    with pytest.raises(DefinitionError, match="nobody would call its tools"):
        _ = Agent("panel", "echo", tools=[look_up], architecture=MultiAgentDebate({"a": twin, "b": twin})).graph


def test_the_drawing_shows_each_debater_who_decides_and_that_one_may_sit_out() -> None:
    agent, _ = panel([], [], judge="")
    drawn = agent.to_mermaid(depth=1)
    for label in ('{{"debate', '[["a<br/>', '[["b<br/>', '["sit out"]', '["weigh"]', '["agreed"]', '[["judge"]]'):
        assert drawn.count(label) == 1, label
    assert 'Disagreed ↺ ≤ 3"' in drawn
    assert '"at the cap of 3"' in drawn
    assert "LoopCapError, ModelError" in drawn
    voting = Agent("panel", "echo", architecture=MultiAgentDebate()).to_mermaid()
    assert [voting.count(f'["{name}"]') for name in ("model", "vote", "judge")] == [1, 1, 0]


def test_in_a_shared_conversation_debaters_see_all_rounds_and_not_the_last_one_alone() -> None:
    scripts = [["one", "two", "three"], ["four", "five", "six"]]
    agent, [a, b, _] = panel(*scripts, conversation="shared")
    agent.run_sync("Well?")
    assert "round" not in said(a.requests[1])
    for debater in (a, b):
        assert "<round_1>\na:\none\n\nb:\nfour\n</round_1>" in said(debater.requests[2])
    assert "<your_answer>\ntwo\n</your_answer>" in said(a.requests[2])
    agent, [a, *_] = panel(*scripts)
    agent.run_sync("Well?")
    assert "one" not in said(a.requests[2])
