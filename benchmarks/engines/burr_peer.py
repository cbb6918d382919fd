"""Burr as its documentation writes it: async actions, transitions, one Application for a run, no tracker or persister.

Burr is a state machine: one action after the other. A fan-out or a map is its `MapStates`, parallel branches are
`RunnableGraph` tasks, and the lattice is its nodes in topological order. Making the Application is not timed, but for
the concurrent runs, where each run needs one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

from burr.core import ApplicationBuilder, ApplicationContext, Condition, GraphBuilder, State, action, default, expr
from burr.core.parallelism import MapActions, MapStates, RunnableGraph, SubGraphTask, TaskBasedParallelAction

from benchmarks.engines.base import Engine, Job
from benchmarks.workloads import CONCURRENT_NODES, SHORT, SLOW, WIDTH, combine, delays, neighbours

logging.getLogger("burr").setLevel(logging.ERROR)

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


ENGINE = Burr()
