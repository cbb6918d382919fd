"""WCP-32 Cancelling partial join: yes

Of m parallel branches, the first k that finish let the process go on, and the rest are cancelled: `wait=Quorum(k)`. A
branch that fails counts as one that will not come; when k cannot be reached any more, that is an error which names the
failures.
"""

from __future__ import annotations

from anyio import sleep

from loomgraph import END, START, Context, Quorum, Workflow

wf = Workflow("cancelling partial join", input=str, output=str)


async def quote(job: str, ctx: Context) -> str:
    return await ctx.deps(ctx.node, job)


firms = [wf.node(quote, name=name) for name in ("Acme", "Bolt", "Core")]


@wf.node
async def compare(quotes: list[str]) -> str:
    return " or ".join(quotes)


wf.parallel(firms, source=START, into=compare, wait=Quorum(2))
wf.edge(compare, END)
graph = wf.compile()


async def answer(firm: str, job: str) -> str:
    await sleep(3600 if firm == "Bolt" else 0)
    return f"{firm} for {job}"


def main() -> None:
    print(graph.run_sync("the roof", deps=answer).output)


if __name__ == "__main__":
    main()
