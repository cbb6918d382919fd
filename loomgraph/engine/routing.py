"""Which edges a finished activation takes. Runs the user's predicates, so the machine never does; keeps nothing."""

from __future__ import annotations

from typing import Any

from loomgraph.compile.plan import Plan
from loomgraph.errors import ConditionError, NoRouteError
from loomgraph.graph.definition import EdgeDef

__all__ = ["choose", "choose_error"]


def choose(plan: Plan, node: int, value: Any) -> tuple[int, ...]:
    """The normal edges that a node takes with this value; node -1 is START.

    Raises NoRouteError if it has conditional edges and none of its edges is taken, ConditionError if one raises.
    """
    out = plan.start_edges if node < 0 else plan.out_normal[node]
    if node >= 0 and plan.always[node]:
        return out
    edges = [plan.definition.edges[e] for e in out]
    matched: dict[int, bool] = {}
    chosen: set[int] = set()  # the choice groups (None: the ungrouped conditions) that have a match
    groups: set[int | None] = set()
    for edge in edges:
        when = edge.when
        if when is None:
            matched[edge.index] = True
        elif when.kind != "otherwise":
            late = edge.choice is not None and edge.choice in chosen
            matched[edge.index] = taken = not late and _test(plan, edge, value)
            if taken:
                groups.add(edge.choice)
                if edge.choice is not None:
                    chosen.add(edge.choice)
    for edge in edges:
        if edge.when is not None and edge.when.kind == "otherwise":
            matched[edge.index] = edge.choice not in groups
    taken_edges = tuple(e for e in out if matched[e])
    if out and not taken_edges:
        name = "START" if node < 0 else plan.names[node]
        raise NoRouteError(name, value, [edge.when.label for edge in edges if edge.when is not None])
    return taken_edges


def choose_error(plan: Plan, node: int, error: BaseException) -> tuple[int, ...]:
    """The first declared on_error edge that matches the exception, if any."""
    for e in plan.out_error[node]:
        if isinstance(error, plan.definition.edges[e].errors):
            return (e,)
    return ()


def _test(plan: Plan, edge: EdgeDef, value: Any) -> bool:
    assert edge.when is not None
    try:
        return edge.when.matches(value)
    except Exception as error:
        source, target = plan.definition.name_of(edge.source), plan.definition.name_of(edge.target)
        raise ConditionError(source, target, edge.when.label, error) from error
