"""What a store refuses or cannot do, one class per decision a caller can make. Imports no database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from loomgraph.errors.base import LoomgraphError, names

__all__ = [
    "AppendConflictError",
    "LeaseLostError",
    "RunBusyError",
    "RunEndedError",
    "RunExistsError",
    "StoreAddressError",
    "StoreCorruptError",
    "StoreError",
    "StoreFullError",
    "StoreKeyError",
    "StoreLockedError",
    "StoreReadOnlyError",
    "StoreTamperedError",
    "StoreVersionError",
    "UnknownRunError",
]


class StoreError(LoomgraphError):
    """The store could not do what was asked. What was committed before is untouched."""


class StoreAddressError(StoreError):
    """A store string that names no store; `known` are the schemes there are."""

    def __init__(self, address: str, detail: str, known: Sequence[str], suggestion: str | None = None) -> None:
        hint = f"Did you mean '{suggestion}'?" if suggestion else f"Stores are written {names(known, 'or')}."
        super().__init__(f"'{address}' names no store: {detail}. {hint}")


class StoreLockedError(StoreError):
    """Another process kept the database locked for `seconds`. Nothing was written."""

    def __init__(self, store: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"{store} was kept locked by another process for {seconds:g} s, so nothing was written. "
            f"Find who holds a transaction open, or give the store a larger wait=."
        )


class StoreCorruptError(StoreError):
    """The file is not a database, or pages of it are damaged."""

    def __init__(self, store: str, detail: str) -> None:
        super().__init__(
            f"{store} cannot be read: {detail}. Nothing was changed. Restore it from a copy, or save what can be "
            f"saved with SQLite's '.recover'."
        )


class StoreFullError(StoreError):
    """There is no room for what was to be written. What was committed before is kept."""

    def __init__(self, store: str, detail: str) -> None:
        super().__init__(
            f"{store} has no room left ({detail}); the last write was undone and everything before it is kept. "
            f"Make room, for instance with prune(), and resume the run."
        )


class StoreReadOnlyError(StoreError):
    """This process may not write the database."""

    def __init__(self, store: str, detail: str) -> None:
        super().__init__(
            f"{store} may not be written by this process ({detail}). Check who owns the file and its directory; "
            f"SQLite writes files beside the database."
        )


class StoreKeyError(StoreError):
    """There is no key, or not the one that something was written with."""

    def __init__(self, what: str, detail: str, remedy: str) -> None:
        super().__init__(f"{what}: {detail}. {remedy}")


class StoreTamperedError(StoreError):
    """Encrypted data is not what was written: somebody changed or moved it, or the disk did. `.run_id` if known."""

    def __init__(self, store: str, run_id: str | None, what: str) -> None:
        self.run_id = run_id
        whose = f"run '{run_id}' in {store}" if run_id is not None else store
        super().__init__(
            f"{whose}: {what} is not what was written there, although the key is right. Somebody or something changed "
            f"it; nothing of it was used. Restore it from a copy."
        )


class StoreVersionError(StoreError):
    """The data has a newer format than this loomgraph reads. `.found` and `.known` are the versions."""

    def __init__(self, what: str, found: int, known: int) -> None:
        self.found, self.known = found, known
        super().__init__(
            f"{what} has format version {found}, and this loomgraph reads up to version {known}. "
            f"Upgrade loomgraph-engine."
        )


class RunExistsError(StoreError):
    """There is a run of that id already."""

    def __init__(self, run_id: str, store: str) -> None:
        self.run_id = run_id
        super().__init__(f"run '{run_id}' is in {store} already. Resume it, delete it, or choose another run id.")


class UnknownRunError(StoreError):
    """There is no run of that id. `close` are ids that look like it."""

    def __init__(self, run_id: str, store: str, close: Sequence[str] = ()) -> None:
        self.run_id = run_id
        hint = f"Did you mean {names(close, 'or')}?" if close else "List what is there with runs()."
        super().__init__(f"there is no run '{run_id}' in {store}. {hint}")


class RunBusyError(StoreError):
    """Somebody owns the run: `.owner`, until `.expires` (seconds since the epoch) unless they renew."""

    def __init__(self, run_id: str, owner: str, expires: float) -> None:
        self.run_id, self.owner, self.expires = run_id, owner, expires
        super().__init__(
            f"run '{run_id}' is owned by '{owner}', whose lease expires at {_moment(expires)} unless renewed. "
            f"Wait for them, or stop them and try again after that."
        )


class RunEndedError(StoreError):
    """The run has a result or has failed, so there is nothing to cancel; `.status` says which. Nothing was changed."""

    def __init__(self, run_id: str, status: str) -> None:
        self.run_id, self.status = run_id, status
        what = (
            "It goes on only if somebody resumes it."
            if status == "failed"
            else "Its result stays; delete() removes it."
        )
        super().__init__(f"run '{run_id}' has {status} already, so there is nothing to cancel. {what}")


class LeaseLostError(StoreError):
    """The lease is not the current one any more; `.owner` has the run now, if anybody. Nothing was written."""

    def __init__(self, run_id: str, held_by: str, owner: str | None) -> None:
        self.run_id, self.owner = run_id, owner
        now = f"'{owner}' has taken the run over" if owner is not None else "nobody owns the run now"
        super().__init__(
            f"'{held_by}' does not own run '{run_id}' any more ({now}), so nothing was written. "
            f"Stop working on it; acquire it anew to go on."
        )


class AppendConflictError(StoreError):
    """What was to be written contradicts what is written, at event or message `.at`. Nothing was written."""

    def __init__(self, run_id: str, at: int | str, detail: str) -> None:
        self.run_id, self.at = run_id, at
        super().__init__(
            f"run '{run_id}': {detail}; nothing was written. Load the run again and go on from what it says: "
            f"two writers disagree about its past."
        )


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return f"{seconds:g} s after the epoch"
