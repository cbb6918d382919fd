"""A run as its store has it: loaded once, compared with the graph at hand, and folded into a machine.

Resuming never guesses: a graph whose recorded nodes or edges changed is refused, with every difference named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from loomgraph.compile.blueprint import blueprint_of, is_blueprint
from loomgraph.compile.compiled import CompiledGraph
from loomgraph.compile.differences import differences
from loomgraph.compile.plan import Plan
from loomgraph.engine.activation import Activation
from loomgraph.engine.facts import Entry
from loomgraph.engine.fold import Fold, Past
from loomgraph.engine.later import Later
from loomgraph.engine.machine import Edits, Machine
from loomgraph.engine.reuse import Reuse
from loomgraph.engine.scheduler import Scheduler
from loomgraph.engine.scope import Scope
from loomgraph.errors import DefinitionError, GraphChangedError, InputRefusedError, LogMismatchError, names
from loomgraph.events import (
    AttemptFailed,
    NodeFailed,
    NodeHeld,
    NodeStarted,
    NodeSucceeded,
    QuestionAsked,
    RunSucceeded,
    RunSuspended,
    SignalAwaited,
    node_path,
)
from loomgraph.runtime.durable import DurableJournal
from loomgraph.runtime.format import KINDS, LogFormat, check_version, output_type, read_event
from loomgraph.runtime.keeper import ends
from loomgraph.runtime.logbook import PlainReader
from loomgraph.runtime.redrive import Answers, Redrive, passes
from loomgraph.runtime.seen import Seen
from loomgraph.runtime.waiting import plain_fields
from loomgraph.store.codec import Codec
from loomgraph.store.protocol import Message, RunHeader, Store, StoredEvent, whole_run

__all__ = ["Folded", "OnChange", "Recorded", "changes", "initial_fields", "load", "read", "rests"]

OnChange: TypeAlias = Literal["strict", "compatible", "rerun"]
"""strict: a node that the log has started must not have changed. compatible: its code may have, its types not.
rerun: a graph that changed drives the run once more from its start, and takes over the answers that still fit."""

_ON_CHANGE: tuple[OnChange, ...] = ("strict", "compatible", "rerun")

# after one of these nobody asks whether an attempt had its effect: it ended, or had ended before it
_ENDS = frozenset({NodeSucceeded, NodeFailed, AttemptFailed, NodeHeld, QuestionAsked, SignalAwaited})


def initial_fields(plan: Plan, given: Any) -> dict[str, Any]:
    """The first fields of a scope's state; {} for a graph without state. Raises InputRefusedError if it needs one."""
    definition = plan.definition
    spec = definition.state
    if spec is None:
        if given is not None:
            raise DefinitionError(f"graph '{definition.name}' has no state, but was given state={given!r:.80}.")
        return {}
    if given is not None and not isinstance(given, spec.model):
        raise InputRefusedError(definition.name, f"state={spec.model.__name__}(...)", given, "it is another type")
    if given is None and spec.missing():
        detail = f"the state fields {', '.join(spec.missing())} have no default"
        raise InputRefusedError(definition.name, f"state={spec.model.__name__}(...)", None, detail)
    return spec.initial(given)


class Folded(NamedTuple):
    """A log as a machine has it: the run's own scope, every entry with its values, and the fold itself."""

    root: Scope
    entries: list[Entry]
    fold: Fold


