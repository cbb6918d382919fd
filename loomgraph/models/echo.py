"""A model that says back what it was told: for trying a graph without a provider. Calls no tools and needs no key."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any

from loomgraph.models.assemble import Assembler
from loomgraph.models.messages import UserMessage
from loomgraph.models.requests import ModelRequest
from loomgraph.models.responses import FinishReason, ModelResponse, StreamEvent, Usage
from loomgraph.models.retrying import answer_of

__all__ = ["EchoModel"]

_WORD = re.compile(r"\S+\s*|\s+")


class EchoModel:
    """`echo`: answers with the text of the last user message, word by word. Its tokens are words."""

    provider = "echo"

    def __init__(self, model: str = "", **_options: Any) -> None:
        self.model = model

    @property
    def name(self) -> str:
        """`echo`, or `echo:NAME`, to tell several apart."""
        return f"echo:{self.model}" if self.model else "echo"

    def __repr__(self) -> str:
        return f"EchoModel({self.model!r})"

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """The last user message."""
        return await answer_of(self.name, self.stream(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        """The last user message, a word an event. Keeps `max_tokens`."""
        said = [message.text for message in request.messages if isinstance(message, UserMessage)]
        words = _WORD.findall(said[-1]) if said else []
        limit = len(words) if request.max_tokens is None else request.max_tokens
        heard = sum(len(text.split()) for text in said)
        assembler = Assembler(self.name, self.provider, request)
        for word in words[:limit]:
            for event in assembler.text(0, word):
                yield event
        assembler.usage = Usage(input_tokens=heard, output_tokens=min(limit, len(words)))
        assembler.finish = FinishReason.LENGTH if limit < len(words) else FinishReason.STOP
        assembler.complete = True
        for event in assembler.done():
            yield event
