"""uvicorn's WebSocket protocol, with what refusing handshakes needs."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any, ClassVar, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.frames import Frame

_log = logging.getLogger("uvicorn.websocket")

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_BAD = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

CLOSING_SECONDS = 8.0
"""That a connection lives on after its end was told or decided: two less than the ten that are promised."""

LEAVING_SECONDS = 1.0
"""The same when the server ends."""

MOST_PIECES = 64
"""Of a message, before they are put together."""


def _whatever_origin(headers: Headers) -> None:
    """The middleware's business."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own, but for nine things.

    Two `Origin` headers reach the application, which refuses them by its own policy, with its own words and log line;
    the library in between would answer a bare 400. A handshake that was answered with an HTTP status counts as
    complete: uvicorn logs an error about each of them. A request that the library cannot read, for a line longer than
    its limit or a body, gets an answer: uvicorn leaves the client waiting. And it has a logger of its own, so that
    two lines per socket that say less than the middleware's one need not be written.

    What is closed is gone: uvicorn waits for ever until a peer that reads nothing has taken what was written. Such a
    peer holds bounded memory: a pong for each of its pings would pile up.

    A consumer that is busy costs nobody their connection: uvicorn reads nothing while messages wait for it, not even
    the pongs, and would take their peer for gone.

    A message in pieces takes as much memory as it holds: uvicorn keeps each piece for itself, and empty ones for ever.

    What is over is gone at once, and not when the garbage collector comes: the HTTP protocol that read the request and
    its parser hold each other, and uvicorn parts them at the end of a connection, but not at an upgrade.

    Attributes:
        consumers: The tasks of all sockets. uvicorn would wait for them, however busy they are, when it ends.
    """

    consumers: ClassVar[set[asyncio.Task[None]]] = set()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tasks = self.consumers
        self.app = self._consume
        self._last_pong = b""
        self._is_lost = False
        self._reads_since = -math.inf
        self._gone_timer: asyncio.TimerHandle | None = None
        self.logger = self.conn.logger = _log
        self.conn.process_origin = _whatever_origin  # type: ignore[method-assign]

    async def _consume(self, scope: Any, receive: Any, send: Any) -> None:
        """The application. That the process ends while it is busy is no error of its own."""
        try:
            await self.config.loaded_app(scope, receive, send)
        except asyncio.CancelledError:
            _log.info("a consumer was busy when the server ended")
        finally:
            self._gone_within(CLOSING_SECONDS)
            # It is a method of this very object: all of the socket would stay until the garbage collector comes.
            self.app = self.config.loaded_app

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It was an HTTP request until now."""
        super().connection_made(transport)
        upgraded = cast("asyncio.Transport", transport).get_protocol()
        vars(upgraded).pop("parser", None)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._is_lost = True
        super().connection_lost(exc)
        if self._gone_timer is not None:
            self._gone_timer.cancel()
            self._gone_timer = None

    def shutdown(self) -> None:
        """The server ends. Peers that are still here had their time."""
        super().shutdown()
        self._gone_within(LEAVING_SECONDS)

    async def receive(self) -> Any:
        """The next message. Where it was the last that waited, we read again."""
        paused = self.read_paused
        message = await super().receive()
        if paused and not self.read_paused:
            self._reads_since = self.loop.time()
        return message

    def keepalive_timeout(self) -> None:
        """No pong has come, or none was read. One who takes nothing is gone for sure: it has not even got the ping."""
        unread = self.read_paused or self.loop.time() - self._reads_since < (self.ping_timeout or 0)
        if unread and self.writable.is_set():
            self.pong_timer = None
            self.schedule_ping()
            return
        super().keepalive_timeout()
        self._gone_within(CLOSING_SECONDS)

    def _gone_within(self, seconds: float) -> None:
        """Whatever the peer does: it may read nothing, so that what was written never leaves."""
        timer = self._gone_timer
        if self._is_lost or (timer is not None and timer.when() <= self.loop.time() + seconds):
            return
        if timer is not None:
            timer.cancel()
        self._gone_timer = self.loop.call_later(seconds, self.transport.abort)

    def eof_received(self) -> None:
        """The peer has said its last, and perhaps reads no more either: asyncio waits until it has, and pings end."""
        self._gone_within(CLOSING_SECONDS)
        super().eof_received()

    def handle_cont(self, event: Frame) -> None:
        """Another piece of a message."""
        super().handle_cont(event)
        if len(self.frames) > MOST_PIECES:
            self.frames = [b"".join(self.frames)]

    def handle_ping(self) -> None:
        """A pong; where the peer does not read, one for the last of its pings alone (RFC 6455 5.5.3)."""
        if self.writable.is_set():
            super().handle_ping()
        elif pongs := self.conn.data_to_send():
            self._last_pong = pongs[-1]

    def resume_writing(self) -> None:
        """The peer reads again."""
        super().resume_writing()
        pong, self._last_pong = self._last_pong, b""
        if pong and not self.transport.is_closing():
            self.transport.write(pong)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            self._gone_within(CLOSING_SECONDS)
        failure = self.conn.handshake_exc
        if failure is not None and not self.handshake_initiated and not self.transport.is_closing():
            unreadable = isinstance(failure.__cause__, (ValueError, NotImplementedError))
            self.transport.write(_BAD if unreadable else _TOO_LARGE)
            self.transport.close()
            self._gone_within(CLOSING_SECONDS)

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            # From now on, and not when the peer has read what was written before.
            self._gone_within(CLOSING_SECONDS)
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True
