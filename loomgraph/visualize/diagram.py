"""The one traversal behind every drawing: a definition, its loop nest and perhaps a run, as plain frozen data.

Names no output format and refuses nothing: a broken workflow is drawn with what it has, a name that nobody declared as
a node of its own kind. Every declared edge is drawn exactly once, as the edge whose `declared` is its index:

- A join of several members has a mark: its member edges go to the mark, and one edge more, whose `declared` is None,
  goes from the mark to the target. A join of one member is a plain edge.
- A sub-graph is opened as a cluster, and so is what a function says that it runs (`Runs`). The graph node itself stands
  inside it as the entry, which takes the node's in-edges and stands for the sub-graph's START; the sub-graph's END has
  the node's out-edges. Error and cap edges leave from the entry, for END was not reached.

So `sum(edge.declared is not None for edge in diagram.edges)` is the number of edges declared in all definitions shown.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, assert_never

from loomgraph.compile.nest import ROOT, Nest, find_nest
from loomgraph.compile.resolve import resolve
from loomgraph.graph.definition import Compiled, Definition, EdgeDef, GraphBody, JoinDef, NodeDef, runs_of
from loomgraph.graph.policy import MapSpec, Quorum, Wait
from loomgraph.graph.refs import END_INDEX, START_INDEX, Ref
from loomgraph.graph.signature import EMPTY, answer_type, describe_type
from loomgraph.visualize.comparing import Compared, compared, is_comparison
from loomgraph.visualize.overlay import IDLE, Overlay, Run, overlays
from loomgraph.visualize.text import clipped, legible, wrapped
from loomgraph.visualize.ways import NOT_TAKEN, Decided, Ways

__all__ = ["Diagram", "DiagramCluster", "DiagramEdge", "DiagramLoop", "DiagramNode", "LineKind", "NodeKind", "diagram"]

NodeKind: TypeAlias = Literal["start", "end", "function", "human", "map", "graph", "join", "unknown", "group"]
"""group: stands for several nodes of a drawing that was too large, see `loomgraph.visualize.collapse`."""
LineKind: TypeAlias = Literal["normal", "error", "cap", "back", "exit", "join"]
"""back: repeats a loop; exit: leaves one; join: from a join's mark to its target. An error edge that repeats a loop is
an error edge with a `loop`."""

_NAME_WIDTH, _NAME_LIMIT = 36, 100
_LABEL_WIDTH, _LABEL_LIMIT = 28, 80
_TYPE_LIMIT = 40


@dataclass(frozen=True, slots=True)
class DiagramNode:
    """One box. `lines` are its text, name first; `path` is the names it has in a run, () for what does not run.

    `count` is how many nodes of the whole drawing it stands for, `hidden` how many edges between these are not drawn.
    """

    id: str
    kind: NodeKind
    lines: tuple[str, ...]
    cluster: str | None = None
    path: tuple[str, ...] = ()
    overlay: Overlay | None = None
    count: int = 1
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class DiagramEdge:
    """One line from node to node. `loop` is the index in `Diagram.loops` of the loop it repeats or ends at its cap.

    `count` is how many edges of the whole drawing it stands for. `taken` is how often the run took it, None where there
    is no run, or where that is not decided; `decided` says by whose outcome it is.
    """

    source: str
    target: str
    kind: LineKind
    label: tuple[str, ...] = ()
    declared: int | None = None
    cluster: str | None = None
    loop: int | None = None
    param: str | None = None
    wait: str | None = None
    count: int = 1
    decided: Decided | None = None
    taken: int | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """`label`, and how often it was taken if that is more than once."""
        many = self.taken is not None and self.taken > 1
        return (*self.label, f"taken {self.taken} times") if many else self.label


@dataclass(frozen=True, slots=True)
class DiagramCluster:
    """A sub-graph that is opened; `parent` is the cluster around it, `entry` the graph node that it belongs to.

    `name` is the sub-graph's own, which its entry says where the node has another.
    """

    id: str
    name: str
    entry: str
    path: tuple[str, ...]
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class DiagramLoop:
    """One loop of the nest: the node it starts at, all nodes inside, at most how many iterations (None: unknown)."""

    header: str
    nodes: tuple[str, ...]
    cap: int | None
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Diagram:
    """All that a renderer needs. Ids are n0, n1, ... for nodes and c0, c1, ... for clusters, the same every time.

    An outer cluster comes before those inside it. `legend` is what a reader must be told about the drawing itself.
    """

    name: str
    nodes: tuple[DiagramNode, ...]
    edges: tuple[DiagramEdge, ...]
    clusters: tuple[DiagramCluster, ...] = ()
    loops: tuple[DiagramLoop, ...] = ()
    legend: tuple[str, ...] = ()


def diagram(
    definition: Definition,
    nest: Nest | None = None,
    run: Run | Compared | None = None,
    *,
    depth: int | None = None,
    max_edges: int = 400,
) -> Diagram:
    """What there is to draw. Linear in nodes and edges, and in the run's activations.

    Without a `nest` the definition may be a builder's, unresolved: names and loops are found here. `depth` levels of
    sub-graphs are opened (default all), outer ones first, while the drawing keeps to `max_edges` edges; 0 opens none.
    """
    work = _Work(depth, max_edges)
    if nest is None:
        definition, nest = _examined(definition)
    start = work.node("start", ("START", *_given(definition, definition.input)), None)
    work.count += len(definition.edges) + len(definition.joins)
    work.queue.append(_Scope(definition, nest, None, (), start, 0))
    while work.queue:
        _Drawer(work, work.queue.popleft()).draw()
    nodes = work.nodes if run is None else _laid(work, run)
    edges = work.edges if run is None or is_comparison(run) else _went(work, run)
    legend = (NOT_TAKEN,) if any(edge.taken == 0 for edge in edges) else ()
    return Diagram(_title(definition), tuple(nodes), tuple(edges), tuple(work.clusters), tuple(work.loops), legend)


def _title(definition: Definition) -> str:
    return clipped(legible(definition.name).replace("\n", " "), _NAME_LIMIT)


def _laid(work: _Work, run: Run | Compared) -> list[DiagramNode]:
    if is_comparison(run):
        two = compared(run)
        return [replace(node, overlay=two.get(node.path, IDLE)) if node.path else node for node in work.nodes]
    laid = overlays(run, {node.path for node in work.nodes if node.kind == "map"}, work.alike)
    return [replace(node, overlay=laid.get(node.path, IDLE)) if node.path else node for node in work.nodes]


def _went(work: _Work, run: Run) -> list[DiagramEdge]:
    """The edges with how often the run took them; one behind a join's mark was not if none of its members was."""
    ways = Ways(run, work.alike)
    into: dict[str, list[int | None]] = defaultdict(list)
    edges: list[DiagramEdge] = []
    for edge in work.edges:
        taken = None if edge.decided is None else ways.count(edge.decided)
        if edge.decided is not None:
            into[edge.target].append(taken)
        edges.append(edge if taken is None else replace(edge, taken=taken))
    unmet = {mark for mark, counts in into.items() if not any(counts) and None not in counts}
    return [replace(edge, taken=0) if edge.declared is None and edge.source in unmet else edge for edge in edges]


