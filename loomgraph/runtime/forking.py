"""A new run from an old point of another: its log is the other's up to there, and the values are shared, not copied.

Without edits, and with a graph that what has run still fits, that is all. An edit of the very last event is made in
it. Anything else has the new run driven again from its start when it is resumed (see `loomgraph.runtime.redrive`),
with the old log as its history. Runs no node; asks the conditions of what it edits, and of START.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from loomgraph.compile.compiled import CompiledGraph
from loomgraph.engine.machine import Machine
from loomgraph.engine.routing import choose
from loomgraph.errors import GraphChangedError, InputRefusedError
from loomgraph.events import VERSION, NodeFailed, NodeStarted, NodeSucceeded, RunRedriven
from loomgraph.graph.signature import describe_type
from loomgraph.runtime.edits import BEGIN, Refs, accepted, by_key, carried, input_ref, merged, output_ref
from loomgraph.runtime.format import KINDS
from loomgraph.runtime.history import place_of
from loomgraph.runtime.keeper import owner_name
from loomgraph.runtime.logbook import read_stored
from loomgraph.runtime.notes import taken_along
from loomgraph.runtime.recorded import Recorded, changes, read
from loomgraph.runtime.redrive import passes
from loomgraph.store.codec import Rows
from loomgraph.store.protocol import Batch, Message, RunHeader, RunStatus, Store, StoredEvent, StoredValue

__all__ = ["copied", "fork"]

_ENDS: Mapping[str, RunStatus] = {"R+": "succeeded", "R-": "failed", "R0": "cancelled", "R|": "suspended"}


async def fork(
    store: Store,
    compiled: CompiledGraph,
    run_id: str,
    new_id: str | None,
    at: int | str | None,
    inputs: Mapping[Any, Any] | None,
    outputs: Mapping[Any, Any] | None,
) -> str:
    """Record the fork; returns its id. See `Graph.fork`."""
    recorded = await read(store, run_id, compiled)
    stop = place_of(run_id, recorded.events, at) + 1
    recorded.events, left = recorded.events[:stop], recorded.events[stop:]
    log, known = recorded.log, recorded.events
    of_pass = known[recorded.first :]
    given, gives = (by_key(run_id, of_pass, left, edits) for edits in (inputs, outputs))
    begin = (given.pop(BEGIN),) if BEGIN in given else None
    edits = Refs(
        {key: input_ref(run_id, log, key, value) for key, value in given.items()},
        {key: output_ref(run_id, log, key, value) for key, value in gives.items()},
    )
    same = not changes(recorded, compiled)
    events, given_anew = list(known), ""
    if begin is not None or edits.inputs or edits.outputs or not same:
        edited = _in_place(recorded, edits) if same and begin is None else None
        if edited is not None:
            events[-1] = edited
            given_anew = edited.key if KINDS[edited.kind] is NodeStarted else ""
        else:
            events.append(_redriven(recorded, compiled, edits, begin))
    header = _header(recorded.header, compiled, new_id, events, stop)
    notes = await _notes(store, header, known, at, given_anew)
    return await _create(store, header, events, log.rows, notes)


async def copied(store: Store, run_id: str, new_id: str | None, at: int | str | None) -> str:
    """Record a fork without edits, which needs no graph; returns its id. Raises what `Graph.fork` raises."""
    stored = await read_stored(store, run_id)
    stop = place_of(run_id, stored.events, at) + 1
    events = stored.events[:stop]
    header = _header(stored.header, None, new_id, events, stop)
    return await _create(store, header, events, {}, await _notes(store, header, events, at))


async def _notes(
    store: Store, header: RunHeader, known: list[StoredEvent], at: int | str | None, given_anew: str = ""
) -> list[Message]:
    """What had been noted where the fork leaves; `given_anew` is the activation whose input was edited there."""
    assert header.parent is not None
    # what was written when all events up to there were durable came after them
    last = len(known) if at is None else len(known) - 1
    inbox = await store.inbox(header.parent)
    return taken_along(inbox, header.run_id, passes(known), last, given_anew)


async def _create(store: Store, header: RunHeader, events: list[StoredEvent], rows: Rows, notes: list[Message]) -> str:
    """Write a fork of its parent's first events and what was changed; returns its id."""
    assert header.parent is not None
    assert header.fork_seq is not None
    digests = await store.digests(header.parent, header.fork_seq + 1)
    values = [StoredValue(digest, data) for digest, data in rows.items()]
    batch = Batch(events, values, digests, messages=notes)
    lease = await store.create(header, batch, owner=owner_name(), ttl=60.0)
    await store.release(lease)
    return header.run_id


def _header(
    parent: RunHeader, compiled: CompiledGraph | None, new_id: str | None, events: Sequence[StoredEvent], stop: int
) -> RunHeader:
    return RunHeader(
        run_id=uuid.uuid4().hex if new_id is None else new_id,
        graph=parent.graph if compiled is None else compiled.definition.name,
        fingerprint=parent.fingerprint if compiled is None else compiled.fingerprint,
        created=time.time(),
        status=_ENDS.get(events[-1].kind, "running"),
        parent=parent.run_id,
        fork_seq=stop - 1,
        user_id=parent.user_id,
        session_id=parent.session_id,
        metadata=parent.metadata,
        version=VERSION,
    )


def _in_place(recorded: Recorded, edits: Refs) -> StoredEvent | None:
    """The last event with its edit in it; None if something else was edited, or it cannot hold the edit."""
    last = recorded.events[-1]
    kind = KINDS[last.kind]
    log = recorded.log
    if kind in (NodeSucceeded, NodeFailed) and not edits.inputs and list(edits.outputs) == [last.key]:
        folded = recorded.folded(Machine(recorded.header.run_id, sys.maxsize), len(recorded.events) - 1)
        activation = folded.fold.index.get(last.key)
        if activation is None:
            return None  # in a graph that node code runs
        ref = edits.outputs[last.key]
        value = log.value(activation, ref, {**recorded.values, **log.rows})
        updates: list[Any] = log.past(last)[2][3] if kind is NodeSucceeded else []
        taken = () if activation.owner is not None else choose(activation.scope.plan, activation.node, value)
        body = [ref, list(taken), updates or None, log.past(last)[2][0], None, 2]
        return last._replace(kind="+", body=json.dumps(body).encode())
    if kind is NodeStarted and not edits.outputs and list(edits.inputs) == [last.key]:
        folded = recorded.folded(Machine(recorded.header.run_id, sys.maxsize))
        activation = folded.fold.index.get(last.key)
        if activation is None or activation.map is not None:
            return None  # the items of a map have begun with it
        attempt, once = log.past(last)[2][0], log.once(last)
        return last._replace(body=json.dumps([attempt, once or None, edits.inputs[last.key]]).encode())
    return None


def _redriven(recorded: Recorded, compiled: CompiledGraph, edits: Refs, begin: tuple[Any] | None) -> StoredEvent:
    """The RunRedriven that the fork goes on with."""
    definition, log = compiled.definition, recorded.log
    if not recorded.traceable:
        raise GraphChangedError(recorded.header.run_id, [recorded.too_old])
    value, state = recorded.beginning(begin)
    if begin is not None:
        value, detail = accepted(log, definition.input, value)
        if detail is not None:
            raise InputRefusedError(definition.name, describe_type(definition.input), begin[0], detail)
    log.edits = merged(carried(recorded.events), edits).written()
    taken = choose(compiled.plan, -1, value)
    fields: tuple[Any, ...] = (definition.name, compiled.fingerprint, value, taken, state, {}, {})
    return log.write(len(recorded.events), (time.time(), RunRedriven, None, fields))
