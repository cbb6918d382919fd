"""Runs in a SQLite file. Importing it loads sqlite3, so nothing imports it before it is asked for."""

from __future__ import annotations

from loomgraph.store.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
