"""Why an architecture came to no answer. Each carries the work that was finished, as the values it was made of.

Raised inside a node, so a run's caller finds it as the `__cause__` of the NodeFailedError, or takes it with `on_error`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loomgraph.errors.base import LoomgraphError, brief

__all__ = ["ArchitectureError", "ThresholdError"]


class ArchitectureError(LoomgraphError):
    """An architecture came to no answer that it may give."""


class ThresholdError(ArchitectureError):
    """No draft was good enough. `best` is the best one, `score` its score, `drafts` are all of them, in order."""

    def __init__(self, name: str, threshold: float | None, score: float, best: Any, drafts: Sequence[Any]) -> None:
        self.name, self.threshold, self.score = name, threshold, score
        self.best, self.drafts = best, tuple(drafts)
        wanted = "was accepted" if threshold is None else f"reached the score {threshold:g}"
        super().__init__(
            f"'{name}': none of {len(self.drafts)} drafts {wanted}; the best one has {score:g}: {brief(best, 80)}. "
            f'Allow more rounds, ask for less, or take the best one with at_cap="best".'
        )
