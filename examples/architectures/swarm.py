"""Swarm: an airline's chat. Whoever has the passenger answers, or hands them to whoever can.

Run it: python examples/architectures/swarm.py

The models are scripted, so no key is needed; with --model openai:gpt-5.2 (or another) a real one works.
"""

from __future__ import annotations

import argparse
from typing import Any

from pydantic import BaseModel

from loomgraph import Agent, tool
from loomgraph.architectures import Swarm
from loomgraph.models import Model, ScriptedModel, ToolCall


class Case(BaseModel):
    """What travels with a passenger."""

    booking: str
    refund: float | None = None


@tool(read_only=True, reads="booking")
def flight(booking: str) -> str:
    """Look up a booking's flight.

    Args:
        booking: The booking's code.
    """
    return f"{booking}: LH 123 {{economy}}, 240 EUR, cancelled by the airline"


@tool(writes="booking", effect="once")
def refund(booking: str, amount: float) -> str:
    """Pay money back.

    Args:
        booking: The booking's code.
        amount: How much, in EUR.
    """
    return f"{amount:.2f} EUR sent for {booking}"


def hand(to: str, message: str, **payload: Any) -> dict[str, Any]:
    return {"kind": "handoff", "to": to, "message": message, "payload": payload}


SCRIPTS: dict[str, list[Any]] = {
    "triage": [hand("flights", "Wants money back for a cancelled flight.", booking="X7K2")],
    "flights": [
        ToolCall(id="1", name="flight", arguments={"booking": "X7K2"}),
        hand("refunds", "The airline cancelled it, so all of it is due.", booking="X7K2", refund=240),
    ],
    "refunds": [
        ToolCall(id="1", name="refund", arguments={"booking": "X7K2", "amount": 240}),
        {"kind": "answer", "answer": "We sent you 240 EUR for X7K2. We are sorry about the flight."},
    ],
}


def airline(triage: Model | str, flights: Model | str, refunds: Model | str) -> Agent[str, str]:
    agents = [
        Agent("triage", triage, instructions="You find out what a passenger needs."),
        Agent("flights", flights, tools=[flight], description="knows bookings and flights"),
        Agent("refunds", refunds, tools=[refund], description="pays money back"),
    ]
    handoffs = {"triage": ["flights", "refunds"], "flights": ["refunds"]}
    way = Swarm(agents, handoffs=handoffs, payload=Case, max_handoffs=4)
    return Agent("airline", triage, instructions="Be polite and short.", architecture=way)


def main(model: Model | str | None = None) -> None:
    agent = airline(*(model or ScriptedModel(script) for script in SCRIPTS.values()))
    result = agent.run_sync("My flight was cancelled and I want my money back! Booking X7K2.")
    print(result.output)
    print()
    for turn in result.node("hub")[-1].output.turns:
        print(f"{turn.agent} to {turn.to}: {turn.message} {turn.payload}")
    print(f"{result.usage.model_calls} calls of models")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="such as openai:gpt-5.2; scripted without it")
    main(parser.parse_args().model)
