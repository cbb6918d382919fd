"""Third parties, one a file, each with an optional extra of its own. Planned.

It will never be needed to run a graph.
"""
