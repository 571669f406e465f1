"""uvicorn's WebSocket protocol, with what refusing handshakes needs."""

from __future__ import annotations

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers

_log = logging.getLogger("uvicorn.websocket")

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_BAD = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def _whatever_origin(headers: Headers) -> None:
    """The middleware's business."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own, but for four things.

    Two `Origin` headers reach the application, which refuses them by its own policy, with its own words and log line;
    the library in between would answer a bare 400. A handshake that was answered with an HTTP status counts as
    complete: uvicorn logs an error about each of them. A request that the library cannot read, for a line longer than
    its limit or a body, gets an answer: uvicorn leaves the client waiting. And it has a logger of its own, so that
    two lines per socket that say less than the middleware's one need not be written.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = self.conn.logger = _log
        self.conn.process_origin = _whatever_origin  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        failure = self.conn.handshake_exc
        if failure is not None and not self.handshake_initiated and not self.transport.is_closing():
            unreadable = isinstance(failure.__cause__, (ValueError, NotImplementedError))
            self.transport.write(_BAD if unreadable else _TOO_LARGE)
            self.transport.close()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True
