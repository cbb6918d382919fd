"""An agent: instructions, a model, tools and an architecture, compiled to a graph like any other.

It keeps nothing between runs: a conversation is in the log of its run, and a session goes on from the log of its
latest run. Whatever a graph can do, an agent can: it is drawn, resumed, forked, and used as a node or a tool.
"""

from __future__ import annotations

import dataclasses
import typing
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, Protocol, TypeAlias, Unpack, cast, runtime_checkable

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from pydantic_core import to_json
from typing_extensions import TypeVar

from loomgraph.errors import DefinitionError
from loomgraph.errors.redaction import Redact, redact_environment
from loomgraph.events import Event
from loomgraph.graph.signature import describe_type
from loomgraph.models.messages import UserMessage, user
from loomgraph.models.naming import resolve_model
from loomgraph.models.protocol import Model
from loomgraph.models.requests import Effort
from loomgraph.models.structured import OutputType
from loomgraph.nodes.answer import answer_node
from loomgraph.nodes.conversation import Conversation
from loomgraph.nodes.hooks import NONE, Hooks, around_tools, redacting
from loomgraph.nodes.live import LISTENER, Heard
from loomgraph.nodes.model_call import Instructions, ModelCall, PlainModelCall
from loomgraph.nodes.permissions import Permissions, guarded
from loomgraph.nodes.sessions import told_before
from loomgraph.nodes.telling import sections, transcript
from loomgraph.nodes.tool_batch import EndingToolBatch, ToolBatch
from loomgraph.runtime.drawing import Drawable, Drawn
from loomgraph.runtime.graph import Graph, refuse_running_loop
from loomgraph.runtime.handle import RunHandle
from loomgraph.runtime.options import ResumeKeywords, RunKeywords
from loomgraph.runtime.plugs import plug
from loomgraph.runtime.recorded import OnChange
from loomgraph.runtime.result import RunResult
from loomgraph.runtime.sessions import latest_run
from loomgraph.runtime.workflow import Workflow
from loomgraph.tools.batch import Around
from loomgraph.tools.graphs import graph_tool
from loomgraph.tools.tool import Tool, check_tools, tool

_Item: TypeAlias = "tuple[int, Heard | Event]"
"""What was heard or recorded, and how many events the log then had."""

__all__ = ["Agent", "AgentEvent", "AgentRun", "Architecture"]

InT = TypeVar("InT", default=str)
OutT = TypeVar("OutT", default=str)

AgentEvent: TypeAlias = Heard | Event
"""What a stream of an agent's run has: pieces of answers as they come, and the events of its log."""


@runtime_checkable
class Architecture(Protocol):
    """How an agent works: what gives it a workflow. `loomgraph.architectures` has them.

    One that keeps more of a session than its conversation has `go_on(conversation, last)` too: it gives what the next
    run begins with, of the conversation with what is said now, and of `last(name)`: what the node of that name gave
    last in the run before, as plain JSON data; None if it gave nothing.
    """

    @property
    def name(self) -> str:
        """Its name in kebab case."""
        ...

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        """The agent's graph, from its input (or a Conversation to go on with) to its output."""
        ...


