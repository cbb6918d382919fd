"""What comes from the command line as JSON: a run's input by its graph's type, answers, edits.

Nothing is coerced beyond what JSON needs (a date is a string there).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

from loomgraph import Graph
from loomgraph.cli.exits import UsageError
from loomgraph.graph.signature import describe_type

__all__ = ["pairs", "read_input", "read_json"]


def read_input(graph: Graph[Any, Any], given: str | None) -> Any:
    """The run's input from `--input`: JSON, `@file` or `-` for stdin; None if the graph takes nothing.

    Raises UsageError, with every validation error at once, for what is not of the graph's input type.
    """
    expected = describe_type(graph.input_type)
    adapter = _adapter(graph.input_type, f"graph '{graph.name}' takes {expected}")
    if given is None:
        if graph.input_type in (None, type(None), Any):
            return None
        raise UsageError(
            f"graph '{graph.name}' takes {expected}. Give it with --input JSON, @file or - (stdin).{_example(adapter)}"
        )
    text = _text(given, "the input file")
    try:
        return adapter.validate_json(text, strict=True)
    except ValidationError as error:
        head = f"graph '{graph.name}' takes {expected}, and the input is not one:"
        lines = [_problem(item["loc"], item["msg"]) for item in error.errors(include_url=False, include_context=False)]
        hint = ""
        if error.errors()[0]["type"] == "json_invalid" and graph.input_type is str:
            hint = f"\nA JSON string has double quotes of its own: --input '{json.dumps(given)}'"
        raise UsageError("\n".join([head, *lines]) + (hint or _example(adapter))) from error


def read_json(given: str, what: str) -> Any:
    """Plain JSON data from JSON, `@file` or `-` for stdin. Raises UsageError, which calls it `what`."""
    text = _text(given, f"the file of {what}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        hint = (
            "" if given.startswith(("@", "-", "{", "[", '"')) else f" Text has quotes of its own: '{json.dumps(given)}'"
        )
        raise UsageError(f"{what} is not JSON: {error}.{hint}") from error


def pairs(given: list[str] | None, option: str) -> dict[str, Any]:
    """Plain JSON data by key, from several `KEY=JSON`. Raises UsageError."""
    found: dict[str, Any] = {}
    for text in given or ():
        key, mark, value = text.partition("=")
        if not mark or not key:
            raise UsageError(f"{option} {text!r} is not KEY=JSON.")
        if key in found:
            raise UsageError(f"{option} names '{key}' twice.")
        found[key] = read_json(value, f"{option} {key}")
    return found


def _text(given: str, what: str) -> bytes:
    if given == "-":
        return sys.stdin.buffer.read()
    if not given.startswith("@"):
        return given.encode()
    path = Path(given[1:])
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf")  # Windows editors begin a file with this mark
    except OSError as error:
        raise UsageError(f"cannot read {what} '{path}': {error.strerror or error}.") from error


def _adapter(tp: Any, what: str) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(tp)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise UsageError(f"{what}, which has no JSON form. Run it from Python: graph.run_sync(...).") from error


def _problem(loc: tuple[int | str, ...], message: str) -> str:
    return f"  {'.'.join(map(str, loc)) or 'input'}: {message}"


def _example(adapter: TypeAdapter[Any]) -> str:
    """The fields of an object input, as a reminder; nothing for other inputs."""
    try:
        schema = adapter.json_schema()
    except PydanticUserError:
        return ""
    fields: dict[str, Any] = schema.get("properties", {})
    if not fields:
        return ""
    required = schema.get("required", [])
    shown = [f"{name}: {_kind(field)}{'' if name in required else ' (optional)'}" for name, field in fields.items()]
    return f"\nIts fields: {', '.join(shown)}."


def _kind(field: Any) -> str:
    return str(field.get("type") or field.get("$ref", "").rpartition("/")[2] or "any")
