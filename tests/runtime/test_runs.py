"""Claims about runs as a whole: ids, options, results, many at once, and what may be a node."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from loomgraph import END, START, Context, Graph, Workflow
from loomgraph.errors import DefinitionError, LoomgraphError, NodeFailedError
from tests.runtime.graphs import Meeting, chain, parallel


async def add(value: int) -> int:
    return value + 1


# ---------------------------------------------------------------------- ids, options, results


@pytest.mark.anyio
async def test_each_run_has_an_id_of_its_own_unless_it_is_given_one() -> None:
    graph = chain(add)
    first, second = await graph.run(1), await graph.run(1)
    assert first.run_id != second.run_id
    assert len(first.run_id) >= 16
    named = await graph.run(1, run_id="t-42")
    assert named.run_id == "t-42"
    assert {event.run_id for event in named.events} == {"t-42"}


@pytest.mark.anyio
async def test_a_result_says_how_the_run_went() -> None:
    result = await chain(add, functools.partial(_multiply, factor=10)).run(1)
    assert (result.output, result.status, result.state) == (20, "succeeded", None)
    assert result.seconds >= 0
    assert (result.usage.activations, result.usage.attempts, result.usage.cost) == (2, 2, 0.0)
    first, second = result.activations
    assert (first.key, first.input, first.output, first.attempts, first.failure) == ("add", 1, 2, 1, None)
    assert second.input == 2
    for record in result.activations:
        assert record.started is not None
        assert record.ended is not None
        assert record.seconds == record.ended - record.started >= 0
    assert "succeeded" in repr(result)


async def _multiply(value: int, factor: int) -> int:
    return value * factor


@pytest.mark.anyio
async def test_a_context_tells_a_node_about_its_run() -> None:
    seen: dict[str, Any] = {}
    deps = object()

    async def looks(value: int, ctx: Context) -> int:
        seen.update(
            run_id=ctx.run_id,
            user=ctx.user_id,
            session=ctx.session_id,
            deps=ctx.deps,
            metadata=dict(ctx.metadata),
            tags=ctx.tags,
            place=(ctx.node, ctx.key, ctx.attempt, ctx.iteration, ctx.index),
        )
        return value

    graph = chain(looks, tags=("a", "b"))
    await graph.run(1, run_id="r", user_id="u", session_id="s", deps=deps, metadata={"k": 1})
    assert seen == {
        "run_id": "r",
        "user": "u",
        "session": "s",
        "deps": deps,
        "metadata": {"k": 1},
        "tags": ("a", "b"),
        "place": ("looks", "looks", 1, (), None),
    }


@pytest.mark.anyio
async def test_a_context_knows_its_iteration_and_its_item() -> None:
    places: list[tuple[tuple[int, ...], int | None, str]] = []

    async def spread(value: int) -> list[int]:
        return [value, value]

    async def item(value: int, ctx: Context) -> int:
        places.append((ctx.iteration, ctx.index, ctx.key))
        return value

    async def total(values: list[int]) -> int:
        return len(values) + values[0]

    wf = Workflow("places", input=int, output=int)
    wf.edge(START, spread)
    wf.map(spread, item)
    wf.edge(item, total)
    wf.edge(total, spread, when=lambda value: value < 4)
    wf.edge(total, END, when=lambda value: value >= 4)
    await wf.compile().run(0)
    assert places == [((i,), j, f"item#{i}[{j}]") for i in range(2) for j in range(2)]


@pytest.mark.anyio
async def test_a_graph_without_an_input_runs_without_a_value() -> None:
    async def begins(nothing: None) -> int:
        return 7

    wf = Workflow("no input", input=None, output=int)
    wf.chain(START, begins, END)
    assert (await wf.compile().run()).output == 7


@pytest.mark.anyio
async def test_a_graph_may_pass_its_input_straight_on() -> None:
    wf = Workflow("nothing", input=int, output=int)
    wf.edge(START, wf.node(add))
    wf.edge("add", END)
    assert (await wf.compile().run(1)).output == 2


@pytest.mark.anyio
async def test_a_thousand_runs_of_one_graph_at_once_keep_to_themselves() -> None:
    meeting = Meeting(1000)

    async def meets(value: int) -> int:
        await meeting()
        return value

    graph = chain(add, meets, add_again)
    outputs: dict[int, int] = {}

    async def one(value: int) -> None:
        outputs[value] = (await graph.run(value)).output

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for value in range(1000):
                group.start_soon(one, value)
    assert outputs == {value: value + 2 for value in range(1000)}


# ---------------------------------------------------------------------- context variables

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


async def reads_variable(value: int) -> str:
    return VARIABLE.get()


def reads_variable_in_thread(value: int) -> str:
    return VARIABLE.get()


async def sets_variable(value: int) -> int:
    VARIABLE.set(f"set by a node, was {VARIABLE.get()}")
    await anyio.lowlevel.checkpoint()
    assert VARIABLE.get().startswith("set by a node")
    return value


def sets_variable_in_thread(value: int) -> int:
    VARIABLE.set("set in a thread")
    return value


@pytest.mark.anyio
async def test_nodes_see_the_context_variables_of_whoever_runs_the_graph() -> None:
    token = VARIABLE.set("the caller's")
    graph = parallel(reads_variable, reads_variable_in_thread)
    try:
        assert (await graph.run(1)).output == ["the caller's"] * 2
        async with graph.start(1) as run:
            assert (await run.result()).output == ["the caller's"] * 2
    finally:
        VARIABLE.reset(token)


@pytest.mark.anyio
async def test_what_a_node_sets_in_a_context_variable_stays_its_own() -> None:
    for sets in (sets_variable, sets_variable_in_thread):
        for reads in (reads_variable, reads_variable_in_thread):
            assert (await chain(sets, reads).run(1)).output == "unset"
    assert VARIABLE.get() == "unset"


# ---------------------------------------------------------------------- run_sync


def test_run_sync_runs_in_a_script() -> None:
    result = chain(add).run_sync(1, run_id="r")
    assert (result.output, result.run_id) == (2, "r")


def test_run_sync_raises_what_run_raises() -> None:
    async def fails(value: int) -> int:
        raise ValueError("broken")

    with pytest.raises(NodeFailedError) as caught:
        chain(fails).run_sync(1)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.anyio
async def test_run_sync_inside_an_event_loop_is_refused_with_what_to_do() -> None:
    with pytest.raises(DefinitionError, match=r"inside a running event loop; write `await graph.run\(...\)` there"):
        chain(add).run_sync(1)


@pytest.mark.anyio
async def test_run_sync_inside_a_node_of_another_run_works_in_its_thread() -> None:
    inner = chain(add)

    def blocks(value: int) -> int:
        output: int = inner.run_sync(value).output
        return output

    assert (await chain(blocks, name="outer").run(1)).output == 2


# ---------------------------------------------------------------------- what may be a node


class Adder:
    """A callable object."""

    def __init__(self, amount: int) -> None:
        self.amount = amount

    async def __call__(self, value: int) -> int:
        return value + self.amount

    async def method(self, value: int) -> int:
        return value + self.amount

    def sync_method(self, value: int) -> int:
        return value + self.amount

    @classmethod
    async def of_class(cls, value: int) -> int:
        return value + 5

    @staticmethod
    async def of_nobody(value: int) -> int:
        return value + 5


def sync_add(value: int) -> int:
    return value + 5


def wrapped(fn: Callable[[int], Awaitable[int]]) -> Callable[[int], Awaitable[int]]:
    """A decorator that loses the `async`."""

    @functools.wraps(fn)
    def wrapper(value: int) -> Awaitable[int]:
        return fn(value)

    return wrapper


def lambda_like(value: int) -> Any:
    """A plain function that hands out a coroutine."""
    return Adder(5)(value)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "node",
    [
        sync_add,
        Adder(5),
        Adder(5).method,
        Adder(5).sync_method,
        Adder.of_class,
        Adder.of_nobody,
        functools.partial(_multiply, factor=6),
        functools.partial(functools.partial(_multiply), factor=6),
        wrapped(Adder(5).method),
        lambda_like,
        lambda value: value + 5,
    ],
    ids=[
        *("function", "object", "method", "sync method", "class method", "static method", "partial", "nested partial"),
        *("wrapper that lost its async", "function that hands out a coroutine", "lambda"),
    ],
)
async def test_anything_callable_may_be_a_node(node: Any) -> None:
    wf = Workflow("callable", input=int, output=int)
    wf.chain(START, wf.node(node, name="node"), END)
    assert (await wf.compile().run(1)).output == 6


class Promise:
    """Something to await that is no coroutine."""

    def __await__(self) -> Generator[Any, Any, int]:
        yield from anyio.lowlevel.checkpoint().__await__()
        return 6


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [lambda: 6, Promise, lambda: add(5)], ids=["value", "awaitable", "coroutine"])
async def test_a_wrapper_that_passes_for_the_async_function_it_wraps_may_be_a_node(answer: Callable[[], Any]) -> None:
    @functools.wraps(add)
    def wrapper(value: int) -> Any:
        return answer()

    assert (await chain(wrapper).run(1)).output == 6


@dataclass
class Reading:
    value: int


@pytest.mark.anyio
async def test_a_class_may_be_a_node_that_makes_one() -> None:
    wf = Workflow("class", input=int, output=Reading)
    wf.chain(START, Reading, END)
    graph = wf.compile()
    assert graph.output_type is Reading
    assert (await graph.run(1)).output == Reading(1)


@pytest.mark.anyio
async def test_parameters_with_defaults_keep_them() -> None:
    async def scales(value: int, factor: int = 3, *, offset: int = 1) -> int:
        return value * factor + offset

    assert (await chain(scales).run(2)).output == 7


@pytest.mark.anyio
async def test_the_context_may_stand_anywhere_and_have_any_name() -> None:
    async def first(where: Context, value: int) -> int:
        assert where.node == "first"
        return value

    async def last(value: int, *, here: Context[Any, Any]) -> int:
        assert here.node == "last"
        return value

    assert (await chain(first, last).run(7)).output == 7


@pytest.mark.anyio
async def test_join_members_are_bound_by_parameter_name() -> None:
    async def price(value: int) -> int:
        return value * 10

    async def stock(value: int) -> str:
        return str(value)

    async def offer(stock: str, price: int) -> str:
        return f"{stock} at {price}"

    wf = Workflow("named", input=int, output=str)
    wf.parallel([price, stock], source=START, into=offer)
    wf.edge(offer, END)
    result = await wf.compile().run(3)
    assert result.output == "3 at 30"
    assert result.node("offer")[0].input == {"price": 30, "stock": "3"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "name", ["a b", 'say "hi"', "end", "END", "naïve→日本", "a/b", "x#1", "y[0]", "100%", "new\nline"]
)
async def test_a_node_may_have_any_name(name: str) -> None:
    wf = Workflow("names", input=int, output=int)
    node = wf.node(add, name=name)
    wf.chain(START, node, wf.node(add, name="other"), END)
    result = await wf.compile().run(1)
    assert result.output == 3
    assert result.activations[0].path == (name,)
    assert [record.path for record in result.node(name)] == [(name,)]


def test_a_graph_says_what_it_is() -> None:
    graph: Graph[Any, Any] = chain(add)
    assert (graph.name, graph.input_type, graph.output_type) == ("chain", int, int)
    assert repr(graph) == "<Graph 'chain': int -> int, 1 nodes, 2 edges>"
    assert set(graph.fingerprints) == {"add"}


@pytest.mark.anyio
async def test_a_fast_branch_never_waits_for_a_slow_one() -> None:
    """Three nodes in a row beside one that lasts until the third of them has run."""
    done = anyio.Event()

    async def slow(value: int) -> int:
        await done.wait()
        return value

    async def last(value: int) -> int:
        done.set()
        return value

    fast = chain(add, add_again, last, name="fast")
    with anyio.fail_after(30):
        assert (await parallel(slow, fast).run(1)).output == [1, 3]


async def add_again(value: int) -> int:
    return value + 1


@pytest.mark.anyio
async def test_everything_that_is_raised_on_purpose_is_one_family() -> None:
    async def fails(value: int) -> int:
        raise ValueError

    with pytest.raises(LoomgraphError):
        await chain(fails).run(1)
    with pytest.raises(LoomgraphError):
        await chain(fails).run("1")
