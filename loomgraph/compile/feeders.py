"""The nodes that only feed an early join: all of their ways end in it, so its decision makes them pointless."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # plan.py builds on this pass
    from loomgraph.compile.plan import JoinPlan, Plan

__all__ = ["feeders"]


def feeders(plan: Plan, join: JoinPlan) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The feeder nodes of a join inside its target's region, and the loops that consist of feeders, in order."""
    members = set(join.edges)
    out: list[list[int]] = [[] for _ in range(plan.end + 1)]
    into: list[list[int]] = [[] for _ in range(plan.end + 1)]
    for e, (s, d) in enumerate(zip(plan.src, plan.dst, strict=True)):
        if s >= 0:
            out[s].append(e)
            into[d].append(e)
    body = plan.nest.regions[plan.region_of[join.target]].body
    found = _ancestors(plan, join, into, body)
    work = deque(sorted(found))
    while work:  # the greatest set closed under "every way out leads into the set or into the join"
        node = work.popleft()
        if node in found and any(e not in members and plan.dst[e] not in found for e in out[node]):
            found.discard(node)
            work.extend(plan.src[e] for e in into[node] if plan.src[e] in found)
    regions = tuple(r.index for r in plan.nest.regions[1:] if r.body <= found)
    return tuple(sorted(found)), regions


def _ancestors(plan: Plan, join: JoinPlan, into: list[list[int]], body: frozenset[int]) -> set[int]:
    work = [plan.src[e] for e in join.edges]
    found: set[int] = set()
    while work:
        node = work.pop()
        if node >= 0 and node in body and node not in found and node != join.target:
            found.add(node)
            work.extend(plan.src[e] for e in into[node])
    return found
