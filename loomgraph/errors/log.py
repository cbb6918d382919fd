"""What is wrong with a log, or left of an exception in one."""

from __future__ import annotations

from collections.abc import Sequence

from loomgraph.errors.base import Failure, LoomgraphError

__all__ = [
    "GraphChangedError",
    "InDoubtError",
    "LogMismatchError",
    "RecordedError",
    "ValueMissingError",
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
            f"Resume it with the graph that wrote it, or, where only code changed, with on_change='compatible'."
        )


class InDoubtError(LoomgraphError):
    """Nodes with effect="once" had begun when their process died: nobody knows whether they had their effect."""

    def __init__(self, run_id: str, keys: Sequence[str]) -> None:
        self.run_id, self.keys = run_id, tuple(keys)
        super().__init__(
            f"run '{run_id}' stopped while {', '.join(keys)} was at work, which must not happen twice. Find out "
            f"whether it did its work; then resume with in_doubt='rerun' to run it again. The run stays as it is."
        )
