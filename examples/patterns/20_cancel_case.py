"""WCP-20 Cancel case: yes

The whole process is stopped. `cancel()` on a run, its `deadline`, or a failure that nothing handles: what is in flight
is cancelled, what finished is kept on the error, and nothing else starts.
"""

from __future__ import annotations

import anyio

from loomgraph import END, START, Context, Workflow
from loomgraph.errors import RunCancelledError

wf = Workflow("cancel case", input=str, output=str)


@wf.node
async def open_case(name: str) -> str:
    return f"case of {name}"


@wf.node
async def wait_for_papers(case: str, ctx: Context) -> str:
    await ctx.emit("waiting")
    await anyio.sleep_forever()
    return case


@wf.node
async def decide(case: str) -> str:
    return f"{case}: decided"


wf.chain(START, open_case, wait_for_papers, decide, END)
graph = wf.compile()


async def withdraw(name: str) -> RunCancelledError | None:
    async with graph.start(name) as run:
        async for event in run.events():
            if event.kind == "Emitted":
                run.cancel("the claim was withdrawn")
        try:
            await run.result()
        except RunCancelledError as error:
            return error
    return None


def main() -> None:
    error = anyio.run(withdraw, "Ann")
    print(error, error.finished if error else "")


if __name__ == "__main__":
    main()
