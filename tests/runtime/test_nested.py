"""Claims about graphs inside graphs: as nodes, as map workers, and run by node code with ctx.run."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from loomgraph import END, START, Context, Failure, NodeFailedError, Workflow
from loomgraph.errors import DefinitionError, InputRefusedError, LoopCapError
from loomgraph.events import ScopeEnded, ScopeStarted
from tests.runtime.graphs import Meeting, chain, kinds

pytestmark = pytest.mark.anyio


async def add(value: int) -> int:
    return value + 1


async def double(value: int) -> int:
    return value * 2


async def fails(value: int) -> int:
    raise ValueError(f"broken by {value}")


async def test_a_graph_is_a_node_like_any_other() -> None:
    inner = chain(add, double, name="inner")
    result = await _outer(inner).run(1)
    assert result.output == 7  # ((1 + 1) + 1) * 2 + 1
    assert [(record.key, record.node, record.path) for record in result.activations] == [
        ("before", "before", ("before",)),
        ("inner", "inner", ("inner",)),
        ("inner/add", "inner/add", ("inner", "add")),
        ("inner/double", "inner/double", ("inner", "double")),
        ("after", "after", ("after",)),
    ]
    assert {event.parent for event in result.events if getattr(event, "key", "").startswith("inner/")} == {"inner"}


def _outer(inner: Any, **options: Any) -> Any:
    wf = Workflow("outer", input=int, output=int)
    nodes = [wf.node(add, name="before"), wf.node(inner, **options), wf.node(add, name="after")]
    wf.chain(START, *nodes, END)
    return wf.compile()


async def test_activations_are_found_by_name_and_by_path() -> None:
    result = await _outer(chain(add, name="inner")).run(1)
    assert [record.key for record in result.node("add")] == ["inner/add"]
    assert [record.key for record in result.node("inner/add")] == ["inner/add"]
    assert [record.key for record in result.node("inner")] == ["inner"]


async def test_one_graph_may_stand_in_several_places() -> None:
    inner = chain(add, name="inner")
    wf = Workflow("twice", input=int, output=int)
    wf.chain(START, wf.node(inner, name="one"), wf.node(inner, name="two"), END)
    result = await wf.compile().run(1)
    assert result.output == 3
    assert [record.key for record in result.node("add")] == ["one/add", "two/add"]


async def test_a_failure_deep_inside_is_reported_where_it_happened() -> None:
    middle = chain(chain(fails, name="inner"), name="middle")
    with pytest.raises(NodeFailedError, match="'middle/inner/fails' failed") as caught:
        await chain(middle, name="outer").run(1)
    error = caught.value
    assert (error.node, error.key) == ("middle/inner/fails", "middle/inner/fails")
    assert str(error.__cause__) == "broken by 1"
    assert len(error.failures) == 1
    assert {record.key: record.status for record in error.result.activations} == {
        "middle": "failed",
        "middle/inner": "failed",
        "middle/inner/fails": "failed",
    }


async def test_a_failure_inside_may_be_handled_outside() -> None:
    async def mends(failure: Failure) -> int:
        assert failure.message == "broken by 1"
        return 7

    wf = Workflow("outer", input=int, output=int)
    inner = wf.node(chain(fails, name="inner"))
    wf.edge(START, inner)
    wf.edge(inner, END)
    wf.on_error(inner, mends, ValueError)
    wf.edge(mends, END)
    result = await wf.compile().run(1)
    assert result.output == 7
    assert {record.key: record.status for record in result.activations} == {
        "inner": "handled",
        "inner/fails": "failed",
        "mends": "succeeded",
    }


async def test_items_of_a_map_of_graphs_do_not_wait_for_each_other() -> None:
    """Item 0 stands in its first node until item 1 is in its second."""
    second_reached = anyio.Event()

    async def first(value: int) -> int:
        if value == 0:
            await second_reached.wait()
        return value

    async def second(value: int) -> int:
        second_reached.set()
        return value

    wf = Workflow("pipelines", input=list[int], output=list[int])
    wf.edge(wf.map(START, chain(first, second, name="pipeline")), END)
    with anyio.fail_after(30):
        result = await wf.compile().run([0, 1])
    assert result.output == [0, 1]
    assert {record.key for record in result.node("pipeline/first")} == {"pipeline[0]/first", "pipeline[1]/first"}


async def test_a_condition_out_of_a_map_of_graphs_is_asked_for_the_list_and_not_for_its_items() -> None:
    asked: list[Any] = []
    wf = Workflow("asks", input=list[int], output=list[int])
    mapped = wf.map(START, chain(add, name="inner"))
    wf.edge(mapped, END, when=lambda values: asked.append(values) or len(values) == 2, label="two")
    result = await wf.compile().run([1, 2])
    assert result.output == [2, 3]
    assert asked == [[2, 3]]


async def test_loops_in_a_graph_in_a_loop_start_anew_each_time() -> None:
    async def count(value: int) -> int:
        return value + 1

    inner = Workflow("inner", input=int, output=int)
    inner.edge(START, count)
    inner.edge(count, count, when=lambda value: value % 3 != 0, cap=3)
    inner.edge(count, END, when=lambda value: value % 3 == 0)
    outer = Workflow("outer", input=int, output=int)
    node = outer.node(inner.compile())
    outer.edge(START, node)
    outer.edge(node, node, when=lambda value: value < 9, cap=3)
    outer.edge(node, END, when=lambda value: value >= 9)
    result = await outer.compile().run(0)
    assert result.output == 9
    assert [record.key for record in result.node("count")] == [
        f"inner#{i}/count#{j}" for i in range(3) for j in range(3)
    ]


async def test_a_cap_names_the_cycle_and_carries_the_last_values() -> None:
    async def draft(value: int) -> int:
        return value + 1

    async def review(value: int) -> int:
        return value

    wf = Workflow("capped", input=int, output=int)
    wf.edge(START, draft)
    wf.loop(draft, review, again=lambda value: value < 100, cap=5)
    wf.edge(review, END, when=lambda value: value >= 100)
    with pytest.raises(LoopCapError, match="the loop draft -> review -> draft ran 5 iterations") as caught:
        await wf.compile().run(0)
    error = caught.value
    assert (error.cycle, error.cap, error.values) == (("draft", "review"), 5, {"review": 5})
    assert len(error.result.node("draft")) == 5


# ---------------------------------------------------------------------- ctx.run


async def test_a_graph_run_by_a_node_is_a_scope_inside_it() -> None:
    inner = chain(add, double, name="inner")

    async def agent(value: int, ctx: Context) -> int:
        answer: int = await ctx.run(inner, value, key="plan")
        return answer + 1

    result = await chain(agent).run(1)
    assert result.output == 5
    assert kinds(result.events)[1:-1] == [
        "NodeStarted agent",
        "ScopeStarted agent/@plan",
        "NodeStarted agent/@plan/add",
        "NodeSucceeded agent/@plan/add",
        "NodeStarted agent/@plan/double",
        "NodeSucceeded agent/@plan/double",
        "ScopeEnded agent/@plan",
        "NodeSucceeded agent",
    ]
    [began] = [event for event in result.events if isinstance(event, ScopeStarted)]
    assert (began.graph, began.input, began.parent) == ("inner", 1, "agent")
    [ended] = [event for event in result.events if isinstance(event, ScopeEnded)]
    assert ended.output == 4
    assert [record.key for record in result.node("agent/@plan/add")] == ["agent/@plan/add"]


async def test_a_graph_made_at_run_time_runs_like_any_other() -> None:
    async def planner(steps: list[str], ctx: Context) -> int:
        wf = Workflow("made", input=int, output=int)
        wf.chain(START, *[wf.node({"add": add, "double": double}[step]) for step in steps], END)
        answer: int = await ctx.run(wf.compile(), 3, key="plan")
        return answer

    graph = chain(planner)
    assert (await graph.run(["add", "double"])).output == 8
    assert (await graph.run(["double", "add"])).output == 7


async def test_a_failed_graph_raises_in_the_node_that_ran_it() -> None:
    caught: list[NodeFailedError] = []

    async def agent(value: int, ctx: Context) -> str:
        try:
            await ctx.run(chain(fails, name="inner"), value, key="risky")
        except NodeFailedError as error:
            caught.append(error)
        return "went on"

    result = await chain(agent).run(1)
    assert result.output == "went on"
    assert isinstance(caught[0].__cause__, ValueError)
    assert caught[0].node == "agent/@risky/fails"
    assert {record.key: record.status for record in result.activations} == {
        "agent": "succeeded",
        "agent/@risky/fails": "failed",
    }
    [ended] = [event for event in result.events if isinstance(event, ScopeEnded)]
    assert [failure.message for failure in ended.failures] == ["broken by 1"]


async def test_a_failed_graph_that_the_node_does_not_catch_fails_the_node() -> None:
    async def agent(value: int, ctx: Context) -> int:
        answer: int = await ctx.run(chain(fails, name="inner"), value, key="risky")
        return answer

    with pytest.raises(NodeFailedError, match="broken by 1") as caught:
        await chain(agent).run(1)
    chained: list[BaseException | None] = [caught.value.__cause__]
    while chained[-1] is not None:
        chained.append(chained[-1].__cause__)
    assert any(isinstance(error, ValueError) for error in chained)


async def test_graphs_that_a_node_runs_side_by_side_run_side_by_side() -> None:
    meeting = Meeting(3)

    async def meets(value: int) -> int:
        await meeting()
        return value

    inner = chain(meets, name="inner")

    async def agent(value: int, ctx: Context) -> int:
        async with anyio.create_task_group() as group:
            for i in range(3):
                group.start_soon(one, ctx, i)
        return value

    async def one(ctx: Context, index: int) -> None:
        await ctx.run(inner, index, key=str(index))

    with anyio.fail_after(30):
        result = await chain(agent).run(1)
    assert sorted(record.key for record in result.node("meets")) == [f"agent/@{i}/meets" for i in range(3)]


async def test_a_graph_may_run_itself() -> None:
    async def countdown(value: int, ctx: Context) -> int:
        rest: int = 0 if value == 0 else await ctx.run(graph, value - 1, key="less")
        return value + rest

    graph = chain(countdown)
    result = await graph.run(3)
    assert result.output == 6
    assert [record.key for record in result.activations][-1] == "/".join(["countdown/@less"] * 3 + ["countdown"])


async def test_a_key_is_used_once_in_an_activation() -> None:
    async def agent(value: int, ctx: Context) -> int:
        await ctx.run(chain(add, name="inner"), value, key="same")
        await ctx.run(chain(add, name="inner"), value, key="same")
        return value

    with pytest.raises(NodeFailedError, match="node 'agent' ran two graphs under the key 'same'") as caught:
        await chain(agent).run(1)
    assert isinstance(caught.value.__cause__, DefinitionError)


@pytest.mark.parametrize("what", [add, Workflow("not compiled"), None])
async def test_what_is_not_a_compiled_graph_is_refused(what: Any) -> None:
    async def agent(value: int, ctx: Context) -> int:
        await ctx.run(what, value, key="it")
        return value

    with pytest.raises(NodeFailedError, match=r"ctx.run takes a compiled Graph or an Agent"):
        await chain(agent).run(1)


async def test_the_input_of_a_graph_run_by_a_node_is_checked() -> None:
    async def agent(value: int, ctx: Context) -> int:
        await ctx.run(chain(add, name="inner"), "one", key="it")
        return value

    with pytest.raises(NodeFailedError, match="graph 'inner' takes int, not 'one'") as caught:
        await chain(agent).run(1)
    assert isinstance(caught.value.__cause__, InputRefusedError)


async def test_a_timeout_stops_the_graph_that_the_node_runs() -> None:
    ended: list[str] = []

    async def waits(value: int) -> int:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cleaned up")
        return value

    async def agent(value: int, ctx: Context) -> int:
        answer: int = await ctx.run(chain(waits, name="inner"), value, key="slow")
        return answer

    with anyio.fail_after(30), pytest.raises(NodeFailedError, match="agent"):
        await chain(agent, timeout=0.01).run(1)
    assert ended == ["cleaned up"]


async def test_a_node_may_give_up_on_a_graph_it_runs_and_go_on() -> None:
    ended: list[str] = []

    async def waits(value: int) -> int:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cleaned up")
        return value

    async def agent(value: int, ctx: Context) -> str:
        with anyio.move_on_after(0.01):
            await ctx.run(chain(waits, name="inner"), value, key="slow")
        return "gave up"

    with anyio.fail_after(30):
        result = await chain(agent).run(1, limit=1)
    assert (result.output, result.status) == ("gave up", "succeeded")
    assert ended == ["cleaned up"]
    assert [record.status for record in result.node("waits")] == ["cancelled"]


async def test_what_a_handler_is_told_of_a_graph_that_failed_does_not_depend_on_the_runs_id() -> None:
    inner = Workflow("inner", input=int, output=int)

    @inner.node
    async def again(value: int) -> int:
        return value

    inner.edge(START, again)
    inner.edge(again, again, when=lambda value: value >= 0, label="for ever", cap=2)
    inner.edge(again, END, when=lambda value: value < 0, label="never")
    wf = Workflow("outer", input=int, output=str)

    @wf.node
    async def told(failure: Failure) -> str:
        return f"{failure.error}: {failure.message}"

    node = wf.subgraph(inner.compile())
    wf.edge(START, node)
    wf.on_error(node, told, LoopCapError)
    wf.edge(node, "last")

    @wf.node
    async def last(value: int) -> str:
        return "never"

    wf.edge(told, END)
    wf.edge(last, END)
    graph = wf.compile()
    one, other = await graph.run(1, run_id="one"), await graph.run(1, run_id="other")
    assert one.output == other.output
    assert one.output.startswith("LoopCapError: the loop again -> again ran 2 iterations")
