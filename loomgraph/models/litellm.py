"""The long tail of providers, through LiteLLM. Asks for whole answers only, and runs on asyncio only.

LiteLLM ends a stream with `stop` whether its provider completed it or the connection broke, so that a short answer
could not be told from a whole one. A body that breaks off is an error.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import Any, ClassVar

import anyio.to_thread
from typing_extensions import Unpack

from loomgraph.errors import ModelMissingError
from loomgraph.models.adapter import Options
from loomgraph.models.openai_chat import OpenAIChatModel

__all__ = ["LiteLLMModel"]


class LiteLLMModel(OpenAIChatModel):
    """`litellm:PROVIDER/NAME`, as LiteLLM writes it. Needs `loomgraph-engine[litellm]`."""

    provider: ClassVar[str] = "litellm"

    def __init__(self, model: str, **options: Unpack[Options]) -> None:
        options["streaming"] = False
        super().__init__(model, **options)

    async def _make(self) -> Any:
        if self.settings.client is not None:
            return self.settings.client()
        try:
            library = await anyio.to_thread.run_sync(import_module, "litellm")
        except ImportError as error:
            raise ModelMissingError(self.name, "litellm", "litellm") from error
        return _Library(library)

    def _send(self, client: Any, body: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
        settings = self.settings
        options: dict[str, Any] = {
            "timeout": settings.timeout,
            "num_retries": 0,
            "max_retries": 0,
            "drop_params": False,
        }
        given = {"api_key": settings.api_key, "api_base": settings.base_url, "extra_headers": settings.headers or None}
        return _sent(client, {**body, **options, **{name: value for name, value in given.items() if value is not None}})


class _Library:
    """LiteLLM's module as a client that has nothing to close."""

    def __init__(self, module: Any) -> None:
        self._module = module

    async def acompletion(self, **body: Any) -> Any:
        return await self._module.acompletion(**body)

    async def close(self) -> None:
        pass


class _Body:
    """A whole answer that was read already, as the response it would have come in."""

    def __init__(self, answer: Any) -> None:
        self.http_response = self
        self._answer = answer

    async def aread(self) -> str:
        return str(self._answer.model_dump_json())


@asynccontextmanager
async def _sent(client: Any, body: dict[str, Any]) -> AsyncGenerator[_Body]:
    yield _Body(await client.acompletion(**body))
