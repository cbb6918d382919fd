"""A chain of three nodes that note what they do, for tests of what happens in the middle of it, in many processes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from loomgraph import END, START, Context, Graph, Workflow

__all__ = ["OUTPUT", "WHOLE", "noted", "nowhere", "three_nodes"]


def noted(calls: Path) -> Counter[str]:
    """How often each thing was done, by whichever process."""
    return Counter(line.split()[0] for line in calls.read_text(encoding="utf-8").splitlines())


def nowhere(where: str) -> None:
    """Nothing is to happen there."""


def three_nodes(calls: Path) -> Graph[int, int]:
    """A chain whose middle takes a durable step. Each body, and the step, is noted; `deps` is told where it is."""
    wf = Workflow("three", input=int, output=int)

    def note(what: str) -> None:
        with calls.open("a", encoding="utf-8") as file:
            file.write(f"{what} {os.getpid()}\n")

    async def pay(amount: int, at: Callable[[str], None]) -> int:
        note("pay")
        at("in the step")
        return amount * 2

    @wf.node
    async def first(value: int) -> int:
        note("first")
        return value + 1

    @wf.node
    async def middle(value: int, ctx: Context) -> int:
        note("middle")
        ctx.deps("in the body")
        paid: int = await ctx.step("pay", pay, value, ctx.deps)
        ctx.deps("behind the step")
        return paid

    @wf.node
    async def last(value: int) -> int:
        note("last")
        return value + 1

    wf.chain(START, first, middle, last, END)
    return wf.compile()


WHOLE = Counter({"first": 1, "middle": 1, "pay": 1, "last": 1})
"""What is done in a run of it."""
OUTPUT = 5
"""What it gives for 1."""
