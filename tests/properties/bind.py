"""The reference's reading of "a node's inputs": alternatives, joins of all, joins of the first k."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from loomgraph.errors import ActivationError, AmbiguousInputError, Failure, JoinIncompleteError, QuorumError
from loomgraph.graph.definition import Definition, EdgeDef, JoinDef, NodeDef
from loomgraph.graph.policy import MapSpec, Quorum
from loomgraph.graph.signature import Param
from tests.properties.history import History

__all__ = [
    "Binding",
    "Bound",
    "Broken",
    "Cause",
    "Causes",
    "Nothing",
    "Settlement",
    "admits_none",
    "bind",
    "early_need",
    "shortfall",
]


@dataclass(frozen=True)
class Cause:
    """A failure that ends nothing, for it was in something that only feeds early joins: `joins`. Edges are skipped for
    it. `loop`: the loop of this header failed as a whole.
    """

    key: str
    joins: frozenset[int]
    loop: bool = False


Causes: TypeAlias = frozenset[Cause]


class Settlement(Protocol):
    """What became of an edge, as far as binding cares."""

    @property
    def how(self) -> Literal["taken", "skipped", "never"]: ...
    @property
    def history(self) -> History: ...
    @property
    def value(self) -> Any: ...
    @property
    def causes(self) -> Causes: ...


@dataclass(frozen=True)
class Bound:
    """The node runs with this: a bare value, a list, or a dict by parameter name."""

    value: Any
    history: History


@dataclass(frozen=True)
class Broken:
    """The node fails before it runs."""

    error: ActivationError
    history: History


@dataclass(frozen=True)
class Nothing:
    """The node is skipped, and what follows is skipped for the same causes."""

    history: History
    causes: Causes


Binding: TypeAlias = Bound | Broken | Nothing


def bind(
    definition: Definition,
    node: NodeDef | None,
    into: list[EdgeDef],
    settled: Mapping[int, Settlement],
    winners: Mapping[int, tuple[int, ...]],
) -> Binding:
    """What the settled in-edges of a node (None: END) make of it. `winners` are those of decided early joins."""
    name = "END" if node is None else node.name
    plain = [e for e in into if e.join is None]
    history = frozenset[Any]().union(*(settled[e.index].history for e in plain))
    found: list[tuple[str, Any]] = []
    for edge in plain:
        if settled[edge.index].how == "taken":
            found.append((definition.name_of(edge.source), settled[edge.index].value))
    for join in definition.joins:
        members = [m.edge for m in join.members if any(e.index == m.edge for e in into)]
        if not members:
            continue
        counted = winners.get(join.index, tuple(members))
        history |= frozenset[Any]().union(*(settled[e].history for e in counted))
        taken = [e for e in members if settled[e].how == "taken"]
        short = shortfall(definition, join, members, settled) if join.index not in winners else None
        if short is not None:
            found.append((name, short))
        elif taken:
            found.append((name, _joined(definition, node, join, taken, settled, winners.get(join.index))))
    unmet = [value for _, value in found if isinstance(value, QuorumError)]
    if unmet:
        return Broken(unmet[0], history)
    if len(found) > 1:
        return Broken(AmbiguousInputError(name, [source for source, _ in found]), history)
    if not found:
        return Nothing(history, frozenset[Cause]().union(*(settled[e.index].causes for e in into)))
    value = found[0][1]
    if isinstance(value, Bound):  # what an on_cap edge carries: what the header would have got
        value = value.value
    return Broken(value, history) if isinstance(value, ActivationError) else Bound(value, history)


def _joined(
    definition: Definition,
    node: NodeDef | None,
    join: JoinDef,
    taken: list[int],
    settled: Mapping[int, Settlement],
    won: tuple[int, ...] | None,
) -> Any:
    """The one value of a join with a taken member, or the ActivationError it fails its target with."""
    name = "END" if node is None else node.name
    need = early_need(join)
    if need:
        taken = [m.edge for m in join.members if m.edge in (won if won is not None else taken[:need])]
        if join.wait == "first":
            return settled[taken[0]].value
    if all(member.param is None for member in join.members):
        return [settled[m.edge].value for m in join.members if m.edge in taken]
    params = {} if node is None else {p.name: p for p in node.signature.params}
    values: dict[str, Any] = {}
    for param in dict.fromkeys(member.param for member in join.members):
        assert param is not None
        given = [m.edge for m in join.members if m.param == param and m.edge in taken]
        if len(given) > 1:
            return AmbiguousInputError(name, [definition.name_of(definition.edges[e].source) for e in given])
        if given:
            values[param] = settled[given[0]].value
        elif param not in params or not _optional(params[param]):
            skipped = [definition.name_of(definition.edges[m.edge].source) for m in join.members if m.param == param]
            return JoinIncompleteError(name, skipped, [definition.name_of(definition.edges[e].source) for e in taken])
    return values


def _optional(param: Param) -> bool:
    return not param.required or admits_none(param.type)


def admits_none(tp: Any) -> bool:
    """Whether None is a value of a type: of Any, of None, of a union with one of them."""
    import types
    import typing

    if tp is Any or tp is None or tp is types.NoneType:
        return True
    if typing.get_origin(tp) in (typing.Union, types.UnionType):
        return any(admits_none(arm) for arm in typing.get_args(tp))
    return False


def early_need(join: JoinDef | MapSpec) -> int:
    """How many members decide an early join, or items an early map; 0 for all."""
    return join.wait.k if isinstance(join.wait, Quorum) else 1 if join.wait == "first" else 0


def shortfall(
    definition: Definition, join: JoinDef, members: list[int], settled: Mapping[int, Settlement]
) -> QuorumError | None:
    """Why an early join cannot be met whose members are all settled: too few are taken, though some are, or would be
    but for a failure of something that works for this join alone. Its `failures` say no more than the keys."""
    taken = sum(settled[e].how == "taken" for e in members)
    causes = frozenset[Cause]().union(*(settled[e].causes for e in members))
    if taken >= early_need(join) or not (taken or any(join.index in cause.joins for cause in causes)):
        return None
    failures = [Failure("", cause.key, 1, "", "") for cause in causes]
    return QuorumError(definition.name_of(join.target), early_need(join), taken, len(members), failures)
