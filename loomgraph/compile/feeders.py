"""The nodes that only feed an early join: all of their ways end in it, so its decision makes them pointless.

Ways are followed within one iteration of the join's home. What comes back in a later iteration is no way to the join.
"""

from __future__ import annotations

from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING

from loomgraph.compile.nest import ROOT

if TYPE_CHECKING:  # plan.py builds on this pass
    from loomgraph.compile.plan import JoinPlan, Plan

__all__ = ["Feeding", "home"]


def home(plan: Plan, join: JoinPlan) -> int:
    """The loop in whose iterations a join is decided: the innermost around its target that a member comes from.

    That is the target's own loop, but for a join that enters it: that one is decided once for each entry.
    """
    for region in plan.nest.chain(plan.region_of[join.target]):
        if any(plan.nest.inside(plan.src[e], region) for e in join.edges):
            return region
    return ROOT


class Feeding:
    """Finds the feeders of one join after another, each in time linear in the nodes that lead to the join."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @cached_property
    def out(self) -> list[list[int]]:
        """The edges out of every node, of any kind."""
        out: list[list[int]] = [[] for _ in range(self.plan.end)]
        for e, source in enumerate(self.plan.src):
            if source >= 0:
                out[source].append(e)
        return out

    def of(self, join: JoinPlan) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The feeder nodes of a join in its home, and the loops that consist of feeders, outer ones first."""
        plan, members = self.plan, set(join.edges)
        within = plan.nest.regions[join.home]
        # the home's own cap edge leaves it when the iterations are over, and is no way out of the header before
        later = {*within.back_edges, within.cap_edge} - members
        found = self._ancestors(join, later)
        work = deque(sorted(found))
        while work:  # the greatest set closed under "every way out leads into the set or into the join"
            node = work.popleft()
            if node in found and any(
                e in later or (e not in members and plan.dst[e] not in found)
                for e in self.out[node]
                if e != within.cap_edge
            ):
                found.discard(node)
                work.extend(plan.src[e] for e in plan.into[node] if plan.src[e] in found)
        return tuple(sorted(found)), self._loops(found)

    def _ancestors(self, join: JoinPlan, later: set[int | None]) -> set[int]:
        plan = self.plan
        work = [plan.src[e] for e in join.edges]
        found: set[int] = set()
        while work:
            node = work.pop()
            if node not in found and node != join.target and plan.nest.inside(node, join.home):
                found.add(node)
                work.extend(plan.src[e] for e in plan.into[node] if e not in later)
        return found

    def _loops(self, found: set[int]) -> tuple[int, ...]:
        regions = self.plan.nest.regions
        return tuple(
            r
            for r in sorted({self.plan.region_of[node] for node in found})
            if r and all(node in found for inner in regions[r : regions[r].stop] for node in inner.nodes)
        )
