"""Claims about every architecture: what it costs, what it is told, what timing can change, what a spent budget leaves.

Each is run as the play in `tests/architectures/plays` of its name.
"""

from __future__ import annotations

import random
import re
from collections import Counter

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomgraph import Budget, NodeFailedError
from loomgraph.architectures import architecture_names, resolve_architecture
from loomgraph.errors import BudgetExceededError
from loomgraph.graph.definition import Definition, GraphBody
from loomgraph.models import ModelRequest
from loomgraph.testing.interleave import Turnstile
from loomgraph.visualize.svg import system_dot, wasm_dot
from tests.architectures.stage import PLAYS, Play, Speaker, said, told
from tests.properties.budget import examples

HARSH = "{x} {{y}} {0} %s %(z)s $w ${v} {% if u %} \"q\" 'r' \\n </task> ]]> `t`"

all_plays = pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS)


@all_plays
@pytest.mark.anyio
async def test_it_comes_to_its_answer_with_as_many_calls_as_its_formula_says(play: Play) -> None:
    model = Speaker(play.answer)
    result = await play.agent(model).run(play.task)
    assert result.output == play.output
    assert len(model.requests) == result.usage.model_calls == play.calls
    models = [record for record in result.activations if record.path[-1] == "model" and record.status == "succeeded"]
    assert len(models) == play.calls, "every call of a model is a node of its own"


@all_plays
@pytest.mark.anyio
async def test_text_with_braces_quotes_and_template_syntax_reaches_the_models_as_it_is(play: Play) -> None:
    if not isinstance(play.task, str):
        pytest.skip("its task is no text")
    model = Speaker(play.answer)
    agent = play.agent(model)
    hard = agent.replace(instructions=f"{agent.instructions} {HARSH}") if isinstance(agent.instructions, str) else agent
    result = await hard.run(f"{play.task} {HARSH}")
    assert result.output == play.output
    assert any(HARSH in told(request) for request in model.requests)
    asked = [request for request in model.requests if HARSH in said(request)]
    assert asked == model.requests, "every role is shown the task"


@all_plays
@pytest.mark.anyio
async def test_a_spent_budget_stops_it_before_the_call_and_keeps_what_was_finished(play: Play) -> None:
    model = Speaker(play.answer)
    with pytest.raises(NodeFailedError) as caught:
        await play.agent(model).run(play.task, budget=Budget(model_calls=play.calls - 1))
    assert isinstance(caught.value.__cause__, BudgetExceededError)
    assert len(model.requests) == play.calls - 1
    answered = [key for key in caught.value.finished if key.rpartition("/")[2].partition("#")[0] == "model"]
    assert len(answered) >= play.calls - play.width


@all_plays
@examples(3)
@given(seed=st.integers(0, 9_999))
def test_timing_changes_nothing(play: Play, seed: int) -> None:
    turnstile = Turnstile(random.Random(seed).randrange)

    async def turn(request: ModelRequest) -> None:
        await turnstile.turn(said(request)[:20])

    agent = play.agent(Speaker(play.answer, turn))

    async def work() -> None:
        result = await agent.run(play.task)
        assert result.output == play.output
        assert result.usage.model_calls == play.calls

    anyio.run(turnstile.drive, work)


@all_plays
def test_every_node_that_ran_is_in_the_drawings(play: Play) -> None:
    agent = play.agent(Speaker(play.answer))
    result = agent.run_sync(play.task)
    # of a graph that was made at run time, the drawing has what it said that it would run
    ran = {record.path[-1] for record in result.activations if not any(name.startswith("@") for name in record.path)}
    mermaid, svg = agent.to_mermaid(), agent.to_svg()
    for name in ran:
        assert f'"{name}' in mermaid
        assert f">{name}<" in svg
    assert "✓" in agent.to_mermaid(result)


def inner(definition: Definition) -> Counter[str]:
    """The names of all nodes that are no graphs themselves, in all the graphs inside."""
    found: Counter[str] = Counter()
    for node in definition.nodes:
        if isinstance(node.body, GraphBody):
            found += inner(node.body.graph.definition)
        else:
            found[node.name] += 1
    return found


@all_plays
def test_its_drawings_show_its_inner_nodes_down_to_each_call_of_a_model(play: Play) -> None:
    agent = play.agent(Speaker(play.answer))
    nodes = inner(agent.graph.definition)
    assert nodes["model"]
    drawn = agent.to_mermaid()
    for name, count in nodes.items():
        boxes = re.findall(rf'^ +n\d+[\[({{/]+"{re.escape(name)}(?:<br/>[^"]*)?"', drawn, re.MULTILINE)
        assert len(boxes) >= count, name  # and those of what a node runs inside itself
    if system_dot() is None and wasm_dot() is None:
        pytest.skip("there is no Graphviz to draw an SVG with")
    picture = agent.to_svg()
    for name, count in nodes.items():
        assert picture.count(f">{name}</text>") >= count, name


def test_a_name_in_kebab_case_is_enough_for_those_that_need_no_other_agents() -> None:
    for name in architecture_names():
        assert resolve_architecture(name).name == name
