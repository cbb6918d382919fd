"""Nested graphs: a graph stands where a node does, and a node may run a graph that it chose at run time.

Run it: python examples/08_nested.py
"""

from __future__ import annotations

from loomgraph import END, START, Context, Graph, Workflow


async def double(number: int) -> int:
    return number * 2


async def increase(number: int) -> int:
    return number + 1


def chain_of(*names: str) -> Graph[int, int]:
    """A graph made at run time: the named steps, one after the other."""
    steps = {"double": double, "increase": increase}
    wf = Workflow(" then ".join(names), input=int, output=int)
    nodes = [wf.node(steps[name], name=f"{position} {name}") for position, name in enumerate(names, 1)]
    wf.chain(START, *nodes, END)
    return wf.compile()


wf = Workflow("calculator", input=list[int], output=list[str])


@wf.node
async def follow_plan(number: int, ctx: Context) -> str:
    """Even numbers have one plan, odd numbers another."""
    plan = ("double", "increase") if number % 2 == 0 else ("increase", "increase", "double")
    answer = await ctx.run(chain_of(*plan), number, key="plan")
    return f"{number} -> {answer} ({', '.join(plan)})"


prepare = wf.map(START, chain_of("increase"), limit=4)
wf.map(prepare, follow_plan)
wf.edge(follow_plan, END)

graph = wf.compile()


def main() -> None:
    result = graph.run_sync([1, 2])
    print("\n".join(result.output))
    # every step of every graph is in the log, below the node that ran it
    for record in result.activations:
        print(record.key)


if __name__ == "__main__":
    main()
