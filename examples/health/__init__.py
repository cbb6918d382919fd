"""The demo: a health report on a directory of code and documents, as a graph. Run it: `python -m examples.health`.

Read workflow.py first (the graph: what runs, in which order, what happens when it fails), then inspection.py (the graph
inside it that looks at one file) and models.py (the values that travel along the edges). progress.py shows a run as it
happens, read from its events; report.py writes what came of it and draws the run; __main__.py is the command. The other
modules are the nodes' work, plain Python that knows nothing of graphs.
"""
