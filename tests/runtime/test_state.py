"""Claims about the state layer as node code sees it: reading, writing, reducers, and what is refused by name."""

from __future__ import annotations

import operator
from typing import Annotated, Any

import anyio
import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Failure, NodeFailedError, Retry, Workflow
from loomgraph.errors import (
    DefinitionError,
    InputRefusedError,
    ReducerError,
    StateConflictError,
    StateFieldError,
    StateTypeError,
)
from tests.runtime.graphs import chain

pytestmark = pytest.mark.anyio


class State(BaseModel):
    name: str = "nobody"
    count: int = 0
    log: Annotated[list[str], operator.add] = []
    total: Annotated[int, operator.add] = 0


class Needy(BaseModel):
    name: str


async def writes(value: int, ctx: Context[State]) -> int:
    ctx.update(name="Ann", log=["writes"])
    ctx.update(total=value)
    return value


async def reads(value: int, ctx: Context[State]) -> tuple[str, list[str], int]:
    return ctx.state.name, ctx.state.log, ctx.state.total


async def test_what_a_node_writes_is_seen_after_it_and_in_the_result() -> None:
    result = await chain(writes, reads, state=State).run(3)
    assert result.output == ("Ann", ["writes"], 3)
    assert result.state == State(name="Ann", log=["writes"], total=3)


async def test_a_run_may_begin_with_a_state_of_its_own() -> None:
    given = State(name="Ben", log=["before"])
    result = await chain(reads, state=State).run(3, state=given)
    assert result.output == ("Ben", ["before"], 0)
    given.log.append("later")
    assert result.state == State(name="Ben", log=["before"])


async def test_a_state_with_required_fields_must_be_given() -> None:
    async def shows(value: int, ctx: Context[Needy]) -> str:
        return ctx.state.name

    graph = chain(shows, state=Needy)
    assert (await graph.run(1, state=Needy(name="Cem"))).output == "Cem"
    with pytest.raises(InputRefusedError, match="the state fields name have no default"):
        await graph.run(1)
    with pytest.raises(InputRefusedError, match=r"state=Needy\(\.\.\.\)"):
        await graph.run(1, state={"name": "Cem"})


async def test_a_state_for_a_graph_without_state_is_refused() -> None:
    async def plain(value: int) -> int:
        return value

    with pytest.raises(DefinitionError, match="graph 'chain' has no state"):
        await chain(plain).run(1, state=State())


async def test_a_node_of_a_workflow_without_state_is_told_so() -> None:
    async def asks(value: int, ctx: Context) -> int:
        count: int = ctx.state.count
        return count

    with pytest.raises(NodeFailedError, match=r"workflow 'chain' has no state; declare it with Workflow\('chain'"):
        await chain(asks).run(1)


async def test_an_unknown_field_is_an_error_that_names_node_and_field() -> None:
    async def writes_wrongly(value: int, ctx: Context[State]) -> int:
        ctx.update(nane="Ann")
        return value

    with pytest.raises(NodeFailedError, match="node 'writes_wrongly' wrote state field 'nane'") as caught:
        await chain(writes_wrongly, state=State).run(1)
    assert isinstance(caught.value.__cause__, StateFieldError)
    assert "Did you mean 'name'?" in str(caught.value.__cause__)
    assert caught.value.result.status == "failed"


async def test_a_value_of_the_wrong_type_is_an_error_that_names_node_and_field() -> None:
    async def writes_wrongly(value: int, ctx: Context[State]) -> int:
        ctx.update(count="seven")
        return value

    with pytest.raises(NodeFailedError, match="node 'writes_wrongly' wrote 'seven' to state field 'count'") as caught:
        await chain(writes_wrongly, state=State).run(1)
    assert isinstance(caught.value.__cause__, StateTypeError)


async def test_a_reducer_that_refuses_is_an_error_of_the_node_that_wrote() -> None:
    async def writes_wrongly(value: int, ctx: Context[State]) -> int:
        ctx.update(total="not a number")
        return value

    with pytest.raises(NodeFailedError, match="the reducer of state field 'total' raised TypeError") as caught:
        await chain(writes_wrongly, state=State).run(1)
    assert isinstance(caught.value.__cause__, ReducerError)
    assert isinstance(caught.value.__cause__.__cause__, TypeError)
    assert caught.value.node == "writes_wrongly"


async def test_a_list_that_grows_takes_lists_of_its_type_only() -> None:
    async def writes_wrongly(value: int, ctx: Context[State]) -> int:
        ctx.update(log=[value])
        return value

    with pytest.raises(NodeFailedError, match="node 'writes_wrongly' wrote \\[1\\] to state field 'log'") as caught:
        await chain(writes_wrongly, state=State).run(1)
    assert isinstance(caught.value.__cause__, StateTypeError)


