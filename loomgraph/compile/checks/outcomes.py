"""How a node's answer can fall: the cells of its conditions, and which edges each cell takes. Guesses no predicate.

A cell is one way the conditions of a node can come out together, a bit of an int; an edge is a set of cells. Two
conditions share a cell only if one value can match both; where there are too many ways, each stands for itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from loomgraph.compile.checks.view import GraphView
from loomgraph.compile.narrowing import Match, Split, matches, may_be
from loomgraph.compile.shapes import literal_value, members
from loomgraph.compile.types import disjoint
from loomgraph.graph.definition import EdgeDef

__all__ = ["Outcome", "outcomes"]

_MOST = 4  # predicates, or overlapping types, that are combined; beyond, each is on its own


@dataclass(slots=True)
class Outcome:
    """One decision a node makes. `certain` are the cells that some value surely falls into."""

    full: int
    certain: int
    edges: dict[int, int]


def outcomes(view: GraphView, source: int) -> list[Outcome]:
    """The decisions behind the conditional edges of a node, independent of each other."""
    groups = view.groups.get(source, {})
    split = view.splits.get(source)
    # a node whose edges all have conditions takes one of them, or fails
    must = all(edge.when is not None for edge in view.out[source])
    joint = _joint(split, groups, must) if len(groups) > 1 else None
    if joint is not None:
        return [joint]
    must = must and len(groups) == 1
    found: list[Outcome] = []
    for choice, group in groups.items():
        if choice is not None:
            found.append(_route(split, group, must))
            continue
        alone = _joint(split, {None: group}, must)
        found.extend([alone] if alone is not None else [Outcome(0b11, 0b11, {edge.index: 0b01}) for edge in group])
    return found


def _route(split: Split | None, group: list[EdgeDef], must: bool) -> Outcome:
    full = (1 << len(group)) - 1
    otherwise = any(edge.when is not None and edge.when.kind == "otherwise" for edge in group)
    arms = {edge.index: 1 << position for position, edge in enumerate(group)}
    if must or otherwise or _exhaustive(split, group):
        return Outcome(full, full, arms)
    return Outcome(full << 1 | 1, full, arms)


def _exhaustive(split: Split | None, group: list[EdgeDef]) -> bool:
    if split is None or any(edge.when is not None and edge.when.kind == "predicate" for edge in group):
        return False
    return split.coverage({edge.index for edge in group}) == ([], [])


def _joint(split: Split | None, groups: dict[int | None, list[EdgeDef]], must: bool) -> Outcome | None:
    """The one decision behind all of these conditions, which are asked of one value.

    None if it has too many cells, or if a predicate in one of several groups would blur what is sure about the others.
    """
    free: list[int] = []
    fixed: list[EdgeDef] = []
    others: list[tuple[int, int]] = []
    for number, group in enumerate(groups.values()):
        for edge in group:
            if edge.when is not None and edge.when.kind == "otherwise":
                others.append((number, edge.index))
            elif edge.when is None or edge.when.kind == "predicate" or not _hashable(edge.when.subject):
                free.append(edge.index)
            else:
                fixed.append(edge)
    if len(free) > _MOST or (free and len(groups) > 1):
        return None
    if not fixed and groups.keys() == {None}:
        full, certain, cells = _free(len(free), len(others), must)
        return Outcome(full, certain, dict(zip([*free, *(index for _, index in others)], cells, strict=True)))
    patterns = _patterns(split, fixed) if split is not None else {frozenset[int](): True}
    if patterns is None:
        return None
    arms = _Arms(groups, others)
    masks = dict.fromkeys((edge.index for group in groups.values() for edge in group), 0)
    cell, certain = 1, 0
    for pattern, sure in patterns.items():
        for some in _subsets(free):
            taken = arms.taken([*pattern, *some])
            if not taken and must:
                continue
            for index in taken:
                masks[index] |= cell
            certain |= cell if sure and not free else 0
            cell <<= 1
    for edge in (edge for choice, group in groups.items() if choice is not None for edge in group):
        if not masks[edge.index]:
            # an arm that others shadow is but warned of: what it leads to must not pass for what nobody waits for
            masks[edge.index] = cell
            cell <<= 1
    return Outcome(cell - 1, certain, masks) if cell > 1 else None


class _Arms:
    """Which edges are taken when some conditions match: of a route the first, and OTHERWISE where none of its group."""

    __slots__ = ("others", "place")

    def __init__(self, groups: dict[int | None, list[EdgeDef]], others: list[tuple[int, int]]) -> None:
        self.others = others
        # (number of the group, whether it is a route); routes list their arms in the order of declaration
        self.place = {
            edge.index: (number, choice is not None)
            for number, (choice, group) in enumerate(groups.items())
            for edge in group
        }

    def taken(self, matched: list[int]) -> list[int]:
        """The taken edges."""
        found: list[int] = []
        met: set[int] = set()
        for index in sorted(matched):
            number, first = self.place[index]
            if not first or number not in met:
                found.append(index)
            met.add(number)
        found.extend(index for number, index in self.others if number not in met)
        return found


@functools.cache
def _free(predicates: int, rest: int, must: bool) -> tuple[int, int, tuple[int, ...]]:
    """The decision behind a few conditions of which nothing is known: all cells, the certain ones, those of each."""
    masks = [0] * (predicates + rest)
    cell = 1
    for some in _subsets(list(range(predicates))):
        taken = some or range(predicates, predicates + rest)
        if not taken and must:
            continue
        for position in taken:
            masks[position] |= cell
        cell <<= 1
    return cell - 1, 0 if predicates else cell - 1, tuple(masks)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _subsets(items: list[int]) -> Iterator[tuple[int, ...]]:
    for size in range(len(items) + 1):
        yield from combinations(items, size)


def _patterns(split: Split, fixed: list[EdgeDef]) -> dict[frozenset[int], bool] | None:
    """The sets of type and literal edges that one value can match, and whether one surely does; None: too many."""
    literals: dict[Any, list[int]] = {}
    tests: dict[int, EdgeDef] = {}
    for edge in fixed:
        assert edge.when is not None
        if edge.when.kind == "literal":
            key = (edge.when.subject.__class__, edge.when.subject)
            literals.setdefault(key, []).append(edge.index)
        else:
            tests[edge.index] = edge
    found: dict[frozenset[int], bool] = {}
    for member, taken in zip(split.members, split.by_member(), strict=True):
        value = literal_value(member)
        own: list[tuple[int, Match]] = [(key, match) for key, match in taken if key in tests]
        if value is not None:
            equal = literals.get((value[0].__class__, value[0]), ())
            found[frozenset([*equal, *(key for key, _ in own)])] = True
            continue
        for (_, subject), edges in literals.items():
            if may_be(member, subject):
                also = [index for index, test in tests.items() if test.when is not None and test.when.matches(subject)]
                found[frozenset([*edges, *also])] = True
        open_patterns = _open_patterns(own, tests)
        if open_patterns is None:
            return None
        for pattern, sure in open_patterns:
            found[pattern] = found.get(pattern, False) or sure
    return found


def _open_patterns(
    taken: list[tuple[int, Match]], tests: dict[int, EdgeDef]
) -> list[tuple[frozenset[int], bool]] | None:
    """The patterns of a member that conditions may take in part."""
    whole = [key for key, match in taken if match == "all"]
    some = [tests[key] for key, match in taken if match == "some"]
    if len(some) > _MOST:
        return None
    if not some:
        return [(frozenset(whole), True)]
    return [
        (frozenset([*whole, *(edge.index for edge in subset)]), False)
        for size in range(len(some) + 1)
        for subset in combinations(some, size)
        if _consistent(subset, some)
    ]


def _consistent(subset: tuple[EdgeDef, ...], some: list[EdgeDef]) -> bool:
    """Whether a value can match just these of some types."""
    for edge in subset:
        for other in some:
            if other is edge or edge.when is None or other.when is None:
                continue
            if other in subset and disjoint(edge.when.subject, other.when.subject):
                return False
            if other not in subset and all(matches(m, other.when)[0] == "all" for m in members(edge.when.subject)):
                return False
    return True
