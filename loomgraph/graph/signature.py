"""What a callable takes and gives, read from its annotations once. Never calls it.

Anything that makes the callable unusable as a node is kept in `problems`, for compile() to report with the rest.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from loomgraph.graph.context import Context

__all__ = ["EMPTY", "Param", "Signature", "Style", "answer_type", "describe_type", "read_signature"]

EMPTY: Any = inspect.Parameter.empty
Style = Literal["async", "sync", "graph"]


@dataclass(frozen=True, slots=True)
class Param:
    """One value parameter: its name, its type (Any where unannotated), whether it must be given."""

    name: str
    type: Any
    required: bool
    keyword_only: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """The value parameters in order, the output type, and where (if at all) the Context goes.

    `style`: "async" runs on the event loop, "sync" in a worker thread, "graph" as a nested scope.
    `problems` are sentences that say why this cannot be a node.
    """

    params: tuple[Param, ...]
    output: Any
    style: Style
    context: str | None = None
    context_keyword: bool = False
    problems: tuple[str, ...] = ()

    @property
    def required(self) -> tuple[Param, ...]:
        """The parameters that have no default."""
        return tuple([p for p in self.params if p.required])

    @property
    def primary(self) -> Param | None:
        """The parameter a plain edge binds: the first required one, else the first."""
        for param in self.params:
            if param.required:
                return param
        return self.params[0] if self.params else None


def describe_type(tp: Any) -> str:
    """A type as a person writes it: `list[int]`, `Billing | Technical`, `Literal['a']`."""
    if tp is EMPTY or tp is Any:
        return "Any"
    if tp is None or tp is types.NoneType:
        return "None"
    origin = typing.get_origin(tp)
    if origin is typing.Union or origin is types.UnionType:
        return " | ".join(describe_type(arm) for arm in typing.get_args(tp))
    if origin is typing.Annotated:
        return describe_type(typing.get_args(tp)[0])
    if origin is Literal:
        return f"Literal[{', '.join(repr(arm) for arm in typing.get_args(tp))}]"
    if origin is not None:
        args = typing.get_args(tp)
        inner = ", ".join(_describe_argument(arg) for arg in args)
        name = getattr(origin, "__name__", str(origin))
        return f"{name}[{inner}]" if args else name
    name = getattr(tp, "__qualname__", None) or getattr(tp, "__name__", None) or repr(tp)
    return str(name).rpartition("<locals>.")[2]


def _describe_argument(arg: Any) -> str:
    if arg is Ellipsis:
        return "..."
    return "[...]" if isinstance(arg, list) else describe_type(arg)


def read_signature(fn: Callable[..., Any], localns: Mapping[str, Any] | None = None) -> Signature:
    """Read a callable's signature; `localns` resolves annotations that name things local to the caller.

    A callable with a `__loomgraph_signature__` has said itself what it takes and gives. Never raises for a strange
    callable: what is wrong is in `.problems`.
    """
    own = getattr(fn, "__loomgraph_signature__", None)
    if isinstance(own, Signature):
        return own
    target = _unwrapped(fn)
    problems: list[str] = []
    style: Style = "sync"
    if inspect.iscoroutinefunction(target):
        style = "async"
    elif inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        problems.append("it is a generator, which cannot be awaited for one value; return a list instead of yielding")
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        problems.append("its signature cannot be read; wrap it in a function with annotations")
        return Signature((), Any, style, problems=tuple(problems))
    hints, unresolved = _hints(target, localns)
    if unresolved:
        problems.append(f"its annotations cannot be resolved ({unresolved}); define or import that name")
    params: list[Param] = []
    context: str | None = None
    context_keyword = False
    for name, parameter in signature.parameters.items():
        annotation = hints.get(name, Any if parameter.annotation is EMPTY else parameter.annotation)
        keyword = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                problems.append(f"it takes *{name}, so nobody can say what it is given; name its parameters")
        elif _is_context(annotation):
            context, context_keyword = name, keyword
        else:
            params.append(Param(name, annotation, parameter.default is EMPTY, keyword))
    output = fn if isinstance(fn, type) else hints.get("return", Any)
    return Signature(tuple(params), output, style, context, context_keyword, tuple(problems))


def answer_type(fn: Callable[..., Any]) -> Any:
    """The type of a person's answer, for a callable that is made to ask people; EMPTY for any other."""
    return getattr(fn, "__loomgraph_answer__", EMPTY)


def _unwrapped(fn: Callable[..., Any]) -> Any:
    """The function whose code runs: through partials, wrappers and callable objects."""
    target: Any = fn
    while isinstance(target, functools.partial):
        target = target.func
    target = inspect.unwrap(target)
    if not isinstance(target, type) and not inspect.isroutine(target):
        target = inspect.unwrap(type(target).__call__)
    return target


def _hints(target: Any, localns: Mapping[str, Any] | None) -> tuple[dict[str, Any], str | None]:
    if isinstance(target, type):
        target = target.__dict__.get("__init__", target)
    try:
        return typing.get_type_hints(target, localns=dict(localns) if localns else None, include_extras=True), None
    except NameError as error:
        return {}, str(error)
    except Exception:  # a builtin without annotations, or annotations that are not types
        return {}, None


def _is_context(annotation: Any) -> bool:
    origin = typing.get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Context)
