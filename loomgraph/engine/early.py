"""Early joins (first, quorum): decided at the k-th taken member; what only fed them is cancelled. Pure.

Members are counted as they settle, in log order; a join is reset with the iteration of its target's region.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loomgraph.compile.plan import JoinPlan, Plan, RegionPlan
from loomgraph.engine.activation import Activation
from loomgraph.engine.binding import bind_join
from loomgraph.errors import ActivationError, Failure, QuorumError, StateConflictError
from loomgraph.events import JoinDecided, NodeSkipped

if TYPE_CHECKING:
    from loomgraph.engine.scope import Scope
    from loomgraph.engine.state import View

__all__ = ["EarlyJoin", "fresh", "reset", "settle", "tolerates", "too_late", "unmet_back_join"]


class EarlyJoin:
    """One early join in the current iteration of its target's region."""

    __slots__ = ("decided", "failures", "left", "seen", "taken", "views")

    def __init__(self, members: int) -> None:
        self.left = members
        self.taken: dict[int, Any] = {}
        self.views: list[View] = []  # of the taken members
        self.seen: list[View] = []  # of all settled ones
        self.failures: list[Failure] = []
        self.decided = False


def fresh(plan: Plan) -> dict[int, EarlyJoin]:
    """The early joins of a scope that begins."""
    return {join.index: EarlyJoin(len(join.edges)) for join in plan.joins if join.need}


def reset(scope: Scope, region: RegionPlan) -> None:
    """A new iteration: only members inside the region count."""
    for index, members in region.early:
        scope.joins[index] = EarlyJoin(members)


def settle(scope: Scope, e: int, taken: bool, value: Any, view: View | None) -> None:
    """A member edge of an early join is settled."""
    plan = scope.plan
    join = plan.joins[plan.early_of[e]]
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
    if len(state.taken) == join.need:
        _decide(scope, join, state, e)
    elif state.left == 0 and plan.back_of[e] < 0:
        state.decided = True
        for seen in state.seen:  # nobody won, so whatever follows comes after all of them
            scope.see(join.target, seen)
        if state.taken or state.failures:
            error = QuorumError(plan.names[join.target], join.need, len(state.taken), len(join.edges), state.failures)
            if scope.status[join.target] == 0:
                scope.refuse(join.target, error)
        else:
            scope.arrive(join.target)
        # decided all the same: what still runs only for it is withdrawn
        _withdraw(scope, join, Activation(scope, join.target, (), None, None, None))


def too_late(scope: Scope, e: int) -> bool:
    """Whether an edge enters a loop that has gone round since: it counts as skipped, whenever it comes.

    Only an early join lets a loop go round before everything that enters it is settled.
    """
    plan = scope.plan
    for region in plan.regions[plan.region_of[plan.dst[e]]].path:
        if scope.iters[region] and plan.src[e] not in plan.nest.regions[region].body:
            return True
    return False


def _decide(scope: Scope, join: JoinPlan, state: EarlyJoin, e: int) -> None:
    plan = scope.plan
    state.decided = True
    winners = tuple(edge for edge in join.edges if edge in state.taken)
    subject = Activation(scope, join.target, scope.vector(plan.region_of[join.target]), None, None, None)
    scope.machine.facts.append((JoinDecided, subject, (winners,)))
    try:
        value = bind_join(plan, join, state.taken)
    except ActivationError as error:
        scope.refuse(join.target, error)
        return
    for view in state.views:
        scope.see(join.target, view)
    if plan.back_of[e] >= 0:
        scope.back[plan.back_of[e]].append((winners[0], value))
    else:
        got = scope.got[join.target]
        scope.got[join.target] = [*(got or ()), (winners[0], value)]
        scope.arrive(join.target)
    _withdraw(scope, join, subject)


def _withdraw(scope: Scope, join: JoinPlan, subject: Activation) -> None:
    """Cancel the feeders that run and skip those that wait."""
    plan = scope.plan
    for node in join.feeders:
        status = scope.status[node]
        if status not in (0, 1):
            continue
        scope.status[node] = 2
        if status == 1:
            scope.inflight -= 1
            scope.machine.kill(scope.running.pop(node), f"the join into '{subject.name}' was decided")
        else:
            skipped = Activation(scope, node, scope.vector(plan.region_of[node]), None, None, None)
            scope.machine.facts.append((NodeSkipped, skipped, ()))
        if plan.region_of[node] not in join.feeder_regions:
            scope.unit_done(plan.region_of[node])
    for region in reversed(join.feeder_regions):  # inner loops first
        if not scope.over[region]:
            scope.over[region] = True
            if scope.state is not None:
                try:
                    scope.state.end_loop(region)  # what ran in it has run, though nothing leaves it any more
                except StateConflictError as error:
                    scope.region_failed(region, error)
            if plan.regions[region].parent not in join.feeder_regions:
                scope.unit_done(plan.regions[region].parent)


def tolerates(scope: Scope, activation: Activation, failure: Failure) -> bool:
    """Whether the failed activation only fed early joins that are not decided: then it counts as a skipped member."""
    fed = [join for join in scope.plan.joins if join.need and activation.node in join.feeders]
    waiting = [join for join in fed if not scope.joins[join.index].decided]
    if not waiting:
        return False
    # the nearest one; should that join fail for it, its target's failure counts for the next
    nearest = min(waiting, key=lambda join: len(join.feeders))
    scope.joins[nearest.index].failures.append(failure)
    return True


def unmet_back_join(scope: Scope, region: RegionPlan) -> QuorumError | None:
    """Why a loop cannot go round: an early join of its back edges got some members, but not enough."""
    plan = scope.plan
    for index, _ in region.early:
        join, state = plan.joins[index], scope.joins[index]
        goes_back = join.target == region.header and plan.back_of[join.edges[0]] >= 0
        if goes_back and not state.decided and (state.taken or state.failures):
            state.decided = True
            name = plan.names[join.target]
            return QuorumError(name, join.need, len(state.taken), len(join.edges), state.failures)
    return None
