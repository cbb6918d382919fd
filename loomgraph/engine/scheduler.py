"""The one driver of a machine in this process: few tasks, no barriers, on anyio (asyncio or trio).

A worker drains ready work in its own task. Only when a node really suspends is another worker started for the rest,
so a chain runs without spawning and ten thousand instant items share one task. Every turn is: apply to the machine,
record what it says, then act on its commands.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Awaitable, Callable
from threading import get_ident
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from loomgraph.compile.compiled import CompiledGraph
from loomgraph.engine.activation import Activation, Cancel, Completed, Ended, Failed, Trouble, failure_of
from loomgraph.engine.attempts import Attempts, unwrapped
from loomgraph.engine.fold import Past
from loomgraph.engine.journal import Journal
from loomgraph.engine.limits import NodeLimits, Slots
from loomgraph.engine.machine import Machine
from loomgraph.engine.program import programs
from loomgraph.engine.reuse import Reuse
from loomgraph.engine.routing import choose, choose_error
from loomgraph.engine.scope import Scope
from loomgraph.engine.waits import Waits
from loomgraph.errors import ActivationLimitError, RecordedError
from loomgraph.events import AttemptFailed, NodeStarted, ScopeEnded

__all__ = ["Scheduler"]

# a worker that never suspends still lets cancellation, deadlines and other runs in, this often
_BREATH = 64


class Scheduler:
    """Drives one run. `now` is seconds since the epoch, `chance` uniform in 0..1; both only for delays and the log."""

    def __init__(
        self,
        machine: Machine,
        journal: Journal,
        *,
        limit: int | None,
        context: Callable[[Activation, Scheduler], Any],
        chance: Callable[[], float],
        begin: Callable[[Any, Any], dict[str, Any]],
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.machine = machine
        self.journal = journal
        self.slots = Slots(limit)
        self.nodes = NodeLimits()
        self.ready: deque[Activation] = deque()
        self.chance = chance
        self.wall = wall
        self.initial = begin
        self.attempts = Attempts(self, context, monotonic)
        self.root: Scope | None = None
        self.group: TaskGroup | None = None
        self.thread = 0
        self.spawning = False
        # every attempt runs in a copy: what a node sets is seen by nobody who merely runs after it in the same task
        self.variables = contextvars.copy_context()
        # graphs that ctx.run had begun when the log was written: they go on when node code asks for them again
        self.dormant: dict[str, list[Past]] = {}
        self.revive: Callable[[Activation, str, CompiledGraph, Any, list[Past]], Scope | None] | None = None
        # None for a run that waits for nobody
        self.waits: Waits | None = None
        # how many workers there are, which nodes wait for a graph of ctx.run, and how many calls they make besides
        self.live = 0
        self.inner: dict[Activation, int] = {}
        self.doing: dict[Activation, int] = {}
        self.reuse: Reuse | None = None
        self._done: anyio.Event | None = None
        self._looking = False
        self._breath = 0

    # ------------------------------------------------------------------ the run

    async def run(self, start: Callable[[], Scope]) -> Scope:
        """Open the run's scope with `start` and drive it to its end. An exception of the group of one is unwrapped."""
        root: Scope | None = None
        try:
            async with anyio.create_task_group() as group:
                self.group = group
                self.thread = get_ident()
                self.root = root = start()
                self.absorb()
                await self._work()
                while not root.ended:
                    self._done = anyio.Event()
                    if self.waits is not None and await self.waits.suspends():
                        break
                    await self._done.wait()
                # what is left was withdrawn: nobody waits for it
                group.cancel_scope.cancel()
        except BaseExceptionGroup as error:
            broken = self.journal.broken
            other = error if broken is None else error.split(lambda inner: inner is broken)[1]
            if other is not None:
                inner = unwrapped(other)
                raise inner from inner.__cause__  # not `from None`: the cause is the user's exception
        if self.journal.broken is not None:
            raise self.journal.broken  # whoever met it: several workers, or node code that kept it to itself
        assert root is not None
        return root

    async def recorded(self) -> None:
        """Return once what node code recorded is durable; if it cannot be, the run ends, whatever the node does.

        The run's own task writes: node code may be in a task of its own, which somebody cancels in the middle of it.
        """
        journal, group = self.journal, self.group
        assert group is not None
        try:
            if not journal.durable or (not self.ready and journal.commit_now()):
                return
        except BaseException:
            group.cancel_scope.cancel()
            raise
        await self._apart(journal.commit)

    async def owned(self) -> None:
        """Return once it is sure that the run is still this process's, for node code is about to have an effect."""
        if not self.journal.owned():
            await self._apart(self.journal.confirm)

    async def _apart(self, write: Callable[[], Awaitable[None]]) -> None:
        group, done = self.group, anyio.Event()
        assert group is not None
        self.variables.copy().run(group.start_soon, self._write, write, done)
        await done.wait()
        if self.journal.broken is not None:
            raise self.journal.broken

    async def _write(self, write: Callable[[], Awaitable[None]], done: anyio.Event) -> None:
        try:
            await write()
        finally:
            done.set()

    def look(self) -> None:
        """Have somebody look whether the run is over, or to be suspended: `run`, unless it is itself a worker yet."""
        if self._done is not None:
            self._done.set()
        elif self.waits is not None and not self._looking and self.group is not None:
            # the run's own task is a worker still, and in a node that waits for its graph: somebody else looks
            self._looking = True
            self.variables.copy().run(self.group.start_soon, self._look)

    async def _look(self) -> None:
        assert self.group is not None
        assert self.waits is not None
        self._looking = False
        if self._done is not None:
            self._done.set()
        elif await self.waits.suspends():
            self.group.cancel_scope.cancel()

    def stop(self, reason: str) -> None:
        """Cancel the run; what finishes anyway is kept."""
        if self.root is not None:
            self.machine.stop(self.root, reason)
            self.absorb()
            if self.waits is not None:
                self.waits.wake()

    # ------------------------------------------------------------------ turns

    def absorb(self) -> None:
        """Record what the machine said and act on its commands.

        New work goes first, so that what began finishes early; a map's items queue in their order.
        """
        machine = self.machine
        commands = machine.commands
        fresh: list[Activation] = []
        while commands:
            command = commands.popleft()
            if type(command) is Activation:
                fresh.append(command)
            elif type(command) is Completed:
                self._completed(command)
            elif type(command) is Failed:
                self._failed(command)
            elif type(command) is Cancel:
                self._cancel(command.activation)
            elif type(command) is Ended:
                self._ended(command.scope)
        if machine.facts:
            self.journal.extend(machine.facts)
        if self.reuse is not None:
            fresh = self.reuse.sift(fresh)
        self._queue(fresh)
        if self.journal.readers and self.root is not None and self.root.stopping:
            self.journal.release()
        if self.reuse is not None:
            self.reuse.settle()

    def _queue(self, fresh: list[Activation]) -> None:
        if len(fresh) == 1 and fresh[0].owner is None:  # as nearly always outside fan-outs and maps
            self.ready.appendleft(fresh[0])
        elif fresh:
            for activation in reversed(fresh):
                if activation.owner is None:
                    self.ready.appendleft(activation)
            self.ready.extend(activation for activation in fresh if activation.owner is not None)

    def _completed(self, command: Completed) -> None:
        activation = command.activation
        if self.waits is not None and self.waits.holds(activation, command):
            return
        plan = activation.scope.plan
        self.leave(activation)
        try:
            # the edges are the map's, whose value they ask for; an item takes none
            taken = () if activation.owner is not None else choose(plan, activation.node, command.value)
        except Exception as error:
            self.refuse(activation, error)
            return
        self.machine.succeeded(activation, command.value, taken)

    def _failed(self, command: Failed) -> None:
        activation, troubles = command.activation, command.troubles
        error = troubles[0][1]
        plan = activation.scope.plan
        retry = None if activation.node == plan.end else plan.definition.nodes[activation.node].retry
        if self.reuse is not None and isinstance(error, RecordedError):
            if self.reuse.tries_again(activation, error):
                return
            retry = None  # it was not tried again then either
        again = activation.child is not None and retry is not None and activation.tries < retry.attempts
        if again and retry is not None and not activation.cancelling and retry.wants(error):
            assert self.group is not None
            wait = retry.wait(activation.tries, self.chance(), error)
            self.begin_again(activation, error, wait)
            self.group.start_soon(self._reenter, activation, wait)
            return
        self.leave(activation)
        self.fail(activation, troubles)

    def begin_again(self, activation: Activation, error: BaseException, wait: float) -> None:
        """An attempt of a graph has failed, and another one follows."""
        failed = (activation.attempt, failure_of(activation, error), wait)
        self.machine.facts.append((AttemptFailed, activation, failed))
        activation.child = None

    def fail(self, activation: Activation, troubles: list[Trouble]) -> None:
        """Report a failure to the machine, with the on_error edge that takes it. A reached total cap has none."""
        error = troubles[0][1]
        capped = isinstance(error, ActivationLimitError) or activation.index is not None
        if capped:
            taken: tuple[int, ...] = ()
        elif self.reuse is not None and isinstance(error, RecordedError):
            taken = self.reuse.way(activation)
        else:
            taken = choose_error(activation.scope.plan, activation.node, error)
        self.machine.failed(activation, troubles, taken)

    def refuse(self, activation: Activation, error: BaseException) -> None:
        """Report a failure that is final: of the engine, of a predicate, or after the last attempt."""
        self.fail(activation, [(failure_of(activation, error), error)])

    def leave(self, activation: Activation) -> None:
        """An activation ended: the next one of its node may start."""
        limit = activation.scope.plan.definition.nodes[activation.node].limit if activation.held else None
        if limit is not None:
            self._unparked(self.nodes.give(activation, limit))

    def _unparked(self, waiting: Activation | None) -> None:
        if waiting is not None:
            self.ready.append(waiting)

    def _ended(self, scope: Scope) -> None:
        if scope is self.root or scope.parent is None:
            self.look()
            return
        failures = tuple(failure for failure, _ in scope.failures)
        self.machine.facts.append((ScopeEnded, scope, (scope.output, failures)))
        if scope.waiter is not None:
            scope.waiter.set()
            self._goes_on(scope)

    def _cancel(self, activation: Activation) -> None:
        if self.waits is not None and self.waits.cancel(activation):
            return
        if activation.task is not None:
            activation.task.cancel()
        elif self.nodes.unpark(activation) and not activation.dead:
            self.machine.cancelled(activation)
        # else it is still queued: whoever takes it from the queue sees that it is dead or cancelling

    # ------------------------------------------------------------------ workers

    def next(self) -> Activation | None:
        """The next activation to run, already recorded as started; graph nodes are entered on the way."""
        ready = self.ready
        while ready:
            if not self.slots.free or (self.journal.readers and self.journal.held):
                return None
            activation = ready.popleft()
            plan = activation.scope.plan
            program = programs(plan)[activation.node]
            if activation.dead:
                if program.limit is not None:
                    self._unparked(self.nodes.wake(activation, program.limit))
                continue
            if activation.cancelling and (activation.index is not None or program.style != "async"):
                self.machine.cancelled(activation)
                if program.limit is not None:
                    self._unparked(self.nodes.wake(activation, program.limit))
                self.absorb()
                continue
            if self.waits is not None and self.waits.stops_before(activation):
                continue
            if program.limit is not None and not activation.held and not self.nodes.take(activation, program.limit):
                continue
            if program.fn is None:
                self.enter(activation)
                continue
            self.slots.take(activation)
            self.journal.add(NodeStarted, activation, (activation.attempt, activation.input))
            return activation
        return None

    def kick(self) -> None:
        """Start a worker if there is work that no worker is going to take."""
        if self.ready and not self.spawning and self.slots.free and self.group is not None:
            self.spawning = True
            # not with the context variables of the node that happens to call
            self.variables.copy().run(self.group.start_soon, self._work)

    async def _work(self) -> None:
        self.spawning = False
        self.live += 1
        while True:
            activation: Activation | None = None
            with anyio.CancelScope() as scope:
                if self.journal.readers and self.journal.held:
                    await self.journal.relieved()
                activation = self.next()
                while activation is not None:
                    activation.task = scope
                    if activation.cancelling:
                        # it was ready when the run began to end: it runs up to its first suspension, like its siblings
                        scope.cancel()
                    # with more work ready, what that records is to travel in the same write
                    if self.journal.durable and (self.ready or not self.journal.commit_now()):
                        await self._committed()
                    await self.attempts.execute(activation)
                    if scope.cancel_called:
                        break
                    self._breath += 1
                    if self._breath % _BREATH == 0:
                        activation = None
                        await checkpoint()
                    activation = self.next()
                else:
                    if not self.ready or not self.slots.free:
                        break
                    continue  # held back by a reader
            if scope.cancelled_caught and activation is not None and activation.task is scope:
                self.cancelled(activation)
        self.live -= 1
        if self.waits is not None:
            self.waits.wake()

    def cancelled(self, activation: Activation) -> None:
        """An attempt has stopped because it was asked to."""
        if self.waits is not None:
            self.waits.over(activation, "the run is ending")
        self.machine.cancelled(activation)
        self.absorb()

    async def _committed(self) -> None:
        """Nothing is acted on before the event that says so is durable. Others may work while this waits."""
        self.blocked()
        await self.journal.commit()

    def blocked(self) -> None:
        """The caller is about to suspend: somebody else takes the rest."""
        if self.ready:
            self.kick()

    # ------------------------------------------------------------------ graphs

    def enter(self, activation: Activation) -> None:
        """Begin the graph that a node is."""
        if activation.cancelling:
            self.machine.cancelled(activation)
            self.absorb()
            return
        plan = activation.scope.plan.graphs[activation.node].plan
        self.journal.add(NodeStarted, activation, (activation.attempt, activation.input))
        try:
            taken = choose(plan, -1, activation.input)
            fields = self.initial(plan, None)
        except Exception as error:
            self.leave(activation)
            self.refuse(activation, error)
        else:
            self.machine.enter(activation, plan, activation.input, taken, fields)
        self.absorb()

    async def _reenter(self, activation: Activation, wait: float) -> None:
        self.live += 1
        with anyio.CancelScope() as scope:
            activation.task = scope
            if activation.cancelling or activation.dead:
                scope.cancel()
            await anyio.sleep(wait)
        self.live -= 1
        activation.task = None
        if scope.cancelled_caught:
            self.machine.cancelled(activation)
            self.absorb()
        else:
            activation.attempt += 1
            self.enter(activation)
        await self._work()

    async def run_named(self, activation: Activation, key: str, graph: CompiledGraph, value: Any) -> Scope:
        """Run a graph inside an activation and wait for its end, without holding a slot."""
        path, _ = activation.scope.named_path(activation, key)
        if self.journal.durable:
            self.journal.prepare_scope(path, graph, value)
        scope = self._scope(activation, key, graph, value, path)
        ended = anyio.Event()
        if scope.ended:
            ended.set()
        else:
            scope.waiter = ended
            self.inner[activation] = self.inner.get(activation, 0) + 1
        self.slots.leave(activation)
        try:
            self.absorb()
            self.kick()
            if self.waits is not None:
                self.waits.wake()
            await ended.wait()
            if self.journal.durable:
                await self._committed()  # what came of it must not be acted on before a crash cannot undo it
        except BaseException:
            if scope.waiter is not None:
                self._goes_on(scope)
            if self.waits is not None and self.waits.pauses(activation):
                self.waits.detached[path] = (graph.fingerprint, scope)
            elif not scope.ended:
                self.machine.abandon(scope, "the node that ran it was stopped")
                self.absorb()
            self.slots.broken(activation)
            raise
        await self.slots.back(activation)
        return scope

    def _goes_on(self, scope: Scope) -> None:
        """The node that waits for this graph waits no more."""
        activation, scope.waiter = scope.parent, None
        assert activation is not None
        self.inner[activation] -= 1
        if not self.inner[activation]:
            del self.inner[activation]

    def _scope(self, activation: Activation, key: str, graph: CompiledGraph, value: Any, path: str) -> Scope:
        """The graph that node code runs: the one it had begun when its attempt ended, the log's, or a new one."""
        scope = None if self.waits is None else self.waits.left(path, graph)
        past = self.dormant.pop(path, None)
        if past is not None and self.revive is not None:
            scope = self.revive(activation, key, graph, value, past)
        if scope is not None:
            return scope
        fields = self.initial(graph.plan, None)
        taken = choose(graph.plan, -1, value)
        return self.machine.enter_named(activation, key, graph.plan, graph.fingerprint, value, taken, fields)

    async def outside(self, activation: Activation, wait: Callable[[], Any]) -> Any:
        """Await something that is not the node's own work without holding a slot."""
        self.slots.leave(activation)
        self.kick()
        try:
            result = await wait()
        except BaseException:
            self.slots.broken(activation)
            raise
        await self.slots.back(activation)
        return result
