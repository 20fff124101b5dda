"""The server: one process on one address, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import uvicorn

from multimodal.serving.app import create
from multimodal.serving.guard import LOCAL
from multimodal.serving.protocol import Protocol
from multimodal.serving.service import Service

CONNECTIONS = 256
"""At most; more are told to come again."""
LAST_WORDS = 1.0
"""Seconds for those who are connected at the end to get their last line."""
LAST_STEP = 5.0
"""Seconds for the reading thread to end with the step that it is at."""


class Server(uvicorn.Server):
    """uvicorn's, which at its end first tells those who wait."""

    def __init__(self, config: uvicorn.Config, service: Service):
        super().__init__(config)
        self.service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.service.close()
        asyncio.get_running_loop().call_later(LAST_WORDS, self._hang_up)
        await super().shutdown(sockets)

    def _hang_up(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there. Errors: OSError that says where."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)  # who comes before the server is up waits
    except OSError as error:
        listening.close()
        raise OSError(
            f"--host, --port: expected an address that is free, got {host}:{port} ({error.strerror})"
        ) from error
    return listening


def configured(service: Service, host: str, hosts: frozenset[str] = frozenset()) -> uvicorn.Config:
    """How a service is served at an address, reached under its own names and `hosts`."""
    return uvicorn.Config(
        create(service, LOCAL | hosts | {_named(host)}),
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_level="error",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=5,
    )


def serve(
    service: Service, host: str, port: int, hosts: frozenset[str] = frozenset(), told: Callable[[str], None] = print
) -> None:
    """Serve until Ctrl-C. `hosts`: names beside the local ones that requests may be to; `told` gets the page's address.

    Errors: OSError where the address is taken.
    """
    listening = bound(host, port)
    server = Server(configured(service, host, hosts), service)
    told(f"http://{_named(host)}:{listening.getsockname()[1]}/")
    with contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises again when it has ended
        server.run(sockets=[listening])
    with contextlib.suppress(KeyboardInterrupt):  # once more: at once
        service.batcher.join(LAST_STEP)


def _named(host: str) -> str:
    """An address as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
