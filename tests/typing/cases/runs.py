"""The workflow's input and output types reach the graph, its arguments and its results."""

from typing import assert_type

from loomgraph import Graph, RunResult, Workflow

wf = Workflow("typed", input=int, output=str)
graph = wf.compile()

assert_type(graph, Graph[int, str])
assert_type(graph.run_sync(1), RunResult[str])
assert_type(graph.run_sync(1).output, str)


async def use() -> None:
    result = await graph.run(1, limit=2, deadline=1.5)
    assert_type(result, RunResult[str])
    async with graph.start(1) as run:
        assert_type((await run.result()).output, str)


graph.run_sync("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
graph.start(1, on_failure="panic")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
