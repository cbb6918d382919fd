"""A model for the benchmark of agents. Measures nothing."""

from collections.abc import AsyncGenerator

from loomgraph.models import FinishReason, ModelRequest, ModelResponse, ResponseDone, StreamEvent, Usage, assistant


class Instant:
    """A model that costs nothing, so that what is measured is the agent."""

    name = provider = "instant"
    answer = ModelResponse(
        message=assistant("Hi."),
        finish=FinishReason.STOP,
        model="instant",
        provider="instant",
        usage=Usage(input_tokens=9, output_tokens=2),
    )

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """The answer."""
        return self.answer

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        """The answer as events."""
        yield ResponseDone(response=self.answer)
