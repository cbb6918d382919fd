"""Many short lists, laid out as one: a graph's edges by node. Reads like a list of lists; nothing is added to it.

A list for each node of a large graph is what the garbage collector then walks, again and again while compile() goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

__all__ = ["Grouped"]

T = TypeVar("T")


class Grouped(Generic[T]):
    """`values` by their `keys`, which are 0 to `count` - 1; in each group in the given order."""

    __slots__ = ("_start", "_values")

    def __init__(self, keys: Sequence[int], values: Sequence[T], count: int) -> None:
        sizes = [0] * (count + 1)
        for key in keys:
            sizes[key + 1] += 1
        self._start = list(accumulate(sizes))
        self._values = [values[i] for i in sorted(range(len(keys)), key=keys.__getitem__)]

    def __getitem__(self, key: int) -> list[T]:
        if key < 0:
            key += len(self._start) - 1
        return self._values[self._start[key] : self._start[key + 1]]

    def __len__(self) -> int:
        return len(self._start) - 1

    def __iter__(self) -> Iterator[list[T]]:
        return map(self.__getitem__, range(len(self)))
