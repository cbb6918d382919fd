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
from loomgraph.compile.narrowing import Kin, coverage, matches, may_be, takes_whole
from loomgraph.compile.shapes import literal, literal_value, members
from loomgraph.compile.types import disjoint
from loomgraph.graph.condition import Condition
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
    # a node whose edges all have conditions takes one of them, or fails
    must = len(groups) == 1 and all(edge.when is not None for edge in view.out[source])
    found: list[Outcome] = []
    for choice, group in groups.items():
        if choice is None:
            found.extend(_independent(view.output(source), group, must))
        else:
            found.append(_route(view.output(source), group, must))
    return found


def _route(given: Any, group: list[EdgeDef], must: bool) -> Outcome:
    full = (1 << len(group)) - 1
    conditions = [edge.when for edge in group if edge.when is not None]
    otherwise = any(condition.kind == "otherwise" for condition in conditions)
    arms = {edge.index: 1 << position for position, edge in enumerate(group)}
    if must or otherwise or _exhaustive(given, conditions):
        return Outcome(full, full, arms)
    return Outcome(full << 1 | 1, full, arms)


def _exhaustive(given: Any, conditions: list[Condition]) -> bool:
    if any(condition.kind == "predicate" for condition in conditions):
        return False
    return coverage(given, conditions) == ([], [])


def _independent(given: Any, group: list[EdgeDef], must: bool) -> list[Outcome]:
    rest = [edge.index for edge in group if edge.when is not None and edge.when.kind == "otherwise"]
    predicates: list[int] = []
    fixed: list[EdgeDef] = []
    for edge in group:
        if edge.when is not None and edge.when.kind != "otherwise":
            if edge.when.kind == "predicate" or not _hashable(edge.when.subject):
                predicates.append(edge.index)
            else:
                fixed.append(edge)
    if not fixed and len(predicates) <= _MOST:
        full, certain, masks = _free(len(predicates), len(rest), must)
        return [Outcome(full, certain, dict(zip([*predicates, *rest], masks, strict=True)))]
    patterns = _patterns(given, fixed)
    if patterns is None or len(predicates) > _MOST:
        return [Outcome(0b11, 0b11, {edge.index: 0b01}) for edge in group]
    masks = dict.fromkeys((edge.index for edge in group), 0)
    cell, certain = 1, 0
    for pattern, sure in patterns.items():
        for some in _subsets(predicates):
            taken = [*pattern, *some] or rest
            if not taken and must:
                continue
            for index in taken:
                masks[index] |= cell
            certain |= cell if sure and not predicates else 0
            cell <<= 1
    if cell == 1:
        return [Outcome(0b11, 0b11, {edge.index: 0b01}) for edge in group]
    return [Outcome(cell - 1, certain, masks)]


@functools.cache
def _free(predicates: int, rest: int, must: bool) -> tuple[int, int, tuple[int, ...]]:
    """The outcome of a few conditions of which nothing is known: all cells, the certain ones, and those of each."""
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


def _patterns(given: Any, fixed: list[EdgeDef]) -> dict[frozenset[int], bool] | None:
    """The sets of type and literal edges that one value can match, and whether one surely does; None: too many."""
    literals: dict[Any, list[int]] = {}
    tests: list[EdgeDef] = []
    for edge in fixed:
        assert edge.when is not None
        if edge.when.kind == "literal":
            key = (edge.when.subject.__class__, edge.when.subject)
            literals.setdefault(key, []).append(edge.index)
        else:
            tests.append(edge)
    found: dict[frozenset[int], bool] = {}
    kin = Kin([edge.when.subject for edge in tests if edge.when is not None])
    for member in members(given):
        near = [tests[position] for position in kin.near(member)]
        value = literal_value(member)
        if value is not None:
            taken = [*literals.get((value[0].__class__, value[0]), ()), *_tests_of(member, near)]
            found[frozenset(taken)] = True
            continue
        for key, edges in literals.items():
            if may_be(member, key[1]):
                found[frozenset([*edges, *_tests_of(literal(key[1]), tests)] if tests else edges)] = True
        open_patterns = _open_patterns(member, near)
        if open_patterns is None:
            return None
        for pattern, sure in open_patterns:
            found[pattern] = found.get(pattern, False) or sure
    return found


def _tests_of(member: Any, tests: list[EdgeDef]) -> list[int]:
    return [edge.index for edge in tests if edge.when is not None and matches(member, edge.when)[0] == "all"]


def _open_patterns(member: Any, tests: list[EdgeDef]) -> list[tuple[frozenset[int], bool]] | None:
    """The patterns of a member that conditions may take in part."""
    whole: list[int] = []
    some: list[EdgeDef] = []
    for edge in tests:
        assert edge.when is not None
        if takes_whole(member, edge.when):
            whole.append(edge.index)
        elif matches(member, edge.when)[0] == "some":
            some.append(edge)
    if len(some) > _MOST:
        return None
    return [
        (frozenset([*whole, *(edge.index for edge in subset)]), not some)
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
            if other not in subset and all(takes_whole(m, other.when) for m in members(edge.when.subject)):
                return False
    return True
