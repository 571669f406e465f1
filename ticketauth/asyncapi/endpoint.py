"""The ticket endpoint in the document: the HTTP half, as far as a client of the sockets needs it."""

from __future__ import annotations

from typing import Any

from .parts import Contract, Message, Object, filled, openapi, ref, reply

CHANNEL = "tickets"

_TEXT: dict[str, Any] = {"type": "string"}

MESSAGES = (
    Message(
        "TicketRequest",
        "TicketRequest",
        "Ticket request",
        "For which path a ticket is wanted.",
        [{"path": "/ws/events/"}],
    ),
    Message(
        "TicketIssued",
        "TicketIssued",
        "Ticket issued",
        "A ticket. It works once.",
        [
            {
                "ticket_uuid": "0b8d7f0e-4c1a-4b52-9a54-6f4b6f5f6a10",
                "expires_in": 30,
                "expires_at": "2026-01-01T12:00:30Z",
            }
        ],
    ),
    Message(
        "TicketRefused",
        "TicketRefused",
        "Ticket refused",
        "No ticket: an `application/problem+json` body (RFC 9457), with status 400, 401, 403, 415, 429 or 503.",
        [
            {
                "title": "Not authenticated",
                "status": 401,
                "detail": "No valid credential was presented.",
                "code": "not_authenticated",
            }
        ],
    ),
)

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


def channel(contract: Contract) -> Object:
    """The endpoint as a channel on the HTTP server."""
    if contract.endpoint is None:
        return {}
    described = filled(
        address=contract.endpoint.address,
        title="Tickets",
        summary="Issues a one-time ticket to an authenticated user.",
        servers=[ref("servers", "http")],
        messages={message.id: ref("components", "messages", message.id) for message in MESSAGES},
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
