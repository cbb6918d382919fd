"""What happened, told by two witnesses who do not know each other: a side file of every call, and the run's log.

The side file has one line for each execution of an activation and of a durable step, written before it begins, and for
each step that returned; node code adds lines with `note`. One `write` a line, in append mode: a killed process leaves
whole lines, and what the operating system took over no kill takes back. The log is read as stored, without its graph.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias
from unittest.mock import patch

from loomgraph.engine.activation import Activation
from loomgraph.engine.attempts import Attempts
from loomgraph.events import (
    IterationStarted,
    LoopEnded,
    MapCompleted,
    MapStarted,
    NodeFailed,
    NodeSkipped,
    NodeStarted,
    NodeSucceeded,
    QuestionAsked,
    RunRedriven,
    RunSuspended,
    ScopeEnded,
    ScopeStarted,
    SignalAwaited,
    StepSucceeded,
)
from loomgraph.runtime.context import RunContext
from loomgraph.runtime.format import read_event
from loomgraph.store.protocol import StoredEvent

__all__ = ["Found", "Line", "Witness", "note", "read_lines"]

What: TypeAlias = Literal["body", "step", "stepped", "note"]


class Line(NamedTuple):
    """A line of the side file: in which life, what, and of which activation; `detail` is a step's name or a note."""

    life: int
    what: What
    key: str
    detail: str


class Witness:
    """Writes the side file of one life, from when it is `installed` in the process that lives it."""

    here: ClassVar[Witness | None] = None

    def __init__(self, path: Path, life: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._life = life

    def write(self, what: What, key: str, detail: str = "") -> None:
        """One line, whole or not at all."""
        os.write(self._file, f"{json.dumps([self._life, what, key, detail])}\n".encode())

    def installed(self) -> None:
        """From now on every activation and step of this process leaves its lines."""
        Witness.here = self
        execute, step = Attempts.execute, RunContext.step

        async def executed(attempts: Attempts, activation: Activation) -> None:
            self.write("body", activation.key)
            await execute(attempts, activation)

        async def stepped(ctx: RunContext, key: str, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            return await step(ctx, key, self._told(fn, ctx.key, f"step:{key}"), *args, **kwargs)

        patch.object(Attempts, "execute", executed).start()
        patch.object(RunContext, "step", stepped).start()

    def _told(self, fn: Callable[..., Any], key: str, name: str) -> Callable[..., Any]:
        """The function of a step, which says when it begins and when it returned."""

        @functools.wraps(fn)
        async def waits(*args: Any, **kwargs: Any) -> Any:
            self.write("step", key, name)
            value = await fn(*args, **kwargs)
            self.write("stepped", key, name)
            return value

        @functools.wraps(fn)
        def at_once(*args: Any, **kwargs: Any) -> Any:
            self.write("step", key, name)
            value = fn(*args, **kwargs)
            self.write("stepped", key, name)
            return value

        return waits if inspect.iscoroutinefunction(fn) else at_once


def note(key: str, text: str = "") -> None:
    """Leave a line of your own, for instance where node code has an effect that must be counted.

    Survives the process. Does nothing where no crash test is going on.
    """
    if Witness.here is not None:
        Witness.here.write("note", key, text)


def read_lines(path: Path) -> list[Line]:
    """The side file so far."""
    if not path.exists():
        return []
    return [Line(*json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a log says: how many events, which activations began, which are settled, and which steps are done.

    Settled is what succeeded and what failed and was taken by an on_error edge, in the last pass of a run that was
    driven once more. `waits` says at most how often the code of an activation began anew because it, or a graph that
    it ran, waited for somebody. `problems` are sentences about what no log may say.
    """

    events: int = 0
    started: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()
    steps: frozenset[tuple[str, str]] = frozenset()
    waits: Mapping[str, int] = field(default_factory=dict[str, int])
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, events: Sequence[StoredEvent]) -> Found:
        """Read a log."""
        reading = _Reading()
        for seq, stored in enumerate(events):
            if stored.seq != seq:
                reading.problems.append(f"event {stored.seq} stands where {seq} should")
            reading.read(stored)
        return cls(
            events=len(events),
            started=frozenset(reading.started),
            settled=frozenset(reading.settled),
            steps=frozenset(reading.steps),
            waits={key: count + reading.suspended for key, count in reading.waits.items()},
            problems=tuple(reading.problems),
        )

    def to_json(self) -> Any:
        """As JSON data."""
        lists = (sorted(self.started), sorted(self.settled), sorted(self.steps))
        return [self.events, *lists, self.waits, self.problems]

    @classmethod
    def from_json(cls, data: Any) -> Found:
        """And back."""
        events, started, settled, steps, waits, problems = data
        return cls(
            events=events,
            started=frozenset(started),
            settled=frozenset(settled),
            steps=frozenset((key, name) for key, name in steps),
            waits=waits,
            problems=tuple(problems),
        )


_ONCE = frozenset({NodeSkipped, MapStarted, MapCompleted, ScopeStarted, ScopeEnded, IterationStarted, LoopEnded})

_WAITS = frozenset({QuestionAsked, SignalAwaited})
_RUN = re.compile("/@")
_ATTEMPT = re.compile(r"!\d+$")


@dataclass
class _Reading:
    started: set[str] = field(default_factory=set[str])
    settled: set[str] = field(default_factory=set[str])
    steps: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    waits: Counter[str] = field(default_factory=Counter[str])
    suspended: int = 0
    once: set[tuple[Any, str]] = field(default_factory=set[tuple[Any, str]])
    problems: list[str] = field(default_factory=list[str])

    def read(self, stored: StoredEvent) -> None:
        kind, key, values = read_event(stored)
        if kind is RunRedriven:
            # what stands before it is the log of another pass; what that had settled may run once more
            self.settled.clear()
            self.steps.clear()
            self.once.clear()
        elif kind is NodeStarted:
            self.started.add(key)
            self._over(key, stored.seq, "begins")
        elif kind is NodeSucceeded or (kind is NodeFailed and values[2]):
            self._over(key, stored.seq, "ends")
            self.settled.add(key)
        elif kind is StepSucceeded:
            if (key, values[0]) in self.steps:
                self.problems.append(f"event {stored.seq}: {values[0]} of {key} is done for the second time")
            self.steps.add((key, values[0]))
            self._over(key, stored.seq, f"takes {values[0]}")
        elif kind in _WAITS:
            # the attempts of the nodes that ran the graph it is in, with ctx.run, end as well
            outer = [_ATTEMPT.sub("", key[: found.start()]) for found in _RUN.finditer(key)]
            self.waits.update([key, *outer])
        elif kind is RunSuspended:
            self.suspended += 1
        elif kind in _ONCE:
            if (kind, key) in self.once:
                self.problems.append(f"event {stored.seq}: {kind.__name__} of {key} for the second time")
            self.once.add((kind, key))

    def _over(self, key: str, seq: int, what: str) -> None:
        if key in self.settled:
            self.problems.append(f"event {seq}: {key} {what}, though the log says that it is settled")
