"""Haystack's Pipeline as its documentation writes it: component classes with `run` and `run_async`, `run_async` used.

It has no map over a run's items, so a map is a component for each. The concurrency limit and the cap on visits are
raised to what the workload needs. Telemetry is off.
"""

import asyncio
import os
from typing import Any

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack import Pipeline, component
from haystack.core.component.types import GreedyVariadic, Variadic

from benchmarks.engines.base import Engine, Job
from benchmarks.workloads import CONCURRENT_NODES, SHORT, SLOW, WIDTH, combine, delays, neighbours


@component
class Step:
    @component.output_types(x=int)
    def run(self, x: int) -> dict[str, int]:
        return {"x": x + 1}

    @component.output_types(x=int)
    async def run_async(self, x: int) -> dict[str, int]:
        return {"x": x + 1}


@component
class Wait:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @component.output_types(x=int)
    def run(self, x: int) -> dict[str, int]:
        raise NotImplementedError

    @component.output_types(x=int)
    async def run_async(self, x: int) -> dict[str, int]:
        await asyncio.sleep(self.seconds)
        return {"x": x + 1}


@component
class Next:
    """Takes the entry's or the back edge's value: a pipeline cannot connect a component to itself."""

    @component.output_types(x=int)
    def run(self, x: GreedyVariadic[int]) -> dict[str, int]:
        return {"x": next(iter(x)) + 1}

    @component.output_types(x=int)
    async def run_async(self, x: GreedyVariadic[int]) -> dict[str, int]:
        return {"x": next(iter(x)) + 1}


@component
class Again:
    def __init__(self, limit: int) -> None:
        self.limit = limit

    @component.output_types(again=int, done=int)
    def run(self, x: int) -> dict[str, int]:
        return {"again": x} if x < self.limit else {"done": x}

    @component.output_types(again=int, done=int)
    async def run_async(self, x: int) -> dict[str, int]:
        return {"again": x} if x < self.limit else {"done": x}


@component
class Add:
    def __init__(self, i: int) -> None:
        self.i = i

    @component.output_types(x=int)
    def run(self, x: int) -> dict[str, int]:
        return {"x": x + self.i}

    @component.output_types(x=int)
    async def run_async(self, x: int) -> dict[str, int]:
        return {"x": x + self.i}


@component
class Double:
    def __init__(self, i: int) -> None:
        self.i = i

    @component.output_types(x=int)
    def run(self, items: list[int]) -> dict[str, int]:
        return {"x": items[self.i] * 2}

    @component.output_types(x=int)
    async def run_async(self, items: list[int]) -> dict[str, int]:
        return {"x": items[self.i] * 2}


@component
class Source:
    @component.output_types(items=list[int])
    def run(self, x: int) -> dict[str, list[int]]:
        return {"items": list(range(x))}

    @component.output_types(items=list[int])
    async def run_async(self, x: int) -> dict[str, list[int]]:
        return {"items": list(range(x))}


@component
class Enter:
    @component.output_types(x=int)
    def run(self, x: int) -> dict[str, int]:
        return {"x": x}

    @component.output_types(x=int)
    async def run_async(self, x: int) -> dict[str, int]:
        return {"x": x}


@component
class Combine:
    @component.output_types(x=int)
    def run(self, x: Variadic[int]) -> dict[str, int]:
        return {"x": combine(list(x))}

    @component.output_types(x=int)
    async def run_async(self, x: Variadic[int]) -> dict[str, int]:
        return {"x": combine(list(x))}


@component
class First:
    def __init__(self, column: int) -> None:
        self.column = column

    @component.output_types(x=int)
    def run(self, x: int) -> dict[str, int]:
        return {"x": combine([x + self.column])}

    @component.output_types(x=int)
    async def run_async(self, x: int) -> dict[str, int]:
        return {"x": combine([x + self.column])}


@component
class Total:
    @component.output_types(total=int)
    def run(self, x: Variadic[int]) -> dict[str, int]:
        return {"total": sum(x)}

    @component.output_types(total=int)
    async def run_async(self, x: Variadic[int]) -> dict[str, int]:
        return {"total": sum(x)}


