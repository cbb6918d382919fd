"""Crash tests: kill your own graph wherever it is, go on in another process, and see that nothing is done twice.

Run it: python examples/14_crash_test.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from loomgraph import END, START, Context, Graph, Workflow
from loomgraph.testing.crash import Subject, crash_test, note


def shop() -> Graph[list[int], int]:
    wf = Workflow("shop", input=list[int], output=int)

    async def charge(price: int) -> int:
        note("charge", f"{price}")  # a line in a file that outlives the process
        return price

    @wf.node
    async def pay(price: int, ctx: Context) -> int:
        return await ctx.step("charge", charge, price)

    @wf.node
    def total(paid: list[int]) -> int:
        return sum(paid)

    paid = wf.map(START, pay)
    wf.edge(paid, total)
    wf.edge(total, END)
    return wf.compile()


def orders(count: int) -> Subject:
    """What is killed. Each process makes it anew, so it stands at the top level of a file."""
    return Subject(graph=shop(), value=[10 * (number + 1) for number in range(count)])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = crash_test(orders, 3, folder=Path(folder), stride=2, instants=3)
    [alone] = report.whole.lives
    assert alone.ended is not None
    print(f"left alone: {alone.ended.status} with {alone.ended.outcome['output']}")
    print(f"killed at every second write and elsewhere: {len(report.trials) > 3 and report.kills > 3}")
    charged = [line.detail for line in alone.lines if line.what == "note"]
    print(f"charged when left alone: {sorted(charged, key=int)}")
    print("every killed run went on to the same end, and no charge that was recorded was made again")


if __name__ == "__main__":
    main()
