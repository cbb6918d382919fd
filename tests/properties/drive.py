"""The pure machine with a test in the place of the scheduler: no event loop, and the order of completions is chosen.

Also `seen`: the same account of a run of the real engine, from its records and events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from loomgraph.compile.compiled import CompiledGraph
from loomgraph.compile.plan import Plan
from loomgraph.engine.activation import Activation, Cancel, Completed, Ended, Failed, Named, Trouble, failure_of
from loomgraph.engine.fold import Fold, Values
from loomgraph.engine.machine import Machine
from loomgraph.engine.routing import choose, choose_error
from loomgraph.engine.scope import Scope
from loomgraph.errors import QuorumError, RunError
from loomgraph.events import (
    AttemptFailed,
    Event,
    IterationStarted,
    JoinDecided,
    LoopEnded,
    MapCompleted,
    NodeCancelled,
    NodeFailed,
    NodeSkipped,
    NodeStarted,
    NodeSucceeded,
)
from loomgraph.graph.definition import GraphBody, OnFailure
from loomgraph.runtime.result import ActivationRecord, RunResult
from tests.properties.outcome import Call, Choices, Oracle, Outcome, Problem, Record

__all__ = ["Drive", "Driven", "Fact", "drive", "driven", "resumed", "seen"]

Fact = tuple[Any, str, tuple[Any, ...], Any]
"""(event class, key, its fields, the activation or scope it is about)."""

Pick = Callable[[int], int]
"""Of n activations in flight, which one finishes next: 0 to n - 1."""


class Driven:
    """One drive of a machine. `facts` are everything it said, in order, each as (event class, key, fields)."""

    def __init__(self, compiled: CompiledGraph, oracle: Oracle, pick: Pick, on_failure: OnFailure) -> None:
        self.machine = Machine("r", 100_000, on_failure=on_failure)
        self.compiled, self.oracle, self.pick = compiled, oracle, pick
        self.flying: list[Activation] = []
        self.facts: list[Fact] = []
        self.causes: dict[str, tuple[str, ...]] = {}
        self.root: Scope | None = None
        self.steps = 0

    def run(self, value: Any) -> None:
        plan = self.compiled.plan
        self.root = self.machine.open(plan, value, choose(plan, -1, value), _initial(plan))
        self._go_on()

    def resume(self, value: Any, before: Driven, events: int) -> None:
        """Go on where a log ends, which may be in the middle of what followed from one completion."""
        self.facts, self.causes = before.facts[:events], dict(before.causes)
        plan = self.compiled.plan
        fold = Fold(self.machine, _Said())
        self.root = fold.open(plan, value, choose(plan, -1, value), _initial(plan))
        for kind, key, fields, _ in self.facts:
            fold.apply((kind, key, fields))
        fold.finish()
        self._go_on()

    def _go_on(self) -> None:
        assert self.root is not None
        self._absorb()
        while self.flying:
            self.steps += 1
            assert self.steps < 20_000, "the run does not end"
            self._finish(self.flying.pop(self.pick(len(self.flying))))
            self._absorb()
        assert self.root.ended, "nothing is in flight, yet the run has not ended"

    def _absorb(self) -> None:
        machine = self.machine
        fresh: list[Activation] = []
        while machine.commands:
            match machine.commands.popleft():
                case Activation() as activation:
                    fresh.append(activation)
                case Completed() as command:
                    self._succeed(command.activation, command.value)
                case Failed() as command:
                    if not self._again(command.activation, command.troubles):
                        self._fail(command.activation, command.troubles)
                case Cancel() | Ended():
                    pass  # what is cancelled still finishes, in its turn, one way or the other
        for kind, subject, fields in machine.facts:
            self._note(kind, subject, fields)
        machine.facts.clear()
        for activation in fresh:
            if not activation.dead:
                self._note(NodeStarted, activation, (activation.attempt, activation.input))
                self.flying.append(activation)

    def _note(self, kind: Any, subject: Any, fields: tuple[Any, ...]) -> None:
        key = subject.key if isinstance(subject, Activation) else subject.path
        self.facts.append((kind, key, fields, subject))

    def _finish(self, activation: Activation) -> None:
        scope, node = activation.scope, activation.scope.plan.definition.nodes[activation.node]
        if activation.dead:
            return
        graph = isinstance(node.body, GraphBody)
        if activation.cancelling and (graph or self.pick(2)):
            self.machine.cancelled(activation)
            return
        if graph:
            plan: Plan = scope.plan.graphs[activation.node].plan
            self.machine.enter(activation, plan, activation.input, choose(plan, -1, activation.input), _initial(plan))
            return
        seen = None
        if scope.state is not None:
            assert activation.view is not None
            seen = dict(scope.state.fields(activation.view, scope.plan.region_of[activation.node]))
        value = dict(activation.input) if isinstance(activation.input, Named) else activation.input
        try:
            said = self.oracle(Call(activation.key, node.name, value, seen))
        except Exception as error:
            self._fail(activation, [(failure_of(activation, error), error)])
            return
        self._succeed(activation, said.value, said.updates)

    def _succeed(self, activation: Activation, value: Any, updates: tuple[tuple[str, Any], ...] = ()) -> None:
        try:
            taken = () if activation.owner is not None else choose(activation.scope.plan, activation.node, value)
        except Exception as error:
            self._fail(activation, [(failure_of(activation, error), error)])
            return
        self.machine.succeeded(activation, value, taken, updates)

    def _again(self, activation: Activation, troubles: list[Trouble]) -> bool:
        """Whether a graph that failed has another attempt, which begins when its turn comes."""
        plan = activation.scope.plan
        retry = None if activation.node == plan.end else plan.definition.nodes[activation.node].retry
        if activation.child is None or activation.cancelling or retry is None or activation.attempt == retry.attempts:
            return False
        failure = failure_of(activation, troubles[0][1])
        self.machine.facts.append((AttemptFailed, activation, (activation.attempt, failure, 0.0)))
        activation.child = None
        activation.attempt += 1
        self.machine.commands.append(activation)
        return True

    def _fail(self, activation: Activation, troubles: list[Trouble]) -> None:
        plan, error = activation.scope.plan, troubles[0][1]
        if isinstance(error, QuorumError):
            self.causes[activation.key] = tuple(sorted(failure.key for failure in error.failures))
        taken = () if activation.owner is not None else choose_error(plan, activation.node, error)
        self.machine.failed(activation, troubles, taken)


class _Said(Values):
    """A log that has the values themselves."""

    def begin(self, plan: Plan) -> dict[str, Any]:
        return _initial(plan)

    def decoded(self, activation: Activation, output: Any, updates: Any) -> tuple[Any, Any]:
        return output, updates

    def given(self, activation: Activation, ref: Any) -> Any:
        return ref

    def plain(self, key: str, output: Any, updates: Any) -> tuple[Any, Any]:
        return output, updates

    def entered(self, key: str) -> Any:
        raise AssertionError("nothing in these graphs is run by ctx.run")

    def left(self, key: str) -> Any:
        raise AssertionError("nothing in these graphs is run by ctx.run")

    def inside(self, past: Any) -> None:
        return None


def _initial(plan: Plan) -> dict[str, Any]:
    spec = plan.definition.state
    return {} if spec is None else spec.initial(None)


@dataclass
class Drive:
    """What a drive came to; `said` are the machine's facts without order, each as text."""

    outcome: Outcome
    choices: Choices
    said: list[str]


