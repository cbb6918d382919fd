"""A list that grows is written as any list is, and costs what is new in it."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from loomgraph import END, OTHERWISE, START, Context, Graph, Workflow
from loomgraph.errors import CodecError, ValueTooLargeError
from loomgraph.store.codec import Codec, Rows
from loomgraph.store.exact import same
from loomgraph.store.sqlite import SQLiteStore
from loomgraph.store.types import TypeRegistry
from tests.store.kinds import TYPES, UNIONS, Typed

WHERE = "node 'n'"


class Message(BaseModel):
    role: str
    text: str
    marks: dict[str, int] = {}


def _said(i: int) -> Message:
    return Message(role="user", text=f"{i} ".ljust(100, "x"), marks={"n": i})


def _size(rows: Rows) -> int:
    return sum(len(data) for data in rows.values())


def _dumped(codec: Codec, tp: Any, value: Any) -> tuple[tuple[Any, Rows], str | None]:
    """What the codec makes of a value, or why it refuses it."""
    try:
        return codec.dump(tp, value, WHERE), None
    except CodecError as error:
        return (None, {}), error.detail


@given(TYPES | UNIONS, st.data())
@settings(max_examples=120, deadline=None)
def test_a_list_that_grew_is_written_as_if_it_had_been_written_at_once(typed: Typed, data: st.DataObject) -> None:
    tp, values = typed
    whole = data.draw(st.lists(values, min_size=8, max_size=14))
    steps = data.draw(st.lists(st.integers(8, len(whole)), max_size=3))
    # what is asked of a list as a whole is never written item by item
    at_once: Any = Annotated[list[tp], "as a whole"]
    codec, rows = Codec(), Rows()
    for items in (*(whole[:step] for step in steps), whole, whole[1:], [*whole, *whole]):
        expected, reason = _dumped(Codec(), at_once, items)
        (ref, more), again = _dumped(codec, list[tp], items)
        assert again == reason
        if reason:
            return
        rows.update(more)
        codec.known.update(more)
        assert ref == expected[0]
        assert same(items, Codec().load(list[tp], ref, rows, WHERE)) is None


def test_what_was_written_before_is_not_written_again() -> None:
    codec = Codec()
    messages = [_said(i) for i in range(500)]
    _, rows = codec.dump(list[Message], messages, WHERE)
    codec.known.update(rows)
    # copies, as a node hands them on
    ref, rows = codec.dump(list[Message], [*(m.model_copy(deep=True) for m in messages), _said(500)], WHERE)
    assert _size(rows) < 250
    assert ref == Codec().dump(list[Message], [_said(i) for i in range(501)], WHERE)[0]
    codec.known.update(rows)
    assert codec.dump(list[Message], messages, WHERE)[1] == {}


def test_several_lists_grow_side_by_side() -> None:
    codec = Codec()
    talks = [[_said(1000 * k + i) for i in range(20)] for k in range(10)]
    for turn in range(5):
        for talk in talks:
            _, rows = codec.dump(list[Message], talk, WHERE)
            codec.known.update(rows)
            assert not turn or _size(rows) < 250
            talk.append(_said(turn))


def test_an_item_that_changed_is_written_with_all_behind_it() -> None:
    codec, kept = Codec(), Rows()
    messages = [_said(i) for i in range(20)]
    for changed in (0, 5):
        messages[changed].marks["n"] = -1
        ref, rows = codec.dump(list[Message], [m.model_copy(deep=True) for m in messages], WHERE)
        kept.update(rows)
        codec.known.update(rows)
        assert Codec().load(list[Message], ref, kept, WHERE) == messages


class Prompt(BaseModel):
    parts: list[Message]
    now: str


@pytest.mark.parametrize("last", [1, 3])
def test_what_is_said_last_and_changes_each_time_does_not_make_a_growing_list_be_written_anew(last: int) -> None:
    """As in a prompt that shows all there is and ends with what is to be done now."""
    codec, kept, sizes = Codec(), Rows(), list[int]()
    for turn in range(10, 200):
        endings = [Message(role="user", text=f"now {turn} {i}") for i in range(last)]
        prompt = Prompt(parts=[*map(_said, range(turn)), *endings], now="")
        ref, rows = codec.dump(Prompt, prompt, WHERE)
        sizes.append(_size(rows))
        kept.update(rows)
        codec.known.update(rows)
        assert Codec().load(Prompt, ref, kept, WHERE) == prompt
    assert max(sizes[2:]) < 3 * 300 + last * 150
    assert _size(kept) < 150_000, "the last prompt alone has 30,000"


class Vague:
    """Says that any two of it are equal."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vague)

    __hash__ = object.__hash__

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls(value),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.text),
        )


