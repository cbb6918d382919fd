"""Answers of a type: its schema for the model, the reading of what it says, the words that ask it to try again.

Reading is tolerant of what stands around the JSON (code fences, prose) and strict about the JSON: no string becomes a
number, and two different values that both fit are no answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Generic, TypeVar, cast

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from loomgraph.errors import DefinitionError, OutputValidationError, brief
from loomgraph.models.messages import AssistantMessage, Message, user
from loomgraph.models.protocol import Model
from loomgraph.models.requests import ModelRequest, OutputSpec, request_of
from loomgraph.models.responses import ModelResponse, Usage

__all__ = ["Answer", "OutputType", "ask"]

T = TypeVar("T")

_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)```", re.DOTALL)
_WRAP = "value"


class OutputType(Generic[T]):
    """A type that answers are asked for: anything pydantic can describe. `str` is plain text.

    `spec` is what goes into a ModelRequest, None for text. Providers take nothing but an object at the top, so any
    other type is wrapped into one with the single field `value`. Raises DefinitionError for what has no JSON schema.
    """

    def __init__(self, output: Any, name: str | None = None) -> None:
        self.type = output
        self.name = name or _name_of(output)
        self._adapter: TypeAdapter[Any] = TypeAdapter(output)
        self._wrapped = False
        self.spec: OutputSpec | None = None
        if output is str:
            return
        try:
            schema = self._adapter.json_schema()
        except PydanticUserError as error:
            raise DefinitionError(
                f"output={brief(output)} has no JSON schema ({error.message}). Ask for data: models, dataclasses, "
                f"numbers, texts, and lists, unions and mappings of them."
            ) from error
        if schema.get("type") != "object":
            self._wrapped = True
            schema = _wrap(schema)
        self.spec = OutputSpec(name=self.name, json_schema=schema)

    def of(self, request: ModelRequest) -> ModelRequest:
        """The request with this type asked for."""
        return request.model_copy(update={"output": self.spec})

    def read(self, response: ModelResponse) -> T:
        """The value in an answer. Raises OutputValidationError, which has the text and the schema."""
        text = response.text
        if self.spec is None:
            return cast(T, text)
        fitting: list[str] = []
        values: list[T] = []
        complaint = "there is no JSON in it"
        for candidate in _candidates(text):
            try:
                value = self._validated(candidate)
            except ValidationError as error:
                complaint = _complaints(error)
                continue
            said = json.dumps(candidate, sort_keys=True)
            if said not in fitting:
                fitting.append(said)
                values.append(value)
        if len(values) == 1:
            return values[0]
        if values:
            complaint = f"it holds {len(values)} different values that fit; give one"
        raise OutputValidationError(
            response.model, complaint, raw=text, schema=dict(self.spec.json_schema), response=response
        )

    def repair(self, request: ModelRequest, error: OutputValidationError) -> ModelRequest:
        """The request with the failed answer and what is wrong with it, to be asked once more."""
        message = error.response.message if error.response is not None else AssistantMessage(parts=())
        return request.plus(*_kept(message), user(_AGAIN + error.detail))

    def _validated(self, candidate: Any) -> T:
        inner = candidate
        if self._wrapped and isinstance(candidate, dict):
            fields = cast(dict[str, Any], candidate)
            inner = fields[_WRAP] if fields.keys() == {_WRAP} else fields
        return cast(T, self._adapter.validate_json(to_json(inner), strict=True))


_AGAIN = (
    "That answer does not fit the JSON schema that was asked for. Answer again, with the whole JSON value and nothing "
    "else. What is wrong:\n"
)


class Answer(Generic[T]):
    """A typed answer: its `value`, the last `response`, and the `usage` of all calls it took."""

    __slots__ = ("response", "usage", "value")

    def __init__(self, value: T, response: ModelResponse, usage: Usage | None) -> None:
        self.value, self.response, self.usage = value, response, usage

    def __repr__(self) -> str:
        return f"Answer({brief(self.value)})"


async def ask(
    model: Model,
    prompt: str | Message | ModelRequest | list[Message],
    output: type[T],
    *,
    instructions: str | None = None,
    repairs: int = 1,
) -> Answer[T]:
    """Ask for an answer of a type; an answer that does not fit is sent back with its errors, `repairs` times.

    Raises OutputValidationError if the last one does not fit either, and ModelError as the model does.
    """
    wanted: OutputType[T] = OutputType(output)
    request = wanted.of(request_of(prompt, instructions=instructions))
    usage: Usage | None = None
    while True:
        response = await model.generate(request)
        usage = response.usage if usage is None or response.usage is None else usage + response.usage
        try:
            return Answer(wanted.read(response), response, usage)
        except OutputValidationError as error:
            if repairs < 1:
                raise
            request = wanted.repair(request, error)
        repairs -= 1


def _wrap(schema: dict[str, Any]) -> dict[str, Any]:
    definitions = schema.pop("$defs", None)
    wrapped: dict[str, Any] = {
        "type": "object",
        "properties": {_WRAP: schema},
        "required": [_WRAP],
        "additionalProperties": False,
    }
    return wrapped if definitions is None else {**wrapped, "$defs": definitions}


def _candidates(text: str) -> Iterator[Any]:
    """JSON values in a text: the text itself; else what stands in code fences; else what stands in the prose."""
    whole = _json(text)
    if whole is not _NONE:
        yield whole
        return
    fenced = [value for body in _FENCE.findall(text) if (value := _json(body)) is not _NONE]
    if fenced:
        yield from fenced
        return
    decoder = json.JSONDecoder()
    at = 0
    while found := re.compile(r"[\[{]").search(text, at):
        at = found.start()
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if value:  # an empty one is a figure of speech, unless it stands alone
            yield value


_NONE: Any = object()


def _json(text: str) -> Any:
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError:
        return _NONE


def _complaints(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"{'.'.join(map(str, item['loc'])) or 'the value'}: {item['msg']}" for item in found[:10]]
    return "\n".join(lines)


def _kept(message: AssistantMessage) -> list[Message]:
    """The failed answer as it was; one that said nothing cannot be sent back."""
    return [message] if message.parts else []


def _name_of(output: Any) -> str:
    name = getattr(output, "__name__", None)
    return name if isinstance(name, str) and name.isidentifier() else "output"
