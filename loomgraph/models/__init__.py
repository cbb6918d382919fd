"""Language models, one adapter a file, each importing its SDK only when it is used. Planned.

It will never retry on its own: how often a call is tried is the node's `retry=`.
"""
