"""The builder a developer writes with. Collects; proves nothing: that is compile()'s work, all findings at once.

A call is refused here (DefinitionError) only if it cannot mean anything whatever else the workflow says.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeAlias, TypeVar, cast, overload

from loomgraph.errors import DefinitionError
from loomgraph.graph.condition import Condition, condition
from loomgraph.graph.definition import (
    Body,
    Definition,
    EdgeDef,
    EdgeKind,
    Effect,
    FunctionBody,
    GraphBody,
    JoinDef,
    JoinMember,
    LoopDef,
    NodeDef,
    OnFailure,
)
from loomgraph.graph.policy import Cache, Limit, MapSpec, OnItemError, Quorum, Retry, Wait
from loomgraph.graph.refs import ALWAYS, END, END_INDEX, OTHERWISE, START, START_INDEX, Embeddable, Ref, Sentinel
from loomgraph.graph.signature import EMPTY, Param, Signature, read_signature
from loomgraph.graph.state import StateSpec

__all__ = ["Branch", "Builder", "Node", "NodeRef"]

P = ParamSpec("P")
R = TypeVar("R")
B = TypeVar("B", bound="Builder")


@dataclass(frozen=True, eq=False)
class Node(Generic[P, R]):
    """The handle of a declared node: use it in edges; call it to call the function it was made from."""

    name: str
    index: int
    owner: object
    fn: Callable[P, R]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.fn(*args, **kwargs)

    def when(self, test: object, *, label: str | None = None) -> Branch:
        """This node as a conditional member of a join: `wf.join([a.when(Good), b], into=c)`."""
        return Branch(self, condition(test, label))

    def __repr__(self) -> str:
        return f"<node {self.name!r}>"


@dataclass(frozen=True, eq=False)
class Branch:
    """A join member that is taken only when its condition matches."""

    node: NodeRef
    when: Condition | None


NodeRef: TypeAlias = "Node[..., Any] | str | Sentinel | Callable[..., Any] | Embeddable"
"""What may name a node: a handle, a name, START or END, or a function, Graph or Agent (declared on first use)."""
Member: TypeAlias = "NodeRef | Branch"


def _whole(method: Callable[Concatenate[B, P], R]) -> Callable[Concatenate[B, P], R]:
    """A call that is refused leaves nothing behind: in a notebook it is followed by the right one."""

    @functools.wraps(method)
    def call(self: B, /, *args: P.args, **kwargs: P.kwargs) -> R:
        before = self._mark()  # pyright: ignore[reportPrivateUsage]  # this decorates methods of Builder only
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            self._restore(before)  # pyright: ignore[reportPrivateUsage]
            raise

    return call


class Builder:
    """Collects nodes, edges, joins and loops into a Definition. A call that raises changes nothing."""

    def __init__(
        self,
        name: str,
        *,
        input: Any = EMPTY,
        output: Any = EMPTY,
        state: Any = None,
        on_failure: OnFailure = "cancel",
        max_activations: int = 100_000,
        doc: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"a workflow needs a name, not {name!r}. Write Workflow('triage').")
        if on_failure not in ("cancel", "drain"):
            raise DefinitionError(f"on_failure={on_failure!r} is unknown; use 'cancel' or 'drain'.")
        if max_activations < 1:
            raise DefinitionError(f"max_activations={max_activations} would start nothing; use at least 1.")
        self.name = name
        self._input, self._output = input, output
        self._state = None if state is None else StateSpec.of(state)
        self._on_failure: OnFailure = on_failure
        self._max_activations = max_activations
        self._doc = doc
        self._metadata: Mapping[str, Any] = dict(metadata or {})
        self._nodes: list[NodeDef] = []
        self._edges: list[EdgeDef] = []
        self._joins: list[JoinDef] = []
        self._loops: list[LoopDef] = []
        self._choices = 0
        self._handles: list[Node[..., Any]] = []
        self._implicit: dict[int, int] = {}  # id(callable or graph) -> node index, kept alive by the NodeDef
        self._named: dict[str, int | None] = {}  # None for a name that several nodes have

    def _mark(self) -> tuple[int, int, int, int, int]:
        return len(self._nodes), len(self._edges), len(self._joins), len(self._loops), self._choices

    def _restore(self, mark: tuple[int, int, int, int, int]) -> None:
        nodes, edges, joins, loops, self._choices = mark
        del self._edges[edges:], self._joins[joins:], self._loops[loops:]
        if len(self._nodes) > nodes:
            del self._nodes[nodes:], self._handles[nodes:]
            self._implicit = {body: index for body, index in self._implicit.items() if index < nodes}
            self._named = {}
            for node in self._nodes:
                self._name(node.name, node.index)

    def _name(self, name: str, index: int) -> None:
        self._named[name] = None if name in self._named else index

    # ------------------------------------------------------------------ nodes

    @overload
    def node(
        self,
        fn: Callable[P, R],
        /,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        limit: int | Limit | None = None,
        cache: Cache | bool = False,
        tags: Sequence[str] = (),
        version: str | None = None,
        effect: Effect = "repeat",
    ) -> Node[P, R]: ...

    @overload
    def node(
        self,
        fn: Embeddable,
        /,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        limit: int | Limit | None = None,
        cache: Cache | bool = False,
        tags: Sequence[str] = (),
        version: str | None = None,
        effect: Effect = "repeat",
    ) -> Node[..., Any]: ...

    @overload
    def node(
        self,
        fn: None = None,
        /,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        limit: int | Limit | None = None,
        cache: Cache | bool = False,
        tags: Sequence[str] = (),
        version: str | None = None,
        effect: Effect = "repeat",
    ) -> Callable[[Callable[P, R]], Node[P, R]]: ...

    def node(
        self,
        fn: Any = None,
        /,
        *,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        limit: int | Limit | None = None,
        cache: Cache | bool = False,
        tags: Sequence[str] = (),
        version: str | None = None,
        effect: Effect = "repeat",
    ) -> Any:
        """Declare a node: a function (sync or async), a callable object, a Graph or an Agent. Also a decorator.

        `timeout` is in seconds, per attempt; `limit` is how many attempts of this node run at a time in one run (with
        `Limit(n, name)`: of all nodes that share the name); `version` stands in for the source code in the node's
        fingerprint; `effect="once"` says that running it twice would do harm. Returns the node's handle.
        Raises DefinitionError for what is not callable.
        """
        _check_options(timeout, limit, effect)
        localns = _caller_locals()

        def declare(body: Any) -> Node[..., Any]:
            kept = Cache() if cache is True else cache or None
            return self._declare(
                body,
                localns,
                name=name,
                retry=retry,
                timeout=timeout,
                limit=limit.n if isinstance(limit, Limit) else limit,
                limit_name=limit.name if isinstance(limit, Limit) else None,
                cache=kept,
                tags=tuple(tags),
                version=version,
                effect=effect,
            )

        return declare if fn is None else declare(fn)

    def subgraph(self, graph: Embeddable, *, name: str | None = None, **options: Any) -> Node[..., Any]:
        """Declare a node whose body is another graph; the same as `node(graph)`, said aloud."""
        if not isinstance(graph, Embeddable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"subgraph takes a compiled Graph or an Agent, not {graph!r}. Call .compile() first.")
        return self.node(graph, name=name, **options)

    def _declare(
        self, body: Any, localns: Mapping[str, Any], *, name: str | None = None, **options: Any
    ) -> Node[..., Any]:
        if isinstance(body, Node):
            raise DefinitionError(f"{body!r} is a node already; to run its code twice, use wf.node({body.name}.fn).")
        if name == "":
            raise DefinitionError("a node's name cannot be empty; leave name= out to use the function's.")
        made: Body
        if isinstance(body, Embeddable) and not isinstance(body, type):
            graph = body.__loomgraph_embed__()
            made, signature = GraphBody(graph), _graph_signature(graph.definition)
            title = name or graph.definition.name
        elif isinstance(body, Builder):
            raise DefinitionError(f"workflow '{body.name}' is not compiled; pass {body.name}.compile() as the node.")
        elif callable(body):
            made, signature = FunctionBody(body), read_signature(body, localns)
            title = name or getattr(body, "__name__", None) or type(body).__name__
        else:
            raise DefinitionError(f"{body!r} cannot be a node. Pass a function, a callable, a Graph or an Agent.")
        index = len(self._nodes)
        self._nodes.append(NodeDef(index, title, made, signature, doc=inspect.getdoc(body), **options))
        handle: Node[..., Any] = Node(title, index, self, cast("Callable[..., Any]", body))
        self._handles.append(handle)
        self._implicit.setdefault(id(body), index)
        self._name(title, index)
        return handle

    def _ref(self, node: Any, role: str) -> Ref:
        """The reference of whatever names a node; functions, Graphs and Agents are declared on first use."""
        if isinstance(node, Node):
            if node.owner is not self:
                raise DefinitionError(f"{node!r} belongs to another workflow; {role} takes a node of '{self.name}'.")
            return node.index
        if isinstance(node, str):
            found = self._named.get(node)
            return node if found is None else found
        if node is START or node is END:
            return START_INDEX if node is START else END_INDEX
        if isinstance(node, (Sentinel, Branch, Builder)) or not (callable(node) or isinstance(node, Embeddable)):
            raise DefinitionError(f"{role} takes a node, not {node!r}. Pass a handle, a name, START, END, a function.")
        known = self._implicit.get(id(node))
        return self._declare(node, _caller_locals()).index if known is None else known

    # ------------------------------------------------------------------ edges

    @_whole
    def edge(
        self,
        source: NodeRef,
        target: NodeRef,
        *,
        when: object = ALWAYS,
        label: str | None = None,
        cap: int | None = None,
        exit: Literal["strict", "latest"] = "strict",
    ) -> None:
        """An edge. `when`: a type, a literal, a predicate or OTHERWISE; unconditional by default.

        `cap` limits the loop that this edge closes; `exit="latest"` lets an edge out of a loop be overtaken by a
        further iteration, keeping its latest value. Several plain edges into one node mean "one of these".
        """
        _check_cap(cap)
        if exit not in ("strict", "latest"):
            raise DefinitionError(f"edge(exit={exit!r}) is unknown; use 'strict' or 'latest'.")
        self._edge(source, target, when=condition(when, label), cap=cap, exit=exit)

    def _edge(self, source: Any, target: Any, *, kind: EdgeKind = "normal", **options: Any) -> int:
        src, dst = self._ref(source, "an edge's source"), self._ref(target, "an edge's target")
        if src == END_INDEX or dst == START_INDEX:
            raise DefinitionError("an edge cannot leave END or enter START; swap its two ends.")
        index = len(self._edges)
        self._edges.append(EdgeDef(index, src, dst, kind, **options))
        return index

    @_whole
    def chain(self, *nodes: NodeRef) -> None:
        """Edges from each node to the next: `chain(START, a, b, END)`."""
        if len(nodes) < 2:
            raise DefinitionError("chain needs at least two nodes: wf.chain(START, a, END).")
        for source, target in itertools.pairwise(nodes):
            self._edge(source, target)

    @_whole
    def route(self, source: NodeRef, routes: Mapping[Any, NodeRef], *, otherwise: NodeRef | None = None) -> None:
        """Exactly one way out of `source`: the first condition, in the mapping's order, that matches its value."""
        if not routes:
            raise DefinitionError("route needs at least one condition: wf.route(source, {'yes': a, 'no': b}).")
        choice = self._choices
        self._choices += 1
        for test, target in routes.items():
            self._edge(source, target, when=condition(test), choice=choice)
        if otherwise is not None:
            self._edge(source, otherwise, when=condition(OTHERWISE), choice=choice)

    @_whole
    def parallel(
        self,
        nodes: Sequence[NodeRef],
        *,
        source: NodeRef | None = None,
        into: NodeRef | None = None,
        wait: Wait = "all",
    ) -> None:
        """Edges from `source` to each of the nodes, and a join of them `into` one; either may be left out."""
        if source is None and into is None:
            raise DefinitionError("parallel needs source= or into=: wf.parallel([a, b], source=START, into=c).")
        if source is not None:
            for node in nodes:
                self._edge(source, node)
        if into is not None:
            self.join(nodes, into=into, wait=wait)

    @_whole
    def join(
        self, members: Sequence[Member] | Mapping[str, Member | Sequence[Member]], *, into: NodeRef, wait: Wait = "all"
    ) -> None:
        """ "All of these" into one node: by parameter name, or as one `list` in declared order.

        A mapping binds parameters: `{"x": a, "y": [b, handler]}`; several members of one parameter are alternatives.
        A sequence binds parameters named like its members, or the target's one list parameter.
        `wait="first"` and `wait=Quorum(k)` go on early and cancel what only fed the join.
        """
        if wait not in ("all", "first") and not isinstance(wait, Quorum):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"join(wait={wait!r}) is unknown; use 'all', 'first' or Quorum(k).")
        pairs: list[tuple[str | None, Member]] = []
        if isinstance(members, Mapping):
            for param, group in members.items():
                if isinstance(group, (list, tuple)):
                    pairs.extend((param, member) for member in cast("Sequence[Member]", group))
                else:
                    pairs.append((param, cast("Member", group)))
        else:
            pairs.extend((None, member) for member in members)
        if not pairs:
            raise DefinitionError("join needs at least one member: wf.join([a, b], into=c).")
        target, index = self._ref(into, "join(into=)"), len(self._joins)
        placed: list[JoinMember] = []
        for slot, member in pairs:
            node, when = (member.node, member.when) if isinstance(member, Branch) else (member, None)
            placed.append(JoinMember(self._edge(node, into, when=when, join=index), slot))
        self._joins.append(JoinDef(index, target, tuple(placed), wait, not isinstance(members, Mapping)))

    @_whole
    def map(
        self,
        source: NodeRef,
        worker: NodeRef,
        *,
        limit: int | None = None,
        on_error: OnItemError = "fail",
        wait: Wait = "all",
        when: object = ALWAYS,
    ) -> Node[..., Any]:
        """Run `worker` once per item of `source`'s list; downstream of `worker` sees the list, in order.

        `worker` may be a node declared before, a function, a Graph or an Agent; from now on it is a map, and further
        edges into it also carry lists. Returns its handle. See `MapSpec` for the options.
        """
        ref = self._ref(worker, "map(worker)")
        if isinstance(ref, str) or ref < 0:
            raise DefinitionError(f"map(worker) takes a declared node or a function, not {worker!r}.")
        spec = MapSpec(limit, on_error, wait)
        self._edge(source, self._handles[ref], when=condition(when))
        self._nodes[ref] = replace(self._nodes[ref], map=spec)
        return self._handles[ref]

    @_whole
    def loop(
        self,
        *nodes: NodeRef,
        again: object = None,
        cap: int | None = None,
        on_cap: NodeRef | None = None,
        include: Sequence[NodeRef] = (),
        header: NodeRef | None = None,
    ) -> None:
        """A loop through `nodes`: at most `cap` iterations (default 25) per entry; at the cap, `on_cap` or an error.

        With `again`, also adds the edges: each node to the next, and from the last back to the first when `again`
        matches. Without it, the edges are yours and this only gives the loop its settings. `include` names side
        nodes that hang off the body and belong to it.
        """
        if not nodes:
            raise DefinitionError("loop needs the nodes of its body: wf.loop(draft, critique, again=Bad, cap=5).")
        _check_cap(cap)
        refs = tuple(self._ref(node, "loop") for node in nodes)
        if again is not None:
            for source, target in itertools.pairwise(nodes):
                self._edge(source, target)
            self._edge(nodes[-1], nodes[0], when=condition(again))
        top = self._ref(header, "loop(header=)") if header is not None else refs[0] if again is not None else None
        landing = None if on_cap is None else self._ref(on_cap, "loop(on_cap=)")
        extra = tuple(self._ref(node, "loop(include=)") for node in include)
        self._loops.append(LoopDef(refs, top, cap, landing, extra))

    @_whole
    def on_error(self, node: NodeRef, handler: NodeRef, *errors: type[BaseException]) -> None:
        """Where a failure of `node` goes, after its attempts: `handler` receives a `Failure`.

        `errors` are exception classes (default Exception); the first declared edge that matches is taken.
        """
        for error in errors:
            if not (isinstance(error, type) and issubclass(error, BaseException)):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise DefinitionError(f"on_error takes exception classes, not {error!r}: wf.on_error(a, b, OSError).")
        self._edge(node, handler, kind="error", errors=errors or (Exception,))

    # ------------------------------------------------------------------ result

    def define(self) -> Definition:
        """What was collected so far, frozen; names used before their node was declared are looked up again."""
        return Definition(
            name=self.name,
            input=self._input,
            output=self._output,
            nodes=tuple(self._nodes),
            edges=tuple(self._edges),
            joins=tuple(self._joins),
            loops=tuple(self._loops),
            state=self._state,
            on_failure=self._on_failure,
            max_activations=self._max_activations,
            doc=self._doc,
            metadata=self._metadata,
        )


