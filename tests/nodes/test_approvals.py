"""Claims about approvals over processes: killed while waiting, answered elsewhere, remembered for later runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph import START, Agent
from loomgraph.errors import InvalidAnswerError, RunBusyError
from loomgraph.models import ScriptedModel, ToolCall, assistant
from loomgraph.nodes.permissions import Approval, Permissions, Rule, forget
from loomgraph.store.memory import MemoryStore
from loomgraph.tools import tool
from tests.nodes.waiting_agent import agent_of, store_of

SCRIPT = str(Path(__file__).parent / "waiting_agent.py")
pytestmark = pytest.mark.anyio


async def resumed(agent: Agent[Any, Any], **options: Any) -> Any:
    while True:
        try:
            return await agent.resume("r", **options)
        except RunBusyError as busy:  # the dead process owns the run until its lease expires
            await anyio.sleep(max(0.0, busy.expires - time.time()))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_a_run_killed_while_it_waits_is_approved_denied_and_edited_elsewhere(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, SCRIPT, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"asked\n"
        process.send_signal(signal.SIGKILL)
    agent, store = agent_of(tmp_path), store_of(tmp_path)

    def paid() -> list[str]:
        return (tmp_path / "paid").read_text().splitlines() if (tmp_path / "paid").exists() else []

    waiting = await resumed(agent, store=store)  # nobody has answered, so nothing has changed
    assert (waiting.status, paid()) == ("suspended", [])
    ids = {question.question["arguments"]["to"]: question.id for question in waiting.questions}
    assert [question.question["user_id"] for question in waiting.questions] == ["eve"] * 3
    answers = {
        ids["ada"]: {"approve": True},
        ids["bob"]: {"approve": False, "reason": "Bob has enough"},
        ids["cy"]: {"approve": True, "arguments": {"to": "cy", "amount": 1}},
    }
    await agent.graph.answer("r", answers, store=store, by="a person")
    assert paid() == []
    done = await resumed(agent, store=store)
    assert done.output == "ada got 5 not permitted: Bob has enough. cy got 1"
    assert sorted(paid()) == ["ada 5", "cy 1"]
    assert (await resumed(agent, store=store)).output == done.output
    assert len(paid()) == 2


sent: list[str] = []


@tool(writes="to", destructive=True)
async def send(to: str, text: str = "hi") -> str:
    sent.append(to)
    return f"sent to {to}"


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    sent.clear()


def sender(*turns: Any, **options: Any) -> Agent[str, str]:
    calls = [
        assistant(*[ToolCall(id=f"{turn}", name="send", arguments=given) for turn, given in enumerate(batch)])
        for batch in turns
    ]
    return Agent("sender", ScriptedModel([*calls, "Done."], order="conversation"), tools=[send], **options)


async def test_an_approval_is_remembered_for_the_run_and_for_these_arguments_only() -> None:
    store = MemoryStore()
    agent = sender([{"to": "ada"}], [{"to": "ada"}], [{"to": "bob"}])
    asked = await agent.run("Send.", store=store, run_id="r")
    asked = await agent.resume(
        "r", store=store, answers={asked.questions[0].id: Approval(approve=True, remember="run")}
    )
    assert sent == ["ada", "ada"]
    [question] = asked.questions
    assert question.question["arguments"] == {"to": "bob"}
    assert (await agent.run("Send.", store=store, run_id="other")).status == "suspended"
    assert sent == ["ada", "ada"]


async def test_a_fork_remembers_what_was_approved_before_its_place_and_not_what_was_approved_later() -> None:
    store = MemoryStore()
    agent = sender([{"to": "ada"}], [{"to": "ada"}])
    asked = await agent.run("Send.", store=store, run_id="r")
    before = await agent.graph.fork("r", store=store)
    yes = {asked.questions[0].id: Approval(approve=True, remember="run")}
    done = await agent.resume("r", store=store, answers=yes)
    later = [record.key for record in done.activations if record.node == asked.questions[0].node]
    assert sent == ["ada", "ada"]
    for inputs in ({}, {START: "Send."}):
        sent.clear()
        fork = await agent.graph.fork("r", store=store, at=later[0], inputs=inputs)
        assert (await agent.resume(fork, store=store)).status == "succeeded"
        assert sent == ["ada"], "the first is taken over, and the second not asked about again"
    assert [q.question["arguments"] for q in (await agent.resume(before, store=store)).questions] == [{"to": "ada"}]


async def test_an_approval_is_remembered_for_the_user_in_other_runs_until_it_is_forgotten() -> None:
    store = MemoryStore()
    agent = sender([{"to": "ada"}, {"to": "bob"}])
    asked = await agent.run("Send.", store=store, run_id="r", user_id="eve")
    assert len(asked.questions) == 2
    yes = Approval(approve=True, remember="user", any_arguments=True)
    asked = await agent.resume("r", store=store, answers={asked.questions[0].id: yes})
    assert len(asked.questions) == 1  # the other had been asked already, and an answer to it is an answer to it
    no = Approval(approve=False)
    await agent.resume("r", store=store, answers={asked.questions[0].id: no})
    assert len(sent) == 1
    assert (await agent.run("Send.", store=store, user_id="eve")).output == "Done."
    assert len(sent) == 3
    assert (await agent.run("Send.", store=store, user_id="mallory")).status == "suspended"
    other = tool(writes="to", destructive=True, name="send")(lambda_like)
    assert (await agent.replace(tools=[other]).run("Send.", store=store, user_id="eve")).status == "suspended"
    await forget("send", store=store, user_id="eve")
    assert (await agent.run("Send.", store=store, user_id="eve")).status == "suspended"
    assert len(sent) == 3


def lambda_like(to: str, text: str = "hi") -> str:
    return f"{to} got something else"


async def test_a_denial_is_remembered_too_and_a_rule_stands_above_what_is_remembered() -> None:
    store = MemoryStore()
    agent = sender([{"to": "ada"}], [{"to": "ada"}])
    asked = await agent.run("Send.", store=store, run_id="r", user_id="eve")
    never = Approval(approve=False, reason="never to Ada", remember="user")
    done = await agent.resume("r", store=store, answers={asked.questions[0].id: never})
    assert (done.output, sent) == ("Done.", [])
    told = [record.output.messages[-1].results[0].text for record in done.node("tools") if record.output]
    assert told == ["not permitted: never to Ada."] * 2
    allowed = agent.replace(permissions=Permissions(Rule("allow", "send")))
    await allowed.run("Send.", store=store, user_id="eve")
    assert sent == ["ada", "ada"]


async def test_what_cannot_be_remembered_is_no_answer() -> None:
    store = MemoryStore()
    agent = sender([{"to": "ada"}])
    asked = await agent.run("Send.", store=store, run_id="r")
    [question] = asked.questions
    for answer in (
        {"approve": True, "remember": "user"},  # the run is for no user
        {"approve": True, "remember": "run", "arguments": {"to": "bob"}},
        {"approve": True, "any_arguments": True},
    ):
        with pytest.raises(InvalidAnswerError):
            await agent.resume("r", store=store, answers={question.id: answer})
    assert sent == []
