"""The plan: a sound definition as arrays of small integers, which is all that the machine walks.

END is one more node here, `plan.end`. Nothing in a plan changes after compile(), so all runs share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loomgraph.compile.feeders import feeders, home
from loomgraph.compile.nest import ROOT, Nest
from loomgraph.compile.order import Order, canonical_order
from loomgraph.compile.types import admits_none
from loomgraph.graph.definition import Definition, GraphBody
from loomgraph.graph.policy import Quorum
from loomgraph.graph.refs import END_INDEX

__all__ = ["JoinPlan", "Plan", "RegionPlan", "make_plan"]


@dataclass(slots=True, eq=False)
class JoinPlan:
    """A join as the machine needs it. `need` is 0 for "all"; `first` binds one bare value.

    `slots` has, for every member edge, the parameter it binds (None: the one list, in this order). A parameter in
    `required` must be taken, one in `nullable` becomes None, any other keeps its default. Of an early join: `home` is
    the loop in whose iterations it is decided, `feeders` work for nothing else there, `feeder_regions` are the loops
    made of them, `inner` the early joins into them.
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
    feeders: tuple[int, ...] = ()
    feeder_regions: tuple[int, ...] = ()
    inner: tuple[int, ...] = ()


@dataclass(slots=True, eq=False)
class RegionPlan:
    """One loop (or the root), as the machine needs it.

    `reset` has (node, in-edges that count from iteration 1 on) for every node inside, `barren` the nodes that have
    none; `exits` are the edges that leave the loop, `early` (join, members inside), `path` the loops around it and
    itself, outermost first.
    """

    index: int
    parent: int
    depth: int
    header: int
    cap: int
    cap_edge: int
    units: int
    inner: tuple[int, ...]
    reset: tuple[tuple[int, int], ...]
    barren: tuple[int, ...]
    exits: tuple[int, ...]
    early: tuple[tuple[int, int], ...]
    path: tuple[int, ...]


@dataclass(slots=True, eq=False)
class Plan:
    """Everything the machine needs to know of a graph, by node, edge and region index.

    `feeds` has the early joins that a node is a feeder of.
    """

    definition: Definition
    nest: Nest
    end: int
    names: tuple[str, ...]
    out_normal: list[tuple[int, ...]]
    out_error: list[tuple[int, ...]]
    always: list[bool]
    src: list[int]
    dst: list[int]
    leaves: list[tuple[int, ...]]
    back_of: list[int]
    latest: list[bool]
    join_of: list[int]
    early_of: list[int]
    plain: list[bool]
    pending: list[int]
    region_of: list[int]
    regions: list[RegionPlan]
    joins: list[JoinPlan]
    feeds: list[tuple[int, ...]]
    start_edges: tuple[int, ...]
    maps: list[Any]
    graphs: list[Any]
    order: Order | None
    programs: Any = None


def make_plan(definition: Definition, nest: Nest) -> Plan:
    """The plan of a resolved definition without errors. Linear in edges for each level of nesting."""
    count, end = len(definition.nodes), len(definition.nodes)
    edges = definition.edges
    dst = [end if e.target == END_INDEX else int(e.target) for e in edges]
    src = [int(e.source) for e in edges]
    region_of = [*nest.region_of, ROOT]
    for region in nest.regions:
        if region.cap_edge is not None and region.header is not None:
            src[region.cap_edge] = region.header
    back_of = _back_of(nest, len(edges))
    leaves = [
        _leaves(nest, region_of[s] if s >= 0 else ROOT, region_of[d], b)
        for s, d, b in zip(src, dst, back_of, strict=True)
    ]
    out_normal, out_error, start = _ways_out(definition, src)
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
        out_normal=[tuple(o) for o in out_normal],
        out_error=[tuple(o) for o in out_error],
        always=[all(edges[e].when is None for e in out) for out in out_normal],
        src=src,
        dst=dst,
        leaves=leaves,
        back_of=back_of,
        latest=[e.exit == "latest" for e in edges],
        join_of=[-1 if e.join is None else e.join for e in edges],
        early_of=early_of,
        plain=[e.join is None for e in edges],
        pending=[0] * (count + 1),
        region_of=region_of,
        regions=[],
        joins=joins,
        feeds=[()] * (count + 1),
        start_edges=tuple(start),
        maps=[n.map for n in definition.nodes] + [None],
        graphs=[n.body.graph if isinstance(n.body, GraphBody) else None for n in definition.nodes] + [None],
        order=canonical_order(definition, nest, src, dst, back_of) if definition.state is not None else None,
    )
    into = _into(plan)
    plan.pending = [_count(plan, into[v], None) for v in range(count + 1)]
    exits: list[list[int]] = [[] for _ in nest.regions]
    for e, left in enumerate(plan.leaves):
        for r in left:
            exits[r].append(e)
    plan.regions = [_region(plan, into, exits, r) for r in range(len(nest.regions))]
    _early(plan)
    return plan


