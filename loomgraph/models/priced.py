"""A model whose answers are given their cost by a table of prices. It knows no price by itself: they change."""

from __future__ import annotations

import fnmatch
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from loomgraph.errors import DefinitionError
from loomgraph.models.naming import resolve_model
from loomgraph.models.protocol import Model
from loomgraph.models.requests import ModelRequest
from loomgraph.models.responses import ModelResponse, Price, ResponseDone, StreamEvent, UsageReported, dearest
from loomgraph.models.retrying import answer_of

__all__ = ["Priced"]


class Priced:
    """`model`, and what it costs: `Priced("openai:gpt-5.2", {"openai:gpt-5*": Price(input=1.25, output=10)})`.

    The names in `prices` are those of models (`response.model`), in which `*` stands for anything; the first that fits
    counts. A cost that the provider reports itself is kept. An answer of a model that is not in the table has no cost,
    and until it is known who answers, the dearest price is reckoned with. Raises DefinitionError for an empty table.
    """

    def __init__(self, model: Model | str, prices: Mapping[str, Price] | Price) -> None:
        self.model = resolve_model(model)
        self.prices: Mapping[str, Price] = {"*": prices} if isinstance(prices, Price) else dict(prices)
        if not self.prices:
            raise DefinitionError("Priced(model, {}) has no price; leave it out, or name one.")
        self.provider = getattr(self.model, "provider", "priced")

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def price(self) -> Price:
        """What it costs at most."""
        return self._price_of(self.name) or dearest(list(self.prices.values()))

    def __repr__(self) -> str:
        return f"Priced({self.model!r})"

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """The model's answer, with its cost."""
        return await answer_of(self.name, self.stream(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        """The model's events, with the cost in the usage."""
        async with aclosing(self.model.stream(request)) as events:
            async for event in events:
                if isinstance(event, UsageReported):
                    continue  # who answered, and so what it cost, is known when the answer is done
                if isinstance(event, ResponseDone):
                    response = self._costed(event.response)
                    if response.usage is not None:
                        yield UsageReported(usage=response.usage)
                    yield ResponseDone(response=response)
                else:
                    yield event

    def _costed(self, response: ModelResponse) -> ModelResponse:
        usage, price = response.usage, self._price_of(response.model)
        if usage is None or usage.cost is not None or price is None:
            return response
        return response.model_copy(update={"usage": usage.model_copy(update={"cost": price.of(usage)})})

    def _price_of(self, name: str) -> Price | None:
        return next((price for pattern, price in self.prices.items() if fnmatch.fnmatchcase(name, pattern)), None)
