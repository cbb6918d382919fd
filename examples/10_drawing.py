"""Drawing: any graph as Mermaid, DOT or text, any run of it laid over the drawing, and what ran when.

Run it: python examples/10_drawing.py
"""

from __future__ import annotations

from loomgraph import END, OTHERWISE, START, Workflow

wf = Workflow("wash", input=int, output=str)


def still_dirty(spots: int) -> bool:
    return spots > 0


@wf.node
def scrub(spots: int) -> int:
    return spots - 2


@wf.node
def hang(spots: int) -> str:
    return "clean"


@wf.node
def throw_away(spots: int) -> str:
    return "a rag"


wf.edge(START, scrub)
wf.loop(scrub, again=still_dirty, cap=3, on_cap=throw_away)
wf.edge(scrub, hang, when=OTHERWISE)
wf.edge(hang, END)
wf.edge(throw_away, END)

graph = wf.compile()


def main() -> None:
    print(graph.to_mermaid())  # paste it into a Markdown file as a ```mermaid block
    result = graph.run_sync(3)
    print(graph.to_mermaid(result))  # the same with status, visits and time
    print(graph.to_dot(result).splitlines()[0])  # for Graphviz; graph.to_svg() and to_png() have it laid out
    print(graph.to_text(result))  # for a terminal
    print(result.timeline().to_text(width=80))  # which steps made the run as long as it was


if __name__ == "__main__":
    main()
