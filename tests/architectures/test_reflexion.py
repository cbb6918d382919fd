"""Claims about Reflexion: attempts, lessons and where they are kept, the best answer, and what a failure leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loomgraph import NodeFailedError
from loomgraph.architectures import Reflexion
from loomgraph.architectures.lessons import Lesson, LessonStore, MemoryLessons, StoredLessons, most_useful
from loomgraph.architectures.reflexion import Evaluation
from loomgraph.errors import DefinitionError, OutputValidationError, ThresholdError
from loomgraph.models import ScriptedModel, ToolCall
from loomgraph.nodes.agent import Agent
from loomgraph.store.memory import MemoryStore
from tests.architectures.stage import look_up, role_of, said, told

pytestmark = pytest.mark.anyio


def judged(score: float) -> dict[str, Any]:
    return {"score": score, "reason": f"worth {score}"}


def learner(*turns: Any, tools: Any = (), **settings: Any) -> tuple[Agent[Any, Any], ScriptedModel]:
    model = ScriptedModel(turns)
    return Agent("learner", model, tools=tools, architecture=Reflexion(**settings)), model


@pytest.mark.parametrize(
    ("settings", "turns", "calls"),
    [
        ({"max_attempts": 1}, ["a1", judged(0.5)], 1 + 1 + 0),
        ({}, ["a1", judged(0.5), "l1", "a2", judged(0.6), "l2", "a3", judged(0.7)], 3 + 3 + 2),
        ({}, ["a1", judged(0.5), "l1", "a2", judged(0.8)], 2 + 2 + 1),
        ({"threshold": 0.5}, ["a1", judged(0.5)], 1 + 1 + 0),
        (
            {"max_attempts": 2, "tools": [look_up]},
            [ToolCall(id="1", name="look_up", arguments={"city": "Rome"}), "a1", judged(0.5), "l1", "a2", judged(0.6)],
            (2 + 1) + 2 + 1,
        ),
    ],
)
async def test_each_attempt_is_judged_and_all_but_the_last_teach_a_lesson(
    settings: dict[str, Any], turns: list[Any], calls: int
) -> None:
    agent, model = learner(*turns, **settings)
    result = await agent.run("Find it.")
    assert len(model.requests) == calls
    assert model.unused == 0
    assert result.output == [turn for turn in turns if isinstance(turn, str)][-1]


def test_an_attempt_is_a_fresh_start_with_the_lessons_the_latest_first() -> None:
    agent, model = learner("a1", judged(0.1), " look twice ", "a2", judged(0.2), "ask first", "a3", judged(0.9))
    agent.replace(instructions="Be brief.").run_sync("Find it.")
    assert [role_of(request) for request in model.requests] == [
        *("agent", "evaluator", "reflector"),
        *("agent", "evaluator", "reflector"),
        *("agent", "evaluator"),
    ]
    first, evaluator, reflector, second, _, again, third, _ = model.requests
    assert (told(first), said(first)) == ("Be brief.", "Find it.")
    assert told(evaluator).endswith("The author was given these instructions:\n\nBe brief.")
    assert said(evaluator) == "<task>\nFind it.\n</task>\n\n<answer>\na1\n</answer>"
    assert told(reflector).startswith("Be brief.\n\n")
    assert "<judgement>\nworth 0.1\n\nScore: 0.1\n</judgement>" in said(reflector)
    shown = "<lessons_from_earlier_attempts>\n{}\n</lessons_from_earlier_attempts>"
    assert said(second) == f"<task>\nFind it.\n</task>\n\n{shown.format('- look twice')}"
    assert "<lessons_so_far>\n- look twice\n</lessons_so_far>" in said(again)
    assert said(third).endswith(shown.format("- ask first\n- look twice"))


@pytest.mark.parametrize(("scores", "best"), [((0.3, 0.7, 0.5), "a2"), ((0.7, 0.7, 0.7), "a1"), ((0, 0, 0.1), "a3")])
def test_the_best_answer_is_given_and_of_equal_ones_the_earliest(scores: tuple[float, ...], best: str) -> None:
    turns: list[Any] = []
    for number, score in enumerate(scores, 1):
        turns += [f"a{number}", judged(score), f"l{number}"]
    agent, _ = learner(*turns[:-1])
    assert agent.run_sync("Find it.").output == best


def test_attempts_that_were_not_good_enough_are_an_error_that_has_them_if_that_is_wanted() -> None:
    agent, _ = learner("a1", judged(0.6), "l1", "a2", judged(0.5), max_attempts=2, at_cap="fail")
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Find it.")
    error = caught.value.__cause__
    assert isinstance(error, ThresholdError)
    assert (error.best, error.score, error.threshold, error.drafts) == ("a1", 0.6, 0.8, ("a1", "a2"))


def test_a_judgement_that_cannot_be_read_fails_the_run_with_the_attempt_kept() -> None:
    agent, _ = learner("a1", "good!", "really good!")
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Find it.")
    assert isinstance(caught.value.__cause__, OutputValidationError)
    assert caught.value.node == "evaluate/evaluator/answer"
    assert caught.value.finished["attempt#0"].answer == "a1"


async def test_the_evaluator_may_be_a_function_plain_or_async_and_costs_no_call() -> None:
    seen: list[Any] = []

    def tests(task: str, answer: str) -> Evaluation:
        seen.append((task, answer))
        return Evaluation(score=float("2" in answer), reason="the tests fail")

    async def later(task: str, answer: str) -> Evaluation:
        return tests(task, answer)

    for evaluate in (tests, later):
        agent, model = learner("a1", "l1", "a2", evaluate=evaluate)
        result = await agent.run("Find it.")
        assert result.output == "a2"
        assert "the tests fail" in said(model.requests[1])
        assert [record.key for record in result.node("test")] == ["evaluate#0/test", "evaluate#1/test"]
    assert seen == [("Find it.", "a1"), ("Find it.", "a2")] * 2


async def test_lessons_are_shown_to_later_runs_of_the_same_user_and_to_nobody_else() -> None:
    kept = MemoryLessons()
    assert isinstance(kept, LessonStore)
    agent, _ = learner("a1", judged(0), "knock first", "a2", judged(1), lessons=kept)
    await agent.run("Open the red door.", user_id="ada", run_id="r1")
    [lesson] = kept.lessons
    assert lesson == Lesson(id="r1:store#1", text="knock first", task="Open the red door.", score=0, user_id="ada")
    for user, sees in (("ada", True), ("bob", False), (None, False)):
        agent, model = learner("a1", judged(1), lessons=kept)
        await agent.run("Open the blue door.", user_id=user)
        assert ("- knock first" in said(model.requests[0])) == sees


async def test_of_many_lessons_those_of_this_run_come_first_and_then_those_of_the_most_similar_tasks() -> None:
    kept = MemoryLessons()
    for number, task in enumerate(["open a window", "open a door", "bake bread", "Open a door!"]):
        await kept.add(Lesson(id=f"{number}", text=f"lesson {number}", task=task, score=0))
        await kept.add(Lesson(id=f"{number}", text="again", task=task, score=0))
    agent, model = learner("a1", judged(0), "own lesson", "a2", judged(1), lessons=kept, top_k_lessons=3)
    await agent.run("Open a door")
    lessons = [line for line in said(model.requests[3]).splitlines() if line.startswith("- ")]
    assert lessons == ["- own lesson", "- lesson 3", "- lesson 1"]
    assert [lesson.text for lesson in most_useful(kept.lessons, "", user_id=None, limit=9)[:2]] == [
        "own lesson",
        "lesson 3",
    ]

    agent, model = learner("a1", judged(0), "own lesson", "a2", judged(1), lessons=kept, top_k_lessons=0)
    await agent.run("Open a door")
    assert said(model.requests[3]) == "Open a door"


async def test_lessons_in_a_store_outlive_the_process_and_the_same_one_is_kept_once(tmp_path: Path) -> None:
    place = f"sqlite:{tmp_path / 'runs.db'}"
    agent, _ = learner("a1", judged(0), "knock first", "a2", judged(1), lessons=StoredLessons(place))
    await agent.run("Open the red door.", user_id="ada", store=place, run_id="r1")
    lesson = Lesson(id="r1:store#1", text="knock first", task="Open the red door.", score=0, user_id="ada")
    for kept in (StoredLessons(place), StoredLessons(MemoryStore()), MemoryLessons()):
        assert isinstance(kept, LessonStore)
        await kept.add(lesson)
        await kept.add(lesson)
        assert list(await kept.recall("Open it.", user_id="ada", limit=5)) == [lesson]
        assert list(await kept.recall("Open it.", user_id=None, limit=5)) == []
        later = lesson.model_copy(update={"id": "2", "text": "wait"})
        await kept.add(later)
        await kept.add(lesson.model_copy(update={"id": "3", "user_id": None}))
        assert list(await kept.recall("Open it.", user_id="ada", limit=1)) == [later]
        assert [found.user_id for found in await kept.recall("", user_id=None, limit=5)] == [None]


def test_a_reflection_that_says_nothing_teaches_nothing() -> None:
    kept = MemoryLessons()
    agent, model = learner("a1", judged(0), "  ", "a2", judged(1), lessons=kept)
    assert agent.run_sync("Find it.").output == "a2"
    assert kept.lessons == ()
    assert said(model.requests[3]) == "Find it."


def test_settings_that_cannot_be_meant_are_refused() -> None:
    refused: list[dict[str, Any]] = [
        {"max_attempts": 0},
        {"threshold": 1.5},
        {"at_cap": "stop"},
        {"top_k_lessons": -1},
    ]
    with pytest.raises(DefinitionError, match="new store each time"):
        StoredLessons("memory:")
    for settings in refused:
        with pytest.raises(DefinitionError):
            Reflexion(**settings)


def test_the_drawing_shows_the_loop_and_inside_it_every_call() -> None:
    agent, _ = learner(tools=[look_up])
    drawn = agent.to_mermaid(depth=0)
    for line in (
        'n2 -->|"Ready"| n3',
        "n3 --> n4",
        "n4 --> n5",
        'n5 ==>|"Rejected ↺ ≤ 3"| n2',
        'n2 -->|"Rejected"| n6',
        "n6 --> n7",
        "n7 --> n3",
        'n2 -.->|"at the cap of 3"| n8',
    ):
        assert f"    {line}\n" in drawn
    names = ["begin", "round", "recall", "attempt", "evaluate", "reflect", "store", "best"]
    assert [f'n{number}[["{name}' in drawn or f'n{number}["{name}' in drawn for number, name in enumerate(names, 1)]
    whole = agent.to_mermaid()
    assert [whole.count(f'["{name}"]') for name in ("model", "tools", "judge", "learn")] == [3, 1, 1, 1]
