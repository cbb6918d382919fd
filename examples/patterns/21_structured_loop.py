"""WCP-21 Structured loop: yes

A task, or several, is repeated while or until a condition holds. `loop` makes the edges, the cap and the way back; with
the condition at the first node instead, a plain back edge does it.
"""

from __future__ import annotations

from loomgraph import END, OTHERWISE, START, Workflow

wf = Workflow("structured loop", input=int, output=int)


def is_large(number: int) -> bool:
    return number > 10


@wf.node
async def halve(number: int) -> int:
    return number // 2


@wf.node
async def check(number: int) -> int:
    return number


wf.edge(START, halve)
wf.loop(halve, check, again=is_large, cap=8)
wf.edge(check, END, when=OTHERWISE)
graph = wf.compile()


def main() -> None:
    print(graph.run_sync(100).output)


if __name__ == "__main__":
    main()
