"""The one task for which LangGraph itself ships an agent, ReAct, with its SQLite checkpoints after every step."""

from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.prebuilt import create_react_agent

from benchmarks.agents.saying import TASK, Speech, searched

TASKS = {"react": None}


@tool
async def search(text: str) -> str:
    """Search for something."""
    return await searched(text)


class Speaker(BaseChatModel):
    """A chat model that answers by what it is shown."""

    speech: Any

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        if any(isinstance(message, ToolMessage) for message in messages):
            said = AIMessage(content="done")
        else:
            calls = [{"name": "search", "args": {"text": city}, "id": city} for city in ("Rome", "Oslo")]
            said = AIMessage(content="", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=await self.speech.answered(said))])


def make(way: str, speech: Speech, path: Path) -> Speaker:
    """What is made once, when a program begins; the agent itself needs the open database."""
    return Speaker(speech=speech)


async def work(model: Speaker, path: Path, name: str) -> str:
    """Run the task in a thread, or go on with it from its last checkpoint."""
    config: Any = {"configurable": {"thread_id": name}}
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        agent = create_react_agent(model, [search], checkpointer=saver)
        began = await saver.aget_tuple(config)
        given: Any = None if began else {"messages": [("user", TASK)]}
        found = await agent.ainvoke(given, config, durability="sync")
    return str(found["messages"][-1].content)


def drawn(way: str, speech: Speech) -> int:
    """How many boxes its drawing shows, without start and end."""
    return len(create_react_agent(Speaker(speech=speech), [search]).get_graph().nodes) - 2
