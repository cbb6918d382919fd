"""A tool: a function that a model may call, with its schema, what it touches and how it is run.

Arguments are validated strictly and never coerced; what is wrong with them is told to the model. Calling a tool here
runs its function once: retries, limits and order are the batch's (`loomgraph.tools.batch`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal, TypeAlias, overload

import anyio
import anyio.to_thread
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from loomgraph.errors import DefinitionError, ToolInputError, ToolResultError, ToolTimeoutError
from loomgraph.graph.policy import Retry
from loomgraph.graph.signature import EMPTY, describe_type
from loomgraph.tools.effects import EVERYTHING, NOTHING, Footprint, Resources, footprint_keys
from loomgraph.tools.schema import Described, describe_callable, json_schema_of

__all__ = ["MAX_CHARS", "Effect", "Tool", "check_tools", "complaints", "tool"]

Effect: TypeAlias = Literal["repeat", "once"]
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_CHARS = 30_000
"""How many characters of a result the model is shown unless the tool says otherwise."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Tool:
    """What `tool()` makes. `fn` takes the arguments by name, and a Context where `context` names a parameter for it.

    `parameters` is the JSON schema of the arguments. `read_only`, `reads` and `writes` say what a call touches (see
    `loomgraph.tools.effects`). `effect="once"`: after a crash in the middle of a call it is in doubt and not simply
    run again. `ends_turn`: its result is the agent's answer. `destructive`: somebody has to allow it. `timeout` is in
    seconds, `limit` is how many calls of it run at a time in one run, `calls_per_minute` how fast they may follow one
    another in all runs of an event loop, `max_chars` how much of a result the model sees. `shares` makes, of the
    conversation that the tool is called in, the function that is called instead of `fn`.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    fn: Callable[..., Any]
    arguments: TypeAdapter[Any] | None = None
    names: tuple[str, ...] = ()
    output: Any = EMPTY
    context: str | None = None
    is_async: bool = True
    read_only: bool = False
    reads: Resources = None
    writes: Resources = None
    effect: Effect = "repeat"
    ends_turn: bool = False
    destructive: bool = False
    timeout: float | None = None
    retry: Retry | None = None
    limit: int | None = None
    calls_per_minute: float | None = None
    max_chars: int = MAX_CHARS
    tags: tuple[str, ...] = ()
    version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    shares: Callable[[Any], Callable[..., Any]] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise DefinitionError(
                f"{self.name!r} cannot be a tool's name: providers take letters, digits, '_' and '-', 64 at most."
            )
        if self.read_only and self.writes is not None:
            raise DefinitionError(f"tool '{self.name}' is read_only and declares writes=; leave one of them out.")
        if self.timeout is not None and not self.is_async:
            raise DefinitionError(
                f"tool '{self.name}' is a plain function, and a thread cannot be stopped, so timeout= could not be "
                f"kept. Make it `async def`, or bound the work inside it."
            )
        for label in ("timeout", "limit", "calls_per_minute", "max_chars"):
            value = getattr(self, label)
            if value is not None and value <= 0:
                raise DefinitionError(f"tool '{self.name}': {label}={value} leaves nothing; use more than 0.")

    def __repr__(self) -> str:
        return f"<Tool {self.name!r}({', '.join(self.parameters.get('properties', {}))})>"

    def footprint(self, arguments: Mapping[str, Any]) -> Footprint:
        """What a call with these arguments touches. Raises what a function given as reads= or writes= raises."""
        if self.reads is None and self.writes is None:
            return Footprint(EVERYTHING, NOTHING if self.read_only else EVERYTHING)
        return Footprint(footprint_keys(self.reads, arguments), footprint_keys(self.writes, arguments))

    def validated(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the function takes them. Raises ToolInputError, saying what is wrong with which."""
        if self.arguments is None:
            return dict(arguments)
        try:
            # strictly, but as JSON: "2026-01-31" is a date and "5" is not a number
            read = self.arguments.validate_json(to_json(arguments), strict=True)
        except ValidationError as error:
            raise ToolInputError(self.name, complaints(error)) from error
        return {name: getattr(read, name) for name in self.names}

    async def call(self, arguments: Mapping[str, Any], context: Any = None, said: Any = None) -> Any:
        """Call the function once with validated arguments; a plain function runs in a worker thread.

        `said` is the conversation it is called in, for a tool that shares it.
        Returns what the function returned. Raises ToolInputError, ToolTimeoutError after `timeout` seconds, and
        what the function raises.
        """
        given = self.validated(arguments)
        if self.context is not None:
            given[self.context] = context
        fn = self.fn if self.shares is None or said is None else self.shares(said)
        if self.timeout is None:
            return await self._called(fn, given)
        with anyio.move_on_after(self.timeout) as scope:
            return await self._called(fn, given)
        if scope.cancelled_caught:
            raise ToolTimeoutError(self.name, self.timeout)
        raise AssertionError("a cancel scope ended without a result and without a timeout")

    async def _called(self, fn: Callable[..., Any], given: dict[str, Any]) -> Any:
        if self.is_async:
            return await fn(**given)
        # boxed, because trio refuses a plain function that returns a coroutine
        [value] = await anyio.to_thread.run_sync(lambda: [fn(**given)])
        return await value if inspect.isawaitable(value) else value

    def plain(self, value: Any) -> Any:
        """A result as JSON data, through the tool's output type. Raises ToolResultError for what JSON cannot hold."""
        try:
            if self._adapter is None:
                return to_jsonable_python(value)
            return self._adapter.dump_python(value, mode="json", warnings="error")
        except (PydanticSerializationError, ValueError) as error:
            raise ToolResultError(self.name, describe_type(self.output), value, str(error)) from error

    @cached_property
    def _adapter(self) -> TypeAdapter[Any] | None:
        return None if self.output is EMPTY or self.output is Any else TypeAdapter(self.output)

    def __loomgraph_fingerprint__(self) -> str:
        """What of a tool makes a call of it mean something else."""
        return f"tool {self.name} {self.version or ''} {to_json(self.parameters, fallback=repr).decode()}"


