"""One execution of one graph: which nodes wait, run and are settled. The counters behind readiness. Pure.

Settling an edge costs a counter; a node fires when its counter reaches zero. Skips travel by a work list, never by
recursion. A code below zero on that list means "the iteration of region -1 - code is settled".
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Any

from loomgraph.compile.plan import Plan
from loomgraph.engine import early, regions
from loomgraph.engine.activation import Activation, Causes, Failed, Trouble, failure_of
from loomgraph.engine.binding import Got, bind
from loomgraph.engine.state import StateRun, View
from loomgraph.errors import ActivationError, ActivationLimitError, StateConflictError
from loomgraph.events import NodeSkipped, escape

if TYPE_CHECKING:
    from loomgraph.engine.machine import Machine

__all__ = ["FAILED", "RUNNING", "SETTLED", "WAITING", "Scope"]

WAITING, RUNNING, SETTLED, FAILED = 0, 1, 2, 3


class _Loops:
    """What a scope counts by region, for a graph with loops. Of the region that is no loop, nothing ever changes."""

    __slots__ = ("back", "hold", "iters", "over", "vectors")

    def __init__(self, paths: list[int]) -> None:
        self.over = [False] * len(paths)
        self.iters = [0] * len(paths)
        self.vectors: list[tuple[int, ...]] = [(0,) * depth for depth in paths]
        self.back: list[list[tuple[int, Any]]] = [[] for _ in paths]
        self.hold: list[dict[int, tuple[Any, int]]] = [{} for _ in paths]


# shared, because a process may hold very many runs at once, and all that each of them keeps is garbage to look through
_NO_LOOPS = _Loops([0])
_UNSEEN: list[View | None] = []
_NONE: frozenset[int] = frozenset()


class Scope:
    """The machine's state for one graph. `parent` is the activation it runs inside, None for the run's own graph."""

    __slots__ = (
        "back",
        "broken",
        "coming",
        "ended",
        "got",
        "hold",
        "inflight",
        "input",
        "iters",
        "joins",
        "lost",
        "machine",
        "node_path",
        "open",
        "output",
        "over",
        "parent",
        "path",
        "pending",
        "places",
        "plan",
        "reached",
        "running",
        "seen",
        "spilt",
        "state",
        "status",
        "stopping",
        "todo",
        "troubles",
        "vectors",
        "waiter",
    )

    def __init__(
        self,
        machine: Machine,
        plan: Plan,
        parent: Activation | None,
        path: str,
        node_path: str,
        initial: dict[str, Any],
    ) -> None:
        self.machine = machine
        self.plan = plan
        self.parent = parent
        self.path = path
        self.node_path = node_path
        self.pending = plan.pending.copy()
        self.got: list[Got | None] = [None] * (plan.end + 1)
        self.status = bytearray(plan.end + 1)
        self.running: dict[int, Activation] = {}
        self.coming: Activation | None = None
        self.inflight = 0
        self.todo: list[int] = []
        self.open = [r.units for r in plan.regions]
        self.broken = _NONE  # loops that failed as a whole, so they never end
        regions = _NO_LOOPS if len(plan.regions) == 1 else _Loops([len(r.path) for r in plan.regions])
        self.over, self.iters, self.vectors = regions.over, regions.iters, regions.vectors
        self.back, self.hold = regions.back, regions.hold
        self.joins = early.fresh(plan)
        # the failures behind skipped edges: into a node that waits, and towards the next iteration or out of a loop
        self.lost: dict[int, Causes] = {}
        self.spilt: dict[int, Causes] = {}
        self.troubles: list[list[Trouble]] = []
        self.places: list[tuple[int, tuple[int, ...]]] | None = None
        self.stopping = False
        self.ended = False
        self.reached = False
        self.input: Any = None
        self.output: Any = None
        self.waiter: Any = None
        spec = plan.definition.state
        self.state = None if spec is None else StateRun(plan, spec, initial)
        self.seen: list[View | None] = _UNSEEN if self.state is None else [None] * (plan.end + 1)

    # ------------------------------------------------------------------ in

    def begin(self, value: Any, taken: tuple[int, ...]) -> None:
        """Settle the edges out of START."""
        self.input = value
        view = None if self.state is None else self.state.start
        into = taken if len(taken) < 8 else frozenset(taken)
        for e in self.plan.start_edges:
            self.settle(e, e in into, value if e in into else None, view)
        self.drain()

    def finish(
        self,
        activation: Activation,
        taken: tuple[int, ...],
        value: Any,
        view: View | None,
        causes: Causes | None = None,
    ) -> None:
        """An activation is settled: its edges travel, the taken ones with `value`, the skipped ones with `causes`."""
        node = activation.node
        del self.running[node]
        self.inflight -= 1
        self.status[node] = SETTLED
        self.depart(node, taken, value, view, causes)
        self.drain()

    def fail(self, activation: Activation, troubles: list[Trouble]) -> None:
        """An activation failed and nothing takes it: the node stays unsettled."""
        del self.running[activation.node]
        self.inflight -= 1
        self.status[activation.node] = FAILED
        self.halt(troubles, (activation.node, activation.iteration))

    @property
    def drains(self) -> bool:
        """Whether what does not depend on a failure still runs."""
        return (self.machine.on_failure or self.plan.definition.on_failure) == "drain"

    def halt(self, troubles: list[Trouble], place: tuple[int, tuple[int, ...]]) -> None:
        """The scope cannot end well any more; unless it drains, what runs is cancelled and nothing starts.

        A drained scope has the same failures whatever the timing, so they are kept in the order of their `place`.
        """
        if self.drains:
            if self.places is None:
                self.places = []
            at = bisect.bisect_right(self.places, place)
            self.places.insert(at, place)
            self.troubles.insert(at, troubles)
        else:
            self.troubles.append(troubles)
            self.machine.stop(self, "another node failed")

    @property
    def failures(self) -> list[Trouble]:
        """Every unhandled failure in the scope."""
        return [trouble for troubles in self.troubles for trouble in troubles]

    # ------------------------------------------------------------------ edges

    def depart(
        self, node: int, taken: tuple[int, ...], value: Any, view: View | None, causes: Causes | None = None
    ) -> None:
        """Every edge out of a settled node is taken or skipped; the node's region is one unit nearer its end."""
        plan = self.plan
        leaves, back_of = plan.leaves, plan.back_of
        region = plan.region_of[node]
        into = taken if len(taken) < 8 else frozenset(taken)
        for e in plan.out_normal[node] + plan.out_error[node] if plan.out_error[node] else plan.out_normal[node]:
            hit = e in into
            if region and (leaves[e] or back_of[e] >= 0):
                if hit or causes is not None or not leaves[e]:  # a loop holds nothing of a skipped way out
                    self.leave(e, hit, value if hit else causes, 0, None)
            else:
                self.settle(e, hit, value if hit else causes, view)
        if region and self.state is not None and view is not None:
            self.state.saw(region, view)
        self.unit_done(region)

    def leave(self, e: int, taken: bool, value: Any, level: int, view: View | None) -> None:
        """An edge that leaves loops is held by the next one; beyond the last it goes back or settles."""
        leaves = self.plan.leaves[e]
        if level < len(leaves):
            region = leaves[level]
            if taken:
                self.hold[region][e] = (value, self.iters[region])
            elif value is not None:
                self.spill(region, value)
            return
        region = self.plan.back_of[e]
        if region < 0:
            self.settle(e, taken, value, view)
        elif self.plan.early_of[e] >= 0:
            early.settle(self, e, taken, value, None)
        elif taken:
            self.back[region].append((e, value))
        elif value is not None:
            self.spill(region, value)

    def settle(self, e: int, taken: bool, value: Any, view: View | None) -> None:
        """An edge reaches its target's region: one thing less to wait for. A skipped one carries its causes."""
        node = self.plan.dst[e]
        if self.joins and early.too_late(self, e):
            return
        if self.plan.early_of[e] >= 0:
            early.settle(self, e, taken, value, view)
            return
        if taken:
            got = self.got[node]
            if got is None:
                self.got[node] = [(e, value)]
            else:
                got.append((e, value))
        elif value is not None:
            self.lose(node, value)
        if view is not None:
            self.see(node, view)
        self.arrive(node)

    def lose(self, node: int, causes: Causes) -> None:
        """An edge into a node is skipped because of these failures."""
        if causes:
            self.lost.setdefault(node, Causes()).update(causes)

    def spill(self, region: int, causes: Causes) -> None:
        """An edge out of a loop, or back to its header, is skipped in this iteration because of these failures."""
        if causes:
            self.spilt.setdefault(region, Causes()).update(causes)

    def see(self, node: int, view: View) -> None:
        """A view reaches a node along an edge, taken or skipped."""
        assert self.state is not None
        depth = self.plan.regions[self.plan.region_of[node]].depth
        self.seen[node] = self.state.merge(self.seen[node], view, depth)

    def arrive(self, node: int) -> None:
        """One alternative, or one edge of one, is settled."""
        self.pending[node] -= 1
        if not self.pending[node] and self.status[node] == WAITING:
            self.todo.append(node)

    def unit_done(self, region: int) -> None:
        """A node or an inner loop of the region is settled."""
        self.open[region] -= 1
        if not self.open[region]:
            self.todo.append(-1 - region)

    def drain(self) -> None:
        """Work through what became decidable, in order.

        Also while the scope stops: nothing starts then, but what follows from what finished is the same as in a run
        that goes on from the log, so that a race is not won by another then.
        """
        todo, at = self.todo, 0
        while at < len(todo):
            code = todo[at]
            at += 1
            if code >= 0:
                if self.status[code] == WAITING:  # a decided early join may have settled it meanwhile
                    self.decide(code)
            elif code < -1:
                regions.close(self, -1 - code)
        todo.clear()

    # ------------------------------------------------------------------ nodes

    def decide(self, node: int) -> None:
        """All in-edges are settled: fire, skip, or refuse."""
        got = self.got[node]
        if not got:
            self.skip(node)
            return
        try:
            value = got[0][1] if len(got) == 1 and self.plan.plain[got[0][0]] else bind(self.plan, node, got)
            view = None
            if self.state is not None:
                view = self.seen[node]
                if view is not None:
                    self.state.check(view, self.plan.region_of[node])
        except ActivationError as error:
            self.refuse(node, error)
            return
        if self.stopping:
            return  # it would start now, and does when the run goes on
        if node == self.plan.end:
            self.status[node] = SETTLED
            self.reached, self.output = True, value
            self.unit_done(0)
            return
        self.fire(node, value, view)

    def vector(self, region: int) -> tuple[int, ...]:
        """The iterations of the loops around a region, outermost first."""
        return self.vectors[region]

    def fire(self, node: int, value: Any, view: View | None) -> None:
        """Hand out an activation."""
        iteration = self.vectors[self.plan.region_of[node]]
        coming = self.coming
        if coming is not None and coming.node == node and coming.iteration is iteration:
            # the event of this iteration is about it already: a long loop keeps one activation an iteration, not two
            activation, self.coming = coming, None
            activation.input, activation.view = value, view
        else:
            activation = Activation(self, node, iteration, None, value, view)
        if not self.machine.admit(activation):
            return
        self.status[node] = RUNNING
        self.running[node] = activation
        self.inflight += 1
        if self.plan.maps[node] is not None and not self.machine.withheld(activation):
            self.machine.start_map(activation)
        else:
            self.machine.commands.append(activation)

    def refuse(self, node: int, error: ActivationError) -> None:
        """The engine itself fails the node's activation before it starts; it is never retried."""
        activation = Activation(self, node, self.vector(self.plan.region_of[node]), None, None, None)
        if self.state is not None:
            activation.view = self.seen[node]
        self.status[node] = RUNNING
        self.running[node] = activation
        self.inflight += 1
        if self.machine.index is not None:
            self.machine.index[activation.key] = activation
        self.machine.commands.append(Failed(activation, [(failure_of(activation, error), error)]))

    def skip(self, node: int) -> None:
        """Nothing was taken into the node: it is skipped, and passes that on."""
        self.status[node] = SETTLED
        if node == self.plan.end:
            self.unit_done(0)
            return
        subject = Activation(self, node, self.vector(self.plan.region_of[node]), None, None, None)
        self.machine.facts.append((NodeSkipped, subject, ()))
        causes = self.lost.pop(node, None) if self.lost else None
        self.depart(node, (), None, self.seen[node] if self.state is not None else None, causes)

    def header(self, region: int) -> Activation:
        """What events about a loop as a whole are about: its header, in the loop's current iteration."""
        return Activation(self, self.plan.regions[region].header, self.vector(region), None, None, None)

    def region_failed(self, region: int, error: Exception) -> None:
        """A loop as a whole cannot go on."""
        self.over[region] = True
        self.broken |= {region}
        subject = self.header(region)
        self.halt([(failure_of(subject, error), error)], (subject.node, subject.iteration))

    def limit_reached(self, activation: Activation, limit: int) -> None:
        """The run may start nothing more, so there is nothing to drain."""
        error = ActivationLimitError(run_id=self.machine.run_id, limit=limit, node=activation.path)
        self.troubles.append([(failure_of(activation, error), error)])
        self.machine.stop(self, "the run's total cap was reached")

    # ------------------------------------------------------------------ out

    def final_state(self) -> dict[str, Any] | None:
        """The fold of everything that ran. Raises StateConflictError if two ends of it disagree."""
        if self.state is None:
            return None
        view = self.state.everything(0)
        self.state.check(view, 0)
        return self.state.fields(view, 0)

    def standing_state(self) -> dict[str, Any] | None:
        """What has been written so far, whoever will see it; None without a state. For readers, not for nodes."""
        return None if self.state is None else self.state.standing(self.over)

    def conclude(self) -> None:
        """Once nothing is active: END is settled, or the scope failed or was stopped."""
        if self.ended or self.inflight or self.todo:
            return
        if not self.open[0] and not self.troubles and not self.stopping:
            try:
                self.final_state()
            except StateConflictError as error:
                end = Activation(self, self.plan.end, (), None, None, None)
                self.troubles.append([(failure_of(end, error), error)])
        elif not self.troubles and not self.stopping:
            raise AssertionError(f"graph '{self.plan.definition.name}' is stuck; open units {self.open}")
        self.ended = True
        self.machine.scope_ended(self)

    def child_path(self, activation: Activation) -> tuple[str, str]:
        """The scope path and node path of a graph run by this activation's current attempt."""
        again = f"!{activation.attempt}" if activation.attempt > 1 else ""
        return activation.key + again, activation.path

    def named_path(self, activation: Activation, key: str) -> tuple[str, str]:
        """The same for a graph run with ctx.run under a key."""
        path, node_path = self.child_path(activation)
        return f"{path}/@{escape(key)}", f"{node_path}/@{escape(key)}"
