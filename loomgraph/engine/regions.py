"""The end of a loop's iteration: go round again, end the loop and release its exits, or stop at the cap. Pure."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from loomgraph.compile.plan import RegionPlan
from loomgraph.engine import early
from loomgraph.engine.activation import Causes, failure_of
from loomgraph.engine.binding import Refused, bind
from loomgraph.engine.later import read
from loomgraph.errors import ActivationError, ExitOvertakenError, Failure, LoopCapError, StateConflictError
from loomgraph.events import IterationStarted, LoopCapReached, LoopEnded, activation_key

if TYPE_CHECKING:
    from loomgraph.engine.scope import Scope

__all__ = ["close"]


def close(scope: Scope, region: int) -> None:
    """All units of a loop's iteration are settled: decide what follows."""
    if scope.over[region]:
        return
    plan = scope.plan.regions[region]
    back, hold = scope.back[region], scope.hold[region]
    if not back:
        _end(scope, region, dict(hold), None)
        return
    if hold:
        now = scope.iters[region]
        overtaken = [e for e, (_, iteration) in hold.items() if iteration == now and not scope.plan.latest[e]]
        if overtaken:
            _fail(scope, region, _overtaken(scope, region, min(overtaken)))
            return
    if _has_another(scope, plan):
        _again(scope, region)
        return
    refused = [given.error for _, given in back if type(given) is Refused]
    if refused:
        _fail(scope, region, refused[0])
    else:
        _capped(scope, region)


def _has_another(scope: Scope, plan: RegionPlan) -> bool:
    """Whether the cap allows another iteration; in a fold, whether it did when the log was written."""
    now = scope.iters[plan.index]
    if scope.machine.foreseen is not None:
        again, capped = scope.machine.foreseen
        vector, name = scope.vector(plan.index), scope.plan.names[plan.header]
        if activation_key(scope.path, name, (*vector[:-1], now + 1), None) in again:
            return True
        if activation_key(scope.path, name, vector, None) in capped:
            return False
    return now + 1 < plan.cap


def _again(scope: Scope, region: int) -> None:
    """Start the next iteration with what the back edges carried."""
    plan = scope.plan.regions[region]
    view = None
    if scope.state is not None:
        try:
            view = scope.state.next_iteration(region)
        except StateConflictError as error:
            scope.region_failed(region, error)
            return
    back = scope.back[region]
    scope.iters[region] = now = scope.iters[region] + 1
    scope.vectors[region] = vector = (*scope.vectors[region][:-1], now)
    for inner in plan.inner:
        scope.iters[inner] = 0
        scope.vectors[inner] = vector + (0,) * (len(scope.plan.regions[inner].path) - len(vector))
        scope.back[inner], scope.hold[inner] = [], {}
        scope.open[inner], scope.over[inner] = scope.plan.regions[inner].units, False
    scope.open[region] = plan.units
    scope.back[region] = []
    if scope.spilt or scope.lost:
        _forget(scope, region)
    for node, count in plan.reset:
        scope.pending[node] = count
        scope.got[node] = None
        scope.status[node] = 0
        if view is not None:
            # the new iteration's base is an ancestor of everything in it, reached by an edge or not
            assert scope.state is not None
            scope.seen[node] = scope.state.at(view, scope.plan.regions[scope.plan.region_of[node]].depth)
    if plan.early:
        early.reset(scope, plan)
    scope.coming = subject = scope.header(region)
    scope.machine.facts.append((IterationStarted, subject, (vector,)))
    scope.got[plan.header] = back
    scope.todo.append(plan.header)
    scope.todo.extend(plan.barren)


def _forget(scope: Scope, region: int) -> None:
    """The failures of an iteration that went round all the same are behind nothing any more."""
    plan = scope.plan.regions[region]
    for inner in (region, *plan.inner):
        scope.spilt.pop(inner, None)
    for node, _ in plan.reset:
        scope.lost.pop(node, None)


def _fail(scope: Scope, region: int, error: Exception) -> None:
    """The loop as a whole failed: that ends it with nothing released if it only feeds an early join, else the run."""
    if not early.tolerates_loop(scope, region):
        scope.region_failed(region, error)
        return
    header = scope.header(region)
    failure = failure_of(header, error)
    scope.spilt[region] = Causes({(header.node, header.iteration, True): failure})
    _end(scope, region, {}, None, failure)


def _end(
    scope: Scope,
    region: int,
    held: dict[int, tuple[Any, int]],
    cap_value: tuple[Any] | None,
    failure: Failure | None = None,
) -> None:
    plan = scope.plan.regions[region]
    view = None
    if scope.state is not None:
        try:
            view = scope.state.end_loop(region)
        except StateConflictError as error:
            scope.region_failed(region, error)
            return
    scope.over[region] = True
    scope.hold[region], scope.back[region] = {}, []
    now = scope.iters[region]
    if cap_value is not None:
        held = {plan.cap_edge: (cap_value[0], now)}
    # an exit counts if it was taken in the last iteration, or ever, where it says exit="latest"
    kept = {e: value for e, (value, at) in held.items() if at == now or scope.plan.latest[e]}
    scope.machine.facts.append((LoopEnded, scope.header(region), (now + 1, tuple(sorted(kept)), failure)))
    causes = scope.spilt.pop(region, None) if cap_value is None else None
    for e in plan.exits:
        leaves = scope.plan.leaves[e]
        scope.leave(e, e in kept, kept.get(e, causes), leaves.index(region) + 1, view)
    scope.unit_done(plan.parent)


def _capped(scope: Scope, region: int) -> None:
    plan = scope.plan.regions[region]
    back = scope.back[region]
    handled = plan.cap_edge >= 0
    scope.machine.facts.append((LoopCapReached, scope.header(region), (plan.cap, handled)))
    if handled:
        try:
            value = bind(scope.plan, plan.header, back)
        except ActivationError as error:
            _fail(scope, region, error)
            return
        _end(scope, region, {}, (value,))
        return
    nest, definition = scope.plan.nest, scope.plan.definition
    cycle = [scope.plan.names[node] for node in nest.cycle(nest.regions[region], definition)]
    values = {scope.plan.names[scope.plan.src[e]]: read(value) for e, value in sorted(back, key=itemgetter(0))}
    _fail(scope, region, LoopCapError(run_id=scope.machine.run_id, cycle=cycle, cap=plan.cap, values=values))


def _overtaken(scope: Scope, region: int, e: int) -> ExitOvertakenError:
    definition = scope.plan.definition
    edge = definition.edges[e]
    header = scope.plan.names[scope.plan.regions[region].header]
    return ExitOvertakenError(
        run_id=scope.machine.run_id,
        source=definition.name_of(edge.source),
        target=definition.name_of(edge.target),
        header=header,
    )
