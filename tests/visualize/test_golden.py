"""A handful of drawings, kept as files: any change of how a drawing looks shows up as a difference in review.

`LOOMGRAPH_REDRAW=1 python -m pytest tests/visualize/test_golden.py` draws them anew.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from loomgraph import END, OTHERWISE, START, Failure, Quorum, Workflow

GOLDEN = Path(__file__).parent / "golden"


class Billing: ...


class Technical: ...


class Good: ...


class Bad: ...


@dataclass(frozen=True)
class Did:
    key: str
    status: str = "succeeded"
    seconds: float | None = 0.25
    attempts: int = 1
    amounts: dict[str, float] = field(default_factory=dict)

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(part.partition("#")[0].partition("[")[0] for part in self.key.split("/"))


@dataclass(frozen=True)
class Told:
    activations: tuple[Did, ...]


async def classify(ticket: str) -> Billing | Technical:
    return Billing()


async def refund(case: Billing) -> str:
    return ""


async def diagnose(case: Technical) -> str:
    return ""


async def apology(failure: Failure) -> str:
    return ""


async def draft(text: str) -> str:
    return text


async def critique(text: str) -> Good | Bad:
    return Good()


async def revise(bad: Bad) -> str:
    return ""


async def publish(good: Good) -> str:
    return ""


async def parts(text: str) -> list[str]:
    return [text]


async def merged(texts: list[str]) -> str:
    return ""


async def both(left: str, right: str) -> str:
    return ""


def triage() -> Workflow[Any, Any]:
    wf = Workflow("triage", input=str, output=str)
    wf.edge(START, classify)
    wf.route(classify, {Billing: refund}, otherwise=diagnose)
    wf.on_error(refund, apology, ConnectionError)
    for node in (refund, diagnose, apology):
        wf.edge(node, END)
    return wf


def writing() -> Workflow[Any, Any]:
    wf = Workflow("writing", input=str, output=str)
    wf.chain(START, draft, critique)
    wf.edge(critique, revise, when=Bad)
    wf.edge(revise, critique)
    wf.edge(critique, publish, when=Good)
    last = wf.node(draft, name='the "last" draft')
    wf.loop(critique, revise, cap=5, on_cap=last)
    wf.edge(publish, END)
    wf.edge(last, END)
    return wf


def nested() -> Workflow[Any, Any]:
    inner = Workflow("proof reading", input=str, output=str)
    left, right = inner.node(draft, name="spelling"), inner.node(draft, name="tone")
    inner.parallel([left, right], source=START)
    inner.join({"left": left, "right": right}, into=both)
    inner.edge(both, END)
    wf = Workflow("nested", input=str, output=str)
    wf.edge(START, parts)
    proof = wf.map(parts, wf.node(inner.compile(), name="proof"), limit=4, on_error="skip")
    wf.chain(proof, merged, END)
    return wf


def race() -> Workflow[Any, Any]:
    wf = Workflow("race", input=str, output=str)
    runners = [wf.node(draft, name=f"try {i}") for i in range(3)]
    wf.parallel(runners, source=START)
    wf.join(runners, into=merged, wait=Quorum(2))
    wf.edge(merged, END)
    return wf


def broken() -> Workflow[Any, Any]:
    wf = Workflow("broken", input=str, output=str)
    wf.edge(START, wf.node(draft, name="end"))
    wf.edge("end", "reveiw", when=Good)
    wf.edge("end", "a\nb <b>&amp;</b> #35; \\N", when=OTHERWISE)
    return wf


RUN = Told((
    Did("parts"), Did("proof", seconds=0.5), Did("proof[0]"), Did("proof[0]/spelling"),
    Did("proof[0]/tone", attempts=3),
    Did("proof[0]/both"), Did("proof[1]", "failed"), Did("proof[1]/spelling", "failed"),
    Did("proof[1]/tone", "cancelled"), Did("proof[1]/both", "skipped", None), Did("merged", "running", None),
))  # fmt: skip

EXAMPLES = {
    "triage": (triage, None), "writing": (writing, None), "nested": (nested, None), "nested-run": (nested, RUN),
    "race": (race, None), "broken": (broken, None),
}  # fmt: skip


@pytest.mark.parametrize("form", ["mmd", "dot"])
@pytest.mark.parametrize("name", list(EXAMPLES))
def test_a_drawing_looks_as_it_did(name: str, form: str) -> None:
    make, run = EXAMPLES[name]
    wf = make()
    text = wf.to_mermaid(run) if form == "mmd" else wf.to_dot(run)
    file = GOLDEN / f"{name}.{form}"
    if os.environ.get("LOOMGRAPH_REDRAW"):
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
    assert text == file.read_text(encoding="utf-8")
