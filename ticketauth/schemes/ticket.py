"""A ticket: in the query, in `Sec-WebSocket-Protocol`, or in the `Authorization` header."""

from __future__ import annotations

from typing import ClassVar

from ticketauth import conf, tickets
from ticketauth.types import Opening, SecurityScheme, Ticket
from ticketauth.wire import SUBPROTOCOL, SUBPROTOCOL_TICKET_PREFIX

from .base import Scope, authorization, only, without_authorization, without_headers, without_parameter

_HOW = (
    "One-time ticket: ask the ticket endpoint for it with an access token or a session, and connect within "
    "`expires_in` seconds. It is bound to the user who asked, and the first handshake that presents it consumes it. "
)


class _TicketScheme:
    """What the three have in common: the syntax, checked before any I/O, and the store."""

    ambient: ClassVar[bool] = False
    challenge: ClassVar[str] = ""

    def presented(self, opening: Opening) -> list[str]:
        raise NotImplementedError

    def find(self, opening: Opening) -> str | None:
        value = only(self.presented(opening), "ticket")
        return None if value is None else tickets.parse(value, secret=conf.current().TICKET_SECRET)

    async def authenticate(self, credential: str, opening: Opening) -> Ticket:
        return await tickets.consume(
            conf.store(),
            credential,
            path=opening.path,
            address=opening.address,
            connection=opening.connection_id,
            secret=conf.current().TICKET_SECRET,
        )


class TicketQuery(_TicketScheme):
    """`?ticket_uuid=<ticket>`. It may end up in a proxy's log, where it is spent or dies within its life."""

    name: ClassVar[str] = "ticket_query"

    def presented(self, opening: Opening) -> list[str]:
        return opening.parameter(conf.current().TICKET_QUERY_PARAM)

    def hide(self, scope: Scope) -> Scope:
        return without_parameter(scope, conf.current().TICKET_QUERY_PARAM)

    def security_scheme(self) -> SecurityScheme:
        name = conf.current().TICKET_QUERY_PARAM
        said = f"{_HOW}Sent as `?{name}=<ticket>`."
        definition = {"type": "httpApiKey", "in": "query", "name": name, "description": said}
        return SecurityScheme("ticket", definition, self.name, tickets.schema(secret=conf.current().TICKET_SECRET))


class TicketSubprotocol(_TicketScheme):
    """`Sec-WebSocket-Protocol: ticketauth.v1, ticketauth.ticket.<ticket>`: for browsers, out of the address."""

    name: ClassVar[str] = "ticket_subprotocol"

    def presented(self, opening: Opening) -> list[str]:
        prefix = SUBPROTOCOL_TICKET_PREFIX
        return [offer.removeprefix(prefix) for offer in opening.subprotocols if offer.startswith(prefix)]

    def hide(self, scope: Scope) -> Scope:
        prefix = SUBPROTOCOL_TICKET_PREFIX
        kept = [offer for offer in scope.get("subprotocols", []) if not offer.startswith(prefix)]
        bare = without_headers(scope, lambda name, value: name.lower() == b"sec-websocket-protocol")
        if kept:
            bare["headers"].append((b"sec-websocket-protocol", ", ".join(kept).encode()))
        return {**bare, "subprotocols": kept}

    def security_scheme(self) -> SecurityScheme:
        sent = f"{SUBPROTOCOL}, {SUBPROTOCOL_TICKET_PREFIX}<ticket>"
        said = f"{_HOW}Sent as `Sec-WebSocket-Protocol: {sent}`; keeps the ticket out of the address, in browsers too."
        definition = {"type": "httpApiKey", "in": "header", "name": "Sec-WebSocket-Protocol", "description": said}
        return SecurityScheme("ticketSubprotocol", definition, self.name)


class TicketHeader(_TicketScheme):
    """`Authorization: Ticket <ticket>`: for clients that can set headers."""

    name: ClassVar[str] = "ticket_header"
    challenge: ClassVar[str] = "Ticket"

    def presented(self, opening: Opening) -> list[str]:
        return authorization(opening, "ticket")

    def hide(self, scope: Scope) -> Scope:
        return without_authorization(scope, "ticket")

    def security_scheme(self) -> SecurityScheme:
        said = f"{_HOW}Sent as `Authorization: Ticket <ticket>`, by clients that can set headers."
        return SecurityScheme("ticketHeader", {"type": "http", "scheme": "ticket", "description": said}, self.name)
