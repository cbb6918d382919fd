"""What can be reached: nodes nothing leads to, values nobody takes, an END that no way leads to."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

from loomgraph.compile.checks.view import GraphView, listed
from loomgraph.compile.nest import Nest
from loomgraph.compile.types import admits_none, assignable
from loomgraph.errors import Finding
from loomgraph.graph.definition import GraphBody
from loomgraph.graph.refs import END_INDEX, START_INDEX
from loomgraph.graph.signature import describe_type

__all__ = ["reach_checks"]


def reach_checks(view: GraphView, nest: Nest) -> Iterator[Finding]:
    """Findings about ways through the graph; linear in its edges."""
    if not view.out[START_INDEX]:
        first = view.say(0) if view.definition.nodes else None
        yield Finding(
            "no-start",
            "no edge leaves START, so nothing would run",
            f"Add wf.edge(START, {first})." if first else "Declare a node with @wf.node and add wf.edge(START, it).",
            ("START",),
        )
        return
    successors = _successors(view)
    reached = _reached(successors)
    if all(reached):
        unreached: list[int] = []
    else:
        unreached = [node for node in range(len(view.definition.nodes)) if not reached[node]]
        yield from _unreachable(view, nest, successors, unreached)
    yield from _end(view, reached)


def _successors(view: GraphView) -> list[list[int]]:
    """The targets of every node's edges of any kind; the last entry is START's."""
    found: list[list[int]] = [[] for _ in view.names]
    for target in range(len(view.definition.nodes)):
        for edge in view.into[target]:
            found[int(edge.source)].append(target)
    return found


def _reached(successors: list[list[int]]) -> list[bool]:
    reached = [False] * (len(successors) - 2)
    work = list(successors[START_INDEX])
    while work:
        node = work.pop()
        if not reached[node]:
            reached[node] = True
            work.extend(successors[node])
    return reached


def _unreachable(view: GraphView, nest: Nest, successors: list[list[int]], unreached: list[int]) -> Iterator[Finding]:
    told: set[int] = set()
    for region in nest.regions[1:]:
        if region.entered or region.header in told:
            continue
        body = sorted(nest.body(region.index))
        told.update(body)
        after = [f"'{view.names[node]}'" for node in _downstream(body, successors, told)]
        yield Finding(
            "only-back-edges-in",
            f"the loop of {listed(view.say(node) for node in body)} is entered from nowhere"
            + (f", and so {listed(after)} cannot be reached" if after else ""),
            f"Add the edge that enters it: wf.edge(START, '{view.names[body[0]]}').",
            view.named(*body),
        )
    for node in unreached:
        if view.into[node] or node in told:
            continue
        told.add(node)
        after = [f"'{view.names[other]}'" for other in _downstream([node], successors, told)]
        yield Finding(
            "unreachable",
            f"no edge leads to '{view.names[node]}'"
            + (f", and so {listed(after)} cannot be reached either" if after else ""),
            f"Add an edge into it, such as wf.edge(START, '{view.names[node]}'), or remove the node.",
            view.named(node),
        )


def _downstream(start: list[int], successors: list[list[int]], told: set[int]) -> list[int]:
    """The nodes after `start` that were not told of before, in order; they count as told from now on."""
    found: list[int] = []
    work = [target for node in start for target in successors[node]]
    while work:
        node = work.pop()
        if node not in told:
            told.add(node)
            found.append(node)
            work.extend(successors[node])
    return sorted(found)


def _end(view: GraphView, reached: list[bool]) -> Iterator[Finding]:
    ends = [node for node, seen in enumerate(reached) if seen and not view.out[node]]
    losing = [node for node in ends if not _gives_none(view, node)]
    output = view.definition.output
    wanted = output is Any or not admits_none(output)
    if not view.into[END_INDEX]:
        if wanted:
            last = ends[-1] if ends else len(reached) - 1
            yield Finding(
                "no-end",
                "no edge leads to END, so a run would have no output",
                f"Add wf.edge({view.say(last)}, END), or declare Workflow(..., output=None).",
                ("END",),
            )
            return
    elif wanted and not any(edge.source == START_INDEX or reached[int(edge.source)] for edge in view.into[END_INDEX]):
        sources = listed(view.say(edge.source) for edge in view.into[END_INDEX])
        yield Finding(
            "no-path-to-end",
            f"no way from START leads to END: its edges come from {sources}, which cannot be reached",
            f"Add the missing edge on the way from START to {sources}.",
            ("END",),
        )
        return
    for node in losing:
        yield _dead_end(view, node)


def _gives_none(view: GraphView, node: int) -> bool:
    body = view.definition.nodes[node]
    given = body.body.graph.definition.output if isinstance(body.body, GraphBody) else body.signature.output
    return given is not Any and assignable(given, types.NoneType)


def _dead_end(view: GraphView, node: int) -> Finding:
    name, given = view.names[node], view.output(node)
    if given is Any:
        return Finding(
            "dead-end",
            f"no edge leaves '{name}', and it does not say what it returns: a value would be lost",
            f"Annotate it `-> None` if it is run for its effect, or add wf.edge('{name}', END).",
            (name,),
            "warning",
        )
    return Finding(
        "dead-end",
        f"no edge leaves '{name}', so the {describe_type(given)} it gives would be lost",
        f"Add wf.edge('{name}', END) or an edge to the node that takes it; annotate `-> None` if there is no value.",
        (name,),
    )
