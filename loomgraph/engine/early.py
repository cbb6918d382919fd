"""Early joins (first, quorum): decided at the k-th taken member, or when all are settled. Pure.

What only feeds a join is withdrawn by its decision: nobody waits for it any more. Until then a failure of it, or of a
loop made of such nodes, counts as skipped edges. Those carry the failures behind them, and a join that cannot be met
fails its target with the failures that reached it, so that what is reported depends on the winners and not on timing.

Members are counted as they settle, in log order; a join is reset with the iteration of its home.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loomgraph.compile.plan import JoinPlan, Plan, RegionPlan
from loomgraph.engine.activation import Activation, Causes
from loomgraph.engine.binding import Refused, bind_join
from loomgraph.errors import ActivationError, QuorumError, StateConflictError
from loomgraph.events import JoinDecided, NodeSkipped

if TYPE_CHECKING:
    from loomgraph.engine.scope import Scope
    from loomgraph.engine.state import View

__all__ = ["EarlyJoin", "fresh", "reset", "settle", "tolerates", "tolerates_loop", "too_late"]


class EarlyJoin:
    """One early join in the current iteration of its home."""

    __slots__ = ("causes", "decided", "left", "seen", "taken", "views")

    def __init__(self, members: int) -> None:
        self.left = members
        self.taken: dict[int, Any] = {}
        self.views: list[View] = []  # of the taken members
        self.seen: list[View] = []  # of all settled ones
        self.causes = Causes()  # why members were skipped
        self.decided = False


def fresh(plan: Plan) -> dict[int, EarlyJoin]:
    """The early joins of a scope that begins."""
    return {join.index: EarlyJoin(len(join.edges)) for join in plan.joins if join.need}


def reset(scope: Scope, region: RegionPlan) -> None:
    """A new iteration: only members inside the region count."""
    for index, members in region.early:
        scope.joins[index] = EarlyJoin(members)


def settle(scope: Scope, e: int, taken: bool, value: Any, view: View | None) -> None:
    """A member edge of an early join is settled; `value` of a skipped one are the failures behind it, if any."""
    join = scope.plan.joins[scope.plan.early_of[e]]
    state = scope.joins[join.index]
    if state.decided:
        return
    state.left -= 1
    if view is not None:
        state.seen.append(view)
    if taken:
        state.taken[e] = value
        if view is not None:
            state.views.append(view)
    elif value is not None:
        state.causes.update(value)
    if len(state.taken) == join.need:
        _met(scope, join, state)
    elif not state.left:
        _unmet(scope, join, state)


def too_late(scope: Scope, e: int) -> bool:
    """Whether an edge enters a loop that has gone round since: it counts as skipped, whenever it comes.

    Only an early join lets a loop go round before everything that enters it is settled.
    """
    plan = scope.plan
    for region in plan.regions[plan.region_of[plan.dst[e]]].path:
        if scope.iters[region] and not plan.nest.inside(plan.src[e], region):
            return True
    return False


def _met(scope: Scope, join: JoinPlan, state: EarlyJoin) -> None:
    plan = scope.plan
    winners = tuple(edge for edge in join.edges if edge in state.taken)
    subject = Activation(scope, join.target, scope.vector(plan.region_of[join.target]), None, None, None)
    scope.machine.facts.append((JoinDecided, subject, (winners,)))
    for view in state.views:
        scope.see(join.target, view)
    value: Any
    try:
        value = bind_join(plan, join, state.taken)
    except ActivationError as error:
        value = Refused(error)
    _deliver(scope, join, winners[0], value)
    _withdraw(scope, join)


def _unmet(scope: Scope, join: JoinPlan, state: EarlyJoin) -> None:
    plan = scope.plan
    e = join.edges[0]
    for seen in state.seen:  # nobody won, so whatever follows comes after all of them
        scope.see(join.target, seen)
    # a failure of something that works for others too leaves the member merely skipped
    if state.taken or any(plan.feeding.feeds(node, join.index) for node, *_ in state.causes):
        failures = [state.causes[place] for place in sorted(state.causes)]
        name = plan.names[join.target]
        error = QuorumError(name, join.need, len(state.taken), len(join.edges), failures)
        _deliver(scope, join, e, Refused(error))
    elif plan.back_of[e] >= 0:
        scope.spill(plan.back_of[e], state.causes)
    else:
        scope.lose(join.target, state.causes)
        scope.arrive(join.target)
    _withdraw(scope, join)


def _deliver(scope: Scope, join: JoinPlan, e: int, value: Any) -> None:
    """The join is one alternative of its target, and one of its edges stands for it."""
    region = scope.plan.back_of[e]
    if region >= 0:
        scope.back[region].append((e, value))
    else:
        scope.got[join.target] = [*(scope.got[join.target] or ()), (e, value)]
        scope.arrive(join.target)


def _withdraw(scope: Scope, join: JoinPlan) -> None:
    """The join is decided: cancel the feeders that run and skip those that wait."""
    plan = scope.plan
    joins, status = scope.joins, scope.status
    joins[join.index].decided = True
    found = plan.feeding.withdrawn(join.index, lambda index: joins[index].decided)
    for inner in found.joins:  # their targets are feeders, so they are decided by this
        joins[inner].decided = True
    for node, in_feeder in sorted(entry for entry in found.nodes if status[entry[0]] in (0, 1)):
        running = status[node] == 1
        status[node] = 2
        if running:
            scope.inflight -= 1
            scope.machine.kill(scope.running.pop(node), f"the join into '{plan.names[join.target]}' was decided")
        else:
            skipped = Activation(scope, node, scope.vector(plan.region_of[node]), None, None, None)
            scope.machine.facts.append((NodeSkipped, skipped, ()))
        if not in_feeder:
            scope.unit_done(plan.region_of[node])
    for region, in_feeder in sorted(found.regions, reverse=True):  # inner loops first
        if not scope.over[region]:
            _cut_off(scope, region, in_feeder)


def _cut_off(scope: Scope, region: int, in_feeder: bool) -> None:
    """End a loop of feeders: what ran in it has run, though nothing leaves it any more."""
    plan = scope.plan.regions[region]
    scope.over[region] = True
    if not scope.broken.isdisjoint(plan.inner):
        scope.broken |= {region}  # as if it had got no further than the conflict inside
        return
    if scope.state is not None:
        try:
            scope.state.end_loop(region)
        except StateConflictError as error:
            scope.region_failed(region, error)
            return
    if not in_feeder:
        scope.unit_done(plan.parent)


def tolerates(scope: Scope, node: int) -> bool:
    """Whether an early join that the node feeds, and nothing else, is still undecided: a failure only skips members."""
    return any(not scope.joins[index].decided for index in scope.plan.feeding.fed(node))


def tolerates_loop(scope: Scope, region: int) -> bool:
    """The same for a loop as a whole, which a cap or an overtaken exit stops."""
    return any(not scope.joins[index].decided for index in scope.plan.feeding.fed_by_loop(region))
