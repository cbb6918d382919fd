"""A log folded back into the machine that wrote it, so that a run goes on where it stopped. Calls no user code. Pure.

What the log says happened is told to a fresh machine, in order; what the machine derives from it again (skips,
iterations, decisions) is not read but recomputed. An unhandled failure is not applied, so its activation is simply
unfinished: going on gives it a new attempt with a fresh retry budget. What remains at the end is what to do next; and
what follows from the log's last event and is not in the log, because it was cut off there, is said again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol
from urllib.parse import unquote

from loomgraph.compile.plan import Plan
from loomgraph.engine import early
from loomgraph.engine.activation import PATCHED, Activation, Cancel, Completed, Ended, Failed, Stored
from loomgraph.engine.facts import Shadow, key_of
from loomgraph.engine.later import later, read, read_command, read_scope
from loomgraph.engine.machine import Command, Fact, Machine
from loomgraph.engine.scope import Scope
from loomgraph.errors import Failure, LogMismatchError, RecordedError
from loomgraph.events import (
    AttemptFailed,
    IterationStarted,
    LoopCapReached,
    NodeFailed,
    NodeHeld,
    NodeSkipped,
    NodeStarted,
    NodeSucceeded,
    QuestionAnswered,
    QuestionAsked,
    QuestionWithdrawn,
    ScopeEnded,
    ScopeStarted,
    SignalAwaited,
    SignalReceived,
    StepSucceeded,
)
from loomgraph.graph.state import Updates

__all__ = ["Fold", "Past", "Values", "named_scope"]

_NONE: Any = object()

_WAITING = frozenset({QuestionAsked, QuestionAnswered, SignalAwaited, SignalReceived, NodeHeld})
_TOLD = _WAITING | {NodeStarted, StepSucceeded, AttemptFailed, NodeSucceeded}
# what code leaves behind in the middle of an activation, and finds again when it starts anew
_LEFT = frozenset({StepSucceeded, QuestionAsked, QuestionAnswered, SignalAwaited, SignalReceived})

Past = tuple[Any, str, tuple[Any, ...]]
"""(event class, key, the event's own fields in the order of `facts.FIELDS`): one entry of a log, as read."""


class Values(Protocol):
    """How a fold reads what a log refers to."""

    def begin(self, plan: Plan) -> dict[str, Any]:
        """The first state of a graph inside a node."""
        ...

    def decoded(self, activation: Activation, output: Any, updates: Any) -> tuple[Any, Updates]:
        """An activation's output and state updates."""
        ...

    def given(self, activation: Activation, ref: Any) -> Any:
        """An input that an event itself refers to; any other follows from outputs."""
        ...

    def plain(self, key: str, output: Any, updates: Any) -> tuple[Any, Updates]:
        """An output and updates of which nobody here knows the types."""
        ...

    def entered(self, key: str) -> Any:
        """The input of an activation of which nobody here knows the types."""
        ...

    def left(self, key: str) -> Any:
        """Its output, where that is not in the log."""
        ...

    def inside(self, past: Past) -> tuple[Plan, Any] | None:
        """The graph that a ScopeStarted of ctx.run is about, and its input.

        None leaves it closed until node code asks for it again: only then are its types known.
        """
        ...


class Fold:
    """Rebuilds the machine of one run. A container's output is not recorded and not read: it follows from its parts.

    `within` is the path of the scope to rebuild, "" for the run itself. `capless`: the plans know no caps, so a loop
    stopped where the log says so; else it may go on where its cap has been raised since.
    """

    def __init__(self, machine: Machine, values: Values, within: str = "", *, capless: bool = False) -> None:
        self.machine = machine
        self.root: Scope | None = None
        # by scope path, the graphs that ran inside nodes; those that ended too
        self.scopes: dict[str, Scope] = {}
        # attempts that began and of which the log does not say how they ended
        self.started: set[Activation] = set()
        self.named: dict[str, list[Past]] = {}
        # what finished where the run was told to stop after it: (value, edges taken, updates, cached)
        self.held: dict[Activation, tuple[Any, ...]] = {}
        # by activation, the question that was answered last, unless it has started since
        self.answered: dict[Activation, str] = {}
        self.index: dict[str, Activation] = {}
        self._read = values
        self._within = within
        self._capless = capless
        self._pending: list[Command] = []
        self._derived: dict[Activation, Any] = {}
        # how an attempt failed that the log has not said to have ended
        self._failing: dict[Activation, Failed] = {}
        # what follows from the last event that did not itself follow from another, and has not been read yet
        self._owed: dict[tuple[Any, str], Fact] = {}
        self._over: set[str] = set()
        machine.index = self.index

    def open(self, plan: Plan, value: Any, taken: tuple[int, ...], fields: dict[str, Any]) -> Scope:
        """The run's beginning."""
        self.root = self.machine.open(plan, value, taken, fields)
        self._drain()
        return self.root

    def open_named(self, parent: Activation, key: str, plan: Plan, value: Any, past: Past) -> Scope:
        """The beginning of a graph that node code runs again with ctx.run; `past` is its ScopeStarted."""
        fingerprint, taken = past[2][1], past[2][2]
        self.root = self.machine.enter_named(parent, key, plan, fingerprint, value, taken, self._read.begin(plan))
        self._drain()
        self._owed.pop((ScopeStarted, past[1]), None)
        return self.root

    def foresee(self, log: Iterable[Past]) -> None:
        """What the log will say of loops: how often they went round does not depend on what their cap is by now."""
        if self.machine.foreseen is None:
            self.machine.foreseen = (set(), set())
        again, capped = self.machine.foreseen
        for kind, key, values in log:
            if kind is IterationStarted:
                again.add(key)
            elif kind is LoopCapReached and (values[1] or self._capless):
                capped.add(key)

    def apply(self, past: Past) -> tuple[Any, Any, tuple[Any, ...]]:
        """One event after RunStarted; returns it as a fact with live values, for the journal.

        Raises LogMismatchError if it names what this graph does not have.
        """
        kind, key, values = past
        if self._owed and self._owed.pop((kind, key), None) is None and kind is not QuestionWithdrawn:
            self._owed.clear()
        named = self._closed(key) if "/@" in key else None
        subject: Any
        if named is not None and not (kind is ScopeStarted and key == named and self._open_inside(past)):
            self.named.setdefault(named, []).append(past)
            subject, values = Shadow(key), self._apart(past)
        elif kind is ScopeStarted:
            subject = self._enter(past) if named is None else self.scopes[key]
            values = (*values[:3], None)
        elif kind is ScopeEnded:
            self._over.add(key)
            subject = Shadow(key)
        elif kind in _TOLD or (kind is NodeFailed and (key in self.index or values[2])):
            subject = self.index.get(key) or self._find(key)
            values = self._tell(kind, subject, values)
        elif key in self.index and kind is not NodeSkipped:
            subject = self.index[key]  # derived from the others, or about the process that wrote it
        else:
            subject = Shadow(key)
        if self.machine.commands or self.machine.facts:
            self._drain(kind, subject)
            if self._owed:
                self._owed.pop((kind, key), None)
        return kind, subject, values

    def _tell(self, kind: Any, activation: Activation, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Tell the machine what happened to an activation; returns the event's fields with live values."""
        if kind is NodeSucceeded:
            self.started.discard(activation)
            return self._succeeded(activation, values)
        if kind is NodeStarted:
            activation.attempt = values[0]
            if values[1] is not None:  # put there by whoever forked the run
                activation.input = self._read.given(activation, values[1])
            self.started.add(activation)
            if self.answered:
                self.answered.pop(activation, None)
            return values[0], later(activation.input)
        if kind in _LEFT and not (kind is StepSucceeded and values[0].startswith(PATCHED)):
            self.machine.inherit(activation)
        if kind is StepSucceeded:
            activation.stepped(values[0], Stored(values[1]))
            return values[0], self._read.plain(activation.key, values[1], ())[0], values[2]
        if kind in _WAITING:
            return self._waits(kind, activation, values)
        self.started.discard(activation)
        if kind is AttemptFailed:
            self._again(activation, values[0])
        else:
            self._failed(activation, values)
        return values

    def _apart(self, past: Past) -> tuple[Any, ...]:
        """The fields of an event in a graph of which nobody here knows the types."""
        kind, key, values = past
        if kind is NodeSucceeded or kind is NodeHeld:
            output, updates = self._read.plain(key, values[1], values[3])
            if values[1] is None:  # that of a map or a graph follows from its parts
                output = self._read.left(key)
            return (values[0], output, values[2] or (), updates, *values[4:])
        if kind is StepSucceeded:
            return values[0], self._read.plain(key, values[1], ())[0], values[2]
        if kind is NodeStarted:
            return values[0], self._read.entered(key)
        if kind is ScopeStarted:
            return (*values[:3], self._read.plain(key, values[3], ())[0])
        return values

    def suspended(self) -> None:
        """The run was suspended there: every attempt had ended, and no effect is in doubt."""
        self.started.clear()

    def finish(self) -> list[Command]:
        """What is left to do, in order; the machine is ready to go on. Also given to the machine's commands."""
        left: list[Command] = [
            c
            for c in self._pending
            if (c.scope.path not in self._over if isinstance(c, Ended) else not isinstance(c, Cancel) and self._open(c))
        ]
        for path in self.named:
            head = path.rpartition("/@")[0]
            base, _, again = head.rpartition("!")
            parent = self.index.get(base if base and again.isdigit() else head)
            if parent is not None:
                self.machine.inherit(parent)
        self.machine.index = self.machine.foreseen = None
        if self.root is not None:
            read_scope(self.root)
        for command in left:
            read_command(command)
        self.held = {activation: (read(value), *rest) for activation, (value, *rest) in self.held.items()}
        owed = [(kind, subject, tuple(read(v) for v in values)) for kind, subject, values in self._owed.values()]
        self.machine.facts.extend(owed)
        self.machine.commands.extend(left)
        return left

    # ------------------------------------------------------------------ events

    def _find(self, key: str) -> Activation:
        found = self.index.get(key)
        if found is None and key.endswith("]"):
            found = self._item(key)
        if found is None:
            raise LogMismatchError(self.machine.run_id, key)
        return found

    def _item(self, key: str) -> Activation | None:
        """An item of a map that had a higher limit when it was started."""
        base, _, index = key[:-1].rpartition("[")
        owner = self.index.get(base)
        if owner is None or owner.map is None:
            return None
        self.machine.feed_up_to(owner, int(index))
        return self.index.get(key)

    def _enter(self, past: Past) -> Scope:
        _, key, values = past
        base, _, again = key.rpartition("!")
        activation = self._find(base if base and again.isdigit() else key)
        graph = activation.scope.plan.graphs[activation.node]
        if graph is None:
            raise LogMismatchError(self.machine.run_id, key)
        scope = self.machine.enter(activation, graph.plan, activation.input, values[2], self._read.begin(graph.plan))
        self.scopes[key] = scope
        return scope

    def _open_inside(self, past: Past) -> bool:
        """Open a graph that node code ran with ctx.run, if it is known what graph that was."""
        found = self._read.inside(past)
        if found is None:
            return False
        _, key, (_, fingerprint, taken, _, _) = past
        head, _, name = key.rpartition("/@")
        base, _, again = head.rpartition("!")
        parent = self._find(base if base and again.isdigit() else head)
        plan, value = found
        begin = self._read.begin(plan)
        self.scopes[key] = self.machine.enter_named(parent, unquote(name), plan, fingerprint, value, taken, begin)
        return True

    def _closed(self, key: str) -> str | None:
        """The path of the outermost graph run with ctx.run that a key lies in and that is not open here."""
        path = named_scope(key, len(self._within))
        while path is not None and path in self.scopes:
            path = named_scope(key, len(path))
        return path

    def _again(self, activation: Activation, attempt: int) -> None:
        if activation.child is not None:
            self.machine.abandon(activation.child, "a new attempt follows")
            self.machine.facts.clear()  # those that failed in it are not told to have failed, so they look alive here
            activation.child = None
        self._failing.pop(activation, None)
        activation.attempt = attempt + 1

    def _succeeded(self, activation: Activation, values: tuple[Any, ...]) -> tuple[Any, ...]:
        attempt, output, taken, updates, cached, origin = values
        if self.held:
            self.held.pop(activation, None)
        derived = self._derived.pop(activation, _NONE) if self._derived else _NONE
        if derived is not _NONE and origin != "edited":
            value, updates = derived, ()
        else:
            value, updates = self._read.decoded(activation, output, updates)
        if taken is None:  # all there are, for a node whose edges have no conditions
            taken = self._all(activation)
        self.machine.succeeded(activation, value, taken, updates, cached, origin)
        return attempt, later(value), taken, updates, cached, origin

    def _waits(self, kind: Any, activation: Activation, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Questions, signals, stops: what node code will get when it starts again, and which attempts have ended."""
        if kind is QuestionAnswered:
            activation.stepped(f"ask:{values[0]}", Stored(values[1]))
            self.answered[activation] = values[0]
        elif kind is SignalReceived:
            if values[3] is None:
                activation.stepped(activation.next_signal(values[0]), Stored(values[2]))
        else:
            self.started.discard(activation)
        if kind is NodeHeld:
            attempt, output, taken, updates, cached = values
            value, written = self._read.decoded(activation, output, updates)
            taken = self._all(activation) if taken is None else taken
            self.held[activation] = (value, taken, written, cached)
            return attempt, later(value), taken, written, cached
        return values

    def _all(self, activation: Activation) -> tuple[int, ...]:
        """The edges of a node that takes all of them, which the log does not name."""
        return () if activation.owner is not None else activation.scope.plan.out_normal[activation.node]

    def _failed(self, activation: Activation, values: tuple[Any, ...]) -> None:
        _, failure, taken, origin = values
        if not taken and not _settled_anyway(activation):
            activation.spent = activation.attempt - 1
            return  # unhandled: to be tried again
        if activation.child is not None and not activation.child.ended:
            self.machine.abandon(activation.child, "it failed")
        if activation.map is not None:
            for item in list(activation.map.live.values()):
                self.machine.kill(item, "the map failed")
        self.machine.facts.clear()
        error: Failure = failure
        self.machine.failed(activation, [(error, RecordedError(error))], taken, error, origin)

    # ------------------------------------------------------------------ commands

    def _drain(self, kind: Any = None, subject: Any = None) -> None:
        """Keep the commands, and what follows from the event of this kind about this subject."""
        commands = self.machine.commands
        while commands:
            command = commands.popleft()
            if type(command) is Activation:
                pass
            elif isinstance(command, Completed):
                self._derived[command.activation] = command.value
            elif isinstance(command, Failed):
                self._failing[command.activation] = command
            self._pending.append(command)
        for fact in self.machine.facts:
            if fact[0] is not kind or fact[1] is not subject:
                self._owed[fact[0], key_of(fact[1])] = fact
        self.machine.facts.clear()

    def _open(self, command: Activation | Completed | Failed) -> bool:
        """Whether nothing in the log answered the command."""
        activation = command if isinstance(command, Activation) else command.activation
        if activation.dead or activation.scope.ended:
            return False
        if isinstance(command, Failed) and self._failing.get(activation) is not command:
            return False  # another attempt followed
        if isinstance(command, Activation) and activation.child is not None:
            return False  # its graph goes on from within
        owner = activation.owner
        if owner is not None:
            run = owner.map
            assert run is not None
            assert activation.index is not None
            return run.live.get(activation.index) is activation
        return activation.scope.running.get(activation.node) is activation


def _settled_anyway(activation: Activation) -> bool:
    """Whether a failure without an on_error edge was taken by its map, or by an early join it only feeds."""
    if activation.owner is None:
        return early.tolerates(activation.scope, activation.node)
    run = activation.owner.map
    assert run is not None
    return bool(run.need) or run.spec.on_error != "fail"


def named_scope(key: str, start: int = 0) -> str | None:
    """The path of the outermost graph run with ctx.run that a key lies in, behind its first `start` characters."""
    at = key.find("/@", start)
    if at < 0:
        return None
    end = key.find("/", at + 2)
    return key if end < 0 else key[:end]
