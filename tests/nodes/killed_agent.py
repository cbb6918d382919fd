"""An agent that is killed in the middle of its second tool call, once: `killed_agent.py DIRECTORY EFFECT [IN_DOUBT]`.

With IN_DOUBT its run is resumed, otherwise started. Every model call and every tool call leaves a line in the
directory's file `paid` before it does anything else.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import anyio

from loomgraph import Agent, tool
from loomgraph.errors import InDoubtError, RunBusyError
from loomgraph.models import ModelRequest, ScriptedModel, ToolCall, ToolMessage, assistant

folder, effect, *told = sys.argv[1:]
STORE = f"sqlite:{Path(folder) / 'runs.db'}"


def pay(what: str) -> None:
    with (Path(folder) / "paid").open("a") as file:
        file.write(f"{what}\n")
        file.flush()
        os.fsync(file.fileno())


@tool(writes=lambda given: ["everything"], effect="once" if effect == "once" else "repeat")
async def work(name: str) -> str:
    pay(f"tool {name}")
    marker = Path(folder) / "killed"
    if name == "b" and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return name.upper()


def first(request: ModelRequest) -> Any:
    pay("model 1")
    return assistant(*[ToolCall(id=name, name="work", arguments={"name": name}) for name in "abc"])


def second(request: ModelRequest) -> Any:
    pay("model 2")
    message = request.messages[-1]
    assert isinstance(message, ToolMessage)
    return " ".join(result.text for result in message.results)


async def main() -> None:
    agent = Agent("worker", ScriptedModel([first, second], order="conversation"), tools=[work])
    if not told:
        await agent.run("Work.", store=STORE, run_id="r", lease=0.5, limit=1)
        return
    in_doubt: Any = told[0]
    try:
        result = await resumed(agent, in_doubt)
        sys.stdout.write(f"{result.output}\n")
    except InDoubtError as error:
        sys.stdout.write(f"{error}\n")


async def resumed(agent: Agent[str, str], in_doubt: Any) -> Any:
    try:
        return await agent.resume("r", store=STORE, in_doubt=in_doubt, limit=1)
    except RunBusyError as busy:  # the dead process owns the run until its lease expires
        await anyio.sleep(busy.expires - time.time())
        return await agent.resume("r", store=STORE, in_doubt=in_doubt, limit=1)


anyio.run(main)
