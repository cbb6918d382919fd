"""A process that appends to a SQLite store until it is killed, and says what is durable.

Three runs at once, each in batches of three events and a value.
"""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from pathlib import Path

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


def appends(parent: Connection, path: Path, mode: str, life: str) -> None:
    """Never ends. Says (run, count): so many events of it are durable."""
    anyio.run(_main, parent, path, mode, life)


async def _append(parent: Connection, store: SQLiteStore, run_id: str) -> None:
    lease = await store.create(
        RunHeader(run_id=run_id, graph="g", fingerprint="f", created=1.0), owner=f"{os.getpid()}", ttl=60.0
    )
    seq = 0
    while True:
        batch = Batch([event(run_id, seq + i) for i in range(BATCH)], [value(run_id, seq)])
        await store.append(lease, batch)
        seq += BATCH
        parent.send((run_id, seq))


async def _main(parent: Connection, path: Path, mode: str, life: str) -> None:
    store = SQLiteStore(path, synchronous="FULL" if mode == "FULL" else "NORMAL")
    async with store, anyio.create_task_group() as group:
        for i in range(3):
            group.start_soon(_append, parent, store, f"{life}-{i}")
