"""Any order of completion, chosen by a test: nodes wait at a turnstile, and the test says who goes next.

A workflow's outcome must not depend on timing, and a test that sleeps proves nothing about timing. Here a node that
takes its `turn` is held until nothing else can move; then one of those held is let go, as `pick` chooses. With
`random.Random(seed).randrange`, or with choices drawn by hypothesis, every seed is one interleaving that can be
repeated.

It orders what awaits its turn and nothing else: plain functions in threads run as they like.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import anyio
from anyio.lowlevel import checkpoint

__all__ = ["Turnstile"]

P = ParamSpec("P")
R = TypeVar("R")

# how many turns of the event loop without news mean that everybody waits; a task that was let go or started needs
# one turn to run, and the run's own bookkeeping at most a few more
_QUIET = 8


class Turnstile:
    """Lets those who wait go on one at a time. One turnstile drives one run at a time.

    `pick(n)` chooses one of the n that wait, 0 to n - 1, in the order in which they came. `order` has the labels in
    the order in which they were let go.
    """

    def __init__(self, pick: Callable[[int], int]) -> None:
        self.order: list[str] = []
        self._pick = pick
        self._waiting: list[tuple[str, anyio.Event]] = []
        self._news = 0
        self._changed = anyio.Event()

    async def turn(self, label: str) -> None:
        """Wait to be let go. `label` is for `order`; several may wait with the same one."""
        entry = (label, anyio.Event())
        self._waiting.append(entry)
        self._tell()
        try:
            await entry[1].wait()
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    def held(self, fn: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        """An async node function that takes its turn before it starts and again before it ends."""

        @functools.wraps(fn)
        async def waits(*args: P.args, **kwargs: P.kwargs) -> R:
            await self.turn(f"{fn.__name__} starts")
            result = await fn(*args, **kwargs)
            await self.turn(f"{fn.__name__} ends")
            return result

        return waits

    async def drive(self, work: Callable[[], Awaitable[R]]) -> R:
        """Await `work()` to its end, letting those at the turnstile go one by one. Raises what `work` raises."""
        result: list[R] = []
        failure: list[BaseException] = []

        async def run() -> None:
            try:
                result.append(await work())
            except Exception as error:  # raised again below, outside the task group
                failure.append(error)
            self._tell()

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            while not result and not failure:
                await self._quiet()
                if self._waiting:
                    label, event = self._waiting.pop(self._pick(len(self._waiting)))
                    self.order.append(label)
                    event.set()
                elif not result and not failure:
                    await self._changed.wait()  # a thread is at work
        if failure:
            raise failure[0]
        return result[0]

    async def _quiet(self) -> None:
        """Return once nobody has come or gone for a while of the event loop's own turns."""
        self._changed = anyio.Event()
        quiet, news = 0, self._news
        while quiet < _QUIET:
            await checkpoint()
            quiet, news = (quiet + 1, news) if news == self._news else (0, self._news)

    def _tell(self) -> None:
        self._news += 1
        self._changed.set()
