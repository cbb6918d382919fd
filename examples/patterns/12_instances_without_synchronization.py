"""WCP-12 Multiple instances without synchronization: yes

Several instances of a task are started, and the process goes on without waiting for any of them. A map whose list
nobody reads: `notify` runs once for each reader while `publish` goes on. The run itself ends when they are done.
"""

from __future__ import annotations

from loomgraph import END, START, Context, Workflow

wf = Workflow("instances without synchronization", input=list[str], output=str)


@wf.node
async def write_post(readers: list[str]) -> list[str]:
    return readers


@wf.node
async def notify(reader: str, ctx: Context) -> None:
    await ctx.deps(reader)


@wf.node
async def publish(readers: list[str]) -> str:
    return f"published to {len(readers)}"


wf.edge(START, write_post)
wf.map(write_post, notify)
wf.edge(write_post, publish)
wf.edge(publish, END)
graph = wf.compile()


async def send(reader: str) -> None:
    print("told", reader)


def main() -> None:
    print(graph.run_sync(["Ann", "Ben"], deps=send).output)


if __name__ == "__main__":
    main()
