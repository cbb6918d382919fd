"""What the tests of all architectures share: a play is an agent, a model that knows what to say, and how it ends.

The model's answer is a function of what it is asked, so that it says the same in any order and in any process. Each
module in `plays` has one PLAY; the claims that hold for all architectures are made of every one of them.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loomgraph import Agent, tool
from loomgraph.models import (
    Model,
    ModelRequest,
    ModelResponse,
    ScriptedModel,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
    assistant,
)
from loomgraph.models.responses import StreamEvent

__all__ = [
    "LOOKING",
    "PLAYS",
    "Play",
    "Speaker",
    "drafts_in",
    "look_up",
    "looked_up",
    "role_of",
    "said",
    "told",
]


@dataclass(frozen=True)
class Play:
    """`agent` is made with a model that gives `answer`; `task` is what it is given, `output` what it comes to.

    `calls` is how many calls of models that takes by the architecture's formula, `width` how many at most at a time.
    """

    agent: Callable[[Model], Agent[Any, Any]]
    answer: Callable[[ModelRequest], Any]
    task: Any
    output: Any
    calls: int
    width: int = 1


class Speaker:
    """A model that says what `answer` gives, after awaiting `before` (if there is one)."""

    provider = "speaker"

    def __init__(
        self, answer: Callable[[ModelRequest], Any], before: Callable[[ModelRequest], Awaitable[object]] | None = None
    ) -> None:
        self.name = "speaker"
        self.requests: list[ModelRequest] = []
        self._answer, self._before = answer, before

    async def generate(self, request: ModelRequest) -> ModelResponse:
        self.requests.append(request)
        if self._before is not None:
            await self._before(request)
        return await ScriptedModel([self._answer]).generate(request)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        self.requests.append(request)
        if self._before is not None:
            await self._before(request)
        async for event in ScriptedModel([self._answer]).stream(request):
            yield event


@tool(reads=())
async def look_up(city: str) -> str:
    """Look something up."""
    return city.upper()


LOOKING = assistant(
    ToolCall(id="1", name="look_up", arguments={"city": "Rome"}),
    ToolCall(id="2", name="look_up", arguments={"city": "Oslo"}),
)
"""Both looked up at once."""


def looked_up(request: ModelRequest) -> str:
    """What the tools said, if they were called."""
    results = [message.results for message in request.messages if isinstance(message, ToolMessage)]
    return " ".join(result.text for result in results[-1]) if results else ""


def told(request: ModelRequest) -> str:
    """The instructions."""
    return "\n".join(message.text for message in request.messages if isinstance(message, SystemMessage))


def said(request: ModelRequest) -> str:
    """What the first message after the instructions says: what the role was asked."""
    return next(message.text for message in request.messages if isinstance(message, UserMessage))


def drafts_in(request: ModelRequest) -> int:
    """How many earlier drafts a request shows."""
    return len(set(re.findall(r"<draft_(\d+)>", said(request))))


# how the default instructions of each role begin
_ROLES = {
    "critic": ("You review a draft", "Look for what is wrong, missing or unproven"),
    "evaluator": ("Check it against the task, point by point", "You judge the last step"),
    "proposer": ("You think about a task one step at a time",),
    "reflector": ("You attempted a task",),
    "judge": ("Several answered a task",),
    "refiner": ("You improve your answer",),
}


def role_of(request: ModelRequest) -> str:
    """Whose request it is, by the default instructions; "agent" for none of the roles."""
    for role, beginnings in _ROLES.items():
        if any(beginning in told(request) for beginning in beginnings):
            return role
    return "agent"


def _play(name: str) -> Play:
    play: Play = importlib.import_module(f"tests.architectures.plays.{name}").PLAY
    return play


PLAYS = {path.stem: _play(path.stem) for path in sorted((Path(__file__).parent / "plays").glob("*.py"))}
