"""One live socket, around any consumer: limited, renewed, and ended from outside. Ended, it sends nothing more.

No task per socket: the consumer's own `send` and `receive` pass through here, and the hub does the rest.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from django.db import Error as DatabaseError

from . import conf, handshake, hub, logs, permissions, renewal, users
from .exceptions import Forbidden, NotAuthenticated, Refusal, TooBig, TooMany, Unavailable
from .lifetime import Lifetime
from .registry import Registry
from .signals import announce, ticket_consumed, ticket_refused
from .types import GUEST, ConnectionId, LiveSocket, Opening, Ticket
from .wire import ERROR, EXPIRING, RENEWED, SUBPROTOCOL

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CLOSING_SECONDS = 10
"""That the server has to take a close frame. A peer that reads nothing must not hold a task for longer."""

DROPPED_SECONDS = 0.01
"""That each message takes which a consumer sends after the end, so that a loop of them takes nothing from others."""

MOST_WAITING = 8
"""Frames of our own that wait for a client."""

MOST_REFUSED = 10
"""Renewals one after the other that may be refused for the ticket. Each of them asks the ticket server."""

FIRST_WORD_SECONDS = 2
"""That a consumer has for the first message before it is spoken over: `ticketauth.ready` comes first."""

_NOTHING: Message = {"type": "websocket.receive"}
"""What a socket that was cut goes on to receive: as all that comes after the end, it is dropped."""

_log = logging.getLogger("ticketauth")
_tasks: set[asyncio.Task[None]] = set()


@contextmanager
def refusing(what: str, connection_id: ConnectionId) -> Iterator[None]:
    """Whatever goes wrong inside is a refusal. Nobody is let in by an accident.

    Args:
        what: For the log.
        connection_id: Of whom.

    Raises:
        Refusal: Something goes wrong.
    """
    try:
        yield
    except Refusal:
        raise
    except (DatabaseError, TimeoutError) as error:
        raise Unavailable("database") from error
    except Exception as error:
        _log.exception("%s failed", what, extra={"connection_id": connection_id})
        raise Unavailable("internal") from error


class Ended(ConnectionError):
    """The socket is over for long, and its consumer still sends. Servers raise an `OSError` there too (ASGI 2.4)."""


class Guard:
    """What stands between a consumer and its server.

    Args:
        opening: Its handshake.
        receive: The server's.
        send: The server's.
        extensions: What the server offers.

    Attributes:
        identity: Whose it is.
        lifetime: When it ends.
    """

    __slots__ = (
        "_accepted",
        "_closing",
        "_counted",
        "_counts_until",
        "_cut",
        "_extensions",
        "_knows",
        "_left",
        "_over",
        "_over_since",
        "_own",
        "_quiet_until",
        "_receive",
        "_receiver",
        "_refused",
        "_registry",
        "_said",
        "_send",
        "_senders",
        "_speaks",
        "_stopped",
        "address",
        "connection_id",
        "identity",
        "lifetime",
        "path",
        "socket",
    )

    socket: LiveSocket

    def __init__(self, opening: Opening, receive: Receive, send: Send, extensions: dict[str, Any]) -> None:
        self.identity = GUEST
        self.lifetime = Lifetime()
        self.connection_id, self.path, self.address = opening.connection_id, opening.path, opening.address
        self._receive, self._send, self._extensions = receive, send, extensions
        self._accepted = self._speaks = self._cut = self._said = self._left = self._knows = False
        self._quiet_until = math.inf
        self._over: handshake.Answer | None = None
        self._registry: Registry | None = None
        self._senders: dict[asyncio.Task[Any] | None, float] = {}
        self._receiver: asyncio.Task[Any] | None = None
        self._stopped: set[asyncio.Task[Any]] = set()
        self._own: list[str] = []
        self._refused = 0
        self._closing: asyncio.Task[None] | None = None
        self._over_since = 0.0
        self._counted, self._counts_until = 0, 0.0

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
        self._left = True
        if self._registry is not None:
            self._registry.discard(self)

    # --- What passes through

    async def receive(self) -> Message:
        """For the consumer: what the client sends, and the disconnect when the socket is over."""
        while True:
            message = await self._next()
            if message["type"] == "websocket.disconnect":
                self.leave()
            if message["type"] != "websocket.receive":
                return message
            if self._over is None and (refusal := self._over_limit(message)):
                self.end(refusal)
            if self._over is not None:
                self._knows = True
                return {"type": "websocket.disconnect", "code": self._over.close_code}
            frame = renewal.asked(message.get("text")) if self._speaks else None
            if frame is None:
                return message
            await self._renew(frame)

    async def _next(self) -> Message:
        if self._cut:
            # However long it was busy, it hears of its end once.
            if self._knows:
                await self._drop()
            return _NOTHING
        self._receiver = asyncio.current_task()
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if not self._was_stopped():
                raise
            return _NOTHING
        finally:
            self._receiver = None

    async def _drop(self) -> None:
        if time.monotonic() - self._over_since > CLOSING_SECONDS:
            raise Ended
        await asyncio.sleep(DROPPED_SECONDS)

    async def send(self, message: Message) -> None:
        """For the consumer: through, as long as the socket is not over. It is dropped then, for some seconds.

        Raises:
            Ended: It is over for longer than `CLOSING_SECONDS`.
        """
        if self._over is not None and self._said:
            await self._drop()
            return
        if self._over is None:
            await self._pass_on(message)
            if message["type"] == "websocket.accept":
                self._accepted, self._speaks = True, message.get("subprotocol") == SUBPROTOCOL
                self._quiet_until = time.monotonic() + FIRST_WORD_SECONDS
                self._enter_the_list()
            else:
                self._quiet_until = 0.0
            if message["type"] == "websocket.close":
                self.leave()
        if self._over is not None and not self._said:
            # It ended before it was accepted, or just then.
            self._said = True
            await self._close()

    def _enter_the_list(self) -> None:
        """Unless it ended while it was accepted."""
        if self._over is None and self._registry is not None:
            self._registry.opened(self)

    @property
    def is_busy(self) -> bool:
        """Whether its consumer does not listen just now: what the client sends waits in the server."""
        return self._receiver is None

    @property
    def sending(self) -> float:
        """Monotonic seconds since when a message waits for the client to read; infinite where none does."""
        return next(iter(self._senders.values()), math.inf)

    async def _pass_on(self, message: Message) -> None:
        task = asyncio.current_task()
        self._senders[task] = time.monotonic()
        try:
            await self._send(message)
        except asyncio.CancelledError:
            if not self._was_stopped():
                raise
        finally:
            del self._senders[task]

    def _over_limit(self, message: Message) -> Refusal | None:
        self.lifetime.heard = now = time.monotonic()
        largest, text = conf.current().MESSAGE_SIZE, message.get("text")
        size = len(message.get("bytes") or b"") if text is None else len(text)
        # UTF-8 takes up to four bytes for a character.
        if size > largest or (text is not None and size > largest // 4 and len(text.encode()) > largest):
            return TooBig("message_size")
        rate = conf.message_rate()
        if rate is None:
            return None
        if now >= self._counts_until:
            self._counted, self._counts_until = 0, now + rate.seconds
        self._counted += 1
        return TooMany("messages", retry_after=rate.seconds) if self._counted > rate.count else None

    # --- What it is told of its end

    def notice(self, now: float) -> None:
        """Say, once, what is about to end it; to clients that speak `ticketauth.v1`."""
        if now < self._quiet_until:
            return
        for why, seconds in self.lifetime.notices(now):
            if self._speaks:
                self._tell(EXPIRING, reason=why.value, expires_in=round(seconds))

    async def _renew(self, frame: Message) -> None:
        """Live on with the ticket of a `ticketauth.renew`, or say why not. Another's ends the socket."""
        facts = {"connection_id": self.connection_id, "address": self.address}
        try:
            with refusing("a renewal", self.connection_id):
                ticket = await renewal.consume(
                    frame, self.identity, path=self.path, address=self.address, connection_id=self.connection_id
                )
                await self._live_on(ticket)
        except Refusal as refusal:
            if self._over is not None:
                return
            name = "replay" if refusal.reason == "replay" else "renew"
            level = logging.ERROR if isinstance(refusal, Unavailable) else logging.WARNING
            self._log(name, level, outcome="refused", reason=refusal.reason, **refusal.facts)
            await announce(ticket_refused, type(self), reason=refusal.reason, **facts)
            self._not_renewed(refusal)
            return
        if self._is_over:
            return
        self._refused = 0
        self._log("renew", outcome="renewed")
        await announce(ticket_consumed, type(self), ticket=ticket, **facts)
        self._tell(RENEWED, expires_at=_written(min(self.lifetime.ends, self.lifetime.at_most)))

    async def _live_on(self, ticket: Ticket) -> None:
        """As at the handshake: watched before the user is read, so that no revocation falls in between."""
        watching, before = await hub.of_this_loop.get(), self.identity
        if self._is_over:
            return
        watching.move(self, ticket.identity)
        try:
            standing = await users.read(ticket.identity)
            await permissions.check(standing.user, self.path)
        except BaseException as error:
            if not self._is_over:
                watching.move(self, before)
            if isinstance(error, NotAuthenticated):
                raise hub.refusal_of(error.reason) from error
            raise
        self.lifetime.until(standing.expires_at)
        watching.time(self)

    @property
    def _is_over(self) -> bool:
        """Whether nobody is to watch it any more: its consumer may have gone while a task of it still renews."""
        return self._over is not None or self._left

    def _not_renewed(self, refusal: Refusal) -> None:
        if isinstance(refusal, Forbidden):
            self.end(refusal)
            return
        self._refused += not isinstance(refusal, Unavailable)
        if self._refused > MOST_REFUSED:
            self.end(TooMany("renewals"))
            return
        self._tell(ERROR, code=refusal.code, detail=refusal.detail, retry_after=refusal.retry_after)

    # --- Its end

    def end(self, refusal: Refusal) -> None:
        """Close it, and let nothing more through. Returns at once."""
        if self._over is not None:
            return
        self._over = handshake.answer(refusal, (), self._extensions)
        self._over_since = time.monotonic()
        self.leave()
        self._log("close", reason=refusal.reason, code=self._over.close_code)
        if self._accepted:
            self._said = True
            for sender in self._senders:
                self._stop(sender)
            self._closing = _start(self._close())

    def cut(self, refusal: Refusal) -> None:
        """End it where its peer reads nothing: no close frame comes through, and no answer to one."""
        self.end(refusal)
        self._cut = True
        self._stop(self._receiver)

    def _stop(self, task: asyncio.Task[Any] | None) -> None:
        """Have it wait no longer for the server. Where it does, it goes on."""
        if task is not None:
            self._stopped.add(task)
            task.cancel()

    def _was_stopped(self) -> bool:
        """Whether it was `_stop`, and nobody else, that cancelled the running task."""
        task = asyncio.current_task()
        if task is None or task not in self._stopped:
            return False
        self._stopped.discard(task)
        return not task.uncancel()

    async def closed(self) -> None:
        """Wait until its end was said: servers close without a word when the consumer returns before."""
        if self._closing is not None and not self._cut:
            await asyncio.wait([self._closing])

    async def _close(self) -> None:
        """Say so to the client: where the consumer has not accepted, by a status."""
        told = self._over
        if told is None:
            return
        denied = not self._accepted and "websocket.http.response" in self._extensions
        await self._say(*(told.denial if denied else [told.close]))

    def _tell(self, kind: str, **members: Any) -> None:
        """Send a frame of our own, beside the consumer's. Who reads nothing is told no more than some."""
        if len(self._own) >= MOST_WAITING:
            return
        self._own.append(json.dumps({"type": kind, **members}))
        if len(self._own) == 1:
            _start(self._tell_all())

    async def _tell_all(self) -> None:
        with suppress(Exception):
            while self._own and self._over is None:
                await self._pass_on({"type": "websocket.send", "text": self._own[0]})
                del self._own[:1]
        self._own.clear()

    async def _say(self, *messages: Message) -> None:
        """What the server makes of a socket that is gone already is its own business.

        Where it takes nothing, its peer reads nothing, and it may say nothing of that to the consumer, ever.
        """
        with suppress(Exception):
            try:
                async with asyncio.timeout(CLOSING_SECONDS):
                    for message in messages:
                        await self._send(message)
            except TimeoutError:
                self._cut = True
                self._stop(self._receiver)

    def _log(self, name: str, level: int = logging.INFO, **facts: Any) -> None:
        known = {"connection_id": self.connection_id, "user": self.identity.subject, "sid": self.identity.sid}
        logs.event(level, name, {**known, **facts})


def _start(said: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(said)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


def _written(ends: float) -> str | None:
    """Monotonic seconds as RFC 3339."""
    if math.isinf(ends):
        return None
    return datetime.fromtimestamp(time.time() + ends - time.monotonic(), UTC).isoformat(timespec="seconds")


async def all_told(within: float) -> None:
    """Wait until the clients of this loop whose sockets were ended have been told so.

    Args:
        within: Seconds at most. Who reads nothing cannot be told.
    """
    loop = asyncio.get_running_loop()
    if telling := [task for task in _tasks if task.get_loop() is loop]:
        await asyncio.wait(telling, timeout=within)
