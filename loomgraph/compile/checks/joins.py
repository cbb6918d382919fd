"""Joins: what they bind, with which types, and whether they can be met. Who may be skipped is not looked at here."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from loomgraph.compile.checks.values import mismatch
from loomgraph.compile.checks.view import GraphView, listed
from loomgraph.compile.nest import ROOT
from loomgraph.compile.shapes import list_of, union
from loomgraph.compile.types import admits_none, assignable
from loomgraph.errors import Finding
from loomgraph.graph.definition import EdgeDef, JoinDef, NodeDef
from loomgraph.graph.policy import Quorum
from loomgraph.graph.signature import EMPTY, Param, describe_type

__all__ = ["join_checks"]


def join_checks(view: GraphView) -> Iterator[Finding]:
    """Findings about each join for itself; linear in its members."""
    for join in view.definition.joins:
        if isinstance(join.target, str):
            continue
        yield from _quorum(view, join)
        if view.nest is not None and len(view.nest.regions) > 1:
            yield from _mixed(view, join)
        yield from _bound(view, join, join.target)
    for region in view.nest.regions[1:] if view.nest is not None else ():
        if region.cap_edge is None:
            continue
        target = view.definition.edges[region.cap_edge].target
        joins = {view.definition.edges[e].join for e in region.back_edges} - {None}
        if isinstance(target, int) and target != region.header:
            for index in sorted(join for join in joins if join is not None):
                yield from _bound(view, view.definition.joins[index], target)


def _quorum(view: GraphView, join: JoinDef) -> Iterator[Finding]:
    if isinstance(join.wait, Quorum) and join.wait.k > len(join.members):
        count = len(join.members)
        yield Finding(
            "quorum-too-large",
            f"the join into {view.say(join.target)} waits for {join.wait.k} members but has {count}",
            f"Use wait=Quorum({count}) at most, or leave wait= out to wait for all.",
            view.named(join.target),
        )


def _mixed(view: GraphView, join: JoinDef) -> Iterator[Finding]:
    back = [edge for edge in _edges(view, join) if view.back_of[edge.index] != ROOT]
    entering = [edge for edge in _edges(view, join) if view.back_of[edge.index] == ROOT]
    if back and entering:
        header = view.say(join.target)
        yield Finding(
            "mixed-join",
            f"the join into {header} mixes members that enter the loop ({_sources(view, entering)}) with members that "
            f"come round again ({_sources(view, back)}), and these never meet",
            f"Give {header} a plain edge, or a join of its own, from each of the two sides.",
            view.named(join.target, *(edge.source for edge in (*entering, *back))),
        )


def _edges(view: GraphView, join: JoinDef) -> list[EdgeDef]:
    return [view.definition.edges[member.edge] for member in join.members]


def _sources(view: GraphView, edges: list[EdgeDef]) -> str:
    return listed(view.say(edge.source) for edge in edges)


def _bound(view: GraphView, join: JoinDef, target: int) -> Iterator[Finding]:
    """What the members bind, were the join one into `target`."""
    node = view.definition.nodes[target] if target >= 0 else None
    if join.wait == "first":
        yield from _first(view, join, target, node)
    elif join.members[0].param is None:
        yield from _list(view, join, target, node)
    elif node is None or node.map is not None:
        what = "END" if node is None else f"the map '{node.name}'"
        yield Finding(
            "join-by-name",
            f"the join into {what} names parameters, but {what} takes one value",
            f"Join into a node first, or give a list: wf.join([...], into={view.say(target)}).",
            view.named(target),
        )
    else:
        yield from _by_name(view, join, node)


def _first(view: GraphView, join: JoinDef, target: int, node: NodeDef | None) -> Iterator[Finding]:
    if node is not None:
        primary = node.signature.primary
        asked = [] if join.by_name else [member.param for member in join.members if member.param is not None]
        wrong = sorted(set(asked) - {primary.name if primary is not None else ""})
        needs = listed(f"'{param.name}'" for param in node.signature.required)
        but = f"it names {listed(map(repr, wrong))}" if wrong else f"'{node.name}' needs {needs}"
        if len(node.signature.required) > 1 or wrong:
            yield Finding(
                "wrong-arity",
                f"the join into '{node.name}' with wait=\"first\" brings one value, but {but}",
                "Leave wait= out to wait for all members, or join into a node that takes one value.",
                view.named(node.index),
            )
            return
    for edge in _edges(view, join):
        problem = mismatch(view, edge, view.carried[edge.index], target)
        if problem is not None:
            yield problem


def _list(view: GraphView, join: JoinDef, target: int, node: NodeDef | None) -> Iterator[Finding]:
    """A join into one list: of the node's one parameter, of a map's items, or of the output."""
    primary = None if node is None else node.signature.primary
    if node is not None and (primary is None or len(node.signature.required) > 1):
        needs = "takes no value" if primary is None else "needs several values"
        yield Finding(
            "wrong-arity",
            f"'{node.name}' {needs}, but a join brings it one list",
            f"Give '{node.name}' one parameter of type list[...].",
            view.named(node.index),
        )
        return
    wanted = view.definition.output if primary is None else primary.type
    if wanted is EMPTY:
        return
    mapped = node is not None and node.map is not None
    whole = mapped or assignable(list, wanted)
    carried = [view.carried[member.edge] for member in join.members]
    if whole and all(assignable(tp if mapped else list_of(tp), wanted) for tp in _distinct(carried)):
        return
    takes = f"the workflow's output is {describe_type(wanted)}"
    if node is not None and primary is not None:
        takes = f"{'the map ' if mapped else ''}'{node.name}' takes {primary.name}: {describe_type(wanted)}"
    if whole:
        for edge, tp in zip(_edges(view, join), carried, strict=True):
            if not assignable(tp if mapped else list_of(tp), wanted):
                yield _member_type(view, join, edge, tp, takes)
        return
    made = describe_type(list_of(union(carried)))
    mend = ("Declare Workflow(..., output=", ")") if node is None else (f"Let '{node.name}' take ", "")
    yield Finding(
        "join-type",
        f"a join into {view.say(target)} makes a list, {made}, but {takes}",
        f'{made.join(mend)}; or, for "one of these", use plain edges instead of a join.',
        view.named(join.target),
    )


def _distinct(types: list[Any]) -> list[Any]:
    """Without repetitions one after the other, which are the rule among members of one join."""
    return [tp for position, tp in enumerate(types) if not position or tp is not types[position - 1]]


def _member_type(view: GraphView, join: JoinDef, edge: EdgeDef, carried: Any, takes: str) -> Finding:
    return Finding(
        "join-type",
        f"{view.say(edge.source)} brings {describe_type(carried)} into the join, but {takes}",
        "Change one of the two annotations, or put a node between them that converts.",
        view.named(edge.source, join.target),
    )


def _by_name(view: GraphView, join: JoinDef, node: NodeDef) -> Iterator[Finding]:
    params = {param.name: param for param in node.signature.params}
    bound: set[str] = set()
    for member in join.members:
        name = member.param
        edge = view.definition.edges[member.edge]
        if name is None:
            continue
        param = params.get(name)
        if param is None:
            # names bound by position come from one mistake, so they are told of once
            if name not in bound and not (join.by_name and bound - params.keys()):
                yield _unknown_param(view, join, node, name)
        elif not assignable(view.carried[edge.index], param.type):
            yield _member_type(
                view, join, edge, view.carried[edge.index], f"'{node.name}' takes {name}: {describe_type(param.type)}"
            )
        bound.add(name)
    missing = [param for param in node.signature.required if param.name not in bound]
    if missing and not any(name not in params for name in bound):
        lacking = listed(repr(param.name) for param in missing)
        yield Finding(
            "join-misses-parameter",
            f"the join into '{node.name}' does not give {lacking}, which it needs",
            f'Add a member for it, "{missing[0].name}": ..., or give the parameter a default.',
            view.named(node.index),
        )
    if isinstance(join.wait, Quorum) and join.wait.k < len(join.members):
        yield from _quorum_by_name(view, join, node, params)


def _unknown_param(view: GraphView, join: JoinDef, node: NodeDef, name: str) -> Finding:
    known = [param.name for param in node.signature.params]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean '{close[0]}'?" if close else f"It has {listed(map(repr, known), 8) or 'none'}."
    if join.by_name:
        pairs = ", ".join(
            f'"{known[i]}": {view.say(edge.source)}' for i, edge in enumerate(_edges(view, join)[: len(known)])
        )
        hint = f"Say which is which: wf.join({{{pairs}}}, into='{node.name}')."
        what = (
            f"the join into '{node.name}' binds its members by their names, because '{node.name}' needs several "
            f"values, but it has no parameter '{name}'"
        )
    else:
        what = f"the join into '{node.name}' names the parameter '{name}', which '{node.name}' does not have"
    return Finding("join-unknown-parameter", what, hint, view.named(node.index))


def _quorum_by_name(view: GraphView, join: JoinDef, node: NodeDef, params: dict[str, Param]) -> Iterator[Finding]:
    """After a quorum some members are not there, so no parameter may need its one."""
    names = dict.fromkeys(member.param for member in join.members)
    needed = [name for name in names if name in params and params[name].required and not admits_none(params[name].type)]
    if needed and isinstance(join.wait, Quorum):
        yield Finding(
            "join-of-skippable",
            f"the join into '{node.name}' goes on with {join.wait.k} of {len(join.members)} members, but '{node.name}' "
            f"needs {listed(map(repr, needed))}",
            f"Join into one list, or let the parameters be None: {needed[0]}: "
            f"{describe_type(params[needed[0]].type)} | None.",
            view.named(node.index),
        )
