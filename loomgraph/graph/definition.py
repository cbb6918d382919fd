"""The definition of a workflow as plain frozen data: what the builder writes, and what compile() and drawings read.

Nodes are referred to by index. A name that nobody declared stays a string until compile() reports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from loomgraph.graph.condition import Condition
from loomgraph.graph.policy import Cache, MapSpec, Retry, Wait
from loomgraph.graph.refs import END_INDEX, START_INDEX, Ref
from loomgraph.graph.signature import Signature
from loomgraph.graph.state import StateSpec

__all__ = [
    "Body",
    "Compiled",
    "Definition",
    "EdgeDef",
    "EdgeKind",
    "Effect",
    "FunctionBody",
    "GraphBody",
    "JoinDef",
    "JoinMember",
    "LoopDef",
    "NodeDef",
    "OnFailure",
    "Runs",
    "runs_of",
]

EdgeKind: TypeAlias = Literal["normal", "error", "cap"]
"""normal: taken on success; error: taken on a matching failure; cap: taken when the source's loop reaches its cap."""
Effect: TypeAlias = Literal["repeat", "once"]
"""once: must not happen twice; a resume that cannot know whether it happened asks (see `in_doubt`)."""
OnFailure: TypeAlias = Literal["cancel", "drain"]


class Compiled(Protocol):
    """What a graph node's body is: a sound definition with its plan. `loomgraph.compile` makes it."""

    @property
    def definition(self) -> Definition: ...

    @property
    def fingerprint(self) -> str: ...


@dataclass(frozen=True, slots=True, eq=False)
class FunctionBody:
    """A Python callable."""

    fn: Callable[..., Any]


@dataclass(frozen=True, slots=True, eq=False)
class GraphBody:
    """A compiled graph, run as a nested scope."""

    graph: Compiled


Body: TypeAlias = FunctionBody | GraphBody


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """What a function runs with `ctx.run(made, key=key)`: a graph that it makes at run time, of which every node whose
    name is `name` and something more has `graph` as its body. `each` says what for. Drawings show it; nothing else
    depends on it.

    A callable has it as `__loomgraph_runs__`.
    """

    graph: Compiled
    key: str
    name: str
    each: str


def runs_of(body: Body) -> Runs | None:
    """What the body says that it runs; None where it says nothing."""
    said = getattr(body.fn, "__loomgraph_runs__", None) if isinstance(body, FunctionBody) else None
    return said if isinstance(said, Runs) else None


@dataclass(frozen=True, slots=True, eq=False)
class NodeDef:
    """One node. With `map`, the body runs once per item and `signature` is the body's, not the map's."""

    index: int
    name: str
    body: Body
    signature: Signature
    map: MapSpec | None = None
    retry: Retry | None = None
    timeout: float | None = None
    limit: int | None = None
    limit_name: str | None = None
    cache: Cache | None = None
    tags: tuple[str, ...] = ()
    version: str | None = None
    effect: Effect = "repeat"
    doc: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EdgeDef:
    """One edge. `join` is the index of the join it is a member of; `choice` groups edges of which the first match
    is taken (wf.route); `errors` are the exception classes of an error edge."""

    index: int
    source: Ref
    target: Ref
    kind: EdgeKind = "normal"
    when: Condition | None = None
    choice: int | None = None
    errors: tuple[type[BaseException], ...] = ()
    exit: Literal["strict", "latest"] = "strict"
    cap: int | None = None
    join: int | None = None


@dataclass(frozen=True, slots=True)
class JoinMember:
    """One member edge of a join; `param` is the parameter it binds, None for a join into one list."""

    edge: int
    param: str | None


@dataclass(frozen=True, slots=True, eq=False)
class JoinDef:
    """ "All of these" (or the first, or k of them) into one node, members in declared order.

    `by_name`: the members came as a bare sequence, and compile() binds them to parameters by the members' names if
    the target has several required parameters, else to its one list parameter.
    """

    index: int
    target: Ref
    members: tuple[JoinMember, ...]
    wait: Wait = "all"
    by_name: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LoopDef:
    """Settings of the loop that contains all of `nodes`: its header, cap, where to go at the cap, side nodes."""

    nodes: tuple[Ref, ...]
    header: Ref | None = None
    cap: int | None = None
    on_cap: Ref | None = None
    include: tuple[Ref, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """A whole workflow. `input` and `output` are types; `problems` are what the builder already knows is wrong."""

    name: str
    input: Any
    output: Any
    nodes: tuple[NodeDef, ...]
    edges: tuple[EdgeDef, ...]
    joins: tuple[JoinDef, ...] = ()
    loops: tuple[LoopDef, ...] = ()
    state: StateSpec | None = None
    on_failure: OnFailure = "cancel"
    max_activations: int = 100_000
    doc: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def name_of(self, ref: Ref) -> str:
        """The name a person knows a reference by; "START" and "END" for the two ends."""
        if isinstance(ref, str):
            return ref
        if ref == START_INDEX:
            return "START"
        return "END" if ref == END_INDEX else self.nodes[ref].name

    def edges_from(self, ref: Ref) -> Iterator[EdgeDef]:
        """The edges out of a node, in declared order. Linear in the number of edges."""
        return (edge for edge in self.edges if edge.source == ref)
