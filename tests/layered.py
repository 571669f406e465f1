"""The naive way with a channel layer: each socket has a channel of its own, as Channels' consumers do."""

from __future__ import annotations

from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

http = get_asgi_application()

from ticketauth.middleware import TicketAuthMiddleware  # noqa: E402


class ChannelOfItsOwn(AsyncJsonWebsocketConsumer):
    """Waits for the layer, and ends with it."""

    groups = ["everyone"]

    async def connect(self) -> None:
        await self.accept()
        await self.send_json({"type": "ticketauth.ready"})

    async def event(self, message: dict[str, Any]) -> None:
        await self.send(message["frame"])


websocket = TicketAuthMiddleware(URLRouter([path("ws/events/", ChannelOfItsOwn.as_asgi())]))
application = ProtocolTypeRouter({"http": http, "websocket": websocket})
