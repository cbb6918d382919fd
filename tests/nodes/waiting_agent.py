"""An agent that wants to pay three times and waits for approval: `waiting_agent.py DIRECTORY` runs it until it is
killed, with a line on its output once all three questions are asked. Each payment leaves a line in the file `paid`."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from loomgraph import Agent, tool
from loomgraph.models import ModelRequest, ScriptedModel, ToolCall, ToolMessage, assistant


def store_of(folder: Path) -> str:
    """Where its run is kept."""
    return f"sqlite:{folder / 'runs.db'}"


def agent_of(folder: Path) -> Agent[str, str]:
    """The agent, the same in every process."""

    @tool(writes="to", effect="once", destructive=True, version="1")
    async def pay(to: str, amount: int) -> str:
        with (folder / "paid").open("a") as file:
            file.write(f"{to} {amount}\n")
        return f"{to} got {amount}"

    def told(request: ModelRequest) -> str:
        message = request.messages[-1]
        assert isinstance(message, ToolMessage)
        return " ".join(result.text for result in message.results)

    calls = [ToolCall(id=name, name="pay", arguments={"to": name, "amount": 5}) for name in ("ada", "bob", "cy")]
    return Agent("payer", ScriptedModel([assistant(*calls), told], order="conversation"), tools=[pay])


async def main(folder: Path) -> None:
    async with agent_of(folder).graph.start(
        "Pay.", store=store_of(folder), run_id="r", user_id="eve", lease=0.3, when_asked="wait"
    ) as run:
        asked = 0
        async for event in run.events():
            asked += event.kind == "QuestionAsked"
            if asked == 3:
                sys.stdout.write("asked\n")
                sys.stdout.flush()
                asked = 0


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]))
