"""Roles and parts, of which the architectures are put together. Every model call is an Agent, hence a graph of nodes.

Prompts are put together by joining texts, never by formatting, so whatever braces or tags somebody's text has, a model
reads it as it was written.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeAlias, cast

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

from loomgraph.errors import ArchitectureError, DefinitionError
from loomgraph.graph.context import Context
from loomgraph.graph.refs import END, OTHERWISE, START, Embeddable
from loomgraph.graph.signature import describe_type
from loomgraph.models.messages import Text, UserMessage
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent, Architecture
from loomgraph.nodes.answer import prompt_node, repairable
from loomgraph.nodes.conversation import Conversation
from loomgraph.nodes.model_call import Instructions, instructions_mark
from loomgraph.nodes.telling import sections, transcript
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.workflow import Workflow

__all__ = [
    "Correctable",
    "Part",
    "Travelling",
    "arms",
    "beginning",
    "both",
    "judging",
    "list_of",
    "noted",
    "part",
    "role",
    "sections",
    "shown",
    "taken_by",
    "task_of",
    "told_of",
    "told_part",
    "typed",
]

Part: TypeAlias = "Architecture | Agent[Any, Any] | Graph[Any, Any] | Workflow[Any, Any] | str"
"""What may do a part of the work: an architecture or its name (worked with the agent's model, tools and instructions),
or something that is a graph of its own."""


class Travelling(BaseModel):
    """What travels along an architecture's edges. One that is generic is named without its types, as drawings show it.

    It takes values of any class, as an agent does; what a store does not keep, it refuses at the write.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """The class's own name."""
        return cls.__name__


def role(
    agent: Agent[Any, Any],
    name: str,
    instructions: Instructions,
    *,
    input: Any,
    output: Any,
    prompt: Callable[[Any], str | UserMessage],
    model: Model | str | None = None,
) -> Agent[Any, Any]:
    """A typed model call without tools, as a node: `prompt` makes the text from a value of type `input`.

    Without a `model` of its own it uses the agent's, with the agent's temperature, effort, limits and settings, which
    say nothing about another model; the agent's hooks hold for both. An answer that is not of type `output` goes back
    as often as the agent's do.
    """
    base = agent if model is None else Agent("", model, repairs=agent.repairs, hooks=agent.hooks)
    return base.replace(
        name=name,
        instructions=instructions,
        tools=(),
        input=input,
        output=output,
        prompt=prompt,
        architecture=_OneCall(),
        description=None,
    )


class _OneCall:
    """How a role works: it is asked, and its answer is read, or sent back with what is wrong with it."""

    name = "one-call"

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        wf: Workflow[Any, Any] = Workflow(agent.name, input=agent.input, output=agent.output)
        prompt = wf.node(prompt_node(agent.input, agent.opening), name="prompt")
        model = wf.node(agent.model_call(), name="model")
        answer = wf.node(agent.answer(), name="answer")
        wf.chain(START, prompt, model, answer)
        if repairable(agent.output, agent.repairs):
            wf.edge(answer, model, when=Conversation, cap=agent.repairs + 1)
            wf.edge(answer, END, when=OTHERWISE)
        else:
            wf.edge(answer, END)
        return wf


def part(does: Part, agent: Agent[Any, Any], name: str, **changes: Any) -> Embeddable:
    """What does a part of the work, as a node's body.

    An architecture is worked by `agent` with these `changes` (of input, prompt, output); anything else is a graph
    already. Raises DefinitionError for what is none of them.
    """
    if isinstance(does, Workflow):
        return does.compile()
    if isinstance(does, (Agent, Graph)):
        return does
    if isinstance(does, (str, Architecture)):  # pyright: ignore[reportUnnecessaryIsInstance]
        return agent.replace(**{"name": name, "architecture": does, "description": None, **changes})
    raise DefinitionError(
        f"{describe_type(type(does))} {does!r:.80} cannot do the part '{name}' of agent '{agent.name}'; give an "
        f"architecture or its name, an Agent, a Graph or a Workflow."
    )


def told_part(
    does: Part, agent: Agent[Any, Any], name: str, *, takes: Any, prompt: Callable[[Any], UserMessage]
) -> Embeddable:
    """What does a part of the work when there is more to tell it than the task: `prompt` says all of it.

    An architecture is worked by `agent` with that prompt; another graph is given it as text, so it must take str (or a
    Conversation, as agents do). Raises DefinitionError if it takes neither.
    """
    body = part(does, agent, name, input=takes, prompt=prompt)
    if isinstance(does, (str, Architecture)):
        return body
    graph, accepted = _graph_of(body), taken_by(body)
    text, conversation = str in accepted or Any in accepted, Conversation in accepted
    if not (text or conversation):
        raise DefinitionError(
            f"'{graph.name}' does the part '{name}' of agent '{agent.name}', so it is told the task and more as text, "
            f"but it takes {describe_type(graph.input_type)}. Give a graph that takes str, or an architecture."
        )

    async def tell(value: Any) -> Any:
        message = prompt(value)
        if text and all(isinstance(piece, Text) for piece in message.parts):
            return message.text
        if not conversation:
            raise DefinitionError(f"'{graph.name}' takes text, and the task has pictures. Give it an Agent.")
        return Conversation(messages=[message])

    gives: Any = (str | Conversation if conversation else str) if text else Conversation
    wf: Workflow[Any, Any] = Workflow(name, input=takes, output=graph.output_type)
    wf.chain(START, wf.node(typed(tell, value=takes, gives=gives)), wf.node(graph, name=name), END)
    return wf.compile()


def taken_by(body: Embeddable) -> tuple[Any, ...]:
    """The types that a part takes."""
    return arms(_graph_of(body).input_type)


def _graph_of(body: Embeddable) -> Graph[Any, Any]:
    graph: Graph[Any, Any] = cast("Any", body).graph if isinstance(body, Agent) else cast("Any", body)
    return graph


def arms(tp: Any) -> tuple[Any, ...]:
    """The members of a union; of any other type itself."""
    return typing.get_args(tp) if typing.get_origin(tp) in {typing.Union, types.UnionType} else (tp,)


def list_of(item: Any) -> Any:
    """The type of a list of these."""
    of: Any = list
    return of[item]


def noted(
    name: str,
    does: Embeddable,
    note: Callable[..., Any],
    *,
    takes: Any,
    gives: Any,
    answer: Any,
    called: str | None = None,
) -> Graph[Any, Any]:
    """A graph that does something and then notes it together with what it was given.

    `note(given, answer)` gets the graph's input, of type `takes`, and the answer to it; it gives the graph's output.
    `called` is the name of the node that does it, if that is not the name of what does it.
    """
    wf: Workflow[Any, Any] = Workflow(name, input=takes, output=gives)
    done = wf.node(does, name=called)
    kept = wf.node(typed(note, given=takes, answer=answer, gives=gives))
    wf.edge(START, done)
    wf.join({"given": START, "answer": done}, into=kept)
    wf.edge(kept, END)
    return wf.compile()


def typed(fn: Callable[..., Any], *, gives: Any, **takes: Any) -> Callable[..., Any]:
    """A function that was made for this one graph, with these types as its annotations."""
    fn.__annotations__ = {**takes, "return": gives}
    return fn


def told_of(agent: Agent[Any, Any]) -> Any:
    """The type of what an agent may be given: its input, or a Conversation to go on with."""
    return agent.input | Conversation


class Correctable(BaseModel):
    """What a role is shown of its work so far, with what was wrong with its last answer and how often in a row."""

    complaint: str | None = None
    complaints: int = 0

    def sent_back(self, error: ArchitectureError, repairs: int) -> Self:
        """The same with the error's complaint, for another answer. Raises the error if there were `repairs` of them."""
        if self.complaints >= repairs:
            raise error
        return self.model_copy(update={"complaint": error.complaint, "complaints": self.complaints + 1})

    def accepted(self, **changes: Any) -> Self:
        """The same with these changes, of an answer with which nothing was wrong."""
        return self.model_copy(update={"complaint": None, "complaints": 0, **changes})


def beginning(agent: Agent[Any, Any], kind: type[BaseModel]) -> Callable[..., Any]:
    """A node body that begins with a `kind` of which nothing is known but the `task`."""

    async def begin(value: Any) -> Any:
        return kind(task=task_of(agent, value))

    return typed(begin, value=told_of(agent), gives=kind)


def task_of(agent: Agent[Any, Any], value: Any) -> UserMessage:
    """What the agent is told when it is given this input: the same for every role that hears of its task.

    Of a Conversation the last message is the task, and what was said before it is shown.
    """
    if isinstance(value, Conversation):
        return _gone_on(value)
    return next(message for message in agent.opening(value).messages if isinstance(message, UserMessage))


def _gone_on(conversation: Conversation) -> UserMessage:
    *before, last = conversation.messages
    if not before and isinstance(last, UserMessage):
        return last
    message = last if isinstance(last, UserMessage) else None
    so_far = transcript(before if message is not None else conversation.messages)
    return sections(conversation_so_far=so_far, message=message)


def shown(value: Any) -> str:
    """A value as another model is shown it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else to_json(value, indent=2).decode()


@dataclass(frozen=True)
class _Both:
    pieces: tuple[Instructions, ...]

    def __call__(self, ctx: Context) -> str:
        told = (piece if isinstance(piece, str) else piece(ctx) for piece in self.pieces)
        return "\n\n".join(text for text in told if text)

    def __loomgraph_fingerprint__(self) -> str:
        return " ".join(instructions_mark(piece) for piece in self.pieces)


def both(*pieces: Instructions) -> Instructions:
    """Instructions that follow each other; empty ones are left out."""
    texts = [piece for piece in pieces if isinstance(piece, str)]
    return "\n\n".join(filter(None, texts)) if len(texts) == len(pieces) else _Both(pieces)


def judging(agent: Agent[Any, Any], instructions: str) -> Instructions:
    """The instructions of a role that judges what this agent writes: it must know what the agent was told to do."""
    if not agent.instructions:
        return instructions
    return both(instructions, "The author was given these instructions:", agent.instructions)
