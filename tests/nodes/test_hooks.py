"""Claims about hooks: the nine points, what they replace, skip and stop, and that a resume runs none of them again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from loomgraph import Agent, Context, NodeFailedError, tool
from loomgraph.errors import DefinitionError, ModelServerError
from loomgraph.models import (
    ModelRequest,
    ModelResponse,
    ScriptedModel,
    ToolCall,
    ToolMessage,
    Usage,
    UserMessage,
    assistant,
    user,
)
from loomgraph.nodes.assembly import compacted, trimmed
from loomgraph.nodes.conversation import Conversation
from loomgraph.nodes.hooks import Hooks, Skip
from loomgraph.store.memory import MemoryStore
from loomgraph.tools import calls
from loomgraph.tools.calls import ToolResult

pytestmark = pytest.mark.anyio

POINTS = tuple(Hooks.__dataclass_fields__)


@tool(reads=(), writes="name")
async def shout(name: str) -> str:
    return name.upper()


def shouting(*names: str) -> Any:
    return assistant(*[ToolCall(id=name, name="shout", arguments={"name": name}) for name in names])


def texts(request: ModelRequest) -> list[str]:
    said: list[str] = []
    for message in request.messages:
        if isinstance(message, ToolMessage):
            said.extend(result.text for result in message.results)
        else:
            said.append(message.text)
    return said


def root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


async def test_the_nine_points_are_called_in_their_order() -> None:
    seen: list[str] = []

    def noting(point: str) -> Any:
        def hook(value: Any, ctx: Context) -> None:
            seen.append(f"{point} {type(value).__name__} {ctx.key}")

        return hook

    model = ScriptedModel([shouting("a"), "no JSON", "7"])
    agent = Agent("a", model, tools=[shout], output=int, hooks=Hooks(**{point: noting(point) for point in POINTS}))
    assert (await agent.run("Go.")).output == 7

    def asked(number: int) -> list[str]:
        return [
            f"before_iteration Conversation model#{number}",
            f"before_context Conversation model#{number}",
            f"after_context ModelRequest model#{number}",
            f"before_model ModelRequest model#{number}",
            f"after_model ModelResponse model#{number}",
        ]

    assert seen == [
        *asked(0),
        "before_tool ToolCall tools#0/@tools/shout",
        "after_tool ToolResult tools#0/@tools/shout",
        "after_iteration Conversation tools#0",
        "loop_back Conversation tools#0",
        *asked(1),
        "after_iteration Conversation model#1",
        "loop_back Conversation answer#1",
        *asked(2),
        "after_iteration Conversation model#2",
    ]


async def test_what_a_hook_replaces_goes_on_and_is_the_value_in_the_log() -> None:
    async def calmer(request: ModelRequest, ctx: Context) -> ModelRequest:
        return request.model_copy(update={"temperature": 0.5})

    def louder(response: ModelResponse, ctx: Context) -> ModelResponse | None:
        return None if response.tool_calls else response.model_copy(update={"message": assistant(response.text + "!")})

    def other_name(call: calls.ToolCall, ctx: Context) -> calls.ToolCall:
        return call.model_copy(update={"arguments": {"name": "a", "times": 2}})

    def quieter(result: ToolResult, ctx: Context) -> ToolResult:
        return result.model_copy(update={"content": result.content.lower()})

    def politely(conversation: Conversation, ctx: Context) -> Conversation:
        return conversation.plus(user("Please go on."))

    @tool(reads=(), writes="name")
    async def shout(name: str, times: int = 1) -> str:
        return name.upper() * times

    model = ScriptedModel([shouting("a"), "Done"])
    hooks = Hooks(
        before_model=calmer, after_model=louder, before_tool=other_name, after_tool=quieter, loop_back=politely
    )
    store = MemoryStore()
    agent = Agent("a", model, tools=[shout], hooks=hooks)
    result = await agent.run("Go.", store=store, run_id="r")
    assert result.output == "Done!"
    assert [request.temperature for request in model.requests] == [0.5, 0.5]
    assert texts(model.requests[1]) == ["Go.", "", "aa", "Please go on."]
    again = await agent.graph.replay("r", store=store)
    assert again.node("model")[1].output.response.text == "Done!"
    assert again.node("tools")[0].output.messages[-1].text == "Please go on."


async def test_several_hooks_at_a_point_see_what_the_one_before_them_made() -> None:
    def adding(text: str) -> Hooks:
        def add(response: ModelResponse, ctx: Context) -> ModelResponse:
            return response.model_copy(update={"message": assistant(response.text + text)})

        return Hooks(after_model=add)

    agent = Agent("a", ScriptedModel(["0"]), hooks=[adding("1"), adding("2")])
    assert (await agent.run("Go.")).output == "012"


@pytest.mark.parametrize("point", ["before_iteration", "before_context", "after_context", "before_model"])
async def test_a_model_call_is_skipped_with_what_stands_in_its_place(point: str) -> None:
    def skip(value: Any, ctx: Context) -> None:
        raise Skip("Not today.")

    points: dict[str, Any] = {point: skip}
    model = ScriptedModel([])
    result = await Agent("a", model, hooks=Hooks(**points)).run("Go.")
    assert result.output == "Not today."
    assert model.requests == []
    assert result.usage.model_calls == 0


async def test_a_tool_call_is_skipped_with_a_result_or_with_a_reason() -> None:
    ran: list[str] = []

    @tool(reads=())
    async def shout(name: str) -> str:
        ran.append(name)
        return name.upper()

    def skip(call: calls.ToolCall, ctx: Context) -> None:
        assert isinstance(call.arguments, dict)
        if call.arguments["name"] == "a":
            raise Skip("known already")
        if call.arguments["name"] == "b":
            raise Skip(reason="b is out of order")

    model = ScriptedModel([shouting("a", "b", "c"), "Done"])
    await Agent("a", model, tools=[shout], hooks=Hooks(before_tool=skip)).run("Go.")
    assert ran == ["c"]
    assert texts(model.requests[1])[2:] == ["known already", "not called: b is out of order.", "C"]


async def test_a_hook_that_raises_stops_the_run_with_its_cause_and_the_run_goes_on_without_it() -> None:
    broken = [True]

    def stop(value: Any, ctx: Context) -> None:
        if broken[0]:
            raise PermissionError("not on a Sunday")

    for point in POINTS:
        broken[0] = True
        points: dict[str, Any] = {point: stop}
        model = ScriptedModel([shouting("a"), "Done"], order="conversation")
        agent = Agent("a", model, tools=[shout], hooks=Hooks(**points))
        store = MemoryStore()
        with pytest.raises(NodeFailedError, match="not on a Sunday") as caught:
            await agent.run("Go.", store=store, run_id="r")
        assert isinstance(root(caught.value), PermissionError)
        broken[0] = False
        assert (await agent.resume("r", store=store)).output == "Done"
        assert len(model.requests) == 2, point


async def test_a_hook_that_gives_something_else_or_skips_where_nothing_is_left_to_skip_is_refused() -> None:
    def wrong(request: ModelRequest, ctx: Context) -> Any:
        return "a request"

    with pytest.raises(NodeFailedError, match="was given ModelRequest and returned str"):
        await Agent("a", ScriptedModel(["x"]), hooks=Hooks(before_model=wrong)).run("Go.")

    def late(response: ModelResponse, ctx: Context) -> None:
        raise Skip("x")

    with pytest.raises(NodeFailedError, match="a hook at after_model of node 'model' raised Skip"):
        await Agent("a", ScriptedModel(["x"]), hooks=Hooks(after_model=late)).run("Go.")

    def other(call: calls.ToolCall, ctx: Context) -> calls.ToolCall:
        return call.model_copy(update={"name": "other", "arguments": {}})

    with pytest.raises(NodeFailedError) as caught:
        model = ScriptedModel([shouting("a")])
        await Agent("a", model, tools=[shout], hooks=Hooks(before_tool=other)).run("Go.")
    assert isinstance(root(caught.value), DefinitionError)
    assert "the call 'a' of 'shout' was changed to 'a' of 'other'" in str(caught.value)


async def test_a_hook_may_not_have_a_call_touch_what_it_was_not_ordered_for() -> None:
    def stray(call: calls.ToolCall, ctx: Context) -> calls.ToolCall:
        return call.model_copy(update={"arguments": {"name": "elsewhere"}})

    model = ScriptedModel([shouting("a"), "Done"])
    await Agent("a", model, tools=[shout], hooks=Hooks(before_tool=stray)).run("Go.")
    assert "touch something else" in texts(model.requests[1])[2]


async def test_a_hook_that_asks_somebody_pays_neither_for_the_answer_nor_for_the_tool_again() -> None:
    ran: Counter[str] = Counter()

    @tool(reads=())
    async def count(name: str) -> str:
        ran[name] += 1
        return name

    async def check(response: ModelResponse, ctx: Context) -> ModelResponse | None:
        if response.tool_calls:
            return None
        better = await ctx.ask(f"Is {response.text!r} right?", str)
        return response.model_copy(update={"message": assistant(better)})

    async def seen(result: ToolResult, ctx: Context) -> None:
        await ctx.ask("Seen?", bool)

    model = ScriptedModel(
        [assistant(ToolCall(id="1", name="count", arguments={"name": "a"})), "so"], usage=Usage(input_tokens=5)
    )
    store = MemoryStore()
    agent = Agent("a", model, tools=[count], hooks=Hooks(after_model=check, after_tool=seen))
    result = await agent.run("Go.", store=store, run_id="r")
    result = await agent.resume("r", store=store, answers={result.questions[0].id: True})
    assert result.questions[0].question == "Is 'so' right?"
    result = await agent.resume("r", store=store, answers={result.questions[0].id: "thus"})
    assert result.output == "thus"
    assert ran == {"a": 1}
    assert len(model.requests) == 2
    assert result.usage.input_tokens == 10


async def test_finished_hooks_are_not_run_again_by_a_resume() -> None:
    seen: Counter[str] = Counter()
    broken = [True]

    def note(request: ModelRequest, ctx: Context) -> None:
        seen[ctx.key] += 1

    def fail(conversation: Conversation, ctx: Context) -> None:
        if broken[0]:
            raise OSError("gone")

    model = ScriptedModel([shouting("a"), "Done"], order="conversation")
    agent = Agent("a", model, tools=[shout], hooks=Hooks(before_model=note, loop_back=fail))
    store = MemoryStore()
    with pytest.raises(NodeFailedError, match="gone"):
        await agent.run("Go.", store=store, run_id="r")
    broken[0] = False
    assert (await agent.resume("r", store=store)).output == "Done"
    assert seen == {"model#0": 1, "model#1": 1}


def test_hooks_are_part_of_what_an_agent_means() -> None:
    def one(request: ModelRequest, ctx: Context) -> None:
        return None

    def two(request: ModelRequest, ctx: Context) -> None:
        assert request

    model = ScriptedModel([])
    marks = {Agent("a", model, hooks=hooks).graph.fingerprint for hooks in (Hooks(), [], Hooks(before_model=one))}
    assert len(marks) == 2
    assert Agent("a", model, hooks=Hooks(before_model=two)).graph.fingerprint not in marks
    limits = {Agent("a", model, hooks=trimmed(messages=count)).graph.fingerprint for count in (3, 4, 4)}
    assert len(limits) == 2


async def test_a_long_conversation_is_shown_in_part_and_kept_whole() -> None:
    model = ScriptedModel([*[shouting(name) for name in "abcdef"], "Done"])
    result = await Agent("a", model, tools=[shout], hooks=trimmed(messages=6)).run("Go.")
    assert texts(model.requests[2]) == ["Go.", "", "A", "", "B"]
    assert texts(model.requests[-1]) == ["Go.", "[8 earlier messages are left out here.]", "", "E", "", "F"]
    assert len(result.node("model")[-1].output.conversation.messages) == 14

    model = ScriptedModel([*[shouting(name) for name in "abcdef"], "Done"])
    await Agent("a", model, tools=[shout], hooks=trimmed(tokens=1)).run("Go.")
    assert texts(model.requests[-1])[2:] == ["", "F"]
    with pytest.raises(DefinitionError, match="needs messages= or tokens="):
        trimmed()


async def test_a_long_conversation_is_compacted_once_and_goes_on_from_its_summary() -> None:
    model = ScriptedModel([*[shouting(name * 300) for name in "abcdef"], "Done"], usage=Usage(input_tokens=1))
    summarizer = ScriptedModel(["a and b were shouted", "so were c and d"], usage=Usage(input_tokens=100))
    hooks = compacted(summarizer, tokens=1000, keep=2)
    result = await Agent("a", model, tools=[shout], hooks=hooks).run("Go.")
    assert result.output == "Done"
    assert result.usage.model_calls == 7 + len(summarizer.requests)
    kept = result.node("model")[-1].output.conversation.messages
    assert kept[0].text == "Go."
    assert isinstance(kept[1], UserMessage)
    assert kept[1].text.startswith("[")
    assert "shouted" in kept[1].text or "so were" in kept[1].text
    assert len(kept) < 14
    first = summarizer.requests[0].messages[0]
    assert isinstance(first, UserMessage)
    assert 'calls shout({"name":"aaa' in first.text
    assert "result of shout: AAA" in first.text
    assert "Go." not in first.text
    if len(summarizer.requests) > 1:  # an earlier summary is summarized with what came after it
        assert "a and b were shouted" in texts(summarizer.requests[1])[0]


async def test_a_summary_is_not_paid_again_when_the_call_behind_it_fails_and_the_run_goes_on() -> None:
    model = ScriptedModel([*[shouting(name * 300) for name in "abcd"], ModelServerError("scripted"), "Done"])
    summarizer = ScriptedModel(["a and b were shouted"])
    store = MemoryStore()
    agent = Agent("a", model, tools=[shout], hooks=compacted(summarizer, tokens=1000, keep=2))
    with pytest.raises(NodeFailedError, match="ModelServerError"):
        await agent.run("Go.", store=store, run_id="r")
    assert len(summarizer.requests) == 1
    assert (await agent.resume("r", store=store)).output == "Done"
    assert len(summarizer.requests) == 1
    assert "a and b were shouted" in texts(model.requests[-1])[1]
