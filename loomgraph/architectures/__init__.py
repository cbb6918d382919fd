"""Agent architectures, one pattern a file, each a function that returns a Workflow. Planned.

It will never run anything by other means than a graph, so that every promise of a run holds for them too.
"""
