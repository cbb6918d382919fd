"""WCP-9 Structured discriminator: yes

The task after several parallel branches starts with the first of them that finishes; the others run on, and what they
give is ignored. `wait="first"` cancels branches that only feed the join, so a branch that is to run on gets another
way to go, here into `archive`. In a loop the join starts afresh with each iteration.
"""

from __future__ import annotations

from loomgraph import END, START, Context, Workflow

wf = Workflow("structured discriminator", input=str, output=str)


@wf.node
async def north(question: str, ctx: Context) -> str:
    return await ctx.deps("north", question)


@wf.node
async def south(question: str, ctx: Context) -> str:
    return await ctx.deps("south", question)


@wf.node
async def reply(answer: str) -> str:
    return f"first was {answer}"


@wf.node
async def archive(answers: list[str]) -> None:
    print("archived:", answers)


wf.edge(START, north)
wf.edge(START, south)
wf.join([north, south], into=reply, wait="first")
wf.join([north, south], into=archive)
wf.edge(reply, END)
graph = wf.compile()


async def ask(station: str, question: str) -> str:
    return f"{station} on {question}"


def main() -> None:
    print(graph.run_sync("the weather", deps=ask).output)


if __name__ == "__main__":
    main()
