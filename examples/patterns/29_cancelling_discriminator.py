"""WCP-29 Cancelling discriminator: yes

The first branch that finishes lets the process go on, and the others are cancelled. `wait="first"` does just that to
every node whose ways all end in the join, and withdraws those that have not started.
"""

from __future__ import annotations

from anyio import sleep

from loomgraph import END, START, Context, Workflow

wf = Workflow("cancelling discriminator", input=str, output=str)


@wf.node
async def ask_archive(question: str, ctx: Context) -> str:
    return await ctx.deps("archive", question)


@wf.node
async def ask_expert(question: str, ctx: Context) -> str:
    return await ctx.deps("expert", question)


@wf.node
async def translate(answer: str) -> str:
    return f"{answer}, translated"


@wf.node
async def reply(answer: str) -> str:
    return f"first was {answer}"


wf.edge(START, ask_archive)
wf.chain(START, ask_expert, translate)
wf.join([ask_archive, translate], into=reply, wait="first")
wf.edge(reply, END)
graph = wf.compile()


async def ask(whom: str, question: str) -> str:
    await sleep(3600 if whom == "expert" else 0)
    return f"the {whom} on {question}"


def main() -> None:
    print(graph.run_sync("the map", deps=ask).output)


if __name__ == "__main__":
    main()
