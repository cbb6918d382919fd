"""What a node is given once its in-edges are settled: one alternative's value, or a join's. Pure."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from loomgraph.compile.plan import JoinPlan, Plan
from loomgraph.engine.activation import Named
from loomgraph.errors import ActivationError, AmbiguousInputError, JoinIncompleteError

__all__ = ["Got", "Refused", "bind", "bind_join"]

Got = list[tuple[int, Any]]
"""The taken in-edges of a node in this pass: (edge, value). A decided early join stands as one of its edges."""


class Refused:
    """What a decided early join gives that cannot be bound: why its target fails, once all its inputs are settled."""

    __slots__ = ("error",)

    def __init__(self, error: ActivationError) -> None:
        self.error = error


def bind(plan: Plan, node: int, got: Got) -> Any:
    """The input of a node from its taken in-edges.

    Raises AmbiguousInputError if two alternatives were taken, JoinIncompleteError for a join that misses a required
    member, and what an early join was refused with.
    """
    if len(got) > 1:
        got.sort(key=itemgetter(0))  # they arrived in any order, and what is said of them must not depend on it
    edge, value = got[0]
    join = plan.join_of[edge]
    for _, given in got:
        if type(given) is Refused:
            raise given.error
    if len(got) > 1 and (join < 0 or any(plan.join_of[e] != join for e, _ in got)):
        raise AmbiguousInputError(plan.names[node], _sources(plan, [e for e, _ in got]))
    if join < 0 or plan.joins[join].need:
        return value  # an early join was bound when it was decided
    return bind_join(plan, plan.joins[join], dict(got))


def bind_join(plan: Plan, join: JoinPlan, taken: dict[int, Any]) -> Any:
    """The value of a join from its taken members: one list in declared order, or a Named by parameter."""
    if join.first:
        return next(iter(taken.values()))
    if join.slots[0] is None:
        return [taken[e] for e in join.edges if e in taken]
    bound = Named()
    by: dict[str, int] = {}
    for e, slot in zip(join.edges, join.slots, strict=True):
        if slot is None or e not in taken:
            continue
        if slot in bound:
            raise AmbiguousInputError(plan.names[join.target], _sources(plan, [by[slot], e]))
        bound[slot], by[slot] = taken[e], e
    missing = [slot for slot in dict.fromkeys(join.slots) if slot is not None and slot not in bound]
    lacking = [slot for slot in missing if slot in join.required]
    if lacking and not join.need:
        skipped = [e for e, slot in zip(join.edges, join.slots, strict=True) if slot in lacking]
        raise JoinIncompleteError(plan.names[join.target], _sources(plan, skipped), _sources(plan, list(taken)))
    bound.update((slot, None) for slot in missing if slot in join.nullable)
    return bound


def _sources(plan: Plan, edges: list[int]) -> list[str]:
    return ["START" if plan.src[e] < 0 else plan.names[plan.src[e]] for e in edges]
