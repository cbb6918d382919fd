"""Under which guard every edge is taken, level by level of the loop nest. Collects what clashes; words nothing.

The guards of a loop's nodes are those of one iteration. Seen from outside they are those of its last iteration: the
one in which no back edge is taken, so the cells that lead to one are struck out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loomgraph.compile.checks.guards import ALWAYS, NEVER, Decision, Guard, Item, Merger, at
from loomgraph.compile.checks.outcomes import outcomes
from loomgraph.compile.checks.view import GraphView
from loomgraph.compile.grouped import Grouped
from loomgraph.compile.nest import ROOT, Nest, Region
from loomgraph.graph.definition import EdgeDef, JoinDef
from loomgraph.graph.refs import END_INDEX, START_INDEX

__all__ = ["Flow", "Unmet"]

_DEEP = 16  # loops left by one edge, beyond which no proof is tried: each would be looked at from each of them


@dataclass(frozen=True, slots=True)
class Unmet:
    """A join some of whose required parameters may be left without a value while others have one."""

    join: int
    params: tuple[str, ...]


class Flow:
    """One walk over a graph in topological order, loops as units. The results are in the public attributes."""

    def __init__(self, view: GraphView, nest: Nest, required: Callable[[JoinDef], frozenset[str]]) -> None:
        self.view, self.nest = view, nest
        self.required = required
        self.ambiguous: list[tuple[int, str | None, int, int]] = []
        """(target, parameter, edge, edge): alternatives that are taken together."""
        self.overtaken: list[tuple[int, int, int]] = []
        """(region, exit edge, back edge): taken in one iteration."""
        self.endless: list[int] = []
        """Regions that go round again whatever happens."""
        self.unmet: list[Unmet] = []
        self._merger = Merger()
        # the guard of every edge, as the region sees it that is its level by now
        self._taken: list[Guard] = [NEVER] * len(view.definition.edges)
        self._levels = [nest.region(e.source) if isinstance(e.source, int) else ROOT for e in view.definition.edges]
        self._exits: dict[int, list[int]] = {}
        self._far: dict[tuple[Guard, int], Guard] = {}
        self._capped: dict[int, int] = {}
        for region in nest.regions[1:]:
            if region.cap_edge is not None:
                # taken when the loop is over, so it is an edge of the region around it
                self._levels[region.cap_edge] = region.parent
                self._capped[region.cap_edge] = region.index
        self._walk()

    # ------------------------------------------------------------------ order

    def _walk(self) -> None:
        successors, waiting = self._dependencies()
        count, regions = len(self.view.definition.nodes), len(self.nest.regions)
        self._leave(START_INDEX, ALWAYS, ROOT)
        work = [vertex for vertex, left in enumerate(waiting) if not left]
        while work:
            vertex = work.pop()
            if vertex < count:
                self._node(vertex)
            elif vertex == count + regions:
                self._gather(END_INDEX, self._forward(END_INDEX), ROOT)
            elif vertex > count:
                self._end_of_loop(self.nest.regions[vertex - count])
            for following in successors[vertex]:
                waiting[following] -= 1
                if not waiting[following]:
                    work.append(following)

    def _dependencies(self) -> tuple[Grouped[int], list[int]]:
        """The order of nodes, of loop ends (count + region) and of END: who follows whom, and how many come before."""
        count, regions = len(self.view.definition.nodes), len(self.nest.regions)
        pairs: list[int] = []  # who comes before and who after, in turn
        for node, home in enumerate(self.nest.region_of):
            if home != ROOT:
                pairs += (node, count + home)
        for region in self.nest.regions[1:]:
            if region.parent != ROOT:
                pairs += (count + region.index, count + region.parent)
        for edge in self.view.definition.edges:
            source, target = edge.source, edge.target
            if isinstance(source, int) and isinstance(target, int) and target != START_INDEX:
                for pair in self._dependency(edge, source, target, count, count + regions):
                    pairs += pair
        waiting = [0] * (count + regions + 1)
        for after in pairs[1::2]:
            waiting[after] += 1
        return Grouped(pairs[::2], pairs[1::2], len(waiting)), waiting

    def _dependency(self, edge: EdgeDef, source: int, target: int, count: int, end: int) -> list[tuple[int, int]]:
        level, back = self._levels[edge.index], self.view.back_of[edge.index]
        into = ROOT if target < 0 else self.nest.region_of[target]
        before = source
        if edge.kind == "cap":
            before = count + self._capped.get(edge.index, ROOT)
        if level == into and not back:
            return [(before, end if target < 0 else target)] if before >= 0 else []
        common, regions = back or self.nest.common(level, into), self.nest.regions
        if level != common:
            before = count + self.nest.part(common, level)
            for _ in range(_DEEP):
                self._exits.setdefault(level, []).append(edge.index)
                level = regions[level].parent
                if level == common:
                    break
        if back or before < 0:
            return []
        found = [(before, end if target < 0 else target)]
        if regions[into].depth - regions[common].depth > _DEEP:
            into = self.nest.part(common, into)  # the headers further in come after this one anyway
        while into != common:
            header = regions[into].header
            if header is not None and header != target:
                found.append((before, header))
            into = regions[into].parent
        return found

    # ------------------------------------------------------------------ nodes

    def _forward(self, target: int) -> list[EdgeDef]:
        return [edge for edge in self.view.into[target] if not self.view.back_of[edge.index]]

    def _node(self, node: int) -> None:
        inner = self.nest.regions[self.nest.region_of[node]]
        header = inner.index != ROOT and inner.header == node
        around = inner.parent if header else inner.index
        edges = self._forward(node)
        known = around == ROOT or all(self.view.inside(edge.source, around) for edge in edges)
        if header and inner.tangled:
            known = False
        if not known:
            self._entered_joins(node, edges, around)
        guard = self._gather(node, edges, around) if known else self._unknown(inner.index)
        if header and inner.cap_edge is not None:
            entered = guard if known else self._unknown(around)
            ends = Decision(entered, 0b11, 0b11, around)
            self._taken[inner.cap_edge] = at(ends, 0b10)
            guard = at(ends, 0b01) if known else guard
        self._leave(node, guard, inner.index)

    def _entered_joins(self, node: int, edges: list[EdgeDef], around: int) -> None:
        """The joins into a node that is also entered from outside its loop, as from the second iteration on."""
        joins: dict[int, list[EdgeDef]] = {}
        for edge in edges:
            if edge.join is not None:
                joins.setdefault(edge.join, []).append(edge)
        for index, members in joins.items():
            inside = [(self._seen(e.index, around), e.index) for e in members if self.view.inside(e.source, around)]
            if len(inside) == len(members):
                self._join(node, index, inside, around)
            elif inside:
                # the two sides are never there together after the first iteration, and need not be in it
                params = dict.fromkeys(p for edge in members if (p := self.view.param[edge.index]) is not None)
                required = self.required(self.view.definition.joins[index])
                unmet = tuple(param for param in params if param in required)
                if unmet and len(params) > 1:
                    self.unmet.append(Unmet(index, unmet))

    def _unknown(self, region: int) -> Guard:
        return at(Decision(ALWAYS, 0b11, 0b11, region, lost=True), 0b01)

    def _leave(self, node: int, guard: Guard, region: int) -> None:
        """The guards of a node's out-edges, from its own."""
        if guard is NEVER:
            return
        out, errors = self.view.out[node], self.view.errors[node]
        if errors and node >= 0:
            full = (1 << len(errors) + 1) - 1
            fate = Decision(guard, full, full, region)
            for position, edge in enumerate(errors, 1):
                self._taken[edge.index] = at(fate, 1 << position)
            guard = at(fate, 1)
        conditional = False
        for edge in out:
            if edge.when is None:
                self._taken[edge.index] = guard
            else:
                conditional = True
        if conditional:
            for outcome in outcomes(self.view, node):
                decision = Decision(guard, outcome.full, outcome.certain, region)
                for index, mask in outcome.edges.items():
                    self._taken[index] = at(decision, mask)

    def _gather(self, target: int, edges: list[EdgeDef], level: int) -> Guard:
        """The guard of a node from its alternatives: plain edges, and each join as one."""
        if len(edges) == 1:
            return self._seen(edges[0].index, level)
        told = len(self.ambiguous)
        alternatives: list[Item] = []
        joins: dict[int, list[Item]] = {}
        for edge in edges:
            item = (self._seen(edge.index, level), edge.index)
            if edge.join is None:
                alternatives.append(item)
            else:
                joins.setdefault(edge.join, []).append(item)
        for index, members in joins.items():
            alternatives.append((self._join(target, index, members, level), members[0][1]))
        guard = self._merger.union(alternatives, level, self._clash(target, None))
        # one finding is enough: what follows from it is not told again further down
        return guard if len(self.ambiguous) == told else self._unknown(level)

    def _clash(self, target: int, param: str | None) -> Callable[[int, int], None]:
        return lambda a, b: self.ambiguous.append((target, param, a, b))

    def _join(self, target: int, index: int, members: list[Item], level: int) -> Guard:
        whole = self._merger.union(members, level)
        join = self.view.definition.joins[index]
        params: dict[str, list[Item]] = {}
        for item in members:
            param = self.view.param[item[1]]
            if param is not None:
                params.setdefault(param, []).append(item)
        required = self.required(join) if params and join.wait == "all" else frozenset[str]()
        unmet: list[str] = []
        for param, items in params.items():
            shared = self._merger.union(items, level, self._clash(target, param) if len(items) > 1 else None)
            if param in required and shared is not whole and shared is not NEVER:
                unmet.append(param)
        if unmet:
            self.unmet.append(Unmet(index, tuple(unmet)))
            return self._unknown(level)
        return whole

    # ------------------------------------------------------------------ loops

    def _seen(self, edge: int, level: int) -> Guard:
        """The guard of an edge as a region sees it that is, or is around, the one it starts in."""
        guard, at_level = self._taken[edge], self._levels[edge]
        if at_level == level:
            return guard
        if guard is not NEVER and self.nest.regions[at_level].depth - self.nest.regions[level].depth > _DEEP:
            # of a way out of so many loops nothing is proven but who goes it together
            guard, at_level = self._far.setdefault((guard, level), self._unknown(level)), level
        latest = self.view.definition.edges[edge].exit == "latest"
        while at_level not in (level, ROOT):
            guard = _lift(guard, at_level, self.nest.regions[at_level].parent)
            at_level = self.nest.regions[at_level].parent
            if latest and guard is not NEVER:
                # taken in some iteration, not necessarily in the last
                guard = self._unknown(at_level)
        # loops end from the inside out, so nobody asks again for a level below
        self._taken[edge], self._levels[edge] = guard, at_level
        return guard

    def _end_of_loop(self, region: Region) -> None:
        """All of a loop's nodes are known: strike out what goes round again, and look at what leaves."""
        edges = self.view.definition.edges
        back = [edges[e] for e in region.back_edges]
        going = [(guard, e.index) for e in back if (guard := self._seen(e.index, region.index)) is not NEVER]
        if region.header is not None and len(back) > 1:
            self._gather(region.header, back, region.index)
        if _strike(region.index, [guard for guard, _ in going]):
            self.endless.append(region.index)
        if going and region.index in self._exits:
            self._overtaking(region.index, going)

    def _overtaking(self, region: int, going: list[Item]) -> None:
        """Exits that are taken in an iteration that also goes round."""
        implied: dict[Decision, dict[int, int]] = {}
        for guard, edge in going:
            step = guard
            while step.decision is not None and step.decision.region == region:
                masks = implied.setdefault(step.decision, {})
                if step.mask in masks:
                    break
                masks[step.mask] = edge
                step = step.decision.parent
        for index in self._exits[region]:
            leaving = self.view.definition.edges[index]
            if leaving.exit == "latest" or leaving.kind == "cap":
                continue
            guard = self._seen(index, region)
            if guard is NEVER:
                continue
            culprit = self._overtaker(guard, region, implied, going)
            if culprit is not None:
                self.overtaken.append((region, index, culprit))

    def _overtaker(
        self, guard: Guard, region: int, implied: dict[Decision, dict[int, int]], going: list[Item]
    ) -> int | None:
        decision = guard.decision
        if decision is None or decision.region != region:
            return going[0][1]
        for mask, edge in implied.get(decision, {}).items():
            if not mask & ~guard.mask:
                return edge
        direct = decision.struck & guard.mask & decision.certain
        if direct or _lift(guard, region, self.nest.regions[region].parent) is NEVER:
            return next((edge for mask, edge in implied.get(decision, {}).items() if mask & direct), going[0][1])
        return None


