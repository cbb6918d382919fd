"""What whoever forks a run puts in the place of what its log says: checked against the graph, written like any value.

Edits are named by activation key; START, or "START" where no node is called so, is the run's own input. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from loomgraph.compile.compiled import CompiledGraph
from loomgraph.compile.values import validator
from loomgraph.errors import CodecError, EditRefusedError, EditTooLateError, UnknownEventError, brief
from loomgraph.events import (
    NodeCancelled,
    NodeFailed,
    NodeSkipped,
    NodeStarted,
    NodeSucceeded,
    RunRedriven,
    RunStarted,
    node_path,
)
from loomgraph.graph.definition import Definition, GraphBody, NodeDef
from loomgraph.graph.refs import START
from loomgraph.graph.signature import EMPTY, describe_type
from loomgraph.runtime.format import KINDS, NAMED, LogFormat, input_type, output_type, read_event
from loomgraph.runtime.questions import problem_in
from loomgraph.store.protocol import StoredEvent

__all__ = ["BEGIN", "Refs", "accepted", "by_key", "carried", "input_ref", "merged", "output_ref"]

BEGIN = "#START"
"""The run's own input among edits; no activation has this key."""

_PLAIN = frozenset({str, int, float, list, dict})
_SETTLED = (NodeSucceeded, NodeFailed, NodeSkipped, NodeCancelled)


@dataclass(slots=True)
class Refs:
    """Edits as a log has them: references by activation key."""

    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])

    def written(self) -> tuple[list[list[Any]] | None, list[list[Any]] | None]:
        """As they stand in an event."""
        inputs, outputs = ([[key, ref] for key, ref in refs.items()] for refs in (self.inputs, self.outputs))
        return inputs or None, outputs or None


def carried(events: Sequence[StoredEvent]) -> Refs:
    """The edits of a log that still hold: those its last pass began with, and those made in its events."""
    refs = Refs()
    for stored in events:
        kind, key, values = read_event(stored)
        if kind is RunStarted or kind is RunRedriven:
            refs = Refs(dict(values[7]), dict(values[8]))
        elif kind is NodeStarted and values[1] is not None:
            refs.inputs[key] = values[1]
        elif kind is NodeSucceeded and values[5] == "edited":
            refs.outputs[key] = values[1]
    return refs


def merged(old: Refs, new: Refs) -> Refs:
    """Both; the new ones where both say something."""
    return Refs({**old.inputs, **new.inputs}, {**old.outputs, **new.outputs})


def by_key(
    run_id: str, events: Sequence[StoredEvent], left: Sequence[StoredEvent], edits: Mapping[Any, Any] | None
) -> dict[str, Any]:
    """Edits by activation key, START as BEGIN. `events` are of the pass that is gone on from, `left` those left out.

    Raises UnknownEventError for a key that is not in these events, EditTooLateError for one that is only in those left
    out, EditRefusedError for what was skipped.
    """
    said = _said(events)
    found: dict[str, Any] = {}
    after = _said(left) if edits else {}
    for key, value in (edits or {}).items():
        if key is START or (key == START.name and key not in said):
            found[BEGIN] = value
            continue
        if key not in said and key in after:
            raise EditTooLateError(run_id, key, after[key][1], events[-1].seq)
        if key not in said:
            raise UnknownEventError(run_id, str(key), len(events), [START.name, *said])
        if said[key][0] is NodeSkipped:
            raise EditRefusedError(run_id, key, "it was skipped, so it was given nothing. Edit what led there.")
        found[key] = value
    return found


def _said(events: Sequence[StoredEvent]) -> dict[str, tuple[Any, int]]:
    """What these events say of activations that have begun or are settled, last of each: the kind and the number."""
    said: dict[str, tuple[Any, int]] = {}
    for stored in events:
        kind = KINDS.get(stored.kind)
        if kind is NodeStarted or kind in _SETTLED:
            said[stored.key] = (kind, stored.seq)
    return said


def output_ref(run_id: str, log: LogFormat, key: str, value: Any) -> Any:
    """An edited output as the log refers to it. Raises EditRefusedError, and CodecError for what cannot be stored."""
    if key == BEGIN:
        raise EditRefusedError(run_id, START.name, "it has no output. Give it an input: inputs={START: ...}.")
    node = _node(run_id, log.compiled, key)
    tp = _own(value) if node is None else _known(output_type(node, _index(key)))
    return _checked(run_id, log, key, "gives", tp, value)


def input_ref(run_id: str, log: LogFormat, key: str, value: Any) -> Any:
    """An edited input as the log refers to it. Raises EditRefusedError, and CodecError for what cannot be stored.

    A node whose input a join binds by parameter takes a mapping from parameters to values.
    """
    node = _node(run_id, log.compiled, key)
    if node is None:
        return _checked(run_id, log, key, "takes", _own(value), value)
    params = {param.name: param.type for param in node.signature.params}
    bound = dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else dict[str, Any]()
    if len(params) > 1 and bound and set(bound) <= set(params):
        return {NAMED: [[n, _checked(run_id, log, key, f"takes as '{n}'", params[n], v)] for n, v in bound.items()]}
    return _checked(run_id, log, key, "takes", _known(input_type(node, _index(key))), value)


def _own(value: Any) -> Any:
    """The type to write a value by where only node code knows which one was declared."""
    items: Sequence[Any] = cast("Sequence[Any]", value) if isinstance(value, list) else [value]
    kinds: set[Any] = {type(item) for item in items}
    one: Any = kinds.pop() if len(kinds) == 1 else Any
    tp = Any if one in _PLAIN or one is type(None) else one
    listed: Any = list
    return listed[tp] if isinstance(value, list) else tp


def _checked(run_id: str, log: LogFormat, key: str, does: str, tp: Any, value: Any) -> Any:
    given, detail = accepted(log, tp, value)
    if detail is not None:
        raise EditRefusedError(run_id, key, f"it {does} {describe_type(tp)}, not {brief(value)}: {detail}.")
    return log.edited(tp, given, f"what '{key}' {does.partition(' ')[0]}")


def accepted(log: LogFormat, tp: Any, value: Any) -> tuple[Any, str | None]:
    """A value of a type, or what its plain JSON data stands for, and why it is neither."""
    detail = validator(tp)(value)
    if detail is None or type(value) not in _PLAIN:
        return value, detail
    try:
        return log.codec.accept(tp, value, "the edit"), None
    except CodecError as error:
        return value, problem_in(error) if type(value) in (list, dict) else detail


def _node(run_id: str, compiled: CompiledGraph, key: str) -> NodeDef | None:
    """The node of a key; None in a graph that node code runs, which this graph does not know."""
    definition: Definition = compiled.definition
    path = node_path(key)
    for depth, name in enumerate(path):
        if name.startswith("@") and "/@" in key:
            return None
        found = next((node for node in definition.nodes if node.name == name), None)
        if found is None:
            raise EditRefusedError(run_id, key, f"graph '{definition.name}' has no node '{name}'.")
        if depth + 1 == len(path):
            return found
        if not isinstance(found.body, GraphBody):
            if path[depth + 1].startswith("@"):
                return None
            raise EditRefusedError(run_id, key, f"node '{name}' of graph '{definition.name}' is no graph.")
        definition = found.body.graph.definition
    raise AssertionError("a key has at least one name")


def _index(key: str) -> int | None:
    return 0 if key.endswith("]") else None


def _known(tp: Any) -> Any:
    return Any if tp is EMPTY else tp
