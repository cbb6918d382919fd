"""A function's arguments as a pydantic model and a strict JSON schema, read from its signature and docstring.

Refuses what no model could call: positional-only and variadic parameters, and parameters without an annotation.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pydantic.dataclasses
from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from loomgraph.errors import DefinitionError
from loomgraph.graph.signature import EMPTY, read_signature

__all__ = ["Described", "describe_callable", "json_schema_of"]


@dataclass(frozen=True, slots=True)
class Described:
    """What a function says of itself: one sentence or more, what reads its arguments,
    their names, its result, and where a Context goes."""

    description: str
    arguments: TypeAdapter[Any]
    names: tuple[str, ...]
    output: Any
    context: str | None
    is_async: bool


class _Schema(GenerateJsonSchema):
    """JSON schema for a reader that sees nothing else: no titles, which only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        made.pop("title", None)
        return made


def json_schema_of(arguments: TypeAdapter[Any], name: str) -> dict[str, Any]:
    """The JSON schema (2020-12) of the parameters of the tool `name`: an object that takes nothing undeclared.

    Raises DefinitionError for secrets among them.
    """
    schema = arguments.json_schema(schema_generator=_Schema)
    if _has_secrets(schema):
        raise DefinitionError(
            f"tool '{name}': a secret (SecretStr, SecretBytes) cannot be an argument. The model would have to know it, "
            f"and its call is kept in the log. Hand it over with deps= and a Context."
        )
    schema.pop("title", None)
    schema.setdefault("properties", {})
    schema["additionalProperties"] = False
    return schema


def _has_secrets(schema: Any) -> bool:
    if isinstance(schema, dict):
        parts = cast(dict[str, Any], schema)
        marked = parts.get("format") == "password" and parts.get("writeOnly") is True
        return marked or any(map(_has_secrets, parts.values()))
    return isinstance(schema, list) and any(_has_secrets(part) for part in schema)  # pyright: ignore[reportUnknownVariableType]


def describe_callable(fn: Callable[..., Any], name: str) -> Described:
    """Read a function. Raises DefinitionError, naming the tool and the parameter, for what cannot be called."""
    signature = read_signature(fn)
    if signature.problems:
        raise DefinitionError(f"tool '{name}' cannot be used: {signature.problems[0]}.")
    summary, notes = _docstring(fn)
    given = inspect.signature(fn).parameters
    fields: dict[str, Any] = {}
    for parameter in given.values():
        if parameter.name == signature.context:
            continue
        fields[parameter.name] = _field(name, fn, parameter, notes.get(parameter.name))
    for unknown in set(notes) - set(given):
        raise DefinitionError(
            f"tool '{name}': its docstring describes '{unknown}', but it takes {', '.join(given) or 'no arguments'}. "
            f"Rename one of them."
        )
    types = {param.name: param.type for param in signature.params}
    # a dataclass, not a model: its fields may be called `json`, `copy` or whatever else a model has methods for
    plain = dataclasses.make_dataclass(name, [(key, types[key], info) for key, info in fields.items()], kw_only=True)
    try:
        read = TypeAdapter(pydantic.dataclasses.dataclass(plain, config=ConfigDict(extra="forbid")))
        read.json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise DefinitionError(
            f"tool '{name}' has an argument that JSON cannot describe: {str(error).splitlines()[0]} "
            f"Take plain data or pydantic models; hand live objects over with deps= and a Context."
        ) from error
    return Described(summary, read, tuple(fields), signature.output, signature.context, signature.style == "async")


def _field(tool: str, fn: Any, parameter: inspect.Parameter, note: str | None) -> Any:
    kind = parameter.kind
    if kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY):
        raise DefinitionError(
            f"tool '{tool}': parameter '{parameter.name}' has no name that a caller could use. "
            f"Spell the parameters out; a list or dict parameter takes any number of values."
        )
    if parameter.annotation is EMPTY:
        raise DefinitionError(f"tool '{tool}': parameter '{parameter.name}' has no annotation. Say its type.")
    if parameter.name.startswith("_"):
        raise DefinitionError(f"tool '{tool}': parameter '{parameter.name}' begins with '_'. Choose a public name.")
    default = ... if parameter.default is EMPTY else parameter.default
    has_note = any(
        getattr(extra, "description", None) for extra in getattr(_hint(fn, parameter.name), "__metadata__", ())
    )
    return Field(default=default) if has_note or note is None else Field(default=default, description=note)


def _hint(fn: Any, name: str) -> Any:
    try:
        return typing.get_type_hints(fn, include_extras=True).get(name)
    except (NameError, TypeError):
        return None


def _docstring(fn: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """What the docstring says of the whole and of each parameter, in any of the usual styles."""
    text = inspect.getdoc(fn) if inspect.isroutine(fn) else inspect.getdoc(type(fn))
    if not text:
        return "", {}
    from docstring_parser import parse

    parsed: Any = parse(text)
    notes: dict[str, str] = {}
    for param in parsed.params:
        notes[str(param.arg_name).lstrip("*")] = " ".join(str(param.description or "").split())
    parts: list[str] = [parsed.short_description or "", parsed.long_description or ""]
    return "\n\n".join(part.strip() for part in parts if part.strip()), notes
