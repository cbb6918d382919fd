"""Claims about permissions: what is called, what is not, and what waits for somebody, also over processes."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph import Agent, tool
from loomgraph.errors import DefinitionError, InvalidAnswerError
from loomgraph.models import ModelRequest, ScriptedModel, ToolCall, ToolMessage, assistant
from loomgraph.nodes.permissions import Approval, Permissions, Rule
from loomgraph.store.memory import MemoryStore

pytestmark = pytest.mark.anyio

paid: list[tuple[str, int]] = []


@tool(writes="account", effect="once", destructive=True)
async def pay(account: str, amount: int) -> str:
    """Pay from an account."""
    paid.append((account, amount))
    return f"paid {amount}"


@tool(reads="account")
async def balance(account: str) -> int:
    """What is in an account."""
    return 100


@pytest.fixture(autouse=True)
def nothing_paid() -> None:
    paid.clear()


def told(request: ModelRequest) -> list[str]:
    message = request.messages[-1]
    assert isinstance(message, ToolMessage)
    return [result.text for result in message.results]


def in_order(result: Any) -> list[Any]:
    return sorted(result.questions, key=lambda question: question.question["arguments"]["account"])


def payer(**options: Any) -> tuple[Agent[str, str], ScriptedModel]:
    calls = assistant(
        ToolCall(id="1", name="balance", arguments={"account": "a"}),
        ToolCall(id="2", name="pay", arguments={"account": "b", "amount": 5}),
        ToolCall(id="3", name="pay", arguments={"account": "c", "amount": 6}),
    )
    model = ScriptedModel([calls, "Done."], order="conversation")
    return Agent("payer", model, tools=[pay, balance], **options), model


async def test_what_is_destructive_waits_for_approval_and_is_called_once_approved() -> None:
    store = MemoryStore()
    agent, model = payer()
    result = await agent.run("Pay.", store=store, run_id="r", user_id="ada")
    assert result.status == "suspended"
    assert paid == []
    [first, second] = in_order(result)
    assert first.question == {
        "tool": "pay",
        "description": "Pay from an account.",
        "arguments": {"account": "b", "amount": 5},
        "user_id": "ada",
        "reason": "it is marked destructive",
    }
    result = await agent.resume("r", store=store, answers={first.id: Approval(approve=True)}, user_id="ada")
    assert (result.status, paid) == ("suspended", [("b", 5)])
    await agent.graph.answer("r", {second.id: {"approve": False, "reason": "too much"}}, store=store)
    result = await agent.resume("r", store=store, user_id="ada")
    assert result.output == "Done."
    assert paid == [("b", 5)]
    assert told(model.requests[1]) == ["100", "paid 5", "not permitted: too much."]
    assert len(model.requests) == 2


async def test_an_approval_may_change_the_arguments_but_not_what_the_call_touches() -> None:
    store = MemoryStore()
    agent, model = payer()
    result = await agent.run("Pay.", store=store, run_id="r")
    first, second = (question.id for question in in_order(result))
    answers = {
        first: Approval(approve=True, arguments={"account": "b", "amount": 1}),
        second: Approval(approve=True, arguments={"account": "b", "amount": 1}),
    }
    result = await agent.resume("r", store=store, answers=answers)
    assert result.output == "Done."
    assert paid == [("b", 1)]
    assert "touch something else" in told(model.requests[1])[2]


async def test_an_answer_that_is_none_is_refused_and_the_run_stays_as_it_was() -> None:
    store = MemoryStore()
    agent, _ = payer()
    result = await agent.run("Pay.", store=store, run_id="r")
    with pytest.raises(InvalidAnswerError):
        await agent.resume("r", store=store, answers={result.questions[0].id: "yes"})
    assert (await agent.graph.replay("r", store=store)).status == "suspended"
    assert paid == []


async def test_without_anybody_to_ask_it_is_denied() -> None:
    agent, model = payer()
    assert (await agent.run("Pay.")).output == "Done."
    assert paid == []
    assert told(model.requests[1])[1] == (
        "not permitted: it has to be approved (it is marked destructive), and this run has nobody to ask."
    )


async def test_the_first_rule_that_fits_decides_by_tool_user_and_arguments() -> None:
    rules = Permissions(
        Rule("deny", "pay", when=lambda given: given["amount"] > 5, reason="5 is the most"),
        Rule("allow", "pa?", user="ada"),
        Rule("deny", "bal*"),
    )
    agent, model = payer(permissions=rules)
    await agent.run("Pay.", user_id="ada")
    assert paid == [("b", 5)]
    assert told(model.requests[1]) == [
        "not permitted: a rule says so.",
        "paid 5",
        "not permitted: 5 is the most.",
    ]
    agent, model = payer(permissions=rules)
    await agent.run("Pay.", user_id="bob")
    assert paid == [("b", 5)]


async def test_a_rule_fits_by_patterns_of_arguments() -> None:
    rules = Permissions(
        Rule("deny", "pay", arguments={"account": "[!b]*"}, reason="only b"),
        Rule("allow", "pay", arguments={"account": "*", "amount": "5"}),
        Rule("deny", arguments={"nothing": "*"}),
    )
    agent, model = payer(permissions=rules)
    await agent.run("Pay.")
    assert paid == [("b", 5)]
    assert told(model.requests[1]) == ["100", "paid 5", "not permitted: only b."]


async def test_leaving_an_argument_out_is_no_way_around_a_rule() -> None:
    wrote: list[str] = []

    @tool(writes="path")
    async def write(text: str, path: str = "/etc/passwd") -> str:
        wrote.append(path)
        return "written"

    rules = Permissions(Rule("deny", "write", arguments={"path": "/etc/*"}), Rule("allow", "write"))
    calls = assistant(
        ToolCall(id="1", name="write", arguments={"text": "x"}),
        ToolCall(id="2", name="write", arguments={"text": "x", "path": "/tmp/a"}),
    )
    await Agent("writer", ScriptedModel([calls, "Done."]), tools=[write], permissions=rules).run("Write.")
    assert wrote == ["/tmp/a"]


async def test_a_rule_that_raises_denies_and_arguments_that_do_not_fit_ask_nobody() -> None:
    def broken(given: Any) -> bool:
        raise KeyError("oops")

    agent, model = payer(permissions=Permissions(Rule("allow", when=broken)))
    await agent.run("Pay.")
    assert paid == []
    assert "could not be worked out (KeyError: 'oops')" in told(model.requests[1])[1]

    model = ScriptedModel([ToolCall(id="1", name="pay", arguments={"account": 5}), "Done."])
    agent = Agent("payer", model, tools=[pay])
    result = await agent.run("Pay.", store=MemoryStore())
    assert result.output == "Done."
    assert "do not fit its schema" in told(model.requests[1])[0]


def test_an_unknown_decision_is_refused() -> None:
    with pytest.raises(DefinitionError, match="use 'allow', 'deny' or 'ask'"):
        unknown: Any = "maybe"
        Rule(unknown)
