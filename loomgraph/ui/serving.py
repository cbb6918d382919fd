"""The server of the page: where it listens, which names it answers to, and the token it is opened with.

It listens on this machine alone unless it is told otherwise, and then only with a token that somebody chose. It keeps
no access log, for the address that opens the page has the token in it.
"""

from __future__ import annotations

import ipaddress
import secrets
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

from loomgraph.errors import DefinitionError
from loomgraph.runtime.graph import Graph
from loomgraph.store.protocol import Store

if TYPE_CHECKING:  # the server is an extra
    from starlette.types import ASGIApp

__all__ = ["Server", "serve"]

_SHORTEST = 16


class Server:
    """A page over a store, ready to be served. `graphs` is the code at hand, for what cannot be done without.

    `port` 0 takes a free one. `token` is made if left out; `names` are the host names (`runs.example.org` or with a
    port) that it answers to besides those of the address it listens on. Raises DefinitionError for an address outside
    of this machine without a token of your own, for a token that could be guessed, and OSError if the port is taken.
    """

    def __init__(
        self,
        store: Store,
        graphs: Iterable[Graph[Any, Any]] = (),
        *,
        host: str = "127.0.0.1",
        port: int = 8700,
        token: str | None = None,
        names: Sequence[str] = (),
    ) -> None:
        _check(host, token, names)
        self._chosen = token is not None
        self.token = secrets.token_urlsafe(32) if token is None else token
        self.host = host
        self._graphs = {graph.name: graph for graph in graphs}
        self._store = store
        self._names = tuple(names)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self._made: tuple[Any, ASGIApp] | None = None
        self._serving: Any = None

    @property
    def address(self) -> str:
        """Where the page is, without its token."""
        return f"http://{_bracketed(self.host)}:{self.port}/"

    @property
    def opening(self) -> str:
        """The address that opens the page: with the token if it was made here; one of your own you know."""
        return self.address if self._chosen else f"{self.address}?token={self.token}"

    @property
    def app(self) -> ASGIApp:
        """The guarded ASGI application."""
        return self._parts()[1]

    def _parts(self) -> tuple[Any, ASGIApp]:
        if self._made is None:
            from loomgraph.ui.app import Pages
            from loomgraph.ui.guard import Guard

            pages = Pages(self._store, self._graphs)
            self._made = pages, Guard(pages.app, self.token, self._hosts())
        return self._made

    def _hosts(self) -> set[str]:
        own = {self.host} if _is_loopback(self.host) else {self.host} - {"0.0.0.0", "::"}  # noqa: S104 - compared
        if _is_loopback(self.host):
            own |= {"localhost", "127.0.0.1" if ":" not in self.host else "::1"}
        return {f"{_bracketed(name)}:{self.port}" for name in own} | set(self._names)

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until the process is told to stop. `ready` is called once requests are answered."""
        import uvicorn

        pages, app = self._parts()
        config = uvicorn.Config(app, access_log=False, log_level="warning", timeout_graceful_shutdown=5, lifespan="on")

        class Serving(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                ready()

            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                pages.closing = True
                super().handle_exit(sig, frame)

        self._serving = Serving(config)
        await self._serving.serve(sockets=[self._socket])

    def stop(self) -> None:
        """End `run` soon, as a signal to the process would."""
        if self._serving is not None:
            self._serving.handle_exit(signal.SIGTERM, None)

    def close(self) -> None:
        """Give the port up; for one that was never served."""
        self._socket.close()


async def serve(store: Store, graphs: Iterable[Graph[Any, Any]] = (), **options: Any) -> None:
    """Serve the page of a store until the process is told to stop; says on stdout where. Options are `Server`'s."""
    server = Server(store, graphs, **options)
    await server.run(lambda: print(server.opening, flush=True))  # noqa: T201 - it is how the page is opened


def _check(host: str, token: str | None, names: Sequence[str]) -> None:
    if token is not None and len(token) < _SHORTEST:
        raise DefinitionError(f"a token of {len(token)} characters can be guessed; use {_SHORTEST} or more.")
    if _is_loopback(host):
        return
    if token is None:
        raise DefinitionError(
            f"host={host!r} can be reached from other machines, and whoever reaches the page sees what runs were given "
            "and may start code. Listen on 127.0.0.1, or say with which token: token=..., or LOOMGRAPH_UI_TOKEN."
        )
    if host in ("0.0.0.0", "::") and not names:  # noqa: S104 - compared
        raise DefinitionError(
            f"host={host!r} has no name of its own; say which it answers to: names=['runs.example.org:8700']."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
