"""The twin of the hub: a logout that closes sockets by a group message, as is usual with Channels. It has one login."""

from __future__ import annotations

import os
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from django.conf import settings

from config import addresses

_URL = os.environ["REDIS_URL"]
settings.configure(
    CHANNEL_LAYERS={"default": addresses.channel_layer(_URL, addresses.redis_server("REDIS_URL", _URL), "twin")}
)

GROUP = "login"


class Consumer(AsyncWebsocketConsumer):
    """Says when it is in the group, then sends back what it is sent, until the group is told to end."""

    async def connect(self) -> None:
        await self.accept()
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.send("ready")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data or "")

    async def log_out(self, message: dict[str, Any]) -> None:
        await self.close(4403)


_consumer: Any = Consumer.as_asgi()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """A WebSocket anywhere, and `POST /logout/`."""
    if scope["type"] == "websocket":
        await _consumer(scope, receive, send)
        return
    layer = get_channel_layer()
    assert layer is not None
    await layer.group_send(GROUP, {"type": "log.out"})
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
