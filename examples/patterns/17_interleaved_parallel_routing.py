"""WCP-17 Interleaved parallel routing: yes

Tasks with a partial order between them run in any order that keeps it, but never two at a time. A run with `limit=1`
runs one attempt at a time, in an order of its own choosing. The limit is the whole run's; to keep only some tasks
apart, give them one lock in `deps`, or make them the items of a `map(..., limit=1)`.
"""

from __future__ import annotations

from loomgraph import END, START, Context, Workflow

wf = Workflow("interleaved parallel routing", input=str, output=list[str])


@wf.node
async def weld(frame: str, ctx: Context) -> str:
    return await ctx.deps("weld", frame)


@wf.node
async def paint(frame: str, ctx: Context) -> str:
    return await ctx.deps("paint", frame)


@wf.node
async def wire(frame: str, ctx: Context) -> str:
    return await ctx.deps("wire", frame)


wf.chain(START, weld, paint)
wf.edge(START, wire)
wf.join([paint, wire], into=END)
graph = wf.compile()


async def use_crane(task: str, frame: str) -> str:
    print("the crane is used to", task)
    return f"{frame}, {task} done"


def main() -> None:
    print(graph.run_sync("frame 7", deps=use_crane, limit=1).output)


if __name__ == "__main__":
    main()