@dataclass(slots=True, eq=False)
class Recorded:
    """The log of one run, its values, and what reads them.

    After `replay`, `doubtful` has the keys of the activations with effect="once" that began, of which nobody knows the
    end, and that would run again.
    """

    header: RunHeader
    log: LogFormat
    events: list[StoredEvent]
    values: Mapping[bytes, bytes]
    on_change: OnChange = "strict"
    rerun: bool = False
    doubtful: list[str] = field(default_factory=list[str])
    # what had been sent to the run when its log was read; None once more was
    inbox: list[Message] | None = None
    _first: int | None = None
    _seen: Seen | None = None

    @property
    def first(self) -> int:
        """Where the last pass through the graph begins; what stands before it is history."""
        if self._first is None:
            self._first = passes(self.events)[-1]
        return self._first

    @property
    def ended(self) -> int:
        """How often the run has ended; what ended may go on."""
        return ends(self.events)

    @property
    def copied(self) -> int:
        """How many of the events are those of the run that this one is a fork of."""
        return 0 if self.header.fork_seq is None else self.header.fork_seq + 1

    @property
    def start(self) -> Past:
        """RunStarted or RunRedriven: (version, graph, fingerprint, input, taken, shape, state, inputs, outputs).

        Values are still references.
        """
        return self.log.past(self.events[self.first])

    @property
    def traceable(self) -> bool:
        """Whether the log keeps enough of the graph that wrote it to be driven once more."""
        return is_blueprint(self.log.codec.load(Any, self.start[2][5], self.values, "the graph"))

    @property
    def too_old(self) -> str:
        """Why it is not."""
        version = self.start[2][0]
        return f"its log is of version {version}, which does not keep what driving a run once more needs"

    def beginning(self, instead: tuple[Any] | None = None) -> tuple[Any, Any]:
        """What the last pass was given: the run's input (or `instead`) and, if that was given too, its first state."""
        given, state = self.start[2][3], self.start[2][6]
        definition = self.log.compiled.definition
        load = self.log.codec.load
        value = instead[0] if instead else load(definition.input, given, self.values, "the run's input")
        if definition.state is None or state is None:
            return value, None
        return value, load(definition.state.model, state, self.values, "the run's first state")

    def folded(self, machine: Machine, stop: int | None = None) -> Folded:
        """The log up to event `stop` (excluded), told to a fresh machine. Calls no node, and no condition.

        Where the run was driven once more, only its last pass is told; the entries before it are plain data.
        """
        compiled, log = self.log.compiled, self.log
        events = self.events if stop is None else self.events[:stop]
        begin = self.first if stop is None else passes(events)[-1]
        reader = PlainReader(log.codec, self.values)
        entries: list[Entry] = [reader.entry(stored) for stored in events[:begin]]
        first = Recorded(self.header, log, events, self.values, _first=begin)
        value, state = first.beginning()
        _, name, fingerprint, _, taken, _, _, inputs, outputs = first.start[2]
        machine.edits = Edits(dict(inputs), dict(outputs), self.given)
        fold = Fold(machine, self)
        told = [(stored.time, read_event(stored)) for stored in events[begin + 1 :]]
        fold.foresee(past for _, past in told)
        root = fold.open(compiled.plan, value, tuple(taken or ()), initial_fields(compiled.plan, state))
        entries.append(reader.entry(events[begin], (name, fingerprint, value, tuple(taken or ()), state)))
        for time, past in told:
            if past[1]:
                kind, subject, fields = fold.apply(past)
                entries.append((time, kind, subject, plain_fields(log.codec, kind, fields, self.values)))
            elif past[0] is RunSucceeded:
                entries.append((time, RunSucceeded, None, (root.output,)))
            else:
                if past[0] is RunSuspended:
                    fold.suspended()
                entries.append((time, past[0], None, past[2]))
        fold.finish()
        return Folded(root, entries, fold)

    def told(self) -> list[Entry]:
        """Every event as an entry with plain data: what another pass has as its history."""
        reader = PlainReader(self.log.codec, self.values)
        return [reader.entry(stored) for stored in self.events]

    def replay(self, machine: Machine, scheduler: Scheduler, journal: DurableJournal, answers: Answers) -> Folded:
        """Fold the log into a fresh machine; the journal then has it too, and the scheduler what ctx.run had begun."""
        folded = self.folded(machine)
        journal.restore(folded.entries, self.values)
        self.doubtful = self._doubtful(folded.fold)
        scheduler.dormant.update(folded.fold.named)
        scheduler.revive = self._reviver(machine, scheduler)
        if self.first:
            redrive = self.redrive(scheduler, journal, self.events[: self.first], answers)
            redrive.tell(self.events[self.first :])
        return folded

    def redrive(
        self, scheduler: Scheduler, journal: DurableJournal, history: list[StoredEvent], answers: Answers
    ) -> Redrive:
        """Have the scheduler ask earlier passes before it starts anything."""
        redrive = Redrive(self.header.run_id, scheduler.machine, journal, history, answers)
        scheduler.reuse = Reuse(scheduler, redrive.find, redrive.way, redrive.retried)
        return redrive

    def begin(self, plan: Plan) -> dict[str, Any]:
        """See `fold.Values`."""
        return initial_fields(plan, None)

    def given(self, activation: Activation, ref: Any) -> Any:
        """See `fold.Values`."""
        return self.log.given(activation, ref, self.values)

    def decoded(self, activation: Activation, output: Any, updates: Any) -> tuple[Any, Any]:
        """See `fold.Values`."""
        given = self.log.updates(activation, updates, self.values) if updates else ()
        node = activation.scope.plan.definition.nodes[activation.node]
        if self.log.codec.is_plain(output_type(node, activation.index), output):
            return output, given
        return Later(self._output, activation, output), given

    def _output(self, activation: Activation, ref: Any) -> Any:
        return self.log.value(activation, ref, self.values)

    def plain(self, key: str, output: Any, updates: Any) -> tuple[Any, Any]:
        """See `fold.Values`."""
        reader = PlainReader(self.log.codec, self.values)
        return reader.later(output, key), tuple((name, reader.load(ref, key)) for name, ref, *_ in updates)

    def entered(self, key: str) -> Later:
        """See `fold.Values`."""
        return Later(_input_of, self.seen, key)

    def left(self, key: str) -> Later:
        """See `fold.Values`."""
        return Later(_output_of, self.seen, key)

    @property
    def seen(self) -> Seen:
        """What the activations of the last pass were given and gave, as plain data."""
        if self._seen is None:
            self._seen = Seen(self.header.run_id, self.log.codec, self.values, self.events[self.first :])
        return self._seen

    def inside(self, past: Past) -> None:
        """See `fold.Values`: only node code knows the types in there."""

    def _doubtful(self, fold: Fold) -> list[str]:
        live = [a for a in fold.started if not a.dead and not a.scope.ended]
        found = {a.key for a in live if a.scope.plan.definition.nodes[a.node].effect == "once"}
        if not fold.named:
            return sorted(found)
        # the graphs that these attempts had begun with ctx.run go on with them
        paths = {a.scope.child_path(a)[0] for a in live}
        inside: set[str] = set()
        for stored in self.events[self.first :]:
            kind = KINDS.get(stored.kind)
            if kind is RunSuspended:
                inside.clear()
            elif "/@" not in stored.key:
                continue
            elif kind is NodeStarted and stored.key.partition("/@")[0] in paths:
                inside.update({stored.key} if self.log.once(stored) else ())
            elif kind in _ENDS:
                inside.discard(stored.key)
        return sorted(found | inside)

    def _reviver(self, machine: Machine, scheduler: Scheduler) -> Any:
        def revive(
            activation: Activation, key: str, graph: CompiledGraph, value: Any, past: list[Past]
        ) -> Scope | None:
            self._check_scope(past, graph)
            fold = Fold(machine, self, within=past[0][1])
            fold.foresee(past)
            scope = fold.open_named(activation, key, graph.plan, value, past[0])
            for event in past[1:]:
                fold.apply(event)
            fold.finish()
            scheduler.dormant.update(fold.named)
            if scheduler.waits is not None:
                scheduler.waits.resume(fold)
            return scope

        return revive

    def _check_scope(self, past: list[Past], graph: CompiledGraph) -> None:
        """Raise GraphChangedError unless node code runs what it ran before it was interrupted."""
        _, path, (_, fingerprint, _, given, shape) = past[0]
        at = node_path(path)
        found: list[str] = []
        if shape is None and fingerprint != graph.fingerprint:
            found.append(f"node '{'/'.join(at[:-1])}' runs another graph under the key '{at[-1][1:]}'")
        elif shape is not None:
            if fingerprint != graph.fingerprint:
                was = self.log.codec.load(Any, shape, self.values, f"the graph of '{path}'")
                ran = {node_path(key) for kind, key, _ in past if kind is NodeStarted}
                now = blueprint_of(graph.definition)
                found.extend(differences(was, now, ran, code=self.on_change != "compatible", at=at))
            if given != self.log.prepared_input(path):
                found.append(f"node '{'/'.join(at[:-1])}' gives the graph it runs as '{at[-1][1:]}' another input")
        if found:
            raise GraphChangedError(self.header.run_id, found)


