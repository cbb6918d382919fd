"""Loops as they were declared: caps, headers, exits, `on_cap`, side nodes. Which edges are taken is not looked at."""

from __future__ import annotations

from collections.abc import Iterator

from loomgraph.compile.checks.view import GraphView, listed
from loomgraph.compile.nest import ROOT, Nest, Region
from loomgraph.errors import Finding
from loomgraph.graph.definition import LoopDef
from loomgraph.graph.refs import START_INDEX, Ref

__all__ = ["loop_checks", "regions_left"]

_MOST = 10  # loops with several entries that are told of one by one


def loop_checks(view: GraphView, nest: Nest) -> Iterator[Finding]:
    """Findings about the loop nest and its settings; linear in edges for each level of nesting."""
    yield from _caps(view, nest)
    landings: dict[int, LoopDef] = {}
    for loop in view.definition.loops:
        region = nest.loop_of(loop)
        if region is None:
            yield _not_a_loop(view, loop)
            continue
        yield from _settings(view, nest, loop, region)
        if loop.on_cap is not None and landings.setdefault(region.index, loop) is not loop:
            first = landings[region.index].on_cap
            yield Finding(
                "two-on-cap",
                f"the loop at {_title(view, region)} has on_cap= twice: "
                f"{listed(view.say(ref) for ref in (first, loop.on_cap) if ref is not None)}",
                "Keep one of the two.",
                view.named(*loop.nodes),
            )
    leaves = regions_left(view, nest)
    headers = {loop.header for loop in view.definition.loops}
    tangled = [region for region in nest.regions[1:] if region.tangled and region.header not in headers]
    told = tangled[:_MOST] if len(tangled) > _MOST + 1 else tangled
    several = {region.index for region in told}
    for region in nest.regions[1:]:
        if region.entered and not leaves[region.index] and region.cap_edge is None:
            yield _without_exit(view, nest, region)
        if region.index in several:
            yield _several_entries(view, nest, region)
    if len(told) < len(tangled):
        yield _more_entries(view, tangled[len(told) :])


def _title(view: GraphView, region: Region) -> str:
    return f"'{view.names[region.header]}'" if region.header is not None else "?"


def _caps(view: GraphView, nest: Nest) -> Iterator[Finding]:
    for edge in view.definition.edges:
        if edge.cap is None or view.back_of[edge.index] != ROOT or isinstance(edge.source, str):
            continue
        known = isinstance(edge.target, int)
        around = nest.common(nest.region(edge.source), nest.region(int(edge.target))) if known else ROOT
        if around == ROOT:
            remedy = "Take cap= away, or put it on the edge that goes back."
        else:
            region = nest.regions[around]
            back = listed(view.say_edge(view.definition.edges[e]) for e in region.back_edges)
            remedy = f"Put it on the edge that goes back to the loop's header: {back}."
        yield Finding(
            "cap-without-loop",
            f"the edge {view.say_edge(edge)} has cap={edge.cap}, but it closes no loop",
            remedy,
            view.named(edge.source, edge.target),
        )
    for region in nest.regions[1:]:
        if len(region.caps_given) > 1:
            caps = listed(str(cap) for cap in sorted(region.caps_given))
            yield Finding(
                "conflicting-caps",
                f"the loop at {_title(view, region)} is given different caps: {caps}",
                "Loops that share a header are one loop with one cap. Say cap= once, or the same everywhere.",
                (view.names[region.header],) if region.header is not None else (),
            )


def _not_a_loop(view: GraphView, loop: LoopDef) -> Finding:
    shown = ", ".join(view.say(ref) for ref in loop.nodes)
    last, first = view.say(loop.nodes[-1]), view.say(loop.nodes[0])
    one = len(loop.nodes) == 1
    return Finding(
        "not-a-loop",
        f"wf.loop({shown}) names {'a node that is' if one else 'nodes that are'} not in one loop",
        f"Add the edge that goes back, wf.edge({last}, {first}, when=...), or give wf.loop again=..., which adds it.",
        view.named(*loop.nodes),
    )


