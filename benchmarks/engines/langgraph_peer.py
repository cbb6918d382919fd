"""LangGraph's StateGraph as its documentation writes it: a TypedDict state, `ainvoke`, no checkpointer.

The recursion limit is raised to the number of steps. Where parallel nodes write, the state has a reducer; a map uses
`Send`. Tracing is off. The durable workloads have its AsyncSqliteSaver and `durability="sync"`.
"""

import asyncio
import operator
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypedDict

os.environ["LANGSMITH_TRACING"] = "false"

from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send

from benchmarks.engines import disk
from benchmarks.engines.base import Engine, Job
from benchmarks.workloads import CONCURRENT_NODES, SHORT, SLOW, WIDTH, combine, delays, message, neighbours


class One(TypedDict):
    x: int


class Many(TypedDict):
    x: int
    values: Annotated[list[int], operator.add]
    total: int


class Branches(TypedDict):
    x: int
    values: Annotated[list[int], operator.add]


class Growing(TypedDict):
    messages: Annotated[list[str], operator.add]


def _step() -> Callable[[One], Awaitable[One]]:
    async def step(state: One) -> One:
        return {"x": state["x"] + 1}

    return step


def _wait(seconds: float) -> Callable[[One], Awaitable[One]]:
    async def wait(state: One) -> One:
        await asyncio.sleep(seconds)
        return {"x": state["x"] + 1}

    return wait


async def _total(state: Many) -> dict[str, int]:
    return {"total": sum(state["values"])}


def _chain(steps: list[Callable[[One], Awaitable[One]]]) -> Any:
    builder = StateGraph(One)
    names = [f"n{i}" for i in range(len(steps))]
    for name, step in zip(names, steps, strict=True):
        builder.add_node(name, step)
    builder.add_edge(START, names[0])
    for source, target in pairwise(names):
        builder.add_edge(source, target)
    builder.add_edge(names[-1], END)
    return builder


