"""Claims about a tool: what its schema says, what it takes, and what it is refused for."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

import anyio
import pytest
from pydantic import BaseModel, Field

from loomgraph import Context
from loomgraph.errors import DefinitionError, ToolInputError, ToolResultError, ToolTimeoutError
from loomgraph.tools import Tool, tool


class Place(BaseModel):
    city: str
    radius: int = 5


@tool
async def search(query: str, place: Place, kind: Literal["bar", "cafe"] = "bar", limit: int = 10) -> list[str]:
    """Find places to eat.

    Looks in the register of the city.

    Args:
        query: What to look for.
        place: Where to look.
        limit: How many to
            return at most.
    """
    return [f"{query} in {place.city}", kind, str(limit)]


def test_the_schema_comes_from_the_signature_and_the_docstring() -> None:
    assert search.name == "search"
    assert search.description == "Find places to eat.\n\nLooks in the register of the city."
    schema = dict(search.parameters)
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["query", "place"]
    assert schema["properties"]["query"] == {"type": "string", "description": "What to look for."}
    assert schema["properties"]["limit"] == {
        "type": "integer",
        "default": 10,
        "description": "How many to return at most.",
    }
    assert schema["properties"]["kind"] == {"type": "string", "enum": ["bar", "cafe"], "default": "bar"}
    assert "title" not in str(schema)


def numpy_style(query: str, limit: int = 3) -> str:
    """Find.

    Parameters
    ----------
    query : str
        What to look for.
    limit
        How many.
    """
    return query


def rest_style(query: str, limit: int = 3) -> str:
    """Find.

    :param query: What to look for.
    :param limit: How many.
    """
    return query


@pytest.mark.parametrize("fn", [numpy_style, rest_style])
def test_other_docstring_styles_are_read_too(fn: Any) -> None:
    described = {name: field["description"] for name, field in tool(fn).parameters["properties"].items()}
    assert described == {"query": "What to look for.", "limit": "How many."}


def test_a_description_in_the_annotation_goes_before_the_docstring() -> None:
    @tool
    def find(query: Annotated[str, Field(description="the words", min_length=2)]) -> str:
        """Find.

        Args:
            query: Something else.
        """
        return query

    assert find.parameters["properties"]["query"] == {"type": "string", "description": "the words", "minLength": 2}


def test_names_that_a_model_has_methods_for_are_fine() -> None:
    @tool
    def send(json: str, copy: bool = False, schema: int = 1) -> str:
        return json

    assert list(send.parameters["properties"]) == ["json", "copy", "schema"]


@pytest.mark.anyio
async def test_the_context_is_filled_in_and_hidden_from_the_model() -> None:
    @tool
    async def who(ctx: Context, greeting: str) -> str:
        return f"{greeting}, {ctx}"

    assert list(who.parameters["properties"]) == ["greeting"]
    given: Any = "the context"
    assert await who.call({"greeting": "hello"}, given) == "hello, the context"


@pytest.mark.anyio
async def test_arguments_arrive_as_what_the_signature_says() -> None:
    assert await search.call({"query": "tea", "place": {"city": "Rome"}}) == ["tea in Rome", "bar", "10"]

    @tool
    def day_of(day: dt.date) -> str:
        return day.strftime("%A")

    assert await day_of.call({"day": "2026-11-21"}) == "Saturday"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"query": "tea"}, "place: Field required"),
        ({"query": 5, "place": {"city": "Rome"}}, "query: Input should be a valid string"),
        ({"query": "tea", "place": {"city": "Rome"}, "limit": "5"}, "limit: Input should be a valid integer"),
        ({"query": "tea", "place": {"city": "Rome", "radius": 1.5}}, "place.radius: Input should be a valid integer"),
        ({"query": "tea", "place": {"city": "Rome"}, "colour": "red"}, "colour: Unexpected keyword argument"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name_and_never_coerced(arguments: Any, complaint: str) -> None:
    with pytest.raises(ToolInputError) as caught:
        search.validated(arguments)
    assert complaint in str(caught.value)
    assert "'search'" in str(caught.value)


def test_all_complaints_come_at_once() -> None:
    with pytest.raises(ToolInputError) as caught:
        search.validated({"query": 5, "limit": "x"})
    assert len(caught.value.complaints) == 3


@pytest.mark.anyio
async def test_a_timeout_stops_the_call_and_says_so() -> None:
    stopped = anyio.Event()

    @tool(timeout=0.01)
    async def slow() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.set()

    with pytest.raises(ToolTimeoutError, match=r"tool 'slow' was stopped after its timeout of 0.01 s"):
        await slow.call({})
    assert stopped.is_set()


def test_a_result_is_plain_data_or_refused() -> None:
    @tool
    def where() -> Place:
        return Place(city="Rome")

    assert where.plain(Place(city="Rome")) == {"city": "Rome", "radius": 5}
    with pytest.raises(ToolResultError, match="declared as Place, which is not JSON data"):
        where.plain(object())

    @tool
    def anything() -> Any: ...

    with pytest.raises(ToolResultError, match="'anything' returned <object"):
        anything.plain(object())


def positional(a: int, /) -> int:
    return a


def variadic(*numbers: int) -> int:
    return 0


def keywords(**options: int) -> int:
    return 0


def bare(a) -> int:  # type: ignore[no-untyped-def]
    return 0


def strange(a: object) -> int:
    return 0


def live(a: anyio.Event) -> int:
    return 0


def misnamed(query: str) -> int:
    """Find.

    Args:
        qeury: What to look for.
    """
    return 0


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (positional, "tool 'positional': parameter 'a' has no name that a caller could use."),
        (variadic, "tool 'variadic' cannot be used: it takes *numbers"),
        (keywords, "tool 'keywords': parameter 'options' has no name that a caller could use."),
        (bare, "tool 'bare': parameter 'a' has no annotation. Say its type."),
        (live, "tool 'live' has an argument that JSON cannot describe"),
        (misnamed, "tool 'misnamed': its docstring describes 'qeury', but it takes query. Rename one of them."),
    ],
)
def test_what_no_model_could_call_is_refused(fn: Any, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        tool(fn)
    assert message in str(caught.value)


def test_settings_that_contradict_each_other_are_refused() -> None:
    def plain(path: str) -> str:
        return path

    with pytest.raises(DefinitionError, match="a thread cannot be stopped"):
        tool(timeout=3)(plain)
    with pytest.raises(DefinitionError, match="read_only and declares writes="):
        tool(read_only=True, writes="path")(plain)
    with pytest.raises(DefinitionError, match="writes='file' names no argument of it"):
        tool(writes="file")(plain)
    with pytest.raises(DefinitionError, match="limit=0 leaves nothing"):
        tool(limit=0)(plain)
    with pytest.raises(DefinitionError, match="is a tool already"):
        again: Any = search
        tool(again)


def test_a_tool_shows_itself() -> None:
    assert repr(search) == "<Tool 'search'(query, place, kind, limit)>"
    assert isinstance(search, Tool)