def _chain(steps: list[Any]) -> Pipeline:
    pipeline = Pipeline()
    for i, step in enumerate(steps):
        pipeline.add_component(f"n{i}", step)
    for i in range(len(steps) - 1):
        pipeline.connect(f"n{i}.x", f"n{i + 1}.x")
    return pipeline


def _once(pipeline: Pipeline, start: dict[str, Any], node: str, socket: str, width: int = 4) -> Job:
    async def run(_: Any) -> Any:
        return (await pipeline.run_async(start, concurrency_limit=width))[node][socket]

    return Job(run)


class Haystack(Engine):
    """A peer whose pipelines are connected sockets."""

    name = "haystack"
    distribution = "haystack-ai"

    def chain(self, n: int) -> Job:
        return _once(_chain([Step() for _ in range(n)]), {"n0": {"x": 0}}, f"n{n - 1}", "x")

    def loop(self, n: int) -> Job:
        pipeline = Pipeline(max_runs_per_component=n + 1)
        pipeline.add_component("step", Next())
        pipeline.add_component("again", Again(n))
        pipeline.connect("step.x", "again.x")
        pipeline.connect("again.again", "step.x")
        return _once(pipeline, {"step": {"x": 0}}, "again", "done")

    def fanout(self, n: int) -> Job:
        pipeline = Pipeline()
        pipeline.add_component("enter", Enter())
        pipeline.add_component("total", Total())
        for i in range(n):
            pipeline.add_component(f"n{i}", Add(i))
            pipeline.connect("enter.x", f"n{i}.x")
            pipeline.connect(f"n{i}.x", "total.x")
        return _once(pipeline, {"enter": {"x": 1}}, "total", "total", n)

    def map(self, n: int) -> Job:
        pipeline = Pipeline()
        pipeline.add_component("items", Source())
        pipeline.add_component("total", Total())
        for i in range(n):
            pipeline.add_component(f"n{i}", Double(i))
            pipeline.connect("items.items", f"n{i}.items")
            pipeline.connect(f"n{i}.x", "total.x")
        return _once(pipeline, {"items": {"x": n}}, "total", "total", n)

    def lattice(self, layers: int) -> Job:
        pipeline = Pipeline()
        pipeline.add_component("enter", Enter())
        for layer in range(layers):
            for column in range(WIDTH):
                name = f"l{layer}c{column}"
                pipeline.add_component(name, Combine() if layer else First(column))
                for source in [f"l{layer - 1}c{c}" for c in neighbours(column)] if layer else ["enter"]:
                    pipeline.connect(f"{source}.x", f"{name}.x")
        pipeline.add_component("total", Total())
        for column in range(WIDTH):
            pipeline.connect(f"l{layers - 1}c{column}.x", "total.x")
        return _once(pipeline, {"enter": {"x": 0}}, "total", "total", WIDTH)

    def branches(self, n: int) -> Job:
        pipeline = Pipeline()
        pipeline.add_component("enter", Enter())
        pipeline.add_component("total", Total())
        for b, waits in enumerate([[SLOW], *delays(n)]):
            before = "enter"
            for i, seconds in enumerate(waits):
                pipeline.add_component(f"b{b}n{i}", Wait(seconds))
                pipeline.connect(f"{before}.x", f"b{b}n{i}.x")
                before = f"b{b}n{i}"
            pipeline.connect(f"{before}.x", "total.x")
        return _once(pipeline, {"enter": {"x": 0}}, "total", "total", n + 1)

    def runs(self, n: int) -> Job:
        pipeline = _chain([Wait(SHORT) for _ in range(CONCURRENT_NODES)])
        last = f"n{CONCURRENT_NODES - 1}"

        async def run(_: Any) -> int:
            ends = await asyncio.gather(*(pipeline.run_async({"n0": {"x": 0}}) for _ in range(n)))
            return sum(end[last]["x"] for end in ends)

        return Job(run)

    def build(self, n: int) -> Job:
        async def run(steps: list[Any]) -> int:
            return len(_chain(steps).graph.nodes)

        return Job(run, lambda: [Step() for _ in range(n)])


ENGINE = Haystack()
