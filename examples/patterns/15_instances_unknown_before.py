"""WCP-15 Multiple instances without a priori run-time knowledge: yes

More instances may be asked for while others run, and the process goes on when there are none left. An instance that
finds more work runs this graph again with `ctx.run`, without waiting for its siblings. (Where rounds are good enough:
a loop around a map, each round over what the last one found.)
"""

from __future__ import annotations

from loomgraph import END, START, Context, Workflow

wf = Workflow("instances unknown before", input=list[str], output=list[str])

LINKS = {"home": ["news", "shop"], "shop": ["lamps"]}


@wf.node
async def visit(page: str, ctx: Context) -> list[str]:
    below = await ctx.run(graph, LINKS.get(page, []), key="links")
    return [page, *below]


@wf.node
async def collect(visited: list[list[str]]) -> list[str]:
    return [page for pages in visited for page in pages]


wf.map(START, visit)
wf.edge(visit, collect)
wf.edge(collect, END)
graph = wf.compile()


def main() -> None:
    print(graph.run_sync(["home"]).output)


if __name__ == "__main__":
    main()
