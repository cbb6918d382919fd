"""A graph's structure as plain data, and a graph again from it: what a log keeps of the graph that wrote it.

With it a log can be folded where the code of then is gone, and two versions of a graph be compared node by node. Code
and types are marks in it, never text: a rebuilt graph says what led where, and refuses to run.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final, cast

from pydantic import BaseModel

from loomgraph.compile.compiled import CompiledGraph
from loomgraph.compile.fingerprint import condition_mark, graph_types, node_marks, state_marks
from loomgraph.compile.nest import find_nest
from loomgraph.compile.plan import make_plan
from loomgraph.compile.types import admits_none
from loomgraph.errors import DefinitionError
from loomgraph.graph.condition import Condition
from loomgraph.graph.definition import (
    Definition,
    EdgeDef,
    FunctionBody,
    GraphBody,
    JoinDef,
    JoinMember,
    LoopDef,
    NodeDef,
)
from loomgraph.graph.policy import MapSpec, Quorum, Wait
from loomgraph.graph.signature import Param, Signature, Style
from loomgraph.graph.state import StateSpec, Updates

__all__ = ["FORMAT", "Blueprint", "TracedState", "blueprint_of", "is_blueprint", "rebuilt"]

FORMAT: Final = 2
"""Of the data below; the first logs kept less, see `is_blueprint`."""

Blueprint = dict[str, Any]
"""Plain JSON data: name, types, nodes, edges, joins, loops and state; lists by position, as `_Node` and `_Edge` say."""

_STYLES: tuple[Style, ...] = ("async", "sync", "graph")


class _Some:
    """Stands for any type that does not admit None."""


def blueprint_of(definition: Definition) -> Blueprint:
    """The structure of a resolved definition. Reads the nodes' sources for their marks."""
    return {
        "format": FORMAT,
        "name": definition.name,
        "types": graph_types(definition),
        "optional": admits_none(definition.output),
        "drains": definition.on_failure == "drain",
        "nodes": [_node(node) for node in definition.nodes],
        "edges": [_edge(edge) for edge in definition.edges],
        "joins": [[j.target, [[m.edge, m.param] for m in j.members], _wait(j.wait)] for j in definition.joins],
        "loops": [
            [list(p.nodes), p.header, p.on_cap, list(p.include)]
            for p in definition.loops
            if p.header is not None or p.on_cap is not None or p.include  # caps are no part of what a graph means
        ],
        "state": None if definition.state is None else _state(definition.state),
    }


def is_blueprint(data: Any) -> bool:
    """Whether a log has a blueprint; the first ones had the names of nodes and edges only."""
    return bool(data.get("format") == FORMAT)


def rebuilt(blueprint: Blueprint) -> CompiledGraph:
    """A graph of the same structure; its nodes have no code, its types are unknown, its metadata has the blueprint."""
    state = blueprint["state"]
    definition = Definition(
        name=blueprint["name"],
        input=Any,
        output=Any if blueprint["optional"] else _Some,
        nodes=tuple(_node_again(index, fields) for index, fields in enumerate(blueprint["nodes"])),
        edges=tuple(_edge_again(index, fields) for index, fields in enumerate(blueprint["edges"])),
        joins=tuple(_join_again(index, fields) for index, fields in enumerate(blueprint["joins"])),
        loops=tuple(_loop_again(fields) for fields in blueprint["loops"]),
        state=None if state is None else TracedState(frozenset(name for name, reduces in state[2] if reduces)),
        on_failure="drain" if blueprint["drains"] else "cancel",
        metadata={"blueprint": blueprint},
    )
    nest = find_nest(definition)
    plan = make_plan(definition, nest)
    for region in plan.regions:
        region.cap = sys.maxsize  # caps are no part of a blueprint: a log says how often a loop went round
    return _Rebuilt(definition, nest, plan)


class _Rebuilt(CompiledGraph):
    @cached_property
    def fingerprint(self) -> str:
        return ""  # of code that is not here


