"""Answers of a type: any type that pydantic can describe, read tolerantly, checked strictly, repaired once."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from loomgraph.errors import DefinitionError, OutputValidationError
from loomgraph.models import (
    FinishReason,
    ModelRequest,
    ModelResponse,
    OutputType,
    ScriptedModel,
    Turn,
    Usage,
    ask,
    assistant,
    request_of,
    user,
)
from loomgraph.models.prompting import prompted
from loomgraph.models.schemas import is_recursive, strict_schema


class Colour(Enum):
    RED = "red"


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = Field(default=9, ge=1, le=9)


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str | None = None


class Tree(BaseModel):
    value: int
    children: list["Tree"] = []  # noqa: UP037


@dataclass
class Point:
    x: float
    y: float


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]

TYPES: list[tuple[Any, Any]] = [
    (Cat, Cat(lives=3)),
    (Point, Point(1.5, 2.0)),
    (Cat | Dog, Dog(name="Rex")),
    (Pet, Dog(name="Rex")),
    (list[Cat], [Cat(lives=1), Cat(lives=2)]),
    (list[Pet], [Cat(), Dog()]),
    (dict[str, int], {"a": 1}),
    (tuple[int, str], (1, "a")),
    (int | str, "5"),
    (int, 5),
    (bool, True),
    (float, 1.0),
    (Colour, Colour.RED),
    (Literal["yes", "no"], "no"),
    (dt.date, dt.date(2026, 1, 31)),
    (Cat | None, None),
    (Tree, Tree(value=1, children=[Tree(value=2)])),
    (Any, {"a": [1]}),
]


def _said(text: str) -> ModelResponse:
    return ModelResponse(message=assistant(text), finish=FinishReason.STOP, model="m", provider="p")


@pytest.mark.parametrize(("tp", "value"), TYPES, ids=lambda value: str(value)[:40])
def test_any_type_that_pydantic_can_describe_has_a_schema_and_is_read_back(tp: Any, value: Any) -> None:
    wanted: OutputType[Any] = OutputType(tp)
    assert wanted.spec is not None
    schema: dict[str, Any] = wanted.spec.json_schema
    assert schema["type"] == "object"
    plain = json.loads(TypeAdapter(tp).dump_json(value))
    wrapped = {"value": plain} if list(schema.get("properties", ())) == ["value"] and tp is not Tree else plain
    assert wanted.read(_said(json.dumps(wrapped))) == value
    assert wanted.read(_said(json.dumps(plain))) == value  # servers that enforce nothing may leave the wrapping out


def test_text_is_text_and_needs_no_schema() -> None:
    wanted: OutputType[str] = OutputType(str)
    assert wanted.spec is None
    assert wanted.read(_said("{not json")) == "{not json"
    assert wanted.of(request_of("q")) == request_of("q")


@pytest.mark.parametrize("tp", [Callable[[int], int], type, list[Callable[[], int]]])
def test_what_has_no_schema_is_refused_by_name(tp: Any) -> None:
    with pytest.raises(DefinitionError, match="output="):
        OutputType(tp)


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "cat", "lives": 3}',
        '  \n{"kind": "cat", "lives": 3}\n',
        'Sure!\n```json\n{"kind": "cat", "lives": 3}\n```\nAnything else?',
        '```\n{"kind": "cat", "lives": 3}\n```',
        'The answer is {"kind": "cat", "lives": 3}, I think.',
        'Not {this} but {"kind": "cat", "lives": 3}.',
        'An example is {"lives": 99}. Mine: {"kind": "cat", "lives": 3}',
        '{"kind": "cat", "lives": 3} and again {"lives": 3, "kind": "cat"}',
        '```json\n{"lives": 99}\n```\n```json\n{"kind": "cat", "lives": 3}\n```',
    ],
)
def test_what_stands_around_the_json_does_no_harm(text: str) -> None:
    assert OutputType[Cat](Cat).read(_said(text)) == Cat(lives=3)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("I do not know.", "there is no JSON in it"),
        ("", "there is no JSON in it"),
        ('{"lives": 3', "there is no JSON in it"),
        ('{"lives": 10}', "lives: Input should be less than or equal to 9"),
        ('{"lives": "3"}', "lives: Input should be a valid integer"),
        ('{"lives": NaN}', "there is no JSON in it|valid integer"),
        ('{"lives": 3} or {"lives": 4}', "2 different values"),
        ("[1, 2]", "the value: Input should be"),
        ("Use {} or [].", "there is no JSON in it"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_text_the_schema_and_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(OutputValidationError, match=complaint) as caught:
        OutputType[Cat](Cat).read(_said(text))
    assert caught.value.raw == text
    assert caught.value.schema["properties"]["lives"]["maximum"] == 9
    assert caught.value.transient is False


@pytest.mark.anyio
async def test_a_wrong_answer_is_sent_back_once_with_its_errors_and_usage_adds_up() -> None:
    def check(request: ModelRequest) -> None:
        first, wrong, again = request.messages
        assert first == user("a {cat}")
        assert wrong == assistant('{"lives": 10}')
        assert "less than or equal to 9" in getattr(again, "text", "")

    used = Usage(input_tokens=2, output_tokens=1)
    model = ScriptedModel([Turn('{"lives": 10}', usage=used), Turn('{"lives": 4}', check, used)])
    answer = await ask(model, "a {cat}", Cat)
    assert (answer.value, answer.usage) == (Cat(lives=4), used + used)
    assert [request.output for request in model.requests] == [OutputType[Cat](Cat).spec] * 2


@pytest.mark.anyio
async def test_an_answer_that_is_wrong_again_fails_with_what_was_said_last() -> None:
    model = ScriptedModel(["nothing", "still nothing", "never asked"])
    with pytest.raises(OutputValidationError) as caught:
        await ask(model, "q", Cat)
    assert (caught.value.raw, model.unused) == ("still nothing", 1)
    assert await ask(ScriptedModel(["a", "b", '{"lives": 2}']), "q", Cat, repairs=2)
    with pytest.raises(OutputValidationError):
        await ask(ScriptedModel(["", '{"lives": 2}']), "q", Cat, repairs=0)


@pytest.mark.anyio
async def test_an_empty_answer_is_repaired_without_being_sent_back() -> None:
    model = ScriptedModel(["", '{"lives": 2}'])
    assert (await ask(model, "q", Cat)).value == Cat(lives=2)
    assert [message.role for message in model.requests[1].messages] == ["user", "user"]


@pytest.mark.parametrize("text", ["{0} {} {{x}} {% if %} ${a} %s %(b)d", "```json\n{}\n```", "\\n \u2028 </s>"])
@pytest.mark.anyio
async def test_braces_and_template_syntax_in_user_text_pass_unharmed(text: str) -> None:
    asked = OutputType[Cat](Cat).of(request_of(text, instructions=text))
    told = prompted(asked)
    assert told.messages[0] == asked.messages[0]
    assert told.messages[2] == user(text)
    assert told.output is None
    model = ScriptedModel(["no", '{"lives": 1}'])
    await ask(model, text, Cat, instructions=text)
    assert model.requests[1].messages[1] == user(text)


def test_without_a_schema_nothing_is_told() -> None:
    assert prompted(request_of("q")) == request_of("q")


# ---------------------------------------------------------------------- strict schemas


def _objects(node: Any) -> list[dict[str, Any]]:
    found = [node] if isinstance(node, dict) and node.get("type") == "object" else []
    inside = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [*found, *(item for child in inside for item in _objects(child))]


class Deep(BaseModel):
    """Docs."""

    pet: Cat | Dog = Field(description="A {pet}.", default_factory=Cat)
    names: list[str] = Field(default=[], min_length=1)
    where: Point | None = None
    tree: Tree
    code: str = Field(default="a", min_length=2, pattern="a+")


@pytest.mark.parametrize("tp", [Cat, Point, Cat | Dog, Pet, list[Cat], Tree, Deep, int | None])
def test_a_strict_schema_requires_every_field_and_takes_no_others(tp: Any) -> None:
    spec = OutputType[Any](tp).spec
    assert spec is not None
    strict = strict_schema(spec.json_schema)
    assert strict is not None
    assert _objects(strict)
    for node in _objects(strict):
        assert node["additionalProperties"] is False
        assert node["required"] == list(node["properties"])
    text = json.dumps(strict)
    for word in ('"default"', '"oneOf"', '"discriminator"', '"minLength"', '"allOf"'):
        assert word not in text


def test_what_strict_mode_leaves_out_is_told_in_the_description() -> None:
    spec = OutputType[Deep](Deep).spec
    assert spec is not None
    strict = strict_schema(spec.json_schema)
    assert strict is not None
    assert strict["properties"]["code"]["description"] == "(minLength: 2)"
    assert strict["properties"]["code"]["pattern"] == "a+"


@pytest.mark.parametrize("tp", [dict[str, int], Any, list[Any], tuple[int, str], list[dict[str, Any]]])
def test_what_strict_mode_cannot_say_is_not_made_strict(tp: Any) -> None:
    spec = OutputType[Any](tp).spec
    assert spec is not None
    assert strict_schema(spec.json_schema) is None


def test_a_schema_is_left_as_it_was() -> None:
    spec = OutputType[Deep](Deep).spec
    assert spec is not None
    before = json.dumps(spec.json_schema)
    strict_schema(spec.json_schema)
    assert json.dumps(spec.json_schema) == before


class Left(BaseModel):
    right: "Right | None" = None  # noqa: UP037


class Right(BaseModel):
    left: Left


@pytest.mark.parametrize(("tp", "recursive"), [(Cat, False), (Deep, True), (Tree, True), (Left, True), (Point, False)])
def test_a_schema_that_contains_itself_is_known_at_any_remove(tp: Any, recursive: bool) -> None:
    spec = OutputType[Any](tp).spec
    assert spec is not None
    assert is_recursive(spec.json_schema) is recursive
