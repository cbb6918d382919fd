"""The first pass: names become indexes, inferred types are filled in, on_cap targets become edges.

After it a Definition refers to nodes by index only, save for names that nobody declared, which are findings.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from loomgraph.errors import Finding
from loomgraph.graph.definition import Definition, EdgeDef, GraphBody, JoinDef, JoinMember, LoopDef, NodeDef
from loomgraph.graph.refs import END_INDEX, START_INDEX, Ref
from loomgraph.graph.signature import EMPTY, Signature

__all__ = ["input_type", "is_list_join", "output_type", "resolve"]

_GUESSED = 20  # unknown names for which a similar one is looked for
_LISTED = 20  # known names that are listed


def resolve(definition: Definition) -> tuple[Definition, list[Finding]]:
    """The definition with every known name replaced by its index, and a finding for every unknown one."""
    table = {node.name: node.index for node in definition.nodes}
    lookup = _Lookup(table)
    edges = [
        e  # copying it would cost more than everything else here
        if isinstance(e.source, int) and isinstance(e.target, int)
        else replace(e, source=lookup(e.source, "an edge"), target=lookup(e.target, "an edge"))
        for e in definition.edges
    ]
    loops = tuple(
        LoopDef(
            tuple(lookup(ref, "wf.loop") for ref in loop.nodes),
            None if loop.header is None else lookup(loop.header, "wf.loop(header=)"),
            loop.cap,
            None if loop.on_cap is None else lookup(loop.on_cap, "wf.loop(on_cap=)"),
            tuple(lookup(ref, "wf.loop(include=)") for ref in loop.include),
        )
        for loop in definition.loops
    )
    joins = tuple(_join(join, edges, lookup, definition) for join in definition.joins)
    for loop in loops:
        if loop.on_cap is not None:
            edges.append(EdgeDef(len(edges), loop.nodes[0], loop.on_cap, "cap"))
    known = replace(definition, edges=tuple(edges), joins=joins, loops=loops)
    return replace(known, input=_inferred_input(known), output=_inferred_output(known)), lookup.findings


class _Lookup:
    """Resolves names, remembering what it could not find, once a name."""

    def __init__(self, table: dict[str, int]) -> None:
        self.table = table
        self.unknown: set[str] = set()
        self.findings: list[Finding] = []

    def __call__(self, ref: Ref, where: str) -> Ref:
        if isinstance(ref, int):
            return ref
        found = self.table.get(ref)
        if found is not None:
            return found
        if ref not in self.unknown:
            self.unknown.add(ref)
            self.findings.append(self._finding(ref, where))
        return ref

    def _finding(self, name: str, where: str) -> Finding:
        # comparing takes long, and whoever misses so many names has not mistyped them
        close = difflib.get_close_matches(name, list(self.table), n=1) if len(self.unknown) <= _GUESSED else []
        if name in ("START", "END"):
            hint = f"Use the constant {name} from loomgraph, not the string."
        elif close:
            hint = f"Did you mean '{close[0]}'?"
        else:
            names = sorted(self.table)
            listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
            hint = f"Declare it with @wf.node, or use one of: {listed or 'no node is declared'}."
        return Finding("unknown-node", f"{where} names '{name}', which is not a node", hint, (name,))


def _join(join: JoinDef, edges: Sequence[EdgeDef], lookup: _Lookup, definition: Definition) -> JoinDef:
    """A join given as a bare sequence binds by its members' names if the target's parameters are called so."""
    target = lookup(join.target, "wf.join(into=)")
    known = join if target == join.target else replace(join, target=target)
    if not join.by_name or isinstance(target, str) or target < 0:
        return known
    signature = definition.nodes[target].signature
    if definition.nodes[target].map is not None or is_list_join(signature):
        return known
    sources = [edges[member.edge].source for member in join.members]
    called = [definition.nodes[s].name if isinstance(s, int) and s >= 0 else str(s) for s in sources]
    return replace(known, members=tuple(JoinMember(m.edge, name) for m, name in zip(join.members, called, strict=True)))


def is_list_join(signature: Signature) -> bool:
    """Whether a bare join into this signature makes one list: it needs at most one value."""
    return len(signature.required) <= 1


def input_type(node: NodeDef) -> Any:
    """What one plain edge into the node carries; a map takes a list of what its body takes."""
    primary = node.signature.primary
    body = Any if primary is None else primary.type
    return body if node.map is None else list[body]  # type: ignore[valid-type]


def output_type(node: NodeDef) -> Any:
    """What an edge out of the node carries; a map gives a list, with failures in it if it collects them."""
    from loomgraph.errors import Failure

    body = node.signature.output
    if isinstance(node.body, GraphBody):
        body = node.body.graph.definition.output
    body = Any if body is EMPTY else body
    if node.map is None:
        return body
    item = body | Failure if node.map.on_error == "collect" and body is not Any else body
    return list[item]  # type: ignore[valid-type]


def _inferred_input(definition: Definition) -> Any:
    if definition.input is not EMPTY:
        return definition.input
    types: list[Any] = []
    for edge in definition.edges_from(START_INDEX):
        if edge.join is not None or isinstance(edge.target, str) or edge.target < 0:
            return Any
        node = definition.nodes[edge.target]
        tp = input_type(node) if node.signature.primary is not None else None
        if tp not in types:
            types.append(tp)
    return types[0] if len(types) == 1 else Any


def _inferred_output(definition: Definition) -> Any:
    if definition.output is not EMPTY:
        return definition.output
    types: list[Any] = []
    for edge in definition.edges:
        if edge.target == END_INDEX:
            whole = edge.kind == "normal" and edge.when is None and edge.join is None
            if not whole or isinstance(edge.source, str) or edge.source < 0:
                return Any
            tp = output_type(definition.nodes[edge.source])
            if tp not in types:
                types.append(tp)
    if not types or any(tp is Any for tp in types):
        return Any
    try:
        return functools.reduce(lambda a, b: a | b, types)
    except TypeError:  # string annotations and the like cannot be united
        return Any
