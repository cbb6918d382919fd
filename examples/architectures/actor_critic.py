"""ActorCritic: an answer to a customer, worked out with the order system and judged by another model.

Run it: python examples/architectures/actor_critic.py

The models are scripted, so no key is needed; with --model openai:gpt-5.2 --critic anthropic:claude-sonnet-5 (or others)
real ones work.
"""

from __future__ import annotations

import argparse

from loomgraph import Agent, tool
from loomgraph.architectures import ActorCritic
from loomgraph.models import Model, ScriptedModel, ToolCall

ORDERS = {"A-17": "sent on 3 May, delivery promised for 5 May, lost by the carrier on 6 May"}


@tool(read_only=True, reads="order")
def order_status(order: str) -> str:
    """Look up where an order is.

    Args:
        order: The order's number.
    """
    return ORDERS[order]


def looks(id: str) -> ToolCall:
    return ToolCall(id=id, name="order_status", arguments={"order": "A-17"})


ACTOR = [
    looks("1"),
    "Your parcel is late. Please be patient.",
    looks("2"),
    "The carrier lost your parcel A-17 on 6 May. A new one leaves today at no cost; we are sorry.",
]
CRITIC = [
    {"score": 0.2, "issues": ["It hides that the parcel is lost.", "It offers nothing."], "summary": "Evasive."},
    {"score": 0.95, "issues": [], "summary": "True, and it helps."},
]


def support(model: Model | str, critic: Model | str) -> Agent[str, str]:
    return Agent(
        "support",
        model,
        instructions="You answer customers of a shop, truthfully and in two sentences.",
        tools=[order_status],
        architecture=ActorCritic(max_rounds=3, threshold=0.9, critic_model=critic),
    )


def main(model: Model | str | None = None, critic: Model | str | None = None) -> None:
    agent = support(model or ScriptedModel(ACTOR), critic or model or ScriptedModel(CRITIC))
    result = agent.run_sync("Where is my order A-17? It was promised for 5 May!")
    print(result.output)
    print()
    for answer, review in zip(result.node("act"), result.node("critic"), strict=True):
        print(f"{answer.output.answer!r}\n  score {review.output.score}: {review.output}".replace("\n-", "\n  -"))
    print(f"{result.usage.model_calls} calls of models")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="such as openai:gpt-5.2; scripted without it")
    parser.add_argument("--critic", help="the critic's model; the same without it")
    arguments = parser.parse_args()
    main(arguments.model, arguments.critic)
