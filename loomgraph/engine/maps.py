"""One map in progress: which items are out, which are back, when it is decided. Cost per item is constant. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loomgraph.engine.activation import Activation, Trouble
from loomgraph.errors import Failure, QuorumError
from loomgraph.graph.policy import MapSpec, Quorum
from loomgraph.graph.state import Updates

__all__ = ["MapRun"]

_MISSING: Any = object()


class MapRun:
    """The items of one activation of a map node. The machine asks it for items to start and tells it how they end."""

    __slots__ = ("_troubles", "cursor", "fast", "items", "left", "live", "need", "results", "spec", "won", "writes")

    def __init__(self, spec: MapSpec, items: Sequence[Any], *, fast: bool) -> None:
        self.spec = spec
        # whether the first failure decides: only if it ends the run anyway, or the outcome would depend on timing
        self.fast = fast and spec.on_error == "fail"
        self.items = items
        self.results: list[Any] = [_MISSING] * len(items)
        self.cursor = 0
        self.left = len(items)
        self.live: dict[int, Activation] = {}
        self.need = spec.wait.k if isinstance(spec.wait, Quorum) else 1 if spec.wait == "first" else 0
        self.won = 0
        self._troubles: dict[int, list[Trouble]] = {}
        # the items' state updates, which exist once the map as a whole has succeeded: index -> (key, updates)
        self.writes: dict[int, tuple[str, Updates]] = {}

    def next(self, owner: Activation) -> Activation | None:
        """The next item to start, if the map's limit allows one now; `started` says that it was."""
        if self.cursor == len(self.items) or (self.spec.limit is not None and len(self.live) >= self.spec.limit):
            return None
        return self.item(owner)

    def item(self, owner: Activation) -> Activation:
        """The next item, whatever the limit says."""
        i = self.cursor
        item = Activation(owner.scope, owner.node, owner.iteration, i, self.items[i], owner.view)
        item.owner = owner
        return item

    def started(self, item: Activation) -> None:
        """An item was handed out."""
        self.live[self.cursor] = item
        self.cursor += 1

    def succeeded(self, index: int, value: Any) -> None:
        """An item finished."""
        self.results[index] = value
        self.won += 1
        self._settle(index)

    def failed(self, index: int, failure: Failure, troubles: list[Trouble]) -> None:
        """An item failed, as `failure` says; `troubles` are the activations inside it that did."""
        self._troubles[index] = troubles
        if self.spec.on_error == "collect" and not self.need:
            self.results[index] = failure
        self._settle(index)

    def _settle(self, index: int) -> None:
        del self.live[index]
        self.left -= 1

    @property
    def decided(self) -> bool:
        """Whether nothing that is still out can change the map's value."""
        if self.need:
            return self.won >= self.need or self.left == 0
        return self.left == 0 or (self.fast and bool(self._troubles))

    @property
    def troubles(self) -> list[Trouble]:
        """What failed inside the items, in the order of the items."""
        return [trouble for index in sorted(self._troubles) for trouble in self._troubles[index]]

    def refusal(self, node: str) -> QuorumError | None:
        """Why a decided map has no value, if its quorum was not met."""
        if self.need and self.won < self.need and self.items:
            return QuorumError(node, self.need, self.won, len(self.items), [t[0] for t in self.troubles])
        return None

    def winners(self) -> tuple[int, ...]:
        """The items that are in the map's value, in order."""
        return tuple(i for i, value in enumerate(self.results) if value is not _MISSING)

    def value(self) -> list[Any]:
        """The list that downstream sees."""
        return [value for value in self.results if value is not _MISSING]
