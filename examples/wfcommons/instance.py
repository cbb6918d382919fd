"""WfFormat 1.5: the tasks of a workflow, who waits for whom, and how long each one took. Reads; runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

__all__ = ["Instance", "InstanceError", "Task", "load"]


class InstanceError(Exception):
    """The file cannot be run as a workflow; the message says why."""


@dataclass(frozen=True)
class Task:
    """One task: what it waits for, and how many seconds it took when it was recorded."""

    id: str
    runtime: float
    parents: tuple[str, ...]


@dataclass(frozen=True)
class Instance:
    """A workflow that was recorded; its tasks by id, parents before children."""

    name: str
    tasks: Mapping[str, Task]

    @property
    def edges(self) -> int:
        """How many times a task waits for another."""
        return sum(len(task.parents) for task in self.tasks.values())

    @property
    def sinks(self) -> tuple[str, ...]:
        """The tasks that nobody waits for."""
        awaited = {parent for task in self.tasks.values() for parent in task.parents}
        return tuple(id for id in self.tasks if id not in awaited)

    @property
    def work(self) -> float:
        """Seconds of all the tasks together: how long one machine needs."""
        return sum(task.runtime for task in self.tasks.values())

    @cached_property
    def critical_path(self) -> float:
        """Seconds of the longest way through: how long any number of machines needs at least."""
        ends: dict[str, float] = {}
        for task in self.tasks.values():
            ends[task.id] = task.runtime + max((ends[parent] for parent in task.parents), default=0.0)
        return max(ends.values())


class _Specified(BaseModel):
    id: str
    parents: list[str] = []


class _Executed(BaseModel):
    id: str
    runtime: float = Field(alias="runtimeInSeconds", ge=0)


class _Specification(BaseModel):
    tasks: list[_Specified] = Field(min_length=1)


class _Execution(BaseModel):
    tasks: list[_Executed]


class _Workflow(BaseModel):
    specification: _Specification
    execution: _Execution


class _Document(BaseModel):
    """What is read of a file; WfFormat has more (files, machines, commands), which is left alone."""

    name: str
    workflow: _Workflow


def load(path: Path) -> Instance:
    """The instance in a file. Raises InstanceError for a file that cannot be read, or says what cannot be run."""
    try:
        document = _Document.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InstanceError(f"cannot read {path}: {error.strerror or error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InstanceError(f"{path} is not WfFormat 1.5: {place}: {first['msg']}.") from error
    runtimes = {task.id: task.runtime for task in document.workflow.execution.tasks}
    specified = document.workflow.specification.tasks
    ids = {task.id for task in specified}
    if len(ids) < len(specified):
        raise InstanceError(f"{path} has two tasks with the same id.")
    for task in specified:
        if task.id not in runtimes:
            raise InstanceError(f"{path} does not say how long task '{task.id}' took.")
        unknown = [parent for parent in task.parents if parent not in ids]
        if unknown:
            raise InstanceError(f"{path}: task '{task.id}' waits for '{unknown[0]}', which is not in it.")
    tasks = {task.id: Task(task.id, runtimes[task.id], tuple(dict.fromkeys(task.parents))) for task in specified}
    try:
        order = tuple(TopologicalSorter({task.id: task.parents for task in tasks.values()}).static_order())
    except CycleError as error:
        raise InstanceError(f"{path} goes round in a circle: {' -> '.join(error.args[1])}.") from error
    return Instance(document.name, {id: tasks[id] for id in order})
