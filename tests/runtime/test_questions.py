"""Claims about questions: asked once, answered from anywhere, typed, and bound to their id."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field

from loomgraph import END, START, Context, Graph, NodeFailedError, Retry, Workflow
from loomgraph.errors import (
    DefinitionError,
    InvalidAnswerError,
    QuestionChangedError,
    QuestionClosedError,
    RunSuspendedError,
    StorelessPauseError,
    UnknownQuestionError,
    UnknownRunError,
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


def asking(tp: Any, question: Any = "?") -> Graph[Any, Any]:
    """A graph of one node that asks one question and gives the answer."""
    wf = Workflow("asking", input=int)

    @wf.node
    async def ask(value: int, ctx: Context) -> Any:
        return await ctx.ask(question, tp)

    wf.chain(START, ask, END)
    return wf.compile()


async def test_a_run_that_asks_is_suspended_says_what_it_asks_and_goes_on_with_the_answer() -> None:
    refund, store = Refund(), MemoryStore()
    graph = refund.graph()
    result = await graph.run(60, store=store, run_id="t")
    assert (result.status, (await store.load("t")).status) == ("suspended", "suspended")
    [question] = result.questions
    assert (question.id, question.key, question.node) == ("approve", "approve", "approve")
    assert question.question == "Refund 120 EUR?"
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


async def test_the_answer_stays_over_attempts_and_resumes_and_the_question_is_not_asked_again() -> None:
    wf, attempts = Workflow("retried", input=int, output=str), [0]
    broken = [True]

    @wf.node(retry=Retry(attempts=2, delay=0))
    async def ask(value: int, ctx: Context) -> str:
        said = await ctx.ask("?", str)
        attempts[0] += 1
        if broken:
            raise ConnectionError("down")
        return f"{said} on attempt {ctx.attempt}"

    wf.chain(START, ask, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(1, store=store, run_id="t")
    with pytest.raises(NodeFailedError):
        await graph.resume("t", store=store, answers={"ask": "yes"})
    assert attempts == [2]
    broken.clear()
    result = await graph.resume("t", store=store)
    assert result.output == "yes on attempt 2"
    assert sum(isinstance(event, QuestionAsked) for event in result.events) == 1


async def test_ids_tell_questions_apart_by_activation_then_by_key_or_by_count() -> None:
    inner = Workflow("each", input=int, output=list[str])

    @inner.node
    async def talk(value: int, ctx: Context) -> list[str]:
        first = await ctx.ask("one", str)
        second = await ctx.ask("two", str)
        third = await ctx.ask("three", str, key="a key/with #marks")
        return [first, second, third]

    inner.chain(START, talk, END)
    wf = Workflow("outer", input=list[int], output=list[list[str]])
    mapped = wf.map(START, inner.compile())
    wf.edge(mapped, END)
    graph, store = wf.compile(), MemoryStore()
    result = await graph.run([1, 2], store=store, run_id="t")
    seen: list[str] = []
    while result.status == "suspended":
        seen += sorted(question.id for question in result.questions)
        result = await graph.resume("t", store=store, answers={q.id: q.id.upper() for q in result.questions})
    assert seen == [
        *("each[0]/talk", "each[1]/talk", "each[0]/talk@2", "each[1]/talk@2"),
        *("each[0]/talk@a key%2Fwith %23marks", "each[1]/talk@a key%2Fwith %23marks"),
    ]
    assert result.output[1][:2] == ["EACH[1]/TALK", "EACH[1]/TALK@2"]


@pytest.mark.parametrize("key", ["", "2", "same"])
async def test_a_key_that_cannot_tell_questions_apart_is_refused_and_not_retried(key: str) -> None:
    wf = Workflow("twice", input=int, output=str)
    calls = [0]

    @wf.node(retry=Retry(attempts=3, delay=0))
    async def ask(value: int, ctx: Context) -> str:
        calls[0] += 1
        await ctx.ask("one", str, key="same")
        return await ctx.ask("two", str, key=key)

    wf.chain(START, ask, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(1, store=store, run_id="t")
    with pytest.raises(NodeFailedError, match="the key 'same'; give each" if key == "same" else "use a word") as caught:
        await graph.resume("t", store=store, answers={"ask@same": "x"})
    assert isinstance(caught.value.__cause__, DefinitionError)
    assert calls == [2]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Order:
    item: str
    price: Decimal
    due: date


TYPED: list[tuple[Any, Any, Any]] = [
    (str, "text", "text"),
    (bool, True, True),
    (int, 7, 7),
    (Literal["a", "b"], "b", "b"),
    (int | None, None, None),
    (Colour, Colour.BLUE, "blue"),
    (list[Colour], [Colour.RED], ["red"]),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (Order, Order("x", Decimal("1.50"), date(2030, 1, 2)), {"item": "x", "price": "1.50", "due": "2030-01-02"}),
    (Approval | Colour, Approval(ok=True), {"ok": True}),
    (tuple[int, str], (1, "a"), [1, "a"]),
    (bytes, b"\x00\xff", "AP8="),
    (Annotated[int, Field(gt=3)], 4, 4),
]


@pytest.mark.parametrize(("tp", "value", "plain"), TYPED, ids=lambda item: str(item)[:30])
@pytest.mark.parametrize("form", ["value", "plain"])
async def test_answers_are_typed_whether_given_as_values_or_as_plain_data(
    tp: Any, value: Any, plain: Any, form: str
) -> None:
    wf, got = Workflow("typed", input=int), []

    @wf.node
    async def ask(value: int, ctx: Context) -> None:
        got.append(await ctx.ask("?", tp))

    wf.chain(START, ask, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(1, store=store, run_id="t")
    await graph.resume("t", store=store, answers={"ask": value if form == "value" else plain})
    assert (got, type(got[0])) == ([value], type(value))


@pytest.mark.parametrize(
    ("tp", "wrong", "problem"),
    [
        (Approval, {"ok": "yes"}, "at ok: 'yes' is not of type 'boolean'"),
        (Approval, {}, "'ok' is a required property"),
        (int, "12", "'12' is not of type 'integer'"),
        (bool, 1, "1 is not of type 'boolean'"),
        (list[Order], [{"item": "x", "price": 1, "due": 3}], r"at \[0\].due: 3 is not of type 'string'"),
        (Annotated[int, Field(gt=3)], 3, "3 is less than or equal to the minimum of 3"),
        (Literal["a", "b"], "c", "'c' is not one of"),
        (str, object(), "object"),
    ],
)
async def test_an_invalid_answer_is_refused_by_name_and_the_run_stays_as_it_was(
    tp: Any, wrong: Any, problem: str
) -> None:
    graph, store = asking(tp), MemoryStore()
    await graph.run(1, store=store, run_id="t")
    before = (await store.events("t"), await store.load("t"))
    with pytest.raises(InvalidAnswerError, match=problem) as caught:
        await graph.resume("t", store=store, answers={"ask": wrong})
    assert (caught.value.run_id, caught.value.id) == ("t", "ask")
    with pytest.raises(InvalidAnswerError, match=problem):
        await answer(store, "t", {"ask": wrong})
    assert (await store.events("t"), await store.load("t"), await store.inbox("t")) == (*before, [])


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("it should be even")
    return value


async def test_what_only_the_type_knows_is_told_as_soon_as_the_type_is_known_and_the_question_stays_open() -> None:
    graph, store = asking(Annotated[int, AfterValidator(_even)]), MemoryStore()
    await graph.run(1, store=store, run_id="t")
    with pytest.raises(InvalidAnswerError, match="Value error, it should be even"):
        await graph.resume("t", store=store, answers={"ask": 3})
    [question] = await open_questions(store, "t")
    assert question.refused == "Value error, it should be even"
    assert (await graph.resume("t", store=store, answers={"ask": 4})).output == 4


async def test_unknown_and_closed_questions_are_errors_of_their_own_and_nothing_of_the_call_is_sent() -> None:
    graph, store = Refund().graph(), MemoryStore()
    await graph.run(60, store=store, run_id="t")
    with pytest.raises(UnknownQuestionError, match=r"never asked 'aprove'.*Did you mean 'approve'"):
        await graph.answer("t", {"approve": Approval(ok=True), "aprove": 1}, store=store)
    with pytest.raises(UnknownRunError):
        await graph.answer("nobody", {"approve": 1}, store=store)
    assert await store.inbox("t") == []
    await graph.answer("t", {"approve": Approval(ok=True)}, store=store)
    await graph.answer("t", {"approve": {"ok": True, "note": ""}}, store=store)  # the same again
    with pytest.raises(QuestionClosedError, match="another answer to it is on its way"):
        await graph.answer("t", {"approve": Approval(ok=False)}, store=store)
    assert (await graph.resume("t", store=store)).output == "True "
    with pytest.raises(QuestionClosedError, match="it has its answer"):
        await graph.resume("t", store=store, answers={"approve": Approval(ok=False)})
    with pytest.raises(QuestionClosedError, match="it has its answer"):
        await answer(store, "t", {"approve": {"ok": True}})


async def test_some_questions_are_answered_now_and_some_later_and_only_those_nodes_start_again() -> None:
    wf, calls = Workflow("three", input=int, output=list[str]), Counter[str]()

    def asker(name: str) -> Callable[..., Any]:
        async def ask(value: int, ctx: Context) -> str:
            calls[name] += 1
            return await ctx.ask(f"{name}?", str)

        return wf.node(ask, name=name)

    nodes = [asker(name) for name in "abc"]

    @wf.node
    async def last(told: list[str]) -> list[str]:
        return told

    for node in nodes:
        wf.edge(START, node)
    wf.join(nodes, into=last)
    wf.edge(last, END)
    graph, store = wf.compile(), MemoryStore()
    result = await graph.run(1, store=store, run_id="t")
    assert sorted(q.id for q in result.questions) == ["a", "b", "c"]
    result = await graph.resume("t", store=store, answers={"b": "B"})
    assert sorted(q.id for q in result.questions) == ["a", "c"]
    assert {a.key: a.status for a in result.activations} == {"a": "waiting", "b": "succeeded", "c": "waiting"}
    assert (await graph.resume("t", store=store, answers={"c": "C", "a": "A"})).output == ["A", "B", "C"]
    assert calls == {"a": 2, "b": 2, "c": 2}


async def test_a_question_that_changed_under_its_id_is_an_error_and_never_gets_the_others_answer() -> None:
    wf, told = Workflow("changing", input=int, output=str), ["Refund 120?"]

    @wf.node(retry=Retry(attempts=3, delay=0))
    async def ask(value: int, ctx: Context) -> str:
        return await ctx.ask(told[0], str)

    wf.chain(START, ask, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(1, store=store, run_id="t")
    told[0] = "Refund 9999?"
    with pytest.raises(NodeFailedError, match="was 'Refund 120\\?' and is now 'Refund 9999\\?'") as caught:
        await graph.resume("t", store=store, answers={"ask": "yes"})
    assert isinstance(caught.value.__cause__, QuestionChangedError)
    assert caught.value.attempt == 1
    told[0] = "Refund 120?"
    result = await graph.resume("t", store=store)
    assert result.status == "suspended"  # it was withdrawn when the node failed, and is asked again
    assert (await graph.resume("t", store=store, answers={"ask": "yes"})).output == "yes"


async def test_a_question_may_be_any_value_that_has_a_json_form() -> None:
    store = MemoryStore()
    graph = asking(str, {"amount": Decimal("1.5"), "of": Approval(ok=True), "when": [date(2030, 1, 2)]})
    result = await graph.run(1, store=store, run_id="t")
    assert result.questions[0].question == {"amount": "1.5", "of": {"ok": True, "note": ""}, "when": ["2030-01-02"]}
    with pytest.raises(NodeFailedError, match="has no JSON form"):
        await asking(str, object()).run(1, store=MemoryStore())


async def test_no_store_no_question_and_no_retry() -> None:
    refund = Refund(retry=Retry(attempts=3, delay=0, on=Exception))
    with pytest.raises(NodeFailedError, match="cannot wait without a store: node 'approve' asks 'Refund 120") as caught:
        await refund.graph().run(60)
    assert isinstance(caught.value.__cause__, StorelessPauseError)
    assert refund.calls["code"] == 1


async def test_a_plain_function_asks_too() -> None:
    wf = Workflow("threads", input=int, output=str)

    @wf.node
    def ask(value: int, ctx: Context) -> str:
        first = ctx.ask_sync("first?", str)
        return f"{first} {ctx.ask_sync('second?', str, key='b')}"

    wf.chain(START, ask, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(1, store=store, run_id="t")
    await graph.resume("t", store=store, answers={"ask": "one"})
    assert (await graph.resume("t", store=store, answers={"ask@b": "two"})).output == "one two"
