"""The ticket endpoint in the document: the HTTP half, as far as a client of the sockets needs it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ticketauth.exceptions import NotAuthenticated
from ticketauth.handshake import problem

from .parts import Channel, Contract, Message, Object, TicketEndpoint, filled, openapi, ref, reply

CHANNEL = "tickets"

_TEXT: dict[str, Any] = {"type": "string"}

NAMES = ("TicketRequest", "TicketIssued", "TicketRefused")

_REFUSED = {
    "type": "object",
    "required": ["title", "status", "detail", "code"],
    "properties": {
        "title": {**_TEXT, "description": "The kind of problem, for a person."},
        "status": {"type": "integer", "description": "The HTTP status again."},
        "detail": {**_TEXT, "description": "A sentence for a person."},
        "code": {**_TEXT, "description": "A word for a program."},
        "errors": {"type": "object", "description": "For each field a list of sentences."},
    },
}


def messages(contract: Contract) -> list[Message]:
    """What is asked and answered."""
    if contract.endpoint is None:
        return []
    request, issued, refused = NAMES
    said = "No ticket: an `application/problem+json` body (RFC 9457), with status 400, 401, 403, 415, 429 or 503."
    return [
        Message(
            request, request, "Ticket request", "For which path a ticket is wanted.", [{"path": some_path(contract)}]
        ),
        Message(issued, issued, "Ticket issued", "A ticket. It works once.", [_issued(contract.endpoint)]),
        Message(refused, refused, "Ticket refused", said, [_REFUSAL]),
    ]


def some_path(contract: Contract) -> str:
    """An address for examples: that of a channel with typed messages and no parameters, if there is one."""
    by_use = sorted(
        contract.channels, key=lambda channel: (not channel.operations[0].messages, len(channel.parameters))
    )
    return next((_filled_in(channel) for channel in by_use), "/")


def _filled_in(channel: Channel) -> str:
    address = channel.address
    for name, parameter in channel.parameters.items():
        address = address.replace(f"{{{name}}}", next(iter(parameter.get("examples", ())), name))
    return address


def _issued(endpoint: TicketEndpoint) -> Object:
    ticket = "0b8d7f0e-4c1a-4b52-9a54-6f4b6f5f6a10" + (f".{'A' * 43}" if "pattern" in endpoint.ticket else "")
    ends = (datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(seconds=endpoint.ttl)).isoformat().replace("+00:00", "Z")
    return {"ticket_uuid": ticket, "expires_in": endpoint.ttl, "expires_at": ends}


_REFUSAL = problem(NotAuthenticated("unknown"))


def channel(contract: Contract) -> Object:
    """The endpoint as a channel on the HTTP server."""
    if contract.endpoint is None:
        return {}
    described = filled(
        address=contract.endpoint.address,
        title="Tickets",
        summary="Issues a one-time ticket to an authenticated user.",
        servers=[ref("servers", "http")],
        messages={name: ref("components", "messages", name) for name in NAMES},
        externalDocs=openapi(contract),
    )
    return {CHANNEL: {**described, "x-security": [scheme.id for scheme in contract.endpoint.schemes]}}


def operation(contract: Contract) -> Object:
    """The request for a ticket, and its answers."""
    if contract.endpoint is None:
        return {}
    return {
        "issueTicket": {
            "action": "receive",
            "channel": ref("channels", CHANNEL),
            "title": "Issue a ticket",
            "summary": "Exchange an access token or a session for a one-time ticket.",
            "bindings": {"http": {"bindingVersion": "0.3.0", "method": "POST"}},
            "messages": [ref("channels", CHANNEL, "messages", "TicketRequest")],
            "reply": reply(CHANNEL, ["TicketIssued", "TicketRefused"]),
        }
    }


def schemas(contract: Contract) -> Object:
    """The bodies."""
    if contract.endpoint is None:
        return {}
    issued = {
        "ticket_uuid": contract.endpoint.ticket,
        "expires_in": {
            "type": "integer",
            "minimum": 1,
            "maximum": contract.endpoint.ttl,
            "description": "Seconds that it lives.",
        },
        "expires_at": {**_TEXT, "format": "date-time", "description": "By the server's clock."},
    }
    return {
        "TicketRequest": contract.endpoint.request,
        "TicketIssued": {"type": "object", "required": list(issued), "properties": issued},
        "TicketRefused": _REFUSED,
    }
