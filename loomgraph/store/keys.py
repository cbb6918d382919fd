"""Keys: 32 random bytes each, under an id. Reads them; keeps them in memory only, and puts none into a message."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from loomgraph.errors import StoreKeyError

__all__ = ["ENVIRONMENT", "Key", "KeyRing", "key_ring", "new_key"]

Key: TypeAlias = bytes | str | Mapping[str, bytes | str] | Callable[[str], bytes | str]
"""A key, as 32 bytes or as the text that `new_key` gives; several by id, the one to write with first; or a function
from an id to the key (with `key_id`, the one to write with), which raises LookupError for an id it does not know."""

ENVIRONMENT: Final = "LOOMGRAPH_KEY"
_SIZE: Final = 32


def new_key() -> str:
    """A new random key, as text: URL-safe base64 of 32 bytes."""
    return urlsafe_b64encode(os.urandom(_SIZE)).decode()


class KeyRing:
    """Keys by id. `current` is the id of the one that new runs are written with."""

    def __init__(self, current: str, find: Callable[[str], bytes | str]) -> None:
        self.current = current
        self._find = find
        self._known: dict[str, bytes] = {}

    def key(self, id: str) -> bytes | None:
        """The key of that id; None if nobody has it. Raises StoreKeyError for one that is no key."""
        known = self._known.get(id)
        if known is None:
            try:
                found = self._find(id)
            except LookupError:
                return None
            known = self._known[id] = _bytes_of(found, f"the key '{id}'")
        return known


def key_ring(key: Key | None, key_id: str | None = None) -> KeyRing:
    """The ring that is meant; None means the environment variable LOOMGRAPH_KEY, as `KEY` or as `ID:KEY,ID:KEY`.

    A single key without an id gets one that is made from it, so that a wrong key is known as such. Raises StoreKeyError
    for what holds no key.
    """
    if key is None:
        key = _from_environment()
    if isinstance(key, (bytes, str)):
        single = _bytes_of(key, "the key")
        return _ring({key_id if key_id is not None else _id_of(single): single}, None)
    return _called(key, key_id) if callable(key) else _ring(key, key_id)


def _ring(keys: Mapping[str, bytes | str], key_id: str | None) -> KeyRing:
    current = key_id if key_id is not None else next(iter(keys), None)
    if current is None or current not in keys:
        raise StoreKeyError("key=", "it holds no key" if current is None else f"it has no key '{current}'", _MAKE)
    return KeyRing(current, keys.__getitem__)


def _called(find: Callable[[str], bytes | str], key_id: str | None) -> KeyRing:
    if key_id is None:
        remedy = "Say with key_id= which key new runs are written with."
        raise StoreKeyError("key=", "it is a function, which does not tell", remedy)
    ring = KeyRing(key_id, find)
    if ring.key(key_id) is None:
        raise StoreKeyError("key=", f"the function does not know the key '{key_id}'", "Give key_id= an id it knows.")
    return ring


_MAKE: Final = "Make one with: loomgraph key"


def _from_environment() -> Key:
    text = os.environ.get(ENVIRONMENT, "").strip()
    if not text:
        raise StoreKeyError(ENVIRONMENT, "it is not set in the environment", f"Set it, or pass key=. {_MAKE}")
    if ":" not in text and "," not in text:
        return text
    pairs = [part.strip().partition(":") for part in text.split(",")]
    if not all(id and key for id, _, key in pairs):
        raise StoreKeyError(ENVIRONMENT, "it is neither KEY nor ID:KEY,ID:KEY", "Name each key: ID:KEY,ID:KEY")
    return {id: key for id, _, key in pairs}


def _bytes_of(key: bytes | str, what: str) -> bytes:
    try:
        found = urlsafe_b64decode(key) if isinstance(key, str) else bytes(key)
    except (binascii.Error, ValueError):
        raise StoreKeyError(what, "it is not base64", _MAKE) from None
    if len(found) != _SIZE:
        raise StoreKeyError(what, f"it has {len(found)} bytes, and a key has {_SIZE}", _MAKE)
    return found


def _id_of(key: bytes) -> str:
    return hmac.digest(key, b"loomgraph key id", hashlib.sha256)[:6].hex()
