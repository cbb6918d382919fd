"""A directory of small modules to point the command at, and a way to call it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from loomgraph.cli.app import app

TRIAGE = """
from typing import Literal

from pydantic import BaseModel

from loomgraph import END, START, Workflow


class Ticket(BaseModel):
    text: str
    amount: int = 0


class Reply(BaseModel):
    text: str


wf = Workflow("triage", input=Ticket, output=Reply)


@wf.node
async def classify(ticket: Ticket) -> Ticket:
    return ticket


@wf.node
def refund(case: Ticket) -> Reply:
    if case.text == "fail":
        raise RuntimeError("the bank [is] closed")
    return Reply(text=f"{case.amount} € refunded")


@wf.node
def diagnose(case: Ticket) -> Reply:
    return Reply(text=f"looking at {case.text}")


wf.edge(START, classify)
wf.route(classify, {(lambda t: t.amount > 0): refund}, otherwise=diagnose)
wf.edge(refund, END)
wf.edge(diagnose, END)
"""

BROKEN = """
from loomgraph import END, START, Workflow

wf = Workflow("broken", input=int, output=int)


@wf.node
def first(value: int) -> int:
    return value


wf.edge(START, first)
wf.edge("frist", END)
"""

NUMBERS = """
from loomgraph import END, START, Workflow

double_wf = Workflow("double", input=int, output=int)


@double_wf.node
def double(value: int) -> int:
    return 2 * value


double_wf.chain(START, double, END)
doubling = double_wf.compile()

square_wf = Workflow("square", input=list[int], output=list[int])
square_wf.map(START, lambda_ := square_wf.node(lambda value: value * value, name="square"))
square_wf.edge(lambda_, END)
answer = 42


def make():
    return double_wf
"""

ORDER = """
from pathlib import Path

import anyio

from loomgraph import END, START, Workflow

wf = Workflow("order", input=int, output=int)


@wf.node
async def price(amount: int) -> int:
    with Path("calls.txt").open("a") as file:
        file.write("price\\n")
    return amount * 2


@wf.node
async def pay(total: int) -> int:
    if Path("hold").exists():
        await anyio.sleep_forever()
    if Path("closed").exists():
        raise RuntimeError("the bank is closed")
    return total + 1


wf.chain(START, price, pay, END)
"""

REFUND = """
from pydantic import BaseModel

from loomgraph import END, START, Context, Workflow
from loomgraph.nodes import Human


class Approval(BaseModel):
    yes: bool
    why: str = ""


wf = Workflow("refund", input=int, output=str)
approve = wf.node(Human("Refund {input} EUR?", answer=Approval, input=int), name="approve")


@wf.node
async def pay(approval: Approval, ctx: Context) -> str:
    paid = await ctx.wait_for("paid", float)
    return f"{approval.yes}: {paid}"


wf.chain(START, approve, pay, END)
"""

MODULES = {"triage.py": TRIAGE, "broken.py": BROKEN, "numbers_.py": NUMBERS, "order.py": ORDER, "refund.py": REFUND}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory with the modules; what they leave in `sys` is taken away again."""
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for variable in ("LOOMGRAPH_STORE", "LOOMGRAPH_KEY"):
        monkeypatch.delenv(variable, raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def loom(place: Path) -> Callable[..., Any]:
    """Call the command in this process: `loom("check", "triage")`; `given` is its standard input."""
    runner = CliRunner()

    def call(*arguments: str, given: str | bytes | None = None) -> Any:
        return runner.invoke(app, list(arguments), input=given)

    return call
