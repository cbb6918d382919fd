"""What every adapter of a provider's API shares: clients, tries, timeouts, and turning any failure into a typed one.

The SDK authenticates, sends and reads status codes; its own retries are off. Bodies and streams are read here, because
SDKs let broken ones through. Retries happen in `retrying`, what is complete is judged in `assemble`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar, Literal, Self, TypeAlias

import anyio.to_thread
from typing_extensions import TypedDict, Unpack

from loomgraph.errors import CorruptResponseError, DefinitionError, LoomgraphError
from loomgraph.graph.policy import Retry
from loomgraph.models.assemble import Assembler
from loomgraph.models.faults import refused, translated
from loomgraph.models.http import shared_client
from loomgraph.models.loops import PerLoop
from loomgraph.models.prompting import prompted
from loomgraph.models.requests import ModelRequest, OutputSpec
from loomgraph.models.responses import ModelResponse, Price, StreamEvent
from loomgraph.models.retrying import RETRY, Timing, answer_of, retried
from loomgraph.models.wire import ServerEvent, as_dict, as_object, as_text, server_events

__all__ = ["Adapter", "Options", "Settings"]

Structured: TypeAlias = Literal["native", "prompt"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How an adapter calls its provider; every field has a default.

    `api_key` and `base_url` default to what the SDK takes from the environment. `timeout` is the number of seconds of
    silence after which a call is given up, `connect_timeout` those until a connection stands. `retry=None` tries once.
    `streaming=False` asks for whole bodies. `structured="prompt"` asks for JSON in words, for servers that cannot
    enforce a schema. `price` adds the cost to the usage. `client` makes the SDK's asynchronous client, once for each
    event loop, in place of the adapter; its own retries are turned off, and `aclose()` closes it. `timing` is the clock
    and the dice.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    timeout: float = 300.0
    connect_timeout: float = 10.0
    retry: Retry | None = RETRY
    streaming: bool = True
    structured: Structured = "native"
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    price: Price | None = None
    client: Callable[[], Any] | None = None
    timing: Timing = field(default_factory=Timing)

    def __post_init__(self) -> None:
        if self.timeout <= 0 or self.connect_timeout <= 0:
            raise DefinitionError(f"timeout={self.timeout:g} and connect_timeout={self.connect_timeout:g} must be > 0.")


class Options(TypedDict, total=False):
    """The fields of Settings, as an adapter's keyword arguments."""

    api_key: str | None
    base_url: str | None
    timeout: float
    connect_timeout: float
    retry: Retry | None
    streaming: bool
    structured: Structured
    headers: dict[str, str]
    price: Price | None
    client: Callable[[], Any] | None
    timing: Timing


class Adapter(ABC):
    """A Model over the wire. Subclasses say how a request is written and how an answer is read."""

    provider: ClassVar[str]

    def __init__(self, model: str, **options: Unpack[Options]) -> None:
        self.model = model
        self.settings = Settings(**options)
        self._clients: PerLoop[Any] = PerLoop(self._make)

    @property
    def name(self) -> str:
        """Which model this is, as `provider:name`."""
        return f"{self.provider}:{self.model}"

    @property
    def price(self) -> Price | None:
        """What it costs, as far as it was told."""
        return self.settings.price

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """The whole answer. Raises ModelError."""
        return await answer_of(self.name, self.stream(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        """The answer as it comes. Raises ModelError."""
        if request.output is not None and not (self.settings.structured == "native" and self._enforces(request.output)):
            request = prompted(request)
        body = self._body(request)
        settings = self.settings

        def attempt(_number: int) -> AsyncGenerator[StreamEvent]:
            return self._attempt(request, body)

        async with aclosing(retried(self.name, attempt, settings.retry, settings.timing)) as events:
            async for event in events:
                yield event

    async def aclose(self) -> None:
        """Close this event loop's client if `client=` made it. The adapter's own connections close with their loop."""
        client = self._clients.take()
        if client is not None and self.settings.client is not None:
            await client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _attempt(self, request: ModelRequest, body: dict[str, Any]) -> AsyncGenerator[StreamEvent]:
        assembler = Assembler(self.name, self.provider, request, self.settings.price)
        begun = False
        try:
            client = await self._clients.get()
            async with self._send(client, body) as response:
                begun = True
                async with aclosing(self._read(response.http_response, assembler)) as events:
                    async for event in events:
                        yield event
        except LoomgraphError:
            raise
        except Exception as error:
            raise translated(self.name, error, begun=begun) from error

    async def _read(self, response: Any, assembler: Assembler) -> AsyncGenerator[StreamEvent]:
        if not self.settings.streaming:
            body = as_object(await response.aread())
            self._refuse(body)
            assembler.complete = True
            for event in self._whole(assembler, body):
                yield event
        else:
            await self._check_stream(response)
            async with aclosing(response.aiter_bytes()) as chunks, aclosing(server_events(chunks)) as events:
                async for sent in events:
                    for event in self._piece(assembler, sent):
                        yield event
        for event in assembler.done():
            yield event

    async def _check_stream(self, response: Any) -> None:
        """Refuse a body that is no stream: an error in JSON, a proxy's page, a server that cannot stream."""
        kind = str(response.headers.get("content-type", ""))
        if "json" not in kind and "html" not in kind:
            return
        text = await response.aread()
        if "json" in kind:
            self._refuse(as_object(text))
        raise CorruptResponseError(
            self.name, f"it answered with {kind} in place of a stream; for a server that cannot stream, streaming=False"
        )

    def _refuse(self, body: dict[str, Any]) -> None:
        """Raise the error that stands in the place of an answer, if one does."""
        said = body.get("error")
        if said:
            told = as_dict(said) if isinstance(said, dict) else {"message": str(said)}
            code, kind = told.get("code"), told.get("type")
            raise refused(
                self.name,
                as_text(told.get("message")),
                code=None if code is None else str(code),
                kind=None if kind is None else str(kind),
            )

    async def _make(self) -> Any:
        if self.settings.client is not None:
            return self.settings.client().with_options(max_retries=0)
        try:
            http = await shared_client()
        except ImportError:  # the SDK brings it
            http = None
        # in a thread: importing an SDK takes seconds, in which the loop must not stand still
        return await anyio.to_thread.run_sync(self._client, http)

    def _enforces(self, output: OutputSpec) -> bool:
        """Whether the API can enforce this schema; else it is told in words."""
        return True

    @abstractmethod
    def _client(self, http: Any) -> Any:
        """A new client of the SDK on this HTTP client. Raises ModelMissingError without the SDK."""

    @abstractmethod
    def _body(self, request: ModelRequest) -> dict[str, Any]:
        """The SDK's arguments for this request. Raises ModelRequestError for what the API cannot express."""

    @abstractmethod
    def _send(self, client: Any, body: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
        """Send it; entering gives the SDK's raw response when its headers are there."""

    @abstractmethod
    def _piece(self, assembler: Assembler, sent: ServerEvent) -> Iterator[StreamEvent]:
        """Read one event of a stream."""

    @abstractmethod
    def _whole(self, assembler: Assembler, body: dict[str, Any]) -> Iterator[StreamEvent]:
        """Read a whole answer."""