@dataclass(frozen=True, eq=False)
class Agent(Drawable, Generic[InT, OutT]):
    """A model with instructions, tools and a way to work. Runs like a Graph, and stands wherever a node may stand.

    `model` is a Model or a string such as "openai:gpt-5.2"; `instructions` are told first, as they are; `tools` are
    tools, functions, workflows, graphs or other agents. `input` and `output` are types: an input that is not text is
    shown to the model as JSON, or as what `prompt` makes of it; an output that is not text is asked for by its schema,
    and an answer that does not fit goes back to the model `repairs` times. `architecture` is one of
    `loomgraph.architectures`, or its name. `permissions` say which tools may be called,
    may not, or are asked about; `around` stands around every call that is permitted. `hooks` are called at nine points
    of its work. `redact` takes secrets out of what tools give and out of their errors, before the model and the log see
    it: by default the values of environment variables that are called a key, a token, a secret or a password; with
    `loomgraph.errors.redaction.redact` also what looks like one. `at_once` is how many calls of one answer run at a
    time, those of tools with a limit of their own aside. The rest goes into every request.

    Every visit of an agent node begins a fresh conversation. Raises DefinitionError for what cannot be meant.
    """

    name: str
    model: Model | str
    instructions: Instructions = ""
    tools: Sequence[Any] = ()
    input: type[InT] | Any = str
    output: type[OutT] | Any = str
    prompt: Callable[[Any], str | UserMessage] | None = None
    architecture: Architecture | str = "react"
    repairs: int = 1
    permissions: Permissions = field(default_factory=Permissions)
    around: Around | None = None
    hooks: Hooks | Sequence[Hooks] = NONE
    redact: Redact | None = redact_environment
    at_once: int | None = None
    description: str | None = None
    effort: Effort | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if self.at_once is not None and self.at_once < 1:
            raise DefinitionError(f"agent '{self.name}': at_once={self.at_once} would call nothing; use at least 1.")
        if self.repairs < 0:
            raise DefinitionError(f"agent '{self.name}': repairs={self.repairs} is below 0.")
        made = [_tool_of(self.name, item) for item in self.tools]
        check_tools(made)
        object.__setattr__(self, "tools", tuple(made))
        if not isinstance(self.hooks, Hooks):
            object.__setattr__(self, "hooks", NONE.plus(self.hooks))
        if isinstance(self.model, str):
            object.__setattr__(self, "model", resolve_model(self.model))

    # ------------------------------------------------------------------ as a graph

    @cached_property
    def graph(self) -> Graph[InT, OutT]:
        """The agent's compiled graph, made when first asked for. Raises CompileError."""
        way = self.architecture
        if isinstance(way, str):
            way = cast(Architecture, plug("architecture")(way))
        if isinstance(way, type) or not isinstance(way, Architecture):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(
                f"agent '{self.name}' cannot work as {way!r:.80}; give an architecture such as ReAct(), or its name."
            )
        return cast(Graph[InT, OutT], way.workflow(self).compile())

    def _drawn(self, run: Any) -> Drawn:
        return self.graph._drawn(run)  # pyright: ignore[reportPrivateUsage]  # both are Drawable

    def __loomgraph_embed__(self) -> Any:
        return self.graph.__loomgraph_embed__()

    def opening(self, value: Any) -> Conversation:
        """The conversation that begins with this input."""
        if self.prompt is not None:
            said = self.prompt(value)
        else:
            said = value if isinstance(value, (str, UserMessage)) else to_json(value, indent=2).decode()
        return Conversation(messages=[said if isinstance(said, UserMessage) else user(said)])

    @property
    def guard(self) -> Around:
        """What stands around every tool call of this agent: its hooks, then its permissions, then `around`."""
        return redacting(self.redact, around_tools(self._hooks, guarded(self.permissions, self.around)))

    @property
    def _hooks(self) -> Hooks:
        assert isinstance(self.hooks, Hooks), "several were made one when the agent was"
        return self.hooks

    def model_call(
        self, *, model: Model | None = None, instructions: Instructions | None = None, output: Any = None
    ) -> ModelCall:
        """A node body that asks this agent's model, with its instructions, tools, settings and hooks.

        `output` is the type of the answer if it is not the agent's own.
        """
        kind = ModelCall if self.tools else PlainModelCall
        return kind(
            self.model if model is None else model,
            instructions=self.instructions if instructions is None else instructions,
            tools=self.tools,
            output=OutputType[Any](self.output if output is None else output).spec,
            hooks=self._hooks,
            **self.request_settings,
        )

    def tool_batch(self) -> ToolBatch | EndingToolBatch:
        """A node body that carries out calls of this agent's tools, with its permissions and hooks."""
        kind = EndingToolBatch if any(tool.ends_turn for tool in self.tools) else ToolBatch
        return kind(self.tools, around=self.guard, hooks=self._hooks, at_once=self.at_once)

    def answer(self) -> Any:
        """A node body that reads an answer as this agent's output."""
        return answer_node(self.output, self.repairs, self._hooks)

    @property
    def request_settings(self) -> dict[str, Any]:
        """What of a request this agent sets."""
        given = {"effort": self.effort, "temperature": self.temperature, "max_tokens": self.max_tokens}
        return {name: value for name, value in given.items() if value is not None} | dict(self.settings)

    def replace(self, **changes: Any) -> Agent[Any, Any]:
        """The same agent with other settings."""
        return dataclasses.replace(self, **changes)

    def as_tool(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        conversation: Literal["fresh", "shared"] = "fresh",
        **options: Any,
    ) -> Tool:
        """The agent as a tool of another: its run is part of the caller's.

        It sees what it is called with and nothing else; with `conversation="shared"` what was said before the call
        too, as text. Several calls of one answer are shown the same. Raises DefinitionError.
        """
        said = description or self.description or f"Ask the agent '{self.name}'."
        match conversation:
            case "fresh":
                return graph_tool(self.graph, name=name, description=said, input=self.input, **options)
            case "shared":
                if not _takes_conversations(self.graph):
                    raise DefinitionError(f"agent '{self.name}' takes no conversation; leave out conversation=.")
                more: Any = {"input": self.input, "sharing": self._told_of}
                return graph_tool(self.graph, name=name, description=said, **more, **options)
            case _:
                raise DefinitionError(f"conversation={conversation!r} is unknown; use 'fresh' or 'shared'.")

    def _told_of(self, before: Conversation, value: Any) -> Conversation:
        [part] = self.opening(value).messages
        assert isinstance(part, UserMessage), "a conversation opens with what its agent is asked"
        return Conversation(messages=[sections(conversation_so_far=transcript(before.messages), your_part=part)])

    def to_mermaid(self, run: Any = None, **options: Any) -> str:
        """The agent's graph as a Mermaid flowchart; with `run` its status is laid over it."""
        return self.graph.to_mermaid(run, **options)

    def to_dot(self, run: Any = None, **options: Any) -> str:
        """The agent's graph in Graphviz' DOT language; with `run` its status is laid over it."""
        return self.graph.to_dot(run, **options)

    # ------------------------------------------------------------------ running

    async def run(self, value: InT, *, store: Any = None, **options: Unpack[RunKeywords]) -> RunResult[OutT]:
        """Run to the answer; options and errors are those of `Graph.run`.

        With `session_id` and a store, the conversation of the latest run of that session that succeeded goes on, also
        where the agent has changed since: what was said is then read from its log.
        """
        return await self.graph.run(await self._start_of(value, store, options), store=store, **options)

    def run_sync(self, value: InT, *, store: Any = None, **options: Unpack[RunKeywords]) -> RunResult[OutT]:
        """`run` for scripts, on an event loop of its own. Raises DefinitionError inside a running event loop."""
        refuse_running_loop()

        async def go() -> RunResult[OutT]:
            return await self.run(value, store=store, **options)

        return anyio.run(go)

    @asynccontextmanager
    async def stream(
        self, value: InT, *, store: Any = None, **options: Unpack[RunKeywords]
    ) -> AsyncGenerator[AgentRun[OutT]]:
        """Run and follow it: `async with agent.stream(...) as run:`, then `async for event in run:`.

        Nothing is dropped: whoever is slow to read slows the run. Leaving the block early cancels it.
        """
        began = await self._start_of(value, store, options)
        async with _followed(lambda: self.graph.start(began, store=store, **options)) as run:
            yield run

    @asynccontextmanager
    async def reopen(
        self,
        run_id: str,
        *,
        store: Any,
        answers: Mapping[str, Any] | None = None,
        on_change: OnChange = "strict",
        **options: Unpack[ResumeKeywords],
    ) -> AsyncGenerator[AgentRun[OutT]]:
        """`resume`, followed as with `stream`; the events begin with those that the log has already."""
        graph = self.graph
        async with _followed(
            lambda: graph.reopen(run_id, store=store, answers=answers, on_change=on_change, **options)
        ) as run:
            yield run

    async def resume(
        self,
        run_id: str,
        *,
        store: Any,
        answers: Mapping[str, Any] | None = None,
        on_change: OnChange = "strict",
        **options: Unpack[ResumeKeywords],
    ) -> RunResult[OutT]:
        """Go on with a run where its log ends; options and errors are those of `Graph.resume`."""
        return await self.graph.resume(run_id, store=store, answers=answers, on_change=on_change, **options)

    async def _start_of(self, value: Any, store: Any, options: Mapping[str, Any]) -> Any:
        session = options.get("session_id")
        if session is None or store is None:
            return value
        found = await latest_run(store, session_id=session, graph=self.name)
        if found is None:
            return value
        if not _takes_conversations(self.graph):
            way = self.architecture if isinstance(self.architecture, str) else self.architecture.name
            raise DefinitionError(
                f"agent '{self.name}' works as '{way}', which begins with a task and goes on with no conversation, and "
                f"session '{session}' has one ('{found}'). Leave session_id= out, and say in the input what was said."
            )
        before = await told_before(self, found, store)
        following = before.conversation.plus(*self.opening(value).messages)
        go_on = getattr(self.architecture, "go_on", None)
        return following if go_on is None else go_on(following, before.last)


