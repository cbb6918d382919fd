"""The nodes that only feed an early join: all of their ways end in it, so its decision makes them pointless.

Ways are followed within one iteration of the join's home. What comes back in a later iteration is no way to the join.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from loomgraph.compile.nest import ROOT

if TYPE_CHECKING:  # plan.py builds on this pass
    from loomgraph.compile.plan import JoinPlan, Plan

__all__ = ["feeders", "home"]


def home(plan: Plan, join: JoinPlan) -> int:
    """The loop in whose iterations a join is decided: the innermost around its target that a member comes from.

    That is the target's own loop, but for a join that enters it: that one is decided once for each entry.
    """
    for region in plan.nest.chain(plan.region_of[join.target]):
        if any(plan.src[e] in plan.nest.regions[region].body for e in join.edges):
            return region
    return ROOT


def feeders(plan: Plan, join: JoinPlan) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The feeder nodes of a join in its home, and the loops that consist of feeders, outer ones first."""
    members = set(join.edges)
    within = plan.nest.regions[join.home]
    # the home's own cap edge leaves it when the iterations are over, and is no way out of the header before
    later = {*within.back_edges, within.cap_edge} - members
    out: list[list[int]] = [[] for _ in range(plan.end + 1)]
    into: list[list[int]] = [[] for _ in range(plan.end + 1)]
    for e, (s, d) in enumerate(zip(plan.src, plan.dst, strict=True)):
        if s >= 0 and e != within.cap_edge:
            out[s].append(e)
            into[d].append(e)
    found = _ancestors(plan, join, into, within.body, later)
    work = deque(sorted(found))
    while work:  # the greatest set closed under "every way out leads into the set or into the join"
        node = work.popleft()
        if node in found and any(e in later or (e not in members and plan.dst[e] not in found) for e in out[node]):
            found.discard(node)
            work.extend(plan.src[e] for e in into[node] if plan.src[e] in found)
    regions = tuple(r.index for r in plan.nest.regions[1:] if r.body <= found)
    return tuple(sorted(found)), regions


def _ancestors(
    plan: Plan, join: JoinPlan, into: list[list[int]], body: frozenset[int], later: set[int | None]
) -> set[int]:
    work = [plan.src[e] for e in join.edges]
    found: set[int] = set()
    while work:
        node = work.pop()
        if node >= 0 and node in body and node not in found and node != join.target:
            found.add(node)
            work.extend(plan.src[e] for e in into[node] if e not in later)
    return found
