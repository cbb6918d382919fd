"""An agent: a model that calls tools, ordered by what they touch, and gives an answer of a type.

Run it: python examples/13_agent.py

The model is scripted, so no key is needed. LOOMGRAPH_EXAMPLE_MODEL names another, such as openai:gpt-5.2.
"""

from __future__ import annotations

import os

from pydantic import BaseModel

from loomgraph import Agent, tool
from loomgraph.models import ScriptedModel, ToolCall, assistant

STOCK = {"screws": 120, "nuts": 0}


class Order(BaseModel):
    item: str
    count: int
    accepted: bool
    note: str


@tool(read_only=True, reads="item")
def in_stock(item: str) -> int:
    """How many of an item are in stock."""
    return STOCK[item]


@tool(writes="item")
def reserve(item: str, count: int) -> str:
    """Reserve some of an item.

    Args:
        item: What to reserve.
        count: How many of it.
    """
    if count > STOCK[item]:
        raise ValueError(f"only {STOCK[item]} {item} are there")
    STOCK[item] -= count
    return f"{count} {item} reserved, {STOCK[item]} left"


SCRIPT = [
    assistant(
        "I look first.",
        ToolCall(id="1", name="in_stock", arguments={"item": "screws"}),
        ToolCall(id="2", name="in_stock", arguments={"item": "nuts"}),
        ToolCall(id="3", name="reserve", arguments={"item": "screws", "count": 100}),
    ),
    assistant(ToolCall(id="4", name="reserve", arguments={"item": "nuts", "count": 100})),
    '{"item": "screws", "count": 100, "accepted": true, "note": "no nuts left"}',
]


def main() -> None:
    model = os.environ.get("LOOMGRAPH_EXAMPLE_MODEL") or ScriptedModel(SCRIPT)
    clerk = Agent(
        "clerk", model, instructions="You take orders. Reserve what is there.", tools=[in_stock, reserve], output=Order
    )
    result = clerk.run_sync("100 screws and 100 nuts, please.")
    print(result.output)
    for turn in result.node("tools"):
        if turn.output is not None:
            for told in turn.output.messages[-1].results:
                print(f"  {told.name}: {told.text}")
    print(f"{result.usage.model_calls} model calls, {result.usage.activations} activations")


if __name__ == "__main__":
    main()
