"""Runs that are killed, and stores that fail: what a graph is worth is what is left of it after a crash."""

from __future__ import annotations

from loomgraph.testing.crash.stores import FailingStore, KillingStore, WatchedStore

__all__ = ["FailingStore", "KillingStore", "WatchedStore"]
