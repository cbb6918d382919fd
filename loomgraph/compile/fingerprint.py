"""Fingerprints: whether a node, or a graph, still means what it meant. The same in every process and Python version.

Part of it: names, types with their fields, source text, nested graphs, edges with their conditions, joins, maps, the
state model. No part of it: caps, limits, timeouts, retries, caches, tags, docs outside the code. `version=` on a
node replaces its source. A callable object may say itself what it is, with a method `__loomgraph_fingerprint__()`
that returns text.

What a function reads from elsewhere (globals, other modules) is not followed. What it closes over is, as far as that
is text, numbers, types, functions or tuples of these.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import types
import typing
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from loomgraph.compile.shapes import is_typed_dict, is_union, origin_args
from loomgraph.compile.source import code_text
from loomgraph.graph.condition import Condition
from loomgraph.graph.definition import Definition, EdgeDef, FunctionBody, JoinDef, LoopDef, NodeDef
from loomgraph.graph.policy import MapSpec, Quorum, Wait
from loomgraph.graph.refs import Ref
from loomgraph.graph.signature import EMPTY, Signature
from loomgraph.graph.state import StateSpec

__all__ = [
    "FORMAT",
    "callable_mark",
    "condition_mark",
    "graph_fingerprint",
    "graph_types",
    "node_fingerprint",
    "node_marks",
    "state_marks",
]

_MARK = 16

FORMAT = "loomgraph-fingerprint-1"
"""Changes when the same graph gets another fingerprint from a newer loomgraph."""


def node_fingerprint(node: NodeDef) -> str:
    """64 hex digits for what the node is: name, kind, types, code or nested graph, and how it maps."""
    if isinstance(node.body, FunctionBody):
        code = f"version {node.version}" if node.version is not None else _callable_text(node.body.fn, ())
    else:
        code = f"graph {node.body.graph.fingerprint}"
    return _digest("node", node.name, _signature_text(node.signature), code, _map_text(node.map))


def graph_fingerprint(definition: Definition) -> str:
    """64 hex digits for what a resolved definition means."""
    # END and START come last, as their indexes say
    names = [*(node.name for node in definition.nodes), "END", "START"]

    def name_of(ref: Ref) -> str:
        return ref if isinstance(ref, str) else names[ref]

    return _digest(
        "graph",
        definition.name,
        _type_text(definition.input),
        _type_text(definition.output),
        *(node_fingerprint(node) for node in definition.nodes),
        *(_edge_text(edge, name_of) for edge in definition.edges),
        *(_join_text(join, name_of) for join in definition.joins),
        *(_loop_text(loop, name_of) for loop in definition.loops if loop.header is not None or loop.include),
        "" if definition.state is None else _state_text(definition.state),
    )


def node_marks(node: NodeDef) -> tuple[str, str]:
    """What the node does, whatever it is called, and what it takes and gives: 16 hex digits each."""
    signature, mapped = _signature_text(node.signature), _map_text(node.map)
    if isinstance(node.body, FunctionBody):
        code = f"version {node.version}" if node.version is not None else _callable_text(node.body.fn, ())
    else:
        code = f"graph {node.body.graph.fingerprint}"
    return _digest("does", signature, code, mapped)[:_MARK], _digest("types", signature, mapped)[:_MARK]


def condition_mark(edge: EdgeDef) -> str:
    """What a conditional edge asks: 16 hex digits."""
    when = "" if edge.when is None else _condition_text(edge.when)
    return _digest("when", when, str(edge.choice))[:_MARK]


def graph_types(definition: Definition) -> str:
    """What the graph takes and gives: 16 hex digits."""
    return _digest("types", _type_text(definition.input), _type_text(definition.output))[:_MARK]


def state_marks(state: StateSpec) -> tuple[str, str]:
    """What the state is, and which types its fields have: 16 hex digits each. The first knows reducers and defaults."""
    fields = state.model.model_fields
    types = [f"{name}:{_type_text(info.annotation)}" for name, info in fields.items()]
    defaults = [f"{name}={_default_text(info.default)}" for name, info in fields.items()]
    return _digest("state", _state_text(state), *defaults)[:_MARK], _digest("fields", *types)[:_MARK]


def _default_text(value: Any) -> str:
    try:
        return to_json(value).decode()
    except (PydanticSerializationError, ValueError):  # not plain data: its class has to do
        return _value_text(value, ())


def _digest(*parts: str) -> str:
    made = [FORMAT.encode()]
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        made += (b"%d:" % len(data), data)  # lengths, so that parts cannot run into each other
    return hashlib.sha256(b"".join(made)).hexdigest()


# ---------------------------------------------------------------------- parts of a graph


def _edge_text(edge: EdgeDef, name_of: Callable[[Ref], str]) -> str:
    when = "" if edge.when is None else _condition_text(edge.when)
    errors = ",".join([error.__qualname__ for error in edge.errors])
    ends = f"{name_of(edge.source)!r}>{name_of(edge.target)!r}"
    return f"edge {ends} {edge.kind} {when} {edge.choice} {errors} {edge.exit}"


def _condition_text(condition: Condition) -> str:
    match condition.kind:
        case "type":
            return f"type {_type_text(condition.subject)}"
        case "literal":
            return f"literal {_value_text(condition.subject, ())}"
        case "predicate":
            return f"predicate {_callable_text(condition.subject, ())}"
        case "otherwise":
            return "otherwise"
        case _ as never:
            typing.assert_never(never)


def _join_text(join: JoinDef, name_of: Callable[[Ref], str]) -> str:
    members = ",".join([f"{member.edge}={member.param}" for member in join.members])
    return f"join {name_of(join.target)!r} {members} {_wait_text(join.wait)}"


def _wait_text(wait: Wait) -> str:
    return f"quorum {wait.k}" if isinstance(wait, Quorum) else wait


def _loop_text(loop: LoopDef, name_of: Callable[[Ref], str]) -> str:
    header = "" if loop.header is None else repr(name_of(loop.header))
    return f"loop {[name_of(ref) for ref in loop.nodes]!r} {header} {[name_of(ref) for ref in loop.include]!r}"


def _map_text(spec: MapSpec | None) -> str:
    return "" if spec is None else f"map {spec.on_error} {_wait_text(spec.wait)}"


def _state_text(state: StateSpec) -> str:
    fields: list[str] = []
    for name, info in state.model.model_fields.items():
        reducer = _callable_text(state.reducers[name], ()) if name in state.reducers else ""
        fields.append(f"{name} {_type_text(info.annotation)} {reducer}")
    return "state\n" + "\n".join(fields)


def _signature_text(signature: Signature) -> str:
    params = [
        f"{param.name}{'' if param.required else '?'}{'*' if param.keyword_only else ''}:{_type_text(param.type)}"
        for param in signature.params
    ]
    return f"({', '.join(params)}) -> {_type_text(signature.output)} {signature.style} {signature.context or ''}"


# ---------------------------------------------------------------------- types


def _type_text(tp: Any) -> str:
    """A type as canonical text: unions sorted, `typing` spellings as the builtin ones, data classes with fields."""
    try:
        return _cached_type_text(tp)
    except TypeError:  # unhashable metadata
        return _spell(tp, ())


@functools.lru_cache(maxsize=20_000)
def _cached_type_text(tp: Any) -> str:
    return _spell(tp, ())


def _spell(tp: Any, inside: tuple[Any, ...]) -> str:
    if tp is EMPTY or tp is Any:
        return "Any"
    if tp is None or tp is types.NoneType:
        return "None"
    if isinstance(tp, type):
        return _class_text(tp, inside)
    if isinstance(tp, str):
        return f"'{tp}'"
    if isinstance(tp, typing.ForwardRef):
        return f"'{tp.__forward_arg__}'"
    if is_union(tp):
        return "|".join(sorted({_spell(arm, inside) if inside else _type_text(arm) for arm in typing.get_args(tp)}))
    if typing.get_origin(tp) is Literal:
        return f"Literal[{','.join(sorted(_value_text(value, ()) for value in typing.get_args(tp)))}]"
    if typing.get_origin(tp) is typing.Annotated:
        return _spell(typing.get_args(tp)[0], inside)  # metadata has no text that is the same everywhere
    if isinstance(tp, typing.NewType):
        return f"{tp.__name__}={_spell(tp.__supertype__, inside)}"
    return _class_text(tp, inside)


def _class_text(tp: Any, inside: tuple[Any, ...]) -> str:
    origin, args = origin_args(tp)
    name = str(getattr(origin, "__qualname__", None) or getattr(origin, "__name__", None) or type(origin).__name__)
    if args:
        inner = ",".join(_spell_argument(arg, inside) for arg in args)
        name = f"{name}[{inner}]"
    return name + _fields_text(tp, inside)


def _spell_argument(arg: Any, inside: tuple[Any, ...]) -> str:
    if arg is Ellipsis:
        return "..."
    if isinstance(arg, list):
        return f"[{','.join(_spell(item, inside) for item in _items(arg))}]"
    return _spell(arg, inside)


def _fields_text(tp: Any, inside: tuple[Any, ...]) -> str:
    """The fields of a model, dataclass, TypedDict or Enum, so that a changed one changes what it is part of."""
    if not _is_class(tp) or tp in inside:
        return ""
    deeper: tuple[Any, ...] = (*inside, tp)
    if issubclass(tp, enum.Enum):
        return f"<{','.join(f'{member.name}={_value_text(member.value, ())}' for member in tp)}>"
    fields: dict[str, Any] = {}
    if issubclass(tp, BaseModel):
        fields = {name: info.annotation for name, info in tp.model_fields.items()}
    elif dataclasses.is_dataclass(tp) or is_typed_dict(tp):
        fields = _hints(tp)
    else:
        return ""
    return f"{{{','.join(f'{name}:{_spell(field, deeper)}' for name, field in fields.items())}}}"


def _items(value: Any) -> list[Any]:
    return list(value)


def _is_class(tp: Any) -> bool:
    return isinstance(tp, type)


def _hints(tp: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(tp)
    except Exception:  # names that cannot be resolved from here
        return dict(getattr(tp, "__annotations__", {}))


# ---------------------------------------------------------------------- code and values


def callable_mark(fn: Any) -> str:
    """What a callable means, for whoever gives a `__loomgraph_fingerprint__` of its own: its code and what is bound."""
    return _digest(_callable_text(fn, ()))


def _callable_text(fn: Any, inside: tuple[int, ...]) -> str:
    """A callable by its source and by what is bound to it; by its name where there is no source."""
    own = _attribute(fn, "__loomgraph_fingerprint__")
    if own is not None and not isinstance(fn, type):
        return f"own {own()}"
    if id(fn) in inside:
        return "itself"
    deeper = (*inside, id(fn))
    if isinstance(fn, functools.partial):
        args = ",".join(_value_text(value, deeper) for value in fn.args)
        keywords = ",".join(f"{name}={_value_text(value, deeper)}" for name, value in sorted(fn.keywords.items()))
        return f"partial {_callable_text(fn.func, deeper)} ({args};{keywords})"
    if isinstance(fn, types.MethodType):
        return f"method {_callable_text(fn.__func__, deeper)} of {_object_text(fn.__self__, deeper)}"
    if isinstance(fn, types.FunctionType):
        text = code_text(fn.__code__)
        return f"source {text}{_closure_text(fn, deeper)}" if text is not None else _path(fn)
    if isinstance(fn, type):
        init = fn.__dict__.get("__init__")
        made = code_text(init.__code__) if isinstance(init, types.FunctionType) else None
        return f"class {_spell(fn, ())} {made or ''}"
    called = _attribute(type(fn), "__call__")
    if isinstance(called, types.FunctionType):
        return f"object {_object_text(fn, deeper)} {_callable_text(called, deeper)}"
    return _path(fn)


def _attribute(holder: Any, name: str) -> Any:
    return getattr(holder, name, None)


def _path(fn: Any) -> str:
    return f"name {getattr(fn, '__module__', '')}.{getattr(fn, '__qualname__', type(fn).__qualname__)}"


def _closure_text(fn: types.FunctionType, inside: tuple[int, ...]) -> str:
    found: list[str] = []
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            found.append(f"{name}={_value_text(cell.cell_contents, inside)}")
        except ValueError:  # not assigned yet
            found.append(f"{name} unset")
    return "\n" + ",".join(found) if found else ""


def _object_text(value: Any, inside: tuple[int, ...]) -> str:
    """An object by its class and its plain attributes; what it points to beyond that is not part of it."""
    if isinstance(value, type):
        return _spell(value, ())
    held = sorted(getattr(value, "__dict__", {}).items())
    return f"{type(value).__qualname__}({','.join(f'{name}={_value_text(item, inside)}' for name, item in held)})"


def _value_text(value: Any, inside: tuple[int, ...]) -> str:
    """A value that cannot change, as text; anything else by its type, as it may differ at every look."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__qualname__}.{value.name}"
    if value is None or type(value) in (bool, int, float, str, bytes):
        return repr(value)
    if isinstance(value, tuple):
        return f"({','.join(_value_text(item, inside) for item in _items(value))})"
    if isinstance(value, frozenset):
        return f"frozenset({','.join(sorted(_value_text(item, inside) for item in _items(value)))})"
    if isinstance(value, type):
        return f"type {_spell(value, ())}"
    if isinstance(value, (types.FunctionType, types.MethodType, functools.partial)):
        return _callable_text(value, inside) if len(inside) < 10 else "a function"
    if typing.get_origin(value) is not None:
        return f"type {_spell(value, ())}"
    return f"a {type(value).__qualname__}"
