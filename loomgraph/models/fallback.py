"""Several models as one: the first that answers, in order. A model that keeps failing rests before it is tried again.

Goes on to the next model for what another provider may do better (it is down, slow, out of credit, its key is wrong,
its context too small), and not for what is wrong with the request or filtered in the answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from loomgraph.errors import (
    ContextOverflowError,
    DefinitionError,
    ModelAuthenticationError,
    ModelError,
    ModelNotFoundError,
    ModelPermissionError,
    ModelQuotaError,
    ModelsExhaustedError,
)
from loomgraph.graph.policy import Retry
from loomgraph.models.naming import resolve_model
from loomgraph.models.protocol import Model
from loomgraph.models.requests import ModelRequest
from loomgraph.models.responses import AttemptRestarted, ModelResponse, Price, StreamEvent, dearest
from loomgraph.models.retrying import Timing, answer_of, retried

__all__ = ["FallbackModel", "Health", "goes_on"]

_OTHERS_MAY = (
    ContextOverflowError,
    ModelAuthenticationError,
    ModelNotFoundError,
    ModelPermissionError,
    ModelQuotaError,
)


def goes_on(error: ModelError) -> bool:
    """Whether another model may do better: transient errors, and those of one provider's account or model."""
    return error.transient or isinstance(error, _OTHERS_MAY)


@dataclass(frozen=True, slots=True)
class Health:
    """How one model does: failures in a row, seconds it still rests (0: it is called), and its last error."""

    model: str
    failures: int
    rests: float
    error: ModelError | None


class _Candidate:
    """One model and its circuit: closed (called), open until a moment (rests), half open (one call tries it)."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.failures = 0
        self.until: float | None = None
        self.trying = False
        self.error: ModelError | None = None

    def rests(self, now: float) -> float:
        """Seconds until it may be called; while one call tries it, nobody else does."""
        if self.until is None:
            return 0.0
        return max(self.until - now, 1.0 if self.trying else 0.0)

    def worked(self) -> None:
        self.failures, self.until, self.error = 0, None, None


class FallbackModel:
    """Calls `models` in order until one answers. Strings are resolved without retries of their own.

    After `failures` failures in a row a model rests for `cooldown` seconds, or as long as it asked for; then one call
    tries it. A model that asked for a pause rests at once. `retry` goes through all of them again. `on` decides which
    errors the next model is asked for. `.health` tells how each does. The state is this object's own, in this process.
    Raises ModelsExhaustedError if no model is left.
    """

    provider = "fallback"

    def __init__(
        self,
        models: Sequence[Model | str],
        *,
        failures: int = 3,
        cooldown: float = 30.0,
        retry: Retry | None = None,
        on: Callable[[ModelError], bool] = goes_on,
        timing: Timing | None = None,
    ) -> None:
        if not models:
            raise DefinitionError("FallbackModel([]) has no model to call; name at least one.")
        if failures < 1 or cooldown < 0:
            raise DefinitionError(f"failures={failures} must be at least 1 and cooldown={cooldown:g} seconds >= 0.")
        self._candidates = [
            _Candidate(resolve_model(model, retry=None) if isinstance(model, str) else model) for model in models
        ]
        self._failures, self._cooldown, self._retry, self._on = failures, cooldown, retry, on
        self._timing = timing or Timing()

    @property
    def name(self) -> str:
        """`fallback:` and the models."""
        return f"fallback:{'|'.join(candidate.model.name for candidate in self._candidates)}"

    @property
    def price(self) -> Price | None:
        """What the dearest of them costs; None unless it is known of all."""
        prices: list[Price | None] = [getattr(candidate.model, "price", None) for candidate in self._candidates]
        known = [price for price in prices if price is not None]
        return dearest(known) if len(known) == len(prices) else None

    @property
    def health(self) -> tuple[Health, ...]:
        """How each model does, in order."""
        now = self._timing.clock()
        return tuple(Health(c.model.name, c.failures, c.rests(now), c.error) for c in self._candidates)

    def __repr__(self) -> str:
        return f"FallbackModel({[candidate.model.name for candidate in self._candidates]})"

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """The answer of the first model that has one; its `.model` says which."""
        return await answer_of(self.name, self.stream(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        """The events of the first model that answers; an AttemptRestarted where the next one begins anew."""

        def round_of(_number: int) -> AsyncGenerator[StreamEvent]:
            return self._round(request)

        async with aclosing(retried(self.name, round_of, self._retry, self._timing)) as events:
            async for event in events:
                yield event

    async def _round(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        errors: list[ModelError] = []
        for candidate in self._candidates:
            if candidate.rests(self._timing.clock()) > 0:
                continue
            if errors:
                last = errors[-1]
                yield AttemptRestarted(
                    attempt=len(errors) + 1,
                    model=candidate.model.name,
                    error=type(last).__name__,
                    message=str(last),
                    wait=0.0,
                )
            candidate.trying = candidate.until is not None
            try:
                async with aclosing(candidate.model.stream(request)) as events:
                    async for event in events:
                        yield event
            except ModelError as error:
                self._failed(candidate, error)
                if not self._on(error):
                    raise
                errors.append(error)
                continue
            finally:
                candidate.trying = False
            candidate.worked()
            return
        raise self._exhausted(errors)

    def _failed(self, candidate: _Candidate, error: ModelError) -> None:
        """Count a failure, unless it says nothing about the model's health."""
        if not self._on(error) or isinstance(error, ContextOverflowError):
            return
        candidate.failures += 1
        candidate.error = error
        asked = error.retry_after or 0.0
        if candidate.failures >= self._failures or candidate.until is not None:
            candidate.until = self._timing.clock() + max(self._cooldown, asked)
        elif asked:
            candidate.until = self._timing.clock() + asked

    def _exhausted(self, errors: list[ModelError]) -> ModelsExhaustedError:
        now = self._timing.clock()
        tried = {error.model for error in errors}
        waits = [rest for candidate in self._candidates if (rest := candidate.rests(now)) > 0]
        resting = [c.model.name for c in self._candidates if c.rests(now) > 0 and c.model.name not in tried]
        exhausted = ModelsExhaustedError(self.name, errors, resting, min(waits) if waits else None)
        exhausted.__cause__ = errors[-1] if errors else None
        return exhausted
