"""WCP-6 Multi-choice: yes

Any number of branches is taken, each by a condition of its own. Conditional edges are independent of each other unless
`route` groups them; a value that matches none of them is an error unless there is a `when=OTHERWISE`.
"""

from __future__ import annotations

from loomgraph import END, OTHERWISE, START, Workflow

wf = Workflow("multi-choice", input=str, output=list[str])


def is_fire(emergency: str) -> bool:
    return "smoke" in emergency


def is_injury(emergency: str) -> bool:
    return "hurt" in emergency


@wf.node
async def take_call(emergency: str) -> str:
    return emergency


@wf.node
async def fire_engine(emergency: str) -> str:
    return "fire engine"


@wf.node
async def ambulance(emergency: str) -> str:
    return "ambulance"


@wf.node
async def patrol(emergency: str) -> str:
    return "patrol"


wf.edge(START, take_call)
wf.edge(take_call, fire_engine, when=is_fire)
wf.edge(take_call, ambulance, when=is_injury)
wf.edge(take_call, patrol, when=OTHERWISE)
wf.join([fire_engine, ambulance, patrol], into=END)
graph = wf.compile()


def main() -> None:
    print(graph.run_sync("smoke, and somebody is hurt").output)


if __name__ == "__main__":
    main()
