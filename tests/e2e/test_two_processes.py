"""One process asks and ends, another answers, a third goes on; each may be killed, and none knows the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = '''
import json, os, signal, sys
import anyio
from pydantic import BaseModel
from loomgraph import END, START, Context, Workflow
from loomgraph.nodes import Human
from loomgraph.runtime.questions import answer, open_questions
from loomgraph.store.opening import open_store

what, address, die = sys.argv[1], sys.argv[2], sys.argv[3] == "die"


class Approval(BaseModel):
    ok: bool
    note: str = ""


class Request(BaseModel):
    amount: int


def price(amount):
    with open(os.environ["CALLS"], "a", encoding="utf-8") as calls:
        calls.write("priced\\n")
    return Request(amount=amount * 2)


def graph():
    wf = Workflow("refund", input=int, output=str)

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


async def main():
    if what == "ask":
        result = await graph().run(60, store=address, run_id="t")
        told = {"status": result.status, "asked": [question.question for question in result.questions]}
    elif what == "answer":  # without the graph
        store = open_store(address)
        [question] = await open_questions(store, "t")
        await answer(store, "t", {question.id: {"ok": True, "note": "fine"}}, by="a person")
        if not die:
            await store.close()
        told = {"id": question.id}
    elif what == "pay":
        await graph().signal("t", "paid", 120, store=address, id="payment-1")
        told = {}
    else:
        result = await graph().resume("t", store=address)
        told = {"status": result.status, "output": result.output if result.status == "succeeded" else None}
    print(json.dumps(told), flush=True)
    if die:
        os.kill(os.getpid(), signal.SIGKILL)


anyio.run(main)
'''


def process(folder: Path, what: str, *, die: bool) -> Any:
    """Run one step in a process of its own, which may die by SIGKILL when it is done; what it told."""
    command = [sys.executable, "-c", PROGRAM, what, f"sqlite:{folder / 'runs.db'}", "die" if die else "end"]
    env = {**os.environ, "CALLS": str(folder / "calls")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == (-signal.SIGKILL if die else 0), done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed with SIGKILL, which needs POSIX")
def test_one_process_asks_another_answers_and_a_third_goes_on_though_each_is_killed(tmp_path: Path) -> None:
    die = True
    assert process(tmp_path, "ask", die=die) == {"status": "suspended", "asked": ["Refund 120?"]}
    assert process(tmp_path, "answer", die=die) == {"id": "approve"}
    assert process(tmp_path, "go on", die=die) == {"status": "suspended", "output": None}
    for _ in range(2):  # sent again by somebody who was killed
        assert process(tmp_path, "pay", die=die) == {}
    assert process(tmp_path, "go on", die=die) == {"status": "succeeded", "output": "True fine 120"}
    assert (tmp_path / "calls").read_text(encoding="utf-8") == "priced\n"
