"""How a run's log is written: each event as a short kind, a key and a compact body; values through the codec.

A body is a JSON array of the event's own fields, cut after the last one that differs from its default, and empty if
none does. The output of a map node, a graph node or the run is not written, for it follows from its parts. Kinds and
positions are a file format: they are only ever added to, and VERSION in `loomgraph.events` says when an older reader
would be wrong.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, cast

from pydantic_core import from_json, to_json, to_jsonable_python

from loomgraph import events
from loomgraph.compile.blueprint import blueprint_of
from loomgraph.compile.compiled import CompiledGraph
from loomgraph.engine.activation import Activation, Named
from loomgraph.engine.facts import FIELDS, Entry, key_of
from loomgraph.engine.fold import Past
from loomgraph.errors import CodecError, Failure, LogDamagedError, StoreKeyError, StoreVersionError
from loomgraph.graph.definition import NodeDef
from loomgraph.graph.signature import EMPTY
from loomgraph.graph.state import StateSpec
from loomgraph.store.codec import Codec, Rows
from loomgraph.store.protocol import SEALED, RunHeader, StoredEvent

__all__ = [
    "KINDS",
    "NAMED",
    "LogFormat",
    "Prepared",
    "bound_by_name",
    "check_version",
    "event_without_values",
    "input_type",
    "output_type",
    "read_event",
]

NAMED = "$named"
"""Marks an input that is bound by parameter name, in an event that refers to its input."""

KINDS: Mapping[str, Any] = {
    "R": events.RunStarted,
    "R>": events.RunResumed,
    "R<": events.RunRedriven,
    "R+": events.RunSucceeded,
    "R-": events.RunFailed,
    "R0": events.RunCancelled,
    "s": events.NodeStarted,
    "+": events.NodeSucceeded,
    "-": events.NodeFailed,
    "?": events.AttemptFailed,
    "0": events.NodeSkipped,
    "x": events.NodeCancelled,
    "m": events.MapStarted,
    "M": events.MapCompleted,
    "j": events.JoinDecided,
    "i": events.IterationStarted,
    "l": events.LoopEnded,
    "c": events.LoopCapReached,
    "g": events.ScopeStarted,
    "G": events.ScopeEnded,
    "e": events.Emitted,
    "u": events.Metered,
    "p": events.StepSucceeded,
    "R|": events.RunSuspended,
    "h": events.NodeHeld,
    "q": events.QuestionAsked,
    "a": events.QuestionAnswered,
    "w": events.QuestionWithdrawn,
    "W": events.SignalAwaited,
    "S": events.SignalReceived,
    "r": events.MessageRefused,
}
_CODES = {kind: code for code, kind in KINDS.items()}
_WAITING = frozenset({events.QuestionAsked, events.QuestionAnswered, events.SignalAwaited, events.SignalReceived})

_shapes: weakref.WeakKeyDictionary[CompiledGraph, tuple[Any, Rows]] = weakref.WeakKeyDictionary()
_NOTHING: list[Any] = []
_FIRST = (1, None)
_ORIGINS: Mapping[events.Origin, int | None] = {"run": None, "reused": 1, "edited": 2}
_SAID: Mapping[int | None, events.Origin] = {code: origin for origin, code in _ORIGINS.items()}
_UNPREPARED: tuple[Any, list[Any]] = (None, _NOTHING)

Prepared = tuple[Any, list[list[Any]]]
"""An activation's output and state updates as they will stand in its event."""


