"""The edges out of each node: duplicates, conditions that can never match, values that no edge takes.

What a predicate answers is not guessed: a node with one is left to the run.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from loomgraph.compile.checks.view import GraphView, listed
from loomgraph.compile.narrowing import literal_label, narrow
from loomgraph.compile.shapes import literal_value, members
from loomgraph.errors import Finding
from loomgraph.graph.condition import Condition
from loomgraph.graph.definition import EdgeDef
from loomgraph.graph.refs import START_INDEX
from loomgraph.graph.signature import describe_type

__all__ = ["condition_checks"]


def condition_checks(view: GraphView) -> Iterator[Finding]:
    """Findings about edges, source by source."""
    for source in (START_INDEX, *range(len(view.definition.nodes))):
        out, errors = view.out[source], view.errors[source]
        if len(out) + len(errors) > 1:
            yield from _duplicates(view, [*out, *errors])
        if errors:
            yield from _error_edges(view, source, errors)
        groups = view.groups.get(source, {})
        for choice, group in groups.items():
            yield from _otherwise(view, group)
            yield from _matching(view, source, group, choice is not None)
        if groups and all(edge.when is not None for edge in out):
            yield from _unhandled(view, source, out)


def _duplicates(view: GraphView, edges: list[EdgeDef]) -> Iterator[Finding]:
    if len({edge.target for edge in edges}) == len(edges):
        return
    seen: dict[Any, EdgeDef] = {}
    for edge in edges:
        key = (edge.target, edge.kind, _identity(edge.when), edge.join, view.param.get(edge.index), edge.errors)
        try:
            first = seen.setdefault(key, edge)
        except TypeError:  # a literal that cannot be hashed
            continue
        if first is not edge:
            when = f" with when={edge.when.label}" if edge.when is not None else ""
            yield Finding(
                "duplicate-edge",
                f"the edge {view.say_edge(edge)}{when} is declared twice",
                "Remove one of the two calls.",
                view.named(edge.source, edge.target),
            )


def _identity(when: Condition | None) -> Any:
    return None if when is None else (when.kind, type(when.subject), when.subject)


def _error_edges(view: GraphView, source: int, errors: list[EdgeDef]) -> Iterator[Finding]:
    if source == START_INDEX:
        yield Finding(
            "error-edge-from-start",
            f"wf.on_error(START, {view.say(errors[0].target)}) can never be taken, because START cannot fail",
            "Name the node whose failure it should take.",
            ("START",),
        )
        return
    seen: list[tuple[type[BaseException], EdgeDef]] = []
    for edge in errors:
        first = next((earlier for known, earlier in seen if issubclass(edge.errors[0], known)), None)
        if first is not None and all(any(issubclass(error, known) for known, _ in seen) for error in edge.errors):
            named = listed(error.__name__ for error in edge.errors)
            handler = view.say(first.target)
            yield Finding(
                "shadowed-arm",
                f"wf.on_error({view.say(source)}, {view.say(edge.target)}) for {named} is never "
                f"taken: {handler} is declared before and takes those errors too",
                f"Declare it before the one that goes to {handler}.",
                view.named(source),
                "warning",
            )
        if len(seen) < 100:
            seen.extend((error, edge) for error in edge.errors)


def _otherwise(view: GraphView, group: list[EdgeDef]) -> Iterator[Finding]:
    rest = [edge for edge in group if edge.when is not None and edge.when.kind == "otherwise"]
    if not rest:
        return
    source = view.say(rest[0].source)
    if len(rest) == len(group):
        yield Finding(
            "lonely-otherwise",
            f"the edge {view.say_edge(rest[0])} has when=OTHERWISE, but {source} has no other condition",
            "Leave when= out, or add the edges whose conditions it is the alternative to.",
            view.named(rest[0].source),
        )
    if len(rest) > 1:
        targets = listed(view.say(edge.target) for edge in rest)
        yield Finding(
            "two-otherwise",
            f"{source} has {len(rest)} edges with when=OTHERWISE, to {targets}",
            "Keep one. To start several nodes, send it to one node and go on from there with plain edges.",
            view.named(rest[0].source),
        )


def _matching(view: GraphView, source: int, group: list[EdgeDef], ordered: bool) -> Iterator[Finding]:
    """Conditions that match nothing the source gives, or nothing that earlier arms of a route leave."""
    for edge in group:
        when = edge.when
        if when is None or when.kind not in ("type", "literal") or view.carried[edge.index] is not typing.Never:
            continue
        given = view.output(source)
        if ordered and _could_match(given, when):
            yield Finding(
                "shadowed-arm",
                f"the arm {when.label} of wf.route({view.say(source)}, ...) is never taken: the arms "
                f"before it take everything it would match",
                "Put it before the wider one, because the first match is taken; or remove it.",
                view.named(source, edge.target),
                "warning",
            )
            continue
        yield Finding(
            "never-matches",
            f"the edge {view.say_edge(edge)} has when={when.label}, but {view.say(source)} gives "
            f"{describe_type(given)}, which is never that",
            f"Use one of what it gives ({_choices(given)}), or correct its return annotation.",
            view.named(source, edge.target),
        )


def _could_match(given: Any, when: Condition) -> bool:

    return narrow(given, (), when) is not typing.Never


def _choices(given: Any) -> str:

    found: list[str] = []
    for member in members(given):
        value = literal_value(member)
        found.append(describe_type(member) if value is None else literal_label(value[0]))
    return listed(found, 8)


def _unhandled(view: GraphView, source: int, out: list[EdgeDef]) -> Iterator[Finding]:
    given = view.output(source)
    if given is Any:
        return
    split = view.splits.get(source)
    missed, partial = split.coverage() if split is not None else ([], [])
    if not missed and not partial:
        return
    labels = listed((edge.when.label for edge in out if edge.when is not None), 8)
    name = view.say(source)
    if missed:
        yield Finding(
            "unhandled-member",
            f"{name} may give {listed(missed)}, but its edges only take {labels}",
            f"Add wf.edge({name}, ..., when={missed[0]}), or an edge with when=OTHERWISE.",
            view.named(source),
        )
    elif partial:
        yield Finding(
            "partly-handled",
            f"{name} may give any {listed(partial)}, but its edges only take {labels}; another value fails the run",
            f"Add an edge from {name} with when=OTHERWISE, or narrow its return annotation, as with Literal[...].",
            view.named(source),
            "warning",
        )
