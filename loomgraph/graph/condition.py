"""What a `when=` means: a type, a literal value, a predicate, or OTHERWISE. Decides; never runs anything else."""

from __future__ import annotations

import enum
import functools
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import typing_extensions

from loomgraph.errors import DefinitionError
from loomgraph.graph.refs import ALWAYS, OTHERWISE
from loomgraph.graph.signature import describe_type

__all__ = ["Condition", "condition"]

Kind = Literal["type", "literal", "predicate", "otherwise"]


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A frozen `when`. `subject` is the type, the literal or the predicate; `label` is how a drawing shows it."""

    kind: Kind
    subject: Any
    label: str

    def matches(self, value: object) -> bool:
        """Whether the value takes the edge. OTHERWISE is decided by the others, so it answers False.

        A type matches by `isinstance`; a literal by equality and the same class (so `1` does not match `True`).
        A predicate may raise; whoever calls this names the edge.
        """
        match self.kind:
            case "type":
                return _is_instance(value, self.subject)
            case "literal":
                return type(value) is type(self.subject) and bool(value == self.subject)
            case "predicate":
                return bool(self.subject(value))
            case "otherwise":
                return False
            case _ as never:
                typing.assert_never(never)


def condition(when: object, label: str | None = None) -> Condition | None:
    """The Condition that `when` means, or None for ALWAYS."""
    if when is ALWAYS:
        return None
    if isinstance(when, Condition):
        return when
    if when is Any:
        raise DefinitionError("when=Any matches every value; leave when= out for an edge that is always taken.")
    if isinstance(when, typing.NewType):  # no class of its own at run time: it is what it is made of
        made: Any = when
        return condition(made.__supertype__, label or made.__name__)
    if when is OTHERWISE:
        return Condition("otherwise", OTHERWISE, label or "otherwise")
    if isinstance(when, type) or typing.get_origin(when) is not None or isinstance(when, types.UnionType):
        return Condition("type", when, label or describe_type(when))
    if callable(when) and not isinstance(when, enum.Enum):
        return Condition("predicate", when, label or _predicate_label(when))
    return Condition("literal", when, label or _literal_label(when))


def _is_instance(value: object, tp: Any) -> bool:
    if isinstance(tp, type) and typing.get_origin(tp) is None and not typing_extensions.is_typeddict(tp):
        # bool is an int to Python, but not to somebody who routes by type
        return isinstance(value, tp) and not (tp is int and isinstance(value, bool))
    origin = typing.get_origin(tp)
    if origin is typing.Union or origin is types.UnionType:
        return any(_is_instance(value, arm) for arm in typing.get_args(tp))
    if origin is Literal:
        return any(type(value) is type(arm) and value == arm for arm in typing.get_args(tp))
    if origin is typing.Annotated:
        return _is_instance(value, typing.get_args(tp)[0])
    try:
        read = _adapter(tp).validate_python(value, strict=True)
    except ValueError:
        return False
    return bool(read == value)  # a dict that could become a model is not one


@functools.lru_cache(maxsize=512)
def _adapter(tp: Any) -> Any:
    """What checks a generic such as list[int]; building one takes far longer than using it."""
    from pydantic import ConfigDict, TypeAdapter

    if typing_extensions.is_typeddict(tp):
        return TypeAdapter(tp)  # pydantic refuses a config for these
    return TypeAdapter(tp, config=ConfigDict(arbitrary_types_allowed=True))


def _predicate_label(predicate: Callable[..., Any]) -> str:
    name = getattr(predicate, "__name__", type(predicate).__name__)
    return "condition" if name == "<lambda>" else str(name)


def _literal_label(value: object) -> str:
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    return repr(value)