class LogFormat:
    """Writes and reads the events of one run."""

    def __init__(self, compiled: CompiledGraph, codec: Codec) -> None:
        self.compiled = compiled
        self.codec = codec
        self.rows: Rows = {}
        self._prepared: dict[Activation, Prepared] = {}
        self._steps: dict[tuple[Activation, str], Any] = {}
        self._scopes: dict[str, tuple[Any, Any]] = {}
        # the rows written in this process, where somebody has to read them again
        self.kept: Rows | None = None
        # what a RunRedriven says was edited: inputs and outputs as (activation key, reference)
        self.edits: tuple[list[list[Any]] | None, list[list[Any]] | None] = (None, None)

    # ------------------------------------------------------------------ writing

    def prepare(self, activation: Activation, value: Any, updates: tuple[tuple[str, Any], ...]) -> None:
        """Encode what an activation is about to report. Raises CodecError or ValueTooLargeError: then it fails."""
        definition = activation.scope.plan.definition
        tp = output_type(definition.nodes[activation.node], activation.index)
        if not updates and self.codec.is_plain(tp, value):
            self._prepared[activation] = (value, _NOTHING)
            return
        where = f"node '{activation.path}'"
        output = self._dump(_open(tp), value, where)
        spec = definition.state
        written = [self._update(spec, name, item, where) for name, item in updates] if spec is not None else []
        self._prepared[activation] = (output, written)

    def prepare_step(self, activation: Activation, key: str, tp: Any, value: Any) -> None:
        """The same for a durable step inside an activation."""
        self._steps[activation, key] = self._dump(_open(tp), value, f"step '{key}' of node '{activation.path}'")

    def prepare_scope(self, path: str, compiled: CompiledGraph, value: Any) -> None:
        """The same for a graph that node code is about to run under this scope path: its structure and its input."""
        definition = compiled.definition
        given = self._dump(_open(definition.input), value, f"the input of '{path}'")
        self._scopes[path] = (given, self._shape(compiled))

    def edited(self, tp: Any, value: Any, where: str) -> Any:
        """A value that somebody puts into a log, as the log refers to it; its rows are in `rows`. Raises CodecError."""
        return self._dump(tp, value, where)

    def prepared_input(self, path: str) -> Any:
        """The input that was prepared for a scope, as the log refers to it."""
        return self._scopes[path][0]

    def _update(self, spec: StateSpec, name: str, item: Any, where: str) -> list[Any]:
        declared: Any = spec.model.model_fields[name].annotation
        try:
            return [name, self._dump(declared, item, where)]
        except CodecError:
            if name not in spec.reducers:
                raise
            # what a reducer takes need not be what the field holds: plain data then
            return [name, self._dump(Any, item, where), 1]

    def _dump(self, tp: Any, value: Any, where: str) -> Any:
        ref, rows = self.codec.dump(tp, value, where)
        if rows:
            self._add(rows)
        return ref

    def _add(self, rows: Rows) -> None:
        self.rows.update(rows)
        # whatever names them from now on is written with them or after them
        self.codec.known.update(rows)
        if self.kept is not None:
            self.kept.update(rows)

    def write(self, seq: int, entry: Entry) -> StoredEvent:
        """An entry as the store keeps it; the values it needs are added to `rows`."""
        time, kind, subject, values = entry
        if kind is events.NodeStarted and values[0] == 1 and not _once(subject):
            return StoredEvent(seq, time, "s", subject.key, b"")
        body = _trimmed(self._body(kind, subject, values))
        return StoredEvent(seq, time, _CODES[kind], key_of(subject), to_json(body) if body else b"")

    def _body(self, kind: Any, subject: Any, values: tuple[Any, ...]) -> list[Any]:
        if kind is events.NodeStarted:
            # said here, because nobody knows the graphs that ctx.run has begun until node code asks for them again
            return [_default(values[0], 1), _once(subject) or None]
        if kind is events.NodeSucceeded or kind is events.NodeHeld:
            attempt, _, taken, _, cached, *more = values
            output, updates = self._prepared.pop(subject, _UNPREPARED)
            origin = _ORIGINS[more[0]] if more else None
            ways = self._taken(subject, taken)
            return [output, ways, updates or None, _default(attempt, 1), cached or None, origin]
        if kind is events.StepSucceeded:
            return [values[0], self._steps.pop((subject, values[0]), None), _ORIGINS[values[2]]]
        if kind is events.NodeFailed:
            return [_failure(values[1]), list(values[2]) or None, _default(values[0], 1), _ORIGINS[values[3]]]
        if kind is events.AttemptFailed:
            return [_failure(values[1]), values[2], values[0]]
        if kind is events.RunStarted or kind is events.RunRedriven:
            graph, fingerprint, given, taken, state, *_ = values
            shape = self._shape(self.compiled)
            given_ref = self._dump(_open(self.compiled.definition.input), given, "the run's input")
            model = self.compiled.definition.state
            first = None if model is None or state is None else self._dump(model.model, state, "the run's first state")
            edits = self.edits if kind is events.RunRedriven else (None, None)
            return [events.VERSION, graph, fingerprint, given_ref, list(taken), shape, first, *edits]
        if kind is events.ScopeStarted:
            given, shape = self._scopes.pop(subject.path, (None, None))
            return [values[0], values[1], list(values[2]), given, shape]
        if kind is events.RunSucceeded:
            return []  # what END was given is in the log already
        if kind is events.ScopeEnded:
            return [None, _plain(values[1]) or None]
        if kind in _WAITING:
            return self._waiting(kind, subject, values)
        return [_plain(value) for value in values]

    def _shape(self, compiled: CompiledGraph) -> Any:
        """A graph's blueprint, encoded once for all of its runs: it is as long as the graph."""
        found = _shapes.get(compiled)
        if found is None:
            found = _shapes[compiled] = Codec().dump_whole(blueprint_of(compiled.definition), "the graph")
        ref, rows = found
        self._add({digest: data for digest, data in rows.items() if digest not in self.codec.known})
        return ref

    def _waiting(self, kind: Any, subject: Any, values: tuple[Any, ...]) -> list[Any]:
        """Questions, answers and signals; what is plain data already is encoded here."""
        if kind is events.QuestionAsked:
            id, question, expects, refused = values
            return [id, *(self._dump(Any, item, f"question '{id}'") for item in (question, expects)), refused]
        if kind is events.QuestionAnswered:
            return [values[0], self._steps.pop((subject, f"ask:{values[0]}"), None), values[2]]
        if kind is events.SignalAwaited:
            return [values[0], self._dump(Any, values[1], f"signal '{values[0]}'")]
        name, message, value, refused = values
        ref = self._steps.pop((subject, f"message:{message}"), None) if refused is None else None
        return [name, message, ref if refused is None else self._dump(Any, value, f"signal '{name}'"), refused]

    def _taken(self, activation: Activation, taken: tuple[int, ...]) -> list[int] | None:
        """The edges taken; nothing where the node takes all of them anyway."""
        plan = activation.scope.plan
        if activation.owner is not None or (plan.always[activation.node] and taken == plan.out_normal[activation.node]):
            return None
        return list(taken)

    # ------------------------------------------------------------------ reading

    def past(self, stored: StoredEvent) -> Past:
        """See `read_event`."""
        return read_event(stored)

    def once(self, stored: StoredEvent) -> bool:
        """Whether the NodeStarted says that the node has an effect that must not happen twice."""
        return bool(stored.body) and len(body := from_json(stored.body)) > 1 and bool(body[1])

    def value(self, activation: Activation, ref: Any, stored: Mapping[bytes, bytes]) -> Any:
        """The output that an event refers to."""
        tp = output_type(activation.scope.plan.definition.nodes[activation.node], activation.index)
        return self.codec.load(_open(tp), ref, stored, f"node '{activation.path}'")

    def given(self, activation: Activation, ref: Any, stored: Mapping[bytes, bytes]) -> Any:
        """The input that an event itself refers to: a value, or one for each parameter that a join binds."""
        node = activation.scope.plan.definition.nodes[activation.node]
        where = f"the input of node '{activation.path}'"
        bound = bound_by_name(ref)
        if bound is not None:
            types = {param.name: param.type for param in node.signature.params}
            return Named({name: self.codec.load(_open(types[name]), part, stored, where) for name, part in bound})
        return self.codec.load(_open(input_type(node, activation.index)), ref, stored, where)

    def keep_step(self, activation: Activation, name: str, ref: Any) -> None:
        """A durable step is taken over as the log has it."""
        self._steps[activation, name] = ref

    def updates(self, activation: Activation, refs: list[list[Any]], stored: Mapping[bytes, bytes]) -> Any:
        """The state updates that an event refers to."""
        spec = activation.scope.plan.definition.state
        if not refs or spec is None:
            return ()
        where = f"node '{activation.path}'"
        out: list[tuple[str, Any]] = []
        for name, ref, *plain in refs:
            declared: Any = Any if plain else spec.model.model_fields[name].annotation
            out.append((name, self.codec.load(declared, ref, stored, where)))
        return tuple(out)


