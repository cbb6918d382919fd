"""How much may run at once: one limiter a run, over all its scopes, and one a node. Counts; starts nothing."""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

import anyio

from loomgraph.engine.activation import Activation

__all__ = ["NodeLimits", "Slots"]

_Key: TypeAlias = tuple[int, int] | str
"""A node of a graph, or the name of a limit that several nodes share."""


class Slots:
    """The run's concurrency limit. Who gives a slot back while it waits takes it again before new work starts."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.used = 0
        # None until somebody first has to wait: most runs have no limit
        self._returning: deque[anyio.Event] | None = None

    @property
    def free(self) -> bool:
        """Whether new work may start."""
        return self.limit is None or (self.used < self.limit and not self._returning)

    def take(self, activation: Activation) -> None:
        """An attempt starts, or goes on whatever the limit, because it is being cancelled."""
        if not activation.slot:
            activation.slot = True
            self.used += 1

    def leave(self, activation: Activation) -> None:
        """A call of the attempt waits for something that is not its own work; the first such call gives the slot."""
        activation.away += 1
        self.give(activation)

    async def back(self, activation: Activation) -> None:
        """A call of the attempt is back; the last one takes the slot again, before new work starts.

        While others are away it goes on without: were it to wait for a slot, they might wait for it.
        """
        activation.away -= 1
        if not activation.away:
            await self.retake(activation)

    def broken(self, activation: Activation) -> None:
        """A call of the attempt was cancelled: no waiting for a slot, the attempt is about to end."""
        activation.away -= 1
        if not activation.away:
            self.take(activation)

    def give(self, activation: Activation) -> None:
        """An attempt ended or pauses. Its one slot is given once."""
        if activation.slot:
            activation.slot = False
            self._give()

    def _give(self) -> None:
        self.used -= 1
        if self._returning and self.limit is not None and self.used < self.limit:
            self.used += 1
            self._returning.popleft().set()

    async def retake(self, activation: Activation) -> None:
        """Take the slot again, before new work starts."""
        if not activation.slot:
            await self._retake()
            activation.slot = True

    async def _retake(self) -> None:
        if self.limit is None or self.used < self.limit:
            self.used += 1
            return
        turn = anyio.Event()
        if self._returning is None:
            self._returning = deque()
        self._returning.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self._give()
            else:
                self._returning.remove(turn)
            raise


class NodeLimits:
    """Limits of nodes, or of several that share a name: who has to wait is parked and comes back when one ends."""

    def __init__(self) -> None:
        self._used: dict[_Key, int] = {}
        self._parked: dict[_Key, deque[Activation]] = {}

    def take(self, activation: Activation, limit: int) -> bool:
        """Whether the activation may start now; if not, it is parked."""
        key = _key(activation)
        used = self._used.get(key, 0)
        if used >= limit:
            self._parked.setdefault(key, deque()).append(activation)
            return False
        self._used[key] = used + 1
        activation.held = True
        return True

    def give(self, activation: Activation, limit: int) -> Activation | None:
        """An activation that held a place ended; the next one of its node, if one is parked."""
        activation.held = False
        self._used[_key(activation)] -= 1
        return self.wake(activation, limit)

    def wake(self, activation: Activation, limit: int) -> Activation | None:
        """The next parked activation of the same node for which there is room."""
        key = _key(activation)
        parked = self._parked.get(key)
        while parked and self._used.get(key, 0) < limit:
            found = parked.popleft()
            if not found.dead:
                return found
        return None

    def unpark(self, activation: Activation) -> bool:
        """Take an activation off its queue, because it is cancelled; False if it is not parked."""
        parked = self._parked.get(_key(activation))
        if parked is None or activation not in parked:
            return False
        parked.remove(activation)
        return True


def _key(activation: Activation) -> _Key:
    plan = activation.scope.plan
    return plan.definition.nodes[activation.node].limit_name or (id(plan), activation.node)