class TracedState(StateSpec):
    """Instead of a state, what was written to it: for each field a hash over its writes, in order.

    Equal hashes mean that the same was written in the same order, and so, with the same reducers, the same state.
    Values given to it are hashes already. Calls no reducer.
    """

    def __init__(self, reducing: frozenset[str]) -> None:
        super().__init__(BaseModel, {}, dict.fromkeys(reducing, _never), frozenset())

    def fold(self, base: dict[str, Any], updates: Iterable[tuple[str, Updates]]) -> dict[str, Any]:
        fields = dict(base)
        for _, writes in updates:
            for name, value in writes:
                fields[name] = _link(fields.get(name, ""), value) if name in self.reducers else value
        return fields


def _never(current: Any, more: Any) -> Any:
    raise AssertionError("a traced state reduces nothing")


def _link(before: str, value: str) -> str:
    return hashlib.blake2b(f"{before}>{value}".encode(), digest_size=16).hexdigest()


def _state(spec: StateSpec) -> list[Any]:
    return [*state_marks(spec), [[name, int(name in spec.reducers)] for name in spec.model.model_fields]]


# ---------------------------------------------------------------------- nodes: name, mark, types, style, context,
# params, map, effect, graph


def _node(node: NodeDef) -> list[Any]:
    mark, types = node_marks(node)
    signature = node.signature
    params = [[p.name, int(p.required), int(admits_none(p.type))] for p in signature.params]
    spec = node.map
    return [
        node.name,
        mark,
        types,
        _STYLES.index(signature.style),
        int(signature.context is not None),
        params,
        None if spec is None else [spec.on_error, _wait(spec.wait)],
        int(node.effect == "once"),
        blueprint_of(node.body.graph.definition) if isinstance(node.body, GraphBody) else None,
    ]


def _node_again(index: int, fields: list[Any]) -> NodeDef:
    name, _, _, _, context, params, spec, once, graph = fields
    style = _STYLES[int(fields[3])]
    values = tuple(Param(param, Any if nullable else _Some, bool(required)) for param, required, nullable in params)
    signature = Signature(values, Any, style, "ctx" if context else None)
    return NodeDef(
        index,
        name,
        FunctionBody(_absent) if graph is None else GraphBody(cast(Any, rebuilt(graph))),
        signature,
        map=None if spec is None else MapSpec(on_error=spec[0], wait=_wait_again(spec[1])),
        effect="once" if once else "repeat",
    )


def _absent(*_: Any, **__: Any) -> Any:
    raise DefinitionError("a graph that was rebuilt from a log has no code, so it cannot run; use the graph itself.")


# ---------------------------------------------------------------------- edges: source, target, kind, label, mark,
# errors, exit, join


def _edge(edge: EdgeDef) -> list[Any]:
    when = edge.when
    label, mark = (None, None) if when is None else (when.label, condition_mark(edge))
    errors = [error.__qualname__ for error in edge.errors]
    latest = None if edge.exit == "strict" else edge.exit
    fields: list[Any] = [edge.source, edge.target, edge.kind, label, mark, errors or None, latest, edge.join]
    while fields[-1] is None:
        fields.pop()
    return fields


def _edge_again(index: int, written: list[Any]) -> EdgeDef:
    source, target, kind = written[:3]
    label, _, _, exit, join = [*written[3:], *[None] * 5][:5]
    when = None if label is None else Condition("predicate", _absent, label)
    return EdgeDef(index, source, target, kind, when, exit=exit or "strict", join=join)


def _join_again(index: int, fields: list[Any]) -> JoinDef:
    target, members, wait = fields
    return JoinDef(index, target, tuple(JoinMember(edge, param) for edge, param in members), _wait_again(wait))


def _loop_again(fields: list[Any]) -> LoopDef:
    nodes, header, on_cap, include = fields
    return LoopDef(tuple(nodes), header, None, on_cap, tuple(include))


def _wait(wait: Wait) -> Any:
    return wait.k if isinstance(wait, Quorum) else wait


def _wait_again(written: Any) -> Wait:
    return Quorum(written) if isinstance(written, int) else cast(Wait, written)
