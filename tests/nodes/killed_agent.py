"""An agent that is killed in the middle of its second tool call, once, in a process of its own.

Every model call and every tool call leaves a line in the folder's file `paid` before it does anything else.
"""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import anyio

from loomgraph import Agent, tool
from loomgraph.errors import InDoubtError, RunBusyError
from loomgraph.models import ModelRequest, ScriptedModel, ToolCall, ToolMessage, assistant

__all__ = ["works"]


def works(parent: Connection, folder: Path, effect: str, in_doubt: str | None) -> None:
    """Start the run, or resume it with `in_doubt`; says its output, or what is in doubt."""
    parent.send(anyio.run(_work, folder, effect, in_doubt))


async def _work(folder: Path, effect: str, in_doubt: Any) -> str:
    agent, store = _agent(folder, effect), f"sqlite:{folder / 'runs.db'}"
    if in_doubt is None:
        await agent.run("Work.", store=store, run_id="r", lease=0.5, limit=1)
        return "it was not killed"
    while True:
        try:
            return (await agent.resume("r", store=store, in_doubt=in_doubt, limit=1)).output
        except RunBusyError as busy:  # the dead process owns the run until its lease expires
            await anyio.sleep(busy.expires - time.time())
        except InDoubtError as error:
            return str(error)


def _agent(folder: Path, effect: str) -> Agent[str, str]:
    def pay(what: str) -> None:
        with (folder / "paid").open("a") as file:
            file.write(f"{what}\n")
            file.flush()
            os.fsync(file.fileno())

    @tool(writes=lambda given: ["everything"], effect="once" if effect == "once" else "repeat")
    async def work(name: str) -> str:
        pay(f"tool {name}")
        marker = folder / "killed"
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

    return Agent("worker", ScriptedModel([first, second], order="conversation"), tools=[work])
