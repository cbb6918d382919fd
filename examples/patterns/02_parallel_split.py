"""WCP-2 Parallel split: yes

One branch becomes several that run at the same time. Several unconditional edges out of a node are all taken, each
with a copy of the value that is the target's own.
"""

from __future__ import annotations

from loomgraph import END, START, Context, Workflow

wf = Workflow("parallel split", input=str, output=list[str])


@wf.node
async def register(claim: str) -> str:
    return claim.upper()


@wf.node
async def call_garage(claim: str, ctx: Context) -> str:
    return await ctx.deps("garage", claim)


@wf.node
async def call_customer(claim: str, ctx: Context) -> str:
    return await ctx.deps("customer", claim)


wf.edge(START, register)
wf.edge(register, call_garage)
wf.edge(register, call_customer)
wf.join([call_garage, call_customer], into=END)
graph = wf.compile()


async def call(whom: str, claim: str) -> str:
    return f"{whom} knows of {claim}"


def main() -> None:
    print(graph.run_sync("claim 7", deps=call).output)


if __name__ == "__main__":
    main()
