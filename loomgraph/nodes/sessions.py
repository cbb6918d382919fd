"""What was said in the run before, for the next one of a session. Reads its log; runs and writes nothing.

The agent may have changed since, as every agent that is worked on does: then its graph does not fit the log any more,
and what was said is read from the log as it lies there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json, to_jsonable_python

from loomgraph.errors import DefinitionError
from loomgraph.events import NodeSucceeded, RunStarted, node_path
from loomgraph.graph.refs import END_INDEX
from loomgraph.models.messages import assistant
from loomgraph.nodes.conversation import Conversation
from loomgraph.runtime.logbook import Log
from loomgraph.runtime.result import RunResult
from loomgraph.runtime.sessions import read_back

if TYPE_CHECKING:
    from loomgraph.nodes.agent import Agent

__all__ = ["Before", "told_before"]


@dataclass(frozen=True)
class Before:
    """A session as its latest run left it. `last` gives what a node gave last, as plain JSON data, None for nothing."""

    conversation: Conversation
    last: Callable[[str], Any]


async def told_before(agent: Agent[Any, Any], run_id: str, store: Any) -> Before:
    """What was said in that run of the agent, or of what the agent was then.

    Raises DefinitionError where the run began with a value that the agent does not take any more, and UnknownRunError.
    """
    run = await read_back(agent.graph, run_id, store)

    def last(name: str) -> Any:
        for record in reversed(run.activations):
            if record.path == (name,) and record.status == "succeeded":
                return to_jsonable_python(_untagged(record.output))
        return None

    return Before(_said(agent, run), last)


def _said(agent: Agent[Any, Any], run: RunResult[Any] | Log) -> Conversation:
    """The conversation of a run: its own where it keeps one, else its input and its output."""
    for record in reversed(run.activations):
        found = _conversation(record.output)
        if found is not None and len(record.path) == 1:
            return found
    given = next(event.input for event in run.events if isinstance(event, RunStarted))
    output = run.output if isinstance(run, RunResult) else _answer(run)
    began = _conversation(given) or _conversation({"conversation": given}) or agent.opening(_input(agent, run, given))
    return began.plus(assistant(output if isinstance(output, str) else to_json(output).decode()))


def _answer(log: Log) -> Any:
    """What a run gave. Its log has what its nodes gave: it is that of the last one before END, or inside of that."""
    definition = log.graph.definition
    ends = {definition.name_of(edge.source) for edge in definition.edges if edge.target == END_INDEX}
    for event in reversed(log.events):
        if isinstance(event, NodeSucceeded) and node_path(event.key)[0] in ends and event.output is not None:
            return event.output
    return None


def _untagged(value: Any) -> Any:
    """A stored value of a union stands beside the name of its member."""
    match value:
        case [str(), member]:
            return member
        case _:
            return value


def _conversation(value: Any) -> Conversation | None:
    match _untagged(value):
        case {"conversation": kept}:
            found = _untagged(kept)
        case other:
            found = _untagged(getattr(other, "conversation", None))
    if isinstance(found, Conversation):
        return found
    try:
        return Conversation.model_validate(found) if isinstance(found, dict) else None
    except ValidationError:
        return None


def _input(agent: Agent[Any, Any], run: RunResult[Any] | Log, given: Any) -> Any:
    """What the run began with, as the agent takes it: a changed agent's log has plain data."""
    if isinstance(run, RunResult):
        return given
    kind: TypeAdapter[Any] = TypeAdapter(agent.input)
    try:
        return kind.validate_python(given)
    except ValidationError as error:
        with suppress(ValidationError):
            return kind.validate_python(_untagged(given))
        raise DefinitionError(
            f"agent '{agent.name}' takes other values than it did in run '{run.run_id}', the latest of this session, "
            f"so what was said there cannot be said again. Begin another session, or let it take both."
        ) from error