def check_version(header: RunHeader) -> None:
    """Refuse a log that cannot be read, before anything in it is: StoreVersionError, StoreKeyError."""
    if header.metadata.startswith(SEALED):
        remedy = "Open the store with it: open_store(..., encrypt=key)."
        raise StoreKeyError(f"run '{header.run_id}'", "it is encrypted, and the store was opened without a key", remedy)
    if header.version > events.VERSION:
        raise StoreVersionError(f"the log of run '{header.run_id}'", header.version, events.VERSION)


def event_without_values(seq: int, time: float, kind: Any, key: str, fields: tuple[Any, ...]) -> StoredEvent:
    """An event that refers to no value, so that no graph is needed to write it."""
    return StoredEvent(seq, time, _CODES[kind], key, to_json(_trimmed([_plain(value) for value in fields])))


def read_event(stored: StoredEvent) -> Past:
    """An event as the fold takes it; values are still references, for the codec.

    Raises StoreVersionError for one of a newer loomgraph, and LogDamagedError for one that cannot be read.
    """
    kind = KINDS.get(stored.kind)
    if kind is None:
        raise StoreVersionError(f"event {stored.seq} of kind '{stored.kind}'", events.VERSION + 1, events.VERSION)
    if not stored.body and kind is events.NodeStarted:
        return kind, stored.key, _FIRST
    try:
        return kind, stored.key, _fields(kind, from_json(stored.body) if stored.body else [])
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        whose = f" of '{stored.key}'" if stored.key else ""
        raise LogDamagedError(f"event {stored.seq} ({kind.__name__}{whose})", str(error)) from error


