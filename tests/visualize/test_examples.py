"""Every example that can be drawn is read back by the real mermaid and laid out by the real Graphviz, whole."""

from __future__ import annotations

import inspect
import runpy
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from loomgraph import Agent, Graph, Workflow
from loomgraph.models.scripted import ScriptedModel
from loomgraph.visualize import diagram, to_dot, to_mermaid
from tests.visualize.graphs import scopes
from tests.visualize.real_graphviz import Render, laid_out
from tests.visualize.real_mermaid import RealMermaid, shown
from tests.visualize.test_random import edges_of, text_of

EXAMPLES = Path(__file__).parents[2] / "examples"
MADE = ("Workflow", "Graph", "Agent")
PROGRAMS = sorted([*EXAMPLES.glob("[0-9]*.py"), *(EXAMPLES / "architectures").glob("[a-z]*.py")])


def graphs(path: Path) -> list[Any]:
    """What an example has at its top level, and what its functions make; an agent as its graph."""
    found: list[Any] = []
    for value in runpy.run_path(str(path), run_name="example").values():
        if inspect.isfunction(value) and str(value.__annotations__.get("return", "")).startswith(MADE):
            found.append(value(*(given(p) for p in inspect.signature(value).parameters.values() if needed(p))))
        elif isinstance(value, (Graph, Workflow, Agent)):
            found.append(value)
    return [thing.graph if isinstance(thing, Agent) else thing for thing in found]


def needed(param: inspect.Parameter) -> bool:
    return param.default is param.empty


def given(param: inspect.Parameter) -> Any:
    """What a function that makes an agent is given: models that are never asked; else names of nodes."""
    if "Model" not in str(param.annotation):
        return "double"
    model = ScriptedModel([])
    some = {"one": model, "two": model, "judge": model}
    return defaultdict(lambda: model, some) if "dict" in str(param.annotation) else model


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_an_examples_drawing_has_every_edge_it_declares(
    path: Path, mermaid: RealMermaid, renderers: dict[str, Render]
) -> None:
    dot = renderers.get("dot")
    for drawable in graphs(path):
        definition = drawable.definition if isinstance(drawable, Graph) else drawable.define()
        drawn = diagram(definition, max_edges=100_000)
        declared = sum(len(scope.edges) for scope in scopes(definition))
        assert sum(edge.declared is not None for edge in drawn.edges) >= declared
        found = mermaid.parse(to_mermaid(drawn))
        assert {v["id"]: shown(v["text"]) for v in found["vertices"]} == {n.id: text_of(n) for n in drawn.nodes}
        assert Counter((e["start"], e["end"], shown(e["text"])) for e in found["edges"]) == edges_of(drawn)
        if dot is not None:
            laid = laid_out(dot, to_dot(drawn))
            assert Counter((a, b) for a, b, _ in laid.edges) == Counter((e.source, e.target) for e in drawn.edges)


def test_most_examples_have_something_to_draw() -> None:
    assert sum(bool(graphs(path)) for path in PROGRAMS) >= len(PROGRAMS) - 3