def _mixed(n: int) -> Any:
    """The blocks of loomgraph's compile-mixed, with untyped conditions as LangGraph has them."""
    builder = StateGraph(Many)
    before = START
    for b in range(n // 10):
        enter, even, odd, meet, join, draft, judge = (
            f"{role}{b}" for role in ("enter", "even", "odd", "meet", "join", "draft", "judge")
        )
        sides = [f"side{i}-{b}" for i in range(3)]
        for name in (enter, even, odd, meet, *sides, join, draft, judge):
            builder.add_node(name, _step())
        if before is START:
            builder.add_edge(START, enter)
        else:
            builder.add_conditional_edges(before, lambda state: "on", {"again": f"draft{b - 1}", "on": enter})
        builder.add_conditional_edges(enter, lambda state: "odd", {"even": even, "odd": odd})
        builder.add_edge(even, meet)
        builder.add_edge(odd, meet)
        for side in sides:
            builder.add_edge(meet, side)
        builder.add_edge(sides, join)
        builder.add_edge(join, draft)
        builder.add_edge(draft, judge)
        before = judge
    builder.add_conditional_edges(before, lambda state: "on", {"again": f"draft{n // 10 - 1}", "on": END})
    return builder


def _map() -> Any:
    async def double(state: One) -> dict[str, list[int]]:
        return {"values": [state["x"] * 2]}

    async def items(state: Many) -> dict[str, int]:
        return {}

    builder = StateGraph(Many)
    builder.add_node("items", items)
    builder.add_node("double", double)
    builder.add_node("total", _total)
    builder.add_edge(START, "items")
    builder.add_conditional_edges(
        "items", lambda state: [Send("double", {"x": x}) for x in range(state["x"])], ["double"]
    )
    builder.add_edge("double", "total")
    builder.add_edge("total", END)
    return builder


class LangGraph(Engine):
    """The most used peer."""

    name = "langgraph"
    distribution = "langgraph"

    def chain(self, n: int) -> Job:
        return _once(_chain([_step() for _ in range(n)]).compile(), {"x": 0}, "x", n)

    def loop(self, n: int) -> Job:
        builder = StateGraph(One)
        builder.add_node("step", _step())
        builder.add_edge(START, "step")
        builder.add_conditional_edges("step", lambda state: "step" if state["x"] < n else END, ["step", END])
        return _once(builder.compile(), {"x": 0}, "x", n)

    def loop_goto(self, n: int) -> Job:
        async def step(state: One) -> Any:
            x = state["x"] + 1
            return Command(update={"x": x}, goto="step" if x < n else END)

        builder = StateGraph(One)
        builder.add_node("step", step, destinations=("step", END))
        builder.add_edge(START, "step")
        return _once(builder.compile(), {"x": 0}, "x", n)

    def fanout(self, n: int) -> Job:
        def add(i: int) -> Any:
            async def node(state: Many) -> dict[str, list[int]]:
                return {"values": [state["x"] + i]}

            return node

        builder = StateGraph(Many)
        builder.add_node("total", _total)
        names = [f"n{i}" for i in range(n)]
        for i, name in enumerate(names):
            builder.add_node(name, add(i))
            builder.add_edge(START, name)
        builder.add_edge(names, "total")
        builder.add_edge("total", END)
        return _once(builder.compile(), {"x": 1}, "total", n)

    def map(self, n: int) -> Job:
        return _once(_map().compile(), {"x": n}, "total", n)

    def stream(self, n: int) -> Job:
        graph = _chain([_step() for _ in range(n)]).compile()

        async def run(_: Any) -> int:
            done = 0
            # "tasks" is the mode that tells of each start and each end, as loomgraph's events do
            async for task in graph.astream({"x": 0}, {"recursion_limit": n + 10}, stream_mode="tasks"):
                done += "result" in task
            return done

        return Job(run)

    def lattice(self, layers: int) -> Job:
        # a column's key is written once a superstep, so the plain last-value channels are right and quickest
        state = TypedDict("state", {f"c{c}": int for c in range(WIDTH)})  # type: ignore[misc]

        def first(column: int) -> Any:
            async def start(_: state) -> Any:  # type: ignore[valid-type]
                return {f"c{column}": combine([column])}

            return start

        def inner(column: int) -> Any:
            reads = [f"c{c}" for c in neighbours(column)]

            async def node(values: state) -> Any:  # type: ignore[valid-type]
                return {f"c{column}": combine([values[key] for key in reads])}

            return node

        builder = StateGraph(state)
        for layer in range(layers):
            for column in range(WIDTH):
                name = f"{layer}-{column}"
                builder.add_node(name, inner(column) if layer else first(column))
                # the layers are even, so plain edges join as a list of sources would, and are a little quicker
                for source in [f"{layer - 1}-{c}" for c in neighbours(column)] if layer else [START]:
                    builder.add_edge(source, name)
        for column in range(WIDTH):
            builder.add_edge(f"{layers - 1}-{column}", END)
        graph = builder.compile()

        async def run(_: Any) -> int:
            end = await graph.ainvoke({f"c{c}": 0 for c in range(WIDTH)}, {"recursion_limit": layers + 10})
            return sum(end.values())

        return Job(run)

    def branches(self, n: int) -> Job:
        def wait(seconds: float) -> Any:
            async def node(state: Branches) -> dict[str, list[int]]:
                await asyncio.sleep(seconds)
                return {"values": [1]}

            return node

        builder = StateGraph(Branches)
        ends: list[str] = []
        for b, waits in enumerate([[SLOW], *delays(n)]):
            before = START
            for i, seconds in enumerate(waits):
                builder.add_node(f"{b}-{i}", wait(seconds))
                builder.add_edge(before, f"{b}-{i}")
                before = f"{b}-{i}"
            ends.append(before)
        builder.add_edge(ends, END)
        graph = builder.compile()

        async def run(_: Any) -> int:
            return sum((await graph.ainvoke({"x": 0, "values": []}))["values"])

        return Job(run)

    def runs(self, n: int) -> Job:
        graph = _chain([_wait(SHORT) for _ in range(CONCURRENT_NODES)]).compile()

        async def run(_: Any) -> int:
            return sum(end["x"] for end in await asyncio.gather(*(graph.ainvoke({"x": 0}) for _ in range(n))))

        return Job(run)

    def durable_chain(self, n: int) -> Job:
        return _stored(_chain([_step() for _ in range(n)]), {"x": 0}, "x", n)

    def durable_chain_full(self, n: int) -> Job:
        return _stored(_chain([_step() for _ in range(n)]), {"x": 0}, "x", n, disk.FULL)

    def durable_map(self, n: int) -> Job:
        return _stored(_map(), {"x": n}, "total", n)

    def durable_resume(self, n: int) -> Job:
        reached: list[float] = []

        async def last(state: One) -> One:
            reached.append(time.perf_counter())
            if len(reached) == 1:
                raise RuntimeError("the first process ends here")
            return {"x": state["x"] + 1}

        builder = _chain([*(_step() for _ in range(n)), last])
        config: Any = {"recursion_limit": n + 10, "configurable": {"thread_id": "run"}}

        async def setup() -> Any:
            saver = await _saver()
            reached.clear()
            graph = builder.compile(checkpointer=saver)
            with suppress(RuntimeError):
                await graph.ainvoke({"x": 0}, config, durability="sync")
            return saver, graph

        async def run(given: Any) -> tuple[int, float]:
            before = time.perf_counter()
            end = await given[1].ainvoke(None, config, durability="sync")
            return end["x"], reached[-1] - before

        return Job(run, setup, lambda given: _closed(given[0]))

    def durable_kept(self, n: int) -> Job:
        return _appended(n, kept=True)

    def durable_written(self, n: int) -> Job:
        return _appended(n, kept=False)

    def build(self, n: int) -> Job:
        async def run(steps: Any) -> int:
            return len(_chain(steps).nodes)

        return Job(run, lambda: [_step() for _ in range(n)])

    def compile(self, n: int) -> Job:
        return _compile(lambda: _chain([_step() for _ in range(n)]))

    def compile_mixed(self, n: int) -> Job:
        return _compile(lambda: _mixed(n))


def _compile(build: Callable[[], Any]) -> Job:
    async def run(builder: Any) -> int:
        return len(builder.compile().nodes) - 1  # START is a node there

    return Job(run, build)


async def _saver(synchronous: str = disk.NORMAL, path: Path | None = None) -> Any:
    # imported only where it is measured, as with every engine
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    connection = await aiosqlite.connect(path or disk.fresh())
    saver = AsyncSqliteSaver(connection)
    await saver.setup()
    await connection.execute(f"PRAGMA synchronous = {synchronous}")
    return saver


async def _closed(saver: Any) -> None:
    async with saver.conn.execute("PRAGMA database_list") as rows:
        path = Path((await rows.fetchone())[2])
    await saver.conn.close()
    disk.drop(path)


def _stored(builder: Any, value: dict[str, Any], key: str, steps: int, synchronous: str = disk.NORMAL) -> Job:
    async def setup() -> Any:
        saver = await _saver(synchronous)
        return saver, builder.compile(checkpointer=saver)

    async def run(given: Any) -> Any:
        config: Any = {"recursion_limit": steps + 10, "configurable": {"thread_id": "run"}}
        return (await given[1].ainvoke(value, config, durability="sync"))[key]

    return Job(run, setup, lambda given: _closed(given[0]))


def _appended(n: int, *, kept: bool) -> Job:
    async def turn(state: Growing) -> Growing:
        return {"messages": [message(len(state["messages"]))]}

    builder = StateGraph(Growing)
    builder.add_node("turn", turn)
    builder.add_edge(START, "turn")
    builder.add_conditional_edges("turn", lambda state: "turn" if len(state["messages"]) < n else END, ["turn", END])

    async def run(path: Path) -> tuple[int, int]:
        before = 0 if kept else disk.written()
        saver = await _saver(path=path)
        config: Any = {"recursion_limit": n + 10, "configurable": {"thread_id": "run"}}
        end = await builder.compile(checkpointer=saver).ainvoke({"messages": []}, config, durability="sync")
        await saver.conn.close()
        return len(end["messages"]), disk.kept(path) if kept else disk.written() - before

    async def after(path: Path) -> None:
        disk.drop(path)

    return Job(run, disk.fresh, after)


def _once(graph: Any, value: dict[str, Any], key: str, steps: int) -> Job:
    async def run(_: Any) -> Any:
        return (await graph.ainvoke(value, {"recursion_limit": steps + 10}))[key]

    return Job(run)


ENGINE = LangGraph()
