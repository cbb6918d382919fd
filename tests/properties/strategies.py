"""Hypothesis strategies of random workflows. Tuned so that most of them compile; refuses nothing itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypeAlias

from hypothesis import strategies as st

from loomgraph.compile.compiled import check_definition
from loomgraph.compile.nest import find_nest
from loomgraph.compile.resolve import resolve
from loomgraph.graph.builder import Builder
from loomgraph.graph.definition import Definition
from tests.properties.workflows import Back, Link, Part, Spec, Test, build

__all__ = ["specs"]

Shape: TypeAlias = Literal["plain", "list"]

# what each node is joined from, where one node feeds two joins that feed a third: chance alone hardly draws that
_RACES = ((-1,), (0,), (0,), (0,), (0,), (1, 2), (1, 3), (4, 5, 6))


@st.composite
def specs(
    draw: st.DrawFn, name: str = "w", *, size: int = 7, nested: bool = True, early: bool = False, failing: bool = True
) -> Spec:
    """A random workflow of 2 to `size` nodes. `early`: some joins and maps are early; `failing` lets nodes fail."""
    count = draw(st.integers(2, size))
    pairs = _forward(draw, count)
    races = early and size > 3 and draw(st.integers(0, 3)) == 0
    if races:
        count, pairs = len(_RACES), [(source, node) for node, into in enumerate(_RACES) for source in into]
    backs = _backward(draw, count, pairs)
    sinks: set[int] = set()
    for node in range(count):
        if not any(source == node for source, _ in pairs) and (
            not any(source == node for source, _ in backs) or (node, node) in backs or draw(st.booleans())
        ):
            if draw(st.integers(0, 3)) or any(source == node for source, _ in backs):
                pairs.append((node, -2))
            else:
                sinks.add(node)
    if not any(target == -2 for _, target in pairs):
        pairs.append((count - 1, -2))
        sinks.discard(count - 1)
    pairs = sorted(set(pairs))
    state = draw(st.booleans())
    fails = failing and draw(st.integers(0, 2)) == 0
    shapes = [_shape(draw, node, pairs, backs, early) for node in range(count)]
    if races:
        waits = (1, 1, draw(st.integers(2, 3)))
        shapes[5:] = [replace(p, shape="list", wait=wait) for p, wait in zip(shapes[5:], waits, strict=True)]
    parts = [_part(draw, name, node, pairs, shapes[node], state, nested, early) for node in range(count)]
    parts = [replace(p, sink=n in sinks and p.graph is None and p.map is None) for n, p in enumerate(parts)]
    pairs += [(node, -2) for node in sinks if not parts[node].sink]
    if fails:
        parts = [replace(p, fails=draw(st.sampled_from([0, 0, 1, 3]))) if p.graph is None else p for p in parts]
    parts = [replace(part, required=part.required and _certain(parts, node, pairs)) for node, part in enumerate(parts)]
    _feed_maps(parts, pairs, backs)
    into_end = sum(target == -2 for _, target in pairs)
    end: Shape = "list" if into_end > 1 and draw(st.integers(0, 5)) else "plain"
    wait = draw(st.integers(1, into_end)) if early and end == "list" and draw(st.integers(0, 2)) == 0 else 0
    links = [link for node in range(-1, count) for link in _links(draw, node, parts, end, pairs, backs)]
    optional = draw(st.integers(0, 3)) > 0
    spec = Spec(name, tuple(parts), tuple(links), end=end, wait=wait, state=state, optional=optional)
    return _extras(draw, spec, backs, fails)


def _forward(draw: st.DrawFn, count: int) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = [(-1, 0)]
    for node in range(1, count):
        sources = draw(st.lists(st.integers(max(-1, node - 3), node - 1), min_size=1, max_size=3, unique=True))
        if sources != [-1] or draw(st.booleans()):
            pairs += [(source, node) for source in sorted(sources)]
        else:
            pairs.append((node - 1, node))
    return pairs


def _reach(pairs: list[tuple[int, int]], start: int) -> set[int]:
    found, work = {start}, [start]
    while work:
        here = work.pop()
        more = [target for source, target in pairs if source == here and target not in found]
        found.update(more)
        work.extend(more)
    return found


def _backward(draw: st.DrawFn, count: int, pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Edges against the order of declaration; most of them close a loop."""
    closing = [(source, target) for target in range(count) for source in sorted(_reach(pairs, target)) if source >= 0]
    backs: list[tuple[int, int]] = []
    for _ in range(draw(st.sampled_from([1, 0, 1, 2, 0, 3]))):
        if draw(st.integers(0, 15)):
            back = draw(st.sampled_from(closing))
        else:
            source = draw(st.integers(0, count - 1))
            back = (source, draw(st.integers(0, source)))
        if back not in backs:
            backs.append(back)
    return backs


