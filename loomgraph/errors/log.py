"""What is wrong with a log, or left of an exception in one."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from loomgraph.errors.base import Failure, LoomgraphError, names

__all__ = [
    "EditRefusedError",
    "EditTooLateError",
    "GraphChangedError",
    "InDoubtError",
    "LogDamagedError",
    "LogMismatchError",
    "RecordedError",
    "UnknownEventError",
    "ValueMissingError",
]

_SHOWN = 12


class LogDamagedError(LoomgraphError):
    """Something in a log, or a value that it names, is not what was written. `.where` says what."""

    def __init__(self, where: str, detail: str) -> None:
        self.where = where
        super().__init__(
            f"{where} is not what was written: {detail}. The disk, or something other than loomgraph, changed the "
            f"store; nothing was written to it now. Restore it from a copy."
        )


class LogMismatchError(LoomgraphError):
    """A run's log cannot be folded into this graph."""

    def __init__(self, run_id: str, key: str) -> None:
        self.run_id, self.key = run_id, key
        super().__init__(
            f"the log of run '{run_id}' has an event of '{key}', which this graph never starts at that point. "
            f"Resume it with the graph that wrote it, or fork it before that event."
        )


class RecordedError(LoomgraphError):
    """A failure read back from a log; `.failure` is all that is left of the exception."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(f"{failure.error}: {failure.message}")


class UnknownEventError(LoomgraphError):
    """A run's log has no event of that number, or none of an activation of that key; `.keys` are those it has."""

    def __init__(self, run_id: str, place: int | str, events: int, keys: Sequence[str] = ()) -> None:
        self.run_id, self.place, self.events, self.keys = run_id, place, events, tuple(keys)
        if isinstance(place, int):
            super().__init__(f"run '{run_id}' has {events} events, 0 to {events - 1}, and no event {place}.")
            return
        close = difflib.get_close_matches(place, keys, n=3)
        more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
        hint = f"Did you mean {names(close, 'or')}?" if close else f"It has {names(keys[:_SHOWN])}{more}."
        super().__init__(f"the log of run '{run_id}' has no activation '{place}'. {hint if keys else 'It has none.'}")


class EditRefusedError(LoomgraphError):
    """A fork cannot be given this input or output; `.key` names the activation. Nothing was written."""

    def __init__(self, run_id: str, key: str, detail: str) -> None:
        self.run_id, self.key = run_id, key
        super().__init__(f"a fork of run '{run_id}' cannot change '{key}': {detail}")


class EditTooLateError(EditRefusedError):
    """A fork leaves the other run before what it is to change happened: `.seq` is that event, `.at` the last it has."""

    def __init__(self, run_id: str, key: str, seq: int, at: int) -> None:
        self.seq, self.at = seq, at
        where = f"that is event {seq}, and the fork leaves the run after event {at}."
        super().__init__(run_id, key, f"{where} Fork it there: at={key!r}, or without at=.")


class ValueMissingError(LoomgraphError):
    """A log names a stored value that its store does not have."""

    def __init__(self, where: str, digest: str) -> None:
        self.where, self.digest = where, digest
        super().__init__(
            f"the value {digest} of {where} is not in the store. The store was copied or pruned in part; "
            f"restore it from a backup, or fork the run before that event."
        )


class GraphChangedError(LoomgraphError):
    """A run's graph is not the one that wrote its log; `.differences` names what changed."""

    def __init__(self, run_id: str, differences: Sequence[str]) -> None:
        self.run_id, self.differences = run_id, tuple(differences)
        lines = "".join(f"\n  - {difference}" for difference in differences)
        super().__init__(
            f"run '{run_id}' cannot go on with this graph:{lines}\n"
            f"Resume it with the graph that wrote it; where only code changed, with on_change='compatible'; or with "
            f"on_change='rerun', which keeps what the change does not touch and runs the rest anew."
        )


class InDoubtError(LoomgraphError):
    """Nodes with effect="once" had begun when their process died: nobody knows whether they had their effect."""

    def __init__(self, run_id: str, keys: Sequence[str]) -> None:
        self.run_id, self.keys = run_id, tuple(keys)
        super().__init__(
            f"run '{run_id}' stopped while {', '.join(keys)} was at work, which must not happen twice. Find out "
            f"whether it did its work; then resume with in_doubt='rerun' to run it again. The run stays as it is."
        )
