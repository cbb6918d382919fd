"""WCP-1 Sequence: yes

A task starts when the one before it has finished. `chain` makes an edge from each node to the next.
"""

from __future__ import annotations

from loomgraph import END, START, Workflow

wf = Workflow("sequence", input=str, output=str)


@wf.node
async def pick(order: str) -> str:
    return f"{order}, picked"


@wf.node
async def pack(goods: str) -> str:
    return f"{goods}, packed"


@wf.node
async def ship(parcel: str) -> str:
    return f"{parcel}, shipped"


wf.chain(START, pick, pack, ship, END)
graph = wf.compile()


def main() -> None:
    print(graph.run_sync("order 7").output)


if __name__ == "__main__":
    main()
