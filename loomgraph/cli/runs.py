"""What `loomgraph run` does around a run: JSON in by the graph's input type, JSON out by its output type.

Nothing is coerced on the way in beyond what JSON needs (a date is a string there), and nothing is printed as a `repr`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from loomgraph import Graph, RunResult
from loomgraph.cli.exits import UsageError
from loomgraph.errors import LoomgraphError, brief
from loomgraph.events import Event
from loomgraph.graph.signature import describe_type

__all__ = ["OutputError", "drive", "event_line", "output_json", "read_input", "result_json"]


class OutputError(LoomgraphError):
    """The run succeeded, but its output cannot be written as JSON."""


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
    text = _text(given)
    try:
        return adapter.validate_json(text, strict=True)
    except ValidationError as error:
        head = f"graph '{graph.name}' takes {expected}, and the input is not one:"
        lines = [_problem(item["loc"], item["msg"]) for item in error.errors(include_url=False, include_context=False)]
        hint = ""
        if error.errors()[0]["type"] == "json_invalid" and graph.input_type is str:
            hint = f"\nA JSON string has double quotes of its own: --input '{json.dumps(given)}'"
        raise UsageError("\n".join([head, *lines]) + (hint or _example(adapter))) from error


def _text(given: str) -> bytes:
    if given == "-":
        return sys.stdin.buffer.read()
    if not given.startswith("@"):
        return given.encode()
    path = Path(given[1:])
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf")  # Windows editors begin a file with this mark
    except OSError as error:
        raise UsageError(f"cannot read the input file '{path}': {error.strerror or error}.") from error


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


async def drive(
    graph: Graph[Any, Any],
    value: Any,
    watch: Callable[[Event], None],
    *,
    limit: int | None,
    deadline: float | None,
) -> RunResult[Any]:
    """Run the graph, showing each event to `watch`. Raises what the run raises, after all its events."""
    async with graph.start(value, limit=limit, deadline=deadline) as run:
        async for event in run.events():
            watch(event)
        return await run.result()


def output_json(graph: Graph[Any, Any], value: Any) -> bytes:
    """The output as indented JSON, written by the graph's output type. Raises OutputError if it has no JSON form."""
    try:
        # without serialize_as_any the fields of a subclass would be dropped silently
        return TypeAdapter(graph.output_type).dump_json(value, indent=2, serialize_as_any=True)
    except (PydanticSerializationError, PydanticSchemaGenerationError, PydanticUserError) as error:
        raise OutputError(
            f"the run succeeded, but its output {brief(value)} has no JSON form: {error}. "
            f"Return plain data or a pydantic model, or run the graph from Python."
        ) from error


def event_line(event: Event) -> bytes:
    """An event as one line of JSON; a value without a JSON form is marked as such, never dropped."""
    return event.model_dump_json(fallback=_marked, serialize_as_any=True).encode()


def result_json(result: RunResult[Any], error: str | None = None) -> bytes:
    """A whole result as one JSON document: output, status, times, and every activation."""
    document = {
        "run_id": result.run_id,
        "status": result.status,
        "seconds": result.seconds,
        "output": result.output,
        "error": error,
        "state": result.state,
        "activations": [
            {
                "key": record.key,
                "node": record.node,
                "status": record.status,
                "attempts": record.attempts,
                "seconds": record.seconds,
                "input": record.input,
                "output": record.output,
                "failure": record.failure,
            }
            for record in result.activations
        ],
    }
    return json.dumps(to_jsonable_python(document, fallback=_marked, serialize_as_any=True), indent=2).encode()


def _marked(value: Any) -> Any:
    return {"not_json": type(value).__qualname__, "shown": brief(value)}
