"""Claims about values: what enters and leaves is of its declared type, and nobody shares what can be changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Failure, NodeFailedError, Retry, Workflow
from loomgraph.errors import CopyRefusedError, InputRefusedError, MapInputError, OutputRefusedError
from tests.runtime.graphs import chain, parallel

pytestmark = pytest.mark.anyio


class Model(BaseModel):
    items: list[int]
    inner: dict[str, list[int]] = {}


@dataclass
class Record:
    items: list[int] = field(default_factory=list[int])


class Bag:
    """A class of no particular kind."""

    def __init__(self, items: list[int]) -> None:
        self.items = items


@dataclass(frozen=True)
class Case:
    """A kind of value: how to make one, change it in place, and look at it."""

    make: Callable[[], Any]
    change: Callable[[Any], None]
    look: Callable[[Any], Any]


def _append(value: Any) -> None:
    value.items.append(9)


CASES = {
    "list": Case(lambda: [1], lambda value: value.append(9), list),
    "nested list": Case(lambda: [[1]], lambda value: value[0].append(9), lambda value: [list(item) for item in value]),
    "dict": Case(lambda: {"a": [1]}, lambda value: value["a"].append(9), lambda value: list(value["a"])),
    "set": Case(lambda: {1}, lambda value: value.add(9), sorted),
    "tuple of lists": Case(lambda: ([1],), lambda value: value[0].append(9), lambda value: list(value[0])),
    "model": Case(lambda: Model(items=[1]), _append, lambda value: list(value.items)),
    "model inside": Case(
        lambda: Model(items=[], inner={"a": [1]}),
        lambda value: value.inner["a"].append(9),
        lambda value: list(value.inner["a"]),
    ),
    "dataclass": Case(lambda: Record([1]), _append, lambda value: list(value.items)),
    "plain class": Case(lambda: Bag([1]), _append, lambda value: list(value.items)),
}

each = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@each
async def test_what_a_node_does_to_its_input_is_invisible_to_others(case: Case) -> None:
    seen: list[Any] = []

    async def changes(value: Any) -> Any:
        case.change(value)
        return case.look(value)

    async def looks(value: Any) -> Any:
        seen.append(case.look(value))
        return None

    given = case.make()
    wf = Workflow("isolated", input=Any, output=list[Any])
    wf.parallel([wf.node(changes), wf.node(looks), wf.node(changes, name="again")], source=START, into=END)
    result = await wf.compile().run(given)
    before, after = case.look(case.make()), result.output[0]
    assert before != after
    assert result.output == [after, None, after]
    assert seen == [before]
    assert case.look(given) == before
    assert [case.look(record.input) for record in result.activations] == [before] * 3
    assert [case.look(event.input) for event in result.events if event.kind == "RunStarted"] == [before]


@each
async def test_what_a_node_keeps_of_its_output_is_not_what_others_are_given(case: Case) -> None:
    kept: list[Any] = []

    async def makes(value: int) -> Any:
        kept.append(case.make())
        return kept[0]

    async def changes_what_was_returned(value: Any) -> Any:
        case.change(kept[0])
        return case.look(value)

    before = case.look(case.make())
    result = await chain(makes, changes_what_was_returned).run(1)
    assert result.output == before
    assert case.look(result.node("makes")[0].output) == before


@each
async def test_changing_the_runs_input_later_changes_nothing(case: Case) -> None:
    given = case.make()
    before = case.look(given)

    async def looks(value: Any) -> Any:
        return case.look(value)

    async with chain(looks).start(given) as run:
        case.change(given)
        result = await run.result()
    assert result.output == before
    assert case.look(result.node("looks")[0].input) == before


@each
async def test_changing_the_result_changes_nothing_in_the_record(case: Case) -> None:
    async def makes(value: int) -> Any:
        return case.make()

    result = await chain(makes).run(1)
    case.change(result.output)
    assert case.look(result.node("makes")[0].output) == case.look(case.make())


async def test_the_items_of_a_map_are_each_others_neighbours_and_nothing_more() -> None:
    shared = [0]

    async def makes(value: int) -> list[list[int]]:
        return [shared, shared, shared]

    async def appends(item: list[int], ctx: Context) -> list[int]:
        item.append(ctx.index or 0)
        return item

    wf = Workflow("items", input=int, output=list[list[int]])
    wf.edge(START, makes)
    wf.edge(wf.map(makes, appends), END)
    assert (await wf.compile().run(1)).output == [[0, 0], [0, 1], [0, 2]]
    assert shared == [0]


async def test_live_objects_travel_as_deps_and_are_not_copied() -> None:
    lock = threading.Lock()
    found: list[Any] = []

    async def uses(value: int, ctx: Context) -> int:
        found.append(ctx.deps)
        return value

    await chain(uses).run(1, deps=lock)
    assert found == [lock]


async def test_a_value_that_cannot_be_copied_is_refused_with_its_type() -> None:
    async def makes(value: int) -> Any:
        return threading.Lock()

    with pytest.raises(NodeFailedError, match="deps=") as caught:
        await chain(makes).run(1)
    assert isinstance(caught.value.__cause__, CopyRefusedError)
    assert "lock cannot be copied" in str(caught.value.__cause__)


# ---------------------------------------------------------------------- types


@pytest.mark.parametrize("value", ["1", 1.5, None, [1]])
async def test_an_input_of_another_type_is_refused_before_anything_runs(value: Any) -> None:
    ran: list[Any] = []

    async def notes(value: int) -> int:
        ran.append(value)
        return value

    with pytest.raises(InputRefusedError, match="graph 'chain' takes int, not"):
        await chain(notes).run(value)
    with pytest.raises(InputRefusedError):
        chain(notes).start(value)
    assert ran == []


async def test_an_input_deep_inside_is_checked_too() -> None:
    async def reads(values: dict[str, list[int]]) -> int:
        return len(values)

    graph = chain(reads)
    assert (await graph.run({"a": [1]})).output == 1
    with pytest.raises(InputRefusedError):
        await graph.run({"a": [1, "2"]})


async def test_a_model_is_not_made_from_a_dict_behind_ones_back() -> None:
    async def reads(model: Model) -> int:
        return len(model.items)

    graph = chain(reads)
    assert (await graph.run(Model(items=[1]))).output == 1
    with pytest.raises(InputRefusedError):
        await graph.run({"items": [1]})


@pytest.mark.parametrize("answer", ["1", 1.5, None, [1]])
async def test_an_output_of_another_type_is_refused_and_not_converted(answer: Any) -> None:
    async def lies(value: int) -> int:
        return answer

    with pytest.raises(NodeFailedError, match="'lies' is declared to return int") as caught:
        await chain(lies).run(1)
    assert isinstance(caught.value.__cause__, OutputRefusedError)


async def test_a_refused_output_is_not_tried_again_and_may_be_handled() -> None:
    calls: list[int] = []

    async def lies(value: int) -> int:
        calls.append(value)
        answer: Any = "no"
        return answer

    async def mends(failure: Failure) -> int:
        return 7

    wf = Workflow("mended", input=int, output=int)
    node = wf.node(lies, retry=Retry(attempts=3, delay=0))
    wf.edge(START, node)
    wf.edge(node, END)
    wf.on_error(node, mends)
    wf.edge(mends, END)
    assert (await wf.compile().run(1)).output == 7
    assert calls == [1]


async def test_subclasses_survive_the_way_through_the_graph() -> None:
    class Special(list[int]):
        pass

    async def makes(value: int) -> list[int]:
        return Special([value])

    async def reads(values: list[int]) -> str:
        return type(values).__name__

    assert (await chain(makes, reads).run(1)).output == "Special"


@pytest.mark.parametrize("items", ["text", 7, {"a": 1}, None])
async def test_a_map_over_what_is_not_a_list_is_an_error(items: Any) -> None:
    async def makes(value: int) -> Any:
        return items

    async def works(item: Any) -> Any:
        return item

    wf = Workflow("map", input=int, output=Any)
    wf.edge(START, makes)
    wf.edge(wf.map(makes, works), END)
    with pytest.raises(NodeFailedError, match="the map 'works' takes a list") as caught:
        await wf.compile().run(1)
    assert isinstance(caught.value.__cause__, MapInputError)


async def test_parallel_branches_may_change_the_same_input_at_the_same_time() -> None:
    async def left(values: list[int]) -> list[int]:
        values.append(1)
        return values

    async def right(values: list[int]) -> list[int]:
        values.append(2)
        return values

    assert (await parallel(left, right).run([0])).output == [[0, 1], [0, 2]]
