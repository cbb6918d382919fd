"""ReWOO: which of two suppliers is cheaper? Five tool calls planned at once, two calls of a model in all.

Run it: python examples/architectures/rewoo.py

The model is scripted, so no key is needed; with --model openai:gpt-5.2 (or another) a real one works.
"""

from __future__ import annotations

import argparse
from typing import Any

from pydantic import BaseModel

from loomgraph import Agent, tool
from loomgraph.architectures import ReWOO
from loomgraph.models import Model, ScriptedModel

PRICES = {"North": 2.4, "South": 1.9}
PLACES = {"North": "Oslo", "South": "Palermo"}
FREIGHT = {"Oslo": 30.0, "Palermo": 85.0}


class Offer(BaseModel):
    supplier: str
    goods: float
    ships_from: str


@tool(read_only=True, reads=())
def offer(supplier: str, boxes: int) -> Offer:
    """Ask a supplier what boxes cost, without freight.

    Args:
        supplier: The supplier's name.
        boxes: How many boxes.
    """
    return Offer(supplier=supplier, goods=PRICES[supplier] * boxes, ships_from=PLACES[supplier])


@tool(read_only=True, reads=())
def freight(place: str) -> float:
    """What freight from a place costs.

    Args:
        place: Where the goods are.
    """
    return FREIGHT[place]


@tool(read_only=True, reads=())
def cheapest(names: list[str], goods: list[float], freight: list[float]) -> str:
    """Say who is cheapest, goods and freight together."""
    totals = {name: a + b for name, a, b in zip(names, goods, freight, strict=True)}
    return ", ".join(f"{name} {total:.2f}" for name, total in sorted(totals.items(), key=lambda item: item[1]))


def step(id: str, why: str, tool: str, **arguments: Any) -> dict[str, Any]:
    return {"id": id, "why": why, "tool": tool, "arguments": arguments}


PLAN = {
    "steps": [
        step("E1", "the first offer", "offer", supplier="North", boxes=100),
        step("E2", "the second offer", "offer", supplier="South", boxes=100),
        step("E3", "freight for the first", "freight", place="#E1.ships_from"),
        step("E4", "freight for the second", "freight", place="#E2.ships_from"),
        step(
            *("E5", "compare", "cheapest"),
            names=["#E1.supplier", "#E2.supplier"],
            goods=["#E1.goods", "#E2.goods"],
            freight=["#E3", "#E4"],
        ),
    ]
}


def buyer(model: Model | str) -> Agent[str, str]:
    return Agent("buyer", model, tools=[offer, freight, cheapest], architecture=ReWOO(max_steps=8))


def main(model: Model | str | None = None) -> None:
    agent = buyer(model or ScriptedModel([PLAN, "North, at 270.00 EUR; South comes to 275.00 EUR."]))
    result = agent.run_sync("Where are 100 boxes cheapest, freight included: at North or at South?")
    print(result.output)
    print()
    for came in result.node("tools")[0].output.work.results:
        print(f"{came.id} {came.name}: {came.content}")
    print(f"{result.usage.model_calls} calls of models")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="such as openai:gpt-5.2; scripted without it")
    main(parser.parse_args().model)