async def test_an_assignment_to_the_state_one_reads_changes_nothing() -> None:
    async def changes(value: int, ctx: Context[State]) -> int:
        ctx.state.log.append("sneaked in")
        ctx.state.count = 7
        return value

    result = await chain(changes, reads, state=State).run(1)
    assert result.output == ("nobody", [], 0)
    assert result.state == State()


async def test_changing_what_was_written_afterwards_changes_nothing() -> None:
    async def writes_then_changes(value: int, ctx: Context[State]) -> int:
        entries = ["written"]
        ctx.update(log=entries)
        entries.append("later")
        return value

    assert (await chain(writes_then_changes, reads, state=State).run(1)).output == ("nobody", ["written"], 0)


async def test_the_updates_of_a_failed_attempt_do_not_exist() -> None:
    async def flaky(value: int, ctx: Context[State]) -> int:
        ctx.update(log=[f"attempt {ctx.attempt}"])
        if ctx.attempt < 3:
            raise ConnectionError
        return value

    result = await chain(flaky, state=State, retry=Retry(attempts=3, delay=0)).run(1)
    assert result.state == State(log=["attempt 3"])


async def test_the_updates_of_a_failed_node_do_not_exist_for_its_handler() -> None:
    async def fails(value: int, ctx: Context[State]) -> int:
        ctx.update(name="never")
        raise ValueError("broken")

    async def mends(failure: Failure, ctx: Context[State]) -> str:
        return ctx.state.name

    wf = Workflow("mended", input=int, output=int | str, state=State)
    wf.edge(START, fails)
    wf.edge(fails, END)
    wf.on_error(fails, mends)
    wf.edge(mends, END)
    result = await wf.compile().run(1)
    assert result.output == "nobody"
    assert result.state == State()


async def test_branches_see_their_ancestors_updates_and_not_each_others() -> None:
    wrote = anyio.Event()

    async def left(value: int, ctx: Context[State]) -> list[str]:
        ctx.update(log=["left"])
        wrote.set()
        return ctx.state.log

    async def right(value: int, ctx: Context[State]) -> list[str]:
        await wrote.wait()
        ctx.update(log=["right"])
        return ctx.state.log

    async def after(logs: list[list[str]], ctx: Context[State]) -> tuple[list[list[str]], list[str]]:
        return logs, ctx.state.log

    wf = Workflow("branches", input=int, output=tuple[list[list[str]], list[str]], state=State)
    wf.edge(START, writes)
    wf.parallel([right, left], source=writes, into=after)
    wf.edge(after, END)
    result = await wf.compile().run(1)
    logs, seen = result.output
    assert logs == [["writes"], ["writes"]]
    assert sorted(seen[1:]) == ["left", "right"]
    assert result.state is not None
    assert result.state.log == seen


async def test_two_writes_side_by_side_without_a_reducer_are_an_error_that_names_field_and_both_nodes() -> None:
    async def left(value: int, ctx: Context[State]) -> int:
        ctx.update(name="left")
        return value

    async def right(value: int, ctx: Context[State]) -> int:
        ctx.update(name="right")
        return value

    async def after(values: list[int]) -> int:
        return values[0]

    wf = Workflow("conflict", input=int, output=int, state=State)
    wf.parallel([left, right], source=START, into=after)
    wf.edge(after, END)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(1)
    cause = caught.value.__cause__
    assert isinstance(cause, StateConflictError)
    assert all(word in str(cause) for word in ("'name'", "left", "right"))


async def test_a_loop_sees_what_its_last_iteration_wrote() -> None:
    async def counts(value: int, ctx: Context[State]) -> int:
        ctx.update(count=ctx.state.count + 1, log=[str(ctx.state.count)])
        return value - 1

    wf = Workflow("loop", input=int, output=int, state=State)
    wf.edge(START, counts)
    wf.edge(counts, counts, when=lambda value: value > 0)
    wf.edge(counts, END, when=lambda value: value <= 0)
    result = await wf.compile().run(4)
    assert result.state == State(count=4, log=["0", "1", "2", "3"])


async def test_the_items_of_a_map_write_in_their_order_whatever_the_timing() -> None:
    turns = [anyio.Event() for _ in range(4)]
    turns[3].set()

    async def works(index: int, ctx: Context[State]) -> int:
        await turns[index].wait()
        ctx.update(log=[str(index)])
        if index:
            turns[index - 1].set()
        return index

    wf = Workflow("items", input=list[int], output=list[int], state=State)
    wf.edge(wf.map(START, works), END)
    result = await wf.compile().run([0, 1, 2, 3])
    assert result.state is not None
    assert result.state.log == ["0", "1", "2", "3"]


async def test_a_nested_graph_has_a_state_of_its_own() -> None:
    inner = chain(writes, reads, name="inner", state=State)

    async def shows(found: tuple[str, list[str], int], ctx: Context[State]) -> list[Any]:
        return [found, ctx.state.name]

    result = await chain(inner, shows, name="outer", state=State).run(3)
    assert result.output == [("Ann", ["writes"], 3), "nobody"]
    assert result.state == State()
