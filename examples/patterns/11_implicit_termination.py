"""WCP-11 Implicit termination: yes

A process ends when nothing is left to do, without a node that says so. A run ends when nothing is active; reaching END
fixes the output and cancels nothing, so `file_copy` runs to its end here.
"""

from __future__ import annotations

from loomgraph import END, START, Context, Workflow

wf = Workflow("implicit termination", input=str, output=str)


@wf.node
async def decide(case: str) -> str:
    return f"{case} accepted"


@wf.node
async def file_copy(decision: str, ctx: Context) -> None:
    await ctx.deps(decision)


wf.edge(START, decide)
wf.edge(decide, END)
wf.edge(decide, file_copy)
graph = wf.compile()


async def file(decision: str) -> None:
    print("filed:", decision)


def main() -> None:
    print(graph.run_sync("case 7", deps=file).output)


if __name__ == "__main__":
    main()
