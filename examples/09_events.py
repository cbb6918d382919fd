"""Events: watch a run while it goes on, and cancel it; what had finished is kept.

Run it: python examples/09_events.py
"""

from __future__ import annotations

import anyio

from loomgraph import END, START, Context, Workflow
from loomgraph.errors import RunCancelledError
from loomgraph.events import Emitted

wf = Workflow("copying", input=int, output=int)


@wf.node
def measure(pages: int) -> int:
    return pages


@wf.node
async def copy(pages: int, ctx: Context) -> int:
    """Takes a minute for each page after the second."""
    for page in range(1, pages + 1):
        await ctx.emit(f"page {page} of {pages}")
        await anyio.sleep(0 if page < 3 else 60)
    return pages


wf.chain(START, measure, copy, END)

graph = wf.compile()


async def watch() -> None:
    async with graph.start(5, run_id="copy-1") as run:
        async for event in run.events():
            said = event.data if isinstance(event, Emitted) else ""
            print(f"{event.seq} {event.kind} {getattr(event, 'key', '')} {said}".rstrip())
            if said == "page 3 of 5":
                run.cancel("three pages are enough")
        try:
            await run.result()
        except RunCancelledError as error:
            print(error)
            print(f"finished: {dict(error.finished)}")


def main() -> None:
    anyio.run(watch)


if __name__ == "__main__":
    main()
