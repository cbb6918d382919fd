"""Models for tests of architectures: they answer what they are asked, meet each other, or wait for their turn."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio

from loomgraph.models import ModelRequest, ModelResponse, ScriptedModel, SystemMessage
from loomgraph.models.assemble import events_of
from loomgraph.testing.interleave import Turnstile

__all__ = ["Meeting", "Wrapped", "asked", "heard", "held", "replying", "told"]


def told(request: ModelRequest) -> str:
    """What the model was told first: its role."""
    return "\n".join(message.text for message in request.messages if isinstance(message, SystemMessage))


def asked(request: ModelRequest) -> str:
    """What was said to it last."""
    message: Any = request.messages[-1]
    return str(message.text)


def heard(model: ScriptedModel) -> list[str]:
    """What a model was asked, call by call."""
    return [asked(request) for request in model.requests]


def replying(reply: Callable[[ModelRequest], Any], name: str = "scripted") -> ScriptedModel:
    """A model that answers by what it is asked, however often and in whatever process."""
    return ScriptedModel([reply] * 200, name=name)


class Wrapped:
    """A model that lets `before` happen ahead of each answer and `after` behind it."""

    provider = "scripted"

    def __init__(
        self, model: ScriptedModel, before: Callable[[ModelRequest], Any], after: Callable[[ModelRequest], Any]
    ) -> None:
        self.model, self.name = model, model.name
        self._before, self._after = before, after

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """The answer."""
        await self._before(request)
        response = await self.model.generate(request)
        await self._after(request)
        return response

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Any]:
        """The answer in parts."""
        for event in events_of(await self.generate(request)):
            yield event


def held(model: ScriptedModel, turnstile: Turnstile) -> Wrapped:
    """A model whose calls wait at a turnstile before and behind each answer."""

    async def turn(request: ModelRequest) -> None:
        await turnstile.turn(model.name)

    return Wrapped(model, turn, turn)


class Meeting:
    """Calls of which `size` have to be under way at the same time; `most` is how many ever were."""

    def __init__(self, size: int) -> None:
        self.size, self.now, self.most, self.came = size, 0, 0, 0
        self.complete = anyio.Event()

    def of(self, model: ScriptedModel) -> Wrapped:
        """The model, as one that takes part: no answer before enough have come."""
        return Wrapped(model, self._comes, self._goes)

    async def _comes(self, request: ModelRequest) -> None:
        self.now += 1
        self.came += 1
        self.most = max(self.most, self.now)
        if self.came >= self.size:
            self.complete.set()
        with anyio.fail_after(20):
            await self.complete.wait()

    async def _goes(self, request: ModelRequest) -> None:
        self.now -= 1
