"""A node that asks a person and gives their answer. Shows nothing and sends nothing: the question waits in the run."""

from __future__ import annotations

import dataclasses
import difflib
import string
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, cast, overload

from pydantic import BaseModel
from typing_extensions import TypeVar, is_typeddict

from loomgraph.errors import DefinitionError, brief, names
from loomgraph.graph.context import Context
from loomgraph.graph.signature import Param, Signature

__all__ = ["Human"]

T = TypeVar("T", default=Any)

# the name under which a question's text may show the whole input
_WHOLE = "input"


class Human(Generic[T]):
    """A node's body that asks a question and gives the answer, of type `answer`: `wf.node(Human(...), name="approve")`.

    `question` is a text, in which `{amount}` stands for that field of the input and `{input}` for all of it; or a
    callable from the input to the question (a text, or anything that has a JSON form). Nothing else of Python's format
    language works but conversions and format specifications: no attributes and no indexes, so a text that somebody
    else wrote reaches nothing. `input` is the type of what the node takes, so that edges and fields are checked before
    a run. Raises DefinitionError for a text that cannot be filled in.

    A run that has such a node needs a store; without one it is refused before it starts.
    """

    @overload
    def __init__(self, question: Any, *, answer: type[T], input: Any = Any) -> None: ...

    @overload
    def __init__(self: Human[Any], question: Any, *, answer: Any, input: Any = Any) -> None: ...

    @overload
    def __init__(self: Human[str], question: Any, *, input: Any = Any) -> None: ...

    def __init__(self, question: Any, *, answer: Any = str, input: Any = Any) -> None:
        self.__name__ = "human"
        self.question = question
        self.__loomgraph_answer__ = answer
        self.__loomgraph_signature__ = Signature((Param("value", input, required=True),), answer, "async", "ctx")
        if isinstance(question, str):
            known = _fields_of(input)
            for name in _fields_in(question):
                if known is not None and name != _WHOLE and name not in known:
                    raise DefinitionError(_missing(question, name, known))

    async def __call__(self, value: Any, ctx: Context) -> T:
        """Ask about this value. Raises DefinitionError if the value has not what the question's text names."""
        if callable(self.question):
            ask = cast("Callable[[Any], Any]", self.question)
            question = ask(value)
        elif isinstance(self.question, str):
            question = _filled(self.question, value)
        else:
            question = self.question
        answer: T = await ctx.ask(question, self.__loomgraph_answer__)
        return answer

    def __repr__(self) -> str:
        return f"<Human {brief(self.question, 60)}>"


def _fields_in(text: str) -> list[str]:
    """The names between a text's braces. Raises DefinitionError for anything but plain names."""
    found: list[str] = []
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise DefinitionError(
            f"the question {brief(text, 80)} cannot be filled in: {error}. Write {{{{ and }}}} for braces."
        ) from error
    for _, name, spec, _ in parsed:
        if name is None:
            continue
        if not name.isidentifier() or (spec and "{" in spec):
            raise DefinitionError(
                f"the question {brief(text, 80)} names '{{{name}}}', but only fields of the input can be named, as "
                f"{{amount}}. Write {{{{ and }}}} for braces, or give a function from the input to the question."
            )
        found.append(name)
    return found


def _filled(text: str, value: Any) -> str:
    """The text with the value's fields in it."""
    fields = _values_of(value)
    for name in _fields_in(text):
        if name not in fields:
            raise DefinitionError(_missing(text, name, [field for field in fields if field != _WHOLE]))
    return string.Formatter().vformat(text, (), fields)


def _missing(text: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    meant = f" Did you mean {{{close[0]}}}?" if close else ""
    has = f"its input has {names(known)}" if known else "its input has no fields"
    return f"the question {brief(text, 80)} names '{{{name}}}', but {has}; {{{_WHOLE}}} is all of it.{meant}"


def _values_of(value: Any) -> dict[str, Any]:
    whole = {_WHOLE: value}
    if isinstance(value, BaseModel):
        names_of = [*type(value).model_fields, *type(value).model_computed_fields]
        return {**whole, **{name: getattr(value, name) for name in names_of}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {**whole, **{field.name: getattr(value, field.name) for field in dataclasses.fields(value)}}
    if isinstance(value, Mapping):
        items: Mapping[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return {**whole, **{key: item for key, item in items.items() if isinstance(key, str)}}
    return whole


def _fields_of(tp: Any) -> list[str] | None:
    """The fields that values of a type have; None where that is not known."""
    if is_typeddict(tp):
        return list(typing.get_type_hints(tp))
    if isinstance(tp, type) and issubclass(tp, BaseModel):
        return [*tp.model_fields, *tp.model_computed_fields]
    if isinstance(tp, type) and dataclasses.is_dataclass(tp):
        return [field.name for field in dataclasses.fields(tp)]
    return [] if tp in {int, float, str, bool, bytes} else None
