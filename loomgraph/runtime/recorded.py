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
from loomgraph.engine.machine import Machine
from loomgraph.engine.scheduler import Scheduler
from loomgraph.engine.scope import Scope
from loomgraph.errors import DefinitionError, GraphChangedError, InputRefusedError, LogMismatchError
from loomgraph.events import (
    AttemptFailed,
    NodeFailed,
    NodeHeld,
    NodeStarted,
    NodeSucceeded,
    QuestionAsked,
    RunStarted,
    RunSucceeded,
    RunSuspended,
    SignalAwaited,
    node_path,
)
from loomgraph.runtime.durable import DurableJournal
from loomgraph.runtime.format import KINDS, LogFormat, check_version
from loomgraph.runtime.waiting import plain_fields
from loomgraph.store.codec import Codec
from loomgraph.store.protocol import RunHeader, Store, StoredEvent

__all__ = ["Folded", "OnChange", "Recorded", "initial_fields", "load", "rests"]

OnChange: TypeAlias = Literal["strict", "compatible"]
"""strict: a node that the log has started must not have changed. compatible: its code may have, its types not."""

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
    doubtful: list[str] = field(default_factory=list[str])

    @property
    def start(self) -> Past:
        """RunStarted: (version, graph, fingerprint, input, taken, shape, state), still as references."""
        return self.log.past(self.events[0])

    def folded(self, machine: Machine, stop: int | None = None) -> Folded:
        """The log up to event `stop` (excluded), told to a fresh machine. Calls no node, and no condition."""
        compiled, log = self.log.compiled, self.log
        body = (*self.start[2], None, None)[:7]
        value = log.codec.load(compiled.definition.input, body[3], self.values, "the run's input")
        model = compiled.definition.state
        state = None
        if model is not None and body[6] is not None:
            state = log.codec.load(model.model, body[6], self.values, "the run's first state")
        fold = Fold(machine, initial_fields, self._decoded, self._plain)
        told = [(stored.time, log.past(stored)) for stored in self.events[1:stop]]
        fold.foresee(past for _, past in told)
        taken = tuple(body[4] or ())
        root = fold.open(compiled.plan, value, taken, initial_fields(compiled.plan, state))
        first = (compiled.definition.name, body[2], value, taken, state)
        entries: list[Entry] = [(self.events[0].time, RunStarted, None, first)]
        for time, past in told:
            if past[0] is RunSucceeded:
                entries.append((time, RunSucceeded, None, (root.output,)))
            elif past[1] == "":
                if past[0] is RunSuspended:
                    fold.suspended()
                entries.append((time, past[0], None, past[2]))
            else:
                kind, subject, fields = fold.apply(past)
                entries.append((time, kind, subject, plain_fields(log.codec, kind, fields, self.values)))
        fold.finish()
        return Folded(root, entries, fold)

    def replay(self, machine: Machine, scheduler: Scheduler, journal: DurableJournal) -> Folded:
        """Fold the log into a fresh machine; the journal then has it too, and the scheduler what ctx.run had begun."""
        folded = self.folded(machine)
        journal.restore(folded.entries, self.values)
        self.doubtful = self._doubtful(folded.fold)
        scheduler.dormant.update(folded.fold.named)
        scheduler.revive = self._reviver(machine, scheduler)
        return folded

    def _doubtful(self, fold: Fold) -> list[str]:
        live = [a for a in fold.started if not a.dead and not a.scope.ended]
        found = {a.key for a in live if a.scope.plan.definition.nodes[a.node].effect == "once"}
        # the graphs that these attempts had begun with ctx.run go on with them
        paths = {a.scope.child_path(a)[0] for a in live}
        inside: set[str] = set()
        for stored in self.events:
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

    def _decoded(self, activation: Activation, output: Any, updates: Any) -> tuple[Any, Any]:
        given = self.log.updates(activation, updates, self.values) if updates else ()
        if self.log.codec.is_plain(activation.scope.plan.definition.nodes[activation.node].signature.output, output):
            return output, given
        return Later(self._output, activation, output), given

    def _output(self, activation: Activation, ref: Any) -> Any:
        return self.log.value(activation, ref, self.values)

    def _plain(self, key: str, output: Any, updates: Any) -> tuple[Any, Any]:
        given = tuple((name, self._plain_value(key, ref)) for name, ref, *_ in updates)
        return Later(self._plain_value, key, output), given

    def _plain_value(self, key: str, ref: Any) -> Any:
        return self.log.codec.load(Any, ref, self.values, f"'{key}'")

    def _reviver(self, machine: Machine, scheduler: Scheduler) -> Any:
        def revive(
            activation: Activation, key: str, graph: CompiledGraph, value: Any, past: list[Past]
        ) -> Scope | None:
            self._check_scope(past, graph)
            fold = Fold(machine, initial_fields, self._decoded, self._plain, within=past[0][1])
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
                found.extend(differences(was, now, ran, code=self.on_change == "strict", at=at))
            if given != self.log.prepared_input(path):
                found.append(f"node '{'/'.join(at[:-1])}' gives the graph it runs as '{at[-1][1:]}' another input")
        if found:
            raise GraphChangedError(self.header.run_id, found)


