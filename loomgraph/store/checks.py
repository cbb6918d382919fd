"""What every store checks before it writes, so that all refuse the same things in the same words."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from loomgraph.errors import AppendConflictError, StoreError
from loomgraph.store.protocol import Batch, RunHeader, StoredEvent

__all__ = ["check_batch", "check_header", "close_ids", "first_events", "unwritten"]


def check_header(header: RunHeader) -> None:
    """Raise StoreError for a run id that cannot be one."""
    if not header.run_id or "\0" in header.run_id:
        raise StoreError(f"{header.run_id!r} cannot be a run id. Give a text that is not empty and holds no NUL.")


def check_batch(run_id: str, batch: Batch) -> int:
    """About how many bytes a batch takes. Raises AppendConflictError unless its events are numbered in a row."""
    events, size = batch.events, 0
    if events:
        expected = events[0].seq
        for event in events:
            if event.seq != expected:
                raise AppendConflictError(run_id, event.seq, f"event {event.seq} stands where {expected} should")
            expected += 1
            size += 64 + len(event.body)
    for value in batch.values:
        size += 64 + len(value.data)
    for message in batch.messages:
        size += 64 + len(message.data)
    return size + 64 * len(batch.refs)


def first_events(run_id: str, batch: Batch) -> int:
    """The same for the batch that a run begins with: its events start at 0."""
    if batch.events and batch.events[0].seq != 0:
        raise AppendConflictError(run_id, batch.events[0].seq, f"a log starts at event 0, not {batch.events[0].seq}")
    return check_batch(run_id, batch)


def unwritten(
    run_id: str, events: Sequence[StoredEvent], size: int, stored: Callable[[int, int], Sequence[StoredEvent]]
) -> Sequence[StoredEvent]:
    """Those of `events` that a log of `size` events does not have yet; `stored(start, stop)` reads from it.

    Raises AppendConflictError for a gap, and for an event that differs from the stored one.
    """
    first = events[0].seq
    if first == size:
        return events
    if first > size:
        raise AppendConflictError(run_id, first, f"event {first} would leave a gap, the log has {size} events")
    for old, new in zip(stored(first, min(size, first + len(events))), events, strict=False):
        if old != new:
            known = f"{old.kind} of '{old.key}'" if old.key else old.kind
            raise AppendConflictError(
                run_id, new.seq, f"event {new.seq} is {known} in the log and differs from this one"
            )
    return events[size - first :]


def close_ids(run_id: str, known: Sequence[str]) -> list[str]:
    """Known run ids that look like this one, most alike first."""
    return difflib.get_close_matches(run_id, known, n=3, cutoff=0.75)