def _settings(view: GraphView, nest: Nest, loop: LoopDef, region: Region) -> Iterator[Finding]:
    if loop.header is not None and region.header != loop.header:
        shown = listed(view.say(ref) for ref in loop.nodes)
        yield Finding(
            "header-conflict",
            f"{view.say(loop.header)} cannot be the header of the loop of {shown}: another wf.loop names "
            f"{_title(view, region)} as its header",
            f"Say header={_title(view, region)}, or remove the other wf.loop over these nodes.",
            view.named(*loop.nodes),
        )
    if loop.on_cap is not None:
        if loop.on_cap == START_INDEX:
            yield Finding(
                "on-cap-inside",
                f"the loop at {_title(view, region)} has on_cap=START, but a run starts once",
                "Name a node outside the loop, or END.",
                view.named(*loop.nodes),
            )
        elif view.inside(loop.on_cap, region.index):
            yield Finding(
                "on-cap-inside",
                f"the loop at {_title(view, region)} has on_cap={view.say(loop.on_cap)}, which is inside that loop",
                "Name a node outside the loop, or END: at the cap the loop is left.",
                view.named(loop.on_cap),
            )
    for ref in loop.include:
        yield from _included(view, nest, ref, region)


def _included(view: GraphView, nest: Nest, ref: Ref, region: Region) -> Iterator[Finding]:
    if isinstance(ref, str):
        return
    if ref >= 0 and ref not in region.included and nest.common(nest.region(ref), region.index) == region.index:
        return  # a part of the loop anyway
    outside = [edge for edge in view.into[ref] if not view.inside(edge.source, region.index)]
    if ref < 0 or ref not in region.included:
        why = "it is an end of the graph" if ref < 0 else "it belongs to another loop"
    elif outside:
        why = f"the edge {view.say_edge(outside[0])} enters it from outside the loop"
    elif not view.into[ref]:
        why = "no edge leads to it"
    else:
        return
    yield Finding(
        "include-not-a-side-node",
        f"wf.loop(include=[{view.say(ref)}]) cannot take it into the loop at {_title(view, region)}: {why}",
        "Include only nodes that hang off the loop's body, with all their in-edges from inside it.",
        view.named(ref),
    )


def regions_left(view: GraphView, nest: Nest) -> list[bool]:
    """For every region, whether an edge leaves it."""
    # how far out the edges that start in a region lead
    reach = [region.depth for region in nest.regions]
    for edge in view.definition.edges:
        source, target = edge.source, edge.target
        if isinstance(source, str) or isinstance(target, str) or source < 0 or edge.kind == "cap":
            continue
        region = nest.region_of[source]
        if region != ROOT and not nest.inside(target, region):
            common = nest.common(region, nest.region(target))
            reach[region] = min(reach[region], nest.regions[common].depth)
    for inner in reversed(nest.regions[1:]):
        reach[inner.parent] = min(reach[inner.parent], reach[inner.index])
    return [reach[region.index] < region.depth for region in nest.regions]


def _without_exit(view: GraphView, nest: Nest, region: Region) -> Finding:
    inside = sorted(nest.body(region.index))
    body = [view.say(node) for node in inside]
    back = view.definition.edges[region.back_edges[0]]
    return Finding(
        "loop-without-exit",
        f"no edge leaves the loop of {listed(body)}, so it can only end at its cap",
        f"Add the edge that leaves it, such as wf.edge({view.say(back.source)}, END, when=...), or say where to go at "
        f"the cap: wf.loop({body[0]}, on_cap=...).",
        view.named(*inside),
    )


def _several_entries(view: GraphView, nest: Nest, region: Region) -> Finding:
    def round_again(node: Ref) -> bool:
        """Whether it goes round with the loop, and does not just stand beside it."""
        return nest.inside(node, region.index) and region.index <= nest.sides.get(int(node), region.index) < region.stop

    body = [node for node in sorted(nest.body(region.index)) if round_again(node)]
    entered = [node for node in body if any(not round_again(edge.source) for edge in view.into[node])]
    entries = listed(view.say(node) for node in entered)
    header = _title(view, region)
    return Finding(
        "several-entries",
        f"the loop at {header} can be entered at {entries}; only edges to {header} start a new iteration",
        f"If that is meant, say so: wf.loop({header}, header={header}). Else enter the loop at one node.",
        view.named(*entered),
        "warning",
    )


def _more_entries(view: GraphView, regions: list[Region]) -> Finding:
    """Of the rest together: in a tangle each loop has others inside, all of them entered at several nodes."""
    named = [region.header for region in regions if region.header is not None]
    headers = listed(view.say(node) for node in named)
    return Finding(
        "several-entries",
        f"{len(regions)} more loops can be entered at several nodes, those at {headers}",
        "Mend the loops around them first: what is inside of them changes with that.",
        view.named(*named),
        "warning",
    )
