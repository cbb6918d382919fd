"""Which edges a finished activation takes. Runs the user's predicates, so the machine never does.

Where a node has many arms, those that a value cannot match are not asked: literals are looked up, and which arms for
types match is kept for each class of values. What is left is asked like anywhere else.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from loomgraph.compile.plan import Plan
from loomgraph.compile.types import is_plain
from loomgraph.errors import ConditionError, NoRouteError
from loomgraph.graph.definition import EdgeDef
from loomgraph.graph.ownership import own

__all__ = ["choose", "choose_error"]

_MANY = 8  # edges out of a node, below which asking each is as quick as a table
_FEW = 1_000  # classes of values that a node's table keeps
_EXACT = frozenset({int, str, bytes, bool, type(None)})  # equal values of one class have equal hashes
_CHECKS = (type.__instancecheck__, abc.ABCMeta.__instancecheck__, type(BaseModel).__instancecheck__)


def choose(plan: Plan, node: int, value: Any) -> tuple[int, ...]:
    """The normal edges that a node takes with this value; node -1 is START.

    Raises NoRouteError if it has conditional edges and none of its edges is taken, ConditionError if one raises.
    """
    out = plan.start_edges if node < 0 else plan.out_normal[node]
    if node >= 0 and plan.always[node]:
        return out
    edges = plan.definition.edges
    arms = None
    if len(out) >= _MANY:
        arms = plan.arms.get(node)
        if arms is None:
            arms = plan.arms[node] = _Arms(edges, out)
    # predicates are the user's code: what they do to the value is invisible to what runs next
    asks = arms.asks if arms is not None else any(_asks(edges[e]) for e in out)
    shown = own(value) if asks else value
    taken: list[int] = []
    spare: list[EdgeDef] = []
    groups: list[int | None] = []  # the choice groups (None: the ungrouped conditions) that have a match
    for e in out if arms is None else arms.near(shown):
        edge = edges[e]
        when = edge.when
        if when is None:
            taken.append(e)
        elif when.kind == "otherwise":
            spare.append(edge)
        elif (edge.choice is None or edge.choice not in groups) and _test(plan, edge, shown):
            taken.append(e)
            groups.append(edge.choice)
    taken.extend(edge.index for edge in spare if edge.choice not in groups)
    if spare:
        taken.sort()  # edges are in the order of their declaration
    taken_edges = tuple(taken)
    if out and not taken_edges:
        name = "START" if node < 0 else plan.names[node]
        raise NoRouteError(name, value, [when.label for e in out if (when := edges[e].when) is not None])
    return taken_edges


class _Arms:
    """The many edges out of one node, by what could match them."""

    __slots__ = ("asks", "classes", "edges", "literals", "others", "types")

    def __init__(self, edges: Sequence[EdgeDef], out: Sequence[int]) -> None:
        self.edges = edges
        self.asks = any(_asks(edges[e]) for e in out)
        self.literals: dict[tuple[type, object], list[int]] = {}
        self.types: list[int] = []
        self.others: list[int] = []
        # for each class of values, and the state of all abstract classes it was told in, the types that match
        self.classes: dict[type, tuple[object, list[int]]] = {}
        for e in out:
            when = edges[e].when
            subject: object = when.subject if when is not None else None
            if when is not None and when.kind == "literal" and _is_exact(subject):
                self.literals.setdefault((type(subject), subject), []).append(e)
            elif when is not None and when.kind == "type" and _goes_by_class(when.subject):
                self.types.append(e)
            else:
                self.others.append(e)

    def near(self, value: object) -> list[int]:
        """All edges that the value may match, in declared order, and some that it does not."""
        found = self.others
        if self.literals and _is_exact(value):
            found = found + self.literals.get((type(value), value), [])
        if self.types:
            found = found + self._of_class(value)
        return found if found is self.others else sorted(found)

    def _of_class(self, value: object) -> list[int]:
        state = abc.get_cache_token()  # of what was registered with abstract classes
        known = self.classes.get(type(value))
        if known is None or known[0] != state:
            try:
                if value.__class__ is not type(value):
                    return self.types
                found = [e for e in self.types if (when := self.edges[e].when) is not None and when.matches(value)]
            except Exception:  # it is raised again where the edge is asked, which names it
                return self.types
            if len(self.classes) >= _FEW:
                self.classes.clear()
            known = self.classes[type(value)] = state, found
        return known[1]


def _is_exact(value: object) -> bool:
    """Whether a value equals another one of its class only if a table finds it there."""
    equality: Any = type(value).__eq__
    return type(value) in _EXACT or (isinstance(value, enum.Enum) and equality is object.__eq__)


def _goes_by_class(tp: Any) -> bool:
    """Whether `isinstance` looks at nothing but a value's class, where that is what its type says it is."""
    return isinstance(tp, type) and is_plain(tp) and type(tp).__instancecheck__ in _CHECKS


def choose_error(plan: Plan, node: int, error: BaseException) -> tuple[int, ...]:
    """The first declared on_error edge that matches the exception, if any."""
    for e in plan.out_error[node]:
        if isinstance(error, plan.definition.edges[e].errors):
            return (e,)
    return ()


def _asks(edge: EdgeDef) -> bool:
    return edge.when is not None and edge.when.kind == "predicate"


def _test(plan: Plan, edge: EdgeDef, value: Any) -> bool:
    assert edge.when is not None
    try:
        return edge.when.matches(value)
    except Exception as error:
        source, target = plan.definition.name_of(edge.source), plan.definition.name_of(edge.target)
        raise ConditionError(source, target, edge.when.label, error) from error
