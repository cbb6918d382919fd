"""What the claims about a store are made with: connections to one storage, a clock, and small runs. Claims nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol, TypeAlias, cast

from loomgraph.store.protocol import (
    NOTHING,
    Batch,
    Lease,
    RunHeader,
    Store,
    StoredEvent,
    StoredValue,
    prompt_append,
)

__all__ = ["Bench", "Check", "Clock", "StoreMaker", "event", "events", "expect", "header", "refused", "value"]


class StoreMaker(Protocol):
    """Makes a Store over the data called `storage`, which is empty at first. `clock` gives seconds since the epoch."""

    def __call__(self, storage: str, clock: Callable[[], float]) -> Store:
        """A store; called again with the same `storage`, another connection to the same data."""
        ...


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.now += seconds


class _Prompt:
    """A PromptStore whose `append` is its `append_now` wherever that will do it."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self._append_now = prompt_append(inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def append(self, lease: Lease, batch: Batch) -> None:
        if self._append_now is None or not self._append_now(lease, batch):
            await self._inner.append(lease, batch)


class Bench:
    """One storage under test. `store` is a connection to it, `open()` gives more; all see `clock`.

    With `promptly` they write by `append_now` where they can.
    """

    def __init__(self, make: StoreMaker, storage: str, *, promptly: bool = False) -> None:
        self.clock = Clock()
        self._make = make
        self._storage = storage
        self._promptly = promptly
        self._opened: list[Store] = []
        self.store = self.open()

    def open(self) -> Store:
        """Another connection to the same data."""
        store = self._make(self._storage, self.clock)
        self._opened.append(store)
        return cast("Store", _Prompt(store)) if self._promptly else store

    @property
    def prompt(self) -> bool:
        """Whether the store is a PromptStore, so that its claims are to hold of `append_now` too."""
        return prompt_append(self._opened[0]) is not None

    async def run(self, run_id: str = "r", batch: Batch = NOTHING, **fields: Any) -> Lease:
        """A new run, owned by 'me' for 60 s."""
        return await self.store.create(header(run_id, **fields), batch, owner="me", ttl=60.0)

    async def close(self) -> None:
        """Close every connection."""
        for store in self._opened:
            await store.close()


Check: TypeAlias = Callable[[Bench], Awaitable[None]]


def header(run_id: str = "r", **fields: Any) -> RunHeader:
    """A header with everything that is needed."""
    return replace(RunHeader(run_id=run_id, graph="triage", fingerprint="f1", created=1000.0), **fields)


def event(seq: int, body: bytes = b'{"a":1}', **fields: Any) -> StoredEvent:
    """Event `seq`."""
    return StoredEvent(seq, 2000.0 + seq / 7, "NodeStarted", f"draft#{seq}", body)._replace(**fields)


def events(start: int, stop: int) -> list[StoredEvent]:
    """Events `start` to `stop`, without the last."""
    return [event(seq) for seq in range(start, stop)]


def value(name: str, size: int = 0) -> StoredValue:
    """A value that is called so; at least `size` bytes."""
    return StoredValue(name.encode().ljust(16, b"."), f'"{name}"'.encode().ljust(size, b"x"))


def expect(holds: bool, otherwise: str) -> None:
    """Raise AssertionError with this sentence unless it holds."""
    if not holds:
        raise AssertionError(otherwise)


@contextmanager
def refused(error: type[Exception], what: str) -> Generator[list[Any]]:
    """The block must raise this error, which is put into the list that is given."""
    caught: list[Any] = []
    try:
        yield caught
    except error as raised:
        caught.append(raised)
    expect(bool(caught), f"{what} was not refused with {error.__name__}")
