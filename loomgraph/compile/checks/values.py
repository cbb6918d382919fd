"""What travels along each edge and what its target takes: types, and how many values a node needs."""

from __future__ import annotations

import collections.abc
import types
import typing
from collections.abc import Iterator
from typing import Any

from loomgraph.compile.checks.view import GraphView, listed
from loomgraph.compile.shapes import args_as, is_union, list_of, members, open_alias, origin_args, union
from loomgraph.compile.types import assignable
from loomgraph.errors import Finding
from loomgraph.graph.definition import EdgeDef, NodeDef
from loomgraph.graph.refs import END_INDEX, START_INDEX
from loomgraph.graph.signature import EMPTY, describe_type

__all__ = ["item_type", "mismatch", "value_checks"]


def value_checks(view: GraphView) -> Iterator[Finding]:
    """Findings about plain edges; the members of joins have checks of their own."""
    for target in (*range(len(view.definition.nodes)), END_INDEX):
        edges = [edge for edge in view.into[target] if edge.join is None and edge.kind != "cap"]
        if not edges:
            continue
        node = view.definition.nodes[target] if target >= 0 else None
        arity = None if node is None else _arity(view, node, edges)
        if arity is not None:
            yield arity
            continue
        for edge in edges:
            problem = mismatch(view, edge, view.carried[edge.index], target)
            if problem is not None:
                yield problem
    yield from _landings(view)


def _arity(view: GraphView, node: NodeDef, edges: list[EdgeDef]) -> Finding | None:
    """Why a node cannot be called with the one value of a plain edge, if so."""
    required = node.signature.required
    if len(required) > 1:
        names = listed(f"'{param.name}'" for param in required)
        sources = [edge.source for edge in edges]
        bound = ", ".join(
            f'"{param.name}": {view.say(sources[i]) if i < len(sources) else "..."}' for i, param in enumerate(required)
        )
        return Finding(
            "wrong-arity",
            f"'{node.name}' needs {names}, but the edge {view.say_edge(edges[0])} brings one value",
            f"Join what it needs, by parameter: wf.join({{{bound}}}, into='{node.name}').",
            view.named(node.index, *sources),
        )
    if node.signature.params:
        return None
    for edge in edges:
        carried = view.carried[edge.index]
        if carried is not Any and not assignable(carried, types.NoneType):
            return Finding(
                "wrong-arity",
                f"'{node.name}' takes no value, but the edge {view.say_edge(edge)} brings {describe_type(carried)}, "
                f"which would be lost",
                f"Give it a parameter: def {_identifier(node.name)}(value: {describe_type(carried)}).",
                view.named(node.index, edge.source),
            )
    return None


def _identifier(name: str) -> str:
    return name if name.isidentifier() else "node"


def mismatch(view: GraphView, edge: EdgeDef, carried: Any, target: int) -> Finding | None:
    """Why one value of type `carried` cannot go into a node as it is, or into END; None if it can."""
    node = None if target == END_INDEX else view.definition.nodes[target]
    param = None if node is None else node.signature.primary
    wanted = view.definition.output if node is None else Any if param is None else param.type
    mapped = param is not None and node is not None and node.map is not None
    given = item_type(carried) if mapped else carried
    no_list = mapped and given is None  # a workflow without an input gives None, which is a type here
    if wanted is EMPTY or (not no_list and assignable(given, wanted)):
        return None
    if isinstance(edge.source, int) and edge.source >= 0 and view.definition.nodes[edge.source].signature.problems:
        return None  # it cannot be a node, and what it would give changes when that is mended
    if node is None or param is None:
        return _edge_type(view, edge, carried, wanted, f"the workflow's output is {describe_type(wanted)}")
    if no_list:
        return Finding(
            "edge-type",
            f"{_brings(view, edge, carried)}, but '{node.name}' is a map and takes a list",
            f"Let {view.say(edge.source)} give list[{describe_type(carried)}], or use wf.edge instead of wf.map.",
            view.named(edge.source, edge.target),
        )
    if mapped:
        takes = f"the map '{node.name}' takes items {param.name}: {describe_type(wanted)}"
        return _edge_type(view, edge, carried, list_of(wanted), takes)
    takes = f"'{node.name}' takes {param.name}: {describe_type(wanted)}"
    item = item_type(carried)
    if item is not None and item is not Any and assignable(item, wanted):
        return Finding(
            "edge-type",
            f"{_brings(view, edge, carried)}, but {takes}",
            f"To run it once per item, write wf.map({view.say(edge.source)}, '{node.name}') instead of wf.edge.",
            view.named(edge.source, edge.target),
        )
    return _edge_type(view, edge, carried, wanted, takes)


