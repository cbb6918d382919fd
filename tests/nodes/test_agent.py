"""Claims about an agent: its graph, its answers, its tools, its stream, its session, and what a crash costs it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from loomgraph import END, START, CompileError, Context, NodeFailedError, Workflow
from loomgraph.architectures import ReAct
from loomgraph.errors import DefinitionError, LoopCapError, OutputValidationError
from loomgraph.events import NodeStarted, NodeSucceeded
from loomgraph.models import (
    AssistantMessage,
    ModelRequest,
    ScriptedModel,
    SystemMessage,
    TextDelta,
    ToolCall,
    ToolMessage,
    Turn,
    Usage,
    UserMessage,
    assistant,
)
from loomgraph.nodes.agent import Agent
from loomgraph.nodes.conversation import Conversation
from loomgraph.nodes.hooks import Hooks
from loomgraph.nodes.live import Heard
from loomgraph.store.memory import MemoryStore
from loomgraph.tools import tool

pytestmark = pytest.mark.anyio


class DiedError(BaseException):
    """The process is gone, as far as the run can see."""


class Weather(BaseModel):
    city: str
    degrees: int


@tool(reads=())
async def measure(city: str) -> int:
    """Measure the temperature."""
    return {"Rome": 21, "Oslo": 4}[city]


def call(id: str, tool: str, /, **arguments: Any) -> ToolCall:
    return ToolCall(id=id, name=tool, arguments=arguments)


def measuring(*more: Any, **options: Any) -> ScriptedModel:
    first = assistant("Let me see.", call("1", "measure", city="Rome"), call("2", "measure", city="Oslo"))
    return ScriptedModel([first, *more], usage=Usage(input_tokens=10, output_tokens=5), **options)


def last_results(request: ModelRequest) -> list[str]:
    message = request.messages[-1]
    assert isinstance(message, ToolMessage)
    return [result.text for result in message.results]


async def test_an_agent_without_tools_asks_once() -> None:
    model = ScriptedModel(["Hello to you."])
    result = await Agent("greeter", model, instructions="Be {kind}.").run("Hello {you}")
    assert result.output == "Hello to you."
    [request] = model.requests
    assert [message.role for message in request.messages] == ["system", "user"]
    assert isinstance(request.messages[0], SystemMessage)
    assert isinstance(request.messages[1], UserMessage)
    assert (request.messages[0].text, request.messages[1].text) == ("Be {kind}.", "Hello {you}")
    assert [record.key for record in result.activations] == ["prompt", "model", "answer"]


async def test_tools_are_called_together_and_their_results_go_back_in_order() -> None:
    model = measuring(Turn("21 and 4.", expect=lambda request: last_results(request) == ["21", "4"]))
    result = await Agent("weather", model, tools=[measure]).run("How warm?")
    assert result.output == "21 and 4."
    ran = [record.key for record in result.activations if record.status == "succeeded"]
    assert ran == [
        "prompt",
        "model#0",
        "tools#0",
        "tools#0/@tools/measure",
        "tools#0/@tools/measure 2",
        "tools#0/@tools/results",
        "model#1",
        "answer",
    ]
    assert result.usage.model_calls == 2
    assert result.usage.input_tokens == 20
    [first, second] = result.node("model")
    assert first.amounts == {"model_calls": 1, "input_tokens": 10, "output_tokens": 5}
    assert second.output.response.text == "21 and 4."


async def test_an_error_of_a_tool_is_told_to_the_model() -> None:
    def told(request: ModelRequest) -> bool:
        message = request.messages[-1]
        assert isinstance(message, ToolMessage)
        return message.results[0].error and "KeyError: 'Bonn'" in message.results[0].text

    model = ScriptedModel([call("1", "measure", city="Bonn"), Turn("No idea.", expect=told)])
    assert (await Agent("weather", model, tools=[measure]).run("How warm is Bonn?")).output == "No idea."


async def test_an_answer_of_a_type_is_read_and_repaired_once() -> None:
    def complains(request: ModelRequest) -> bool:
        said = request.messages[-1]
        assert isinstance(said, UserMessage)
        return "degrees" in said.text and isinstance(request.messages[-2], AssistantMessage)

    model = ScriptedModel(['{"city": "Rome"}', Turn('{"city": "Rome", "degrees": 21}', expect=complains)])
    result = await Agent("weather", model, output=Weather).run("How warm is Rome?")
    assert result.output == Weather(city="Rome", degrees=21)
    assert model.requests[0].output is not None
    assert model.requests[0].output.name == "Weather"

    model = ScriptedModel(["no", "no again"])
    with pytest.raises(NodeFailedError) as caught:
        await Agent("weather", model, output=Weather).run("How warm is Rome?")
    assert isinstance(caught.value.__cause__, OutputValidationError)
    assert caught.value.__cause__.raw == "no again"


async def test_input_of_a_type_is_shown_as_json_or_as_prompt_makes_it() -> None:
    model = ScriptedModel(["a", "b"])
    agent = Agent("reader", model, input=Weather)
    await agent.run(Weather(city="Rome", degrees=21))
    await agent.replace(prompt=lambda given: f"{given.city}!").run(Weather(city="Rome", degrees=21))
    texts = [request.messages[-1].text for request in model.requests if isinstance(request.messages[-1], UserMessage)]
    assert texts == ['{\n  "city": "Rome",\n  "degrees": 21\n}', "Rome!"]


async def test_an_agent_is_a_node_with_typed_ends_and_a_fresh_conversation_each_visit() -> None:
    model = ScriptedModel([f'{{"city": "c{i}", "degrees": {i}}}' for i in range(3)])
    agent = Agent("weather", model, output=Weather)
    wf = Workflow("outer", input=list[str], output=int)

    @wf.node
    def split(names: list[str]) -> list[str]:
        return names

    @wf.node
    def total(found: list[Weather]) -> int:
        return sum(weather.degrees for weather in found)

    wf.edge(START, split)
    each = wf.node(agent, name="ask")
    wf.map(split, each, limit=1)
    wf.chain(each, total, END)
    assert (await wf.compile().run(["a", "b", "c"])).output == 3
    assert [len(request.messages) for request in model.requests] == [1, 1, 1]

    wrong = Workflow("wrong", input=int, output=Weather)
    wrong.chain(START, wrong.node(agent, name="ask"), END)
    with pytest.raises(CompileError, match="edge-type"):
        wrong.compile()


async def test_an_agent_is_a_tool_of_another_and_its_run_is_part_of_the_callers() -> None:
    inner = Agent("thermometer", measuring('{"city": "Rome", "degrees": 21}'), tools=[measure], output=Weather)
    model = ScriptedModel([call("a", "thermometer", input="Rome?"), "It is 21."])
    outer = Agent("boss", model, tools=[inner])
    assert dict(outer.tools[0].parameters) == {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
        "additionalProperties": False,
    }
    result = await outer.run("How warm?")
    assert result.output == "It is 21."
    assert result.usage.model_calls == 4
    keys = [record.key for record in result.activations]
    assert "tools#0/@tools/thermometer/@graph/tools#0/@tools/measure" in keys
    assert last_results(model.requests[1]) == ['{"city":"Rome","degrees":21}']


async def test_a_tool_that_ends_the_turn_gives_the_answer() -> None:
    @tool(reads=(), ends_turn=True)
    async def submit(degrees: int) -> Weather:
        return Weather(city="Rome", degrees=degrees)

    model = ScriptedModel([call("1", "submit", degrees=7)])
    agent = Agent("weather", model, tools=[measure, submit], output=Weather)
    assert (await agent.run("?")).output == Weather(city="Rome", degrees=7)
    assert "ended" in agent.to_mermaid()


async def test_turns_are_capped_and_the_error_has_the_conversation() -> None:
    model = ScriptedModel([call(f"{i}", "measure", city="Rome") for i in range(5)])
    with pytest.raises(LoopCapError) as caught:
        await Agent("weather", model, tools=[measure], architecture=ReAct(max_turns=3)).run("How warm?")
    assert len(model.requests) == 3
    assert "model" in str(caught.value)
    assert "tools" in str(caught.value)


async def test_a_stream_has_the_words_as_they_come_between_the_events_of_the_log() -> None:
    agent = Agent("weather", measuring("It is warm."), tools=[measure])
    seen: list[str] = []
    async with agent.stream("How warm?") as run:
        async for event in run:
            if isinstance(event, Heard):
                if isinstance(event.event, TextDelta):
                    seen.append(f"{event.key}: {event.event.text}")
            elif isinstance(event, (NodeStarted, NodeSucceeded)) and "model" in event.key:
                seen.append(f"{event.kind} {event.key}")
        result = await run.result()
    assert result.output == "It is warm."
    assert [line for line in seen if line.startswith("Node")] == [
        "NodeStarted model#0",
        "NodeSucceeded model#0",
        "NodeStarted model#1",
        "NodeSucceeded model#1",
    ]
    start, end = seen.index("NodeStarted model#1"), seen.index("NodeSucceeded model#1")
    assert "".join(line.removeprefix("model#1: ") for line in seen[start + 1 : end]) == "It is warm."


async def test_a_run_that_goes_on_is_followed_too() -> None:
    async def look(conversation: Conversation, ctx: Context) -> None:
        assert await ctx.ask("Go on?", bool)

    store = MemoryStore()
    agent = Agent("weather", measuring("It is warm."), tools=[measure], hooks=Hooks(loop_back=look))
    asked = await agent.run("How warm?", store=store, run_id="r")
    words: list[str] = []
    async with agent.reopen("r", store=store, answers={asked.questions[0].id: True}) as run:
        async for event in run:
            if isinstance(event, Heard):
                words.extend([event.event.text] if isinstance(event.event, TextDelta) else [])
            elif isinstance(event, NodeStarted):
                words.append(f"<{event.key}>")
        assert (await run.result()).output == "It is warm."
    assert "".join(words).split("<tools#0>")[-1] == "<model#1>It is warm.<answer>"


async def test_a_stream_that_is_left_early_cancels_the_run() -> None:
    begun = anyio.Event()

    @tool(reads=())
    async def forever() -> None:
        begun.set()
        await anyio.sleep_forever()

    agent = Agent("waiter", ScriptedModel([call("1", "forever")]), tools=[forever])
    with pytest.raises(RuntimeError, match="enough"):
        async with agent.stream("wait") as run:
            async for _ in run:
                if begun.is_set():
                    raise RuntimeError("enough")


async def test_a_session_goes_on_where_its_latest_run_ended() -> None:
    store = MemoryStore()
    model = ScriptedModel(["I am Ada.", "You asked who I am.", "Somebody else?"])
    agent = Agent("talker", model)
    await agent.run("Who are you?", store=store, session_id="s")
    await agent.run("What did I ask?", store=store, session_id="s")
    await agent.run("And I?", store=store, session_id="other")
    said = [[getattr(message, "text", "") for message in request.messages] for request in model.requests]
    assert said == [["Who are you?"], ["Who are you?", "I am Ada.", "What did I ask?"], ["And I?"]]


async def test_a_conversation_can_be_gone_on_with() -> None:
    model = ScriptedModel(["Again."])
    agent = Agent("talker", model)
    before = agent.opening("Hello").plus(assistant("Hi."), *agent.opening("And now?").messages)
    given: Any = before
    assert (await agent.graph.run(given)).output == "Again."
    assert len(model.requests[0].messages) == 3


async def test_a_resumed_agent_pays_for_no_answer_and_no_tool_twice() -> None:
    ran: Counter[str] = Counter()

    @tool(reads=())
    async def count(name: str) -> str:
        ran[name] += 1
        if name == "b" and ran["b"] == 1:
            raise SystemError("the process dies here, so to speak")
        return name

    turns = [assistant(call("1", "count", name="a"), call("2", "count", name="b")), "Done."]
    store = MemoryStore()

    async def die(used: Any, asked: Any, ctx: Any, proceed: Any) -> Any:
        result = await proceed(asked)
        if "so to speak" in result.content:
            raise DiedError
        return result

    model = ScriptedModel(turns, order="conversation")
    agent = Agent("counter", model, tools=[count], around=die)
    with pytest.raises(DiedError):
        await agent.run("Count.", store=store, run_id="r")
    result = await agent.resume("r", store=store)
    assert result.output == "Done."
    assert ran == {"a": 1, "b": 2}
    assert len(model.requests) == 2


async def test_what_cannot_be_meant_is_refused_at_once() -> None:
    model = ScriptedModel([])
    with pytest.raises(DefinitionError, match="two tools are called 'measure'"):
        Agent("a", model, tools=[measure, measure])
    with pytest.raises(DefinitionError, match="cannot use int 5 as a tool"):
        Agent("a", model, tools=[5])
    with pytest.raises(DefinitionError, match=r"there is no architecture 'raect'. Did you mean 'react'\?"):
        _ = Agent("a", model, architecture="raect").graph
    with pytest.raises(DefinitionError, match="repairs=-1"):
        Agent("a", model, repairs=-1)


async def test_the_fingerprint_tells_prompts_models_and_tools_apart() -> None:
    model = ScriptedModel([])
    agent = Agent("a", model, instructions="x", tools=[measure])
    same = Agent("a", model, instructions="x", tools=[measure])
    assert agent.graph.fingerprint == same.graph.fingerprint
    for other in (
        agent.replace(instructions="y"),
        agent.replace(model=ScriptedModel([], name="other")),
        agent.replace(tools=()),
        agent.replace(temperature=0.5),
        agent.replace(output=Weather),
    ):
        assert other.graph.fingerprint != agent.graph.fingerprint


def test_a_conversation_survives_being_stored() -> None:
    before = Conversation(messages=[assistant("x", call("1", "measure", city="Rome"))])
    assert Conversation.model_validate_json(before.model_dump_json()) == before


def test_an_agent_as_a_tool_sees_what_it_is_called_with_and_in_a_shared_conversation_what_was_said_before() -> None:
    def helped(**options: Any) -> tuple[list[str], Agent[Any, Any]]:
        helper = ScriptedModel(["It is 5.", "It is 7."])
        tools = [Agent("helper", helper, description="Helps.").as_tool(**options)]
        calls = [ToolCall(id=str(n), name="helper", arguments={"input": f"part {n}"}) for n in (1, 2)]
        boss = Agent("boss", ScriptedModel([assistant("I ask {twice}.", *calls), "12."]), tools=tools)
        assert boss.run_sync("What is the {sum}?").output == "12."
        asked: list[Any] = [request.messages[-1] for request in helper.requests]
        return [message.text for message in asked], boss

    alone, fresh = helped()
    assert alone == ["part 1", "part 2"]
    told, shared = helped(conversation="shared")
    before = "<conversation_so_far>\nuser: What is the {sum}?\nassistant: I ask {twice}.\n</conversation_so_far>"
    assert told == [f"{before}\n\n<your_part>\npart {n}\n</your_part>" for n in (1, 2)]
    assert shared.graph.fingerprint != fresh.graph.fingerprint
    with pytest.raises(DefinitionError, match="use 'fresh' or 'shared'"):
        common: Any = "common"
        fresh.as_tool(conversation=common)
