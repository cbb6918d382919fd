"""The clients of OpenAI's SDK, and how both of its APIs are told a schema."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

from loomgraph.errors import ModelAuthenticationError, ModelMissingError, ModelRequestError
from loomgraph.models.adapter import Settings
from loomgraph.models.requests import OutputSpec, ToolSpec
from loomgraph.models.schemas import strict_schema

__all__ = ["is_official", "make_client", "tool_schema", "wanted_format"]


def make_client(name: str, settings: Settings, http: Any) -> Any:
    """A client of the SDK on this HTTP client. Raises ModelMissingError, and ModelAuthenticationError without a key."""
    try:
        import httpx2
        import openai
    except ImportError as error:
        raise ModelMissingError(name, error.name or "openai", "openai") from error
    key = settings.api_key
    if key is None and not os.environ.get("OPENAI_API_KEY"):
        if is_official(settings.base_url):
            raise ModelAuthenticationError(name, "there is no api_key= and no OPENAI_API_KEY in the environment")
        key = "none"  # a server of one's own asks for none, but the SDK does
    return openai.AsyncOpenAI(
        api_key=key,
        base_url=settings.base_url,
        timeout=httpx2.Timeout(settings.timeout, connect=settings.connect_timeout),
        max_retries=0,
        default_headers=settings.headers,
        http_client=http,
    )


def is_official(base_url: str | None) -> bool:
    """Whether this is OpenAI itself or OpenAI's models at Azure, and not a server that speaks the same."""
    address = base_url or os.environ.get("OPENAI_BASE_URL")
    host = urlsplit(address).hostname or "" if address else "api.openai.com"
    return host.endswith(("openai.com", "azure.com"))


def wanted_format(output: OutputSpec) -> dict[str, Any]:
    """The schema of an answer; strict wherever strict mode can express it."""
    strict = strict_schema(output.json_schema)
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", output.name)[:64] or "output"
    return {"name": name, "schema": strict or output.json_schema, "strict": strict is not None}


def tool_schema(name: str, tool: ToolSpec) -> dict[str, Any]:
    """The function of a tool. Raises ModelRequestError if it is to be strict and cannot be."""
    schema: dict[str, Any] | None = dict(tool.parameters)
    if tool.strict:
        schema = strict_schema(tool.parameters)
        if schema is None:
            raise ModelRequestError(name, f"tool '{tool.name}' cannot be strict: its schema has free-form objects")
    return {"name": tool.name, "description": tool.description, "parameters": schema, "strict": tool.strict}
