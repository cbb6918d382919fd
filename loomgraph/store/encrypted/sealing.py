"""Sealing bytes to their place with AES-256-GCM, and digests with AES alone. Knows no store and reads no clock.

From one key come a key for values, one for digests and one for each run (HKDF-SHA256). The nonce is the first 12
bytes of an HMAC over the place and the text, as in a synthetic IV: the same text in the same place always gives the
same bytes, which a store needs to know a repeated write as one. So equal bytes tell that a text was written twice to
one place, and nothing about any other.

A digest is one block of AES, a permutation under the key: equal digests stay equal, and nobody without the key
can tell a text from its digest.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["DIGEST", "Chest", "Sealer", "UnsealedError", "place"]

DIGEST: Final = 16
_NONCE: Final = 12


class UnsealedError(Exception):
    """These bytes were not sealed with this key, or not for this place, or were changed."""


class Sealer:
    """Seals and opens with one derived key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key[:32])
        self._nonces = key[32:]

    def seal(self, plain: bytes, at: bytes) -> bytes:
        """The text, sealed to a place."""
        nonce = hmac.digest(self._nonces, len(at).to_bytes(8, "big") + at + plain, "sha256")[:_NONCE]
        return nonce + self._cipher.encrypt(nonce, plain, at)

    def open(self, sealed: bytes, at: bytes) -> bytes:
        """The text again. Raises UnsealedError."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], at)
        except (InvalidTag, ValueError) as error:
            raise UnsealedError from error


class Chest:
    """All that is derived from one key."""

    def __init__(self, id: str, key: bytes) -> None:
        self.id = id
        self._key = key
        self.check = hmac.digest(key, b"loomgraph key check", "sha256")[:4].hex()
        self.values = Sealer(self._derive(b"values", 64))
        self._digests = Cipher(algorithms.AES(self._derive(b"digests", 32)), modes.ECB())  # noqa: S305 - single blocks
        # a digest of another size is longer when it is hidden
        self._others = AESSIV(self._derive(b"other digests", 64))
        self.run = lru_cache(maxsize=256)(self._run)

    def _run(self, run_id: str) -> Sealer:
        return Sealer(self._derive(b"run " + run_id.encode(), 64))

    def hide(self, digest: bytes) -> bytes:
        """A digest as the store knows it."""
        if len(digest) == DIGEST:
            return self._digests.encryptor().update(digest)
        return self._others.encrypt(digest, None)

    def show(self, hidden: bytes) -> bytes:
        """The digest that the store knows as this. Raises UnsealedError for what is none."""
        if len(hidden) == DIGEST:
            return self._digests.decryptor().update(hidden)
        try:
            return self._others.decrypt(hidden, None)
        except (InvalidTag, ValueError) as error:
            raise UnsealedError from error

    def _derive(self, what: bytes, size: int) -> bytes:
        return HKDF(SHA256(), size, salt=None, info=b"loomgraph 1 " + what).derive(self._key)


def place(*parts: str | int | float | None) -> bytes:
    """A place as bytes: no two different ones are the same."""
    return sha256("\0".join(f"{type(part).__name__} {part!r}" for part in parts).encode()).digest()
