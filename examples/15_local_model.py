"""An agent on a model of your own machine: any server that speaks OpenAI's Chat Completions, such as Ollama,
llama.cpp's `llama-server`, vLLM or LM Studio.

Run it: python examples/15_local_model.py

With Ollama, `ollama serve` and `ollama pull qwen3:4b` make a server and a model that can call tools.

LOOMGRAPH_LOCAL_URL says where the server is, LOOMGRAPH_LOCAL_MODEL which of its models to ask (by default its first).
Where no server answers it says so and does nothing. What the model says is its own; what is checked here is not.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request

from pydantic import BaseModel

from loomgraph import Agent, Budget, tool
from loomgraph.errors import RunError
from loomgraph.models import OpenAIChatModel

URL = os.environ.get("LOOMGRAPH_LOCAL_URL", "http://127.0.0.1:11434/v1")
RATES = {"EUR": 1.0, "USD": 1.1, "SEK": 11.0}


class Price(BaseModel):
    amount: float
    currency: str


@tool(read_only=True, reads=())
def convert(amount: float, source: str, target: str) -> float:
    """Convert an amount of money.

    Args:
        amount: How much.
        source: The currency it is in, such as EUR.
        target: The currency that is wanted.
    """
    return round(amount / RATES[source] * RATES[target], 2)


def models() -> list[str]:
    """The models that the server has. Raises OSError where there is none."""
    with urllib.request.urlopen(f"{URL}/models", timeout=5) as answer:  # noqa: S310 - the address is the user's own
        return [model["id"] for model in json.load(answer)["data"]]


def main() -> None:
    try:
        found = models()
    except (OSError, ValueError, KeyError):
        print(f"skipped: no server with OpenAI's API answers at {URL}; start one, or set LOOMGRAPH_LOCAL_URL")
        return
    name = os.environ.get("LOOMGRAPH_LOCAL_MODEL") or (found[0] if found else "")
    if name not in found:
        print(f"skipped: the server at {URL} has no model '{name}'; it has {', '.join(found) or 'none'}")
        return
    # small models are slow at first and not all can be held to a schema, so it is asked for in words
    model = OpenAIChatModel(name, base_url=URL, api_key="local", timeout=120, structured="prompt")
    agent = Agent(
        "teller",
        model,
        instructions="Use the tool to convert money. Then answer with the result.",
        tools=[convert],
        output=Price,
        repairs=2,
        max_tokens=2_000,
    )
    try:
        result = agent.run_sync("How much are 250 SEK in USD?", budget=Budget(model_calls=8))
    except RunError as error:
        print(f"{name} did not get there: {error}")
        return
    print(f"{name}: {result.output}")
    called = [record.path[-1] for record in result.activations if record.path[-1] == convert.name]
    print(f"{result.usage.model_calls} model calls, tools: {', '.join(called)}")


if __name__ == "__main__":
    main()
