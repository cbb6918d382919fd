"""What commands print as JSON: outputs, events, results, runs. Nothing is printed as a `repr`, and nothing dropped."""

from __future__ import annotations

import json
from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter
from pydantic_core import PydanticSerializationError, to_jsonable_python

from loomgraph import Graph, RunResult
from loomgraph.cli.waiting import Waits
from loomgraph.cli.when import iso
from loomgraph.errors import LoomgraphError, brief
from loomgraph.events import Event
from loomgraph.runtime.result import ActivationRecord
from loomgraph.store.protocol import RunHeader

__all__ = [
    "OutputError",
    "event_line",
    "header_json",
    "output_json",
    "plain_json",
    "record_json",
    "result_json",
]


class OutputError(LoomgraphError):
    """The run succeeded, but its output cannot be written as JSON."""


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
    """A whole result as one JSON document: output, status, times, what it waits for, and every activation."""
    return plain_json(
        {
            "run_id": result.run_id,
            "status": result.status,
            "seconds": result.seconds,
            "output": None if result.status == "suspended" else result.output,
            "error": error,
            "state": result.state,
            **Waits.of(result).document(),
            "activations": [record_json(record) for record in result.activations],
        }
    )


def record_json(record: ActivationRecord) -> dict[str, Any]:
    """An activation, for a JSON document."""
    return {
        "key": record.key,
        "node": record.node,
        "status": record.status,
        "origin": record.origin,
        "attempts": record.attempts,
        "started": None if record.started is None else iso(record.started),
        "seconds": record.seconds,
        "input": record.input,
        "output": record.output,
        "failure": record.failure,
    }


def header_json(header: RunHeader) -> dict[str, Any]:
    """What is known of a run without reading its log, for a JSON document."""
    try:
        metadata = json.loads(header.metadata)
    except ValueError:  # whoever wrote it had another idea of it
        metadata = header.metadata
    return {
        "run_id": header.run_id,
        "graph": header.graph,
        "status": header.status,
        "created": iso(header.created),
        "updated": iso(header.updated),
        "events": header.events,
        "user_id": header.user_id,
        "session_id": header.session_id,
        "parent": header.parent,
        "fork_seq": header.fork_seq,
        "fingerprint": header.fingerprint,
        "metadata": metadata,
    }


def plain_json(document: Any) -> bytes:
    """A document as indented JSON; a value without a JSON form is marked as such."""
    plain = to_jsonable_python(document, fallback=_marked, serialize_as_any=True)
    return json.dumps(plain, indent=2, ensure_ascii=False).encode()


def _marked(value: Any) -> Any:
    return {"not_json": type(value).__qualname__, "shown": brief(value)}
