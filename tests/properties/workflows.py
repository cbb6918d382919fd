"""Random workflows as plain data: a `Spec` prints as the code that rebuilds it, and `build` writes it with the Builder.

What a node does is a pure function of what it can see, so an oracle and real node code give the same answers.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, TypeAlias
from zlib import crc32

from pydantic import BaseModel

from loomgraph.errors import Failure
from loomgraph.graph.builder import Branch, Builder
from loomgraph.graph.condition import condition
from loomgraph.graph.context import Context
from loomgraph.graph.policy import Quorum, Retry, Wait
from loomgraph.graph.refs import END, OTHERWISE, START
from tests.properties.outcome import Answer, Call, plain

__all__ = ["Back", "BoomError", "Link", "Part", "Spec", "State", "Test", "Value", "answer", "build", "parts"]

Value = int | list[Any] | Failure
Test: TypeAlias = Literal["otherwise"] | int | tuple[int, ...] | None
"""When an edge is taken: always, for one value, for values whose code modulo 6 is one of these, or otherwise."""
Gate: TypeAlias = Callable[[Context], Awaitable[None]]


def _append(current: list[str], more: list[str]) -> list[str]:
    return current + more


def _mix(current: int, more: int) -> int:
    return (current * 7 + more) % 1009


class State(BaseModel):
    """Two fields whose reducers care for order, and one field without a reducer."""

    log: Annotated[list[str], _append] = []
    mixed: Annotated[int, _mix] = 1
    last: int = 0


class BoomError(Exception):
    """What a node of a random workflow fails with."""


class _Brief:
    """Prints only what differs from the defaults."""

    def __repr__(self) -> str:
        declared: Any = self
        shown = [f"{f.name}={now!r}" for f in fields(declared) if (now := getattr(self, f.name)) != f.default]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # for hypothesis


@dataclass(frozen=True, repr=False)
class Part(_Brief):
    """A node. `shape` says how its forward in-edges are bound, `again` those that come back; `required` is its first
    parameter; `fails` in sixths; `writes` are state fields; `sees` whether its answer depends on key and state. `wait`
    makes the joins into it early ones, `items` its map one. `tries` are its attempts, of which a function fails all but
    the last. A `sink` gives nothing and leads nowhere.
    """

    name: str
    shape: Literal["plain", "list", "named"] = "plain"
    again: Literal["plain", "list"] = "plain"
    wait: int = 0
    map: Literal["fail", "collect", "skip"] | None = None
    items: int = 0
    graph: Spec | None = None
    required: bool = False
    spread: bool = False
    fails: int = 0
    writes: tuple[str, ...] = ()
    sees: bool = True
    sync: bool = False
    tries: int = 1
    sink: bool = False


@dataclass(frozen=True, repr=False)
class Link(_Brief):
    """A normal edge; -1 is START, -2 is END. `route`: one of the exclusive ways that wf.route makes."""

    source: int
    target: int
    when: Test = None
    route: bool = False
    exit: Literal["strict", "latest"] = "strict"


@dataclass(frozen=True, repr=False)
class Back(_Brief):
    """Settings of the loop through these nodes."""

    nodes: tuple[int, ...]
    cap: int | None = None
    on_cap: int | None = None
    include: tuple[int, ...] = ()


@dataclass(frozen=True, repr=False)
class Spec(_Brief):
    """A whole workflow. `end` says how END binds its in-edges, `wait` that it takes an early join of them; `errors` are
    (source, handler)."""

    name: str
    parts: tuple[Part, ...]
    links: tuple[Link, ...]
    errors: tuple[tuple[int, int], ...] = ()
    loops: tuple[Back, ...] = ()
    end: Literal["plain", "list"] = "plain"
    wait: int = 0
    state: bool = False
    optional: bool = True


def code(value: Any) -> int:
    """A number that is the same for equal values, in every process."""
    return crc32(repr(plain(value)).encode())


def parts(spec: Spec) -> dict[str, Part]:
    """All nodes by name, those of nested graphs included."""
    found = {part.name: part for part in spec.parts}
    for part in spec.parts:
        if part.graph is not None:
            found |= parts(part.graph)
    return found


def answer(part: Part, call: Call) -> Answer:
    """What the node's code says; raises BoomError where its behaviour says so."""
    value = call.value
    if part.shape == "named":  # an optional parameter is given nothing, or None
        value = {name: v for name, v in value.items() if v is not None} if isinstance(value, dict) else {"p0": value}
    seen = (part.name, plain(value), call.key, call.state) if part.sees else (part.name, plain(value))
    number = code(seen)
    if number // 64 % 6 < part.fails:
        raise BoomError(f"{part.name} fails")
    result: Any = [number // (6**i) % 6 for i in range(number % 4)] if part.spread else number % 6
    if part.sink:
        result = None
    writes: list[tuple[str, Any]] = []
    for field in part.writes:
        writes.append((field, [f"{call.key}={number % 6}"] if field == "log" else number % 1000))
    return Answer(result, tuple(writes))


def build(spec: Spec, gate: Gate | None = None, compiled: Callable[[Builder], Any] | None = None) -> Builder:
    """The workflow, written with the Builder. Async nodes wait at `gate`; `compiled` makes nested graphs embeddable."""
    output: Any = Value | None if spec.optional else Value
    wf = Builder(spec.name, input=Value | None, output=output, state=State if spec.state else None, on_failure="drain")
    handles: list[Any] = []
    for index, part in enumerate(spec.parts):
        retry = None if part.tries == 1 else Retry(attempts=part.tries, delay=0, on=Exception)
        if part.graph is not None:
            assert compiled is not None
            handles.append(wf.node(compiled(build(part.graph, gate, compiled)), name=part.name, retry=retry))
        else:
            handles.append(wf.node(_function(spec, index, gate), name=part.name, retry=retry))
    ends: dict[int, Any] = {-1: START, -2: END} | dict(enumerate(handles))
    for index, part in enumerate(spec.parts):
        if part.map is not None:  # MapSpec is set by wf.map, which wants an edge: the first plain or joined one
            _mapped(wf, index, part)
    for link in spec.links:
        if not link.route and not _joined(spec, link):
            wf.edge(ends[link.source], ends[link.target], when=_test(link), exit=link.exit)
    _routes(wf, spec, ends)
    for target in (*range(len(spec.parts)), -2):
        _joins(wf, spec, ends, target)
    for source, handler in spec.errors:
        narrow = spec.parts[source].graph is None and code((source, handler)) % 2
        wf.on_error(ends[source], ends[handler], BoomError if narrow else Exception)
    for loop in spec.loops:
        landing = None if loop.on_cap is None else ends[loop.on_cap]
        wf.loop(*(ends[i] for i in loop.nodes), cap=loop.cap, on_cap=landing, include=[ends[i] for i in loop.include])
    return wf


def _mapped(wf: Builder, index: int, part: Part) -> None:
    from dataclasses import replace

    from loomgraph.graph.policy import MapSpec

    assert part.map is not None
    wf._nodes[index] = replace(wf._nodes[index], map=MapSpec(on_error=part.map, wait=_wait(part.items)))


def _wait(need: int) -> Wait:
    return "all" if not need else "first" if need == 1 else Quorum(need)


def forward(link: Link) -> bool:
    """Whether a link goes on in the order of declaration."""
    return link.target == -2 or link.source < link.target


def _joined(spec: Spec, link: Link) -> bool:
    if link.target == -2:
        return spec.end == "list"
    part = spec.parts[link.target]
    return part.shape != "plain" if forward(link) else part.again == "list"


def _test(link: Link) -> Any:
    match link.when:
        case None:
            from loomgraph.graph.refs import ALWAYS

            return ALWAYS
        case "otherwise":
            return OTHERWISE
        case int():
            return link.when
        case residues:
            return lambda value: code(value) % 6 in residues


def _routes(wf: Builder, spec: Spec, ends: Mapping[int, Any]) -> None:
    for source in range(len(spec.parts)):
        ways = [link for link in spec.links if link.source == source and link.route]
        if not ways:
            continue
        otherwise = next((ends[link.target] for link in ways if link.when == "otherwise"), None)
        wf.route(ends[source], {_test(w): ends[w.target] for w in ways if w.when != "otherwise"}, otherwise=otherwise)


def _joins(wf: Builder, spec: Spec, ends: Mapping[int, Any], target: int) -> None:
    for ahead in (True, False):
        members = [k for k in spec.links if k.target == target and forward(k) is ahead and _joined(spec, k)]
        branches = [Branch(ends[k.source], None if k.when is None else condition(_test(k))) for k in members]
        if not members:
            continue
        part = None if target == -2 else spec.parts[target]
        wait = _wait(spec.wait if part is None else part.wait)
        if part is not None and part.shape == "named" and ahead:
            wf.join({f"p{i}": branch for i, branch in enumerate(branches)}, into=ends[target], wait=wait)
        else:
            wf.join(branches, into=ends[target], wait=wait)


def _function(spec: Spec, index: int, gate: Gate | None) -> Callable[..., Any]:
    """Node code with the signature that the part's inputs ask for."""
    part = spec.parts[index]
    names = ["value"]
    if part.shape == "named":
        names = [f"p{i}" for i, k in enumerate(k for k in spec.links if k.target == index and forward(k))]
    ahead = [k for k in spec.links if k.target == index and k.source < index]
    others = len([k for k in spec.links if k.target == index]) > len(ahead) or any(h == index for _, h in spec.errors)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    wanted = list[Any] if part.shape == "list" and not others and part.map is None and part.wait != 1 else Value | None
    if part.shape == "named":
        params = [inspect.Parameter(n, kind, default=None, annotation=Value | None) for n in names]
        if part.required:
            params[0] = params[0].replace(default=inspect.Parameter.empty, annotation=Value)
    else:
        params = [inspect.Parameter("value", kind, annotation=wanted)]
    params.append(inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=Context))
    returns: Any = None if part.sink else list[int] if part.spread else int
    signature = inspect.Signature(params, return_annotation=returns)

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Context, Call]:
        given = dict(signature.bind(*args, **kwargs).arguments)
        ctx: Context = given.pop("ctx")
        value = given if part.shape == "named" else given["value"]
        return ctx, Call(ctx.key, part.name, value, ctx.state.model_dump() if spec.state else None)

    def finish(ctx: Context, made: Call) -> Any:
        if ctx.attempt < part.tries:
            raise BoomError(f"attempt {ctx.attempt}")
        said = answer(part, made)
        for field, update in said.updates:
            ctx.update(**{field: update})
        return said.value

    async def waits(*args: Any, **kwargs: Any) -> Any:
        ctx, made = call(args, kwargs)
        if gate is not None:
            await gate(ctx)
        return finish(ctx, made)

    def at_once(*args: Any, **kwargs: Any) -> Any:
        return finish(*call(args, kwargs))

    fn: Any = at_once if part.sync else waits
    fn.__name__ = fn.__qualname__ = part.name
    fn.__signature__ = signature
    fn.__annotations__ = {p.name: p.annotation for p in params} | {"return": returns}
    return fn