def drive(compiled: CompiledGraph, value: Any, oracle: Oracle, pick: Pick, on_failure: OnFailure = "drain") -> Drive:
    """Run the machine to its end; `pick` chooses what finishes next."""
    return _ended(driven(compiled, value, oracle, pick, on_failure))


def driven(compiled: CompiledGraph, value: Any, oracle: Oracle, pick: Pick, on_failure: OnFailure = "drain") -> Driven:
    """The same, with all that the machine said."""
    run = Driven(compiled, oracle, pick, on_failure)
    run.run(value)
    return run


def resumed(value: Any, before: Driven, events: int, pick: Pick) -> Drive:
    """Go on after the first events of a drive, to the end; what does not depend on a failure runs."""
    run = Driven(before.compiled, before.oracle, pick, "drain")
    run.resume(value, before, events)
    return _ended(run)


def _ended(driven: Driven) -> Drive:
    root = driven.root
    assert root is not None
    outcome = _folded(driven)
    outcome.problems = {Problem(failure.error, failure.key) for failure, _ in root.failures}
    if not root.failures and not root.stopping:
        outcome.output, outcome.state = root.output, root.final_state()
    said = [f"{kind.__name__} {key} {fields!r}" for kind, key, fields, _ in driven.facts]
    return Drive(
        outcome, _choices((kind, key, fields[0] if fields else ()) for kind, key, fields, _ in driven.facts), said
    )


