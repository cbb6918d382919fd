"""One process asks and ends, another answers, a third goes on; each is killed, and none knows the others."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Graph, Workflow
from loomgraph.nodes import Human
from loomgraph.runtime.questions import answer, open_questions
from loomgraph.store.opening import open_store
from tests.processes import Child, skip_where_none


class Approval(BaseModel):
    ok: bool
    note: str = ""


class Request(BaseModel):
    amount: int


def graph(calls: Path) -> Graph[int, str]:
    """A price that is asked for once, a person who agrees to it, and somebody who pays."""
    wf = Workflow("refund", input=int, output=str)

    async def price(amount: int) -> Request:
        with calls.open("a", encoding="utf-8") as file:
            file.write("priced\n")
        return Request(amount=amount * 2)

    @wf.node
    async def look(amount: int, ctx: Context) -> Request:
        return await ctx.step("price", price, amount, result=Request)

    @wf.node
    async def tell(approval: Approval, ctx: Context) -> str:
        paid = await ctx.wait_for("paid", int)
        return f"{approval.ok} {approval.note} {paid}"

    human = wf.node(Human("Refund {amount}?", answer=Approval, input=Request), name="approve")
    wf.chain(START, look, human, tell, END)
    return wf.compile()


async def asks(folder: Path, address: str) -> Any:
    result = await graph(folder / "calls").run(60, store=address, run_id="t")
    return result.status, [question.question for question in result.questions]


async def answers(folder: Path, address: str) -> Any:
    # without the graph
    store = open_store(address)
    [question] = await open_questions(store, "t")
    await answer(store, "t", {question.id: {"ok": True, "note": "fine"}}, by="a person")
    return question.id


async def pays(folder: Path, address: str) -> Any:
    await graph(folder / "calls").signal("t", "paid", 120, store=address, id="payment-1")


async def goes_on(folder: Path, address: str) -> Any:
    result = await graph(folder / "calls").resume("t", store=address)
    return result.status, result.output if result.status == "succeeded" else None


STEPS = {"asks": asks, "answers": answers, "pays": pays, "goes on": goes_on}


def dies(parent: Connection, what: str, folder: Path) -> None:
    """Take one step, and die of SIGKILL as soon as it is said what came of it."""

    async def main() -> None:
        parent.send(await STEPS[what](folder, f"sqlite:{folder / 'runs.db'}"))
        os.kill(os.getpid(), signal.SIGKILL)

    anyio.run(main)


@pytest.mark.skipif(skip_where_none, reason="processes are killed with SIGKILL, which needs POSIX")
def test_one_process_asks_another_answers_and_a_third_goes_on_though_each_is_killed(tmp_path: Path) -> None:
    def process(what: str) -> Any:
        with Child(dies, what, tmp_path) as child:
            said = child.hear()
            with pytest.raises(EOFError):
                child.hear()
            return said

    assert process("asks") == ("suspended", ["Refund 120?"])
    assert process("answers") == "approve"
    assert process("goes on") == ("suspended", None)
    for _ in range(2):  # sent again by somebody who was killed
        assert process("pays") is None
    assert process("goes on") == ("succeeded", "True fine 120")
    assert (tmp_path / "calls").read_text(encoding="utf-8") == "priced\n"
