"""What is taken together and what is not: ambiguous alternatives, joins that miss a member, loops that never end.

Says "both" and "may be skipped" only where the guards prove it, or fail to prove the contrary of the latter; what
cannot be decided here is left to the run, which names the same edges.
"""

from __future__ import annotations

from collections.abc import Iterator

from loomgraph.compile.checks.flow import Flow, Unmet
from loomgraph.compile.checks.loops import regions_left
from loomgraph.compile.checks.view import GraphView, listed
from loomgraph.compile.nest import ROOT, Nest
from loomgraph.compile.types import admits_none
from loomgraph.errors import Finding
from loomgraph.graph.definition import EdgeDef, JoinDef
from loomgraph.graph.signature import describe_type

__all__ = ["fate_checks"]


def fate_checks(view: GraphView, nest: Nest) -> Iterator[Finding]:
    """Findings about which edges can be taken together. Needs a graph whose every node can be reached."""
    if not view.definition.joins and len(nest.regions) == 1 and all(len(edges) < 2 for edges in view.into):
        return

    def required(join: JoinDef) -> frozenset[str]:
        if isinstance(join.target, str) or join.target < 0:
            return frozenset()
        params = view.definition.nodes[join.target].signature.params
        return frozenset(p.name for p in params if p.required and not admits_none(p.type))

    flow = Flow(view, nest, required)
    edges = view.definition.edges
    for target, param, a, b in flow.ambiguous:
        if not _same(edges[a], edges[b]):
            yield _ambiguous(view, target, param, edges[a], edges[b])
    for unmet in flow.unmet:
        yield _unmet(view, nest, unmet)
    forever: set[int] = set()
    left = regions_left(view, nest) if flow.endless else []
    for region in flow.endless:
        if nest.regions[region].cap_edge is None:
            forever.add(region)
            if left[region]:
                yield _endless(view, nest, region)
    for region, leaving, back in flow.overtaken:
        if region not in forever:
            yield _overtaken(view, nest, region, edges[leaving], edges[back])


def _same(a: EdgeDef, b: EdgeDef) -> bool:
    """Whether it is one edge declared twice, which has a finding of its own."""
    if a.source != b.source or a.kind != b.kind or a.join != b.join:
        return False
    if a.when is None or b.when is None:
        return a.when is b.when
    return a.when.kind == b.when.kind and bool(a.when.subject == b.when.subject)


def _ambiguous(view: GraphView, target: int, param: str | None, a: EdgeDef, b: EdgeDef) -> Finding:
    name = view.say(target)
    where = name if param is None else f"parameter '{param}' of {name}"
    if a.source == b.source:
        remedy = f"Make the two exclusive with when=; or use wf.route({view.say(a.source)}, ...), which takes one."
    else:
        members = f"[{view.say(a.source)}, {view.say(b.source)}]"
        remedy = (
            f'For "all of these" write wf.join({members}, into={name}), which brings a list. '
            f'For "one of these" make the branches exclusive with when=.'
        )
        if param is not None:
            remedy = "Make the two branches exclusive with when=, or bind them to different parameters."
        elif a.join is not None or b.join is not None:
            remedy = "A join is one alternative: make it and the other exclusive with when=, or put all into one join."
    return Finding(
        "ambiguous-input",
        f"{where} is given a value by {_alternative(view, a, param)} and by {_alternative(view, b, param)} in one "
        f'pass, but {"plain edges" if param is None else "members of one parameter"} mean "one of these"',
        remedy,
        view.named(target, a.source, b.source),
    )


def _alternative(view: GraphView, edge: EdgeDef, param: str | None) -> str:
    if edge.join is None or param is not None:
        return view.say(edge.source)
    members = view.definition.joins[edge.join].members
    return f"the join of {listed(view.say(view.definition.edges[m.edge].source) for m in members)}"


