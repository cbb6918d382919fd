"""The health report as a graph.

request -> find_files -> select -> inspect (a graph for each file) -> collect
collect -> find_dead_links, find_repeated, find_imports -> find_import_cycles
                                           find_imports -> rank, until the ranking rests or the cap is reached
request -> read_history, or without_history where there is none
request -> recall
all of it -> judge
"""

from __future__ import annotations

from examples.health import inspection
from examples.health.history import read_history, recall, without_history
from examples.health.importance import begin_ranking, find_imports, moves, rank, rough, settled
from examples.health.listing import list_files
from examples.health.models import Health, Listing, Request, SourceFile
from examples.health.tree import find_dead_links, find_import_cycles, find_repeated
from examples.health.verdict import collect, judge
from loomgraph import END, OTHERWISE, START, Workflow

__all__ = ["AT_A_TIME", "ROUNDS", "graph", "wf"]

AT_A_TIME = 8
ROUNDS = 40

wf = Workflow("health", input=Request, output=Health, doc="How healthy a directory of code and documents is.")

# the files, each through a graph of its own: none waits for another
find_files = wf.node(list_files, name="find_files")


@wf.node
def select(request: Request, listing: Listing) -> list[SourceFile]:
    """At most as many files as were asked for."""
    return list(listing.files[: request.limit])


wf.edge(START, find_files)
wf.join({"request": START, "listing": find_files}, into=select)
inspect = wf.map(select, wf.subgraph(inspection.graph), limit=AT_A_TIME, on_error="collect")
wf.join({"files": select, "inspected": inspect}, into=collect)

# what can only be seen with all of them at hand
wf.join({"request": START, "reports": collect}, into=find_dead_links)
wf.edge(collect, find_repeated)
wf.chain(collect, find_imports, find_import_cycles)

# importance is refined until it rests; at the cap, the last round's has to do
wf.chain(find_imports, begin_ranking, rank)
wf.loop(rank, again=moves, cap=ROUNDS, on_cap=rough)
wf.edge(rank, settled, when=OTHERWISE)

# the past, where there is one
history = wf.node(read_history, name="read_history", timeout=30)
wf.edge(START, history)
wf.on_error(history, without_history)
wf.edge(START, recall)

wf.join(
    {
        "request": START,
        "listing": find_files,
        "reports": collect,
        "dead_links": find_dead_links,
        "repeated": find_repeated,
        "cycles": find_import_cycles,
        "importance": [settled, rough],
        "history": [history, without_history],
        "previous": recall,
    },
    into=judge,
)
wf.edge(judge, END)

graph = wf.compile()
