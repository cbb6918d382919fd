"""A store that kills its process at a chosen write, for crash tests. Everything else it passes on."""

from __future__ import annotations

import os
import signal
from typing import Any

from loomgraph.store.protocol import Batch, Lease, RunHeader, Store, prompt_append

__all__ = ["KillingStore"]


class KillingStore:
    """Wraps a Store; the `at`-th write (1-based; 0: none) kills the process with SIGKILL, before or `after` it."""

    def __init__(self, inner: Store, *, at: int, after: bool) -> None:
        self.inner = inner
        self.at = at
        self.after = after
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def create(self, header: RunHeader, batch: Batch, *, owner: str, ttl: float) -> Lease:
        """`Store.create`, counted."""
        self._reach(after=False)
        lease = await self.inner.create(header, batch, owner=owner, ttl=ttl)
        self._reach(after=True)
        return lease

    async def append(self, lease: Lease, batch: Batch) -> None:
        """`Store.append`, counted."""
        self._reach(after=False)
        await self.inner.append(lease, batch)
        self._reach(after=True)

    def append_now(self, lease: Lease, batch: Batch) -> bool:
        """`PromptStore.append_now`, counted when it writes; False where the store has none."""
        append_now = prompt_append(self.inner)
        if append_now is None:
            return False
        self._reach(after=False)
        if not append_now(lease, batch):
            self.writes -= 1
            return False
        self._reach(after=True)
        return True

    def _reach(self, *, after: bool) -> None:
        if not after:
            self.writes += 1
        if self.writes == self.at and self.after == after:
            os.kill(os.getpid(), signal.SIGKILL)
