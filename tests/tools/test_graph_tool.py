"""Claims about a graph that is a tool: its schema, its run inside the caller's run, its failures."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Workflow
from loomgraph.errors import DefinitionError, ToolInputError
from loomgraph.tools import ToolCall, ToolResult
from loomgraph.tools.batch import run_batch


class Order(BaseModel):
    """What to buy."""

    item: str
    count: int = 1


def shop() -> Workflow[Order, str]:
    wf = Workflow("the shop: orders", input=Order, output=str, doc="Orders things.")

    @wf.node
    async def order(order: Order, ctx: Context) -> str:
        await ctx.emit(f"ordering {order.item}")
        if order.count > 9:
            raise RuntimeError("too many")
        return f"{order.count} x {order.item}"

    wf.chain(START, order, END)
    return wf


def caller(calls: list[ToolCall]) -> Any:
    tools = {"shop": shop().as_tool(name="shop"), "double": doubling().as_tool()}

    async def agent(number: int, ctx: Context) -> list[ToolResult]:
        return await run_batch(ctx, calls, tools)

    wf = Workflow("caller", input=int, output=list[ToolResult])
    wf.chain(START, wf.node(agent), END)
    return wf.compile()


def doubling() -> Workflow[list[int], list[int]]:
    wf = Workflow("double", input=list[int], output=list[int])

    @wf.node
    def double(numbers: list[int]) -> list[int]:
        return [2 * number for number in numbers]

    wf.chain(START, double, END)
    return wf


def test_the_fields_of_the_input_are_the_arguments() -> None:
    tool = shop().as_tool()
    assert (tool.name, tool.description) == ("the_shop_orders", "Orders things.")
    assert tool.parameters["properties"] == {"item": {"type": "string"}, "count": {"type": "integer", "default": 1}}
    assert tool.parameters["required"] == ["item"]
    assert tool.parameters["additionalProperties"] is False


def test_any_other_input_is_one_argument() -> None:
    tool = doubling().as_tool(description="Doubles.")
    assert tool.description == "Doubles."
    assert tool.parameters == {
        "type": "object",
        "properties": {"input": {"type": "array", "items": {"type": "integer"}}},
        "required": ["input"],
        "additionalProperties": False,
    }


@pytest.mark.anyio
async def test_it_runs_inside_the_callers_run_and_its_events_are_there() -> None:
    calls = [
        ToolCall(id="1", name="shop", arguments={"item": "tea", "count": 2}),
        ToolCall(id="2", name="double", arguments={"input": [1, 2]}),
    ]
    result = await caller(calls).run(0)
    assert [item.value for item in result.output] == ["2 x tea", [2, 4]]
    assert "agent/@tools/shop/@graph/order" in [record.key for record in result.activations]
    assert [event.data for event in result.events if event.kind == "Emitted"] == ["ordering tea"]


@pytest.mark.anyio
async def test_its_failure_and_wrong_arguments_are_told_as_what_they_are() -> None:
    calls = [
        ToolCall(id="1", name="shop", arguments={"item": "tea", "count": 99}),
        ToolCall(id="2", name="shop", arguments={"item": 5}),
        ToolCall(id="3", name="double", arguments={"numbers": [1]}),
    ]
    results = (await caller(calls).run(0)).output
    assert [item.outcome for item in results] == ["error"] * 3
    assert "too many" in results[0].content
    assert "item: Input should be a valid string" in results[1].content
    assert "it takes one argument, input, not numbers" in results[2].content


@pytest.mark.anyio
async def test_arguments_are_refused_before_anything_runs() -> None:
    with pytest.raises(ToolInputError):
        await doubling().as_tool().call({"input": "x"})


def test_what_providers_do_not_take_as_a_name_is_refused() -> None:
    with pytest.raises(DefinitionError, match="cannot be a tool's name"):
        shop().as_tool(name="two words")
