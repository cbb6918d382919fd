"""Claims about blueprints: a graph rebuilt from one goes the same ways, though it has no code."""

from __future__ import annotations

import json
import operator
from typing import Annotated, Any

import pytest
from hypothesis import assume, given
from pydantic import BaseModel

from loomgraph import END, START, Context, Workflow
from loomgraph.compile.blueprint import blueprint_of, rebuilt
from loomgraph.compile.compiled import CompiledGraph, compile_definition
from loomgraph.compile.plan import Plan
from loomgraph.errors import CompileError, DefinitionError
from loomgraph.graph.builder import Builder
from loomgraph.graph.definition import FunctionBody
from loomgraph.runtime.graph import Graph
from tests.properties.budget import examples
from tests.properties.strategies import specs
from tests.properties.workflows import Spec, build


def compiled(spec: Spec) -> CompiledGraph:
    def embedded(nested: Builder) -> Graph[Any, Any]:
        return Graph(compile_definition(nested.define()))

    try:
        return embedded(build(spec, None, embedded)).__loomgraph_embed__()
    except CompileError:
        assume(False)
        raise


def arrays(plan: Plan) -> Any:
    """What the machine walks, without the code, the types and the caps."""
    regions = [
        (r.parent, r.header, r.cap_edge, r.units, r.inner, r.reset, r.barren, r.exits, r.path) for r in plan.regions
    ]
    joins = [
        (j.target, j.edges, j.slots, j.need, j.first, j.required, j.nullable, j.home, plan.feeding.of(j.index))
        for j in plan.joins
    ]
    maps = [m and (m.on_error, m.wait) for m in plan.maps]
    order = plan.order and (plan.order.node, plan.order.region)
    graphs = [g and arrays(g.plan) for g in plan.graphs]
    edges = (plan.src, plan.dst, plan.leaves, plan.back_of, plan.latest, plan.join_of, plan.early_of, plan.plain)
    ways = (plan.out_normal, plan.out_error, plan.start_edges, plan.pending, plan.region_of, plan.always)
    return plan.names, edges, ways, regions, joins, maps, order, graphs


@given(specs(early=True))
@examples(60)
def test_a_graph_rebuilt_from_its_blueprint_has_the_same_plan(spec: Spec) -> None:
    graph = compiled(spec)
    written = json.loads(json.dumps(blueprint_of(graph.definition)))
    assert arrays(rebuilt(written).plan) == arrays(graph.plan)


def make(**changed: Any) -> CompiledGraph:
    class State(BaseModel):
        notes: Annotated[list[str], operator.add] = changed.get("default", [])

    wf = Workflow("marked", input=int, output=str, state=State)

    @wf.node(version=changed.get("version", "1"))
    async def first(value: int, ctx: Context) -> int:
        return value

    @wf.node(version="1", name=changed.get("name", "second"))
    async def second(value: Any) -> str:
        return str(value)

    wf.edge(START, first)
    wf.edge(first, second, when=changed.get("when", int))
    wf.edge(second, END)
    return wf.compile().__loomgraph_embed__()


def test_a_blueprint_marks_what_a_node_does_and_not_what_it_is_called() -> None:
    was, renamed = blueprint_of(make().definition), blueprint_of(make(name="other").definition)
    assert was["nodes"][1][0] == "second"
    assert renamed["nodes"][1] == ["other", *was["nodes"][1][1:]]
    changed = blueprint_of(make(version="2").definition)
    assert changed["nodes"][0][1] != was["nodes"][0][1]
    assert changed["nodes"][0][2:] == was["nodes"][0][2:]
    assert changed["edges"] == was["edges"]


@pytest.mark.parametrize(("part", "changes"), [("edges", {"when": lambda value: True}), ("state", {"default": ["a"]})])
def test_a_blueprint_marks_conditions_and_the_state(part: str, changes: dict[str, Any]) -> None:
    was, now = blueprint_of(make().definition), blueprint_of(make(**changes).definition)
    assert {key for key in was if was[key] != now[key]} == {part}


def test_a_rebuilt_graph_refuses_to_run() -> None:
    body = rebuilt(blueprint_of(make().definition)).definition.nodes[0].body
    assert isinstance(body, FunctionBody)
    with pytest.raises(DefinitionError, match="rebuilt from a log has no code"):
        body.fn()