def _shape(draw: st.DrawFn, node: int, pairs: list[tuple[int, int]], backs: list[tuple[int, int]], early: bool) -> Part:
    ahead = sum(target == node for _, target in pairs)
    again = sum(target == node for _, target in backs)
    shapes: list[Literal["plain", "list", "named"]] = ["list", "list", "list", "named", "named", "plain"]
    if early:
        shapes = ["list", *shapes, "list"]
    shape: Literal["plain", "list", "named"] = draw(st.sampled_from(shapes)) if ahead > 1 else "plain"
    if shape == "plain" and (-1, node) in pairs:
        shape = "list"  # START is always taken
    part = Part(
        "",
        shape=shape,
        required=draw(st.integers(0, 7)) == 0,
        again=draw(st.sampled_from(["list", "plain"])) if again > 1 else "plain",
    )
    if early and ahead > 1 and shape == "list":
        part = replace(part, wait=min(draw(st.sampled_from([1, 2, 1, 1, 3, 1])), ahead))
    return part


def _part(
    draw: st.DrawFn,
    name: str,
    node: int,
    pairs: list[tuple[int, int]],
    shape: Part,
    state: bool,
    nested: bool,
    early: bool,
) -> Part:
    part = replace(shape, name=f"{name}{node}", tries=draw(st.sampled_from([1, 1, 1, 1, 1, 2])))
    kind = draw(st.integers(0, 11))
    if kind == 0 and part.shape != "named" and part.wait == 0 and all(s >= 0 for s, t in pairs if t == node):
        on_error = draw(st.sampled_from(["fail", "collect", "skip"]))
        part = replace(part, map=on_error, items=draw(st.integers(0, 3)) if early else 0)
        if nested and draw(st.integers(0, 2)) == 0:
            return replace(part, graph=draw(specs(f"{part.name}n", size=2, nested=False)))
    elif kind == 1 and nested and part.shape != "named":
        return replace(part, graph=draw(specs(f"{part.name}n", size=3, nested=False, early=early)))
    elif kind == 2:
        part = replace(part, sync=True)
    writes: tuple[str, ...] = ()
    if state:
        writes = draw(st.sampled_from([(), ("log",), ("log",), ("mixed", "log"), ("log", "log"), ("last", "log")]))
    return replace(part, writes=writes, sees=draw(st.integers(0, 3)) > 0)


def _certain(parts: list[Part], node: int, pairs: list[tuple[int, int]]) -> bool:
    """Whether nothing gives the node None: neither START nor a nested graph that may end without a result."""
    return all(source >= 0 and parts[source].graph is None for source, target in pairs if target == node)


def _feed_maps(parts: list[Part], pairs: list[tuple[int, int]], backs: list[tuple[int, int]]) -> None:
    """A map with plain in-edges takes lists, so what feeds it gives lists; what cannot makes it an ordinary node."""
    for node, part in enumerate(parts):
        if part.map is None:
            continue
        feeding = [s for s, t in (*pairs, *backs) if t == node and (part.shape == "plain" or (s, t) in backs)]
        if any(s < 0 or parts[s].graph is not None or parts[s].map is not None for s in feeding):
            parts[node] = replace(part, map=None, items=0)
            continue
        for source in feeding:
            parts[source] = replace(parts[source], spread=True)