def _output_of(seen: Seen, key: str) -> Any:
    return seen.output(key)


def _input_of(seen: Seen, key: str) -> Any:
    return seen.input(key)


def rests(entries: Sequence[Entry]) -> bool:
    """Whether a log ends where its run was suspended, and no failure is left to be tried again."""
    failed: set[str] = set()
    for _, kind, subject, values in entries:
        if kind is NodeStarted:
            failed.discard(subject.key)
        elif kind is NodeFailed and not values[2]:
            failed.add(subject.key)
    return entries[-1][1] is RunSuspended and not failed


async def read(store: Store, run_id: str, compiled: CompiledGraph) -> Recorded:
    """A run's log, whatever graph wrote it. Raises UnknownRunError, StoreVersionError, ValueMissingError."""
    header, events, values, inbox = await whole_run(store, run_id)
    check_version(header)
    if not events:
        raise LogMismatchError(run_id, "RunStarted")
    log = LogFormat(compiled, Codec())
    log.codec.known.update(values)
    return Recorded(header, log, events, values, inbox=inbox)


async def load(store: Store, run_id: str, compiled: CompiledGraph, on_change: OnChange) -> Recorded:
    """A run's log for this graph; with "rerun", it may have to be driven again. Raises what `read` raises.

    Raises GraphChangedError if the graph does not fit, and on_change does not say that this is fine.
    """
    if on_change not in _ON_CHANGE:
        raise DefinitionError(f"on_change={on_change!r} is unknown; use {names(_ON_CHANGE, 'or')}.")
    recorded = await read(store, run_id, compiled)
    recorded.on_change = on_change
    found = changes(recorded, compiled, code=on_change != "compatible")
    if found and on_change == "rerun":
        recorded.rerun = True
        found = _never(recorded, compiled)
    if found:
        raise GraphChangedError(run_id, found)
    return recorded