def _examined(definition: Definition) -> tuple[Definition, Nest]:
    # resolving adds the edges of on_cap=, so a definition that has them is resolved already
    if not any(edge.kind == "cap" for edge in definition.edges):
        definition, _ = resolve(definition)
    return definition, find_nest(definition)


@dataclass(frozen=True, slots=True)
class _Scope:
    """One definition to draw: where it goes, and the node that stands for its START."""

    definition: Definition
    nest: Nest
    cluster: str | None
    path: tuple[str, ...]
    start: str
    depth: int
    end: str | None = None


class _Work:
    """What has been drawn, and what is left to draw."""

    def __init__(self, depth: int | None, max_edges: int) -> None:
        self.depth = depth
        self.max_edges = max_edges
        self.count = 0
        self.nodes: list[DiagramNode] = []
        self.edges: list[DiagramEdge] = []
        self.clusters: list[DiagramCluster] = []
        self.loops: list[DiagramLoop] = []
        self.queue: deque[_Scope] = deque()
        self.alike: dict[tuple[str, ...], str] = {}
        self.paths: dict[str, tuple[str, ...]] = {}

    def node(self, kind: NodeKind, lines: tuple[str, ...], cluster: str | None, path: tuple[str, ...] = ()) -> str:
        made = DiagramNode(f"n{len(self.nodes)}", kind, lines, cluster, path)
        self.nodes.append(made)
        if path:
            self.paths[made.id] = path
        return made.id

    def opens(self, inner: Definition, depth: int) -> bool:
        """Whether a sub-graph is opened; if so, its edges are counted."""
        cost = len(inner.edges) + len(inner.joins)
        if (self.depth is not None and depth >= self.depth) or self.count + cost > self.max_edges:
            return False
        self.count += cost
        return True


