"""Roles and parts, of which the architectures are put together. Every model call is an Agent, hence a graph of nodes.

Prompts are put together by joining texts, never by formatting, so whatever braces or tags somebody's text has, a model
reads it as it was written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic_core import to_json

from loomgraph.errors import DefinitionError
from loomgraph.graph.context import Context
from loomgraph.graph.refs import END, START, Embeddable
from loomgraph.graph.signature import describe_type
from loomgraph.models.messages import Image, ProviderPart, Text, UserMessage
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent, Architecture
from loomgraph.nodes.model_call import Instructions, instructions_mark
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.workflow import Workflow

__all__ = ["Part", "both", "noted", "part", "role", "sections", "shown", "task_of", "typed"]

Part: TypeAlias = "Architecture | Agent[Any, Any] | Graph[Any, Any] | Workflow[Any, Any] | str"
"""What may do a part of the work: an architecture or its name (worked with the agent's model, tools and instructions),
or something that is a graph of its own."""


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
        architecture="react",
        description=None,
    )


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


def noted(
    name: str, does: Embeddable, note: Callable[..., Any], *, takes: Any, gives: Any, answer: Any
) -> Graph[Any, Any]:
    """A graph that does something and then notes it together with what it was given.

    `note(given, answer)` gets the graph's input, of type `takes`, and the answer to it; it gives the graph's output.
    """
    wf: Workflow[Any, Any] = Workflow(name, input=takes, output=gives)
    done = wf.node(does)
    kept = wf.node(typed(note, given=takes, answer=answer, gives=gives))
    wf.edge(START, done)
    wf.join({"given": START, "answer": done}, into=kept)
    wf.edge(kept, END)
    return wf.compile()


def typed(fn: Callable[..., Any], *, gives: Any, **takes: Any) -> Callable[..., Any]:
    """A function that was made for this one graph, with these types as its annotations."""
    fn.__annotations__ = {**takes, "return": gives}
    return fn


def task_of(agent: Agent[Any, Any], value: Any) -> UserMessage:
    """What the agent is told when it is given this input: the same for every role that hears of its task."""
    return next(message for message in agent.opening(value).messages if isinstance(message, UserMessage))


def shown(value: Any) -> str:
    """A value as another model is shown it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else to_json(value, indent=2).decode()


def sections(**named: str | UserMessage | None) -> UserMessage:
    """One message of several texts, each between tags of its name; None and "" are left out. Pictures stay in place."""
    parts: list[Text | Image | ProviderPart] = []

    def say(text: str) -> None:
        if parts and isinstance(parts[-1], Text):
            parts[-1] = Text(text=parts[-1].text + text)
        else:
            parts.append(Text(text=text))

    for name, said in named.items():
        if said is None or said == "":
            continue
        say(f"\n\n<{name}>\n" if parts else f"<{name}>\n")
        for piece in (Text(text=said),) if isinstance(said, str) else said.parts:
            if isinstance(piece, Text):
                say(piece.text)
            else:
                parts.append(piece)
        say(f"\n</{name}>")
    return UserMessage(parts=tuple(parts))


@dataclass(frozen=True)
class _Both:
    first: Callable[[Context], str]
    then: str

    def __call__(self, ctx: Context) -> str:
        return f"{self.first(ctx)}\n\n{self.then}"

    def __loomgraph_fingerprint__(self) -> str:
        return f"{instructions_mark(self.first)} {self.then}"


def both(first: Instructions, then: str) -> Instructions:
    """Instructions after which others follow; one of them may be empty."""
    if not first or not then:
        return first or then
    return f"{first}\n\n{then}" if isinstance(first, str) else _Both(first, then)
