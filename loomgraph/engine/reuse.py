"""Answers that are there already: taken over in the order in which they were given, before anything new starts.

Whether an answer still fits is not decided here: `find` knows. Calls no node; asks the conditions of edges, as always.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loomgraph.engine.activation import Activation
from loomgraph.engine.program import programs
from loomgraph.engine.routing import choose
from loomgraph.errors import Failure, RecordedError
from loomgraph.events import Origin
from loomgraph.graph.state import Updates

if TYPE_CHECKING:  # the scheduler asks this module, which reports to it
    from loomgraph.engine.scheduler import Scheduler

__all__ = ["Answer", "Reuse"]


@dataclass(slots=True)
class Answer:
    """What becomes of an activation without its code. `seq` orders answers; `load` gives the output and updates.

    With `failure`, it failed and takes the edges `taken`. With `refusal`, it may not run and fails with that. With
    `enter`, it is a graph, whose own nodes may have answers.
    """

    seq: int
    load: Callable[[], tuple[Any, Updates]] | None = None
    attempt: int = 1
    origin: Origin = "reused"
    failure: Failure | None = None
    taken: tuple[int, ...] = ()
    refusal: BaseException | None = None
    enter: bool = False


class Reuse:
    """Stands between what the machine wants started and what is started."""

    def __init__(
        self,
        scheduler: Scheduler,
        find: Callable[[Activation], Answer | None],
        way: Callable[[Activation], tuple[int, ...]],
        retried: Callable[[Activation], bool],
    ) -> None:
        self._scheduler = scheduler
        self._find = find
        # of a map or graph that fails because an answer in it is a failure: its on_error edges, and whether another
        # attempt followed
        self.way = way
        self._retried = retried
        self._due: list[tuple[int, int, Activation, Answer]] = []
        self._count = itertools.count()
        self._busy = False

    def sift(self, fresh: list[Activation]) -> list[Activation]:
        """Those that have to run; for the others there is an answer, which `settle` gives."""
        left: list[Activation] = []
        for activation in fresh:
            answer = self._find(activation)
            if answer is None:
                left.append(activation)
            else:
                heapq.heappush(self._due, (answer.seq, next(self._count), activation, answer))
        return left

    def tries_again(self, activation: Activation, error: RecordedError) -> bool:
        """Whether a graph that failed because an answer in it is a failure is tried again, as it was then."""
        if activation.child is None or not self._retried(activation):
            return False
        self._scheduler.begin_again(activation, error, 0.0)
        activation.attempt += 1
        # at once, for its other answers have their place in the order of then
        heapq.heappush(self._due, (0, next(self._count), activation, Answer(0, enter=True)))
        return True

    def settle(self) -> None:
        """Give every answer that is due, and those that become due by it, oldest first."""
        if self._busy:
            return
        self._busy = True
        try:
            while self._due:
                _, _, activation, answer = heapq.heappop(self._due)
                if activation.dead:
                    continue
                if activation.cancelling:
                    self._scheduler.machine.cancelled(activation)
                elif answer.enter:
                    self._scheduler.enter(activation)
                else:
                    self._report(activation, answer)
                self._scheduler.absorb()
        finally:
            self._busy = False

    def _report(self, activation: Activation, answer: Answer) -> None:
        scheduler = self._scheduler
        activation.attempt = answer.attempt
        if answer.refusal is not None:
            scheduler.refuse(activation, answer.refusal)
            return
        if answer.failure is not None:
            troubles: Any = [(answer.failure, RecordedError(answer.failure))]
            scheduler.machine.failed(activation, troubles, answer.taken, answer.failure, answer.origin)
            return
        assert answer.load is not None
        plan = activation.scope.plan
        try:
            value, updates = answer.load()
            if programs(plan)[activation.node].fn is not None and plan.maps[activation.node] is None:
                program = programs(plan)[activation.node]
                detail = program.check(value)
                if detail is not None:
                    raise program.refusal(activation.path, value, detail)
            scheduler.journal.prepare(activation, value, updates)
            taken = () if activation.owner is not None else choose(plan, activation.node, value)
        except Exception as error:
            scheduler.refuse(activation, error)
            return
        scheduler.machine.succeeded(activation, value, taken, updates, False, answer.origin)