def changes(recorded: Recorded, compiled: CompiledGraph, *, code: bool = True) -> list[str]:
    """What keeps the graph from going on with the last pass of a log; see `differences`."""
    _, _, (_, name, fingerprint, _, _, shape, *_) = recorded.start
    if fingerprint == compiled.fingerprint:
        return []
    was = recorded.log.codec.load(Any, shape, recorded.values, "the graph")
    ran = {node_path(e.key) for e in recorded.events[recorded.first :] if KINDS.get(e.kind) is NodeStarted}
    found: list[str] = []
    if name != compiled.definition.name:
        found.append(f"the run is of graph '{name}', this one is '{compiled.definition.name}'")
    if is_blueprint(was):
        found.extend(differences(was, blueprint_of(compiled.definition), ran, code=code))
    else:
        found.extend(_first_differences(was, compiled, {path[0] for path in ran}, code=code))
    return found


def _never(recorded: Recorded, compiled: CompiledGraph) -> list[str]:
    """Why a run cannot be driven again with this graph."""
    name = recorded.start[2][1]
    if name != compiled.definition.name:
        return [f"the run is of graph '{name}', this one is '{compiled.definition.name}'; fork it instead"]
    return [] if recorded.traceable else [recorded.too_old]


def _first_differences(was: Any, compiled: CompiledGraph, ran: set[str], *, code: bool) -> Iterator[str]:
    """The same for a log of version 1, which has the names and fingerprints of the outer nodes, and edges by name."""
    definition = compiled.definition
    marks = {name: mark[:16] for name, mark in compiled.fingerprints.items()}
    for name in sorted(ran):
        if name not in marks:
            yield f"node '{name}', which has run, is gone"
        elif was["nodes"].get(name) != marks[name] and code:
            yield f"node '{name}', which has run, has changed"
    edges = [[definition.name_of(e.source), definition.name_of(e.target), e.kind] for e in definition.edges]
    gone = [edge for edge in was["edges"] if edge not in edges]
    new = [edge for edge in edges if edge not in was["edges"]]
    yield from (f"edge '{a}' -> '{b}' is gone" for a, b, _ in gone)
    yield from (f"edge '{a}' -> '{b}' is new" for a, b, _ in new)
    if was["edges"] != edges and not gone and not new:
        yield "the edges are declared in another order"
