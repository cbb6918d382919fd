"""WCP-13 Multiple instances with a priori design-time knowledge: yes

A number of instances that is known when the process is designed, all of which finish before it goes on. One node of
the same function for each, and a join.
"""

from __future__ import annotations

from loomgraph import END, START, Context, Workflow

wf = Workflow("instances known at design time", input=str, output=list[str])


async def approve(plan: str, ctx: Context) -> str:
    return f"{ctx.node} approves {plan}"


directors = [wf.node(approve, name=name) for name in ("Ann", "Ben", "Cem")]

wf.parallel(directors, source=START, into=END)
graph = wf.compile()


def main() -> None:
    print(graph.run_sync("the merger").output)


if __name__ == "__main__":
    main()
