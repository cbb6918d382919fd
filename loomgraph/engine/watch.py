"""Noticing that a coroutine suspends, which costs nothing where it does not. Starts and cancels nothing."""

from __future__ import annotations

import types
from collections.abc import Callable, Generator
from typing import Any

__all__ = ["watched"]


@types.coroutine
def watched(coroutine: Any, blocked: Callable[[], None]) -> Generator[Any, Any, Any]:
    """Await a coroutine, calling `blocked` once if it suspends. Passes everything through, on any event loop."""
    try:
        signal = coroutine.send(None)
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
                signal = coroutine.throw(error)
            except StopIteration as done:
                return done.value
        else:
            try:
                signal = coroutine.send(sent)
            except StopIteration as done:
                return done.value