def _unmet(view: GraphView, nest: Nest, unmet: Unmet) -> Finding:
    join = view.definition.joins[unmet.join]
    assert isinstance(join.target, int)
    node = view.definition.nodes[join.target]
    lacking = [view.definition.edges[m.edge] for m in join.members if m.param in unmet.params]
    others = [view.definition.edges[m.edge] for m in join.members if m.param not in unmet.params]
    region = nest.region_of[join.target]
    param = next(p for p in node.signature.params if p.name == unmet.params[0])
    shown = listed(f"'{name}'" for name in unmet.params)
    outside = [edge for edge in lacking if not view.inside(edge.source, region)]
    sources = [view.definition.edges[m.edge].source for m in join.members]
    if region != ROOT and outside and any(view.inside(source, region) for source in sources):
        given = listed(f"'{name}'" for name in dict.fromkeys(view.param[edge.index] or "" for edge in outside))
        one = len(outside) == 1
        what = (
            f"the join into '{node.name}' needs {given} in every iteration of the loop at "
            f"{view.say(nest.regions[region].header or 0)}, but {listed(view.say(edge.source) for edge in outside)} "
            f"{'is outside the loop and gives it' if one else 'are outside the loop and give it'} in the first "
            f"iteration only"
        )
        remedy = "Carry it along in the value that goes round the loop, or keep it in the workflow's state."
    else:
        rest = others or lacking[1:]
        what = (
            f"the join into '{node.name}' needs {shown}, but {listed(_branch(view, edge) for edge in lacking)} may be "
            f"skipped while {listed(_branch(view, edge) for edge in rest)} is not"
        )
        remedy = (
            f"Let '{node.name}' do without it, {param.name}: {describe_type(param.type)} | None; or join into one "
            f"list; or give '{param.name}' a member on every branch."
        )
    return Finding("join-of-skippable", what, remedy, view.named(join.target, *(edge.source for edge in lacking)))


def _branch(view: GraphView, edge: EdgeDef) -> str:
    return view.say(edge.source) if edge.when is None else f"{view.say(edge.source)} ({edge.when.label})"


def _endless(view: GraphView, nest: Nest, region: int) -> Finding:
    loop = nest.regions[region]
    back = listed(view.say_edge(view.definition.edges[e]) for e in loop.back_edges)
    one = len(loop.back_edges) == 1
    first = view.definition.edges[loop.back_edges[0]]
    again = "give those edges a when= that may fail to match"
    if one and first.when is None and first.join is None and first.kind == "normal":
        again = f"wf.edge({view.say(first.source)}, {view.say(first.target)}, when=...)"
    return Finding(
        "endless-loop",
        f"the loop at {view.say(loop.header or 0)} never ends: in every iteration {back} "
        f"{'is' if one else 'or another of them is'} taken",
        f"Say when to go round again: {again}; or where to go at the cap: "
        f"wf.loop({view.say(loop.header or 0)}, on_cap=...).",
        view.named(*sorted(nest.body(region))),
    )


def _overtaken(view: GraphView, nest: Nest, region: int, leaving: EdgeDef, back: EdgeDef) -> Finding:
    header = view.say(nest.regions[region].header or 0)
    ways = ["make the two exclusive with when="]
    plain = leaving.kind == back.kind == "normal" and leaving.when is None and leaving.join is None
    alone = back.choice is None and back.when is not None and back.when.kind != "otherwise"
    if plain and alone and leaving.source == back.source:
        written = f"wf.edge({view.say(leaving.source)}, {view.say(leaving.target)}, when=OTHERWISE)"
        ways = [f"leave only when the other edge is not taken, {written}"]
    if leaving.kind == "normal" and leaving.join is None:
        ways.append('keep the latest value with wf.edge(..., exit="latest")')
    if isinstance(leaving.target, int) and leaving.target >= 0 and not view.out[leaving.target]:
        side = view.say(leaving.target)
        ways.append(f"take {side} into the loop, wf.loop({header}, include=[{side}])")
    remedy = "; or ".join(ways)
    return Finding(
        "exit-overtaken",
        f"the edge {view.say_edge(leaving)} leaves the loop at {header} in an iteration in which {view.say_edge(back)} "
        f"goes round again, so its value would be lost",
        f"{remedy[0].upper()}{remedy[1:]}.",
        view.named(leaving.source, leaving.target),
    )
