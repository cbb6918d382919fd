"""ReAct: an assistant finds out what an order needs to arrive on Friday, calling tools until it knows.

Run it: python examples/architectures/react.py

The model is scripted, so no key is needed; with --model openai:gpt-5.2 (or another) a real one works.
"""

from __future__ import annotations

import argparse

from pydantic import BaseModel

from loomgraph import Agent, tool
from loomgraph.architectures import ReAct
from loomgraph.models import Model, ScriptedModel, ToolCall, assistant

STOCK = {"kettle {blue}": "Lyon", "lid": "Turin"}
DAYS = {"Lyon": 2, "Turin": 4}


class Delivery(BaseModel):
    on_time: bool
    reason: str


@tool(read_only=True, reads="item")
def stock(item: str) -> str:
    """Where an item lies.

    Args:
        item: Its name.
    """
    return STOCK[item]


@tool(read_only=True, reads="city")
def days_from(city: str) -> int:
    """How many days a parcel takes from a city.

    Args:
        city: Where it is sent from.
    """
    return DAYS[city]


# both items at once; the days of the lid follow from where it lies, which is the first call's result
LOOKS = assistant(
    ToolCall(id="a", name="stock", arguments={"item": "kettle {blue}"}),
    ToolCall(id="b", name="stock", arguments={"item": "lid"}),
)
ASKS = assistant(
    ToolCall(id="c", name="days_from", arguments={"city": "Lyon"}),
    ToolCall(id="d", name="days_from", arguments={"city": "Turin"}),
)
SCRIPT = [LOOKS, ASKS, Delivery(on_time=False, reason="the lid takes 4 days from Turin")]


def planner(model: Model | str) -> Agent[str, Delivery]:
    return Agent(
        "planner",
        model,
        instructions="Find out with the tools whether everything arrives in time. Today is Tuesday.",
        tools=[stock, days_from],
        output=Delivery,
        architecture=ReAct(max_turns=8),
    )


def main(model: Model | str | None = None) -> None:
    result = planner(model or ScriptedModel(SCRIPT)).run_sync("A kettle {blue} and a lid, by Friday.")
    print(f"on time: {result.output.on_time}, for {result.output.reason}")
    for record in result.activations:
        if record.path[0] == "tools" and record.path[-1] not in ("tools", "results"):
            print(f"  {record.key}: {record.status}")
    print(f"{result.usage.model_calls} calls of the model")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="such as openai:gpt-5.2; scripted without it")
    main(parser.parse_args().model)
