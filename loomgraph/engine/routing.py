"""Which edges a finished activation takes. Runs the user's predicates, so the machine never does; keeps nothing."""

from __future__ import annotations

from typing import Any

from loomgraph.compile.plan import Plan
from loomgraph.errors import ConditionError, NoRouteError
from loomgraph.graph.definition import EdgeDef
from loomgraph.graph.ownership import own

__all__ = ["choose", "choose_error"]


def choose(plan: Plan, node: int, value: Any) -> tuple[int, ...]:
    """The normal edges that a node takes with this value; node -1 is START.

    Raises NoRouteError if it has conditional edges and none of its edges is taken, ConditionError if one raises.
    """
    out = plan.start_edges if node < 0 else plan.out_normal[node]
    if node >= 0 and plan.always[node]:
        return out
    edges = plan.definition.edges
    # predicates are the user's code: what they do to the value is invisible to what runs next
    shown = own(value) if any(_asks(edges[e]) for e in out) else value
    taken: list[int] = []
    spare: list[EdgeDef] = []
    groups: list[int | None] = []  # the choice groups (None: the ungrouped conditions) that have a match
    for e in out:
        edge = edges[e]
        when = edge.when
        if when is None:
            taken.append(e)
        elif when.kind == "otherwise":
            spare.append(edge)
        elif (edge.choice is None or edge.choice not in groups) and _test(plan, edge, shown):
            taken.append(e)
            groups.append(edge.choice)
    taken.extend(edge.index for edge in spare if edge.choice not in groups)
    if spare:
        taken.sort()  # edges are in the order of their declaration
    taken_edges = tuple(taken)
    if out and not taken_edges:
        name = "START" if node < 0 else plan.names[node]
        raise NoRouteError(name, value, [when.label for e in out if (when := edges[e].when) is not None])
    return taken_edges


def choose_error(plan: Plan, node: int, error: BaseException) -> tuple[int, ...]:
    """The first declared on_error edge that matches the exception, if any."""
    for e in plan.out_error[node]:
        if isinstance(error, plan.definition.edges[e].errors):
            return (e,)
    return ()


def _asks(edge: EdgeDef) -> bool:
    return edge.when is not None and edge.when.kind == "predicate"


def _test(plan: Plan, edge: EdgeDef, value: Any) -> bool:
    assert edge.when is not None
    try:
        return edge.when.matches(value)
    except Exception as error:
        source, target = plan.definition.name_of(edge.source), plan.definition.name_of(edge.target)
        raise ConditionError(source, target, edge.when.label, error) from error
