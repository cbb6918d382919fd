"""What a run of an instance promised: order, once each, and time. Reads the log and the tasks' own clocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from examples.wfcommons.instance import Instance
from examples.wfcommons.workflow import Executed
from loomgraph.events import NodeStarted, NodeSucceeded

__all__ = ["TOLERANCE", "Check", "bound", "check"]

TOLERANCE = 0.05
"""The share of the bound that a run may take longer than it, because timers and processors are late."""


@dataclass(frozen=True)
class Check:
    """One promise: what was expected, what was seen, and whether that is as it should be."""

    promise: str
    expected: str
    seen: str
    kept: bool


def check(instance: Instance, executed: Executed, scale: float, limit: int | None) -> Iterator[Check]:
    """Every promise about a run, kept or not."""
    yield _order(instance, executed)
    yield _clocks(instance, executed)
    yield _once(instance, executed)
    most = bound(instance, limit) * scale
    name = "critical path" if limit is None else f"Graham's bound for {limit}"
    kept = executed.seconds <= most * (1 + TOLERANCE)
    yield Check(f"{name}, +{TOLERANCE:.0%}", f"{most:.3f} s", f"{executed.seconds:.3f} s", kept)


def bound(instance: Instance, limit: int | None) -> float:
    """Seconds within which a schedule that lets nobody idle is done, before scaling.

    Without a limit, the critical path. With m at a time, work/m + (1 - 1/m) * critical path: R. L. Graham, "Bounds on
    Multiprocessing Timing Anomalies", SIAM Journal on Applied Mathematics 17(2), 1969.
    """
    if limit is None:
        return instance.critical_path
    return instance.work / limit + (1 - 1 / limit) * instance.critical_path


def _order(instance: Instance, executed: Executed) -> Check:
    """By the log's sequence: every parent succeeded before the child started."""
    events = executed.result.events
    started = {event.node: event.seq for event in events if isinstance(event, NodeStarted)}
    succeeded = {event.node: event.seq for event in events if isinstance(event, NodeSucceeded)}
    good = sum(
        succeeded[parent] < started[task.id]
        for task in instance.tasks.values()
        for parent in task.parents
        if parent in succeeded and task.id in started
    )
    expected = f"{instance.edges} edges"
    return Check("parents first, in the log", expected, f"{good} edges", good == instance.edges)


def _clocks(instance: Instance, executed: Executed) -> Check:
    """By the tasks' own clocks: every child started after its parents had ended."""
    ran = {record.output.task: record.output for record in executed.result.activations if record.output is not None}
    good = sum(ran[parent].ended <= ran[task.id].started for task in instance.tasks.values() for parent in task.parents)
    expected = f"{instance.edges} edges"
    return Check("parents first, by the clock", expected, f"{good} edges", good == instance.edges)


def _once(instance: Instance, executed: Executed) -> Check:
    starts = Counter(event.node for event in executed.result.events if isinstance(event, NodeStarted))
    ends = Counter(event.node for event in executed.result.events if isinstance(event, NodeSucceeded))
    once = Counter(list(instance.tasks))
    seen = f"{starts.total()} starts, {ends.total()} ends"
    count = len(instance.tasks)
    return Check("each task once", f"{count} starts, {count} ends", seen, starts == ends == once)