def test_a_class_that_takes_different_values_for_equal_is_not_believed() -> None:
    codec, kept = Codec(registry=TypeRegistry()), Rows()
    for text in ("before", "after"):
        ref, rows = codec.dump(list[Vague], [Vague(text) for _ in range(10)], WHERE)
        kept.update(rows)
        codec.known.update(rows)
        back = Codec(registry=TypeRegistry()).load(list[Vague], ref, kept, WHERE)
        assert [item.text for item in back] == [text] * 10


def test_the_limit_on_a_value_counts_what_was_written_before() -> None:
    codec = Codec(max_bytes=2_000)
    messages = [_said(i) for i in range(10)]
    codec.dump(list[Message], messages, WHERE)
    with pytest.raises(ValueTooLargeError):
        codec.dump(list[Message], [*messages, *(_said(i) for i in range(10))], WHERE)


class Talk(BaseModel):
    messages: Annotated[list[str], operator.add] = []


def _text(i: int) -> str:
    return f"{i:06d} ".ljust(500, "abcdefghij"[i % 10])


def _as_value(turns: int) -> Graph[list[str], list[str]]:
    wf = Workflow("talk", input=list[str], output=list[str])

    @wf.node
    async def turn(messages: list[str]) -> list[str]:
        return [*messages, _text(len(messages))]

    wf.edge(START, turn)
    wf.edge(turn, turn, when=lambda messages: len(messages) < turns, cap=turns)
    wf.edge(turn, END, when=OTHERWISE)
    return wf.compile()


def _as_state(turns: int) -> Graph[int, int]:
    wf = Workflow("talk", input=int, output=int, state=Talk)

    @wf.node
    async def turn(i: int, ctx: Context[Talk]) -> int:
        ctx.update(messages=[_text(i)])
        return i + 1

    wf.edge(START, turn)
    wf.edge(turn, turn, when=lambda i: i < turns, cap=turns)
    wf.edge(turn, END, when=OTHERWISE)
    return wf.compile()


async def _kept_and_written(folder: Path, graph: Graph[Any, Any], value: Any, **options: Any) -> tuple[int, int]:
    before = _written()
    folder.mkdir()
    path = folder / "runs.db"
    async with SQLiteStore(path) as store:
        await graph.run(value, store=store, **options)
    return path.stat().st_size, _written() - before


def _written() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


linux = pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts written bytes as Linux does")


@linux
@pytest.mark.parametrize("form", ["value", "state"])
@pytest.mark.anyio
async def test_a_thousand_turns_of_500_bytes_keep_less_than_twice_and_write_under_12_megabytes(
    form: str, tmp_path: Path
) -> None:
    sizes: dict[int, tuple[int, int]] = {}
    for turns in (500, 1_000):
        graph: Any = _as_value(turns) if form == "value" else _as_state(turns)
        sizes[turns] = await _kept_and_written(tmp_path / str(turns), graph, [] if form == "value" else 0)
    kept, written = sizes[1_000]
    assert kept < 2 * 500 * 1_000
    assert written < 12_000_000
    assert kept < 2.2 * sizes[500][0]
    assert written < 2.2 * sizes[500][1]


@linux
@pytest.mark.parametrize("durability", ["batch", "exit"])
@pytest.mark.anyio
async def test_what_is_written_late_is_written_once(durability: str, tmp_path: Path) -> None:
    kept, written = await _kept_and_written(tmp_path / durability, _as_value(300), [], durability=durability)
    assert kept < 2 * 500 * 300 + 50_000  # an empty database takes as much
    assert written < 4_000_000


@pytest.mark.anyio
async def test_a_chain_of_a_thousand_nodes_takes_under_a_megabyte(tmp_path: Path) -> None:
    wf = Workflow("chain", input=int, output=int)

    def step() -> Any:
        async def more(x: int) -> int:
            return x + 1

        return more

    wf.chain(START, *(wf.node(step(), name=f"n{i}") for i in range(1_000)), END)
    kept, _ = await _kept_and_written(tmp_path / "chain", wf.compile(), 0)
    assert kept < 1_000_000
