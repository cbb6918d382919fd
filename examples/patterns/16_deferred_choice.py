"""WCP-16 Deferred choice: yes

The surroundings choose one of several branches, by what happens first; the others are withdrawn. Two nodes that wait,
joined with `wait="first"`: the first event decides, and the other wait is cancelled. The waits live as long as the
process; a [question or a signal](questions.md) waits beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass

from anyio import sleep

from loomgraph import END, START, Context, Workflow


@dataclass
class Accepted:
    by: str


@dataclass
class Expired:
    offer: str


wf = Workflow("deferred choice", input=str, output=str)


@wf.node
async def wait_for_customer(offer: str, ctx: Context) -> Accepted:
    return Accepted(by=await ctx.deps["customer"](offer))


@wf.node
async def wait_for_expiry(offer: str, ctx: Context) -> Expired:
    await ctx.deps["clock"](offer)
    return Expired(offer)


@wf.node
async def happened(event: Accepted | Expired) -> Accepted | Expired:
    return event


@wf.node
async def book(event: Accepted) -> str:
    return f"booked for {event.by}"


@wf.node
async def release(event: Expired) -> str:
    return f"{event.offer} is free again"


wf.edge(START, wait_for_customer)
wf.edge(START, wait_for_expiry)
wf.join([wait_for_customer, wait_for_expiry], into=happened, wait="first")
wf.route(happened, {Accepted: book, Expired: release})
wf.edge(book, END)
wf.edge(release, END)
graph = wf.compile()


async def customer(offer: str) -> str:
    return "Ann"


async def clock(offer: str) -> None:
    await sleep(3600)


def main() -> None:
    print(graph.run_sync("seat 12", deps={"customer": customer, "clock": clock}).output)


if __name__ == "__main__":
    main()
