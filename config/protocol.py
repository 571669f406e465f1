"""uvicorn's WebSocket protocol, with what refusing handshakes needs."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own, but for two things.

    Two `Origin` headers reach the application, which refuses them by its own policy, with its own words and log line;
    the library in between would answer a bare 400. And a handshake that was answered with an HTTP status counts as
    complete: uvicorn logs an error about each of them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn.process_origin = lambda headers: None  # type: ignore[method-assign]

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True
