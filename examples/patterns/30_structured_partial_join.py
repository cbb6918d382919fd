"""WCP-30 Structured partial join: yes

Of m parallel branches, the first k that finish let the process go on; the others run on, and what they give is
ignored. `wait=Quorum(k)`, with another way to go for each branch, so that none of them is cancelled. The k results are
bound in declared order.
"""

from __future__ import annotations

from loomgraph import END, START, Context, Quorum, Workflow

wf = Workflow("structured partial join", input=str, output=str)


async def review(paper: str, ctx: Context) -> str:
    return await ctx.deps(ctx.node, paper)


reviewers = [wf.node(review, name=name) for name in ("Ann", "Ben", "Cem")]


@wf.node
async def decide(reviews: list[str]) -> str:
    return " and ".join(reviews)


@wf.node
async def archive(reviews: list[str]) -> None:
    print("archived:", reviews)


wf.parallel(reviewers, source=START, into=decide, wait=Quorum(2))
wf.join(reviewers, into=archive)
wf.edge(decide, END)
graph = wf.compile()


async def read(reviewer: str, paper: str) -> str:
    return f"{reviewer} likes {paper}"


def main() -> None:
    print(graph.run_sync("paper 7", deps=read).output)


if __name__ == "__main__":
    main()