def rests(entries: Sequence[Entry]) -> bool:
    """Whether a log ends where its run was suspended, and no failure is left to be tried again."""
    failed: set[str] = set()
    for _, kind, subject, values in entries:
        if kind is NodeStarted:
            failed.discard(subject.key)
        elif kind is NodeFailed and not values[2]:
            failed.add(subject.key)
    return entries[-1][1] is RunSuspended and not failed


async def load(store: Store, run_id: str, compiled: CompiledGraph, on_change: OnChange) -> Recorded:
    """A run's log for this graph. Raises UnknownRunError, GraphChangedError, StoreVersionError, ValueMissingError."""
    if on_change not in ("strict", "compatible"):
        raise DefinitionError(f"on_change={on_change!r} is unknown; use 'strict' or 'compatible'.")
    header = await store.load(run_id)
    check_version(header)
    events = await store.events(run_id)
    if not events:
        raise LogMismatchError(run_id, "RunStarted")
    digests = await store.digests(run_id)
    values = await store.values(digests)
    log = LogFormat(compiled, Codec())
    log.codec.known.update(values)
    recorded = Recorded(header, log, events, values, on_change)
    if header.fingerprint != compiled.fingerprint:
        _compare(recorded, compiled, on_change)
    return recorded


def _compare(recorded: Recorded, compiled: CompiledGraph, on_change: OnChange) -> None:
    """Raise GraphChangedError, naming every difference, unless what the log has done still stands."""
    was = recorded.log.codec.load(Any, recorded.start[2][5], recorded.values, "the graph")
    ran = {node_path(e.key) for e in recorded.events if KINDS.get(e.kind) is NodeStarted}
    found: list[str] = []
    if recorded.header.graph != compiled.definition.name:
        found.append(f"the run is of graph '{recorded.header.graph}', this one is '{compiled.definition.name}'")
    if is_blueprint(was):
        now = blueprint_of(compiled.definition)
        found.extend(differences(was, now, ran, code=on_change == "strict"))
    else:
        found.extend(_first_differences(was, compiled, {path[0] for path in ran}, on_change))
    if found:
        raise GraphChangedError(recorded.header.run_id, found)


def _first_differences(was: Any, compiled: CompiledGraph, ran: set[str], on_change: OnChange) -> Iterator[str]:
    """The same for a log of version 1, which has the names and fingerprints of the outer nodes, and edges by name."""
    definition = compiled.definition
    marks = {name: mark[:16] for name, mark in compiled.fingerprints.items()}
    for name in sorted(ran):
        if name not in marks:
            yield f"node '{name}', which has run, is gone"
        elif was["nodes"].get(name) != marks[name] and on_change == "strict":
            yield f"node '{name}', which has run, has changed"
    edges = [[definition.name_of(e.source), definition.name_of(e.target), e.kind] for e in definition.edges]
    gone = [edge for edge in was["edges"] if edge not in edges]
    new = [edge for edge in edges if edge not in was["edges"]]
    yield from (f"edge '{a}' -> '{b}' is gone" for a, b, _ in gone)
    yield from (f"edge '{a}' -> '{b}' is new" for a, b, _ in new)
    if was["edges"] != edges and not gone and not new:
        yield "the edges are declared in another order"
