"""What is wrong with a log, or left of an exception in one."""

from __future__ import annotations

from loomgraph.errors.base import Failure, LoomgraphError

__all__ = [
    "LogMismatchError",
    "RecordedError",
]


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
