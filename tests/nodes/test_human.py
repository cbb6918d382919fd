"""Claims about nodes that ask people: typed, filled in safely, checked before a run, and drawn as what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel

from loomgraph import END, START, CompileError, NodeFailedError, Workflow
from loomgraph.errors import DefinitionError, InvalidAnswerError, StorelessPauseError
from loomgraph.nodes import Human
from loomgraph.store.memory import MemoryStore

pytestmark = pytest.mark.anyio


class Refund(BaseModel):
    amount: float
    to: str


class Approval(BaseModel):
    ok: bool


@dataclass
class Order:
    item: str


class Line(TypedDict):
    item: str


def approving(question: Any, input: Any = Refund) -> Workflow[Any, Any]:
    wf = Workflow("approving", input=input, output=Approval)
    human = wf.node(Human(question, answer=Approval), name="approve")
    wf.chain(START, human, END)
    return wf


async def test_a_person_is_a_node_with_a_typed_answer_and_the_nodes_name_for_an_id() -> None:
    graph, store = approving("Refund {amount:.2f} EUR to {to!r}?").compile(), MemoryStore()
    result = await graph.run(Refund(amount=12.5, to="Ann"), store=store, run_id="t")
    [question] = result.questions
    assert (question.id, question.question) == ("approve", "Refund 12.50 EUR to 'Ann'?")
    with pytest.raises(InvalidAnswerError):  # by its type: the graph is at hand
        await graph.answer("t", {"approve": {"ok": 1}}, store=store)
    done = await graph.resume("t", store=store, answers={"approve": Approval(ok=True)})
    assert done.output == Approval(ok=True)


@pytest.mark.parametrize(
    ("value", "text", "said"),
    [
        (Refund(amount=1, to="x"), "{to} {{literally}}", "x {literally}"),
        (Order("chair"), "{item}?", "chair?"),
        ({"item": "chair"}, "{item}?", "chair?"),
        (7, "{input}?", "7?"),
        ("plain", "no fields", "no fields"),
    ],
)
async def test_the_text_is_filled_with_the_inputs_fields(value: Any, text: str, said: str) -> None:
    result = await approving(text, type(value)).compile().run(value, store=MemoryStore())
    assert result.questions[0].question == said


async def test_a_question_may_be_made_by_a_function_of_the_input() -> None:
    graph = approving(lambda refund: {"amount": refund.amount, "choices": ["yes", "no"]}).compile()
    result = await graph.run(Refund(amount=2, to="x"), store=MemoryStore())
    assert result.questions[0].question == {"amount": 2.0, "choices": ["yes", "no"]}


@pytest.mark.parametrize("text", ["{to.__class__}", "{to[0]}", "{}", "{0}", "{amount:{to}}", "{amount", "}"])
def test_a_text_reaches_nothing_but_fields(text: str) -> None:
    with pytest.raises(DefinitionError, match="the question"):
        Human(text, answer=Approval)


@pytest.mark.parametrize("tp", [Refund, Order, Line, int])
def test_fields_are_checked_where_the_input_is_known(tp: Any) -> None:
    with pytest.raises(DefinitionError, match=r"names '\{amuont\}'"):
        Human("Refund {amuont}?", answer=Approval, input=tp)
    Human("{input}?", answer=Approval, input=tp)


async def test_a_field_that_the_value_does_not_have_is_told_when_it_runs() -> None:
    with pytest.raises(NodeFailedError, match=r"names '\{amuont\}', but its input has 'amount' and 'to'.*\{amount\}\?"):
        await approving("{amuont}").compile().run(Refund(amount=1, to="x"), store=MemoryStore())


def test_edges_into_and_out_of_a_person_are_checked() -> None:
    wf = Workflow("wrong", input=str, output=str)
    human = wf.node(Human("{amount}?", answer=Approval, input=Refund), name="approve")
    wf.chain(START, human, END)
    with pytest.raises(CompileError) as caught:
        wf.compile()
    assert [finding.rule for finding in caught.value.findings] == ["edge-type", "edge-type"]


async def test_a_person_may_stand_wherever_a_function_may() -> None:
    wf = Workflow("many", input=list[str], output=list[str])
    mapped = wf.map(START, Human("{input}?"))
    wf.edge(mapped, END)
    graph, store = wf.compile(), MemoryStore()
    result = await graph.run(["a", "b"], store=store, run_id="t")
    ids = [question.id for question in result.questions]
    assert sorted(ids) == ["human[0]", "human[1]"]
    done = await graph.resume("t", store=store, answers={id: id.upper() for id in ids})
    assert done.output == ["HUMAN[0]", "HUMAN[1]"]


async def test_without_a_store_it_is_refused_before_anything_runs_in_nested_graphs_too() -> None:
    called: list[int] = []
    inner = approving("?", Any).compile()
    wf = Workflow("outer", input=int)

    @wf.node
    async def first(value: int) -> int:
        called.append(value)
        return value

    wf.chain(START, first, inner, END)
    with pytest.raises(StorelessPauseError, match="node 'approving/approve' asks a person"):
        await wf.compile().run(1)
    assert not called


async def test_a_person_is_drawn_with_a_mark_and_a_waiting_one_as_waiting() -> None:
    graph = approving("?").compile()
    result = await graph.run(Refund(amount=1, to="x"), store=MemoryStore())
    assert '[/"approve<br/>asks a person"/]' in graph.to_mermaid()
    assert "shape=parallelogram" in graph.to_dot()
    assert "asks a person<br/>? waiting" in graph.to_mermaid(result)
    assert "? waiting" in graph.to_dot(result)


def test_its_question_and_answer_are_part_of_the_graphs_fingerprint() -> None:
    marks = {approving(text, Any).compile().fingerprint for text in ("a?", "b?")}
    assert len(marks) == 2
    assert approving("a?", Any).compile().fingerprint in marks
