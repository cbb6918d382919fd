"""Who may speak to the page's server: only this machine's own browser, with the token, and only from this page.

Every request passes here before anything else looks at it. A page shows what runs were given and gave, and starts
code, so other web sites (by requests across sites, by frames, by a name of theirs that means this machine) and other
users of this machine are kept out. Tokens are compared in constant time and never written anywhere.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["MAX_BODY", "Guard"]

MAX_BODY: Final = 16 * 1024 * 1024
"""How many bytes a request may bring."""

_SAFE: Final = frozenset({"GET", "HEAD"})
_OURS: Final = frozenset({"same-origin", "none"})
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# without a script and without a style: what a stranger may see
_DOOR: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>loomgraph</title></head><body><main>
<h1>loomgraph</h1>
<p>This page shows the runs of a store to whoever has its token. Open the address that
<code>loomgraph ui</code> printed, or paste the token here.</p>
<form method="post" action="/enter"><label>Token <input type="password" name="token" autocomplete="off" required
autofocus></label> <button>Enter</button></form>
</main></body></html>"""


class Guard:
    """An ASGI application around another. `hosts` are the `Host` headers it answers to, such as `127.0.0.1:8700`."""

    def __init__(self, app: ASGIApp, token: str, hosts: Iterable[str]) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = frozenset(host.lower() for host in hosts)
        # one a token, so that pages of several stores on one machine, whose cookies share a jar, do not meet
        self.cookie = f"loomgraph_{hashlib.sha256(b'name' + self._token).hexdigest()[:12]}"
        self._pass = hmac.new(self._token, b"loomgraph ui", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or have it refused."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # nobody here speaks anything else
        headers = Headers(scope=scope)

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answered[name] = value
            await send(message)

        refused = self._refusal(scope, headers)
        if refused is not None:
            await refused(scope, receive, sealed)
        elif scope["path"] == "/enter" and scope["method"] == "POST":
            await self._entered(await _body(receive))(scope, receive, sealed)
        elif scope["path"] == "/" and scope["query_string"] and scope["method"] == "GET":
            await self._entered(scope["query_string"])(scope, receive, sealed)
        elif not self._knows(headers):
            await self._stranger(scope)(scope, receive, sealed)
        else:
            await self._app(scope, _bounded(receive), sealed)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """What is said to a request that did not come from this page; None if it may have."""
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            return _no(421, "host", "This server does not answer to that name. Use the address that it printed.")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in {f"http://{host}", f"https://{host}"}:
            return _no(403, "origin", "Requests from other sites are refused.")
        if headers.get("sec-fetch-site", "none") not in _OURS:
            return _no(403, "site", "Requests from other sites are refused.")
        if scope["method"] not in _SAFE and origin is None and "authorization" not in headers:
            return _no(403, "origin", "A request that changes something says where it comes from.")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            return _no(413, "size", f"A request may bring {MAX_BODY} bytes.")
        return None

    def _knows(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return hmac.compare_digest(given.strip().encode(), self._token)
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), self._pass.encode())

    def _entered(self, form: bytes) -> Response:
        """The cookie for a right token, and the page without the token in its address."""
        given = parse_qs(form.decode("latin-1")).get("token", [""])[0]
        if not hmac.compare_digest(given.encode(), self._token):
            return HTMLResponse(_DOOR, 401)
        response = RedirectResponse("/", 303)
        response.set_cookie(self.cookie, self._pass, httponly=True, samesite="strict", path="/")
        return response

    def _stranger(self, scope: Scope) -> Response:
        if scope["path"] == "/" and scope["method"] in _SAFE:
            return HTMLResponse(_DOOR, 401)
        return _no(401, "token", "The token is missing or wrong. Open the address that loomgraph ui printed.")


def _no(status: int, error: str, message: str) -> Response:
    return JSONResponse({"error": error, "message": message}, status)


async def _body(receive: Receive, most: int = 4096) -> bytes:
    """A short body; what is longer is no form of ours and counts as empty."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > most:
            return b""
        if not message.get("more_body", False):
            return b"".join(parts)


def _bounded(receive: Receive) -> Receive:
    """Receive that ends a body which is longer than it was said to be."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > MAX_BODY else message

    return bounded
