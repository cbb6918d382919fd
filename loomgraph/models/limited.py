"""A model that is called no faster than it may be: by calls and tokens a minute, and calls at a time. Never refuses."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from functools import partial

import anyio

from loomgraph.errors import DefinitionError
from loomgraph.graph.bucket import Bucket
from loomgraph.models.loops import PerLoop
from loomgraph.models.naming import resolve_model
from loomgraph.models.protocol import Model
from loomgraph.models.requests import ModelRequest
from loomgraph.models.responses import ModelResponse, Price, ResponseDone, StreamEvent
from loomgraph.models.retrying import Timing, answer_of

__all__ = ["RateLimited"]

# English text has about four characters a token; what was really used is settled after the answer.
_CHARACTERS = 4


class RateLimited:
    """`model`, called at most `calls_per_minute` and with at most `tokens_per_minute`, `concurrency` at a time.

    Calls are let through in the order they come. Up to `burst` calls (tokens: a tenth of a minute's) may come at once.
    The limits hold for this object in this process, over all its event loops; `concurrency` holds for each. What a
    model tries again by itself is not counted.
    """

    def __init__(
        self,
        model: Model | str,
        *,
        calls_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        concurrency: int | None = None,
        burst: int = 1,
        timing: Timing | None = None,
    ) -> None:
        rates = [rate for rate in (calls_per_minute, tokens_per_minute, concurrency) if rate is not None]
        if not rates or min(rates) <= 0 or burst < 1:
            raise DefinitionError(
                "RateLimited needs calls_per_minute=, tokens_per_minute= or concurrency=, each above 0, and burst >= 1."
            )
        self.model = resolve_model(model)
        self.provider = getattr(self.model, "provider", "limited")
        self._timing = timing or Timing()
        self._calls = None if calls_per_minute is None else Bucket(calls_per_minute / 60, burst)
        self._tokens = None if tokens_per_minute is None else Bucket(tokens_per_minute / 60, tokens_per_minute / 10)
        self._gates = None if concurrency is None else PerLoop(partial(_gate, concurrency))

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def price(self) -> Price | None:
        """What the model costs, as far as it was told."""
        return getattr(self.model, "price", None)

    def __repr__(self) -> str:
        return f"RateLimited({self.model!r})"

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """The model's answer, when its turn has come."""
        return await answer_of(self.name, self.stream(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        """The model's events, when their turn has come."""
        async with AsyncExitStack() as stack:
            if self._gates is not None:
                await stack.enter_async_context(await self._gates.get())
            expected = len(request.model_dump_json()) / _CHARACTERS
            await self._wait(expected)
            events = await stack.enter_async_context(aclosing(self.model.stream(request)))
            async for event in events:
                if isinstance(event, ResponseDone) and self._tokens is not None and event.response.usage is not None:
                    self._tokens.take(event.response.usage.total_tokens - expected, self._timing.clock())
                yield event

    async def _wait(self, tokens: float) -> None:
        now = self._timing.clock()
        taken = [(bucket, amount) for bucket, amount in ((self._calls, 1.0), (self._tokens, tokens)) if bucket]
        wait = max((bucket.take(amount, now) for bucket, amount in taken), default=0.0)
        if wait <= 0:
            return
        try:
            await self._timing.sleep(wait)
        except BaseException:  # cancelled: it was not called, so it has used nothing
            for bucket, amount in taken:
                bucket.take(-amount, now)
            raise


async def _gate(size: int) -> anyio.Semaphore:
    return anyio.Semaphore(size)
