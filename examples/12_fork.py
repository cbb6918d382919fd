"""Forks: go on from a finished run with one answer corrected, or with another prompt, and pay only for what changes.

Run it: python examples/12_fork.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio
from pydantic import BaseModel

from loomgraph import END, START, Graph, Workflow


class Ticket(BaseModel):
    customer: str
    text: str


class Case(BaseModel):
    topic: str
    urgent: bool


RAN: list[str] = []  # stands for what a model and a slow search would have cost


def support(prompt: str = "We are sorry.") -> Graph[Ticket, str]:
    wf = Workflow("support", input=Ticket, output=str)

    @wf.node
    async def classify(ticket: Ticket) -> Case:
        RAN.append("classify")
        return Case(topic="billing" if "charged" in ticket.text else "other", urgent=False)

    @wf.node
    async def past_orders(ticket: Ticket) -> list[str]:
        RAN.append("past_orders")
        return [f"{ticket.customer}-{number}" for number in (17, 23)]

    # what the node does depends on the prompt, so its version says which one that is
    @wf.node(version=prompt)
    async def draft(case: Case, orders: list[str]) -> str:
        RAN.append("draft")
        when = "next" if case.urgent else "in line"
        return f"{prompt} Your {case.topic} case is {when}; we looked at {len(orders)} orders."

    @wf.node
    async def sign(text: str) -> str:
        RAN.append("sign")
        return f"{text} The team"

    wf.edge(START, classify)
    wf.edge(START, past_orders)
    wf.join({"case": classify, "orders": past_orders}, into=draft)
    wf.chain(draft, sign, END)
    return wf.compile()


async def work(store: str) -> None:
    graph = support()
    result = await graph.run(Ticket(customer="ann", text="I was locked out, then charged"), store=store, run_id="t-42")
    print(result.output, RAN)

    # a person looks at it: the case is about access, and urgent; the search is not paid for again
    RAN.clear()
    right = Case(topic="access", urgent=True)
    corrected = await graph.fork("t-42", store=store, run_id="t-42-corrected", outputs={"classify": right})
    print((await graph.resume(corrected, store=store)).output, RAN)

    # the same run with a new prompt: what came before it is taken over, the correction too
    RAN.clear()
    friendlier = support("Thank you for telling us!")
    upgraded = await friendlier.fork(corrected, store=store, run_id="t-42-upgraded")
    print((await friendlier.resume(upgraded, store=store)).output, RAN)

    both = await friendlier.compare("t-42", upgraded, store=store)
    for found in both.differences:
        print(f"{found.key}: {', '.join(found.differs)}{' (here it began)' if found.source else ''}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(work, f"sqlite:{Path(folder) / 'runs.db'}")


if __name__ == "__main__":
    main()