def _brings(view: GraphView, edge: EdgeDef, carried: Any) -> str:
    text = describe_type(carried)
    if edge.kind == "error":
        return f"wf.on_error({view.say(edge.source)}, {view.say(edge.target)}) brings a Failure"
    if edge.source == START_INDEX:
        return f"START gives the run's input, {text}"
    if edge.when is not None:
        return f"the edge {view.say_edge(edge)} with when={edge.when.label} brings {text}"
    return f"{view.say(edge.source)} gives {text}"


def _edge_type(view: GraphView, edge: EdgeDef, carried: Any, wanted: Any, takes: str) -> Finding:
    source, target = view.say(edge.source), view.say(edge.target)
    refused = [arm for arm in members(carried) if not assignable(arm, wanted)] if is_union(open_alias(carried)) else []
    if edge.kind == "error":
        remedy = "Annotate the handler's parameter as Failure (from loomgraph import Failure)."
        if edge.target == END_INDEX:
            remedy = "Send the failure to a handler that makes a result of it, and that one to END."
    elif refused and len(refused) < len(members(carried)):
        one = describe_type(refused[0])
        arms = listed(describe_type(arm) for arm in refused)
        remedy = (
            f"{arms} {'has' if len(refused) == 1 else 'have'} nowhere to go: add wf.edge({source}, ..., when={one}) "
            f"and restrict this edge with when=; or let {target} take {'it' if len(refused) == 1 else 'them'}."
        )
    else:
        take = f"let {target} take {describe_type(carried)}"
        if edge.target == END_INDEX:
            take = f"declare Workflow(..., output={describe_type(carried)})"
        give = f"let {source} give {describe_type(wanted)}"
        if edge.source == START_INDEX:
            give = f"declare Workflow(..., input={describe_type(wanted)})"
        remedy = f"{take[0].upper()}{take[1:]}, or {give}, or put a node between them that converts."
    return Finding(
        "edge-type",
        f"{_brings(view, edge, carried)}, but {takes}",
        remedy,
        view.named(edge.source, edge.target),
    )


def item_type(tp: Any) -> Any:
    """What one item of a list-like type is; None if a value of it may be no list, tuple or set."""
    tp = open_alias(tp)
    if tp is Any or tp is typing.Never:
        return Any
    if is_union(tp):
        items = [item_type(arm) for arm in typing.get_args(tp)]
        return None if any(item is None for item in items) else union(items)
    kind, _ = origin_args(tp)
    if not isinstance(kind, type) or issubclass(kind, (str, bytes)):
        return None
    if not issubclass(kind, (collections.abc.Sequence, collections.abc.Set)):
        return None
    found = args_as(tp, collections.abc.Iterable) if kind is not tuple else args_as(tp, collections.abc.Sequence)
    return found[0] if found else Any


def _landings(view: GraphView) -> Iterator[Finding]:
    """Where a loop goes at its cap is given what its header would have been given again."""
    for region in view.nest.regions[1:] if view.nest is not None else ():
        if region.cap_edge is None or region.header is None:
            continue
        landing = view.definition.edges[region.cap_edge]
        if isinstance(landing.target, str) or landing.target == START_INDEX:
            continue
        back = [view.definition.edges[e] for e in region.back_edges]
        plain = [edge for edge in back if edge.join is None and not isinstance(edge.source, str)]
        node = view.definition.nodes[landing.target] if landing.target >= 0 else None
        if plain and node is not None:
            arity = _arity(view, node, plain)
            if arity is not None:
                yield arity
                continue
        for edge in plain:
            carried = view.carried[edge.index]
            if mismatch(view, edge, carried, landing.target) is not None:
                header, target = view.say(region.header), view.say(landing.target)
                yield Finding(
                    "on-cap-type",
                    f"at the cap of the loop at {header}, {target} is given what the edge {view.say_edge(edge)} "
                    f"carries, {describe_type(carried)}, which it does not take",
                    f"Let {target} take what {header} takes, or name another node as on_cap=.",
                    view.named(landing.target, edge.source),
                )
