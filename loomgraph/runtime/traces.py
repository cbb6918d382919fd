"""What an activation was given, told by content and not by value: how an old answer is known to fit again.

A log is folded over the structure of the graph that wrote it, which it keeps, so neither that graph's code nor its
types are needed. Instead of values the machine carries the references that the log has for them. Two activations of
one key that do the same with the same references, and see the same writes to their state, are given the same.
Compares; decides nothing, and calls no code.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from loomgraph.compile.blueprint import Blueprint, is_blueprint, rebuilt
from loomgraph.compile.compiled import CompiledGraph
from loomgraph.compile.plan import Plan
from loomgraph.engine.activation import Activation
from loomgraph.engine.fold import Fold, Past
from loomgraph.engine.machine import Edits, Machine
from loomgraph.errors import Failure
from loomgraph.graph.state import Updates
from loomgraph.store.codec import Codec

__all__ = ["Basis", "FirstVersionError", "Item", "Known", "Trace", "identity"]


class Basis(NamedTuple):
    """A hash of what an activation does, is given and sees.

    `item` knows an item of a map by its own content, `whole` by the whole list and its place in it: a set has no
    places of its own, so only the latter says which item of it this is.
    """

    item: str
    whole: str


class Trace:
    """One pass of a run through its graph, from a RunStarted or a RunRedriven on."""

    def __init__(self, run_id: str, codec: Codec, values: Mapping[bytes, bytes], start: Past) -> None:
        self._codec = codec
        self._values = values
        self._graphs: dict[str, CompiledGraph] = {}
        _, _, (_, _, _, given, taken, shape, state, inputs, outputs) = start
        graph = self._graph(shape)
        machine = _Machine(run_id, self)
        machine.edits = Edits(dict(inputs), dict(outputs), self.given)
        self.fold = Fold(machine, self, capless=True)
        blueprint = _blueprint(graph.plan)
        fields = [name for name, _ in blueprint["state"][2]] if blueprint["state"] is not None else []
        first = {} if state is None else dict.fromkeys(fields, _hash(state))
        self.fold.open(graph.plan, Known(blueprint["types"], given), tuple(taken or ()), first)

    def foresee(self, pasts: Iterable[Past]) -> None:
        """Events that are about to be told."""
        self.fold.foresee(pasts)

    def tell(self, past: Past) -> tuple[Any, Any, tuple[Any, ...]] | None:
        """One event of the pass, in order; returns it with what it is about, None if that is the run itself."""
        return self.fold.apply(past) if past[1] else None

    def basis(self, key: str) -> Basis | None:
        """What an activation that has begun, or is about to, is given; None for one that is not known here."""
        activation = self.fold.index.get(key)
        if activation is None or activation.node == activation.scope.plan.end:
            return None
        node = self.node(activation)
        seen = self.seen(activation)
        item = whole = identity(activation.input)
        if activation.owner is not None:
            whole = f"{identity(activation.owner.input)}[{activation.index}]"
        return Basis(_hash([node[1], item, seen]), _hash([node[1], whole, seen]))

    def seen(self, activation: Activation) -> list[str]:
        """The state that an activation sees, as hashes of what was written to it; [] for one that can see none."""
        scope = activation.scope
        if not self.node(activation)[4] or scope.state is None or activation.view is None:
            return []
        fields = scope.state.fields(activation.view, scope.plan.region_of[activation.node])
        return [_blueprint(scope.plan)["state"][0], *(f"{name}={value}" for name, value in sorted(fields.items()))]

    def node(self, activation: Activation) -> list[Any]:
        """What the log keeps of an activation's node, see `loomgraph.compile.blueprint`."""
        found: list[Any] = _blueprint(activation.scope.plan)["nodes"][activation.node]
        return found

    # ------------------------------------------------------------------ what the fold reads

    def begin(self, plan: Plan) -> dict[str, Any]:
        """See `Values`: nothing has been written."""
        return {}

    def decoded(self, activation: Activation, output: Any, updates: Any) -> tuple[Any, Updates]:
        """See `Values`."""
        return Known(self.node(activation)[2], output), tuple((name, _hash(ref)) for name, ref, *_ in updates)

    def given(self, activation: Activation, ref: Any) -> Any:
        """See `Values`. What was edited is equal to nothing but the same edit."""
        return Known("edited", ref)

    def plain(self, key: str, output: Any, updates: Any) -> tuple[Any, Updates]:
        """See `Values`: what lies in a graph of unknown structure is not traced."""
        return None, ()

    def entered(self, key: str) -> Any:
        """See `Values`."""
        return None

    def left(self, key: str) -> Any:
        """See `Values`."""
        return None

    def inside(self, past: Past) -> tuple[Plan, Any] | None:
        """See `Values`: the log has the structure of graphs that node code ran."""
        shape, given = past[2][4], past[2][3]
        if shape is None:
            return None
        graph = self._graph(shape)
        return graph.plan, Known(_blueprint(graph.plan)["types"], given)

    def items(self, known: Known) -> list[Any] | None:
        """The items of a list that the log refers to."""
        data: Any = self._codec.load(Any, known.ref, self._values, "the items of a map")
        if not isinstance(data, list):
            return None
        items: list[Any] = data  # pyright: ignore[reportUnknownVariableType]
        return [Item(f"{known.types}[]", item) for item in items]

    def _graph(self, shape: Any) -> CompiledGraph:
        name = json.dumps(shape)
        found = self._graphs.get(name)
        if found is None:
            data: Blueprint = self._codec.load(Any, shape, self._values, "the graph")
            if not is_blueprint(data):
                raise FirstVersionError
            found = self._graphs[name] = rebuilt(data)
        return found


class Known:
    """A value as the log has it: the types it was written with, and the reference."""

    __slots__ = ("ref", "types")

    def __init__(self, types: str, ref: Any) -> None:
        self.types = types
        self.ref = ref


class Item(Known):
    """An item of a list that was read: the data itself instead of a reference."""

    __slots__ = ()


class _Machine(Machine):
    """A machine whose values are references; it has no caps, for its log says how far it went."""

    def __init__(self, run_id: str, trace: Trace) -> None:
        super().__init__(run_id, sys.maxsize)
        self._trace = trace

    def items_of(self, value: Any) -> Sequence[Any] | None:
        return self._trace.items(value) if isinstance(value, Known) else super().items_of(value)


class FirstVersionError(Exception):
    """The log keeps no structure of its graph."""


def identity(value: Any) -> str:
    """A value in the machine of a trace as text that is equal for equal content only."""
    if isinstance(value, Known):
        return f"{value.types}:{json.dumps(value.ref)}"
    if isinstance(value, Failure):
        return f"failure:{json.dumps([value.node, value.key, value.attempt, value.error, value.message])}"
    if isinstance(value, dict):
        fields: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return f"{{{','.join(f'{name}={identity(item)}' for name, item in sorted(fields.items()))}}}"
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[Any]", value)
        return f"[{','.join(identity(item) for item in items)}]"
    return json.dumps(value, default=repr)


def _blueprint(plan: Plan) -> Blueprint:
    found: Blueprint = plan.definition.metadata["blueprint"]
    return found


def _hash(data: Any) -> str:
    return hashlib.blake2b(json.dumps(data).encode(), digest_size=16).hexdigest()
