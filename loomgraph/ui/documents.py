"""What the page is told, as plain JSON data: runs, nodes, activations, events, bars of the timeline. Only looks.

Times are seconds since the epoch. Texts are cut where a list needs one line; a value as a whole has a place of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic_core import to_jsonable_python

from loomgraph import events
from loomgraph.engine.facts import FIELDS
from loomgraph.errors import Failure, brief_text
from loomgraph.runtime.comparing import Comparison, Difference
from loomgraph.runtime.format import read_event
from loomgraph.runtime.result import ActivationRecord, Usage
from loomgraph.runtime.waiting import Question
from loomgraph.store.protocol import RunHeader, StoredEvent
from loomgraph.ui.tally import Activation, Node
from loomgraph.ui.view import View

__all__ = [
    "activation_row",
    "bars",
    "compared",
    "event_row",
    "header",
    "node",
    "progress",
    "question",
    "tries",
    "whole",
]

_SHORT: Final = 160
_ROWS: Final = 6
"""How many bars of one lane may lie over each other."""
_RANK: Final = {
    name: rank
    for rank, name in enumerate(("skipped", "succeeded", "handled", "cancelled", "running", "waiting", "failed"))
}


def header(run: RunHeader) -> dict[str, Any]:
    """A run without its log."""
    return {
        "id": run.run_id,
        "graph": run.graph,
        "status": run.status,
        "created": run.created,
        "updated": run.updated,
        "events": run.events,
        "user": run.user_id,
        "session": run.session_id,
        "parent": run.parent,
        "fork_seq": run.fork_seq,
        "fingerprint": run.fingerprint,
    }


def node(found: Node) -> dict[str, Any]:
    """A node, summed over its activations."""
    return {
        "path": found.path,
        "status": found.status,
        "counts": _counts(found.whole),
        "items": _counts(found.items),
        "attempts": found.attempts,
        "seconds": round(found.seconds, 6),
        "amounts": found.amounts,
        "taken": found.taken,
    }


def _counts(counts: Mapping[str, int]) -> dict[str, int]:
    return {status: count for status, count in counts.items() if count}


def question(found: Question, *, sent: bool) -> dict[str, Any]:
    """An open question; `sent` says that an answer to it is on its way."""
    return {
        "id": found.id,
        "key": found.key,
        "node": found.node,
        "question": found.question,
        "schema": found.schema,
        "asked": found.asked,
        "refused": found.refused,
        "sent": sent,
    }


async def progress(view: View, since: int = -1) -> dict[str, Any]:
    """A run, with the nodes that changed since the tally had that version."""
    tally = view.tally
    assert view.header is not None
    waiting = tally.waiting
    return {
        "run": header(view.header),
        "said": tally.ended[1] if tally.ended is not None else "",
        "version": tally.version,
        "passes": len(tally.passes),
        "began": view.events[0].time,
        "last": view.events[-1].time,
        "activations": len(tally.activations),
        "attempts": tally.attempts,
        "amounts": tally.amounts,
        "nodes": [node(found) for found in tally.nodes.values() if found.version > since],
        "starts": [
            {"path": path, "count": start.count, "taken": start.taken}
            for path, start in tally.starts.items()
            if start.version > since
        ],
        "questions": [question(found, sent=sent) for found, sent in await view.questions()],
        "signals": _signals(view),
        "cancelling": view.cancelling,
        "interrupts": [key for _, key in waiting.interrupts],
    }


def _signals(view: View) -> list[dict[str, Any]]:
    return [
        {"name": name, "keys": [found.key for found in waits.values()], "schema": next(iter(waits.values())).schema}
        for name, waits in view.tally.waiting.awaited.items()
        if waits
    ]


def activation_row(found: Activation) -> dict[str, Any]:
    """An activation in a list."""
    last = found.failures[-1] if found.failures and found.status in ("failed", "handled", "running") else None
    return {
        "key": found.key,
        "node": found.node,
        "status": found.status,
        "attempts": found.attempts,
        "started": found.started,
        "seconds": None if found.started is None or found.ended is None else round(found.ended - found.started, 6),
        "origin": found.origin,
        "cached": found.cached,
        "amounts": found.amounts,
        "failure": None if last is None else brief_text(f"{last.error}: {last.message}", _SHORT),
    }


def tries(view: View, found: Activation) -> list[dict[str, Any]]:
    """The attempts of an activation, in order: when each began and ended, and how."""
    told: list[dict[str, Any]] = []
    for seq in found.seqs:
        stored = view.events[seq]
        kind, _, fields = read_event(stored)
        if kind is events.NodeStarted:
            told.append(
                {"attempt": fields[0], "started": stored.time, "ended": None, "how": "running", "failure": None}
                | {"wait": None}
            )
        elif told and kind is events.AttemptFailed:
            told[-1] |= {
                "ended": stored.time,
                "how": "failed",
                "wait": fields[2],
                "failure": _failure(fields[1]),
            }
        elif told and kind is events.NodeFailed:
            told[-1] |= {"ended": stored.time, "how": "failed", "failure": _failure(fields[1])}
        elif told and kind in (events.NodeSucceeded, events.NodeHeld):
            told[-1] |= {"ended": stored.time, "how": "succeeded"}
        elif told and kind is events.NodeCancelled:
            told[-1] |= {"ended": stored.time, "how": "cancelled"}
        elif told and kind in (events.QuestionAsked, events.SignalAwaited):
            told[-1] |= {"ended": stored.time, "how": "waits for somebody"}
    return told


def _failure(failure: Failure) -> dict[str, str]:
    return {"error": failure.error, "message": failure.message}


# ---------------------------------------------------------------------- events


def event_row(stored: StoredEvent) -> dict[str, Any]:
    """An event in a list; of its values only what stands in the event itself."""
    kind, key, fields = read_event(stored)
    if kind is events.RunStarted or kind is events.RunRedriven:
        _, graph, fingerprint, given, taken, _, state, *edits = fields
        fields = (graph, fingerprint, given, taken, state, *edits)
    names = FIELDS[kind]
    parts = [_part(name, value) for name, value in zip(names, fields, strict=False)]
    text = ", ".join(part for part in parts if part)
    return {
        "seq": stored.seq,
        "time": stored.time,
        "kind": kind.__name__,
        "key": key,
        "text": brief_text(text, _SHORT),
    }


_QUIET: Final = frozenset({"fingerprint", "taken", "state", "exits", "updates", "expects", "winners"})


def _part(name: str, value: Any) -> str:
    if name in _QUIET or value is None or value is False or value in ((), [], {}, "run"):
        return ""
    if name == "attempt" and value == 1:
        return ""
    if isinstance(value, Failure):
        return f"{value.error}: {value.message}"
    if isinstance(value, dict) and ("$row" in value or "$list" in value):
        return f"{name} (long)"
    if isinstance(value, str) and name in ("reason", "message", "error", "graph"):
        return value
    return f"{name} {json.dumps(to_jsonable_python(value, fallback=str), ensure_ascii=False)}"


# ---------------------------------------------------------------------- values


def whole(value: Any, most: int) -> dict[str, Any]:
    """A value as text to read: JSON, at most so many characters of it; `size` is how many it has."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return {"text": text[:most], "size": len(text), "cut": len(text) > most}


