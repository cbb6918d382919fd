"""Runs in a PostgreSQL database. Needs psycopg 3, an optional extra, and says so where it is missing."""

from __future__ import annotations

from importlib import import_module

from loomgraph.errors import StoreError

try:
    # fails too where psycopg finds no libpq
    import_module("psycopg")
except ImportError as error:
    raise StoreError(
        f"a PostgreSQL store needs psycopg 3, and importing it failed: {error}. "
        f"Install it with: pip install 'loomgraph-engine[postgres]'"
    ) from error

from loomgraph.store.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
