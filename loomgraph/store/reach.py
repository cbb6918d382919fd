"""The values that some events name, and those that these are made of, without the rest of their run.

A run may have far more values than anybody looks at. Which ones an event needs is told from its text: see
`loomgraph.store.codec` for how it names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from loomgraph.store.growth import DIGEST, EMPTY
from loomgraph.store.protocol import Store

__all__ = ["reach"]

_NAMED: Final = re.compile(rb'"\$(?:row|list)":\s*"([0-9a-f]{%d})"' % (2 * DIGEST))
_LIST: Final = b"L"
# a list that grew often is a long chain; from here on the run's values are asked for all at once
_STEPS: Final = 8


async def reach(store: Store, run_id: str, bodies: Iterable[bytes], known: dict[bytes, bytes]) -> None:
    """Add to `known` all values that reading these bodies of the run's events takes. What is there is not read again.

    A value that the store does not have is left out: whoever reads it says so. Raises UnknownRunError.
    """
    wanted = {digest for body in bodies for digest in _named(body)} - known.keys()
    for _ in range(_STEPS):
        if not wanted:
            return
        found = await store.values(wanted)
        known.update(found)
        wanted = {digest for data in found.values() for digest in _inside(data)} - known.keys()
    if wanted:
        known.update(await store.values(set(await store.digests(run_id)) - known.keys()))


def _named(text: bytes) -> set[bytes]:
    # text of a user's that looks like this costs a look-up, and means nothing
    return {bytes.fromhex(found.decode()) for found in _NAMED.findall(text)}


def _inside(data: bytes) -> set[bytes]:
    """What a row goes on with: the values that it names, and for a list what it grew from."""
    if data[:1] != _LIST:
        return _named(data)
    before = data[1 : 1 + DIGEST]
    return _named(data[1 + DIGEST :]) | ({before} if before != EMPTY else set())
