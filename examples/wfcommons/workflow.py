"""An instance as a graph: a node for each task, which joins all that it waits for; its work is to sleep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from pydantic import BaseModel, ConfigDict

from examples.wfcommons.instance import Instance, Task
from loomgraph import END, START, Graph, RunResult, Workflow

__all__ = ["Executed", "Ran", "build", "execute"]


class Ran(BaseModel):
    """When a task ran, in seconds of the event loop's clock."""

    model_config = ConfigDict(frozen=True)

    task: str
    started: float
    ended: float


@dataclass(frozen=True)
class Executed:
    """A run of an instance: how long it took from call to result (seconds), and its result."""

    seconds: float
    result: RunResult[list[Ran]]


def build(instance: Instance, scale: float) -> Graph[str, list[Ran]]:
    """The graph of an instance, whose tasks sleep for their runtimes times `scale`."""
    wf = Workflow("wfcommons", input=str, output=list[Ran], doc=instance.name)
    for task in instance.tasks.values():
        if task.parents:
            node = wf.node(_step(task, scale), name=task.id)
            wf.join(task.parents, into=node)
        else:
            wf.edge(START, wf.node(_source(task, scale), name=task.id))
    wf.join(instance.sinks, into=END)
    return wf.compile()


async def execute(instance: Instance, scale: float, limit: int | None) -> Executed:
    """Run an instance once, at most `limit` tasks at a time."""
    graph = build(instance, scale)
    before = anyio.current_time()
    result = await graph.run(instance.name, limit=limit)
    return Executed(anyio.current_time() - before, result)


def _source(task: Task, scale: float) -> Callable[[str], Awaitable[Ran]]:
    async def source(instance: str) -> Ran:
        return await _sleep(task, scale)

    return source


def _step(task: Task, scale: float) -> Callable[[list[Ran]], Awaitable[Ran]]:
    async def step(parents: list[Ran]) -> Ran:
        return await _sleep(task, scale)

    return step


async def _sleep(task: Task, scale: float) -> Ran:
    started = anyio.current_time()
    await anyio.sleep(task.runtime * scale)
    return Ran(task=task.id, started=started, ended=anyio.current_time())
