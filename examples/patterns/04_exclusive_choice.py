"""WCP-4 Exclusive choice: yes

Exactly one of several branches is taken, depending on a value. `route` takes the first condition that matches: a type,
a literal value or a predicate. The other branches are skipped, and what lies behind them with them.
"""

from __future__ import annotations

from typing import Literal

from loomgraph import END, START, Workflow

wf = Workflow("exclusive choice", input=int, output=str)


@wf.node
async def assess(amount: int) -> Literal["small", "large"]:
    return "small" if amount < 100 else "large"


@wf.node
async def pay(size: str) -> str:
    return "paid at once"


@wf.node
async def investigate(size: str) -> str:
    return "somebody will look at it"


wf.edge(START, assess)
wf.route(assess, {"small": pay, "large": investigate})
wf.edge(pay, END)
wf.edge(investigate, END)
graph = wf.compile()


def main() -> None:
    print(graph.run_sync(40).output)


if __name__ == "__main__":
    main()