def _check_options(timeout: float | None, limit: int | Limit | None, effect: Effect) -> None:
    if timeout is not None and not timeout > 0:
        raise DefinitionError(f"timeout={timeout} leaves no time; use seconds > 0, or leave it out.")
    if effect not in ("repeat", "once"):
        raise DefinitionError(f"effect={effect!r} is unknown; use 'repeat' or 'once'.")
    if isinstance(limit, int) and limit < 1:
        raise DefinitionError(f"limit={limit} would run nothing; use at least 1, or leave it out.")


def _check_cap(cap: int | None) -> None:
    if cap is not None and cap < 1:
        raise DefinitionError(f"cap={cap} would run no iteration; use at least 1.")


def _caller_locals() -> Mapping[str, Any]:
    """The locals of the first frame outside this module: annotations may name classes local to a function."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]  # the documented way to see a caller's names, as typing and dataclasses do
    while frame.f_back is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    return frame.f_locals if frame.f_locals is not frame.f_globals else {}


def _graph_signature(definition: Definition) -> Signature:
    """A graph node takes the graph's input as one value; a graph whose input is None may be given nothing."""
    tp = Any if definition.input is EMPTY else definition.input
    return Signature((Param("input", tp, tp is not None and tp is not type(None)),), definition.output, "graph")
