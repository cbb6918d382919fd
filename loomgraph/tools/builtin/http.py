"""HTTP as a tool: fetches from the hosts that were named, and from no other, wherever a redirect points."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import urljoin, urlsplit

from loomgraph.errors import DefinitionError, ToolError
from loomgraph.tools.tool import Tool, tool

__all__ = ["http_tool"]

_REDIRECTS = 5


def http_tool(
    hosts: Sequence[str], *, timeout: float = 30.0, most_bytes: int = 5_000_000, transport: Any = None
) -> Tool:
    """`fetch`: gets a URL of one of these hosts as text ("example.com", or "localhost:8000" with a port).

    No cookies, no credentials, `timeout` seconds for all of it, at most `most_bytes`. Raises DefinitionError for no
    hosts, and if httpx2 is not installed (extra `http`). `transport` is httpx2's, for tests.
    """
    allowed = {host.lower() for host in hosts}
    if not allowed:
        raise DefinitionError("http_tool(hosts=[]) could fetch nothing; name the hosts that may be reached.")
    try:
        httpx: Any = importlib.import_module("httpx2")
    except ImportError as error:
        raise DefinitionError("http_tool needs httpx2: pip install 'loomgraph-engine[http]'.") from error

    @tool(read_only=True, reads=(), timeout=timeout)
    async def fetch(url: str) -> str:
        """Get a page as text.

        Args:
            url: The address, with http:// or https://.
        """
        try:
            async with httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=False) as client:
                return await _followed(client, url, allowed, most_bytes)
        except httpx.HTTPError as error:
            raise ToolError(f"{url} could not be fetched: {error or type(error).__name__}.") from error

    return fetch


def _admit(url: str, allowed: set[str]) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ToolError(f"'{url}' is no address: {error}.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ToolError(f"'{url}' is no http or https address.")
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = parts.hostname.lower() if port in (None, usual) else f"{parts.hostname.lower()}:{port}"
    if host not in allowed or parts.username or parts.password:
        raise ToolError(f"'{host}' may not be reached. Allowed: {', '.join(sorted(allowed))}; no user names in it.")


async def _followed(client: Any, url: str, allowed: set[str], most: int) -> str:
    for _ in range(_REDIRECTS + 1):
        _admit(url, allowed)
        async with client.stream("GET", url) as response:
            if not response.is_redirect:
                return await _body(response, url, most)
            url = urljoin(url, response.headers.get("location", ""))
    raise ToolError(f"more than {_REDIRECTS} redirects, the last one to {url}.")


async def _body(response: Any, url: str, most: int) -> str:
    data = bytearray()
    async with aclosing(response.aiter_bytes()) as pieces:
        async for piece in pieces:
            data += piece
            if len(data) > most:
                raise ToolError(f"{url} has more than {most} bytes.")
    text = bytes(data).decode(response.charset_encoding or "utf-8", "replace")
    if response.status_code >= 400:
        raise ToolError(f"{url} answered {response.status_code}: {text[:500]}")
    return text
