"""The ASGI middleware: carries out what `handshake` decides. It and `routing` speak Channels' language.

application = ProtocolTypeRouter({
    "http": get_asgi_application(),
    "websocket": TicketAuthMiddlewareStack(URLRouter(websocket_urlpatterns)),
})
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from channels.sessions import SessionMiddlewareStack

from . import conf, handshake, hub, logs, permissions, registry, routing, users
from .address import network_of
from .exceptions import Misconfigured, NotAuthenticated, Refusal
from .guard import Ended, Guard, refusing
from .handshake import Way
from .labels import label_of
from .limits import Allowance
from .schemes.base import Scheme, Scope
from .schemes.jwt import JWTCookie, JWTQuery
from .schemes.session import Session
from .schemes.ticket import TicketHeader, TicketQuery, TicketSubprotocol
from .signals import announce, ticket_consumed, ticket_refused
from .types import GUEST, OURS, Connection, Identity, LiveSocket, Opening, Sid, Ticket
from .wire import SUBPROTOCOL

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LONGEST_PATH, LONGEST_AGENT = 255, 512
"""Characters that the registry looks at."""


class TicketAuthMiddleware:
    """Lets a WebSocket through to the inner application with `scope["user"]` set, or refuses it.

    The inner application finds `scope["user"]`, `scope["ticket"]` (None where another scheme was used) and
    `scope["ticketauth"]` (a `types.Connection`).

    Args:
        inner: Any ASGI application for WebSockets, usually a `URLRouter`.
        schemes: The ways to prove who you are, `TICKETAUTH["SCHEMES"]` where none are given.
        required: Whether a handshake without a credential is refused. Otherwise it is let in as `AnonymousUser`, and
            so are guest tickets.

    Raises:
        Misconfigured: `TICKETAUTH` cannot work; so an ASGI server, which runs no system checks, does not start.
    """

    def __init__(self, inner: Application, schemes: Sequence[Scheme] | None = None, *, required: bool = True) -> None:
        conf.validate()
        if not 1 <= conf.current().TICKET_TTL <= conf.LONGEST_TTL:
            raise Misconfigured(f"TICKET_TTL is {conf.current().TICKET_TTL}; expected 1 to {conf.LONGEST_TTL} seconds.")
        self.inner = inner
        self.required = required
        self._schemes = schemes
        self._upgrades = Allowance()

    @property
    def schemes(self) -> Sequence[Scheme]:
        """The schemes that this middleware accepts."""
        return conf.schemes() if self._schemes is None else self._schemes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.inner(scope, receive, send)
            return
        # By a call of its own, so that nothing of the handshake stays in memory while the socket lives.
        opened = await self._open(scope, receive, send)
        if opened is None:
            return
        inner_scope, guard = opened
        try:
            negotiated = inner_scope["ticketauth"].negotiated
            with suppress(Ended):
                await self.inner(inner_scope, guard.receive, _selecting(guard.send) if negotiated else guard.send)
        finally:
            guard.leave()
            (await hub.of_this_loop.get()).discard(guard)
            await guard.closed()

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> tuple[Scope, Guard] | None:
        """The inner application's scope and guard, or None where the client was refused, and told so."""
        opening = handshake.parse(scope, conf.trusted_proxies())
        decision = logs.Decision(opening)
        guard = Guard(opening, receive, send, scope.get("extensions") or {})
        try:
            inner_scope = await self._admit(scope, opening, decision, guard)
        except BaseException as refusal:
            guard.leave()
            (await hub.of_this_loop.get()).discard(guard)
            if not isinstance(refusal, Refusal):
                raise
            decision.refused(refusal)
            await announce(
                ticket_refused,
                type(self),
                reason=refusal.reason,
                connection_id=opening.connection_id,
                address=opening.address,
            )
            await self._refuse(refusal, opening, scope, receive, send)
            return None
        decision.admitted(inner_scope["ticketauth"])
        return inner_scope, guard

    async def _admit(self, scope: Scope, opening: Opening, decision: logs.Decision, guard: Guard) -> Scope:
        """The inner application's scope.

        Raises:
            Refusal: Whatever goes wrong. Nobody is let in by an accident.
        """
        with refusing("a handshake", opening.connection_id):
            (await hub.of_this_loop.get()).refuse_if_leaving()
            handshake.check_size(scope)
            resolves = functools.partial(routing.resolves, self.inner)
            chosen = handshake.choose(opening, self.schemes, conf.origins(), resolves=resolves, required=self.required)
            if chosen is None:
                return await self._anonymous(scope, opening, guard)
            scheme, credential = chosen
            decision.presented(scheme, credential)
            return await self._authenticated(scope, opening, guard, scheme, credential)

    async def _authenticated(
        self, scope: Scope, opening: Opening, guard: Guard, scheme: Scheme, credential: str
    ) -> Scope:
        proof = await scheme.authenticate(credential, opening)
        ticket = proof if isinstance(proof, Ticket) else None
        identity = ticket.identity if ticket else proof
        if not isinstance(identity, Identity):
            raise TypeError(f"{scheme.name} gave neither a Ticket nor an Identity")
        if identity.is_guest and self.required:
            raise NotAuthenticated("guest")
        standing = await self._watched(guard, identity)
        guard.enter(_live_socket(opening, identity, scheme.name, standing.user), await registry.of_this_loop.get())
        if ticket:
            await announce(
                ticket_consumed,
                type(self),
                ticket=ticket,
                connection_id=opening.connection_id,
                address=opening.address,
            )
        connection = Connection(
            opening.connection_id, identity, scheme.name, standing.expires_at, SUBPROTOCOL in opening.subprotocols
        )
        return {**scheme.hide(scope), "user": standing.user, "ticket": ticket, "ticketauth": connection}

    async def _watched(self, guard: Guard, identity: Identity) -> users.Standing:
        """Whether somebody may come in, and from now on whether they may stay."""
        watching = await hub.of_this_loop.get()
        guard.identity = identity
        watching.add(guard)
        standing = await users.read(identity)
        await permissions.check(standing.user, guard.path)
        guard.lifetime.until(standing.expires_at)
        watching.time(guard)
        return standing

    async def _anonymous(self, scope: Scope, opening: Opening, guard: Guard) -> Scope:
        standing = await self._watched(guard, GUEST)
        guard.enter(_live_socket(opening, GUEST, "", standing.user), await registry.of_this_loop.get())
        connection = Connection(opening.connection_id, GUEST, "", None, SUBPROTOCOL in opening.subprotocols)
        return {**scope, "user": standing.user, "ticket": None, "ticketauth": connection}

    async def _refuse(self, refusal: Refusal, opening: Opening, scope: Scope, receive: Receive, send: Send) -> None:
        extensions = scope.get("extensions") or {}
        way = handshake.way_of(
            refusal,
            opening,
            profile=conf.current().REFUSAL_PROFILE,
            extensions=extensions,
            may_upgrade=lambda: self._upgrades.take(network_of(opening.address), conf.close_rate()),
        )
        told = handshake.answer(refusal, self.schemes, extensions)
        await receive()
        if way is Way.DENIAL:
            for message in told.denial:
                await send(message)
            return
        if way is Way.ACCEPT_AND_CLOSE:
            await send({"type": "websocket.accept", "subprotocol": handshake.harmless_subprotocol(opening)})
        await send(told.close)


