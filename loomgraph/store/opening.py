"""Which store a string means. Opens nothing by itself: a store connects when it is first used."""

from __future__ import annotations

import difflib
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from loomgraph.errors import StoreAddressError
from loomgraph.store.keys import Key
from loomgraph.store.protocol import Store

__all__ = ["open_store", "opened"]

_FORMS = {"memory": "memory:", "sqlite": "sqlite:FILE", "postgresql": "postgresql://USER@HOST/DATABASE"}


def open_store(store: Store | str, *, encrypt: Key | bool = False) -> Store:
    """The store that a string names; a Store as it is.

    `sqlite:runs.db` and `sqlite:///abs/runs.db` are files, `postgresql://...` a server, `memory:` a new empty store.
    With `encrypt` what runs are about is encrypted (see `loomgraph.store.encrypted.EncryptedStore`): a key, or True for
    the one in the environment variable LOOMGRAPH_KEY. Raises StoreAddressError for a string that names no store, and
    StoreKeyError for what is no key.
    """
    if encrypt is False:
        return _plain_store(store)
    from loomgraph.store.encrypted import EncryptedStore

    return EncryptedStore(store, None if encrypt is True else encrypt)


def _plain_store(store: Store | str) -> Store:
    if not isinstance(store, str):
        return store
    scheme, colon, rest = store.partition(":")
    if colon and scheme == "memory":
        from loomgraph.store.memory import MemoryStore

        return MemoryStore()
    if colon and scheme == "sqlite" and rest:
        from loomgraph.store.sqlite import SQLiteStore

        return SQLiteStore(_file(rest))
    if colon and scheme in ("postgresql", "postgres") and rest:
        from loomgraph.store.postgres import PostgresStore

        return PostgresStore(store)
    close = difflib.get_close_matches(scheme, _FORMS, n=1)
    near = f"{close[0]}:{rest}" if colon and close and scheme not in _FORMS else None
    if near is None and re.search(r"[\\/.]", store) and scheme not in _FORMS and "://" not in store:
        near = f"sqlite:{store}"  # a path, of Windows too
    detail = f"'{scheme}' is no kind of store" if colon and scheme not in _FORMS else "its place is missing"
    raise StoreAddressError(store, detail, list(_FORMS.values()), near)


def _file(place: str) -> str:
    """The path in `sqlite:PATH` or `sqlite://PATH`; a drive's letter needs no slash before it."""
    path = place.removeprefix("//")
    return path[1:] if re.match(r"/[A-Za-z]:[\\/]", path) else path


@asynccontextmanager
async def opened(store: Store | str | None) -> AsyncGenerator[Store | None]:
    """The store that is meant, closed afterwards if it was opened here from a string."""
    if store is None or not isinstance(store, str):
        yield store
        return
    made = open_store(store)
    try:
        yield made
    finally:
        await made.close()
