"""Who may ask: pages of this server, under its own names."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every response. Nothing is loaded from anywhere else."""


class Guard:
    """Refuses requests under another name than the server's, and those that pages from elsewhere make.

    A page from elsewhere can have its own name resolve to this machine (DNS rebinding), and then counts as of the same origin:
    the name that it asks for gives it away.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] = LOCAL):
        self.app, self.hosts = app, {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refused = self.reason(Headers(scope=scope))
        answer = self.app
        if refused is not None:
            answer = JSONResponse({"error": refused}, 403, {"Connection": "close"})
        await answer(scope, receive, send_with_headers)

    def reason(self, headers: Headers) -> str | None:
        """Why a request is refused; None where it is not."""
        host = headers.get("host", "")
        if re.sub(r":\d*$", "", host).lower() not in self.hosts:
            return f"expected a request to {' or '.join(sorted(self.hosts))}, got one to {host[:100]!r}"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return f"expected a request of this page, got one of {origin[:100]!r}"
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return "expected a request of this page, got one of another site"
        return None
