"""Claims about a plan that is carried out while it is written: when calls begin, and that nothing else is different."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from loomgraph import Agent, Context, NodeFailedError, tool
from loomgraph.architectures import ReWOO
from loomgraph.architectures.planned_calls import Work
from loomgraph.errors import CyclicPlanError, ModelServerError, PlanStepError, PlanTooLongError
from loomgraph.models import (
    AttemptRestarted,
    ModelRequest,
    ModelResponse,
    ResponseDone,
    StreamEvent,
    TextDelta,
    assistant,
)
from loomgraph.models.growing import GrowingList
from loomgraph.models.responses import FinishReason
from loomgraph.models.retrying import answer_of
from loomgraph.nodes.hooks import Hooks
from loomgraph.store.memory import MemoryStore
from loomgraph.testing.interleave import Turnstile
from tests.architectures.voices import told
from tests.e2e.virtual import spend, virtually
from tests.properties.budget import examples

pytestmark = pytest.mark.anyio

Piece = str | Callable[[], Awaitable[object]] | AttemptRestarted | Exception


class Writer:
    """A planner that writes what it is given, piece by piece, and waits where a piece says so; then a solver."""

    name = provider = "writer"

    def __init__(self, *answers: list[Piece]) -> None:
        self.answers = [*answers, ["Done."]]
        self.requests: list[ModelRequest] = []

    async def generate(self, request: ModelRequest) -> ModelResponse:
        return await answer_of(self.name, self.stream(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        self.requests.append(request)
        text = ""
        for piece in self.answers[min(len(self.requests), len(self.answers)) - 1]:
            match piece:
                case str():
                    text += piece
                    yield TextDelta(text=piece)
                case AttemptRestarted():
                    text = ""
                    yield piece
                case Exception():
                    raise piece
                case _:
                    await piece()
        done = ModelResponse(message=assistant(text), finish=FinishReason.STOP, model="writer", provider="writer")
        yield ResponseDone(response=done)


def call(id: str, tool: str, /, **arguments: Any) -> str:
    return json.dumps({"id": id, "why": "", "tool": tool, "arguments": arguments})


OPEN, CLOSE = '{"steps": [', "]}"


@tool(reads=())
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


def planner(model: Any, *tools: Any, **settings: Any) -> Agent[Any, Any]:
    settings = {"stream_plan": True, **settings}
    hooks = settings.pop("hooks", ())
    return Agent("planner", model, tools=tools or [shout], architecture=ReWOO(**settings), hooks=hooks)


def work_of(result: Any) -> Work:
    [*_, last] = result.node("plan")
    work: Work = last.output.work
    return work


async def waited(event: anyio.Event) -> None:
    with anyio.fail_after(20):
        await event.wait()


async def test_a_call_begins_and_ends_and_the_next_one_with_it_while_the_plan_is_still_being_written() -> None:
    ended = {"A": anyio.Event(), "AB": anyio.Event()}

    @tool(reads=())
    async def step(text: str) -> str:
        """Go on."""
        ended[text.upper()].set() if text.upper() in ended else None
        return text.upper()

    model = Writer(
        [
            *(OPEN, call("E1", "step", text="a")[:-1], "}", lambda: waited(ended["A"])),
            *(", ", call("E2", "step", text="#E1b"), lambda: waited(ended["AB"])),
            *(", ", call("E3", "step", text="#E2c"), CLOSE),
        ]
    )
    store = MemoryStore()
    result = await planner(model, step).run("Do it.", store=store)
    assert [came.value for came in work_of(result).results] == ["A", "AB", "ABC"]
    assert len(model.requests) == result.usage.model_calls == 2
    happened = [f"{type(event).__name__} {getattr(event, 'key', '')}" for event in result.events]
    recorded = happened.index("StepSucceeded plan#0")
    began = happened.index("NodeStarted plan#0/@call E1/step")
    model_ends = happened.index("NodeSucceeded plan#0/@plan/planner/model#0")
    assert recorded < began < model_ends, "recorded, then begun, then the plan was whole"


@pytest.mark.parametrize(("stream_plan", "longest"), [(False, 3 + 4 + 1), (True, 1 + 4 + 1)])
def test_a_run_takes_the_longest_way_from_where_a_call_was_written(stream_plan: bool, longest: int) -> None:
    """The planner writes a call a second; the first one takes four seconds, the second waits for it and takes one."""

    @tool(reads=())
    async def work(seconds: int, after: str = "") -> str:
        """Take so long."""
        await spend(seconds)
        return "done"

    steps = [call("E1", "work", seconds=4), call("E2", "work", seconds=1, after="#E1"), call("E3", "work", seconds=1)]
    pieces: list[Piece] = [OPEN]
    for number, step in enumerate(steps):
        pieces += [partial(spend, 1), step, ", " if number < 2 else CLOSE]
    agent = planner(Writer(pieces), work, stream_plan=stream_plan)

    async def go() -> float:
        began = trio.current_time()
        await agent.run("Do it.")
        return trio.current_time() - began

    assert virtually(go) == pytest.approx(longest)


@pytest.mark.parametrize("replans", [0, 1, 2])
async def test_it_costs_two_calls_of_models_and_one_for_each_new_plan_as_a_whole_plan_does(replans: int) -> None:
    broken: list[Piece] = [OPEN, call("E1", "look", at="nowhere"), ", ", call("E2", "look", at="#E1"), CLOSE]

    @tool(reads=())
    async def look(at: str) -> str:
        """Look."""
        if at == "nowhere":
            raise OSError("there is nothing")
        return at

    good: list[Piece] = [OPEN, call("E3", "look", at="here"), CLOSE]
    model = Writer(*[broken] * replans, good)
    result = await planner(model, look, max_replans=replans + 1).run("Do it.")
    assert len(model.requests) == result.usage.model_calls == 2 + replans
    outcomes = [came.outcome for came in work_of(result).results]
    assert outcomes == [*["error", "skipped"] * replans, "ok"]
    assert [len(plan.steps) for plan in work_of(result).plans] == [*[2] * replans, 1]


GOOD = [call("E1", "shout", text="a"), call("E2", "shout", text="#E1b"), call("E3", "shout", text="c")]
BAD = {
    "a reference to nothing": (call("E4", "shout", text="#E9"), PlanStepError, 3),
    "a circle": (
        f"{call('E4', 'shout', text='#E5')}, {call('E5', 'shout', text='#E4')}",
        CyclicPlanError,
        3,
    ),
    "an unknown tool": (call("E4", "whisper", text="d"), PlanStepError, 3),
    "an id twice": (call("E2", "shout", text="d"), PlanStepError, 3),
    "arguments that do not fit": (call("E4", "shout", words="d"), PlanStepError, 3),
    "too long": (", ".join(call(f"F{n}", "shout", text="d") for n in range(4)), PlanTooLongError, 6),
}


@pytest.mark.parametrize(("bad", "error", "begun"), BAD.values(), ids=BAD)
async def test_of_a_bad_plan_the_calls_before_what_is_wrong_are_kept_and_the_rest_is_planned_once_more(
    bad: str, error: type[Any], begun: int
) -> None:
    first: list[Piece] = [OPEN, ", ".join([*GOOD, bad, call("Z", "shout", text="z")]), CLOSE]
    model = Writer(first, [OPEN, call("G", "shout", text="#E3g"), CLOSE] if begun < 6 else [OPEN, GOOD[0], CLOSE])
    result = await planner(model, max_steps=6).run("Do it.")
    work = work_of(result)
    values = [came.value for came in work.results]
    assert values == ["A", "AB", "C", "CG"] if begun < 6 else ["A", "AB", "C", "D", "D", "D"]
    assert [len(plan.steps) for plan in work.plans] == [len(values)]
    assert len(model.requests) == 3
    assert "<cannot_be_carried_out>" in str(model.requests[1].messages)
    assert '"id": "E2"' in told(model.requests[1]), "it is told what is under way"

    with pytest.raises(NodeFailedError) as caught:
        await planner(Writer(first, [OPEN, bad, CLOSE]), max_steps=6).run("Do it.")
    cause: Any = caught.value.__cause__
    assert isinstance(cause, error)
    assert cause.begun == begun
    assert f"The first {begun} of its calls were carried out." in str(cause)
    assert [came.value for came in cause.finished.came][:3] == ["A", "AB", "C"]


async def test_no_more_calls_begin_than_a_plan_may_have_however_long_it_is() -> None:
    made = 0

    @tool(reads=())
    async def count(number: int) -> int:
        """Count."""
        nonlocal made
        made += 1
        return number

    endless: list[Piece] = [OPEN, ", ".join(call(f"E{n}", "count", number=n) for n in range(500)), CLOSE]
    with pytest.raises(NodeFailedError) as caught:
        await planner(Writer(endless, endless), count, max_steps=5).run("Do it.")
    assert isinstance(caught.value.__cause__, PlanTooLongError)
    assert made == 5


async def test_a_planner_that_fails_half_way_is_asked_for_the_rest_and_no_call_is_made_again() -> None:
    made: list[str] = []

    @tool(reads=())
    async def step(text: str) -> str:
        """Go on."""
        made.append(text)
        return text.upper()

    steps = [call(f"E{n}", "step", text=text) for n, text in enumerate(["a", "#E0b", "#E1c"])]
    broken = ModelServerError("writer", "gone", status=500)
    seen = anyio.Event()

    async def both_are_made() -> None:
        while len(made) < 2:
            await anyio.lowlevel.checkpoint()
        for _ in range(20):  # and recorded
            await anyio.lowlevel.checkpoint()
        seen.set()

    model = Writer([OPEN, ", ".join(steps[:2]), both_are_made, broken], [OPEN, steps[2], CLOSE])
    agent, store = planner(model, step), MemoryStore()
    with pytest.raises(NodeFailedError):
        await agent.run("Do it.", store=store, run_id="r")
    assert made == ["a", "Ab"]
    result = await agent.resume("r", store=store)
    assert [came.value for came in work_of(result).results] == ["A", "AB", "ABC"]
    assert made == ["a", "Ab", "ABc"]
    assert '"id": "E1"' in told(model.requests[1])
    assert "may refer to them" not in told(model.requests[0])


async def test_what_a_planner_says_again_is_what_it_said_and_another_call_of_that_id_is_not() -> None:
    again = AttemptRestarted(attempt=2, model="writer", error="ServerError", message="gone", wait=0)
    heard = anyio.Event()

    @tool(reads=())
    async def hear(text: str) -> str:
        """Hear it."""
        heard.set()
        return text

    steps = [*GOOD[:2], call("E3", "hear", text="c")]
    waits = partial(waited, heard)
    model = Writer([OPEN, GOOD[0], ", ", again, OPEN, ", ".join(steps), waits, CLOSE])
    result = await planner(model, shout, hear).run("Do it.")
    assert [came.value for came in work_of(result).results] == ["A", "AB", "c"]

    other = call("E1", "shout", text="other")
    model = Writer([OPEN, GOOD[0], ", ", again, OPEN, other, ", ", GOOD[1], CLOSE], [OPEN, GOOD[1], CLOSE])
    result = await planner(model).run("Do it.")
    assert "two calls of this batch have the id" in str(model.requests[1].messages)
    assert [came.value for came in work_of(result).results] == ["A", "AB"]


async def test_an_answer_that_is_no_plan_keeps_what_was_begun_and_goes_back_as_it_does_otherwise() -> None:
    model = Writer([OPEN, GOOD[0], ', {"id": 7}', CLOSE], [OPEN, ", ".join(GOOD), CLOSE])
    result = await planner(model).run("Do it.")
    assert [came.value for came in work_of(result).results] == ["A", "AB", "C"]
    assert len(model.requests) == 3


async def test_a_hook_that_sees_the_answer_sees_it_before_a_call_begins() -> None:
    seen: list[str] = []

    @tool(reads=())
    async def step(text: str) -> str:
        """Go on."""
        seen.append("call")
        return text

    async def look(response: ModelResponse, ctx: Any) -> None:
        seen.append("answer")

    async def linger() -> None:
        for _ in range(50):  # in which a call would have begun
            await anyio.lowlevel.checkpoint()

    model = Writer([OPEN, call("E1", "step", text="a"), ", ", linger, call("E2", "step", text="#E1"), linger, CLOSE])
    await planner(model, step, hooks=Hooks(after_model=look)).run("Do it.")
    assert seen == ["answer", "call", "call", "answer"]
    bad: list[Piece] = [OPEN, call("E1", "step", text="a"), ", ", call("E2", "no such"), CLOSE]
    model = Writer(bad, [OPEN, call("E2", "step", text="#E1"), CLOSE])
    result = await planner(model, step, hooks=Hooks(after_model=look)).run("Do it.")
    assert [came.value for came in work_of(result).results] == ["a", "a"], "what is carried out is as without a hook"


async def test_a_new_plan_may_refer_to_results_of_the_last_one_and_an_id_of_its_own_comes_first() -> None:
    @tool(reads=())
    async def fail() -> str:
        """Fail."""
        raise ValueError("no")

    first: list[Piece] = [OPEN, call("E1", "shout", text="old"), ", ", call("E2", "fail"), CLOSE]
    model = Writer(first, [OPEN, call("E3", "shout", text="#E1!"), CLOSE])
    result = await planner(model, shout, fail, max_replans=1).run("Do it.")
    assert work_of(result).results[-1].value == "OLD!"
    model = Writer(first, [OPEN, call("E3", "shout", text="#E1!"), ", ", call("E1", "shout", text="new"), CLOSE])
    result = await planner(model, shout, fail, max_replans=1).run("Do it.")
    assert [came.value for came in work_of(result).results[2:]] == ["NEW!", "NEW"]


async def test_a_call_that_asks_a_person_suspends_the_run_once_nothing_else_can_go_on() -> None:
    @tool(reads=())
    async def confirm(text: str, ctx: Context) -> str:
        """Ask somebody."""
        return f"{text}: {await ctx.ask('Really?', str)}"

    steps = [call("E1", "confirm", text="a"), call("E2", "shout", text="b"), call("E3", "shout", text="#E1")]
    model, store = Writer([OPEN, ", ".join(steps), CLOSE]), MemoryStore()
    agent = planner(model, confirm, shout)
    result = await agent.run("Do it.", store=store, run_id="r", limit=1)
    assert result.status == "suspended"
    again = planner(model, confirm, shout)
    result = await again.resume("r", store=store, answers={result.questions[0].id: "yes"})
    assert [came.value for came in work_of(result).results] == ["a: yes", "B", "A: YES"]
    assert len(model.requests) == 2


async def test_calls_that_touch_the_same_keep_the_order_in_which_they_were_written() -> None:
    written, order = anyio.Event(), list[str]()

    @tool
    async def keep(text: str) -> str:
        """Keep it."""
        if text == "first":
            await waited(written)
        order.append(text)
        return text

    async def finished() -> None:
        for _ in range(50):  # in which the second one would have overtaken the first
            await anyio.lowlevel.checkpoint()
        written.set()

    steps = ", ".join([call("E1", "keep", text="first"), call("E2", "keep", text="second")])
    await planner(Writer([OPEN, steps, finished, CLOSE]), keep).run("Do it.")
    assert order == ["first", "second"]


def some_plan(chance: random.Random) -> list[str]:
    """Calls that refer to others before and behind them, now and then to themselves in a circle or to nothing."""
    ids = [f"{chance.choice(['E', 'E', 'step-'])}{n}" for n in range(chance.randint(1, 6))]
    steps: list[str] = []
    for id in ids:
        refers = [f"#{chance.choice(ids)}" for _ in range(chance.choice([0, 0, 1, 1, 2]))]
        name = chance.choice(["shout", "shout", "shout", "keep", "fail"])
        # a name means a call that is written later only where it stands alone
        alone = next((reference for reference in refers if "-" in reference), None)
        steps.append(call(id, name, text=alone or " ".join([id.lower(), *refers])))
    return steps


@examples(12)
@given(seed=st.integers(0, 99_999))
def test_any_timing_comes_to_what_the_plan_comes_to_when_it_is_whole(seed: int) -> None:
    chance = random.Random(seed)
    text = OPEN + ", ".join(some_plan(chance)) + CLOSE
    cuts = sorted(chance.sample(range(len(text)), min(len(text) - 1, 8)))
    kept: dict[bool, list[str]] = {}
    came: dict[bool, Any] = {}

    async def go(streamed: bool, turnstile: Turnstile) -> None:
        @tool(reads=())
        async def shout(text: str) -> str:
            """Say it louder."""
            await turnstile.turn("shout")
            return text.upper()

        @tool
        async def keep(text: str) -> str:
            """Keep it: what is kept is kept in the order of the plan."""
            await turnstile.turn("keep")
            kept.setdefault(streamed, []).append(text)
            return text

        @tool(reads=())
        async def fail(text: str) -> str:
            """Fail."""
            await turnstile.turn("fail")
            raise ValueError(text)

        pieces: list[Piece] = []
        for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
            pieces += [text[begin:end], partial(turnstile.turn, "write")]
        model = Writer(pieces, pieces)
        try:
            await planner(model, shout, keep, fail, stream_plan=streamed).run("Do it.")
            came[streamed] = str(model.requests[-1].messages[-1])
        except NodeFailedError as error:
            came[streamed] = type(error.__cause__)

    for streamed in (False, True):
        turnstile = Turnstile(chance.randrange)
        anyio.run(turnstile.drive, partial(go, streamed, turnstile))
    assert came[True] == came[False]
    if not isinstance(came[True], type):
        assert kept.get(True) == kept.get(False)


@examples(60)
@given(seed=st.integers(0, 99_999))
def test_a_list_that_comes_in_pieces_is_read_as_it_is_whole(seed: int) -> None:
    chance = random.Random(seed)

    def word() -> str:
        return "".join(chance.choices('{}[]"\\\n\u00e4x:,\U0001f600', k=chance.randint(0, 6)))

    items = [{word(): word(), "deep": [{word(): [word()]}]} for _ in range(chance.randint(0, 5))]
    text = f"Well: {json.dumps({'steps': items, 'more': [1]}, ensure_ascii=chance.random() < 0.5)} and so on"
    growing, read, at = GrowingList("steps"), [], 0
    while at < len(text):
        size = chance.randint(1, 9)
        for item in growing.feed(text[at : at + size]):
            read.append(item)
            assert json.dumps(item) in json.dumps(json.loads(text[6 : text.rindex("}") + 1])["steps"])
        at += size
    assert read == items


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("no list", []),
        ('{"steps": 5}', []),
        ('{"steps": ["text", {"a": 1}]}', []),
        ('{"steps": [[{"a": 1}]]}', []),
        ('{"steps": [{"a": 1}, {a: 2}, {"a": 3}]}', [{"a": 1}]),
        ('{"steps": [{"a": 1}] , [{"a": 2}]', [{"a": 1}]),
        ('{"steps": [{"a": 1}, {"a": ', [{"a": 1}]),
    ],
)
def test_a_list_ends_at_what_is_no_object(text: str, items: list[Any]) -> None:
    growing = GrowingList("steps")
    assert [item for character in text for item in growing.feed(character)] == items


def test_the_drawing_has_the_planner_in_the_node_that_carries_its_plan_out() -> None:
    drawn = planner("echo").to_mermaid()
    for label in ("plan", "each call begins while it plans", "model", "solve", "plan anew", "done"):
        assert label in drawn
