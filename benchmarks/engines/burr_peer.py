"""Burr as its documentation writes it: async actions, transitions, one Application for a run, no tracker or persister.

Burr is a state machine: one action after the other. A fan-out or a map is its `MapStates`, parallel branches are
`RunnableGraph` tasks, and the lattice is its nodes in topological order. Making the Application is not timed, but for
the concurrent runs, where each run needs one.

The durable workloads are plain actions with its SQLitePersister, which is quicker than its asynchronous one.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from burr.core import ApplicationBuilder, ApplicationContext, Condition, GraphBuilder, State, action, default, expr
from burr.core.parallelism import MapActions, MapStates, RunnableGraph, SubGraphTask, TaskBasedParallelAction
from burr.core.persistence import SQLitePersister

from benchmarks.engines import disk
from benchmarks.engines.base import Engine, Job
from benchmarks.workloads import CONCURRENT_NODES, SHORT, SLOW, WIDTH, combine, delays, message, neighbours

logging.getLogger("burr").setLevel(logging.CRITICAL)

Call = Callable[[State], Awaitable[State]]


def _step() -> Any:
    @action(reads=["x"], writes=["x"])
    async def step(state: State) -> State:
        return state.update(x=state["x"] + 1)

    return step


def _wait(seconds: float) -> Any:
    @action(reads=["x"], writes=["x"])
    async def wait(state: State) -> State:
        await asyncio.sleep(seconds)
        return state.update(x=state["x"] + 1)

    return wait


def _chain(steps: dict[str, Any]) -> Any:
    names = list(steps)
    return GraphBuilder().with_actions(**steps).with_transitions(*pairwise(names))


def _application(graph: Any, start: str, **state: Any) -> Any:
    return ApplicationBuilder().with_graph(graph).with_state(**state).with_entrypoint(start).build()


def _once(graph: Any, start: str, last: str, key: str, **state: Any) -> Job:
    async def run(application: Any) -> Any:
        _, _, end = await application.arun(halt_after=[last])
        return end[key]

    return Job(run, lambda: _application(graph, start, **state))


class Doubles(MapStates):
    """The map: one action over as many states as there are items."""

    def __init__(self) -> None:
        super().__init__()

        @action(reads=["x"], writes=["y"])
        async def double(state: State) -> State:
            return state.update(y=state["x"] * 2)

        self.double = RunnableGraph.create(double)

    def is_async(self) -> bool:
        return True

    def action(self, state: State, inputs: dict[str, Any]) -> Any:
        return self.double

    async def states(self, state: State, context: ApplicationContext, inputs: dict[str, Any]) -> Any:
        for x in range(state["n"]):
            yield state.update(x=x)

    async def reduce(self, state: State, states: Any) -> State:
        return state.update(total=sum([sub["y"] async for sub in states]))

    @property
    def reads(self) -> list[str]:
        return ["n"]

    @property
    def writes(self) -> list[str]:
        return ["total"]


class Adds(MapActions):
    """The fan-out: many actions over one state."""

    def __init__(self, nodes: list[Any]) -> None:
        super().__init__()
        self.nodes = [RunnableGraph.create(node) for node in nodes]

    def is_async(self) -> bool:
        return True

    async def actions(self, state: State, context: ApplicationContext, inputs: dict[str, Any]) -> Any:
        for node in self.nodes:
            yield node

    async def states(self, state: State, context: ApplicationContext, inputs: dict[str, Any]) -> Any:
        yield state

    async def reduce(self, state: State, states: Any) -> State:
        return state.update(total=sum([sub["y"] async for sub in states]))

    @property
    def reads(self) -> list[str]:
        return ["x"]

    @property
    def writes(self) -> list[str]:
        return ["total"]


class Side(TaskBasedParallelAction):
    """The branches: one sub-graph each, side by side."""

    def __init__(self, branches: list[Any]) -> None:
        super().__init__()
        self.branches = branches

    def is_async(self) -> bool:
        return True

    async def tasks(self, state: State, context: ApplicationContext, inputs: dict[str, Any]) -> Any:
        for b, runnable in enumerate(self.branches):
            yield SubGraphTask(graph=runnable, inputs={}, state=state, application_id=f"{context.app_id}-{b}")

    async def reduce(self, state: State, states: Any) -> State:
        return state.update(total=sum([sub["x"] async for sub in states]))

    @property
    def reads(self) -> list[str]:
        return ["x"]

    @property
    def writes(self) -> list[str]:
        return ["total"]


class Burr(Engine):
    """A peer that is a state machine with hooks."""

    name = "burr"
    distribution = "burr"

    def chain(self, n: int) -> Job:
        graph = _chain({f"n{i}": _step() for i in range(n)}).build()
        return _once(graph, "n0", f"n{n - 1}", "x", x=0)

    def loop(self, n: int) -> Job:
        @action(reads=["x"], writes=["x"])
        async def done(state: State) -> State:
            return state

        again: Condition = expr(f"x < {n}")
        graph = (
            GraphBuilder()
            .with_actions(step=_step(), done=done)
            .with_transitions(("step", "step", again), ("step", "done", default))
            .build()
        )
        return _once(graph, "step", "done", "x", x=0)

    def fanout(self, n: int) -> Job:
        def add(i: int) -> Any:
            @action(reads=["x"], writes=["y"])
            async def node(state: State) -> State:
                return state.update(y=state["x"] + i)

            return node

        graph = GraphBuilder().with_actions(fan=Adds([add(i) for i in range(n)])).build()
        return _once(graph, "fan", "fan", "total", x=1)

    def map(self, n: int) -> Job:
        graph = GraphBuilder().with_actions(doubles=Doubles()).build()
        return _once(graph, "doubles", "doubles", "total", n=n)

    def stream(self, n: int) -> Job:
        graph = _chain({f"n{i}": _step() for i in range(n)}).build()

        async def run(application: Any) -> int:
            done = 0
            async for _ in application.aiterate(halt_after=[f"n{n - 1}"]):
                done += 1
            return done

        return Job(run, lambda: _application(graph, "n0", x=0))

    def lattice(self, layers: int) -> Job:
        def node(layer: int, column: int) -> Any:
            # two rows of fields: the layer before is still read while this one is written
            reads = [f"r{(layer - 1) % 2}c{c}" for c in neighbours(column)] if layer else []
            write = f"r{layer % 2}c{column}"

            @action(reads=reads, writes=[write])
            async def one(state: State) -> State:
                return state.update(**{write: combine([state[key] for key in reads] if reads else [column])})

            return one

        last = [f"r{(layers - 1) % 2}c{c}" for c in range(WIDTH)]

        @action(reads=last, writes=["total"])
        async def total(state: State) -> State:
            return state.update(total=sum(state[key] for key in last))

        nodes = {f"l{layer}c{column}": node(layer, column) for layer in range(layers) for column in range(WIDTH)}
        graph = _chain({**nodes, "total": total}).build()
        return _once(graph, "l0c0", "total", "total", x=0)

    def branches(self, n: int) -> Job:
        side: list[Any] = []
        for waits in [[SLOW], *delays(n)]:
            steps = {f"n{i}": _wait(seconds) for i, seconds in enumerate(waits)}
            side.append(RunnableGraph(_chain(steps).build(), "n0", [f"n{len(waits) - 1}"]))
        graph = GraphBuilder().with_actions(side=Side(side)).build()
        return _once(graph, "side", "side", "total", x=0)

    def runs(self, n: int) -> Job:
        graph = _chain({f"n{i}": _wait(SHORT) for i in range(CONCURRENT_NODES)}).build()
        last = [f"n{CONCURRENT_NODES - 1}"]

        async def run(_: Any) -> int:
            ends = await asyncio.gather(*(_application(graph, "n0", x=0).arun(halt_after=last) for _ in range(n)))
            return sum(state["x"] for _, _, state in ends)

        return Job(run)

    def build(self, n: int) -> Job:
        async def run(steps: dict[str, Any]) -> int:
            _chain(steps)
            return len(steps)

        return Job(run, lambda: {f"n{i}": _step() for i in range(n)})

    def compile(self, n: int) -> Job:
        async def run(builder: Any) -> int:
            return len(builder.build().actions)

        return Job(run, lambda: _chain({f"n{i}": _step() for i in range(n)}))

    def durable_chain(self, n: int) -> Job:
        return _stored(n, disk.NORMAL)

    def durable_chain_full(self, n: int) -> Job:
        return _stored(n, disk.FULL)

    def durable_resume(self, n: int) -> Job:
        reached: list[float] = []

        @action(reads=["x"], writes=["x"])
        def last(state: State) -> State:
            reached.append(time.perf_counter())
            if len(reached) == 1:
                raise RuntimeError("the first process ends here")
            return state.update(x=state["x"] + 1)

        graph = _chain({**{f"n{i}": _plain() for i in range(n)}, "last": last}).build()

        def setup() -> SQLitePersister:
            persister = _persister(disk.NORMAL)
            reached.clear()
            with suppress(RuntimeError):
                _persistent(graph, persister).run(halt_after=["last"])
            return persister

        async def run(persister: SQLitePersister) -> tuple[int, float]:
            before = time.perf_counter()
            _, _, end = _persistent(graph, persister).run(halt_after=["last"])
            return end["x"], reached[-1] - before

        return Job(run, setup, _closed)

    def durable_kept(self, n: int) -> Job:
        return _appended(n, kept=True)

    def durable_written(self, n: int) -> Job:
        return _appended(n, kept=False)


def _plain() -> Any:
    @action(reads=["x"], writes=["x"])
    def step(state: State) -> State:
        return state.update(x=state["x"] + 1)

    return step


def _persister(synchronous: str, path: Path | None = None) -> SQLitePersister:
    persister = SQLitePersister.from_values(str(path or disk.fresh()))
    persister.connection.execute("PRAGMA journal_mode = WAL")
    persister.connection.execute(f"PRAGMA synchronous = {synchronous}")
    persister.initialize()
    return persister


async def _closed(persister: SQLitePersister) -> None:
    persister.connection.close()
    disk.drop(Path(persister.db_path))


def _persistent(graph: Any, persister: SQLitePersister, start: str = "n0", **state: Any) -> Any:
    return (
        ApplicationBuilder()
        .with_graph(graph)
        .initialize_from(
            persister, resume_at_next_action=True, default_state=state or {"x": 0}, default_entrypoint=start
        )
        .with_state_persister(persister)
        .with_identifiers(app_id="run")
        .build()
    )


def _stored(n: int, synchronous: str) -> Job:
    graph = _chain({f"n{i}": _plain() for i in range(n)}).build()

    def setup() -> Any:
        persister = _persister(synchronous)
        return persister, _persistent(graph, persister)

    async def run(given: Any) -> Any:
        _, _, end = given[1].run(halt_after=[f"n{n - 1}"])
        return end["x"]

    return Job(run, setup, lambda given: _closed(given[0]))


def _appended(n: int, *, kept: bool) -> Job:
    @action(reads=["messages"], writes=["messages", "done"])
    def turn(state: State) -> State:
        more = state.append(messages=message(len(state["messages"])))
        return more.update(done=len(more["messages"]) >= n)

    @action(reads=[], writes=[])
    def stop(state: State) -> State:
        return state

    graph = (
        GraphBuilder()
        .with_actions(turn=turn, stop=stop)
        .with_transitions(("turn", "stop", expr("done")), ("turn", "turn", default))
        .build()
    )

    async def run(path: Path) -> tuple[int, int]:
        before = 0 if kept else disk.written()
        persister = _persister(disk.NORMAL, path)
        application = _persistent(graph, persister, "turn", messages=[], done=False)
        _, _, end = application.run(halt_before=["stop"])
        persister.connection.close()
        return len(end["messages"]), disk.kept(path) if kept else disk.written() - before

    async def after(path: Path) -> None:
        disk.drop(path)

    return Job(run, disk.fresh, after)


ENGINE = Burr()
