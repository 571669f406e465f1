"""What is behind the sockets."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from redis.exceptions import RedisError

from ticketauth import conf, handshake, wire
from ticketauth.consumers import TypedConsumer, receives
from ticketauth.exceptions import Unavailable
from ticketauth.types import Connection

from .events import group_for
from .frames import LARGEST_MESSAGE, Event, Ping, Pong, Ready, User

JOIN_SECONDS = 1.2
"""That the channel layer has to take a socket into its group. Its connections wait for messages: they never give up."""


class LimitedConsumer(AsyncWebsocketConsumer):
    """Closes with 1009 on a message over the limit, on servers that do not do so themselves."""

    # Channels closes old database connections in a thread, of which the process has one, before each message and
    # after the last. Nothing here queries.

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Channels' own, but for the thread."""
        await getattr(self, get_handler_name(message))(message)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """Channels' own, but for the thread."""
        await self.disconnect(message["code"])
        raise StopConsumer

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """One message, text or binary."""
        size = len(bytes_data) if bytes_data is not None else len((text_data or "").encode())
        if size > LARGEST_MESSAGE:
            await self.close(code=wire.TOO_BIG.code)
            return
        await self.handle(text_data, bytes_data)

    async def handle(self, text: str | None, data: bytes | None) -> None:
        """One message within the limit."""
        raise NotImplementedError


class EchoConsumer(LimitedConsumer):
    """Every message comes back as it came, and nothing else is sent."""

    channel_layer_alias = ""
    """None: nothing is pushed here."""

    async def handle(self, text: str | None, data: bytes | None) -> None:
        """Send it back."""
        if data is not None:
            await self.send(bytes_data=data)
        else:
            await self.send(text_data=text or "")


class EventsConsumer(LimitedConsumer, TypedConsumer):
    """What is published to the user, as it happens, at most once.

    The client is authenticated at `ticketauth.ready`, not at the opening of the socket.
    """

    pushes = (Ready, Event)

    async def connect(self) -> None:
        """Accept, join the user's group, then say `ticketauth.ready`: from then on nothing published is missed."""
        connection: Connection = self.scope["ticketauth"]
        await self.accept(wire.SUBPROTOCOL if connection.negotiated else None)
        self.group = group_for(self.scope["user"], connection.identity)
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await self.channel_layer.group_add(self.group, self.channel_name)
        except (RedisError, OSError):
            told = handshake.answer(Unavailable("channel_layer"), (), self.scope.get("extensions") or {})
            await self.close(code=told.close_code, reason=told.close_reason)
            return
        expires_at = connection.expires_at
        await self.tell(
            Ready(
                user=User(id=connection.identity.subject, username=str(self.scope["user"].get_username() or "")),
                connection_id=connection.connection_id,
                expires_at=None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
                reconnect_within=conf.current().RECONNECT_WITHIN,
            )
        )

    async def disconnect(self, code: int) -> None:
        """Leave the group. Where that fails, the membership ends by itself (`group_expiry`)."""
        with suppress(RedisError, OSError):
            async with asyncio.timeout(JOIN_SECONDS):
                await self.channel_layer.group_discard(self.group, self.channel_name)

    async def handle(self, text: str | None, data: bytes | None) -> None:
        """One message within the limit, to its handler."""
        await TypedConsumer.receive(self, text, data)

    @receives
    async def ping(self, message: Ping) -> Pong:
        """Is the socket alive?"""
        return Pong(id=message.id)

    async def push(self, message: dict[str, Any]) -> None:
        """From the channel layer."""
        await self.tell(Event(event=message["event"], data=message["data"]))
