"""What an activation knows of: a set of writes. Folds it in canonical order; finds two writes that nobody ordered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

from loomgraph.errors import StateConflictError
from loomgraph.events import node_path
from loomgraph.graph.state import StateSpec

__all__ = ["History", "Write", "conflict", "fold"]


@dataclass(frozen=True, eq=False)
class Write:
    """One activation that succeeded: its place in the canonical order, its updates, and what it knew of itself."""

    place: tuple[int, ...]
    key: str
    updates: tuple[tuple[str, Any], ...]
    history: History


History: TypeAlias = frozenset[Write]


def fold(spec: StateSpec, initial: Mapping[str, Any], history: History) -> dict[str, Any]:
    """The state that somebody sees who knows of exactly these writes."""
    fields = dict(initial)
    for write in sorted(history, key=lambda w: w.place):
        for field, value in write.updates:
            reducer = spec.reducers.get(field)
            fields[field] = value if reducer is None else reducer(fields[field], value)
    return fields


def conflict(spec: StateSpec, history: History) -> StateConflictError | None:
    """The conflict of two writes to a field without a reducer, neither of whose writers knew of the other."""
    for field in spec.adapters:
        if field in spec.reducers:
            continue
        writers = sorted((w for w in history if any(f == field for f, _ in w.updates)), key=lambda w: w.place)
        for a, b in combinations(writers, 2):
            if a not in b.history and b not in a.history:
                return StateConflictError(field, node_path(a.key)[-1], node_path(b.key)[-1])
    return None
