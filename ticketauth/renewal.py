"""A live socket goes on with a fresh ticket: of the same issuer, user and login, for the same path.

{"type": "ticketauth.renew", "ticket_uuid": "..."}
"""

from __future__ import annotations

import json
from typing import Any

from . import conf, tickets
from .exceptions import Forbidden, Malformed, NotAuthenticated
from .types import ConnectionId, Identity, Ticket
from .wire import RENEW

LONGEST_FRAME = 512
"""Characters of a `ticketauth.renew`. What is longer is the consumer's."""

_ELSEWHERE = {"path", "address"}
"""Reasons why a ticket is good, but not here."""


def asked(text: str | None) -> dict[str, Any] | None:
    """The members of a `ticketauth.renew`, or None: the message is the consumer's."""
    if text is None or RENEW not in text or len(text) > LONGEST_FRAME:
        return None
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return frame if isinstance(frame, dict) and frame.get("type") == RENEW else None


async def consume(
    frame: dict[str, Any], identity: Identity, *, path: str, address: str, connection_id: ConnectionId
) -> Ticket:
    """Spend the ticket of a `ticketauth.renew`.

    Args:
        frame: Its members.
        identity: Whose the socket is.
        path: The decoded path of the socket.
        address: The client's.
        connection_id: Names the socket.

    Raises:
        Malformed: There is no ticket in it.
        NotAuthenticated: The ticket is unknown, spent or expired.
        Forbidden: The ticket is somebody else's, of another login, or for elsewhere.
        Unavailable: The store cannot say.
    """
    value = frame.get("ticket_uuid")
    if not isinstance(value, str) or set(frame) != {"type", "ticket_uuid"}:
        raise Malformed("renewal_syntax", 'Expected {"type": "ticketauth.renew", "ticket_uuid": "<ticket>"}.')
    try:
        ticket = await tickets.consume(
            conf.store(),
            value,
            path=path,
            address=address,
            connection=connection_id,
            secret=conf.current().TICKET_SECRET,
        )
    except NotAuthenticated as refusal:
        if refusal.reason in _ELSEWHERE:
            raise _of_another(refusal.reason) from refusal
        raise
    if _login(ticket.identity) != _login(identity):
        raise _of_another("login")
    return ticket


def _login(identity: Identity) -> tuple[str, str, str]:
    return identity.issuer, identity.subject, identity.sid


def _of_another(what: str) -> Forbidden:
    return Forbidden(f"renewal_{what}")