def _folded(driven: Driven) -> Outcome:
    outcome = Outcome()
    records = outcome.records
    for kind, key, fields, subject in driven.facts:
        if isinstance(subject, Activation) and subject.node == subject.scope.plan.end:
            continue  # END runs nothing; that it could not be bound is a problem of the run
        again = kind in (NodeStarted, NodeSucceeded, NodeFailed) and key in records
        if again and records[key].status in ("failed", "cancelled"):
            del records[key]  # in a log that was gone on from: it is tried again
        if kind is NodeSkipped:
            assert key not in records, f"{key} is settled twice"
            records[key] = Record("skipped")
        elif kind is NodeCancelled:
            records[key] = Record("cancelled", _plain(subject.input))
        elif kind is NodeSucceeded:
            assert records.get(key) is None, f"{key} is settled twice"
            records[key] = Record("succeeded", _plain(subject.input), fields[1], None, tuple(sorted(fields[2])))
        elif kind is NodeFailed:
            assert records.get(key) is None, f"{key} is settled twice"
            status = "handled" if fields[2] else "failed"
            records[key] = Record(status, _plain(subject.input), None, fields[1].error, tuple(fields[2]))
            records[key].causes = driven.causes.get(key, ())
        elif kind is LoopEnded:
            outcome.loops[key] = tuple(fields[1])
    return outcome


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Named) else value


def _choices(facts: Iterable[tuple[Any, str, Any]]) -> Choices:
    """What was left to time, from (event class, key, winners)."""
    choices = Choices()
    for place, (kind, key, winners) in enumerate(facts):
        if kind is JoinDecided:
            choices.joins.setdefault(key, []).append((place, winners))
        elif kind is MapCompleted:
            choices.maps[key] = winners
        elif kind is NodeCancelled:
            choices.cut[key] = (place, "cancelled")
        elif kind in (NodeStarted, NodeSucceeded, NodeFailed):
            choices.cut.pop(key, None)  # it was cancelled because the run ended, and the run went on
        elif kind is NodeSkipped:
            choices.cut[key] = (place, "skipped")
        elif kind is IterationStarted:
            choices.started.add(key)
        elif kind is LoopEnded:
            choices.ended.add(key)
    return choices


def seen(result: RunResult[Any], error: RunError | None) -> Drive:
    """What a run of the real engine came to, from its records and its log."""
    outcome = Outcome()
    for record in result.activations:
        assert record.key not in outcome.records, f"{record.key} has two records"
        if not record.key.endswith("#END"):
            outcome.records[record.key] = _record(record)
    for event in result.events:
        if isinstance(event, LoopEnded):
            outcome.loops[event.key] = event.exits
    if error is not None:
        outcome.problems = {Problem(failure.error, failure.key) for failure in error.failures}
        assert outcome.problems, f"{error!r} names no failure"
    else:
        outcome.output = result.output
        outcome.state = None if result.state is None else result.state.model_dump()
    facts = [(type(e), getattr(e, "key", ""), getattr(e, "winners", ())) for e in result.events]
    return Drive(outcome, _choices(facts), [_said(event) for event in result.events])


def _record(record: ActivationRecord) -> Record:
    assert record.status != "running", f"{record.key} never ended"
    assert record.status != "waiting", f"{record.key} waits for somebody"
    error = None if record.failure is None else record.failure.error
    return Record(record.status, record.input, record.output, error, tuple(sorted(record.taken)))


def _said(event: Event) -> str:
    """An event without run, time and place in the log."""
    fields = event.model_dump(exclude={"run_id", "seq", "time"})
    return ", ".join(f"{name}={value!r}" for name, value in fields.items())
