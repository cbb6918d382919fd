"""The HTTP client that all adapters of an event loop share: a model costs no client and no reading of certificates.

It keeps its connections as long as its loop lives. Timeouts, addresses and keys belong to the adapters.
"""

from __future__ import annotations

import ssl
from functools import cache
from typing import Any

import anyio.to_thread

from loomgraph.models.loops import PerLoop

__all__ = ["shared_client"]


async def shared_client() -> Any:
    """This event loop's client. Raises ImportError without httpx2, which every SDK brings."""
    return await _CLIENTS.get()


async def _make() -> Any:
    # in a thread: it imports a library and reads certificates, and the loop must not stand still for that
    return await anyio.to_thread.run_sync(_client)


def _client() -> Any:
    import httpx2

    limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
    return httpx2.AsyncClient(verify=_trust(), limits=limits, follow_redirects=True)


@cache
def _trust() -> ssl.SSLContext:
    """What the library trusts by itself, read once a process."""
    import httpx2

    return httpx2.create_ssl_context()


async def _close(client: Any) -> None:
    await client.aclose()


_CLIENTS: PerLoop[Any] = PerLoop(_make, _close)
