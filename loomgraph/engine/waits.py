"""What of a run waits for somebody outside it: attempts that ended at a question, and where the run was told to stop.

A run that never asks and was not told to stop has none of this. Here is when an activation lets go, comes back, or is
over, and when nothing can go on; who is asked, and where the answers come from, is the runtime's. Reads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from loomgraph.compile.compiled import CompiledGraph
from loomgraph.engine.activation import Activation, Completed
from loomgraph.engine.fold import Fold
from loomgraph.engine.scope import Scope
from loomgraph.errors import GraphChangedError
from loomgraph.events import NodeHeld
from loomgraph.graph.state import Updates

if TYPE_CHECKING:
    from loomgraph.engine.scheduler import Scheduler

__all__ = ["Paused", "Stop", "Waits"]

Stop = tuple[str, str]
"""("before" or "after", activation key): where a run was told to stop."""


class Paused(BaseException):
    """Ends node code whose question has no answer yet. Not an error, and nothing to catch: whatever the code does after
    it is refused, and once there is an answer the code starts again from its beginning."""


class Waits:
    """What waits, by activation. The runtime overrides the last three methods.

    `pausing` are attempts that were told to end: whatever they still give is refused. `parked` have no attempt, and
    hold no task and no slot; the value is where the run was told to stop, None for anything else. `held` have finished
    where the run was told to stop after it, with what they gave. `passed` are stops that were made already. `detached`
    are graphs of ctx.run, by scope path and with their fingerprint, whose node ended at a question: they go on, and the
    node finds them when it starts again.
    """

    def __init__(self, scheduler: Scheduler, before: Iterable[str] = (), after: Iterable[str] = ()) -> None:
        self.scheduler = scheduler
        self.suspended = False
        self.pausing: set[Activation] = set()
        self.parked: dict[Activation, Stop | None] = {}
        self.held: dict[Activation, Any] = {}
        self.detached: dict[str, tuple[str, Scope]] = {}
        self.before = frozenset(before)
        self.after = frozenset(after)
        self.passed: set[Stop] = set()

    # ------------------------------------------------------------------ where the run was told to stop

    def stops_before(self, activation: Activation) -> bool:
        """Park an activation that is about to start, if the run was told to stop there. A map stops as a whole."""
        if not self.before or activation.path not in self.before:
            return False
        stop = "before", (activation.owner or activation).key
        if stop in self.passed:
            return False
        self.parked[activation] = stop
        return True

    def hold(self, activation: Activation, value: Any, taken: tuple[int, ...], updates: Updates, cached: bool) -> bool:
        """Keep what an activation gave, if the run was told to stop after it: nothing follows from it for now."""
        if activation.dead or not self.holds(activation, (value, taken, updates, cached)):
            return False
        self.scheduler.journal.add(NodeHeld, activation, (activation.attempt, value, taken, updates, cached))
        self.scheduler.absorb()
        return True

    def holds(self, activation: Activation, given: Any) -> bool:
        """The same for what a map or a graph node has completed with, which follows from its parts."""
        if activation.cancelling or not self.stops_after(activation):
            return False
        self.held[activation] = given
        return True

    def stops_after(self, activation: Activation) -> bool:
        """Whether the run was told to stop after this one, and has not done so."""
        if not self.after or activation.owner is not None or activation.path not in self.after:
            return False
        return ("after", activation.key) not in self.passed

    def release(self, activation: Activation) -> None:
        """What was held counts from here on, unless nobody waits for it any more."""
        scheduler = self.scheduler
        given = self.held.pop(activation)
        if activation.dead:
            return
        self.passed.add(("after", activation.key))
        if type(given) is Completed:
            scheduler.machine.commands.append(given)
            return
        value, taken, updates, cached = given
        if scheduler.journal.durable:
            scheduler.journal.prepare(activation, value, updates)
        scheduler.machine.succeeded(activation, value, taken, updates, cached)

    def stops(self) -> tuple[Stop, ...]:
        """Where the run stands because it was told to, each once."""
        before = [stop for stop in self.parked.values() if stop is not None]
        return tuple(dict.fromkeys([*before, *(("after", activation.key) for activation in self.held)]))

    # ------------------------------------------------------------------ attempts

    def pauses(self, activation: Activation) -> bool:
        """Whether an attempt was told to end, so that whatever it still gives is refused."""
        return self.suspended or activation in self.pausing

    def park(self, activation: Activation) -> None:
        """An attempt has ended. If it was told to, its activation waits from here on and holds nothing."""
        if activation not in self.pausing:
            return
        self.pausing.discard(activation)
        activation.task = None
        if activation.dead:
            return
        if activation.cancelling:
            self.scheduler.cancelled(activation)
            return
        self.parked[activation] = None
        if self.arrived(activation):  # while it was ending
            self.unpark(activation)

    def unpark(self, activation: Activation) -> None:
        """What an activation waits for is here: its code starts again."""
        del self.parked[activation]
        self.passed.add(("before", activation.key))  # it began once, so it is not stopped before it begins
        self.scheduler.ready.append(activation)
        self.scheduler.kick()

    def over(self, activation: Activation, reason: str) -> None:
        """An activation ends for good: its questions are withdrawn, and the graphs that it left behind are."""
        self.ended(activation, reason)
        left = [path for path, (_, scope) in self.detached.items() if scope.parent is activation]
        for path in left:
            scope = self.detached.pop(path)[1]
            if not scope.ended:
                self.scheduler.machine.abandon(scope, reason)

    def cancel(self, activation: Activation) -> bool:
        """Cancel what has no task; False if it may have one."""
        if activation.dead:
            self.over(activation, "nobody waits for its node any more")
        if activation in self.pausing:
            return True  # it is ending anyway, and then sees why
        if activation in self.held:
            self.release(activation)
            return True
        if activation not in self.parked:
            return False
        del self.parked[activation]
        if not activation.dead:
            self.over(activation, "the run is ending")
            self.scheduler.machine.cancelled(activation)
        return True

    def left(self, path: str, graph: CompiledGraph) -> Scope | None:
        """The graph that a node had begun with ctx.run when its attempt ended; its new input was just prepared.

        Raises GraphChangedError unless it is the same graph with the same input.
        """
        fingerprint, scope = self.detached.pop(path, ("", None))
        if scope is None:
            return None
        journal = self.scheduler.journal
        given = journal.prepared_input(path)
        journal.prepare_scope(path, graph, scope.input)
        if fingerprint == graph.fingerprint and given == journal.prepared_input(path):
            return scope
        node, _, key = scope.node_path.rpartition("/@")
        what = "another graph" if fingerprint != graph.fingerprint else "the graph with another input"
        raise GraphChangedError(
            self.scheduler.machine.run_id, [f"node '{node}' runs {what} under the key '{key}' than before its question"]
        )

    # ------------------------------------------------------------------ when nothing goes on

    def idle(self) -> bool:
        """Whether nothing can go on before somebody outside does something."""
        scheduler = self.scheduler
        if not (self.parked or self.held) or scheduler.ready or scheduler.spawning:
            return False
        busy = any(activation in scheduler.doing for activation in scheduler.inner)
        return not busy and scheduler.live == len(scheduler.inner)

    def wake(self) -> None:
        """A worker has nothing more to do; if none has, the run looks whether it is to be suspended."""
        if not self.idle():
            return
        over = [activation for activation in self.held if activation.cancelling or activation.dead]
        for activation in over:
            self.release(activation)
        if over:
            self.scheduler.absorb()
            self.scheduler.kick()
        self.scheduler.look()

    async def suspends(self) -> bool:
        """Whether the run is to be suspended here and now; from then on whatever its attempts give is refused."""
        self.suspended = self.idle() and await self.rest() and self.idle()
        return self.suspended

    # ------------------------------------------------------------------ for the runtime to say

    def resume(self, fold: Fold) -> None:
        """A log was folded into the machine: of what is left to do, keep back what waits."""
        raise NotImplementedError

    def arrived(self, activation: Activation) -> bool:
        """Whether something that an activation waits for is here, so that its code may start again."""
        raise NotImplementedError

    def ended(self, activation: Activation, reason: str) -> None:
        """Nobody answers an activation's questions any more; what that means joins the machine's facts."""
        raise NotImplementedError

    async def rest(self) -> bool:
        """Nothing in this process can go on. Look for news once more; True if the run is to be suspended."""
        raise NotImplementedError
