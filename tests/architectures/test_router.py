"""Claims about the Router: what it costs, where things go, and what happens when a choice leads nowhere."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel

from loomgraph import END, START, Agent, NodeFailedError, Workflow, tool
from loomgraph.architectures import ReAct, Router
from loomgraph.architectures.workers import Worker
from loomgraph.errors import DefinitionError, OutputValidationError, UnresolvableRouteError
from loomgraph.models import ScriptedModel, ToolCall
from loomgraph.store.memory import MemoryStore
from tests.architectures.voices import asked, heard, told

pytestmark = pytest.mark.anyio

NASTY = "{x} {{y}} ${z} \"quoted\" 'and' `ticks` {% raw %} %s </task> {"


@tool(reads=())
async def invoice(number: int) -> str:
    """Look an invoice up."""
    return f"invoice {number}: 40 EUR"


def choice(route: str, confidence: float = 1.0) -> dict[str, Any]:
    return {"route": route, "confidence": confidence, "reason": "it says so"}


def desk(router: Router, *turns: Any, **options: Any) -> tuple[Agent[Any, Any], ScriptedModel]:
    model = ScriptedModel(turns)
    return Agent("desk", model, instructions="Be brief.", architecture=router, **options), model


ROUTES: Any = {
    "billing": Worker(Agent("billing", "echo", tools=[invoice]), "money and invoices"),
    "tech": Agent("tech", "echo", description="machines that do not work"),
}


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_it_costs_one_call_and_those_of_the_route(turns: int) -> None:
    calls = [ToolCall(id=f"{i}", name="invoice", arguments={"number": i}) for i in range(turns)]
    worker = ScriptedModel([*calls, "40 EUR."])
    routes = {"billing": Agent("billing", worker, tools=[invoice]), "tech": Agent("tech", ScriptedModel([]))}
    agent, model = desk(Router(routes), choice("billing"))
    result = await agent.run("What is on invoice 7?")
    assert result.output == "40 EUR."
    assert (len(model.requests), len(worker.requests)) == (1, 1 + turns)
    assert result.usage.model_calls == 1 + (1 + turns)
    assert heard(model) == ["What is on invoice 7?"]
    assert asked(worker.requests[0]) == "What is on invoice 7?"


def test_the_classifier_is_told_the_routes_and_answers_with_one_of_them() -> None:
    agent, model = desk(Router(ROUTES, instructions="Sort it."), choice("tech"))
    assert agent.run_sync("It smokes.").output == "It smokes."
    assert told(model.requests[0]) == (
        "Be brief.\n\nSort it.\n\nThe routes:\n- billing: money and invoices\n- tech: machines that do not work"
    )
    spec: Any = model.requests[0].output
    assert spec.json_schema["properties"]["route"]["enum"] == ["billing", "tech"]


def test_a_choice_that_leads_nowhere_is_an_error_with_what_was_chosen() -> None:
    for said, least in ((choice("sales"), 0.0), (choice("tech", 0.4), 0.5)):
        agent, _ = desk(Router(ROUTES, min_confidence=least), said)
        with pytest.raises(NodeFailedError) as caught:
            agent.run_sync("Hello")
        error = caught.value.__cause__
        assert isinstance(error, UnresolvableRouteError)
        assert (error.route, error.confidence, error.reason) == (said["route"], said["confidence"], "it says so")
        assert (error.value, error.known) == ("Hello", ("billing", "tech"))
        assert "classify/classifier" in caught.value.finished


def test_a_classifier_that_is_just_sure_enough_is_followed() -> None:
    agent, _ = desk(Router(ROUTES, min_confidence=0.5), choice("billing", 0.5))
    assert agent.run_sync("Hello").activations[-1].status == "succeeded"


def test_a_fallback_takes_what_leads_nowhere() -> None:
    for said in (choice("sales"), choice("tech", 0.4)):
        agent, _ = desk(Router(ROUTES, fallback="billing", min_confidence=0.5), said)
        result = agent.run_sync("Hello")
        assert result.output == "Hello"
        assert {"to tech", "tech"} <= {record.key for record in result.activations if record.status == "skipped"}
        assert result.node("classify")[0].output.choice.route == said["route"]
    agent, _ = desk(Router(ROUTES, fallback=Agent("person", ScriptedModel(["I look at it."]))), choice("sales"))
    assert agent.run_sync("Hello").output == "I look at it."


def test_an_answer_that_is_no_choice_goes_back_once_and_is_then_an_error() -> None:
    agent, model = desk(Router(ROUTES), "billing!", choice("billing"))
    assert agent.run_sync("Hello").output == "Hello"
    assert len(model.requests) == 2
    agent, _ = desk(Router(ROUTES), "billing!", "billing!!")
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Hello")
    assert isinstance(caught.value.__cause__, OutputValidationError)
    assert caught.value.__cause__.raw == "billing!!"


def test_text_passes_as_it_was_written() -> None:
    agent, model = desk(Router(ROUTES), choice("tech"))
    assert agent.run_sync(NASTY).output == NASTY
    assert heard(model) == [NASTY]


def test_a_route_is_an_architecture_of_the_agents_own_or_a_graph() -> None:
    wf = Workflow("shout", input=str, output=str, doc="says it louder")

    @wf.node
    async def shout(text: str) -> str:
        return text.upper()

    wf.chain(START, shout, END)
    agent, model = desk(
        Router({"own": ReAct(), "loud": wf}),
        *(choice("own"), ToolCall(id="1", name="invoice", arguments={"number": 1}), "Paid.", choice("loud")),
        tools=[invoice],
    )
    assert agent.run_sync("Invoice 1?").output == "Paid."
    assert agent.run_sync("hello").output == "HELLO"
    assert "- loud: says it louder" in told(model.requests[0])
    assert told(model.requests[1]) == "Be brief."


async def test_values_of_types_go_through() -> None:
    class Ticket(BaseModel):
        text: str
        urgency: Literal["low", "high"]

    worker: Agent[Any, Any] = Agent("clerk", ScriptedModel([{"done": True}]), input=Ticket, output=dict[str, bool])
    agent, model = desk(Router([worker]), choice("clerk"), input=Ticket, output=dict[str, bool])
    result = await agent.run(Ticket(text="a", urgency="low"), store=MemoryStore())
    assert result.output == {"done": True}
    assert '"urgency": "low"' in heard(model)[0]


def test_what_cannot_be_meant_is_refused() -> None:
    strange: Any = [ReAct()]
    wrong: Any = {"a": 5}
    for router, complaint in (
        (Router({}), "needs at least one route"),
        (Router([Agent("a", "echo"), Agent("a", "echo")]), "two routes called 'a'"),
        (Router(ROUTES, fallback="sales"), "names no route; there are 'billing' and 'tech'"),
        (Router(ROUTES, min_confidence=2), "min_confidence=2"),
        (Router(strange), "has no name of its own"),
        (Router(wrong), "cannot do the part 'a'"),
    ):
        with pytest.raises(DefinitionError, match=complaint):
            _ = desk(router)[0].graph
    with pytest.raises(DefinitionError, match=r"nobody would call its tools \('invoice'\)"):
        _ = desk(Router(ROUTES), tools=[invoice])[0].graph


def test_the_drawing_shows_the_classifier_and_every_node_of_every_route() -> None:
    drawn = desk(Router(ROUTES))[0].to_mermaid()
    for label in ("classify", "classifier", "choose", "to billing", "to tech", "billing", "tools", "model"):
        assert f'"{label}' in drawn
    assert '|"billing"|' in drawn
    assert '|"tech"|' in drawn
