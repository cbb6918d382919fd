"""A resolved definition as the checks read it: edges by their ends, and the type each carries. Judges nothing.

Lists by node end with END and then START, so that -2 and -1 are indexes as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loomgraph.compile.grouped import Grouped
from loomgraph.compile.narrowing import Remaining, Split
from loomgraph.compile.nest import ROOT, Nest
from loomgraph.compile.resolve import output_type
from loomgraph.errors import Failure
from loomgraph.graph.condition import Condition
from loomgraph.graph.definition import Definition, EdgeDef
from loomgraph.graph.refs import START_INDEX, Ref
from loomgraph.graph.signature import EMPTY

__all__ = ["GraphView", "listed"]


class GraphView:
    """Edges whose both ends are known, by source and by target, in declared order.

    `groups` has the conditional edges of each source that has any, by the route they belong to; those under None are
    tried independently. `splits` says how those edges divide what the source gives, where a type or a literal is asked
    for. `carried` is the type that each edge carries.
    """

    __slots__ = (
        "_given",
        "back_of",
        "carried",
        "definition",
        "errors",
        "groups",
        "into",
        "names",
        "nest",
        "out",
        "param",
        "splits",
    )

    def __init__(self, definition: Definition, nest: Nest | None) -> None:
        count = len(definition.nodes)
        self.definition = definition
        self.nest = nest
        self.names = [*(node.name for node in definition.nodes), "END", "START"]
        known = [e for e in definition.edges if isinstance(e.source, int) and isinstance(e.target, int)]
        self.into = _by([int(edge.target) for edge in known], known, count)
        normal = [edge for edge in known if edge.kind == "normal"]
        errors = [edge for edge in known if edge.kind == "error"]
        self.out = _by([int(edge.source) for edge in normal], normal, count)
        self.errors = _by([int(edge.source) for edge in errors], errors, count)
        self.back_of = [ROOT] * len(definition.edges)
        for region in nest.regions if nest is not None else ():
            for index in region.back_edges:
                self.back_of[index] = region.index
        self.param: dict[int, str | None] = {m.edge: m.param for join in definition.joins for m in join.members}
        self._given: dict[int, Any] = {}
        self.groups: dict[int, dict[int | None, list[EdgeDef]]] = {}
        self.splits: dict[int, Split] = {}
        self.carried: list[Any] = [Any] * len(definition.edges)
        for source in (*range(count), START_INDEX):
            self._carry(source)

    def output(self, ref: int) -> Any:
        """What a node gives, START the run's input; Any where it does not say."""
        known = self._given.get(ref)
        if known is None:
            if ref == START_INDEX:
                known = Any if self.definition.input is EMPTY else self.definition.input
            else:
                known = output_type(self.definition.nodes[ref])
            self._given[ref] = known
        return known

    def _carry(self, source: int) -> None:
        carried = self.carried
        for edge in self.errors[source]:
            carried[edge.index] = Failure
        out = self.out[source]
        if not out:
            return
        given = self.output(source)
        groups: dict[int | None, list[EdgeDef]] = {}
        conditions: dict[int, Condition] = {}
        narrowing = False
        for edge in out:
            carried[edge.index] = given
            if edge.when is not None:
                groups.setdefault(edge.choice, []).append(edge)
                conditions[edge.index] = edge.when
                narrowing = narrowing or edge.when.kind in ("type", "literal")
        if groups:
            self.groups[source] = groups
        if narrowing:
            self.splits[source] = split = Split(given, conditions)
            for choice, group in groups.items():
                self._narrow(Remaining(split), choice is not None, group)

    def _narrow(self, left: Remaining, ordered: bool, group: list[EdgeDef]) -> None:
        """What each edge of a group of conditions carries: OTHERWISE what all others leave."""
        rest: list[EdgeDef] = []
        for edge in group:
            if edge.when is not None and edge.when.kind == "otherwise":
                rest.append(edge)
                continue
            self.carried[edge.index] = left.share(edge.index)
            if ordered:
                left.drop(edge.index)
        if rest and not ordered:
            for edge in group:
                left.drop(edge.index)
        for edge in rest:
            self.carried[edge.index] = left.rest()

    def say(self, ref: Ref) -> str:
        """A node's name in quotes; START and END bare, as they are written in code."""
        return f"'{self.definition.name_of(ref)}'" if isinstance(ref, str) or ref >= 0 else self.definition.name_of(ref)

    def say_edge(self, edge: EdgeDef) -> str:
        """An edge as messages write it: `'a' -> 'b'`."""
        return f"{self.say(edge.source)} -> {self.say(edge.target)}"

    def named(self, *refs: Ref) -> tuple[str, ...]:
        """The bare names, for a finding's `nodes`."""
        return tuple(dict.fromkeys(self.definition.name_of(ref) for ref in refs))

    def inside(self, ref: Ref, region: int) -> bool:
        """Whether a node is in a loop, at any depth; START and END are in none."""
        return self.nest is not None and self.nest.inside(ref, region)


def _by(ends: list[int], edges: list[EdgeDef], count: int) -> Grouped[EdgeDef]:
    """Edges by one of their ends, with END and START as the last two."""
    return Grouped([end if end >= 0 else count + 2 + end for end in ends], edges, count + 2)


def listed(items: Iterable[str], limit: int = 5) -> str:
    """`'a', 'b' and 3 more`."""
    shown = list(items)
    more = len(shown) - limit
    if more > 1:
        return f"{', '.join(shown[:limit])} and {more} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)
