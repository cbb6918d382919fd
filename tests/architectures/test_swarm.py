"""Claims about the Swarm: what it costs, what travels with a handoff, who may hand off to whom, and where it stops."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph import END, START, Agent, NodeFailedError, Workflow, tool
from loomgraph.architectures import ReAct, Supervisor, Swarm
from loomgraph.errors import (
    BudgetExceededError,
    DefinitionError,
    LoopCapError,
    OutputValidationError,
    PingPongError,
    UnknownWorkerError,
)
from loomgraph.graph.budget import Budget
from loomgraph.models import ScriptedModel
from loomgraph.store.memory import MemoryStore
from tests.architectures.voices import asked, heard, told

pytestmark = pytest.mark.anyio


def hand(to: str, message: str = "yours", **more: Any) -> dict[str, Any]:
    return {"kind": "handoff", "to": to, "message": message, **more}


def answer(said: Any) -> dict[str, Any]:
    return {"kind": "answer", "answer": said}


def swarm(turns: dict[str, list[Any]], options: dict[str, Any] | None = None, **settings: Any) -> tuple[Any, Any]:
    models = {name: ScriptedModel(said) for name, said in turns.items()}
    agents = [Agent(name, model, instructions=f"You are {name}.") for name, model in models.items()]
    team = Agent("team", "echo", instructions="Be kind.", architecture=Swarm(agents, **settings), **(options or {}))
    return team, models


@pytest.mark.parametrize("path", [["a"], ["a", "b"], ["a", "b", "c", "a", "b"]], ids=lambda path: "-".join(path))
async def test_it_costs_the_turns(path: list[str]) -> None:
    turns: dict[str, list[Any]] = {name: [] for name in "abc"}
    for name, following in pairwise(path):
        turns[name].append(hand(following))
    turns[path[-1]].append(answer("Done."))
    team, models = swarm(turns)
    result = await team.run("Do it.")
    assert result.output == "Done."
    assert [len(models[name].requests) for name in "abc"] == [path.count(name) for name in "abc"]
    assert result.usage.model_calls == len(path)


def test_an_agent_is_told_who_it_is_what_all_are_told_and_to_whom_it_may_hand_off() -> None:
    team, models = swarm({"a": [hand("c")], "b": [], "c": [answer("Done.")]}, handoffs={"a": ["c", "b"]})
    team.run_sync("Do it.")
    assert told(models["a"].requests[0]).startswith("You are a.\n\nBe kind.\n\nYou work on a task with others")
    assert told(models["a"].requests[0]).endswith("You can hand off to:\n- c\n- b")
    assert "You can hand off" not in told(models["c"].requests[0])
    schema: Any = models["a"].requests[0].output.json_schema
    assert schema["$defs"]["Handoff"]["properties"]["to"]["enum"] == ["c", "b"]
    assert "handoff" not in str(models["c"].requests[0].output.json_schema)


@pytest.mark.parametrize(
    ("history", "seen"),
    [
        ("all", ["a to b: first {turn}\n\nb to c: second"]),
        ("last", ["b to c: second"]),
        ("none", []),
        (lambda turns: [turn for turn in turns if turn.agent == "a"], ["a to b: first {turn}"]),
    ],
    ids=["all", "last", "none", "function"],
)
def test_history_says_what_the_next_agent_sees_of_the_turns_before(history: Any, seen: list[str]) -> None:
    turns = {"a": [hand("b", "first {turn}")], "b": [hand("c", "second")], "c": [answer("Done.")]}
    team, models = swarm(turns, history=history)
    team.run_sync("Do {it}.")
    shown = "".join(f"\n\n<turns_so_far>\n{text}\n</turns_so_far>" for text in seen)
    assert heard(models["c"]) == [f"<task>\nDo {{it}}.\n</task>{shown}"]


async def test_a_payload_of_a_type_travels_with_a_handoff() -> None:
    class Case(BaseModel):
        number: int
        notes: list[str] = []

    turns = {"a": [hand("b"), hand("b", payload={"number": 7})], "b": [answer("Done.")]}
    team, models = swarm(turns, payload=Case, history="none")
    result = await team.run("Do it.", store=MemoryStore())
    assert result.output == "Done."
    assert len(models["a"].requests) == 2, "a handoff without its payload goes back"
    assert '<payload>\n{\n  "number": 7,\n  "notes": []\n}\n</payload>' in heard(models["b"])[0]
    assert result.node("hub")[-1].output.turns[0].payload == {"number": 7, "notes": []}


async def test_a_name_that_is_not_there_goes_back_once_and_is_then_an_error_with_the_turns() -> None:
    turns = {"a": [hand("b")], "b": [hand("z"), answer("Done.")]}
    team, models = swarm(turns)
    assert (await team.run("Do it.")).output == "Done."
    assert "<not_possible>\n'z' is not there; there are 'a'.\n</not_possible>" in heard(models["b"])[1]
    team, _ = swarm({"a": [hand("b")], "b": [hand("z"), hand("b")]})
    with pytest.raises(NodeFailedError) as caught:
        await team.run("Do it.")
    error = caught.value.__cause__
    assert isinstance(error, UnknownWorkerError)
    assert (error.by, error.worker) == ("b", "b")
    assert [turn.agent for turn in error.finished] == ["a"]
    assert "Describe the others to it, or give it a better model." in str(caught.value)
    assert "on_error" not in str(caught.value)


def test_going_back_and_forth_is_an_error_with_the_turns() -> None:
    team, _ = swarm({"a": [hand("b")] * 9, "b": [hand("a")] * 9}, max_ping_pong=3)
    with pytest.raises(NodeFailedError) as caught:
        team.run_sync("Do it.")
    error = caught.value.__cause__
    assert isinstance(error, PingPongError)
    assert (set(error.between), error.times, len(error.turns)) == ({"a", "b"}, 4, 4)
    ring = {"a": [hand("b")] * 2, "b": [hand("c")] * 2, "c": [hand("a"), answer("Done.")]}
    assert (swarm(ring, max_ping_pong=1)[0].run_sync("Do it.")).output == "Done."


async def test_at_the_cap_the_error_has_the_turns() -> None:
    ring = {"a": [hand("b")] * 9, "b": [hand("c")] * 9, "c": [hand("a")] * 9}
    team, models = swarm(ring, max_handoffs=4)
    with pytest.raises(LoopCapError) as caught:
        await team.run("Do it.")
    assert sum(len(model.requests) for model in models.values()) == 5
    [baton] = caught.value.values.values()
    assert [turn.agent for turn in baton.turns] == ["a", "b", "c", "a", "b"]


async def test_a_spent_budget_keeps_the_turns() -> None:
    team, _ = swarm({"a": [hand("b", "found {it}")], "b": [answer("Done.")]})
    with pytest.raises(NodeFailedError) as caught:
        await team.run("Do it.", budget=Budget(model_calls=1))
    assert isinstance(caught.value.__cause__, BudgetExceededError)
    assert caught.value.finished["hub#1"].turns[0].message == "found {it}"


def test_an_answer_of_neither_kind_goes_back_once_and_is_then_an_error() -> None:
    team, models = swarm({"a": ["I am done.", answer("Done.")]})
    assert team.run_sync("Do it.").output == "Done."
    assert len(models["a"].requests) == 2
    team, _ = swarm({"a": ["I am done.", "Really."]})
    with pytest.raises(NodeFailedError) as caught:
        team.run_sync("Do it.")
    assert isinstance(caught.value.__cause__, OutputValidationError)


async def test_an_agent_of_a_swarm_works_as_any_architecture_and_the_answer_is_of_the_teams_type() -> None:
    class Verdict(BaseModel):
        guilty: bool

    @tool(reads=())
    async def look(where: str) -> str:
        """Look somewhere."""
        return f"nothing in {where}"

    worker = Agent("worker", ScriptedModel(["found {it}"]))
    boss = ScriptedModel([{"kind": "delegate", "assignments": [{"worker": "worker", "task": "search"}]}])
    moves = ScriptedModel([{"kind": "answer", "answer": hand("judge", "see {it}")}])

    class Both:
        provider, name = "scripted", "both"

        async def generate(self, request: Any) -> Any:
            return await (moves if "<report_1>" in asked(request) else boss).generate(request)

    own: Any = ScriptedModel([answer({"guilty": False})])
    model: Any = Both()
    agents: Any = {"chief": Agent("chief", model, architecture=Supervisor([worker])), "judge": ReAct()}
    team: Agent[Any, Any] = Agent("team", own, tools=[look], output=Verdict, architecture=Swarm(agents))
    result = await team.run("Is it so?", store=MemoryStore())
    assert result.output == Verdict(guilty=False)
    assert result.usage.model_calls == 4
    assert "chief to judge: see {it}" in heard(own)[0]


def test_what_cannot_be_meant_is_refused() -> None:
    wf = Workflow("graph", input=str, output=str)

    @wf.node
    async def same(text: str) -> str:
        return text

    wf.chain(START, same, END)
    turns: dict[str, list[Any]] = {"a": [], "b": []}
    settings: Any
    for settings, complaint in (
        ({"entry": "z"}, "entry='z' is not there; there are 'a' and 'b'"),
        ({"handoffs": {"a": ["z"]}}, "names 'z'"),
        ({"max_handoffs": 0}, "max_handoffs=0"),
        ({"max_ping_pong": 0}, "max_ping_pong=0"),
    ):
        with pytest.raises(DefinitionError, match=complaint):
            _ = swarm(turns, **settings)[0].graph
    strange: Any
    for strange, complaint in (
        ([wf], "is a graph, which cannot hand a task off"),
        ([Agent("a", "echo", input=int)], "takes and gives values of its own"),
        ([], "needs at least one agent"),
    ):
        with pytest.raises(DefinitionError, match=complaint):
            _ = Agent("team", "echo", architecture=Swarm(strange)).graph


def test_the_drawing_shows_one_hub_and_every_agent() -> None:
    drawn = swarm({"a": [], "b": [], "c": []}, max_handoffs=4)[0].to_mermaid()
    for label in ("hub", "a", "b", "c", "turn", "heard", "model", "answer"):
        assert f'"{label}' in drawn
    assert drawn.count("handoff ↺ ≤ 5") == 3


@pytest.mark.parametrize("next_turn", ["active", "entry"])
async def test_in_a_session_whoever_answered_last_goes_on_unless_the_entry_is_to(next_turn: Any) -> None:
    store = MemoryStore()
    turns: dict[str, list[Any]] = {"desk": [hand("bills")], "bills": [answer("Paid."), answer("In May.")]}
    if next_turn == "entry":
        turns["desk"] += [hand("bills"), answer("Bye.")]
    else:
        turns["bills"] += [answer("Bye.")]
    team, models = swarm(turns, next_turn=next_turn)
    for question, said in (("Is it {paid}?", "Paid."), ("When?", "In May."), ("Thanks.", "Bye.")):
        assert (await team.run(question, store=store, session_id="s")).output == said
    counts = {name: len(model.requests) for name, model in models.items()}
    assert counts == ({"desk": 1, "bills": 3} if next_turn == "active" else {"desk": 3, "bills": 2})
    last = models["bills" if next_turn == "active" else "desk"].requests[-1]
    so_far = "user: Is it {paid}?\nassistant: Paid.\nuser: When?\nassistant: In May.\n</conversation_so_far>"
    assert so_far in asked(last)


def test_a_word_for_the_next_turn_that_nobody_knows_is_refused() -> None:
    with pytest.raises(DefinitionError, match="use 'active' or 'entry'"):
        _ = swarm({"a": []}, next_turn="last")[0].graph