def _early(plan: Plan) -> None:
    """What the early joins need to know of those that feed them."""
    for join in plan.joins:
        if not join.need:
            continue
        join.home = home(plan, join)
        join.feeders, join.feeder_regions = feeders(plan, join)
        for node in join.feeders:
            plan.feeds[node] += (join.index,)
    for join in plan.joins:
        if join.need:
            for outer in plan.feeds[join.target]:
                plan.joins[outer].inner += (join.index,)


def _back_of(nest: Nest, count: int) -> list[int]:
    """The loop that each edge repeats, -1 for those that repeat none."""
    back_of = [-1] * count
    for region in nest.regions:
        for index in region.back_edges:
            back_of[index] = region.index
    return back_of


def _ways_out(definition: Definition, src: list[int]) -> tuple[list[list[int]], list[list[int]], list[int]]:
    """The edges out of each node on success and on failure, and those out of START. A cap edge is the loop's."""
    normal: list[list[int]] = [[] for _ in range(len(definition.nodes) + 1)]
    error: list[list[int]] = [[] for _ in range(len(definition.nodes) + 1)]
    start: list[int] = []
    for e in definition.edges:
        if e.kind == "normal":
            (start if src[e.index] < 0 else normal[src[e.index]]).append(e.index)
        elif e.kind == "error":
            error[src[e.index]].append(e.index)
    return normal, error, start


def _leaves(nest: Nest, source: int, target: int, back_of: int) -> tuple[int, ...]:
    """The regions an edge leaves, innermost first; a back edge stays in the region it repeats."""
    if source == ROOT:
        return ()
    stop = back_of if back_of >= 0 else nest.common(source, target)
    out: list[int] = []
    while source != stop:
        out.append(source)
        source = nest.regions[source].parent
    return tuple(out)


def _into(plan: Plan) -> list[list[int]]:
    into: list[list[int]] = [[] for _ in range(plan.end + 1)]
    for index, target in enumerate(plan.dst):
        into[target].append(index)
    return into


def _count(plan: Plan, into: list[int], body: frozenset[int] | None) -> int:
    """How many settlements a node waits for: its forward in-edges (from inside `body`), an early join as one."""
    early: set[int] = set()
    count = 0
    for e in into:
        if plan.back_of[e] >= 0 or (body is not None and plan.src[e] not in body):
            continue
        join = plan.early_of[e]
        if join < 0:
            count += 1
        elif join not in early:
            early.add(join)
            count += 1
    return count


def _region(plan: Plan, into: list[list[int]], exits: list[list[int]], index: int) -> RegionPlan:
    region = plan.nest.regions[index]
    inner: list[int] = []
    stack = list(reversed(region.children))
    while stack:
        child = stack.pop()
        inner.append(child)
        stack.extend(reversed(plan.nest.regions[child].children))
    header = -1 if region.header is None else region.header
    body = sorted(region.body)
    counts = [(v, _count(plan, into[v], region.body)) for v in body] if header >= 0 else []
    early: dict[int, int] = {}
    for v in body:
        for e in into[v]:
            if plan.early_of[e] >= 0 and (header < 0 or plan.src[e] in region.body):
                early[plan.early_of[e]] = early.get(plan.early_of[e], 0) + 1
    return RegionPlan(
        index=index,
        parent=region.parent,
        depth=region.depth,
        header=header,
        cap=region.cap,
        cap_edge=-1 if region.cap_edge is None else region.cap_edge,
        units=len(region.nodes) + len(region.children) + (1 if index == ROOT else 0),
        inner=tuple(inner),
        reset=tuple(counts),
        barren=tuple(v for v, n in counts if n == 0 and v != header),
        exits=tuple(exits[index]),
        early=tuple(sorted(early.items())),
        path=tuple(reversed(plan.nest.chain(index)[:-1])),
    )


def _join(definition: Definition, index: int, dst: list[int]) -> JoinPlan:
    join = definition.joins[index]
    edges = tuple(m.edge for m in join.members)
    target = dst[edges[0]]
    need = 0 if join.wait == "all" else join.wait.k if isinstance(join.wait, Quorum) else 1
    params = {} if target >= len(definition.nodes) else {p.name: p for p in definition.nodes[target].signature.params}
    slots = tuple(m.param for m in join.members)
    needed = [s for s in slots if s is not None and not (s in params and not params[s].required)]
    nullable = frozenset(s for s in needed if s in params and admits_none(params[s].type))
    return JoinPlan(index, target, edges, slots, need, join.wait == "first", frozenset(needed) - nullable, nullable)
