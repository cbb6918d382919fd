"""Hello: two functions as a chain. What travels along an edge is what a function returns.

Run it: python examples/01_hello.py
"""

from __future__ import annotations

from loomgraph import END, START, Workflow

wf = Workflow("hello", input=str, output=str)


@wf.node
def greet(name: str) -> str:
    return f"Hello, {name}"


@wf.node
async def shout(text: str) -> str:
    return f"{text.upper()}!"


wf.chain(START, greet, shout, END)

graph = wf.compile()  # checks the types on every edge, and that END can be reached


def main() -> None:
    result = graph.run_sync("world")  # in async code: await graph.run("world")
    print(result.output)
    for record in result.activations:
        print(f"{record.key}: {record.input!r} -> {record.output!r}")


if __name__ == "__main__":
    main()
