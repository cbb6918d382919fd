"""Loop: a draft is shortened until it fits, at most four times; at the cap, somebody else takes over.

Run it: python examples/05_loop.py
"""

from __future__ import annotations

from pydantic import BaseModel

from loomgraph import END, OTHERWISE, START, Workflow

ROOM = 20
CAP = 4


class Draft(BaseModel):
    text: str
    rounds: int = 0


wf = Workflow("headline", input=Draft, output=str)


def too_long(draft: Draft) -> bool:
    return len(draft.text) > ROOM


@wf.node
def shorten(draft: Draft) -> Draft:
    """Leave out the last word."""
    return Draft(text=draft.text.rpartition(" ")[0] or draft.text, rounds=draft.rounds + 1)


@wf.node
def publish(draft: Draft) -> str:
    return f"{draft.text!r} after {draft.rounds} rounds"


@wf.node
def cut(draft: Draft) -> str:
    return f"{draft.text[:ROOM]!r} cut after {draft.rounds} rounds"


wf.edge(START, shorten)
wf.loop(shorten, again=too_long, cap=CAP, on_cap=cut)
wf.edge(shorten, publish, when=OTHERWISE)
wf.edge(publish, END)
wf.edge(cut, END)

graph = wf.compile()


def main() -> None:
    print(graph.run_sync(Draft(text="a loop that ends when it fits")).output)
    print(graph.run_sync(Draft(text="supercalifragilisticexpialidocious")).output)


if __name__ == "__main__":
    main()
