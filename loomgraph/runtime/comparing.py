"""Two runs side by side, activation by activation: what differs, and what it followed from. Told from their logs alone.

So they may be of different graphs, or have code that is gone: values are compared as the plain JSON data that the
logs hold. Of a run that was driven more than once, the last pass is looked at. Decides nothing and writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

from loomgraph.engine.facts import Entry
from loomgraph.events import NodeHeld, NodeSucceeded, node_path
from loomgraph.runtime.drawing import Drawable, Drawn
from loomgraph.runtime.logbook import Log, Stored, read_stored
from loomgraph.runtime.redrive import passes
from loomgraph.runtime.result import ActivationRecord, Usage, fold, usage_of
from loomgraph.runtime.seen import Seen, same_json
from loomgraph.store.codec import Codec
from loomgraph.store.protocol import RunHeader, Store

__all__ = ["Comparison", "Difference", "What", "compare"]

What: TypeAlias = Literal["code", "input", "state", "status", "output", "failure", "writes"]
"""What may differ in an activation: the code of its node, what it was given, the state it saw; how it ended, what it
gave, how it failed, what it wrote to the state. The first three are causes, the others effects."""

_GIVEN: Final = frozenset({"input", "state"})


class Difference:
    """One activation in both runs. `differs` is what is not the same, and empty where all is."""

    def __init__(self, key: str, one: _Side, other: _Side, differs: tuple[What, ...], inside: set[str]) -> None:
        self.key = key
        self.differs = differs
        self._sides = (one, other)
        self._inside = key in inside

    @cached_property
    def left(self) -> ActivationRecord | None:
        """It in the left run, its input and output as plain JSON data; None if that has none of this key."""
        return self._sides[0].record(self.key)

    @cached_property
    def right(self) -> ActivationRecord | None:
        """The same of the right run."""
        return self._sides[1].record(self.key)

    @property
    def both(self) -> bool:
        """Whether both runs have it."""
        return all(self.key in side.records for side in self._sides)

    @property
    def same(self) -> bool:
        """Whether both runs have it, and everything that is compared is the same."""
        return not self.differs and self.both

    @property
    def node(self) -> str:
        """The node's path with '/'."""
        return "/".join(node_path(self.key))

    @property
    def source(self) -> bool:
        """Whether the difference began here: given the same it did something else, and nothing that ran in it did.

        So its code changed, it was edited, or it does not do the same every time. Other differences follow from these.
        """
        return self.both and not self.same and not _GIVEN & {*self.differs} and not self._inside

    def __repr__(self) -> str:
        said = ", ".join(self.differs) or ("the same" if self.both else "in one run only")
        return f"<Difference {self.key!r}: {said}>"


@dataclass(frozen=True)
class Comparison(Drawable):
    """What differs between two runs. `activations` has every activation of either, in the order of the left run's log.

    Where one has the answer of a node that runs graphs with ctx.run from elsewhere (reused or edited), it has nothing
    of these graphs; what the other has of them is left out.
    It is drawn over the graph of the left run; `graph.to_svg(comparison)` draws it over another.
    `input` and `output` are the runs' own, as (left, right), plain JSON data; an output is None before there is one.
    """

    left: RunHeader
    right: RunHeader
    activations: tuple[Difference, ...]
    input: tuple[Any, Any]
    output: tuple[Any, Any]
    usage: tuple[Usage, Usage]
    log: Log = field(repr=False)
    """The left run's log."""

    def _drawn(self, run: Any) -> Drawn:
        return self.log.graph.definition, self.log.graph.nest, self if run is None else run

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """The activations that are not the same in both."""
        return tuple(found for found in self.activations if not found.same)

    @property
    def same(self) -> bool:
        """Whether both runs did the same with the same, and ended alike."""
        return (
            not self.differences
            and self.left.status == self.right.status
            and same_json(*self.input)
            and same_json(*self.output)
        )

    def node(self, name: str) -> tuple[Difference, ...]:
        """Those of the nodes called `name`, or with that path ("outer/inner")."""
        return tuple(found for found in self.activations if name in (found.node, found.node.rpartition("/")[2]))

    def __repr__(self) -> str:
        said = "the same" if self.same else f"{len(self.differences)} of {len(self.activations)} activations differ"
        return f"<Comparison {self.left.run_id!r} and {self.right.run_id!r}: {said}>"