_label_of = functools.lru_cache(maxsize=1024)(label_of)


def _live_socket(opening: Opening, identity: Identity, scheme: str, user: Any) -> LiveSocket:
    """What others may know of it."""
    issuer, subject = users.owner_of(user, identity)
    return LiveSocket(
        connection_id=opening.connection_id,
        issuer=issuer,
        subject=subject,
        name=str(user.get_username() or ""),
        # A provider's names no login here.
        sid=identity.sid if identity.issuer == OURS else Sid(""),
        path=logs.redact(opening.path[:LONGEST_PATH]),
        scheme=scheme,
        address=opening.address,
        label=_label_of(next(iter(opening.header("user-agent")), "")[:LONGEST_AGENT]),
        since=round(time.time(), 3),
    )


def _selecting(send: Send) -> Send:
    """A `send` that selects `ticketauth.v1` where the consumer selects no subprotocol."""

    async def selecting(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.accept" and not message.get("subprotocol"):
            message = {**message, "subprotocol": SUBPROTOCOL}
        await send(message)

    return selecting


def _tickets() -> list[Scheme]:
    return [TicketQuery(), TicketSubprotocol(), TicketHeader()]


def TicketAuthMiddlewareStack(inner: Application, *, required: bool = True) -> TicketAuthMiddleware:  # noqa: N802
    """A ticket, and nothing else."""
    return TicketAuthMiddleware(inner, _tickets(), required=required)


def TicketOrSessionAuthMiddlewareStack(inner: Application, *, required: bool = True) -> TicketAuthMiddleware:  # noqa: N802
    """A ticket, or Django's session cookie; `scope["session"]` is there for the inner application."""
    return TicketAuthMiddleware(SessionMiddlewareStack(inner), [*_tickets(), Session()], required=required)


def TicketOrJWTCookieAuthMiddlewareStack(inner: Application, *, required: bool = True) -> TicketAuthMiddleware:  # noqa: N802
    """A ticket, or a cookie that holds an access token."""
    return TicketAuthMiddleware(inner, [*_tickets(), JWTCookie()], required=required)


def JWTQueryOrSessionAuthMiddlewareStack(inner: Application, *, required: bool = True) -> TicketAuthMiddleware:  # noqa: N802
    """An access token in the query (only with `TICKETAUTH["JWT_QUERY"]`), or Django's session cookie."""
    return TicketAuthMiddleware(SessionMiddlewareStack(inner), [JWTQuery(), Session()], required=required)
