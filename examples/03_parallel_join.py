"""Parallel and join: three readings of one text at the same time, and a node that waits for all of them.

Run it: python examples/03_parallel_join.py
"""

from __future__ import annotations

from collections import Counter

from loomgraph import END, START, Workflow

TEXT = "a cat saw the dog and the dog saw the spotted cat"

wf = Workflow("reading", input=str, output=str)


@wf.node
async def length(text: str) -> int:
    return len(text.split())


@wf.node
async def commonest(text: str) -> str:
    return Counter(text.split()).most_common(1)[0][0]


@wf.node
async def longest(text: str) -> str:
    return max(text.split(), key=len)


@wf.node
def report(length: int, commonest: str, longest: str) -> str:
    return f"{length} words, most often '{commonest}', the longest is '{longest}'"


# each node gets the text; `report` gets all three answers, by the names of its parameters
wf.parallel([length, commonest, longest], source=START, into=report)
wf.edge(report, END)

graph = wf.compile()


def main() -> None:
    print(graph.run_sync(TEXT).output)


if __name__ == "__main__":
    main()
