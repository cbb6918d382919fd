"""Third parties, one a file, each with an optional extra of its own. None is needed to run a graph.

Several of them share `load` (what `module:workflow` names) and `blocks` (a drawing for a document) with each other.
"""
