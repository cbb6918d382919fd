"""The machine of one run: what happened goes in, what to do next comes out. No clock, no I/O, no randomness.

In: `open`, `succeeded`, `failed`, `cancelled`, `opened`, `stop`. Out: `commands` (start an activation, cancel one,
route a completed or failed container, a scope ended) and `facts` (what the log must say), both drained by the driver:
apply, persist, act. Predicates and node code are the driver's to call; their outcome is what it reports here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from loomgraph.compile.plan import Plan
from loomgraph.engine import early
from loomgraph.engine.activation import Activation, Cancel, Causes, Completed, Ended, Failed, Trouble, failure_of
from loomgraph.engine.later import read
from loomgraph.engine.maps import MapRun
from loomgraph.engine.scope import Scope
from loomgraph.engine.state import View
from loomgraph.errors import (
    Failure,
    MapInputError,
    NoResultError,
    ScopeCancelledError,
)
from loomgraph.events import (
    MapCompleted,
    MapStarted,
    NodeCancelled,
    NodeFailed,
    NodeStarted,
    NodeSucceeded,
    Origin,
    ScopeStarted,
)
from loomgraph.graph.definition import OnFailure
from loomgraph.graph.signature import describe_type
from loomgraph.graph.state import Updates

__all__ = ["Command", "Edits", "Fact", "Machine"]

Command = Activation | Cancel | Completed | Failed | Ended
Fact = tuple[Any, Any, tuple[Any, ...]]
"""(event class, activation or scope, the event's own fields): see `loomgraph.engine.facts`."""


_NOBODY: frozenset[Activation] = frozenset()


class Edits:
    """What was put in the place of what a log says, by activation key. `load` makes a live input of one of `inputs`."""

    __slots__ = ("inputs", "load", "outputs")

    def __init__(
        self, inputs: Mapping[str, Any], outputs: Mapping[str, Any], load: Callable[[Activation, Any], Any]
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.load = load

    def admit(self, activation: Activation) -> None:
        """An activation begins: give it its edited input, if it has one."""
        if self.inputs and (key := activation.key) in self.inputs:
            activation.input = self.load(activation, self.inputs[key])


class Machine:
    """All scopes of one run. Applying one event costs the activation's own edges, never a copy of the run."""

    def __init__(self, run_id: str, limit: int, *, on_failure: OnFailure | None = None) -> None:
        self.run_id = run_id
        self.limit = limit
        self.on_failure = on_failure
        self.count = 0
        self.index: dict[str, Activation] | None = None
        # in a fold: the keys of the headers that began another iteration, and of those that went on past their cap
        self.foreseen: tuple[set[str], set[str]] | None = None
        self.edits: Edits | None = None
        # activations in which an earlier process left something durable: a step, a question, a graph it had begun
        self.inherited: frozenset[Activation] | set[Activation] = _NOBODY
        self.commands: deque[Command] = deque()
        self.facts: list[Fact] = []

    # ------------------------------------------------------------------ scopes

    def open(self, plan: Plan, value: Any, taken: tuple[int, ...], initial: dict[str, Any] | None = None) -> Scope:
        """Begin the run's own graph with its input and the edges that START takes."""
        scope = Scope(self, plan, None, "", "", initial or {})
        scope.begin(value, taken)
        scope.conclude()
        return scope

    def enter(
        self, parent: Activation, plan: Plan, value: Any, taken: tuple[int, ...], initial: dict[str, Any] | None = None
    ) -> Scope:
        """Begin the graph that is a node's body, for the activation's current attempt."""
        path, node_path = parent.scope.child_path(parent)
        scope = Scope(self, plan, parent, path, node_path, initial or {})
        parent.child = scope
        graph = parent.scope.plan.graphs[parent.node]
        self.facts.append((ScopeStarted, scope, (graph.definition.name, graph.fingerprint, taken, None)))
        scope.begin(value, taken)
        scope.conclude()
        return scope

    def enter_named(
        self,
        parent: Activation,
        key: str,
        plan: Plan,
        fingerprint: str,
        value: Any,
        taken: tuple[int, ...],
        initial: dict[str, Any] | None = None,
    ) -> Scope:
        """Begin a graph that node code runs with ctx.run; its end is an `Ended` command."""
        path, node_path = parent.scope.named_path(parent, key)
        scope = Scope(self, plan, parent, path, node_path, initial or {})
        self.facts.append((ScopeStarted, scope, (plan.definition.name, fingerprint, taken, value)))
        scope.begin(value, taken)
        scope.conclude()
        return scope

    def scope_ended(self, scope: Scope) -> None:
        """A scope is done: tell whoever waits for it."""
        if not scope.troubles and not scope.stopping and not scope.reached:
            self._without_result(scope)
        parent = scope.parent
        if parent is None or parent.child is not scope:
            self.commands.append(Ended(scope))
        elif parent.dead:
            return
        elif scope.troubles:
            self.commands.append(Failed(parent, scope.failures))
        elif scope.stopping:
            self.cancelled(parent)
        else:
            self.commands.append(Completed(parent, scope.output))

    def _without_result(self, scope: Scope) -> None:
        from loomgraph.compile.types import admits_none

        definition = scope.plan.definition
        if not admits_none(definition.output):
            error = NoResultError(run_id=self.run_id, graph=definition.name, output=describe_type(definition.output))
            end = Activation(scope, scope.plan.end, (), None, None, None)
            scope.troubles.append([(failure_of(end, error), error)])

    # ------------------------------------------------------------------ starting

    def admit(self, activation: Activation) -> bool:
        """Count an activation against the run's total cap; past it, the scope fails. A fold also finds it by key."""
        self.count += 1
        if self.edits is not None:
            self.edits.admit(activation)
        if self.index is not None:
            self.index[activation.key] = activation
        if self.count > self.limit:
            activation.scope.limit_reached(activation, self.limit)
            return False
        return True

    def inherit(self, activation: Activation) -> None:
        """An earlier process left something durable in this activation."""
        if isinstance(self.inherited, frozenset):
            self.inherited = set()
        self.inherited.add(activation)

    def items_of(self, value: Any) -> Sequence[Any] | None:
        """The items of a map's input in a fixed order; None if it has none."""
        return _items(value)

    def withheld(self, activation: Activation) -> bool:
        """Whether somebody has said what a map or graph gives, so that nothing in it starts."""
        return self.edits is not None and activation.key in self.edits.outputs

    def start_map(self, activation: Activation) -> None:
        """Hand out a map's first items."""
        spec = activation.scope.plan.maps[activation.node]
        if self.index is not None:
            activation.input = read(activation.input)  # how many there are is needed now
        items = activation.input
        self.facts.append((NodeStarted, activation, (1, items)))
        ordered = self.items_of(items)
        if ordered is None:
            error = MapInputError(activation.path, items)
            self.commands.append(Failed(activation, [(failure_of(activation, error), error)]))
            return
        scope = activation.scope
        fast = not scope.drains and not scope.plan.out_error[activation.node]
        activation.map = run = MapRun(spec, ordered, fast=fast)
        self.facts.append((MapStarted, activation, (len(ordered),)))
        self._feed(activation, run)

    def _feed(self, activation: Activation, run: MapRun) -> None:
        if run.decided:
            self._complete_map(activation, run)
            return
        while (item := run.next(activation)) is not None and self.admit(item):
            run.started(item)
            self.commands.append(item)

    def feed_up_to(self, activation: Activation, index: int) -> None:
        """Hand out a map's items up to this one, whatever its limit is: an old log says that it was started."""
        run = activation.map
        while run is not None and run.cursor <= index and run.cursor < len(run.items):
            item = run.item(activation)
            if not self.admit(item):
                return
            run.started(item)
            self.commands.append(item)

    def _complete_map(self, activation: Activation, run: MapRun) -> None:
        for item in list(run.live.values()):
            self.kill(item, "the map was decided without it")
        run.live.clear()
        scope = activation.scope
        refusal = run.refusal(activation.path)
        if refusal is not None:
            self.commands.append(Failed(activation, [(failure_of(activation, refusal), refusal)]))
            return
        if run.troubles and run.spec.on_error == "fail" and not run.need:
            self.commands.append(Failed(activation, run.troubles))
            return
        conflict = None if scope.state is None else scope.state.clash(run.writes)
        if conflict is not None:
            self.commands.append(Failed(activation, [(failure_of(activation, conflict), conflict)]))
            return
        self.facts.append((MapCompleted, activation, (run.winners(),)))
        self.commands.append(Completed(activation, run.value()))

    # ------------------------------------------------------------------ ending

    def succeeded(
        self,
        activation: Activation,
        value: Any,
        taken: tuple[int, ...],
        updates: Updates = (),
        cached: bool = False,
        origin: Origin = "run",
    ) -> bool:
        """An activation finished; False if nobody waits for it any more (then nothing is logged)."""
        if activation.dead:
            return False
        scope = activation.scope
        self.facts.append((NodeSucceeded, activation, (activation.attempt, value, taken, updates, cached, origin)))
        owner = activation.owner
        if owner is None:
            scope.finish(activation, taken, value, self._written(activation, updates))
            scope.conclude()
            return True
        run = owner.map
        assert run is not None
        assert activation.index is not None
        if updates:
            run.writes[activation.index] = (activation.key, updates)
        run.succeeded(activation.index, value)
        self._item_settled(owner, run)
        return True

    def _written(self, activation: Activation, updates: Updates) -> View | None:
        """The view of an activation that succeeded, after its own updates or, for a map, those of its items."""
        view, state = activation.view, activation.scope.state
        if state is None or view is None:
            return view
        if activation.map is None:
            return state.wrote(activation.node, -1, activation.key, view, updates) if updates else view
        depth = len(view.masks) - 1
        after = view
        for index, (key, written) in sorted(activation.map.writes.items()):
            after = state.merge(after, state.wrote(activation.node, index, key, view, written), depth)
        after.merged = False  # `clash` has looked
        return after

    def failed(
        self,
        activation: Activation,
        troubles: list[Trouble],
        taken: tuple[int, ...],
        failure: Failure | None = None,
        origin: Origin = "run",
    ) -> bool:
        """An activation failed after its attempts; `taken` has the on_error edge that takes it, if one does.

        `failure` is what a log says of it. False if nobody waits for it any more.
        """
        if activation.dead:
            return False
        if failure is None:
            failure = failure_of(activation, troubles[0][1])
        self.facts.append((NodeFailed, activation, (activation.attempt, failure, taken, origin)))
        scope = activation.scope
        owner = activation.owner
        if owner is not None:
            run = owner.map
            assert run is not None
            assert activation.index is not None
            run.failed(activation.index, failure, troubles)
            self._item_settled(owner, run)
        elif taken:
            scope.finish(activation, taken, failure, activation.view)
        elif early.tolerates(scope, activation.node):
            causes = Causes({(activation.node, activation.iteration, False): failure})
            scope.finish(activation, (), None, activation.view, causes)
        else:
            scope.fail(activation, troubles)
        scope.conclude()
        return True

    def _item_settled(self, owner: Activation, run: MapRun) -> None:
        if owner.scope.stopping:
            if run.decided:
                self._complete_map(owner, run)
            elif not run.live:
                self._container_cancelled(owner)
            return
        self._feed(owner, run)

    # ------------------------------------------------------------------ cancelling

    def cancelled(self, activation: Activation) -> None:
        """The driver stopped an attempt that was asked to stop (or never started it)."""
        if activation.dead:
            return
        owner = activation.owner
        if owner is None:
            self._container_cancelled(activation)
            return
        self.facts.append((NodeCancelled, activation, ("the run is ending",)))
        run = owner.map
        assert run is not None
        assert activation.index is not None
        run.live.pop(activation.index, None)
        if not run.live:
            self._container_cancelled(owner)

    def _container_cancelled(self, activation: Activation) -> None:
        scope = activation.scope
        if scope.running.get(activation.node) is not activation:
            return
        self.facts.append((NodeCancelled, activation, ("the run is ending",)))
        del scope.running[activation.node]
        scope.inflight -= 1
        scope.conclude()

    def stop(self, scope: Scope, reason: str) -> None:
        """Start nothing more in a scope and cancel what runs there; what finishes anyway is kept."""
        if scope.stopping or scope.ended:
            return
        scope.stopping = True
        for activation in list(scope.running.values()):
            self._cancel(activation, reason)
        scope.conclude()

    def _cancel(self, activation: Activation, reason: str) -> None:
        if activation.cancelling:
            return
        activation.cancelling = True
        run = activation.map
        if run is not None:
            for item in list(run.live.values()):
                self._cancel(item, reason)
            if not run.live:
                self._container_cancelled(activation)
        elif activation.child is not None:
            self.stop(activation.child, reason)
        else:
            self.commands.append(Cancel(activation))

    def kill(self, activation: Activation, reason: str) -> None:
        """Nobody waits for this activation any more: cancel it, refuse and do not log what it still gives."""
        activation.dead = True
        self.facts.append((NodeCancelled, activation, (reason,)))
        if activation.map is not None:
            for item in activation.map.live.values():
                self.kill(item, reason)
        elif activation.child is not None:
            self.abandon(activation.child, reason)
        else:
            self.commands.append(Cancel(activation))

    def abandon(self, scope: Scope, reason: str) -> None:
        """Kill everything in a scope that nobody waits for."""
        scope.ended = scope.stopping = True
        for activation in scope.running.values():
            self.kill(activation, reason)

    def root_failures(self, scope: Scope) -> list[Trouble]:
        """Why a scope that ended has no result; a stopped one was cancelled."""
        if scope.failures or not scope.stopping:
            return scope.failures
        error = ScopeCancelledError(scope.plan.definition.name)
        return [(failure_of(Activation(scope, scope.plan.end, (), None, None, None), error), error)]


def _items(value: Any) -> Sequence[Any] | None:
    """The items of a map's input in a fixed order; None if it has none. A set has no order but that of its reprs."""
    if isinstance(value, (str, bytes)):
        return None
    if isinstance(value, (set, frozenset)):
        return sorted(cast("set[Any]", value), key=repr)
    return value if isinstance(value, Sequence) else None  # pyright: ignore[reportUnknownVariableType]