@overload
def tool(fn: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    fn: None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    read_only: bool = False,
    reads: Resources = None,
    writes: Resources = None,
    effect: Effect = "repeat",
    ends_turn: bool = False,
    destructive: bool = False,
    timeout: float | None = None,
    retry: Retry | None = None,
    limit: int | None = None,
    calls_per_minute: float | None = None,
    max_chars: int = MAX_CHARS,
    tags: Sequence[str] = (),
    version: str | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a tool: `@tool`, `@tool(read_only=True)` or `tool(fn)`. The options are the fields of `Tool`.

    The schema comes from the signature, the descriptions from the docstring (Google, NumPy, reST or Epydoc style) or
    from `Annotated[..., Field(description=...)]`. A parameter annotated with `Context` is filled in and hidden from
    the model. Raises DefinitionError for a function that no model could call.
    """
    if fn is None:
        return partial(_make, options=options)
    return _make(fn, options)


def _make(fn: Callable[..., Any], options: Mapping[str, Any]) -> Tool:
    options = dict(options)
    if isinstance(fn, Tool):
        raise DefinitionError(f"'{fn.name}' is a tool already.")
    name = options.pop("name", None) or getattr(fn, "__name__", type(fn).__name__)
    described: Described = describe_callable(fn, name)
    description = options.pop("description", None)
    _refuse_unknown(name, options, described)
    return Tool(
        name=name,
        description=described.description if description is None else description,
        parameters=json_schema_of(described.arguments, name),
        fn=fn,
        arguments=described.arguments,
        names=described.names,
        output=described.output,
        context=described.context,
        is_async=described.is_async,
        tags=tuple(options.pop("tags", ())),
        **options,
    )


def check_tools(tools: Sequence[Tool]) -> dict[str, Tool]:
    """The tools by name. Raises DefinitionError for a name that two of them have."""
    found: dict[str, Tool] = {}
    for item in tools:
        if not isinstance(item, Tool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"{item!r} is not a tool; wrap a function with loomgraph.tools.tool.")
        if item.name in found:
            raise DefinitionError(f"two tools are called '{item.name}'; give one of them name=.")
        found[item.name] = item
    return found


def _refuse_unknown(name: str, options: Mapping[str, Any], described: Described) -> None:
    for kind in ("reads", "writes"):
        wanted = options.get(kind)
        if wanted is None or callable(wanted):
            continue
        for argument in [wanted] if isinstance(wanted, str) else wanted:
            if argument not in described.names:
                known = ", ".join(described.names) or "none"
                raise DefinitionError(
                    f"tool '{name}': {kind}={argument!r} names no argument of it (it has: {known}). Name one of them, "
                    f"or give a function of the arguments."
                )


def complaints(error: ValidationError, whole: str = "arguments") -> list[str]:
    """What is wrong with which argument, a sentence each; `whole` is what all of it is called."""
    said: list[str] = []
    for item in error.errors(include_url=False, include_context=False):
        where = ".".join(str(step) for step in item["loc"]) or whole
        said.append(f"{where}: {item['msg']}")
    return said
