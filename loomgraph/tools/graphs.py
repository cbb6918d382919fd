"""A graph as a tool: its input type is the tool's schema, and a call of it runs inside the caller's run.

What happens in it is in the caller's log and stream, under its limits and budgets. A failure is told to the model as
the failure it is; a question or a cancellation stops the caller too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from loomgraph.errors import DefinitionError, ToolInputError
from loomgraph.graph.context import Context
from loomgraph.graph.signature import EMPTY, describe_type
from loomgraph.runtime.graph import Graph
from loomgraph.tools.schema import json_schema_of
from loomgraph.tools.tool import Tool, complaints

__all__ = ["graph_tool"]

_STRANGE = re.compile(r"[^A-Za-z0-9_-]+")


def graph_tool(
    graph: Graph[Any, Any],
    *,
    name: str | None = None,
    description: str | None = None,
    input: Any = EMPTY,
    sharing: Callable[[Any, Any], Any] | None = None,
    **options: Any,
) -> Tool:
    """A compiled graph as a tool. `input` narrows what it is given to part of what the graph takes.

    Where it takes a model, a dataclass or a typed dict, its fields are the tool's arguments; anything else is one
    argument called `input`. With `sharing` the graph is given `sharing(what was said before the call, the input)`, and
    nobody can call it outside of a conversation. The name is the graph's, with what a tool's name may not have made to
    '_'. The other options are the fields of `Tool`. Raises DefinitionError for an input type that JSON cannot describe.
    """
    called = name or (_STRANGE.sub("_", graph.name).strip("_") or "workflow")[:64]
    takes = graph.input_type if input is EMPTY else input
    reads = TypeAdapter[Any](takes)
    schema, whole = _schema_of(graph, called, takes, reads)

    def value_of(arguments: Mapping[str, Any]) -> Any:
        if not whole and set(arguments) != {"input"}:
            raise ToolInputError(called, [f"it takes one argument, input, not {', '.join(arguments) or 'none'}"])
        try:
            return reads.validate_json(to_json(arguments if whole else arguments["input"]), strict=True)
        except ValidationError as error:
            raise ToolInputError(called, complaints(error, "arguments" if whole else "input")) from error

    def calling(begin: Callable[[Any], Any]) -> Callable[..., Any]:
        async def call(ctx: Context, **arguments: Any) -> Any:
            value = begin(value_of(arguments))
            return await ctx.run(graph, value, key="graph")

        return call

    version = options.pop("version", graph.fingerprint)
    return Tool(
        name=called,
        description=description if description is not None else graph.definition.doc or f"Runs '{graph.name}'.",
        parameters=schema,
        fn=calling(partial(_alone, called, sharing is not None)),
        output=graph.output_type,
        context="ctx",
        version=version if sharing is None else f"{version} shared",
        shares=None if sharing is None else lambda said: calling(partial(sharing, said)),
        **options,
    )


def _alone(called: str, shares: bool, value: Any) -> Any:
    """What a graph is given that is called outside of a conversation."""
    if not shares:
        return value
    raise DefinitionError(
        f"the tool '{called}' shares the conversation of who calls it, and is called outside of one. Leave out "
        f"conversation='shared'."
    )


def _schema_of(graph: Graph[Any, Any], called: str, takes: Any, reads: TypeAdapter[Any]) -> tuple[dict[str, Any], bool]:
    """The schema of what a graph takes, and whether its fields are the arguments; else the one argument is `input`."""
    try:
        schema = json_schema_of(reads, called)
    except DefinitionError:
        raise
    except Exception as error:
        raise DefinitionError(
            f"graph '{graph.name}' takes {describe_type(takes)}, which JSON cannot describe, so it cannot "
            f"be a tool: {error}"
        ) from error
    whole = schema.get("type") == "object" and "properties" in schema
    if not whole:
        definitions = schema.pop("$defs", None)
        schema.pop("properties", None)
        schema.pop("additionalProperties", None)
        wrapped: dict[str, Any] = {"type": "object", "properties": {"input": schema}, "required": ["input"]}
        schema = {**wrapped, "additionalProperties": False} | ({"$defs": definitions} if definitions else {})
    return schema, whole
