"""Claims about SelfRefine: rounds, stops, the best draft, and what a failure leaves."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph import END, START, CompileError, NodeFailedError, Workflow
from loomgraph.architectures import SelfRefine
from loomgraph.errors import DefinitionError, OutputValidationError, ThresholdError
from loomgraph.models import ScriptedModel, ToolCall
from loomgraph.nodes.agent import Agent
from tests.architectures.stage import look_up, role_of, said, told

pytestmark = pytest.mark.anyio


def review(score: float, *, stop: bool = False) -> dict[str, Any]:
    return {"feedback": f"worth {score}", "score": score, "stop": stop}


def writer(*turns: Any, tools: Any = (), **settings: Any) -> tuple[Agent[Any, Any], ScriptedModel]:
    model = ScriptedModel(turns)
    return Agent("writer", model, tools=tools, architecture=SelfRefine(**settings)), model


@pytest.mark.parametrize(
    ("settings", "turns", "calls"),
    [
        ({"max_rounds": 1}, ["d1", review(0.5)], 1 + 2 * 1 - 1),
        ({"max_rounds": 3}, ["d1", review(0.5), "d2", review(0.6), "d3", review(0.7)], 1 + 2 * 3 - 1),
        ({"max_rounds": 5}, ["d1", review(0.5), "d2", review(0.6, stop=True)], 1 + 2 * 2 - 1),
        ({"max_rounds": 5, "threshold": 0.6}, ["d1", review(0.5), "d2", review(0.6)], 1 + 2 * 2 - 1),
        (
            {"max_rounds": 2, "tools": [look_up]},
            [ToolCall(id="1", name="look_up", arguments={"city": "Rome"}), "d1", review(0.5), "d2", review(0.6)],
            2 + 2 * 2 - 1,
        ),
    ],
)
async def test_b_calls_for_the_first_draft_and_two_less_one_for_each_round(
    settings: dict[str, Any], turns: list[Any], calls: int
) -> None:
    agent, model = writer(*turns, **settings)
    result = await agent.run("Write.")
    assert len(model.requests) == calls
    assert model.unused == 0
    assert result.output == [turn for turn in turns if isinstance(turn, str)][-1]


def test_author_critic_and_refiner_are_told_what_they_are_and_shown_what_there_is() -> None:
    agent, model = writer("d1", review(0.5), "d2", review(0.6), max_rounds=2)
    agent.replace(instructions="Be brief.").run_sync("Write.")
    assert [role_of(request) for request in model.requests] == ["agent", "critic", "refiner", "critic"]
    first, critic, refiner, again = model.requests
    assert (told(first), said(first)) == ("Be brief.", "Write.")
    assert told(critic).endswith("The author was given these instructions:\n\nBe brief.")
    assert said(critic) == "<task>\nWrite.\n</task>\n\n<draft>\nd1\n</draft>"
    assert told(refiner).startswith("Be brief.\n\n")
    drafts = "<draft_1>\nd1\n</draft_1>\n\n<review_1>\nworth 0.5\n\nScore: 0.5\n</review_1>"
    assert said(refiner) == f"<task>\nWrite.\n</task>\n\n{drafts}"
    assert "<draft>\nd2\n</draft>" in said(again)


@pytest.mark.parametrize(
    ("scores", "best"), [((0.3, 0.7, 0.5), "d2"), ((0.7, 0.7, 0.7), "d1"), ((0.1, 0.2, 0.3), "d3"), ((0, 0, 0), "d1")]
)
def test_the_best_draft_is_the_answer_and_of_equal_ones_the_earliest(scores: tuple[float, ...], best: str) -> None:
    turns = [turn for number, score in enumerate(scores, 1) for turn in (f"d{number}", review(score))]
    agent, _ = writer(*turns)
    assert agent.run_sync("Write.").output == best


def test_a_threshold_that_was_not_reached_is_an_error_with_all_drafts_if_that_is_wanted() -> None:
    agent, _ = writer("d1", review(0.6), "d2", review(0.5), max_rounds=2, threshold=0.8, at_cap="fail")
    with pytest.raises(NodeFailedError, match=r"none of 2 drafts reached the score 0\.8.*best one has 0\.6") as caught:
        agent.run_sync("Write.")
    error = caught.value.__cause__
    assert isinstance(error, ThresholdError)
    assert (error.best, error.score, error.threshold, error.drafts) == ("d1", 0.6, 0.8, ("d1", "d2"))
    assert caught.value.finished["draft/base"] == "d1"

    agent, _ = writer("d1", review(0.9), max_rounds=1, threshold=0.8, at_cap="fail")
    assert agent.run_sync("Write.").output == "d1"


def test_a_critic_who_gives_no_review_is_asked_once_more_and_then_the_run_fails_with_the_draft_kept() -> None:
    agent, model = writer("d1", "no", review(1, stop=True))
    assert agent.run_sync("Write.").output == "d1"
    assert len(model.requests) == 3

    agent, _ = writer("d1", "no", '{"score": 7}')
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Write.")
    assert isinstance(caught.value.__cause__, OutputValidationError)
    assert caught.value.__cause__.raw == '{"score": 7}'
    assert caught.value.node == "critique/critic/answer"
    assert caught.value.finished["draft"].answer == "d1"


class Poem(BaseModel):
    title: str
    lines: list[str]


class Wish(BaseModel):
    about: str
    lines: int


def test_input_and_output_of_a_type_go_through_every_round() -> None:
    drafts = [Poem(title="Sea", lines=[line]) for line in ("a", "b")]
    model = ScriptedModel([drafts[0], review(0.2), drafts[1], review(0.9)])
    way = SelfRefine(max_rounds=2)
    agent: Agent[Any, Any] = Agent(
        "poet", model, input=Wish, output=Poem, prompt=lambda wish: f"A poem on {wish.about}.", architecture=way
    )
    assert agent.run_sync(Wish(about="the sea", lines=1)).output == drafts[1]
    assert '"title": "Sea"' in said(model.requests[1])
    assert all("A poem on the sea." in said(request) for request in model.requests)
    assert [request.output is not None and request.output.name for request in model.requests] == [
        "Poem",
        "Critique",
        "Poem",
        "Critique",
    ]


def test_the_first_draft_may_be_a_graphs_and_each_role_have_its_own_model_and_instructions() -> None:
    wf = Workflow("template", input=str, output=str)
    wf.chain(START, wf.node(lambda text: f"Dear {text}", name="fill"), END)
    critic, refiner = ScriptedModel([review(0.1), review(0.2)]), ScriptedModel(["Dear Ada!"])
    way = SelfRefine(
        base=wf, max_rounds=2, critic="Judge.", refiner="Mend.", critic_model=critic, refiner_model=refiner
    )
    agent = Agent("letter", ScriptedModel([]), temperature=0.5, architecture=way)
    assert agent.run_sync("Ada").output == "Dear Ada!"
    assert [told(request) for request in (*critic.requests, *refiner.requests)] == ["Judge.", "Judge.", "Mend."]
    assert critic.requests[0].temperature is None, "settings of one model say nothing about another"


def test_settings_that_cannot_be_meant_are_refused() -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"max_rounds": 0}, "max_rounds=0"),
        ({"threshold": 8.0}, "threshold=8"),
        ({"at_cap": "stop"}, "at_cap='stop'"),
    ]
    for settings, complaint in refused:
        with pytest.raises(DefinitionError, match=complaint):
            SelfRefine(**settings)
    seven: Any = 7
    way = SelfRefine(base=seven)
    with pytest.raises(DefinitionError, match="int 7 cannot do the part 'base' of agent 'writer'"):
        _ = Agent("writer", "echo", architecture=way).graph
    number = Agent("counter", "echo", output=int)
    with pytest.raises(CompileError, match="'base' brings int into the join"):
        _ = Agent("writer", "echo", architecture=SelfRefine(base=number)).graph


def test_the_drawing_shows_the_rounds_and_inside_them_every_call() -> None:
    agent, _ = writer(tools=[look_up])
    assert agent.to_mermaid(depth=0) == DRAWN
    whole = agent.to_mermaid()
    for name, times in (("model", 3), ("tools", 1), ("answer", 3), ("judge", 1)):
        assert whole.count(f'["{name}"]') == times
    assert len(whole.split("subgraph")) == 1 + 6


DRAWN = """\
flowchart TD
    n0(["START<br/>str #124; Conversation"])
    n1[["draft<br/>graph of 2 nodes"]]
    n2["round"]
    n3[["critique<br/>graph of 2 nodes"]]
    n4[["refine<br/>graph of 2 nodes"]]
    n5["best"]
    n6(["END<br/>str"])
    n0 --> n1
    n1 --> n2
    n2 -->|"Draft"| n3
    n2 -->|"Rejected"| n4
    n4 --> n3
    n3 ==>|"Rejected ↺ ≤ 3"| n2
    n3 -->|"Accepted"| n5
    n5 --> n6
    n2 -.->|"at the cap of 3"| n5
    classDef terminal fill:#7d8590,fill-opacity:0.2,stroke:#7d8590,stroke-width:1px
    class n0,n6 terminal
"""
