"""Random workflows whose nodes do what is durable inside a node: steps, naps, graphs of their own, failed attempts.

What a node does besides its answer follows from its name and a seed, so that every process makes the same workflow.
"""

from __future__ import annotations

import operator
import random
from dataclasses import dataclass, replace
from typing import Annotated, Any
from zlib import crc32

import anyio
from pydantic import BaseModel

from loomgraph import END, START, Context, Graph, Retry, Workflow
from loomgraph.compile.compiled import compile_definition
from loomgraph.graph.builder import Builder
from loomgraph.graph.definition import GraphBody
from loomgraph.testing.crash import note
from tests.properties.workflows import Back, BoomError, Link, Part, Spec, build

__all__ = ["Habits", "compiled", "rebuilt", "reply"]


class FlakyError(Exception):
    """What a node fails with in its first attempts."""


@dataclass(frozen=True)
class Habit:
    """What a node does before it answers. `fails` is how many of its attempts fail first, after all the rest."""

    steps: int
    together: bool
    naps: int
    runs: str | None
    emits: bool
    asks: int
    waits: bool
    fails: int

    @classmethod
    def of(cls, seed: int, name: str) -> Habit:
        chance = random.Random(f"{seed} {name}")
        return cls(
            steps=chance.choice((0, 0, 1, 2)),
            together=chance.random() < 0.3,
            naps=chance.choice((0, 0, 0, 1, 2)),
            runs=chance.choice((None, None, None, None, "steps", "spread", "rounds", "form")),
            emits=chance.random() < 0.2,
            asks=chance.choice((0, 0, 0, 0, 1, 2)),
            waits=chance.random() < 0.15,
            fails=chance.choice((0, 0, 0, 0, 1, 2)),
        )


class Habits:
    """What every async node of a workflow waits for."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.graphs = {"steps": _steps(), "spread": _spread(), "rounds": _rounds(), "form": _form()}

    async def __call__(self, ctx: Context) -> None:
        note(ctx.key, f"attempt {ctx.attempt}")
        ctx.meter(bodies=1)
        habit = Habit.of(self.seed, ctx.node.rpartition("/")[2])
        if habit.together:
            async with anyio.create_task_group() as group:
                for number in range(habit.steps):
                    group.start_soon(self._step, ctx, number)
                group.start_soon(self._run, ctx, habit)
        else:
            for number in range(habit.steps):
                await self._step(ctx, number)
            await self._run(ctx, habit)
        for number in range(habit.naps):
            await ctx.sleep(0.001 * number)
        for number in range(habit.asks):
            assert await ctx.ask(f"how much is {number}?", int, key=f"q{number}") == reply(f"how much is {number}?")
        if habit.waits:
            assert await ctx.wait_for(ctx.key, int) == reply(ctx.key)
        if habit.emits:
            await ctx.emit({"key": ctx.key})
        if ctx.attempt <= habit.fails:
            raise FlakyError(f"attempt {ctx.attempt}")

    async def _step(self, ctx: Context, number: int) -> None:
        given = [ctx.key, number]
        assert await ctx.step(f"step {number}", _same, given) == given

    async def _run(self, ctx: Context, habit: Habit) -> None:
        if habit.runs is not None:
            graph = self.graphs[habit.runs]
            assert await ctx.run(graph, 2, key="inner") == EXPECTED[habit.runs]


async def _same(given: list[Any]) -> list[Any]:
    return given


def reply(asked: str) -> int:
    """What everybody answers."""
    return crc32(asked.encode()) % 100


EXPECTED: dict[str, Any] = {
    "steps": 6,
    "spread": [0, 10],
    "rounds": ["0", "1", "2"],
    "form": [reply("which of 0?"), reply("which of 1?")],
}
"""What the graphs that nodes run give for 2."""


def _steps() -> Graph[Any, Any]:
    wf = Workflow("steps", input=int, output=int)

    @wf.node
    async def first(value: int, ctx: Context) -> int:
        note(ctx.key)
        return await ctx.step("plus one", _plus_one, value)

    @wf.node
    def second(value: int, ctx: Context) -> int:
        note(ctx.key)
        return value * 2

    wf.chain(START, first, second, END)
    return wf.compile()


async def _plus_one(value: int) -> int:
    return value + 1


def _spread() -> Graph[Any, Any]:
    wf = Workflow("spread", input=int, output=list[int])

    @wf.node
    async def makes(value: int, ctx: Context) -> list[int]:
        note(ctx.key)
        return list(range(value))

    @wf.node
    async def each(value: int, ctx: Context) -> int:
        note(ctx.key)
        await ctx.step("look", _plus_one, value)
        return value * 10

    wf.edge(START, makes)
    mapped = wf.map(makes, each)
    wf.edge(mapped, END)
    return wf.compile()


def _form() -> Graph[Any, Any]:
    wf = Workflow("form", input=int, output=list[int])

    @wf.node
    async def asks(value: int, ctx: Context) -> int:
        note(ctx.key)
        before = await ctx.step("before", _plus_one, value)
        answer = await ctx.ask(f"which of {before - 1}?", int)
        return await ctx.step("after", _plus_one, answer) - 1

    @wf.node
    async def makes(value: int) -> list[int]:
        return list(range(value))

    wf.edge(START, makes)
    mapped = wf.map(makes, asks)
    wf.edge(mapped, END)
    return wf.compile()


class Tally(BaseModel):
    """What the rounds add up to."""

    seen: Annotated[list[str], operator.add] = []


def _rounds() -> Graph[Any, Any]:
    wf = Workflow("rounds", input=int, output=list[str], state=Tally)
    deeper = _steps()

    @wf.node
    async def begins(value: int) -> int:
        return 0

    @wf.node
    async def goes_round(value: int, ctx: Context[Tally]) -> int:
        note(ctx.key)
        ctx.update(seen=[str(value)])
        await ctx.run(deeper, value, key="deeper")
        return value + 1

    @wf.node
    async def tells(value: int, ctx: Context[Tally]) -> list[str]:
        note(ctx.key)
        return ctx.state.seen

    wf.chain(START, begins, goes_round)
    wf.edge(goes_round, goes_round, when=lambda value: value < 3, label="again", cap=3)
    wf.edge(goes_round, tells, when=lambda value: value >= 3, label="enough")
    wf.edge(tells, END)
    return wf.compile()


def rebuilt(text: str) -> Spec:
    """A spec from what it prints as."""
    names = {"Spec": Spec, "Part": Part, "Link": Link, "Back": Back}
    spec = eval(text, names)
    assert isinstance(spec, Spec)
    return spec


def compiled(spec: Spec, habits: Habits | None) -> Graph[Any, Any]:
    """The workflow as a graph; its nodes have their habits, and the retries that these need."""

    def embedded(builder: Builder) -> Graph[Any, Any]:
        if habits is not None:
            for index, node in enumerate(builder._nodes):
                habit = Habit.of(habits.seed, node.name)
                if isinstance(node.body, GraphBody):
                    retry = Retry(attempts=1 + habit.fails, delay=0, on=(BoomError,))
                else:
                    retry = Retry(attempts=1 + habit.fails, delay=0, on=(FlakyError,))
                builder._nodes[index] = replace(node, retry=retry)
        return Graph(compile_definition(builder.define()))

    return embedded(build(spec, habits, embedded))
