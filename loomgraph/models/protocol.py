"""What a language model promises. Calls none; `loomgraph.testing.models` checks whoever claims to be one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol, runtime_checkable

from loomgraph.models.requests import ModelRequest
from loomgraph.models.responses import ModelResponse, StreamEvent

__all__ = ["Model"]


@runtime_checkable
class Model(Protocol):
    """Answers requests. May be used by any number of tasks at once, and in one event loop after another.

    An answer that is returned is whole: the provider said that it is complete, every tool call's arguments are an
    object, and no limit cut it (unless the request accepts that). Everything else is a `ModelError`. Whether a failed
    call is tried again is the model's own business and happens nowhere else.
    """

    @property
    def name(self) -> str:
        """Which model this is, as `provider:name`."""
        ...

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """The whole answer. Raises ModelError."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        """The answer as it comes; the last event is a ResponseDone that has all of it. Raises ModelError.

        Whoever leaves before the end closes it (`contextlib.aclosing`).
        """
        ...
