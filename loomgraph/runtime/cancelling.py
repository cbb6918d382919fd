"""Cancelling a run from any process: a request in its inbox, and its end where no process has it. Runs no node.

The process that has the run ends it, because only that one can stop what is in flight. Where nobody has it, whoever
asked writes the end, under the run's lease; whoever comes to have it before that meets the request, and ends it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Literal

import anyio

from loomgraph.errors import AppendConflictError, LogMismatchError, RunBusyError, RunCancelledError, RunEndedError
from loomgraph.events import (
    NodeCancelled,
    NodeFailed,
    NodeHeld,
    NodeSkipped,
    NodeStarted,
    NodeSucceeded,
    QuestionWithdrawn,
    RunCancelled,
    RunRedriven,
)
from loomgraph.runtime.format import KINDS, check_version, event_without_values, read_event
from loomgraph.runtime.keeper import DEFAULT_TTL, Patience, ends, owner_name, request, requested
from loomgraph.runtime.waiting import WaitingFold
from loomgraph.store.protocol import FINISHED, Batch, HeaderChanges, Lease, Store, StoredEvent

__all__ = ["CALLED", "ENDING", "WITHDRAWN", "cancel", "cancelling", "left_open"]

CALLED = "cancel() was called"
ENDING = "the run is ending"
WITHDRAWN = "the run has ended without a result"

_SETTLED = frozenset({NodeSucceeded, NodeHeld, NodeFailed, NodeSkipped, NodeCancelled})


async def cancel(
    store: Store, run_id: str, *, reason: str = CALLED, wait: float = 0.0
) -> Literal["cancelled", "running"]:
    """See `Graph.cancel`; needs no graph."""
    patience, ended, seen = Patience(wait), 0, 0
    asked: int | None = None
    while True:
        header = await store.load(run_id)
        check_version(header)
        if header.status == "cancelled":
            return "cancelled"
        if header.status in FINISHED:
            raise RunEndedError(run_id, header.status)
        fresh = await store.events(run_id, seen)
        ended, seen = ended + ends(fresh), seen + len(fresh)
        if asked != ended:
            await _ask(store, run_id, ended, reason)
            asked = ended
        try:
            lease = await store.acquire(run_id, owner_name(), DEFAULT_TTL)
        except RunBusyError as busy:
            if not await patience.lasts(busy):
                return "running"
        else:
            await _end(store, lease)


async def cancelling(store: Store, run_id: str, ended: int) -> str | None:
    """Why a run that has ended so many times was asked to stop, and has not stopped yet; None if it was not."""
    return requested(await store.inbox(run_id), ended)


async def _ask(store: Store, run_id: str, ended: int, reason: str) -> None:
    with suppress(AppendConflictError):  # somebody asked before, for another reason
        await store.post(run_id, *request(ended, reason))


async def _end(store: Store, lease: Lease) -> None:
    """End a run that nobody had, unless it has ended meanwhile; and give it back."""
    try:
        header = await store.load(lease.run_id)
        if header.status not in FINISHED:
            events = await store.events(lease.run_id)
            reason = requested(await store.inbox(lease.run_id), ends(events))
            if reason is not None:
                await _write(store, lease, events, reason)
    finally:
        with anyio.CancelScope(shield=True):
            await store.release(lease)


async def _write(store: Store, lease: Lease, events: list[StoredEvent], reason: str) -> None:
    if not events:
        raise LogMismatchError(lease.run_id, "RunStarted")
    # the questions' texts are not needed, so they stay references
    found = WaitingFold()
    for stored in events:
        found.tell(stored.seq, stored.time, *read_event(stored))
    open_keys = left_open((KINDS[stored.kind], stored.key) for stored in events)
    why = str(RunCancelledError(run_id=lease.run_id, reason=reason, finished={}))
    facts: list[tuple[Any, str, tuple[Any, ...]]] = [
        *((QuestionWithdrawn, question.key, (question.id, WITHDRAWN)) for question in found.questions.values()),
        *((NodeCancelled, key, (ENDING,)) for key in open_keys),
        (RunCancelled, "", (why,)),
    ]
    now = time.time()
    written = [event_without_values(len(events) + i, now, *fact) for i, fact in enumerate(facts)]
    await store.append(lease, Batch(written, changes=HeaderChanges(time=now, status="cancelled")))


def left_open(told: Iterable[tuple[Any, str]]) -> list[str]:
    """The keys of the activations that a log, told as (event class, key), leaves unfinished; what is inside first."""
    begun: dict[str, None] = {}
    for kind, key in told:
        if kind is RunRedriven:
            begun.clear()
        elif kind is NodeStarted:
            begun[key] = None
        elif kind in _SETTLED:
            begun.pop(key, None)
    return list(reversed(begun))
