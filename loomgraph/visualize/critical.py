"""Why a run took as long as it did: the chain of activations each of which had to end before the next could begin.

It is followed back from what ended last. What an activation waited for is, of those that an edge leads from to it, the
one that ended last before it began; for an item of a map, the item whose place it took. Inside a node that is a graph
the chain goes through that graph. Decides from the order of the log and the edges alone; where a graph is not known,
from the order.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loomgraph.graph.definition import Definition, GraphBody

__all__ = ["Done", "critical_path", "sources_of"]

_ATTEMPT = re.compile(r"!\d+$")
Sources = Mapping[tuple[str, ...], Mapping[str, frozenset[str]]]
"""By the path of a graph: which nodes lead to each node, by name."""


@dataclass(frozen=True, slots=True)
class Done:
    """An activation that began and ended: the numbers of the events that say so, for times may be equal."""

    key: str
    path: tuple[str, ...]
    start: int
    end: int


def sources_of(definition: Definition) -> Sources:
    """The edges of a graph and of those in it, by names. Linear in their number."""
    found: dict[tuple[str, ...], Mapping[str, frozenset[str]]] = {}
    work: list[tuple[tuple[str, ...], Definition]] = [((), definition)]
    while work:
        path, inner = work.pop()
        ways: dict[str, set[str]] = defaultdict(set)
        for edge in inner.edges:
            ways[inner.name_of(edge.target)].add(inner.name_of(edge.source))
        found[path] = {name: frozenset(names) for name, names in ways.items()}
        work.extend(
            ((*path, node.name), node.body.graph.definition) for node in inner.nodes if isinstance(node.body, GraphBody)
        )
    return found


@dataclass(slots=True)
class _Ended:
    """Activations by when they ended."""

    done: list[Done] = field(default_factory=list[Done])
    ends: list[int] = field(default_factory=list[int])

    def last(self, before: int) -> Done | None:
        """The one that ended last before a place in the log."""
        place = bisect_left(self.ends, before)
        return self.done[place - 1] if place else None


def critical_path(done: Sequence[Done], sources: Sources) -> tuple[str, ...]:
    """The keys of the critical path, in order; a node that is a graph or a map stands before what is in it."""
    by_scope: dict[str, _Ended] = defaultdict(_Ended)
    by_node: dict[tuple[str, str], _Ended] = defaultdict(_Ended)
    inside: dict[str, list[str]] = defaultdict(list)
    for one in sorted(done, key=lambda one: (one.end, one.start)):
        scope = _scope(one.key)
        if scope not in by_scope:
            inside[_holder(scope)].append(scope)
        # a map's items are among themselves, its own activation is among its neighbours
        for ended in (by_scope[scope], *([by_node[scope, one.path[-1]]] if not one.key.endswith("]") else [])):
            ended.done.append(one)
            ended.ends.append(one.end)
    found: list[str] = []
    work = [by_scope[""].done[-1]] if by_scope[""].done else []
    seen: set[str] = set()
    while work:
        one = work.pop()
        if one.key in seen:
            continue
        seen.add(one.key)
        found.append(one.key)
        before = _before(one, by_scope, by_node, sources)
        if before is not None:
            work.append(before)
        within = [last for scope in inside.get(one.key, ()) if (last := by_scope[scope].last(one.end)) is not None]
        if within:
            work.append(max(within, key=lambda last: last.end))
    starts = {one.key: (one.start, -one.end) for one in done}
    return tuple(sorted(found, key=lambda key: starts[key]))


def _before(
    one: Done, by_scope: Mapping[str, _Ended], by_node: Mapping[tuple[str, str], _Ended], sources: Sources
) -> Done | None:
    scope = _scope(one.key)
    names = None if one.key.endswith("]") else sources.get(one.path[:-1])
    if names is None:
        return by_scope[scope].last(one.start)
    ended = (by_node[scope, name] for name in names.get(one.path[-1], ()) if (scope, name) in by_node)
    found = [last for group in ended if (last := group.last(one.start)) is not None]
    return max(found, key=lambda last: last.end, default=None)


def _scope(key: str) -> str:
    """What an activation runs in: a graph's path, or the map that it is an item of."""
    return key[: key.rindex("[")] + "[]" if key.endswith("]") else key.rpartition("/")[0]


def _holder(scope: str) -> str:
    """The activation that a scope is of."""
    if scope.endswith("[]"):
        return scope[:-2]
    head, _, last = scope.rpartition("/")
    return head if last.startswith("@") else _ATTEMPT.sub("", scope)
