"""uvicorn's connections, closed where the other side stalls: uvicorn itself waits for ever for the rest of a request's head,
and for what was written to be read."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""For the head of a request to arrive, and for the rest of one that was answered before it ended."""
STALLED_SECONDS = 20.0
"""For what was written to be taken by the other side's system."""


class Protocol(H11Protocol):
    """A connection that is closed where it stalls."""

    _head: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # `pause_writing` wherever anything is not taken at once
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_head()

    def _watch_head(self) -> None:
        """Set the clock where a request is due, or the rest of one that has been answered; stop it where neither is."""
        theirs, ours = self.conn.their_state, self.conn.our_state
        due = theirs is h11.IDLE or (theirs is h11.SEND_BODY and ours is h11.DONE)
        if not due or self.transport.is_closing():
            self._head = _stop(self._head)
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = _stop(self._stalled) or self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled = _stop(self._stalled)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head, self._stalled = _stop(self._head), _stop(self._stalled)
        super().connection_lost(exc)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