def _strike(region: int, going: list[Guard]) -> bool:
    """Mark the cells of each decision that lead to a back edge; True if all of them do, at the root of the loop."""
    work = list(going)
    endless = False
    while work:
        guard = work.pop()
        decision = guard.decision
        if decision is None or decision.region != region:
            endless = True
            continue
        before = decision.struck
        decision.struck |= guard.mask
        if before != decision.full and decision.struck == decision.full:
            work.append(decision.parent)
    return endless


def _lift(guard: Guard, region: int, outer: int) -> Guard:
    """A guard within an iteration as the region around sees it: that of the last iteration."""
    decision = guard.decision
    if decision is None or decision.region != region:
        return guard
    chain: list[Decision] = []
    step: Decision | None = decision
    while step is not None and step.region == region and step.lifted is None and not step.void:
        chain.append(step)
        step = step.parent.decision
    for inner in reversed(chain):
        above = inner.parent
        if above.decision is not None and above.decision.region == region:
            parent = above.decision.lifted
            above = NEVER if parent is None else at(parent, above.mask)
        full = inner.full & ~inner.struck
        inner.void = above is NEVER or not full
        if not inner.void:
            inner.lifted = Decision(above, full, inner.certain & full, outer, lost=inner.lost)
    return NEVER if decision.lifted is None else at(decision.lifted, guard.mask)