class AgentRun(Generic[OutT]):
    """A run that is followed: an asynchronous iterator over `AgentEvent`s, in the order they happened here."""

    def __init__(self, run: RunHandle[OutT], items: MemoryObjectReceiveStream[_Item]) -> None:
        self.handle = run
        self._items = items
        self._shown = 0
        self._early: deque[tuple[int, Heard]] = deque()

    def __aiter__(self) -> AgentRun[OutT]:
        return self

    async def __anext__(self) -> AgentEvent:
        while True:
            # what was heard comes after the events that were recorded before it, which arrive by another way
            if self._early and self._early[0][0] <= self._shown:
                return self._early.popleft()[1]
            try:
                after, item = await self._items.receive()
            except anyio.EndOfStream:
                if not self._early:
                    raise StopAsyncIteration from None
                return self._early.popleft()[1]
            if not isinstance(item, Heard):
                self._shown = after
                return item
            self._early.append((after, item))

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.handle.run_id

    async def result(self) -> RunResult[OutT]:
        """Wait for the end and return the result; raises what a failed or cancelled run raises."""
        async for _ in self:  # what nobody reads must not hold the run back
            pass
        return await self.handle.result()


@asynccontextmanager
async def _followed(
    opening: Callable[[], AbstractAsyncContextManager[RunHandle[OutT]]],
) -> AsyncGenerator[AgentRun[OutT]]:
    """A run with what its models say between its events."""
    send, receive = anyio.create_memory_object_stream[_Item](64)
    followed: list[RunHandle[OutT]] = []

    async def listen(heard: Heard) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # nobody listens any more
            await send.send((followed[0].recorded if followed else 0, heard))

    async with AsyncExitStack() as stack:
        token = LISTENER.set(listen)
        try:
            run = await stack.enter_async_context(opening())
        finally:
            LISTENER.reset(token)
        followed.append(run)
        async with anyio.create_task_group() as group:
            group.start_soon(_forward, run, send)
            with receive:
                yield AgentRun(run, receive)
            group.cancel_scope.cancel()


async def _forward(run: RunHandle[Any], send: MemoryObjectSendStream[_Item]) -> None:
    async with send:
        async for event in run.events():
            await send.send((event.seq + 1, event))


def _takes_conversations(graph: Graph[Any, Any]) -> bool:
    takes = graph.input_type
    return takes is Conversation or Conversation in typing.get_args(takes)


def _tool_of(agent: str, item: Any) -> Tool:
    if isinstance(item, Tool):
        return item
    if isinstance(item, (Agent, Workflow, Graph)):
        made: Tool = item.as_tool()
        return made
    if callable(item):
        fn: Callable[..., Any] = item
        return tool(fn)
    raise DefinitionError(
        f"agent '{agent}' cannot use {describe_type(type(item))} {item!r:.80} as a tool; give a function, a Tool, a "
        f"Graph or an Agent."
    )
