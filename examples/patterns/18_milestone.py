"""WCP-18 Milestone: partly

A task may run only while the process has reached a point and has not passed another one. Waiting until a point is
reached is a join with the node that reaches it, as here: `install` needs its windows and finished walls, and the walls
hold nothing else up. "And not after" is not expressible as a condition of its own, because a node never looks at where
others are; the nearest thing is a deferred choice between the request and the end of the period (WCP-16).
"""

from __future__ import annotations

from loomgraph import END, START, Workflow

wf = Workflow("milestone", input=str, output=list[str])


@wf.node
async def build_walls(house: str) -> str:
    return f"walls of {house}"


@wf.node
async def build_roof(walls: str) -> str:
    return f"roof on {walls}"


@wf.node
async def order_windows(house: str) -> str:
    return f"windows for {house}"


@wf.node
async def install(windows: str, walls: str) -> str:
    return f"{windows} in {walls}"


wf.chain(START, build_walls, build_roof)
wf.edge(START, order_windows)
wf.join({"windows": order_windows, "walls": build_walls}, into=install)
wf.join([build_roof, install], into=END)
graph = wf.compile()


def main() -> None:
    print(graph.run_sync("number 7").output)


if __name__ == "__main__":
    main()
