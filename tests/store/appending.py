"""A process that appends to a SQLite store until it is killed; its arguments are FILE, MODE and LIFE.

Three runs at once, each in batches of three events and a value. A line `RUN COUNT`: so many events are durable.
"""

from __future__ import annotations

import os
import sys

import anyio

from loomgraph.store.protocol import Batch, RunHeader, StoredEvent, StoredValue
from loomgraph.store.sqlite import SQLiteStore

BATCH = 3


def event(run_id: str, seq: int) -> StoredEvent:
    """Event `seq` of a run, told from that of any other."""
    return StoredEvent(seq, 1e9 + seq, "NodeStarted", f"{run_id}#{seq}", b"%d" % seq)


def value(run_id: str, seq: int) -> StoredValue:
    """The value of the batch that begins with `seq`."""
    return StoredValue(f"{run_id}#{seq}".encode().ljust(16, b"."), f"{run_id} {seq} ".encode() * 40)


async def _append(store: SQLiteStore, run_id: str) -> None:
    lease = await store.create(
        RunHeader(run_id=run_id, graph="g", fingerprint="f", created=1.0), owner=f"{os.getpid()}", ttl=60.0
    )
    seq = 0
    while True:
        batch = Batch([event(run_id, seq + i) for i in range(BATCH)], [value(run_id, seq)])
        await store.append(lease, batch)
        seq += BATCH
        os.write(1, f"{run_id} {seq}\n".encode())


async def _main(path: str, mode: str, life: str) -> None:
    assert mode in {"NORMAL", "FULL"}
    store = SQLiteStore(path, synchronous="FULL" if mode == "FULL" else "NORMAL")
    async with store, anyio.create_task_group() as group:
        for i in range(3):
            group.start_soon(_append, store, f"{life}-{i}")


if __name__ == "__main__":
    file, mode, life = sys.argv[1:]
    anyio.run(_main, file, mode, life)
