"""WCP-8 Multi-merge: no

Branches come together without waiting, and the task after them runs once for each branch that arrives. Not
expressible as one node, because a node runs at most once in a pass: two plain edges that are both taken are an error
that names both sources, never a second run by surprise. The nearest thing: one node of the same function for each
branch, as here, or `map` where the number of arrivals is data.
"""

from __future__ import annotations

from loomgraph import END, START, Workflow

wf = Workflow("multi-merge", input=str, output=list[str])


@wf.node
async def lay_cable(site: str) -> str:
    return f"cable at {site}"


@wf.node
async def lay_pipe(site: str) -> str:
    return f"pipe at {site}"


async def inspect(work: str) -> str:
    return f"{work}: inspected"


inspect_cable = wf.node(inspect, name="inspect cable")
inspect_pipe = wf.node(inspect, name="inspect pipe")

wf.chain(START, lay_cable, inspect_cable)
wf.chain(START, lay_pipe, inspect_pipe)
wf.join([inspect_cable, inspect_pipe], into=END)
graph = wf.compile()


def main() -> None:
    print(graph.run_sync("Mill Lane").output)


if __name__ == "__main__":
    main()
