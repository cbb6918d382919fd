"""WCP-10 Arbitrary cycles: yes

A cycle with more than one way in or out. Edges may go back anywhere, so a cycle may be entered at several nodes, as
here at `write` and at `check`; compile() picks a header for it and says so in a warning. Every cycle has a cap.
"""

from __future__ import annotations

from loomgraph import END, START, Workflow

wf = Workflow("arbitrary cycles", input=str, output=str)


def is_done(text: str) -> bool:
    return text.endswith("...")


@wf.node
async def receive(text: str) -> str:
    return text


@wf.node
async def write(text: str) -> str:
    return f"{text}."


@wf.node
async def check(text: str) -> str:
    return text


wf.edge(START, receive)
wf.route(receive, {str.istitle: check}, otherwise=write)
wf.edge(write, check)
wf.route(check, {is_done: END}, otherwise=write)
wf.loop(write, check, cap=10)
graph = wf.compile()


def main() -> None:
    print(graph.run_sync("Draft").output)


if __name__ == "__main__":
    main()
