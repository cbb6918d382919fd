"""Runs encrypted at rest, in any store. Needs `cryptography`, an optional extra, and says so where it is missing."""

from __future__ import annotations

from importlib import import_module

from loomgraph.errors import StoreError

try:
    import_module("cryptography")
except ImportError as error:
    raise StoreError(
        f"an encrypted store needs cryptography, and importing it failed: {error}. "
        f"Install it with: pip install 'loomgraph-engine[crypto]'"
    ) from error

from loomgraph.store.encrypted.store import EncryptedStore
from loomgraph.store.keys import Key, new_key

__all__ = ["EncryptedStore", "Key", "new_key"]
