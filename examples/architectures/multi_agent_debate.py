"""MultiAgentDebate: three engineers, each with the logs of one system, find out why an order was charged twice.

Run it: python examples/architectures/multi_agent_debate.py

The models are scripted, so no key is needed; with --model openai:gpt-5.2 (or another) a real one works.
"""

from __future__ import annotations

import argparse

from pydantic import BaseModel

from loomgraph import Agent, tool
from loomgraph.architectures import MultiAgentDebate
from loomgraph.models import Model, ScriptedModel, ToolCall

LOGS = {
    "shop": "10:00:01 order 7 placed; 10:00:31 payment timed out; 10:00:31 payment retried; 10:00:33 paid",
    "payments": "10:00:02 charge(order 7) began; 10:00:32 charged; 10:00:32 charge(order 7) began; 10:00:33 charged",
    "network": "10:00:05 to 10:00:30 payments unreachable for 5 % of requests",
}


class Cause(BaseModel):
    system: str
    fault: str


@tool(read_only=True, reads="system")
def read_log(system: str) -> str:
    """Read the log of a system.

    Args:
        system: Its name.
    """
    return LOGS[system]


NETWORK = Cause(system="network", fault="it lost packets")
SHOP = Cause(system="shop", fault="it retries a charge without an idempotency key")


def script(system: str, first: Cause) -> ScriptedModel:
    look = ToolCall(id="1", name="read_log", arguments={"system": system})
    return ScriptedModel([look, first, look, SHOP])


SCRIPTS = {
    "shop": script("shop", NETWORK),
    "payments": script("payments", SHOP),
    "network": script("network", NETWORK),
}


def panel(models: dict[str, Model | str]) -> Agent[str, Cause]:
    debaters = {
        system: Agent(
            system,
            model,
            instructions=f"You answer for the system '{system}'. Read its log before you say anything.",
            tools=[read_log],
            output=Cause,
        )
        for system, model in models.items()
    }
    way = MultiAgentDebate(debaters, rounds=2, alike=lambda one, other: float(one.system == other.system))
    return Agent("post-mortem", models["shop"], output=Cause, architecture=way)


def main(model: Model | str | None = None) -> None:
    agent = panel({system: model or SCRIPTS[system] for system in LOGS})
    result = agent.run_sync("Order 7 was charged twice. Which system is at fault, and what is the fault?")
    print(f"{result.output.system}: {result.output.fault}")
    print()
    for number, positions in enumerate(result.node("weigh")[-1].output.rounds, 1):
        print(f"round {number}: " + ", ".join(f"{one.debater} says {one.answer.system}" for one in positions))
    print(f"{result.usage.model_calls} calls of models")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="such as openai:gpt-5.2; scripted without it")
    main(parser.parse_args().model)
