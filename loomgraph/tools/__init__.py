"""Functions that a model may call: their schemas, and the order of their effects. Planned.

It will never hide a tool's error from the agent that called it.
"""
