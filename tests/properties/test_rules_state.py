"""Claims about state: who sees which updates, in which order, and what is refused. Small graphs, real engine."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
import pytest
from pydantic import BaseModel

from loomgraph import END, OTHERWISE, START, Context, Failure, NodeFailedError, Workflow
from loomgraph.errors import ReducerError, StateConflictError, StateFieldError, StateTypeError
from tests.properties.small import always, never, total

pytestmark = pytest.mark.anyio


def extend(current: list[str], more: list[str]) -> list[str]:
    current.extend(more)  # a reducer that works in place is nobody else's business
    return current


class Notes(BaseModel):
    """An order-sensitive field, and one without a reducer."""

    log: Annotated[list[str], extend] = []
    owner: str = ""


def notes(**options: Any) -> Workflow[Any, Any]:
    return Workflow("notes", input=int, output=Any, state=Notes, **options)


def writer(name: str, gate: anyio.Event | None = None, opens: anyio.Event | None = None) -> Any:
    """A node that appends its name and returns the log that it saw."""

    async def write(value: Any, ctx: Context[Notes]) -> list[str]:
        if gate is not None:
            await gate.wait()
        seen = list(ctx.state.log)
        ctx.update(log=[name])
        if opens is not None:
            opens.set()
        return seen

    return write


# ---------------------------------------------------------------------- state


async def test_a_node_sees_the_updates_of_its_causal_ancestors_and_of_nobody_else() -> None:
    side_done = anyio.Event()
    wf = notes()
    wf.node(writer("a"), name="a")
    wf.node(writer("b", gate=side_done), name="b")
    wf.node(writer("side", opens=side_done), name="side")
    wf.chain(START, "a", "b")
    wf.edge(START, "side")
    wf.join(["b", "side"], into=END)
    result = await wf.compile().run(0)
    assert result.output == [["a"], []], "b runs after side in time, but not because of it"
    assert result.state.log == ["a", "b", "side"]


@pytest.mark.parametrize("first", ["left", "right"])
async def test_updates_are_folded_in_the_order_of_the_graph_and_never_of_time(first: str) -> None:
    done = anyio.Event()
    wf = notes()
    for name in ("left", "right"):
        code = writer(name, opens=done) if name == first else writer(name, gate=done)
        wf.edge(START, wf.node(code, name=name))
    wf.join(["right", "left"], into=(reader := wf.node(writer("reader"), name="reader")))
    wf.edge(reader, END)
    assert (await wf.compile().run(0)).output == ["left", "right"]


async def test_ancestors_flow_along_skipped_edges_too() -> None:
    wf = notes()
    wf.node(writer("fork"), name="fork")
    wf.node(writer("aside"), name="aside")
    wf.node(writer("goal"), name="goal")
    wf.node(writer("start"), name="start")
    wf.edge(START, "start")
    wf.edge(START, "fork")
    wf.edge("fork", "aside", when=always)
    wf.edge("fork", "goal", when=never)
    wf.edge("start", "goal", when=always)
    wf.edge("start", "aside", when=never)
    wf.join(["goal", "aside"], into=END)
    result = await wf.compile().run(0)
    assert sorted(result.output[0]) == ["fork", "start"], "goal was settled by fork's decision as well"


async def test_updates_of_a_failed_activation_do_not_exist() -> None:
    wf = notes()

    @wf.node
    async def fragile(value: int, ctx: Context[Notes]) -> int:
        ctx.update(log=["never"], owner="nobody")
        raise OSError("after the update")

    @wf.node
    async def handler(failure: Failure, ctx: Context[Notes]) -> list[str]:
        return ctx.state.log

    wf.edge(START, fragile)
    wf.edge(fragile, END)
    wf.on_error(fragile, handler, OSError)
    wf.edge(handler, END)
    result = await wf.compile().run(0)
    assert (result.output, result.state.log, result.state.owner) == ([], [], "")


async def test_an_iteration_sees_all_that_ran_in_the_iterations_before_it() -> None:
    wf = notes()

    @wf.node
    async def head(value: Any, ctx: Context[Notes]) -> list[str]:
        ctx.update(log=["head"])
        return list(ctx.state.log)

    wf.node(writer("side"), name="side")
    wf.edge(START, head)
    wf.edge(head, "side")
    wf.edge("side", head, when=never)
    wf.edge("side", "aside", when=OTHERWISE, exit="latest")
    wf.node(same_any, name="aside")
    wf.edge(head, head, when=lambda seen: len(seen) < 3)
    wf.edge(head, "out", when=OTHERWISE)
    wf.node(same_any, name="out")
    wf.join(["out", "aside"], into=END)
    result = await wf.compile().run(0)
    assert result.output[0] == ["head", "side", "head", "side"]
    assert result.state.log == ["head", "side"] * 3


async def same_any(value: Any) -> Any:
    return value


async def test_two_concurrent_writes_to_a_field_without_a_reducer_name_the_field_and_both_nodes() -> None:
    def owning(name: str) -> Any:
        async def own(value: int, ctx: Context[Notes]) -> int:
            ctx.update(owner=name)
            return value

        return own

    wf = notes()
    wf.edge(START, wf.node(owning("a"), name="a"))
    wf.edge(START, wf.node(owning("b"), name="b"))
    wf.join(["a", "b"], into=(goal := wf.node(total, name="goal")))
    wf.edge(goal, END)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(0)
    error = caught.value.__cause__
    assert isinstance(error, StateConflictError)
    assert (error.field, error.writers, caught.value.node) == ("owner", ("a", "b"), "goal")

    ordered = notes()
    for name in ("a", "b"):
        ordered.node(owning(name), name=name)
    ordered.chain(START, "a", "b", END)
    assert (await ordered.compile().run(0)).state.owner == "b"


@pytest.mark.parametrize(
    ("update", "kind", "words"),
    [
        ({"lgo": ["x"]}, StateFieldError, "node 'work' wrote state field 'lgo'.*Did you mean 'log'?"),
        ({"owner": 3}, StateTypeError, "node 'work' wrote 3 to state field 'owner', which takes str"),
        ({"log": None}, ReducerError, "the reducer of state field 'log' raised TypeError"),
    ],
)
async def test_an_unknown_field_a_wrong_type_and_a_refusing_reducer_are_errors_at_the_write(
    update: dict[str, Any], kind: type[Exception], words: str
) -> None:
    wf = notes()
    reached: list[str] = []

    @wf.node
    async def work(value: int, ctx: Context[Notes]) -> int:
        ctx.update(**update)
        reached.append("after the write")
        return value

    wf.chain(START, work, END)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(0)
    assert isinstance(caught.value.__cause__, kind)
    assert caught.value.__cause__ is not None
    with pytest.raises(kind, match=words):
        raise caught.value.__cause__
    assert reached == []


async def test_mutating_what_a_node_was_given_changes_nothing_elsewhere() -> None:
    wf = Workflow("vandals", input=list[int], output=list[list[int]], state=Notes)

    async def vandal(values: list[int], ctx: Context[Notes]) -> list[int]:
        values.append(99)
        ctx.state.log.append("smudge")
        return values

    async def honest(values: list[int], ctx: Context[Notes]) -> list[int]:
        return values

    given = [1]
    for name, code in (("v1", vandal), ("v2", vandal), ("h", honest)):
        wf.edge(START, wf.node(code, name=name))
    wf.join(["v1", "v2", "h"], into=END)
    result = await wf.compile().run(given)
    assert result.output == [[1, 99], [1, 99], [1]]
    assert (given, result.state.log) == ([1], [])
    result.output[0].append(7)
    assert result.node("v1")[0].output == [1, 99]


async def test_a_sub_graph_has_a_state_of_its_own() -> None:
    inner = Workflow("inner", input=list[str], output=list[str], state=Notes)
    inner.node(writer("inside"), name="inside")
    inner.chain(START, "inside", END)
    wf = notes()
    wf.node(writer("before"), name="before")
    wf.node(inner.compile(), name="graph")
    wf.node(writer("after"), name="after")
    wf.chain(START, "before", "graph", "after", END)
    result = await wf.compile().run(0)
    assert [a.output for a in result.activations if a.path[-1] == "inside"] == [[]]
    assert result.output == ["before"]
    assert result.state.log == ["before", "after"]


async def test_a_run_may_be_given_its_first_state_and_leaves_it_as_it_was() -> None:
    wf = notes()
    wf.node(writer("a"), name="a")
    wf.chain(START, "a", END)
    first = Notes(log=["before"])
    result = await wf.compile().run(0, state=first)
    assert (result.output, result.state.log, first.log) == (["before"], ["before", "a"], ["before"])


async def test_the_updates_of_a_map_appear_when_it_completes_in_the_order_of_its_items() -> None:
    last_done = anyio.Event()
    wf = Workflow("notes", input=list[int], output=Any, state=Notes)

    @wf.node
    async def item(value: int, ctx: Context[Notes]) -> list[str]:
        if value == 2:
            last_done.set()
        await last_done.wait()
        ctx.update(log=[str(value)])
        return list(ctx.state.log)

    wf.edge(wf.map(START, item), (reader := wf.node(writer("reader"), name="reader")))
    wf.edge(reader, END)
    result = await wf.compile().run([0, 1, 2])
    assert result.output == ["0", "1", "2"]
    assert [a.output for a in result.activations if a.index is not None] == [[], [], []], "items run side by side"
