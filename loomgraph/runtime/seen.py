"""What the activations of a run were given and gave, told from its log alone, as plain JSON data. Calls no code.

An input is in no event, nor is the output of a map or a graph: both follow from other outputs. So the log is folded
over the structure that it keeps of its graph, once, when somebody asks. A log of the first version keeps too little of
it: then only what its events say is known.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from loomgraph.engine.later import read
from loomgraph.errors import Failure
from loomgraph.events import NodeFailed, NodeHeld, NodeStarted, NodeSucceeded
from loomgraph.runtime.format import bound_by_name, read_event
from loomgraph.runtime.logbook import PlainReader
from loomgraph.runtime.traces import FirstVersionError, Item, Known, Trace
from loomgraph.store.codec import Codec
from loomgraph.store.protocol import StoredEvent

__all__ = ["Seen", "same_json"]

_SETTLE = frozenset({NodeSucceeded, NodeHeld, NodeFailed})


def same_json(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON text: 1 is not True, and 1.0 is not 1."""
    return left is right or json.dumps(left) == json.dumps(right)


class Seen:
    """One pass of a run, from its RunStarted or RunRedriven on."""

    def __init__(self, run_id: str, codec: Codec, values: Mapping[bytes, bytes], events: Sequence[StoredEvent]) -> None:
        self._run_id, self._codec, self._values, self._events = run_id, codec, values, events
        self._read = PlainReader(codec, values)
        self._told = False
        self._inputs: dict[str, Any] = {}
        self._outputs: dict[str, Any] = {}
        self._result: Any = None
        self._marks: dict[str, tuple[str, list[str]]] = {}

    def input(self, key: str) -> Any:
        """What an activation was given last, by parameter name where a join bound several; None if it never began."""
        return self._plain(self._of(self._inputs, key), key)

    def output(self, key: str) -> Any:
        """What an activation gave; None if it gave nothing."""
        return self._plain(self._of(self._outputs, key), key)

    def same_input(self, other: Seen, key: str) -> bool:
        """Whether another pass gave this activation the same. Reads nothing that the references tell already."""
        return self._same(other, self._of(self._inputs, key), other._of(other._inputs, key), key)

    def same_output(self, other: Seen, key: str) -> bool:
        """Whether it gave the same there."""
        return self._same(other, self._of(self._outputs, key), other._of(other._outputs, key), key)

    def _same(self, other: Seen, mine: Any, theirs: Any, key: str) -> bool:
        mine, theirs = read(mine), read(theirs)
        if isinstance(mine, Known) and type(mine) is type(theirs):
            if mine.ref == theirs.ref or mine.types == theirs.types:
                return same_json(mine.ref, theirs.ref)  # one type writes one value in one way
        elif isinstance(mine, dict) and isinstance(theirs, dict):
            fields, others = cast("dict[str, Any]", mine), cast("dict[str, Any]", theirs)
            return [*fields] == [*others] and all(self._same(other, fields[f], others[f], key) for f in fields)
        elif isinstance(mine, list) and isinstance(theirs, list):
            items: list[Any] = mine  # pyright: ignore[reportUnknownVariableType]
            more: list[Any] = theirs  # pyright: ignore[reportUnknownVariableType]
            return len(items) == len(more) and all(map(functools.partial(self._same, other, key=key), items, more))
        return same_json(self._plain(mine, key), other._plain(theirs, key))

    def code(self, key: str) -> str | None:
        """What tells its node's code from other code; None if the log does not say."""
        found = self._of(self._marks, key)
        return None if found is None else found[0]

    def state(self, key: str) -> list[str]:
        """Of the state that it saw last: what is equal for equal states. The state itself takes its reducers."""
        found = self._of(self._marks, key)
        return [] if found is None else found[1]

    @property
    def result(self) -> Any:
        """What reached the end of the graph."""
        self._of({}, "")
        return self._plain(self._result, "END")

    def _of(self, index: dict[str, Any], key: str) -> Any:
        if not self._told:
            self._tell()
            self._told = True
        return index.get(key)

    def _tell(self) -> None:
        pasts = [read_event(stored) for stored in self._events]
        try:
            trace = Trace(self._run_id, self._codec, self._values, pasts[0])
        except FirstVersionError:
            self._outputs = {key: Known("", values[1]) for kind, key, values in pasts if kind is NodeSucceeded}
            return
        trace.foresee(pasts)
        for past in pasts[1:]:
            kind, key, _ = past
            if kind in _SETTLE:
                self._note(trace, key)
            told = trace.tell(past)
            if kind is NodeStarted:
                self._note(trace, key)
            elif told is not None and (kind is NodeSucceeded or kind is NodeHeld):
                self._outputs[key] = told[2][1]
        self._result = None if trace.fold.root is None else trace.fold.root.output

    def _note(self, trace: Trace, key: str) -> None:
        """Remember what an activation is given; one whose answer was taken over never starts."""
        activation = trace.fold.index.get(key)
        if activation is None or activation.node == activation.scope.plan.end or activation.dead:
            return
        self._inputs[key] = activation.input
        self._marks[key] = (trace.node(activation)[1], trace.seen(activation))

    def _plain(self, value: Any, key: str) -> Any:
        value = read(value)
        if isinstance(value, Item):
            return value.ref
        if isinstance(value, Known):
            bound = bound_by_name(value.ref)
            if bound is not None:
                return {name: self._read.load(part, key) for name, part in bound}
            return self._read.load(value.ref, key)
        if isinstance(value, Failure):
            return {name: getattr(value, name) for name in Failure.__slots__}
        if isinstance(value, dict):
            fields: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
            return {name: self._plain(item, key) for name, item in fields.items()}
        if isinstance(value, (list, tuple)):
            return [self._plain(item, key) for item in cast("Sequence[Any]", value)]
        return value
