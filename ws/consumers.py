"""What is behind the sockets."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.utils import await_many_dispatch
from redis.exceptions import RedisError

from ticketauth import conf, handshake, wire
from ticketauth.consumers import TypedConsumer, receives
from ticketauth.exceptions import Unavailable
from ticketauth.types import OURS, Connection, Identity

from . import listener
from .events import ALL_SOCKETS, group_for
from .frames import Event, Ping, Pong, Ready, User
from .listener import Mailbox


class ThreadlessConsumer(AsyncWebsocketConsumer):
    """One that does not query.

    Channels closes old database connections in a thread, of which the process has one, before each message and after
    the last.
    """

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Channels' own, but for the thread."""
        await getattr(self, get_handler_name(message))(message)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """Channels' own, but for the thread."""
        await self.disconnect(message["code"])
        raise StopConsumer


class EchoConsumer(ThreadlessConsumer):
    """Every message comes back as it came, and nothing else is sent."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Channels' own, without a channel layer, and so without a task for each of those it would listen to."""
        self.scope, self.base_send, self.channel_layer = scope, send, None
        with suppress(StopConsumer):
            while True:
                await self.dispatch(await receive())

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Send it back."""
        await self.send(text_data=text_data, bytes_data=bytes_data)


class EventsConsumer(ThreadlessConsumer, TypedConsumer):
    """What is published to the user, as it happens, at most once.

    The client is authenticated at `ticketauth.ready`, not at the opening of the socket.
    """

    pushes = (Ready, Event)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Channels' own, with a mailbox where it has a channel of the channel layer: see `listener`."""
        self.scope, self.base_send, self.channel_layer = scope, send, None
        identity: Identity = scope["ticketauth"].identity
        self.mailbox = Mailbox(identity.sid if identity.issuer == OURS else "")
        self.hears = (group_for(scope["user"], identity), ALL_SOCKETS)
        try:
            with suppress(StopConsumer):
                await await_many_dispatch([receive, self.mailbox.get], self.dispatch)
        finally:
            # However it ended: a consumer that failed gets no disconnect.
            await (await listener.of_this_worker()).leave(self.mailbox, *self.hears)

    async def connect(self) -> None:
        """Accept, listen, then say `ticketauth.ready`: from then on nothing published is missed."""
        connection: Connection = self.scope["ticketauth"]
        await self.accept(wire.SUBPROTOCOL if connection.negotiated else None)
        try:
            await (await listener.of_this_worker()).join(self.mailbox, *self.hears)
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

    @receives
    async def ping(self, message: Ping) -> Pong:
        """Is the socket alive?"""
        return Pong(id=message.id)

    async def push(self, message: dict[str, Any]) -> None:
        """From the mailbox: an `Event`, as `publish` wrote it."""
        await self.send(text_data=message["frame"])
