"""WCP-14 Multiple instances with a priori run-time knowledge: yes

The number of instances is known only when the process runs, but before the first one starts. `map` runs its worker
once for each item of a list, and gives on the results as a list in the order of the items.
"""

from __future__ import annotations

from loomgraph import END, START, Workflow

wf = Workflow("instances known at run time", input=str, output=int)


@wf.node
async def split(text: str) -> list[str]:
    return text.split()


@wf.node
async def measure(word: str) -> int:
    return len(word)


@wf.node
async def longest(lengths: list[int]) -> int:
    return max(lengths, default=0)


wf.edge(START, split)
wf.map(split, measure, limit=8)
wf.edge(measure, longest)
wf.edge(longest, END)
graph = wf.compile()


def main() -> None:
    print(graph.run_sync("as many as there are words").output)


if __name__ == "__main__":
    main()
