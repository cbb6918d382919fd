"""Claims about TreeOfThoughts: levels, the beam, what is pruned, when it stops, and what runs at the same time."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
import trio

from loomgraph import NodeFailedError
from loomgraph.architectures import TreeOfThoughts
from loomgraph.errors import DefinitionError, EmptyBeamError, OutputValidationError
from loomgraph.models import ModelRequest, ScriptedModel
from loomgraph.nodes.agent import Agent
from tests.architectures.stage import LOOKING, PLAYS, Speaker, look_up, looked_up, role_of, said, told
from tests.architectures.voices import replying
from tests.e2e.virtual import spend, virtually

pytestmark = pytest.mark.anyio


def steps(request: ModelRequest) -> list[str]:
    """The steps that a request shows, the one to be scored last."""
    before = [line.partition(". ")[2] for line in said(request).splitlines() if re.match(r"\d+\. ", line)]
    last = said(request).partition("<last_step>\n")[2].partition("\n</last_step>")[0]
    return [*before, last] if last else before


class Tree:
    """A model with a tree in mind: `grow` gives the steps after a path, `score` the score of a path."""

    def __init__(self, grow: Any, score: Any) -> None:
        self.grow, self.score = grow, score
        self.model = replying(self.answer)

    def answer(self, request: ModelRequest) -> Any:
        match role_of(request):
            case "proposer":
                return {"thoughts": self.grow(steps(request))}
            case "evaluator":
                return {"score": self.score(steps(request)), "reason": "so"}
            case _:
                return " ".join(steps(request))

    @property
    def asked(self) -> Counter[str]:
        return Counter(role_of(request) for request in self.model.requests)


def numbered(path: list[str], count: int = 3) -> list[str]:
    return [f"{path[-1] if path else 's'}{number}" for number in range(count)]


def first_best(path: list[str]) -> float:
    return (9 - int(path[-1][-1])) / 10


def thinker(tree: Tree, **settings: Any) -> Agent[Any, Any]:
    return Agent("thinker", tree.model, architecture=TreeOfThoughts(**settings))


@pytest.mark.parametrize(("b", "w", "depth"), [(3, 2, 3), (1, 1, 1), (2, 2, 4), (4, 1, 2), (2, 3, 2)])
async def test_the_calls_are_those_of_the_formula_and_fewer_where_a_level_has_fewer_paths(
    b: int, w: int, depth: int
) -> None:
    tree = Tree(lambda path: numbered(path, b), first_best)
    result = await thinker(tree, branch_factor=b, beam_width=w, max_depth=depth).run("Go.")
    beam, calls = 1, 1
    for _ in range(depth):
        calls += beam * (1 + b)
        beam = min(w, beam * b)
    assert sum(tree.asked.values()) == calls
    if w <= b:
        assert calls == 1 + b + (depth - 1) * w * (1 + b) + 1
    assert result.output == " ".join("s" + "0" * level for level in range(1, depth + 1))


def test_roles_are_told_what_they_are_and_shown_the_steps_so_far() -> None:
    tree = Tree(lambda path: numbered(path, 1), first_best)
    agent = thinker(tree, branch_factor=1, beam_width=1, max_depth=2).replace(instructions="Be brief.")
    agent.run_sync("Go {on}.")
    requests = tree.model.requests
    assert [role_of(request) for request in requests] == ["proposer", "evaluator", "proposer", "evaluator", "agent"]
    assert all(
        told(request).endswith("The author was given these instructions:\n\nBe brief.") for request in requests[:4]
    )
    assert said(requests[0]) == "<task>\nGo {on}.\n</task>\n\n<now>\nPropose the next step.\n</now>"
    assert said(requests[1]) == "<task>\nGo {on}.\n</task>\n\n<last_step>\ns0\n</last_step>"
    assert "<steps_so_far>\n1. s0\n</steps_so_far>" in said(requests[2])
    assert "<steps_so_far>\n1. s0\n</steps_so_far>\n\n<last_step>\ns00\n</last_step>" in said(requests[3])
    assert told(requests[4]) == "Be brief."
    assert "<best_steps>\n1. s0\n\n2. s00\n</best_steps>" in said(requests[4])


def test_the_best_paths_go_on_and_of_equal_ones_the_earlier() -> None:
    scores = {"s0": 0.5, "s1": 0.7, "s2": 0.7}
    tree = Tree(numbered, lambda path: scores.get(path[-1], 0.1))
    result = thinker(tree, max_depth=2).run_sync("Go.")
    beam = [[path.thoughts[-1].text for path in level.output.open] for level in result.node("prune")]
    assert beam == [["s1", "s2"], ["s10", "s11"]]
    assert result.output == "s1 s10"


def test_the_answer_comes_from_the_last_level_even_if_an_earlier_step_had_a_higher_score() -> None:
    tree = Tree(numbered, lambda path: 0.9 - 0.2 * len(path) + (0.1 if path[-1].endswith("2") else 0))
    assert thinker(tree).run_sync("Go.").output == "s2 s22 s222"


def test_steps_of_one_parent_that_say_the_same_are_scored_once_and_empty_ones_not_at_all() -> None:
    tree = Tree(lambda path: ["Turn  left", "turn left", " "], lambda path: 0.5)
    assert thinker(tree, max_depth=1).run_sync("Go.").output == "Turn  left"
    assert tree.asked == {"proposer": 1, "evaluator": 1, "agent": 1}


def test_it_stops_as_soon_as_a_step_solves_the_task() -> None:
    tree = Tree(numbered, lambda path: 1 if path[-1] == "s01" else 0.5)
    result = thinker(tree, max_depth=9).run_sync("Go.")
    assert result.output == "s0 s01"
    assert tree.asked["proposer"] == 1 + 2
    tree = Tree(numbered, first_best)
    assert thinker(tree, solved_threshold=0.9).run_sync("Go.").output == "s0"


def test_where_nothing_is_left_the_level_before_gives_the_answer() -> None:
    for grow in (lambda path: numbered(path) if len(path) < 2 else [], lambda path: numbered(path)):
        tree = Tree(grow, lambda path: first_best(path) if len(path) < 3 else 0.1)
        result = thinker(tree, max_depth=5, min_score=0.3).run_sync("Go.")
        assert result.output == "s0 s00"
        assert len(result.node("prune")) == 3


def test_a_tree_without_a_first_step_is_an_error_that_has_what_was_scored() -> None:
    tree = Tree(numbered, lambda path: 0.2)
    with pytest.raises(
        NodeFailedError, match=r"no step has a score of 0.5 or more \(the best of 3 first steps has 0.2"
    ) as caught:
        thinker(tree, min_score=0.5).run_sync("Go.")
    error = caught.value.__cause__
    assert isinstance(error, EmptyBeamError)
    assert [path.thoughts[0].text for path in error.paths] == ["s0", "s1", "s2"]
    with pytest.raises(NodeFailedError, match="no step was proposed"):
        thinker(Tree(lambda path: [], first_best)).run_sync("Go.")
    assert thinker(Tree(numbered, lambda path: 0.5), min_score=0.5, max_depth=1).run_sync("Go.").output == "s0"


def test_more_steps_than_were_asked_for_are_sent_back_and_then_fail_the_run() -> None:
    four = {"thoughts": ["a", "b", "c", "d"]}
    model = ScriptedModel([four, {"thoughts": ["a"]}, {"score": 1, "reason": ""}, "done"])
    assert Agent("thinker", model, architecture=TreeOfThoughts()).run_sync("Go.").output == "done"
    model = ScriptedModel([four, four])
    with pytest.raises(NodeFailedError) as caught:
        Agent("thinker", model, architecture=TreeOfThoughts()).run_sync("Go.")
    assert isinstance(caught.value.__cause__, OutputValidationError)

    tree = Tree(numbered, lambda path: first_best(path) if len(path) < 2 else 7)
    with pytest.raises(NodeFailedError) as caught:
        thinker(tree).run_sync("Go.")
    assert isinstance(caught.value.__cause__, OutputValidationError)
    assert [path.score for path in caught.value.finished["prune#0"].open] == [0.9, 0.8]


def test_depth_first_follows_the_best_step_down_and_comes_back_for_the_next() -> None:
    tree = Tree(numbered, first_best)
    result = thinker(tree, search="dfs").run_sync("Go.")
    went = [level.output[0].path.thoughts for level in result.node("branches")]
    assert [[thought.text for thought in thoughts][-1:] for thoughts in went] == [
        [],
        ["s0"],
        ["s00"],
        ["s01"],
        ["s1"],
        ["s10"],
        ["s11"],
    ]
    assert sum(tree.asked.values()) == (1 + 2 + 4) * (1 + 3) + 1
    assert result.output == "s0 s00 s000"

    stuck = Tree(lambda path: [] if path[:1] == ["s0"] else numbered(path), first_best)
    assert thinker(stuck, search="dfs", beam_width=1).run_sync("Go.").output == "s0"
    assert thinker(stuck, search="dfs", max_depth=2).run_sync("Go.").output == "s1 s10"
    with pytest.raises(NodeFailedError, match="no step was proposed"):
        thinker(Tree(lambda path: [], first_best), search="dfs").run_sync("Go.")


def test_the_answer_may_take_tools() -> None:
    def answer(request: ModelRequest) -> Any:
        return play.answer(request) if role_of(request) != "agent" else looked_up(request) or LOOKING

    play = PLAYS["tree_of_thoughts"]
    model = replying(answer)
    agent = Agent("walker", model, tools=[look_up], architecture=TreeOfThoughts())
    assert agent.run_sync("Where?").output == "ROME OSLO"
    assert [bool(request.tools) for request in model.requests if role_of(request) == "agent"] == [True, True]
    assert not any(request.tools for request in model.requests if role_of(request) != "agent")


@pytest.mark.parametrize(("limit", "most", "seconds"), [(None, 6, 2 * 2 + 1), (2, 2, 1 + 2 + 4 + 1), (1, 1, 4 + 8 + 1)])
def test_it_takes_as_long_as_its_longest_path_of_calls_and_keeps_to_the_limit_of_the_run(
    limit: int | None, most: int, seconds: int
) -> None:
    tree = Tree(numbered, first_best)
    now: list[int] = []

    async def second(request: ModelRequest) -> None:
        now.append(now[-1] + 1 if now else 1)
        await spend(1)
        now.append(now[-1] - 1)

    async def timed() -> float:
        agent = Agent("thinker", Speaker(tree.answer, second), architecture=TreeOfThoughts(max_depth=2))
        began = trio.current_time()
        assert (await agent.run("Go.", limit=limit)).output == "s0 s00"
        return trio.current_time() - began

    assert virtually(timed) == seconds
    assert max(now) == most


def test_settings_that_cannot_be_meant_are_refused() -> None:
    refused: list[dict[str, Any]] = [
        {"branch_factor": 0},
        {"beam_width": 0},
        {"max_depth": 0},
        {"min_score": -0.1},
        {"solved_threshold": 2},
        {"search": "a*"},
    ]
    for settings in refused:
        with pytest.raises(DefinitionError):
            TreeOfThoughts(**settings)


def test_the_drawing_shows_the_level_and_inside_it_every_call() -> None:
    drawn = Agent("thinker", "echo", architecture=TreeOfThoughts()).to_mermaid(depth=0)
    for line in (
        'n4{{"branch<br/>⁂ each item<br/>graph of 2 nodes"}}',
        'n5 ==>|"Growing ↺ ≤ 3"| n2',
        'n5 -->|"Grown"| n6',
        'n2 -.->|"at the cap of 3"| n6',
        "n6 --> n7",
    ):
        assert f"    {line}\n" in drawn
    whole = Agent("thinker", "echo", architecture=TreeOfThoughts()).to_mermaid()
    assert [whole.count(f'["{name}"]') for name in ("model", "siblings", "score", "prune")] == [3, 1, 1, 1]
