"""Tickets: `issue()` and `consume()`, the whole idea."""

from __future__ import annotations

import json
import re
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .exceptions import Malformed, Misconfigured, NotAuthenticated
from .stores.base import Limit, TicketStore
from .types import ConnectionId, Identity, Issuer, Nonce, Sid, Subject, Ticket, TicketValue

LARGEST_CLAIMS = 4096
"""Bytes of the claims that a project adds. They are read at every handshake; larger things belong in a database."""

# `uuid.UUID()` takes braces, `urn:uuid:`, missing dashes and digits of other scripts, some as another UUID.
_UUID4 = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_PLAIN = re.compile(_UUID4, re.ASCII | re.IGNORECASE)
_WITH_SECRET = re.compile(rf"({_UUID4})\.([A-Za-z0-9_-]{{43}})", re.ASCII | re.IGNORECASE)


def schema(*, secret: bool) -> dict[str, Any]:
    """The JSON schema of a ticket, with or without the further bits."""
    plain = {"type": "string", "format": "uuid"}
    return {"type": "string", "pattern": rf"^{_UUID4}\.[A-Za-z0-9_-]{{43}}$"} if secret else plain


@dataclass(frozen=True, slots=True)
class Issued:
    """A ticket as the client gets it: its value, its life and its end, in seconds and in Unix seconds."""

    value: TicketValue
    expires_in: int
    expires_at: float


async def issue(
    store: TicketStore, ticket: Ticket, *, ttl: int, secret: bool = False, limits: tuple[Limit, ...] = ()
) -> Issued:
    """Make a ticket and have the store keep it: 122 random bits, with `secret` 256 more (ASVS 11.5.1).

    Args:
        store: Where tickets live.
        ticket: What the ticket stands for.
        ttl: Seconds that it lives.
        secret: Whether to append the further bits.
        limits: The counts that this ticket adds to.

    Raises:
        TooMany: A limit is reached.
        Unavailable: The store did not say that it has the ticket.
        Misconfigured: The project's claims are no JSON, or over `LARGEST_CLAIMS`.
    """
    value = TicketValue(str(uuid.uuid4()) + (f".{secrets.token_urlsafe(32)}" if secret else ""))
    expires_at = time.time() + ttl
    await store.put(value, _encode(ticket), ttl, limits)
    return Issued(value, ttl, expires_at)


async def consume(
    store: TicketStore, value: str, *, path: str, address: str, connection: ConnectionId, secret: bool = False
) -> Ticket:
    """Turn what a client presents into a ticket, once. The ticket is spent even where its path or address is wrong.

    Args:
        store: Where tickets live.
        value: What the client presents.
        path: The decoded path it asks for, without `root_path`.
        address: The client's address.
        connection: Names this handshake.
        secret: Whether tickets carry the further bits.

    Raises:
        Malformed: The syntax is wrong; the store was not asked.
        NotAuthenticated: The ticket is unknown, spent, expired, fenced, or for another path or address.
        Unavailable: The store cannot say.
    """
    payload = await store.take(parse(value, secret=secret), Nonce(secrets.token_hex(16)), connection)
    ticket = _decode(payload)
    if ticket.path and ticket.path != path:
        raise _of_another("path", ticket)
    if ticket.address and ticket.address != address:
        raise _of_another("address", ticket)
    return ticket


def _of_another(what: str, ticket: Ticket) -> NotAuthenticated:
    refusal = NotAuthenticated(what)
    refusal.facts |= {"user": ticket.identity.subject, "issuer": ticket.identity.issuer, "sid": ticket.identity.sid}
    return refusal


def parse(value: str, *, secret: bool) -> TicketValue:
    """The canonical form of a ticket: lower case, as it was issued.

    Raises:
        Malformed: It is not a version 4 UUID with dashes, or lacks or has a secret against the setting.
    """
    match = (_WITH_SECRET if secret else _PLAIN).fullmatch(value)
    if not match:
        raise Malformed("ticket_syntax")
    return TicketValue(f"{match[1].lower()}.{match[2]}" if secret else value.lower())


def _encode(ticket: Ticket) -> bytes:
    identity = ticket.identity
    fields: dict[str, Any] = {
        "iss": identity.issuer,
        "sub": identity.subject,
        "sid": identity.sid,
        "iat": identity.issued_at,
        "exp": identity.expires_at,
        "pwd": identity.password_claim,
        "jwt": dict(identity.claims),
        "path": ticket.path,
        "addr": ticket.address,
        "claims": dict(ticket.claims),
    }
    _check_claims(ticket.claims)
    return json.dumps({name: value for name, value in fields.items() if value}, separators=(",", ":")).encode()


def _check_claims(claims: Mapping[str, Any]) -> None:
    try:
        size = len(json.dumps(claims, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise Misconfigured(f"The claims of a ticket must be JSON: {error}.") from error
    if size > LARGEST_CLAIMS:
        raise Misconfigured(f"The claims of a ticket take {size} bytes; {LARGEST_CLAIMS} is the most.")


def _decode(payload: bytes) -> Ticket:
    fields: Mapping[str, Any] = json.loads(payload)
    identity = Identity(
        issuer=Issuer(fields.get("iss", "")),
        subject=Subject(fields.get("sub", "")),
        sid=Sid(fields.get("sid", "")),
        issued_at=fields.get("iat", 0),
        expires_at=fields.get("exp"),
        claims=fields.get("jwt", {}),
        password_claim=fields.get("pwd", ""),
    )
    return Ticket(identity, fields.get("path", ""), fields.get("addr", ""), fields.get("claims", {}))
