"""The one place where a model call is tried again. Waits as the policy says, on a clock and a dice that are passed in.

A try that fails after it has said something is void as a whole: an AttemptRestarted event tells whoever listens.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias

import anyio

from loomgraph.errors import CorruptResponseError, ModelError
from loomgraph.graph.policy import Retry
from loomgraph.models.responses import AttemptRestarted, ModelResponse, ResponseDone, StreamEvent

__all__ = ["RETRY", "Attempt", "Timing", "answer_of", "retried"]

RETRY = Retry(attempts=3, delay=0.5, max_delay=8.0, jitter=0.25, max_retry_after=60.0)
"""What models do by default: three tries, half a second before the second, a whole one before the third."""

Attempt: TypeAlias = Callable[[int], AsyncGenerator[StreamEvent]]
"""One try, numbered from 1; its events, the last of them a ResponseDone."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What waiting is made of: `sleep` waits seconds, `clock` tells them, `chance` is uniform in 0..1."""

    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


async def retried(name: str, attempt: Attempt, retry: Retry | None, timing: Timing) -> AsyncGenerator[StreamEvent]:
    """The events of as many tries as the policy grants. Raises the last try's ModelError."""
    number = 1
    while True:
        try:
            async with aclosing(attempt(number)) as events:
                async for event in events:
                    yield event
            return
        except ModelError as error:
            error.attempts = number
            if retry is None or number >= retry.attempts or not retry.wants(error):
                raise
            wait = retry.wait(number, timing.chance(), error)
            failed = error
        number += 1
        yield AttemptRestarted(attempt=number, model=name, error=type(failed).__name__, message=str(failed), wait=wait)
        await timing.sleep(wait)


async def answer_of(model: str, events: AsyncGenerator[StreamEvent]) -> ModelResponse:
    """The response at the end of a stream, which is read to its end and closed."""
    response = None
    async with aclosing(events):
        async for event in events:
            if isinstance(event, ResponseDone):
                response = event.response
    if response is None:
        raise CorruptResponseError(model, "its stream ended without a ResponseDone")
    return response
