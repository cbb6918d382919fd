"""Claims about the Supervisor: what it costs, who is told what, what runs together, and what it does with bad moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from loomgraph import END, START, Agent, NodeFailedError, Workflow, tool
from loomgraph.architectures import ReAct, Supervisor
from loomgraph.errors import (
    BudgetExceededError,
    DefinitionError,
    LoopCapError,
    OutputValidationError,
    SpawnError,
    UnknownWorkerError,
)
from loomgraph.graph.budget import Budget
from loomgraph.models import ScriptedModel, SystemMessage, ToolCall
from loomgraph.store.memory import MemoryStore
from loomgraph.store.sqlite import SQLiteStore
from loomgraph.testing.interleave import Turnstile
from tests.architectures.voices import Meeting, asked, heard, held, replying, told
from tests.properties.budget import examples

pytestmark = pytest.mark.anyio

NASTY = "{x} {{y}} ${z} \"quoted\" 'and' `ticks` {% raw %} %s </task> {"


def delegate(*parts: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"kind": "delegate", "assignments": [{"worker": worker, "task": task} for worker, task in parts], **more}


def answer(said: Any) -> dict[str, Any]:
    return {"kind": "answer", "answer": said}


def forward(worker: str) -> dict[str, Any]:
    return {"kind": "forward", "worker": worker}


def worker(name: str, *turns: Any, **options: Any) -> Any:
    model = ScriptedModel(turns) if turns else replying(lambda request: f"{name} did {asked(request)}")
    return Agent(name, model, description=f"does {name}", **options)


def boss(workers: Any, *turns: Any, options: dict[str, Any] | None = None, **settings: Any) -> Any:
    model = ScriptedModel(turns)
    way = Supervisor(workers, **settings)
    return Agent("boss", model, instructions="Be brief.", architecture=way, **(options or {})), model


@pytest.mark.parametrize("rounds", [[], [["a"]], [["a", "b"], ["b", "b", "a"]]])
async def test_it_costs_the_coordinators_calls_and_the_workers(rounds: list[list[str]]) -> None:
    a, b = worker("a"), worker("b")
    moves = [delegate(*[(name, f"part {i}") for i, name in enumerate(names)]) for names in rounds]
    agent, model = boss([a, b], *moves, answer("Done."))
    result = await agent.run("Do it.")
    assert result.output == "Done."
    asked_of = [len(one.model.requests) for one in (a, b)]
    assert asked_of == [sum(names.count(name) for names in rounds) for name in "ab"]
    assert len(model.requests) == len(rounds) + 1
    assert result.usage.model_calls == len(rounds) + 1 + sum(map(len, rounds))


def test_the_coordinator_sees_the_task_and_all_reports_and_a_worker_its_part_alone() -> None:
    a = worker("a")
    agent, model = boss([a, worker("b")], delegate(("a", "add 1"), ("b", "add 2")), answer("3"), instructions="Lead.")
    assert agent.run_sync("Sum up.").output == "3"
    assert told(model.requests[0]) == "Be brief.\n\nLead.\n\nThe workers:\n- a: does a\n- b: does b"
    assert heard(model) == [
        "<task>\nSum up.\n</task>",
        "<task>\nSum up.\n</task>\n\n"
        "<report_1>\na was told: add 1\na did add 1\n</report_1>\n\n"
        "<report_2>\nb was told: add 2\nb did add 2\n</report_2>",
    ]
    assert heard(a.model) == ["add 1"]
    assert [len(request.messages) for request in a.model.requests] == [1]


def test_with_a_shared_conversation_a_worker_sees_the_task_and_what_was_reported() -> None:
    a, b = worker("a"), worker("b")
    moves = [delegate(("a", "find it")), delegate(("b", "check it")), answer("Yes.")]
    agent, _ = boss([a, b], *moves, conversation="shared")
    agent.run_sync("Is it so?")
    assert "Is it so?" in heard(a.model)[0]
    assert "a did" in heard(b.model)[0]
    assert heard(b.model)[0].endswith("<your_part>\ncheck it\n</your_part>")


def test_a_forward_is_what_the_worker_said_last_word_for_word() -> None:
    moves = [delegate(("a", "1")), delegate(("a", "2")), forward("a")]
    agent, model = boss([worker("a", "First.", NASTY)], *moves)
    assert agent.run_sync("Do it.").output == NASTY
    assert len(model.requests) == 3


async def test_a_forward_of_another_type_than_the_answers_is_refused() -> None:
    class Sum(BaseModel):
        total: int

    good = worker("good", {"total": 3}, output=Sum)
    options: Any = {"output": Sum}
    agent, _ = boss([good], delegate(("good", "add")), forward("good"), options=options)
    assert (await agent.run("Add.", store=MemoryStore())).output == Sum(total=3)
    agent, _ = boss([worker("bad", "three")], delegate(("bad", "add")), forward("bad"), options=options)
    with pytest.raises(NodeFailedError) as caught:
        await agent.run("Add.")
    assert isinstance(caught.value.__cause__, OutputValidationError)
    assert caught.value.__cause__.raw == "three"


def test_a_name_that_is_not_there_goes_back_once_and_is_then_an_error_with_the_ledger() -> None:
    a = worker("a")
    agent, model = boss([a], delegate(("a", "1")), delegate(("a", "2"), ("c", "3")), answer("Well."))
    assert agent.run_sync("Do it.").output == "Well."
    assert heard(model)[2].endswith("<not_possible>\n'c' is not there; there are 'a'.\n</not_possible>")
    assert len(a.model.requests) == 1
    for bad in (delegate(("c", "3")), forward("c")):
        agent, model = boss([worker("a")], delegate(("a", "1")), bad, bad)
        with pytest.raises(NodeFailedError) as caught:
            agent.run_sync("Do it.")
        error = caught.value.__cause__
        assert isinstance(error, UnknownWorkerError)
        assert (error.worker, error.known) == ("c", ("a",))
        assert [report.text for report in error.finished.reports] == ["a did 1"]


def test_an_answer_that_is_no_move_goes_back_once_and_is_then_an_error() -> None:
    agent, model = boss([worker("a")], delegate(), answer("Done."))
    assert agent.run_sync("Do it.").output == "Done."
    assert "assignments: List should have at least 1 item" in asked(model.requests[1])
    agent, _ = boss([worker("a")], delegate(("a", "1")), "I am done.", "Really.")
    with pytest.raises(NodeFailedError) as caught:
        agent.run_sync("Do it.")
    assert isinstance(caught.value.__cause__, OutputValidationError)
    assert caught.value.__cause__.raw == "Really."
    assert caught.value.finished["collect#0"].reports[0].text == "a did 1"


async def test_a_worker_made_on_the_way_has_its_instructions_and_the_agents_tools() -> None:
    @tool(reads=())
    async def lookup(word: str) -> str:
        """Look a word up."""
        return f"{word} is a word"

    new = [{"name": "poet", "instructions": "Write verse. {no} formatting"}]
    spawned = ScriptedModel([ToolCall(id="1", name="lookup", arguments={"word": "sea"}), "O sea!", "O sky!"])
    moves = [
        delegate(("poet", "the sea"), ("a", "prose"), new_workers=new),
        delegate(("poet", "the sky")),
        forward("poet"),
    ]
    agent, model = boss(
        [worker("a")], *moves, allow_spawn=True, max_spawned=1, spawn_model=spawned, options={"tools": [lookup]}
    )
    result = await agent.run("Write.")
    assert result.output == "O sky!"
    assert [type(message) for message in spawned.requests[0].messages[:1]] == [SystemMessage]
    assert {told(request) for request in spawned.requests} == {"Write verse. {no} formatting"}
    assert [asked(spawned.requests[i]) for i in (0, 2)] == ["the sea", "the sky"]
    assert "- poet: Write verse." in heard(model)[1]
    assert result.usage.model_calls == 3 + 1 + 3


def test_more_workers_than_allowed_and_a_taken_name_are_errors_with_the_ledger() -> None:
    one = {"name": "x", "instructions": "X."}
    for new, detail in (([one, {"name": "y", "instructions": "Y."}], "may make 1"), ([{**one, "name": "a"}], "taken")):
        move = delegate(("a", "1"), new_workers=new)
        agent, model = boss([worker("a")], delegate(("a", "0")), move, move, allow_spawn=True, max_spawned=1)
        with pytest.raises(NodeFailedError) as caught:
            agent.run_sync("Do it.")
        assert isinstance(caught.value.__cause__, SpawnError)
        assert detail in str(caught.value.__cause__)
        assert len(caught.value.__cause__.finished.reports) == 1
        assert "cannot be made" in heard(model)[2]


async def test_at_the_cap_the_error_has_the_ledger() -> None:
    agent, model = boss([worker("a")], *[delegate(("a", f"{i}")) for i in range(5)], max_rounds=3)
    with pytest.raises(LoopCapError) as caught:
        await agent.run("Do it.")
    assert len(model.requests) == 3
    [ledger] = caught.value.values.values()
    assert [report.text for report in ledger.reports] == ["a did 0", "a did 1", "a did 2"]


async def test_an_exhausted_budget_keeps_what_was_reported() -> None:
    agent, _ = boss([worker("a")], delegate(("a", "0")), answer("Done."))
    with pytest.raises(NodeFailedError) as caught:
        await agent.run("Do it.", budget=Budget(model_calls=2))
    assert isinstance(caught.value.__cause__, BudgetExceededError)
    assert caught.value.finished["collect#0"].reports[0].text == "a did 0"


async def test_a_worker_that_fails_ends_the_run_or_is_told_to_the_coordinator() -> None:
    def workers() -> list[Any]:
        return [worker("a"), worker("bad", ValueError("broken"))]

    agent, _ = boss(workers(), delegate(("a", "1"), ("bad", "2")))
    with pytest.raises(NodeFailedError, match="broken"):
        await agent.run("Do it.")
    agent, model = boss(workers(), delegate(("a", "1"), ("bad", "2")), answer("Half."), on_worker_error="tell")
    assert (await agent.run("Do it.")).output == "Half."
    assert "a was told: 1\na did 1\n" in heard(model)[1]
    assert "bad failed at: 2\nValueError: broken\n" in heard(model)[1]


def test_text_passes_as_it_was_written() -> None:
    a = worker("a")
    agent, model = boss([a], delegate(("a", NASTY)), answer(NASTY))
    assert agent.run_sync(NASTY).output == NASTY
    assert heard(a.model) == [NASTY]
    assert heard(model)[1].count(NASTY) == 3


async def test_a_worker_is_an_architecture_of_the_agents_own_or_a_graph() -> None:
    wf = Workflow("shout", input=str, output=list[str])

    @wf.node
    async def shout(text: str) -> list[str]:
        return [text.upper()]

    wf.chain(START, shout, END)
    moves = [delegate(("own", "hello"), ("loud", "hello")), answer("Done.")]
    agent, model = boss({"own": ReAct(), "loud": wf}, moves[0], "It is done.", moves[1])
    assert (await agent.run("Do it.")).output == "Done."
    assert 'hello\n[\n  "HELLO"\n]' in heard(model)[2]
    with pytest.raises(DefinitionError, match="nobody would call its tools"):

        @tool(reads=())
        async def idle() -> None:
            """Do nothing."""

        _ = boss([worker("a")], options={"tools": [idle]})[0].graph


async def test_workers_of_a_round_run_at_the_same_time_under_the_runs_limit() -> None:
    parts = delegate(*[("a", f"{i}") for i in range(6)])
    for limit, size in ((None, 6), (3, 3)):
        meeting = Meeting(size)
        a: Any = meeting.of(replying(lambda request: asked(request)))
        agent, _ = boss([Agent("a", a)], parts, answer("Done."))
        assert (await agent.run("Do it.", limit=limit)).output == "Done."
        assert meeting.most == size


def test_the_drawing_shows_the_coordinator_the_workers_and_the_ways_out() -> None:
    drawn = boss([worker("a"), worker("b")], allow_spawn=True)[0].to_mermaid()
    for label in ("coordinate", "coordinator", "decide", "assign", "delegate", "a", "b", "spawned", "collect", "model"):
        assert f'"{label}' in drawn
    for label in ("delegate", "forward", "answer", "not possible", "10"):
        assert f"{label}" in drawn


@examples(6)
@given(st.data())
def test_timing_changes_nothing(data: Any) -> None:
    async def main() -> None:
        turnstile = Turnstile(lambda n: data.draw(st.integers(0, n - 1)))
        workers = {
            name: Agent(name, held(replying(lambda request, name=name: f"{name}{asked(request)}"), turnstile))  # type: ignore[misc]
            for name in "abc"
        }
        moves = [delegate(("c", "1"), ("a", "2"), ("c", "3"), ("b", "4")), answer("Done.")]
        agent, model = boss(workers, *moves)
        assert (await turnstile.drive(lambda: agent.run("Do it."))).output == "Done."
        assert [line for line in heard(model)[1].splitlines() if line in ("c1", "a2", "c3", "b4")] == [
            *("c1", "a2", "c3", "b4")
        ]

    anyio.run(main)


@pytest.mark.parametrize("conversation", ["fresh", "shared"])
async def test_a_log_grows_with_what_is_said_and_not_with_the_square_of_the_rounds(
    conversation: Any, tmp_path: Path
) -> None:
    """Each prompt shows all reports so far; a report of 1,000 characters is kept about as often as it is handed on."""

    async def kept(rounds: int) -> int:
        said = [f"{number} ".ljust(1_000, "x") for number in range(rounds)]
        moves = [delegate(("a", f"part {number}")) for number in range(rounds)]
        agent, _ = boss([worker("a", *said)], *moves, answer("!"), max_rounds=rounds + 1, conversation=conversation)
        path = tmp_path / f"{rounds}.db"
        async with SQLiteStore(path) as store:
            await agent.run("Do it.", store=store, run_id="r")
        return path.stat().st_size

    some, many, more = [await kept(rounds) for rounds in (8, 18, 28)]
    assert more - many < 1.5 * (many - some), "the last ten rounds cost no more than the ten before them"
    assert more < 28 * 30_000
