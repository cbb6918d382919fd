"""Two runs over one drawing: at each node, whether both did the same there. The comparison itself is the runtime's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from typing_extensions import TypeIs

from loomgraph.events import node_path
from loomgraph.visualize.overlay import Overlay, Status

__all__ = ["Compared", "compared", "is_comparison"]


class Difference(Protocol):
    """One activation of either run; `left` or `right` is None where that run has none."""

    @property
    def key(self) -> str: ...
    @property
    def left(self) -> Any: ...
    @property
    def right(self) -> Any: ...
    @property
    def differs(self) -> tuple[str, ...]: ...
    @property
    def source(self) -> bool: ...


class Compared(Protocol):
    """Two runs side by side: a Comparison."""

    @property
    def activations(self) -> Sequence[Difference]: ...
    @property
    def differences(self) -> Sequence[Difference]: ...


def is_comparison(run: Any) -> TypeIs[Compared]:
    """Whether it is two runs instead of one."""
    return hasattr(run, "differences")


def compared(two: Compared) -> Mapping[tuple[str, ...], Overlay]:
    """What to say of every node that either run came to, by path. Linear in activations."""
    found: dict[tuple[str, ...], list[Difference]] = defaultdict(list)
    for difference in two.activations:
        found[node_path(difference.key)].append(difference)
    return {path: _overlay(there) for path, there in found.items()}


def _overlay(there: list[Difference]) -> Overlay:
    left = sum(one.right is None for one in there)
    right = sum(one.left is None for one in there)
    changed = [one for one in there if one.differs]
    whole = len(there)
    if not (left or right or changed):
        return Overlay("same", said="the same" if whole == 1 else f"the same, {whole} times")
    parts: list[str] = []
    if changed:
        what = ", ".join(dict.fromkeys(what for one in changed for what in one.differs))
        parts.append(what if whole == 1 else f"{len(changed)} of {whole}: {what}")
    if left:
        parts.append("left run only" if left == whole else f"{left} in the left run only")
    if right:
        parts.append("right run only" if right == whole else f"{right} in the right run only")
    if any(one.source for one in changed):
        parts.append("it began here")
    status: Status = "left" if left == whole else "right" if right == whole else "differs"
    return Overlay(status, visits=whole, said="; ".join(parts))
