"""What is known of lists that were written lately, so that writing one that has grown costs what is new in it.

Without it each turn of a conversation would write out, read back, compare and hash all that was said before. What was
found to read back once is not tried again: a list is compared with the one before it, item by item, and only the items
behind what both begin with are looked at. Keeps no value alive for longer than a few more lists are written.
"""

from __future__ import annotations

import hashlib
import typing
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

__all__ = ["DIGEST", "EMPTY", "Grown", "Growth", "chained", "item_type"]

DIGEST: Final = 16
"""Bytes of a digest."""
EMPTY: Final = hashlib.blake2b(b"[]", digest_size=DIGEST).digest()
"""What the chain of every list begins with."""

# lists remembered of each type, and types
_LISTS: Final = 16
_TYPES: Final = 64


def chained(digest: bytes, text: bytes) -> bytes:
    """The digest of a list that goes on with one item, given what its beginning has."""
    return hashlib.blake2b(digest + text, digest_size=DIGEST).digest()


def item_type(tp: Any) -> Any:
    """T of list[T]; None for any other type, whose items may mean something together."""
    if typing.get_origin(tp) is not list:
        return None
    return typing.get_args(tp)[0]


class Grown:
    """A list as it was written: its items, and for each beginning of it the digest and the bytes of its JSON."""

    __slots__ = ("digests", "items", "sizes")

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.digests: list[bytes] = [EMPTY]
        self.sizes: list[int] = [1]

    def beginning(self, count: int) -> Grown:
        """The same for the first `count` items; this list itself if it has no more."""
        if count == len(self.items):
            return self
        made = Grown()
        made.items = self.items[:count]
        made.digests = self.digests[: count + 1]
        made.sizes = self.sizes[: count + 1]
        return made

    def add(self, item: Any, text: bytes, size: int) -> None:
        """The list goes on with an item, written as this text, whose whole JSON has `size` bytes."""
        self.items.append(item)
        self.digests.append(chained(self.digests[-1], text))
        self.sizes.append(self.sizes[-1] + size + 1)


class Growth:
    """The lists of one run. `same` says how a new value differs from an old one, None if it does not."""

    def __init__(self, same: Callable[[Any, Any], str | None]) -> None:
        self._same = same
        self._lists: OrderedDict[Any, list[Grown]] = OrderedDict()

    def begun(self, tp: Any, items: list[Any]) -> Grown:
        """What is known of the longest beginning of `items`; of an empty one if no list began alike.

        It is to be grown with the rest, and then remembered.
        """
        best, most = Grown(), 0
        known = self._lists.get(tp, [])
        for grown in reversed(known):
            shared = self._shared(grown.items, items)
            if shared > most:
                best, most = grown, shared
            if shared == len(grown.items) or 2 * shared > len(items):
                break
        if most and most == len(best.items):
            known.remove(best)  # it goes on as the longer one
        return best.beginning(most)

    def remember(self, tp: Any, grown: Grown) -> None:
        """Keep a list that was written whole."""
        known = self._lists.setdefault(tp, [])
        known.append(grown)
        self._lists.move_to_end(tp)
        del known[:-_LISTS]
        while len(self._lists) > _TYPES:
            self._lists.popitem(last=False)

    def _shared(self, old: list[Any], new: list[Any]) -> int:
        """How many items both begin with."""
        same = self._same
        count = 0
        for a, b in zip(old, new, strict=False):
            if a is not b and same(b, a) is not None:
                break
            count += 1
        return count
