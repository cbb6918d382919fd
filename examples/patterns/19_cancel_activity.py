"""WCP-19 Cancel activity: yes

A task that has started, or waits to start, is withdrawn, and the process goes on. A `wait="first"` join of the task and
of whatever withdraws it: once the withdrawal wins, the task is cancelled and its `finally` blocks run. (A task that may
take only so long needs less: `timeout=` and `on_error`.)
"""

from __future__ import annotations

from anyio import sleep

from loomgraph import END, START, Context, Workflow

wf = Workflow("cancel activity", input=str, output=str)


@wf.node
async def search(item: str, ctx: Context) -> str:
    try:
        return await ctx.deps["search"](item)
    finally:
        print("the search is over")


@wf.node
async def wait_for_withdrawal(item: str, ctx: Context) -> str:
    return await ctx.deps["withdrawal"](item)


@wf.node
async def close(outcome: str) -> str:
    return f"closed: {outcome}"


wf.edge(START, search)
wf.edge(START, wait_for_withdrawal)
wf.join([search, wait_for_withdrawal], into=close, wait="first")
wf.edge(close, END)
graph = wf.compile()


async def search_for(item: str) -> str:
    await sleep(3600)
    return f"{item} found"


async def withdraw(item: str) -> str:
    return f"{item} is back by itself"


def main() -> None:
    print(graph.run_sync("the lost bag", deps={"search": search_for, "withdrawal": withdraw}).output)


if __name__ == "__main__":
    main()