async def compare(store: Store, left: str, right: str) -> Comparison:
    """Compare two runs of a store, whatever has become of them. Raises UnknownRunError, and what `read_log` raises."""
    return compared(await read_stored(store, left), await read_stored(store, right))


def compared(left: Stored, right: Stored) -> Comparison:
    """The same for two runs as they were read. Linear in their logs; values are read when somebody looks at them."""
    one, other = _Side(left), _Side(right)
    keys = [key for key in dict.fromkeys((*one.records, *other.records)) if not (one.within(key) or other.within(key))]
    differs = {key: _differs(one, other, key) for key in keys}
    inside = {around for key, found in differs.items() if found for around in _around(key)}
    return Comparison(
        one.header,
        other.header,
        tuple(Difference(key, one, other, found, inside) for key, found in differs.items()),
        (one.input, other.input),
        (one.output, other.output),
        (one.usage, other.usage),
        one.log,
    )


class _Side:
    """One of the two runs, in its last pass."""

    def __init__(self, stored: Stored) -> None:
        self.log = log = stored.log()
        self.header = log.header
        self.records = {record.key: record for record in fold([_unread(entry) for entry in log.entries])}
        self.usage = usage_of([_unread(entry) for entry in log.entries])
        begin = passes(stored.events)[-1]
        self.seen = Seen(self.header.run_id, Codec(), stored.values, stored.events[begin:])
        self.input = log.entries[begin][3][2]
        self.output = self.seen.result if self.header.status == "succeeded" else None
        self.writes: dict[str, Any] = {}
        for _, kind, subject, values in log.entries[begin:]:
            if kind is NodeSucceeded or kind is NodeHeld:
                self.writes[subject.key] = values[3]

    def record(self, key: str) -> ActivationRecord | None:
        """An activation with what it was given and gave."""
        found = self.records.get(key)
        if found is not None:
            found.input, found.output = self.seen.input(key), self.seen.output(key)
        return found

    def within(self, key: str) -> bool:
        """Whether an activation is missing here only because the node that ran its graph was not run here."""
        if key in self.records:
            return False
        outer = (self.records.get(_ATTEMPT.sub("", key[: found.start()])) for found in _RUN.finditer(key))
        return any(record is not None and record.origin != "run" for record in outer)


def _unread(entry: Entry) -> Entry:
    """An entry without its output, which is read when somebody asks for the activation."""
    time, kind, subject, values = entry
    if kind is NodeSucceeded or kind is NodeHeld:
        return time, kind, subject, (values[0], None, *values[2:])
    return entry


_RUN: Final = re.compile("/@")
_BORDER: Final = re.compile(r"[/\[]")
_ATTEMPT: Final = re.compile(r"!\d+$")


def _around(key: str) -> Iterator[str]:
    """The keys of the activations that one runs in: maps, sub-graphs, and nodes that run graphs with ctx.run."""
    for found in _BORDER.finditer(key):
        yield _ATTEMPT.sub("", key[: found.start()])


def _differs(one: _Side, other: _Side, key: str) -> tuple[What, ...]:
    left, right = one.records.get(key), other.records.get(key)
    if left is None or right is None:
        return ()
    code = (one.seen.code(key), other.seen.code(key))
    same: Mapping[What, bool] = {
        "code": None in code or code[0] == code[1],  # of what was skipped nobody asked
        "input": one.seen.same_input(other.seen, key),
        "state": one.seen.state(key) == other.seen.state(key),
        "status": left.status == right.status,
        "output": one.seen.same_output(other.seen, key),
        "failure": _told(left) == _told(right),
        "writes": same_json(one.writes.get(key, ()), other.writes.get(key, ())),
    }
    return tuple(what for what, is_same in same.items() if not is_same)


def _told(record: ActivationRecord) -> tuple[str, str] | None:
    """A failure without the attempt, which is a matter of luck."""
    return None if record.failure is None else (record.failure.error, record.failure.message)
