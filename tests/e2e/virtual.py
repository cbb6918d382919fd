"""Tests of timing on trio's clock that jumps to the next alarm whenever every task sleeps: exact, and no waiting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
import trio.testing

T = TypeVar("T")


def virtually(fn: Callable[[], Awaitable[T]]) -> T:
    """Run an async function to its end in virtual time, which starts at an arbitrary number of seconds."""
    return trio.run(fn, clock=trio.testing.MockClock(autojump_threshold=0))


async def spend(seconds: float) -> None:
    """What a node does that takes so long: it is the work itself, not a wait for anybody."""
    await trio.sleep_until(trio.current_time() + seconds)
