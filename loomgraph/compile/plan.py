"""The plan: a sound definition as arrays of small integers, which is all that the machine walks.

END is one more node here, `plan.end`. Nothing in a plan changes after compile(), so all runs share it; what only some
runs need is laid out when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

from loomgraph.compile.feeders import Feeding, home
from loomgraph.compile.nest import ROOT, Nest
from loomgraph.compile.order import Order, canonical_order
from loomgraph.compile.types import admits_none
from loomgraph.graph.definition import Definition, EdgeDef, GraphBody
from loomgraph.graph.policy import Quorum
from loomgraph.graph.refs import END_INDEX

__all__ = ["JoinPlan", "Plan", "RegionPlan", "make_plan"]

_DEEP = 16  # loops left by one edge, beyond which they are listed only when it does


@dataclass(slots=True, eq=False)
class JoinPlan:
    """A join as the machine needs it. `need` is 0 for "all"; `first` binds one bare value.

    `slots` has, for every member edge, the parameter it binds (None: the one list, in this order). A parameter in
    `required` must be taken, one in `nullable` becomes None, any other keeps its default. `home` is the loop in whose
    iterations an early join is decided.
    """

    index: int
    target: int
    edges: tuple[int, ...]
    slots: tuple[str | None, ...]
    need: int
    first: bool
    required: frozenset[str]
    nullable: frozenset[str]
    home: int = ROOT


@dataclass(eq=False)
class RegionPlan:
    """One loop (or the root), as the machine needs it.

    What an iteration needs is laid out when the loop first goes round: together it is as much as nodes times their
    depth.
    """

    plan: Plan
    index: int
    parent: int
    depth: int
    header: int
    cap: int
    cap_edge: int
    units: int
    inner: range

    @cached_property
    def path(self) -> tuple[int, ...]:
        """The loops around it and itself, outermost first."""
        return tuple(reversed(self.plan.nest.chain(self.index)[:-1]))

    @cached_property
    def exits(self) -> tuple[int, ...]:
        """The edges that leave the loop, in declared order; none leaves the root."""
        plan = self.plan
        body = plan.nest.body(self.index) if self.index != ROOT else frozenset[int]()
        return tuple(sorted(e for v in body for e in plan.out[v] if plan.dst[e] not in body))

    @cached_property
    def reset(self) -> tuple[tuple[int, int], ...]:
        """(node, in-edges that count from the second iteration on) for every node inside."""
        return tuple((v, self.plan.waits(v, self.index)) for v in sorted(self.plan.nest.body(self.index)))

    @cached_property
    def early(self) -> tuple[tuple[int, int], ...]:
        """The early joins inside that members inside lead to: (join, how many of them)."""
        return tuple(self.plan.early_in(self.index))

    @cached_property
    def barren(self) -> tuple[int, ...]:
        """The nodes inside that wait for nothing from the second iteration on, without the header."""
        return tuple(v for v, n in self.reset if n == 0 and v != self.header)


@dataclass(eq=False)
class Plan:
    """Everything the machine needs to know of a graph, by node, edge and region index."""

    definition: Definition
    nest: Nest
    end: int
    names: tuple[str, ...]
    out_normal: list[tuple[int, ...]]
    out_error: list[tuple[int, ...]]
    always: list[bool]
    src: list[int]
    dst: list[int]
    leaves: list[Sequence[int]]
    back_of: list[int]
    latest: list[bool]
    join_of: list[int]
    early_of: list[int]
    plain: list[bool]
    pending: list[int]
    region_of: list[int]
    regions: list[RegionPlan]
    joins: list[JoinPlan]
    start_edges: tuple[int, ...]
    maps: list[Any]
    graphs: list[Any]
    order: Order | None
    programs: Any = None
    arms: dict[int, Any] = field(default_factory=dict[int, Any])

    @cached_property
    def feeding(self) -> Feeding:
        """Who only feeds an early join."""
        return Feeding(self)

    @cached_property
    def out(self) -> list[list[int]]:
        """The edges out of every node, of any kind, in declared order."""
        out: list[list[int]] = [[] for _ in range(self.end)]
        for e, source in enumerate(self.src):
            if source >= 0:
                out[source].append(e)
        return out

    @cached_property
    def into(self) -> list[list[int]]:
        """The edges into every node, in declared order."""
        into: list[list[int]] = [[] for _ in range(self.end + 1)]
        for e, target in enumerate(self.dst):
            into[target].append(e)
        return into

    @cached_property
    def _early_at(self) -> dict[int, list[JoinPlan]]:
        """The early joins by the innermost region of their targets."""
        found: dict[int, list[JoinPlan]] = {}
        for join in self.joins:
            if join.need:
                found.setdefault(self.region_of[join.target], []).append(join)
        return found

    def early_in(self, region: int) -> Iterator[tuple[int, int]]:
        """The early joins of a region and how many of their members are inside it; not those without any."""
        joins = [join for inner in (region, *self.regions[region].inner) for join in self._early_at.get(inner, ())]
        for join in sorted(joins, key=lambda join: join.index):
            inside = sum(region == ROOT or self.nest.inside(self.src[e], region) for e in join.edges)
            if inside:
                yield join.index, inside

    def waits(self, node: int, region: int) -> int:
        """How many settlements a node waits for in a loop's later iterations: its forward in-edges from inside it.

        An early join counts as one.
        """
        early: set[int] = set()
        count = 0
        for e in self.into[node]:
            if self.back_of[e] < 0 and self.nest.inside(self.src[e], region):
                join = self.early_of[e]
                if join not in early:
                    count += 1
                if join >= 0:
                    early.add(join)
        return count


def make_plan(definition: Definition, nest: Nest) -> Plan:
    """The plan of a resolved definition without errors. About linear in edges."""
    count, end = len(definition.nodes), len(definition.nodes)
    edges = definition.edges
    dst = [end if e.target == END_INDEX else int(e.target) for e in edges]
    src = [int(e.source) for e in edges]
    region_of = [*nest.region_of, ROOT]
    for region in nest.regions:
        if region.cap_edge is not None and region.header is not None:
            src[region.cap_edge] = region.header
    back_of = _back_of(nest, len(edges))
    out_normal = _ways_out((e for e in edges if e.kind == "normal"), src, count + 2)
    out_error = _ways_out((e for e in edges if e.kind == "error"), src, count + 2)
    start = out_normal.pop()
    always = [True] * (count + 1)
    for edge in edges:
        if edge.when is not None and edge.kind == "normal" and src[edge.index] >= 0:
            always[src[edge.index]] = False
    joins = [_join(definition, j.index, dst) for j in definition.joins]
    early_of = [-1] * len(edges)
    for join in joins:
        if join.need:
            for e in join.edges:
                early_of[e] = join.index
    plan = Plan(
        definition=definition,
        nest=nest,
        end=end,
        names=(*(n.name for n in definition.nodes), "END"),
        out_normal=out_normal,
        out_error=out_error[:-1],
        always=always,
        src=src,
        dst=dst,
        leaves=_leaves(nest, src, dst, back_of),
        back_of=back_of,
        latest=[e.exit == "latest" for e in edges],
        join_of=[-1 if e.join is None else e.join for e in edges],
        early_of=early_of,
        plain=[e.join is None for e in edges],
        pending=_pending(count, dst, back_of, joins),
        region_of=region_of,
        regions=[],
        joins=joins,
        start_edges=start,
        maps=[n.map for n in definition.nodes] + [None],
        graphs=[n.body.graph if isinstance(n.body, GraphBody) else None for n in definition.nodes] + [None],
        order=canonical_order(definition, nest, src, dst, back_of) if definition.state is not None else None,
    )
    for join in joins:
        if join.need:
            join.home = home(plan, join)
    plan.regions = _regions(plan)
    return plan


def _back_of(nest: Nest, count: int) -> list[int]:
    """The loop that each edge repeats, -1 for those that repeat none."""
    back_of = [-1] * count
    for region in nest.regions:
        for index in region.back_edges:
            back_of[index] = region.index
    return back_of


def _ways_out(edges: Iterable[EdgeDef], src: list[int], count: int) -> list[tuple[int, ...]]:
    """The edges out of each node, and out of START as the last one. Most have one, and get no list on the way."""
    out: list[tuple[int, ...]] = [()] * count
    several: dict[int, list[int]] = {}
    for e in edges:
        source = src[e.index]
        if source in several:
            several[source].append(e.index)
        elif out[source]:
            several[source] = [*out[source], e.index]
        else:
            out[source] = (e.index,)
    for source, indexes in several.items():
        out[source] = tuple(indexes)
    return out


class _Far(Sequence[int]):
    """The many loops that an edge leaves, innermost first; listed when it first does."""

    def __init__(self, nest: Nest, first: int, stop: int) -> None:
        self._nest, self._first, self._stop = nest, first, stop

    @cached_property
    def _all(self) -> tuple[int, ...]:
        return _between(self._nest, self._first, self._stop)

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        return len(self._all)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[int]: ...
    def __getitem__(self, at: int | slice) -> int | Sequence[int]:
        return self._all[at]


def _between(nest: Nest, region: int, stop: int) -> tuple[int, ...]:
    """The regions from one on outwards, without the last."""
    found: list[int] = []
    while region != stop:
        found.append(region)
        region = nest.regions[region].parent
    return tuple(found)


def _leaves(nest: Nest, src: list[int], dst: list[int], back_of: list[int]) -> list[Sequence[int]]:
    """The regions each edge leaves, innermost first; a back edge stays in the region it repeats."""
    leaves: list[Sequence[int]] = [()] * len(src)
    regions, region_of = nest.regions, [*nest.region_of, ROOT]
    if len(regions) == 1:
        return leaves
    known: dict[tuple[int, int], Sequence[int]] = {}
    for e, source in enumerate(src):
        region = region_of[source] if source >= 0 else ROOT
        stop = region if region == ROOT else back_of[e] if back_of[e] >= 0 else nest.common(region, region_of[dst[e]])
        if region != stop:
            left = known.get((region, stop))
            if left is None:
                far = regions[region].depth - regions[stop].depth > _DEEP
                left = known[region, stop] = (_Far if far else _between)(nest, region, stop)
            leaves[e] = left
    return leaves


def _pending(end: int, dst: list[int], back_of: list[int], joins: list[JoinPlan]) -> list[int]:
    """How many settlements each node waits for: its forward in-edges, those of an early join as one."""
    pending = [0] * (end + 1)
    for target, back in zip(dst, back_of, strict=True):
        if back < 0:
            pending[target] += 1
    for join in joins:
        if join.need and back_of[join.edges[0]] < 0:
            pending[join.target] -= len(join.edges) - 1
    return pending


def _regions(plan: Plan) -> list[RegionPlan]:
    regions = plan.nest.regions
    return [
        RegionPlan(
            plan=plan,
            index=region.index,
            parent=region.parent,
            depth=region.depth,
            header=-1 if region.header is None else region.header,
            cap=region.cap,
            cap_edge=-1 if region.cap_edge is None else region.cap_edge,
            units=len(region.nodes) + len(region.children) + (1 if region.index == ROOT else 0),
            inner=range(region.index + 1, region.stop),
        )
        for region in regions
    ]


def _join(definition: Definition, index: int, dst: list[int]) -> JoinPlan:
    join = definition.joins[index]
    edges = tuple([m.edge for m in join.members])
    target = dst[edges[0]]
    need = 0 if join.wait == "all" else join.wait.k if isinstance(join.wait, Quorum) else 1
    params = {} if target >= len(definition.nodes) else {p.name: p for p in definition.nodes[target].signature.params}
    slots = tuple([m.param for m in join.members])
    needed = frozenset(s for s in slots if s is not None and not (s in params and not params[s].required))
    nullable = frozenset(s for s in needed if s in params and admits_none(params[s].type))
    return JoinPlan(index, target, edges, slots, need, join.wait == "first", needed - nullable, nullable)