# ---------------------------------------------------------------------- timeline


def bars(nodes: Sequence[Node], start: float, end: float, now: float, width: int) -> list[dict[str, Any]]:
    """The lanes of a timeline between two times: bars that a pixel cannot tell apart are one.

    `width` is how many pixels there are; so what comes out does not grow with the number of activations.
    """
    scale = width / max(end - start, 1e-9)
    lanes = [(found.path, list(_bars(found, start, end, now, scale))) for found in nodes]
    return [
        {"path": path, "rows": max((bar["row"] + 1 for bar in told), default=1), "bars": told} for path, told in lanes
    ]


def _bars(found: Node, start: float, end: float, now: float, scale: float) -> Iterator[dict[str, Any]]:
    timed = sorted((a for a in found.activations if a.started is not None), key=lambda a: (a.started or 0.0, a.item))
    # the last bar of each row, and the pixel it ends at
    rows: list[tuple[dict[str, Any], int]] = []
    for activation in timed:
        begun = activation.started or 0.0
        ended = activation.ended if activation.ended is not None else now
        if ended < start or begun > end:
            continue
        left, right = int((begun - start) * scale), int((ended - start) * scale)
        free = next((at for at, (_, edge) in enumerate(rows) if left > edge), len(rows))
        if free < _ROWS:
            made = {
                "from": begun,
                "to": ended,
                "row": free,
                "status": activation.status,
                "count": 1,
                "key": activation.key,
            }
            rows[free : free + 1] = [(made, right)]
            yield made
            continue
        # as many at once as there are rows: it goes with the last of them
        last, edge = rows[-1]
        last["count"] += 1
        last["to"], last["key"] = max(last["to"], ended), None
        last["status"] = max(last["status"], activation.status, key=lambda status: _RANK.get(status, 0))
        rows[-1] = last, max(right, edge)


# ---------------------------------------------------------------------- two runs


def compared(both: Comparison, found: Sequence[Difference]) -> dict[str, Any]:
    """Two runs side by side, with these of their activations."""
    return {
        "same": both.same,
        "left": header(both.left),
        "right": header(both.right),
        "input": [_cut(value) for value in both.input],
        "output": [_cut(value) for value in both.output],
        "usage": [_usage(usage) for usage in both.usage],
        "activations": [
            {
                "key": one.key,
                "node": one.node,
                "differs": list(one.differs),
                "same": one.same,
                "source": one.source,
                "left": _side(one.left),
                "right": _side(one.right),
            }
            for one in found
        ],
    }


def _side(record: ActivationRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    failure = None if record.failure is None else f"{record.failure.error}: {record.failure.message}"
    return {
        "status": record.status,
        "origin": record.origin,
        "input": _cut(record.input),
        "output": _cut(record.output),
        "failure": failure,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {"activations": usage.activations, "attempts": usage.attempts, "amounts": dict(usage.amounts)}


def _cut(value: Any) -> str:
    return brief_text(json.dumps(to_jsonable_python(value, fallback=str), ensure_ascii=False), 400)
