"""Claims about what is refused outside a run: each its own error, word for word, and the run stays as it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Graph, Workflow
from loomgraph.errors import (
    GraphChangedError,
    InvalidAnswerError,
    InvalidSignalError,
    LoomgraphError,
    QuestionClosedError,
    RunExistsError,
    RunSuspendedError,
    StorelessPauseError,
    UnknownQuestionError,
    UnknownRunError,
)
from loomgraph.events import MessageRefused
from loomgraph.nodes import Human
from loomgraph.runtime.questions import answer, open_questions, signal
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Store
from tests.places import Place

pytestmark = pytest.mark.anyio


class Approval(BaseModel):
    yes: bool
    limit: int = 0


def refunds(approver: str = "approve", calls: list[str] | None = None) -> Graph[int, str]:
    """Two people are asked at once; then a signal is waited for."""
    wf = Workflow("refund", input=int, output=str)

    @wf.node
    async def look(amount: int) -> int:
        if calls is not None:
            calls.append("look")
        return amount * 2

    first = wf.node(Human("Refund {input}?", answer=Approval, input=int), name=approver)
    second = wf.node(Human("Sure?", answer=bool, input=int), name="check")

    @wf.node
    async def pay(approval: Approval, sure: bool, ctx: Context) -> str:
        return f"{approval.yes} {sure} {await ctx.wait_for('paid', int)}"

    wf.edge(START, look)
    wf.edge(look, first)
    wf.edge(look, second)
    wf.join({"approval": first, "sure": second}, into=pay)
    wf.edge(pay, END)
    return wf.compile()


async def state_of(store: Store) -> Any:
    """All that a store has of the run."""
    return (
        await store.load("t-42"),
        await store.events("t-42"),
        await store.digests("t-42"),
        await store.inbox("t-42"),
    )


Attempt = Callable[[Graph[int, str], Store], Awaitable[Any]]

GOING_ON = (
    "Resume it with the graph that wrote it; where only code changed, with on_change='compatible'; or with "
    "on_change='rerun', which keeps what the change does not touch and runs the rest anew."
)

REFUSED: dict[str, tuple[Attempt, type[LoomgraphError], str]] = {
    "an unknown run is resumed": (
        lambda graph, store: graph.resume("t-43", store=store),
        UnknownRunError,
        "there is no run 't-43' in memory:. Did you mean 't-42'?",
    ),
    "an unknown run is answered": (
        lambda graph, store: graph.answer("u", {"approve": {"yes": True}}, store=store),
        UnknownRunError,
        "there is no run 'u' in memory:. List what is there with runs().",
    ),
    "another input under the same id": (
        lambda graph, store: graph.run(61, store=store, run_id="t-42"),
        RunExistsError,
        "run 't-42' is in memory: already. Resume it, delete it, or choose another run id.",
    ),
    "a pending node is renamed": (
        lambda graph, store: refunds("agree").resume("t-42", store=store),
        GraphChangedError,
        f"run 't-42' cannot go on with this graph:\n"
        f"  - node 'approve', which has run, is called 'agree' now\n{GOING_ON}",
    ),
    "an answer is none": (
        lambda graph, store: graph.resume("t-42", store=store, answers={"approve": {"yes": "maybe"}}),
        InvalidAnswerError,
        "{'yes': 'maybe'} is no answer to question 'approve' of run 't-42': at yes: 'maybe' is not of type 'boolean'. "
        "Nothing was answered; give what the question's schema asks for.",
    ),
    "one of two answers is none": (
        lambda graph, store: graph.answer("t-42", {"approve": Approval(yes=True), "check": "so so"}, store=store),
        InvalidAnswerError,
        "'so so' is no answer to question 'check' of run 't-42': 'so so' is not of type 'boolean'. "
        "Nothing was answered; give what the question's schema asks for.",
    ),
    "what was not asked is answered": (
        lambda graph, store: answer(store, "t-42", {"aprove": True}),
        UnknownQuestionError,
        "run 't-42' never asked 'aprove'; it waits for an answer to 'approve' and 'check'. Did you mean 'approve'?",
    ),
    "a signal has no JSON form": (
        lambda graph, store: graph.signal("t-42", "paid", ..., store=store),
        InvalidSignalError,
        "Ellipsis is not what run 't-42' waits for as signal 'paid': a ellipsis gave Ellipsis, declared as ellipsis, "
        "which does not survive being stored: 'Ellipsis' can't be serialized to JSON. Declare the exact type, or "
        "register the class with loomgraph.register(Class, dump, load). Nothing was sent.",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_refused_says_why_and_changes_nothing(what: str) -> None:
    attempt, error, message = REFUSED[what]
    graph, store = refunds(), MemoryStore()
    await graph.run(60, store=store, run_id="t-42")
    before = await state_of(store)
    with pytest.raises(error) as caught:
        await attempt(graph, store)
    assert (type(caught.value), str(caught.value)) == (error, message)
    assert await state_of(store) == before
    assert [question.id for question in await open_questions(store, "t-42")] == ["approve", "check"]


FORK = "To see what would have come of another answer, fork the run before that event."

CLOSED: dict[str, tuple[Attempt, str]] = {
    "one that has its answer": (
        lambda graph, store: graph.answer("t-42", {"approve": Approval(yes=False)}, store=store),
        f"question 'approve' of run 't-42' takes no answer any more: ann has answered it. {FORK}",
    ),
    "one that has its answer, as the run goes on": (
        lambda graph, store: graph.resume("t-42", store=store, answers={"approve": {"yes": True}}),
        f"question 'approve' of run 't-42' takes no answer any more: ann has answered it. {FORK}",
    ),
    "one whose answer is on its way": (
        lambda graph, store: answer(store, "t-42", {"check": False}),
        f"question 'check' of run 't-42' takes no answer any more: another answer to it is on its way. {FORK}",
    ),
}


@pytest.mark.parametrize("what", CLOSED)
async def test_an_answer_to_a_closed_question_is_refused_and_changes_nothing(what: str) -> None:
    attempt, message = CLOSED[what]
    graph, store = refunds(), MemoryStore()
    await graph.run(60, store=store, run_id="t-42")
    await graph.answer("t-42", {"approve": Approval(yes=True)}, store=store, by="ann")
    assert (await graph.resume("t-42", store=store)).status == "suspended"
    await graph.answer("t-42", {"check": True}, store=store)
    before = await state_of(store)
    with pytest.raises(QuestionClosedError) as caught:
        await attempt(graph, store)
    assert str(caught.value) == message
    assert await state_of(store) == before
    await graph.signal("t-42", "paid", 7, store=store)
    assert (await graph.resume("t-42", store=store)).output == "True True 7"
    before = await state_of(store)
    with pytest.raises(QuestionClosedError) as caught:
        await graph.answer("t-42", {"check": False}, store=store)
    assert str(caught.value) == f"question 'check' of run 't-42' takes no answer any more: it has its answer. {FORK}"
    assert await state_of(store) == before


async def test_a_pause_without_a_store_is_refused_before_anything_runs() -> None:
    calls: list[str] = []
    with pytest.raises(StorelessPauseError) as caught:
        await refunds(calls=calls).run(60, run_id="t-42")
    assert str(caught.value) == (
        "run 't-42' cannot wait without a store: node 'approve' asks a person. "
        'Give it one, such as graph.run(..., store="sqlite:runs.db").'
    )
    assert calls == []


async def test_the_output_of_a_run_that_waits_says_for_whom_and_how_to_answer() -> None:
    result = await refunds().run(60, store=MemoryStore(), run_id="t-42")
    with pytest.raises(RunSuspendedError) as caught:
        _ = result.output
    assert str(caught.value) == (
        "run 't-42' is suspended and has no output yet. It waits for:\n"
        "  question 'approve': Refund 120?\n"
        "  question 'check': Sure?\n"
        "Go on with await graph.resume('t-42', store=..., answers={'approve': ...})."
    )


MALFORMED: dict[str, tuple[str, bytes, str]] = {
    "no JSON": ("answer", b"yes", "it is no JSON: expected value at line 1 column 1"),
    "nothing": ("answer", b"", "it is no JSON: EOF while parsing a value at line 1 column 0"),
    "other bytes": ("signal", b"\xff\xfe", "it is no JSON: expected value at line 1 column 1"),
    "no object": (
        "answer",
        b"[1]",
        "it is no JSON object with id, asked, answer and by, as loomgraph.runtime.questions.answer sends it",
    ),
    "no answer in it": (
        "answer",
        b'{"id": "check", "asked": "1", "answer": true, "by": null}',
        "it is no JSON object with id, asked, answer and by, as loomgraph.runtime.questions.answer sends it",
    ),
    "no name of a signal": (
        "signal",
        b'{"value": 1}',
        "it is no JSON object with signal and value, as loomgraph.runtime.questions.signal sends it",
    ),
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_a_message_that_is_not_what_it_says_is_refused_in_the_log_and_the_run_goes_on(what: str) -> None:
    kind, data, reason = MALFORMED[what]
    graph, store = refunds(), MemoryStore()
    await graph.run(60, store=store, run_id="t-42")
    asked = {question.id: question.seq for question in await open_questions(store, "t-42")}
    # by somebody who writes to the store without loomgraph, even where an answer belongs
    await store.post("t-42", f"answer:{asked['check']}:check", kind, data)
    result = await graph.resume("t-42", store=store)
    assert (result.status, len(result.questions)) == ("suspended", 2)
    assert (await graph.resume("t-42", store=store, answers={"approve": Approval(yes=True)})).status == "suspended"
    await graph.answer("t-42", {"check": True}, store=store)
    await graph.answer("t-42", {"check": True}, store=store)
    await signal(store, "t-42", "paid", 7)
    result = await graph.resume("t-42", store=store)
    assert result.output == "True True 7"
    refused = [(event.message, event.reason) for event in result.events if isinstance(event, MessageRefused)]
    assert refused == [(f"answer:{asked['check']}:check", reason)]
    assert (await graph.replay("t-42", store=store)).output == "True True 7"


async def test_of_two_answers_behind_a_message_that_is_none_one_wins(place: Place) -> None:
    graph, store = refunds(), place.store()
    await graph.run(60, store=store, run_id="t-42")
    (asked,) = [question.seq for question in await open_questions(store, "t-42") if question.id == "check"]
    await store.post("t-42", f"answer:{asked}:check", "answer", b"?")
    await answer(store, "t-42", {"check": True})
    with pytest.raises(QuestionClosedError):
        await answer(store, "t-42", {"check": False})
    await store.close()