def _links(
    draw: st.DrawFn,
    node: int,
    parts: list[Part],
    end: Shape,
    pairs: list[tuple[int, int]],
    backs: list[tuple[int, int]],
) -> list[Link]:
    """The links out of one node, with conditions that leave somewhere to go in most cases."""
    ahead = [target for source, target in pairs if source == node]
    again = [target for source, target in backs if source == node]
    links = [Link(node, target) for target in ahead]
    links += [Link(node, target) for target in again]
    if len(links) < 2:
        return links
    number = len(links)
    styles = ["split", "literal", "route", "some"] if again else ["all", "all", "split", "some", "route"]
    style = draw(st.sampled_from(styles if node >= 0 else ["all", "all", "some"]))
    if node >= 0 and (parts[node].spread or parts[node].graph or parts[node].map):
        style = {"literal": "split", "route": "split"}.get(style, style)
    tests: list[Test] = [None] * number
    if style == "split":
        owner = draw(st.lists(st.integers(0, number - 1), min_size=6, max_size=6))
        tests = [tuple(r for r in range(6) if owner[r] == i) for i in range(number)]
    elif style in ("literal", "route"):
        tests = [*range(number - 1), "otherwise"]
    elif style == "some":
        tests = [tuple(draw(st.lists(st.integers(0, 5), max_size=4, unique=True))) for _ in range(number)]
        tests[draw(st.integers(0, number - 1))] = "otherwise"
        if not again and number > 2 and draw(st.booleans()):
            tests[draw(st.integers(0, number - 1))] = None
    links = [replace(link, when=test) for link, test in zip(links, tests, strict=True)]
    if style == "route" and all(_takes_plain(parts, end, link) for link in links):
        links = [replace(link, route=True) for link in links]
    return links


def _takes_plain(parts: list[Part], end: Shape, link: Link) -> bool:
    if link.target == -2:
        return end == "plain"
    part = parts[link.target]
    return (part.shape if link.source < link.target else part.again) == "plain"


def _extras(draw: st.DrawFn, spec: Spec, backs: list[tuple[int, int]], fails: bool) -> Spec:
    """Loop settings, landing nodes at caps, edges that may be overtaken, and handlers of failures."""
    parts, links = list(spec.parts), list(spec.links)
    errors: list[tuple[int, int]] = []
    if fails:
        for node in range(len(spec.parts)):
            if draw(st.integers(0, 2)) == 0 and (parts[node].fails or parts[node].graph is not None):
                handler = len(parts)
                parts.append(Part(f"{spec.name}err{handler}"))
                errors.append((node, handler))
                later = [t for s, t in ((k.source, k.target) for k in links) if s == node and t != -2]
                goal = later[0] if later and draw(st.booleans()) else -2
                if goal >= 0 and (
                    sum(k.target == goal for k in links) > 1
                    or parts[goal].shape != "plain"
                    or parts[goal].map is not None
                ):
                    goal = -2
                links.append(Link(handler, goal))
    if backs and draw(st.integers(0, 3)) == 0:
        links = [replace(k, exit="latest") if not k.route and draw(st.integers(0, 2)) == 0 else k for k in links]
    spec = replace(spec, parts=tuple(parts), links=tuple(links), errors=tuple(errors))
    return _capped(draw, _repaired(spec))


def _repaired(spec: Spec) -> Spec:
    """Alternatives that compile() knows to be taken together become a join, so that fewer workflows are refused."""
    findings = check_definition(build(spec, compiled=_hollow).define())
    clashing = {name for finding in findings if finding.rule == "ambiguous-input" for name in finding.nodes[:1]}
    parts = [replace(p, shape="list", again="list") if p.name in clashing and p.map is None else p for p in spec.parts]
    joined = {index for index, part in enumerate(parts) if part.name in clashing} | (
        {-2} if "END" in clashing else set()
    )
    links = [
        replace(k, route=False)
        if any(o.route and o.source == k.source and o.target in joined for o in spec.links)
        else k
        for k in spec.links
    ]
    return replace(spec, parts=tuple(parts), links=tuple(links), end="list" if "END" in clashing else spec.end)


def _capped(draw: st.DrawFn, spec: Spec) -> Spec:
    """A cap for every loop that the links make, and for some of them a node to go to at the cap."""
    parts, links = list(spec.parts), list(spec.links)
    loops: list[Back] = []
    definition, _ = resolve(build(spec, compiled=_hollow).define())
    for region in find_nest(definition).regions[1:]:
        assert region.header is not None
        landing = None
        if draw(st.integers(0, 2)) == 0:
            landing = len(parts)
            parts.append(Part(f"{spec.name}cap{landing}"))
            links.append(Link(landing, -2))
        loops.append(Back((region.header,), cap=draw(st.sampled_from([3, 2, 4, 5, 1, 25])), on_cap=landing))
    return replace(spec, parts=tuple(parts), links=tuple(links), loops=tuple(loops))


class _Hollow:
    """Stands for a nested graph where only the edges around it matter."""

    def __init__(self, definition: Definition) -> None:
        self.definition, self.fingerprint = definition, ""

    def __loomgraph_embed__(self) -> Any:
        return self


def _hollow(nested: Builder) -> _Hollow:
    return _Hollow(resolve(nested.define())[0])
