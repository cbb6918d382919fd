"""Noticing that a coroutine suspends, which costs nothing where it does not. Starts and cancels nothing."""

from __future__ import annotations

import inspect
import types
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context
from types import CoroutineType
from typing import Any

__all__ = ["watched"]


@types.coroutine
def watched(awaited: Any, variables: Context, blocked: Callable[[], None]) -> Generator[Any, Any, Any]:
    """Await a coroutine with these context variables, calling `blocked` once if it suspends.

    Passes everything through, on any event loop. A plain function that passes for the async one it wraps may give
    any awaitable, or the value itself.
    """
    coroutine: Any = awaited
    if type(awaited) is not CoroutineType:
        if not inspect.isawaitable(awaited):
            return awaited
        coroutine = _awaited(awaited)
    try:
        signal: Any = variables.run(coroutine.send, None)
    except StopIteration as done:
        return done.value
    blocked()
    while True:
        try:
            sent = yield signal
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:
            try:
                signal = variables.run(coroutine.throw, error)
            except StopIteration as done:
                return done.value
        else:
            try:
                signal = variables.run(coroutine.send, sent)
            except StopIteration as done:
                return done.value


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
