"""Claims about questions: asked once, answered from anywhere, typed, and bound to their id; a pause holds nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Graph, Workflow
from loomgraph.errors import (
    RunSuspendedError,
)
from loomgraph.events import QuestionAnswered, QuestionAsked, RunSuspended
from loomgraph.runtime.questions import answer, open_questions
from loomgraph.store.memory import MemoryStore

pytestmark = pytest.mark.anyio


class Approval(BaseModel):
    ok: bool
    note: str = ""


class Refund:
    """A node that looks a price up (a durable step) and asks; counts what it calls."""

    def __init__(self, **options: Any) -> None:
        self.calls: Counter[str] = Counter()
        self.options = options

    def graph(self) -> Graph[int, str]:
        wf = Workflow("refund", input=int, output=str)

        @wf.node(**self.options)
        async def approve(amount: int, ctx: Context) -> Approval:
            self.calls["code"] += 1
            price = await ctx.step("price", self._price, amount)
            return await ctx.ask(f"Refund {price} EUR?", Approval)

        @wf.node
        async def tell(approval: Approval) -> str:
            self.calls["tell"] += 1
            return f"{approval.ok} {approval.note}"

        wf.chain(START, approve, tell, END)
        return wf.compile()

    async def _price(self, amount: int) -> int:
        self.calls["price"] += 1
        return amount * 2


async def test_a_run_that_asks_is_suspended_says_what_it_asks_and_goes_on_with_the_answer() -> None:
    refund, store = Refund(), MemoryStore()
    graph = refund.graph()
    result = await graph.run(60, store=store, run_id="t")
    assert (result.status, (await store.load("t")).status) == ("suspended", "suspended")
    [question] = result.questions
    assert (question.id, question.key, question.node, question.question) == (
        "approve",
        "approve",
        "approve",
        "Refund 120 EUR?",
    )
    assert question.schema["properties"]["ok"] == {"title": "Ok", "type": "boolean"}
    assert [(a.key, a.status) for a in result.activations] == [("approve", "waiting")]
    with pytest.raises(RunSuspendedError) as caught:
        _ = result.output
    assert str(caught.value) == (
        "run 't' is suspended and has no output yet. It waits for:\n  question 'approve': Refund 120 EUR?\n"
        "Go on with await graph.resume('t', store=..., answers={'approve': ...})."
    )
    done = await graph.resume("t", store=store, answers={"approve": Approval(ok=True, note="fine")})
    assert (done.status, done.output, done.questions) == ("succeeded", "True fine", ())
    assert refund.calls == {"code": 2, "price": 1, "tell": 1}
    assert [a.status for a in done.activations] == ["succeeded", "succeeded"]
    kinds = [type(event) for event in done.events]
    assert kinds.index(QuestionAsked) < kinds.index(RunSuspended) < kinds.index(QuestionAnswered)


async def test_a_resume_that_brings_nothing_new_changes_nothing_and_calls_nothing() -> None:
    refund, store = Refund(), MemoryStore()
    graph = refund.graph()
    await graph.run(60, store=store, run_id="t")
    before = await store.events("t")
    again = await graph.resume("t", store=store)
    assert (again.status, [q.id for q in again.questions]) == ("suspended", ["approve"])
    assert await store.events("t") == before
    assert refund.calls["code"] == 1


async def test_an_answer_posted_from_elsewhere_is_there_at_the_next_resume_and_says_who_gave_it() -> None:
    store = MemoryStore()
    graph = Refund().graph()
    await graph.run(60, store=store, run_id="t")
    assert [q.id for q in await open_questions(store, "t")] == ["approve"]
    await answer(store, "t", {"approve": {"ok": False}}, by="ann")  # plain data, no graph at hand
    assert await open_questions(store, "t") == ()
    result = await graph.resume("t", store=store)
    assert result.output == "False "
    [answered] = [event for event in result.events if isinstance(event, QuestionAnswered)]
    assert (answered.id, answered.answer, answered.by) == ("approve", Approval(ok=False), "ann")
