"""Five agents at once for one user, each of whose calls may cost all of the user's budget.

As a program, `spending_agents.py DIRECTORY`: says "refused" for each that was refused and "called" for a call that
began, which then waits for the input to end.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable

import anyio
import anyio.to_thread

from loomgraph import Agent, NodeFailedError, UserBudget
from loomgraph.errors import BudgetExceededError
from loomgraph.models import ModelRequest, Price, Priced, ScriptedModel, StreamEvent, Usage
from loomgraph.store.opening import open_store
from loomgraph.store.protocol import Store

PRICE = Price(input=0, output=1_000_000)  # 1 a token


class Waiting(ScriptedModel):
    """A model that says when it is called and answers when `gate` lets it."""

    def __init__(self, say: Callable[[str], None], gate: Callable[[], Awaitable[object]]) -> None:
        super().__init__(["Done."], usage=Usage(output_tokens=15))
        self.say, self.gate = say, gate

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        self.say("called")
        await self.gate()
        async for event in super().stream(request):
            yield event


async def spend(store: Store, say: Callable[[str], None], gate: Callable[[], Awaitable[object]]) -> None:
    """All five, to their end."""

    async def ask() -> None:
        agent = Agent("spender", Priced(Waiting(say, gate), PRICE), max_tokens=15)
        try:
            await agent.run("Spend.", store=store, user_id="ada", user_budget=UserBudget(cost=15))
        except NodeFailedError as error:
            say("refused" if isinstance(error.__cause__, BudgetExceededError) else str(error))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)


async def main(folder: str) -> None:
    def say(word: str) -> None:
        os.write(1, f"{word}\n".encode())

    async with open_store(f"sqlite:{folder}/runs.db") as store:
        await spend(store, say, lambda: anyio.to_thread.run_sync(sys.stdin.read))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
