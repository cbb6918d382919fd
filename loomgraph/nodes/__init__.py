"""KINDS of node beyond functions and graphs: model calls, agents, tool batches, people. Planned.

A node kind is written against `loomgraph.runtime`; it will never know the engine or a store.
"""
