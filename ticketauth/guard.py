"""One live socket, around any consumer: ended from outside, it sends nothing more.

No task per socket: the consumer's own `send` and `receive` pass through here, and the hub does the rest.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from . import conf, handshake, logs
from .exceptions import Refusal
from .registry import Registry
from .types import GUEST, LiveSocket, Opening

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CLOSING_SECONDS = 10
"""That the server has to take a close frame. A peer that reads nothing must not hold a task for longer."""

JITTER = 0.1
"""Part of `SOCKET_MAX_AGE` by which sockets end earlier, so that those opened together do not end together."""

_closing: set[asyncio.Task[None]] = set()


class Guard:
    """What stands between a consumer and its server.

    Args:
        opening: Its handshake.
        receive: The server's.
        send: The server's.
        extensions: What the server offers.
    """

    __slots__ = (
        "_accepted",
        "_extensions",
        "_over",
        "_receive",
        "_registry",
        "_send",
        "at_most",
        "connection_id",
        "ends",
        "expires_at",
        "identity",
        "socket",
    )

    socket: LiveSocket

    def __init__(self, opening: Opening, receive: Receive, send: Send, extensions: dict[str, Any]) -> None:
        self.identity = GUEST
        self.connection_id = opening.connection_id
        self.expires_at: float | None = None
        self.ends = float("inf")
        max_age = conf.current().SOCKET_MAX_AGE
        age = max_age * (1 - JITTER * random.random())  # noqa: S311 -- to spread load
        self.at_most = time.monotonic() + age if max_age else float("inf")
        self._receive = receive
        self._send = send
        self._extensions = extensions
        self._accepted = False
        self._registry: Registry | None = None
        self._over: handshake.Answer | None = None

    def lasts_until(self, expires_at: float | None) -> None:
        """Its login or credential ends then, in Unix seconds."""
        self.expires_at = expires_at
        if expires_at is not None:
            self.ends = time.monotonic() + expires_at - time.time()

    def enter(self, socket: LiveSocket, registry: Registry) -> None:
        """It may come in, and be known there once it is accepted.

        Raises:
            TooMany: There are too many already.
        """
        self.socket = socket
        registry.admit(self)
        self._registry = registry

    def leave(self) -> None:
        """It is over, or was not let in: its place is free. May be called again."""
        if self._registry is not None:
            self._registry.discard(self)

    async def receive(self) -> Message:
        """For the consumer: what the client sends, and the disconnect when the socket is over."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.leave()
        if self._over is not None and message["type"] == "websocket.receive":
            return {"type": "websocket.disconnect", "code": self._over.close_code}
        return message

    async def send(self, message: Message) -> None:
        """For the consumer: through, as long as the socket is not over."""
        if self._over is None:
            await self._send(message)
            self._note(message["type"])
        if self._over is not None and message["type"] == "websocket.accept":
            await self._close()

    def _note(self, type: str) -> None:  # noqa: A002 -- ASGI's word
        """What the consumer has done."""
        if type == "websocket.accept":
            self._accepted = True
            if self._over is None and self._registry is not None:
                self._registry.opened(self)
        elif type == "websocket.close":
            self.leave()

    def end(self, refusal: Refusal) -> None:
        """Close it, and let nothing more through. Returns at once."""
        if self._over is not None:
            return
        self._over = handshake.answer(refusal, (), self._extensions)
        self.leave()
        facts = {"connection_id": self.connection_id, "reason": refusal.reason, "code": self._over.close_code}
        logs.event(logging.INFO, "close", {**facts, "user": self.identity.subject, "sid": self.identity.sid})
        if self._accepted:
            task = asyncio.create_task(self._close())
            _closing.add(task)
            task.add_done_callback(_closing.discard)

    async def _close(self) -> None:
        """Say so to the client. What the server makes of a socket that is gone already is its own business."""
        told = self._over
        if told is None:
            return
        with suppress(Exception):
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._send({"type": "websocket.close", "code": told.close_code, "reason": told.close_reason})