class _Drawer:
    """Draws one scope into the work."""

    def __init__(self, work: _Work, scope: _Scope) -> None:
        self.work = work
        self.scope = scope
        self.definition = scope.definition
        self.into: dict[Ref, str] = {}
        self.out_of: dict[Ref, str] = {START_INDEX: scope.start}
        self.marks: dict[int, str] = {}
        self.loop_of_edge: dict[int, int] = {}
        self.first_loop = len(work.loops)
        normal = [edge for edge in scope.definition.edges if edge.kind == "normal"]
        self.always = {edge.source for edge in normal} - {edge.source for edge in normal if edge.when is not None}

    def draw(self) -> None:
        scope, work = self.scope, self.work
        for node in self.definition.nodes:
            self._node(node)
        end = scope.end
        if end is None:
            end = work.node("end", ("END", *_given(self.definition, self.definition.output)), scope.cluster)
        self.into[END_INDEX] = self.out_of[END_INDEX] = end
        self._loops()
        for join in self.definition.joins:
            if len(join.members) > 1:
                self.marks[join.index] = work.node("join", (_wait(join.wait),), scope.cluster)
        params = {m.edge: m.param for join in self.definition.joins for m in join.members}
        whole = {max(m.edge for m in j.members): j for j in self.definition.joins if j.index in self.marks}
        for edge in self.definition.edges:
            self._edge(edge, params.get(edge.index))
            if edge.index in whole:
                self._joined(whole[edge.index])

    def _node(self, node: NodeDef) -> None:
        scope, work = self.scope, self.work
        path = (*scope.path, node.name)
        lines = wrapped(legible(node.name), _NAME_WIDTH, _NAME_LIMIT)
        mapped = () if node.map is None else _map(node.map)
        runs = runs_of(node.body)
        if runs is not None:
            self.work.alike[*path, f"@{runs.key}"] = runs.name
            self._opened(node, runs.graph, (*path, f"@{runs.key}", runs.name), (*lines, f"⁂ {runs.each}"))
        elif isinstance(node.body, GraphBody):
            self._opened(node, node.body.graph, path, lines)
        else:
            asks = answer_type(node.body.fn) is not EMPTY
            kind: NodeKind = "map" if node.map is not None else "human" if asks else "function"
            lines += ("asks a person",) if asks else ()
            self.into[node.index] = self.out_of[node.index] = work.node(kind, lines + mapped, scope.cluster, path)

    def _opened(self, node: NodeDef, graph: Compiled, inside: tuple[str, ...], lines: tuple[str, ...]) -> None:
        """A node with the graph in it, whose nodes have the path `inside`; closed where there is too much to draw."""
        scope, work = self.scope, self.work
        path = (*scope.path, node.name)
        mapped = () if node.map is None else _map(node.map)
        kind: NodeKind = "graph" if node.map is None else "map"
        inner = graph.definition
        if not work.opens(inner, scope.depth):
            size = f"graph of {len(inner.nodes)} node{'' if len(inner.nodes) == 1 else 's'}"
            made = work.node(kind, (*lines, *mapped, size), scope.cluster, path)
            self.into[node.index] = self.out_of[node.index] = made
            return
        cluster = f"c{len(work.clusters)}"
        title = _title(inner)
        also = () if inner.name == node.name else wrapped(f"graph {title}", _NAME_WIDTH, _NAME_LIMIT)
        entry = work.node(kind, (*lines, *also, *mapped), cluster, path)
        end = work.node("end", ("END", *_given(inner, inner.output)), cluster)
        work.clusters.append(DiagramCluster(cluster, title, entry, path, scope.cluster))
        self.into[node.index], self.out_of[node.index] = entry, end
        found: Nest | None = getattr(graph, "nest", None)
        if found is None:
            inner, found = _examined(inner)
        work.queue.append(_Scope(inner, found, cluster, inside, entry, scope.depth + 1, end))

    def _loops(self) -> None:
        nest, work = self.scope.nest, self.work
        for region in nest.regions[1:]:
            number = len(work.loops)
            inside = tuple(self.into[node] for node in sorted(nest.body(region.index)))
            header = inside[0] if region.header is None else self.into[region.header]
            # a graph that was rebuilt from a log has no caps of its own
            cap = None if "blueprint" in self.definition.metadata else region.cap
            work.loops.append(DiagramLoop(header, inside, cap, self.scope.cluster))
            self.loop_of_edge.update((edge, number) for edge in region.back_edges)
            if region.cap_edge is not None:
                self.loop_of_edge[region.cap_edge] = number

    def _edge(self, edge: EdgeDef, param: str | None) -> None:
        loop = self.loop_of_edge.get(edge.index)
        kind = self._kind(edge, loop)
        marked = edge.join is not None and edge.join in self.marks
        target = self.marks[edge.join] if marked and edge.join is not None else self._place(edge.target, self.into)
        named = param if param is not None and param != self.definition.name_of(edge.source) else None
        cap = None if loop is None else self.work.loops[loop].cap
        self.work.edges.append(
            DiagramEdge(
                self._source(edge, loop),
                target,
                kind,
                _label(edge, loop is not None, cap, named),
                edge.index,
                self.scope.cluster,
                loop,
                param,
                _wait(self.definition.joins[edge.join].wait) if marked and edge.join is not None else None,
                decided=self._decided(edge, loop),
            )
        )

    def _decided(self, edge: EdgeDef, loop: int | None) -> Decided | None:
        scope, names = self.scope.path, self.definition.nodes
        if edge.kind == "cap":
            header = None if loop is None else self.work.paths.get(self.work.loops[loop].header)
            ends = isinstance(edge.target, int) and edge.target >= 0
            target = (*scope, names[edge.target].name) if ends and isinstance(edge.target, int) else ()
            return None if header is None else Decided(header, edge.index, cap=True, target=target)
        always = edge.kind == "normal" and edge.source in self.always
        if edge.source == START_INDEX:
            return Decided(scope, edge.index, start=True, always=always)
        if not isinstance(edge.source, int) or edge.source < 0:
            return None
        return Decided((*scope, names[edge.source].name), edge.index, always=always)

    def _source(self, edge: EdgeDef, loop: int | None) -> str:
        if edge.kind == "normal":
            return self._place(edge.source, self.out_of)
        if edge.kind == "cap" and loop is not None:
            return self.work.loops[loop].header
        return self.scope.start if edge.source == START_INDEX else self._place(edge.source, self.into)

    def _kind(self, edge: EdgeDef, loop: int | None) -> LineKind:
        if edge.kind != "normal":
            return edge.kind
        if loop is not None:
            return "back"
        nest = self.scope.nest
        source = nest.region(edge.source) if isinstance(edge.source, int) else ROOT
        target = nest.region(edge.target) if isinstance(edge.target, int) else ROOT
        return "normal" if nest.common(source, target) == source else "exit"

    def _place(self, ref: Ref, places: dict[Ref, str]) -> str:
        """The node of a reference; what nobody declared gets one of its own, once a name."""
        found = places.get(ref)
        if found is None:
            shown = wrapped(legible(ref), _NAME_WIDTH, _NAME_LIMIT) if isinstance(ref, str) else (str(ref),)
            found = self.work.node("unknown", (*shown, "not declared"), self.scope.cluster)
            self.into[ref] = self.out_of[ref] = found
        return found

    def _joined(self, join: JoinDef) -> None:
        target = self._place(join.target, self.into)
        mark, wait = self.marks[join.index], _wait(join.wait)
        self.work.edges.append(DiagramEdge(mark, target, "join", cluster=self.scope.cluster, wait=wait))


