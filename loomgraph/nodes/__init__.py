"""KINDS of node beyond functions and graphs: model calls, tool batches, agents, people.

A node kind is written against `loomgraph.runtime`; it knows neither the engine nor a store.
"""

from __future__ import annotations

from loomgraph.nodes.human import Human

__all__ = ["Human"]
