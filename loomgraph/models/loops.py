"""One thing for each event loop, made when first needed there, closed when the loop ends. Shares nothing.

An HTTP client belongs to the loop it was first used in; in another one it fails with "Event loop is closed".
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from anyio.lowlevel import current_token

__all__ = ["PerLoop"]

T = TypeVar("T")


class PerLoop(Generic[T]):
    """`get()` is this loop's thing, made by `make` once; `close`, if given, is awaited when the loop ends.

    One with a `close` must live as long as the process.
    """

    def __init__(self, make: Callable[[], Awaitable[T]], close: Callable[[T], Awaitable[None]] | None = None) -> None:
        self._make = make
        self._close = close
        self._made: WeakKeyDictionary[object, tuple[T, AsyncGenerator[T] | None]] = WeakKeyDictionary()

    async def get(self) -> T:
        """This event loop's thing."""
        loop = current_token().native_token
        found = self._made.get(loop)
        if found is not None:
            return found[0]
        thing = await self._make()
        found = self._made.get(loop)
        if found is not None:  # another task was faster
            if self._close is not None:
                await self._close(thing)
            return found[0]
        if self._close is None:
            self._made[loop] = (thing, None)
            return thing
        # Both asyncio and trio close the async generators that are left when a loop ends: the only hook both have.
        keeper = self._kept(loop, thing, self._close)
        self._made[loop] = (thing, keeper)
        await anext(keeper)
        return thing

    def take(self) -> T | None:
        """This event loop's thing, which is forgotten here: the next `get()` makes another. None without one."""
        found = self._made.pop(current_token().native_token, None)
        return None if found is None else found[0]

    async def _kept(self, loop: object, thing: T, close: Callable[[T], Awaitable[None]]) -> AsyncGenerator[T]:
        try:
            yield thing
        finally:
            self._made.pop(loop, None)  # it refers to its loop, and would keep it
            await close(thing)