def _fields(kind: Any, body: list[Any]) -> tuple[Any, ...]:
    if not isinstance(body, list):  # pyright: ignore[reportUnnecessaryIsInstance] - what a disk gives may be anything
        raise TypeError("its body is no list")
    if kind is events.NodeSucceeded and len(body) == 1:  # most events are nothing else
        return (1, body[0], None, [], False, "run")
    get = _Body(body)
    found = _READ.get(kind)
    if found is not None:
        return found(get)
    width = len(FIELDS.get(kind, ()))
    return tuple(get(i) for i in range(max(width, len(body))))


class _Body:
    """A body's fields by position; what was cut off or left out is its default."""

    def __init__(self, body: list[Any]) -> None:
        self._body = body

    def __call__(self, position: int, default: Any = None) -> Any:
        value = self._body[position] if position < len(self._body) else None
        return default if value is None else value


def _read_failure(written: list[Any] | None) -> Failure | None:
    return None if not written else Failure(*written)


def _read_start(get: _Body) -> tuple[Any, ...]:
    if get(5) is None:
        raise ValueError("it does not say of which graph")
    return (*(get(i) for i in range(7)), get(7, []), get(8, []))


def _read_list(get: _Body) -> tuple[Any, ...]:
    return (tuple(get(0, [])),)


_READ: Mapping[Any, Callable[[_Body], tuple[Any, ...]]] = {
    events.RunStarted: _read_start,
    events.RunRedriven: _read_start,
    events.RunFailed: lambda get: (get(0), get(1), _failures(get(2, []))),
    events.RunSuspended: lambda get: (get(0, 0), get(1, 0), _pairs(get(2, []))),
    events.NodeStarted: lambda get: (get(0, 1), get(2)),
    events.NodeSucceeded: lambda get: (get(3, 1), get(0), _tuple(get(1)), get(2, []), bool(get(4)), _SAID[get(5)]),
    events.NodeHeld: lambda get: (get(3, 1), get(0), _tuple(get(1)), get(2, []), bool(get(4))),
    events.NodeFailed: lambda get: (get(2, 1), Failure(*get(0)), tuple(get(1, [])), _SAID[get(3)]),
    events.AttemptFailed: lambda get: (get(2), Failure(*get(0)), get(1)),
    events.NodeSkipped: lambda get: (),
    events.StepSucceeded: lambda get: (get(0), get(1), _SAID[get(2)]),
    events.ScopeStarted: lambda get: (get(0), get(1), tuple(get(2, [])), get(3), get(4)),
    events.ScopeEnded: lambda get: (get(0), _failures(get(1, []))),
    events.LoopEnded: lambda get: (get(0), tuple(get(1, [])), _read_failure(get(2))),
    events.MapCompleted: _read_list,
    events.JoinDecided: _read_list,
    events.IterationStarted: _read_list,
}


def bound_by_name(ref: Any) -> list[tuple[str, Any]] | None:
    """The references of an input that is bound by parameter name, where an event refers to its input; else None."""
    if not isinstance(ref, dict):
        return None
    found: list[tuple[str, Any]] | None = cast("dict[str, Any]", ref).get(NAMED)
    return found


def input_type(node: NodeDef, index: int | None) -> Any:
    """What an activation of the node takes; a map as a whole takes the list."""
    primary = node.signature.primary
    return _listed(node, index, Any if primary is None else primary.type)


def output_type(node: NodeDef, index: int | None) -> Any:
    """What an activation of the node gives; a map as a whole gives the list."""
    return _listed(node, index, node.signature.output)


def _listed(node: NodeDef, index: int | None, tp: Any) -> Any:
    if node.map is None or index is not None:
        return tp
    listed: Any = list
    return listed[_open(tp)]


def _once(activation: Activation) -> bool:
    return activation.scope.plan.definition.nodes[activation.node].effect == "once"


def _open(tp: Any) -> Any:
    return Any if tp is EMPTY else tp


def _default(value: Any, default: Any) -> Any:
    return None if value == default else value


def _tuple(value: Any) -> tuple[int, ...] | None:
    return None if value is None else tuple(value)


def _pairs(value: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((first, second) for first, second in value)


def _trimmed(body: list[Any]) -> list[Any]:
    while body and body[-1] is None:
        body.pop()
    return body


def _failure(failure: Failure) -> list[Any]:
    return [failure.node, failure.key, failure.attempt, failure.error, failure.message]


def _failures(written: list[list[Any]]) -> tuple[Failure, ...]:
    return tuple(Failure(*fields) for fields in written)


def _plain(value: Any) -> Any:
    if isinstance(value, Failure):
        return _failure(value)
    if isinstance(value, tuple) and value and isinstance(value[0], Failure):
        failures: tuple[Failure, ...] = value  # pyright: ignore[reportUnknownVariableType]
        return [_failure(item) for item in failures]
    return to_jsonable_python(value, fallback=repr)
