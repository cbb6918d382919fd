"""Questions: a run waits for a person, lets go of the process, and goes on with the answer; a webhook is a signal.

Run it: python examples/11_questions.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio
from pydantic import BaseModel

from loomgraph import END, START, Context, Graph, Workflow
from loomgraph.nodes import Human


class Refund(BaseModel):
    amount: int
    to: str


class Approval(BaseModel):
    ok: bool
    note: str = ""


def make() -> Graph[Refund, str]:
    wf = Workflow("refund", input=Refund, output=str)

    # a node that is a person
    approve = wf.node(Human("Refund {amount} EUR to {to}?", answer=Approval, input=Refund), name="approve")

    @wf.node
    async def pay(approval: Approval, ctx: Context) -> str:
        if not approval.ok:
            # any node may ask; its code starts again from here once there is an answer
            return f"refused: {await ctx.ask('What do we tell them?', str)}"
        receipt = await ctx.wait_for("paid", int)
        return f"paid, receipt {receipt} ({approval.note})"

    wf.chain(START, approve, pay, END)
    return wf.compile()


async def first_process(store: str) -> None:
    result = await make().run(Refund(amount=120, to="Ann"), store=store, run_id="refund-1")
    print(result.status)
    for question in result.questions:
        print(f"  {question.id}: {question.question}")


async def second_process(store: str) -> None:
    # a web form, a chat bot, `loomgraph answer`: whoever answers needs no more than the store
    await make().answer("refund-1", {"approve": Approval(ok=True, note="as agreed")}, store=store, by="the boss")
    result = await make().resume("refund-1", store=store)
    print(result.status, "waits for the signal", *result.signals)


async def third_process(store: str) -> None:
    await make().signal("refund-1", "paid", 4711, store=store, id="webhook-17")
    result = await make().resume("refund-1", store=store)
    print(result.output)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:{Path(folder) / 'runs.db'}"
        for process in (first_process, second_process, third_process):
            anyio.run(process, store)


if __name__ == "__main__":
    main()