def _label(edge: EdgeDef, loops: bool, cap: int | None, param: str | None) -> tuple[str, ...]:
    """What stands at an edge: its condition, the parameter it binds, the loop it repeats or ends."""
    parts: list[str] = []
    if edge.kind == "error":
        parts.append("on " + (", ".join(legible(describe_type(error)) for error in edge.errors) or "failure"))
    if edge.when is not None:
        parts.append(clipped(legible(edge.when.label), _LABEL_LIMIT))
    if param is not None:
        parts.append(f"as {legible(param)}")
    if edge.kind == "cap":
        parts.append("at the cap" if cap is None else f"at the cap of {cap}")
    if edge.exit == "latest":
        parts.append("(latest)")
    lines = wrapped(" ".join(parts), _LABEL_WIDTH, 2 * _LABEL_LIMIT) if parts else ()
    if not loops or edge.kind == "cap":
        return lines
    mark = "↺" if cap is None else f"↺ ≤ {cap}"
    if lines and len(lines[-1]) + len(mark) < _LABEL_WIDTH:
        return (*lines[:-1], f"{lines[-1]} {mark}")
    return (*lines, mark)


def _wait(wait: Wait) -> str:
    return f"first {wait.k}" if isinstance(wait, Quorum) else wait


def _map(spec: MapSpec) -> tuple[str, ...]:
    parts = ["⁂ each item"]
    if spec.limit is not None:
        parts.append(f"{spec.limit} at a time")
    if spec.wait != "all":
        parts.append(f"{_wait(spec.wait)} only")
    first = ", ".join(parts)
    match spec.on_error:
        case "fail":
            return (first,)
        case "collect":
            return (first, "collects failures")
        case "skip":
            return (first, "skips failures")
        case _ as never:
            assert_never(never)


def _given(definition: Definition, tp: Any) -> tuple[str, ...]:
    """A type of a graph's own, if it is known: one that was rebuilt from a log has none."""
    return () if "blueprint" in definition.metadata else _typed(tp)


def _typed(tp: Any) -> tuple[str, ...]:
    if tp is EMPTY or tp is Any:
        return ()
    return wrapped(clipped(legible(describe_type(tp)), _TYPE_LIMIT), _LABEL_WIDTH, _TYPE_LIMIT)
