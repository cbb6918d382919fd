"""State: what several nodes write down on the way. A field with a reducer takes writes from parallel branches.

Run it: python examples/07_state.py
"""

from __future__ import annotations

import operator
from typing import Annotated

from pydantic import BaseModel

from loomgraph import END, START, Context, Workflow


class Notes(BaseModel):
    sources: Annotated[list[str], operator.add] = []
    spent: Annotated[int, operator.add] = 0
    title: str = ""


wf = Workflow("research", input=str, output=str, state=Notes)


@wf.node
def plan(topic: str, ctx: Context[Notes]) -> str:
    ctx.update(title=topic.title())
    return topic


@wf.node
def search_books(topic: str, ctx: Context[Notes]) -> str:
    ctx.update(sources=["a book"], spent=3)
    return f"a chapter on {topic}"


@wf.node
def search_papers(topic: str, ctx: Context[Notes]) -> str:
    ctx.update(sources=["a paper", "its appendix"], spent=1)
    return f"a table of {topic}"


@wf.node
def write(found: list[str], ctx: Context[Notes]) -> str:
    # what is seen here is the same whichever search was faster: the order is that of the graph, not of time
    notes = ctx.state
    return f"{notes.title}: {' and '.join(found)} (from {', '.join(notes.sources)}; spent {notes.spent})"


wf.edge(START, plan)
wf.parallel([search_books, search_papers], source=plan, into=write)
wf.edge(write, END)

graph = wf.compile()


def main() -> None:
    result = graph.run_sync("knots")
    print(result.output)
    print(result.state)


if __name__ == "__main__":
    main()
