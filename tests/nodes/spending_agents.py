"""`spending_agents.py DIRECTORY`: five agents at once for one user, each of whose calls may cost all of their budget.

Says "refused" for each that was refused and "called" for each call that began, which then waits for its input to end.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator

import anyio
import anyio.to_thread

from loomgraph import Agent, NodeFailedError
from loomgraph.errors import BudgetExceededError
from loomgraph.graph.budget import UserBudget
from loomgraph.models import ModelRequest, Price, Priced, ScriptedModel, StreamEvent, Usage
from loomgraph.store.opening import open_store
from loomgraph.store.protocol import Store

PRICE = Price(input=0, output=1_000_000)  # 1 a token


class Waiting(ScriptedModel):
    """A model that says when it is called and answers when the input ends."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        say("called")
        await anyio.to_thread.run_sync(sys.stdin.read)
        async for event in super().stream(request):
            yield event


def say(word: str) -> None:
    os.write(1, f"{word}\n".encode())


async def ask(store: Store) -> None:
    model = Priced(Waiting(["Done."], usage=Usage(output_tokens=15)), PRICE)
    agent = Agent("spender", model, max_tokens=15)
    try:
        await agent.run("Spend.", store=store, user_id="ada", user_budget=UserBudget(cost=15))
    except NodeFailedError as error:
        say("refused" if isinstance(error.__cause__, BudgetExceededError) else str(error))


async def main(folder: str) -> None:
    async with open_store(f"sqlite:{folder}/runs.db") as store, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask, store)


anyio.run(main, sys.argv[1])
