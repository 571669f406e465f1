"""The values that travel between the modules. Imports nothing of ours, so that nothing imports in a circle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType

TicketValue = NewType("TicketValue", str)
"""A ticket as the client holds it: a lower-case UUID, with `TICKET_SECRET` followed by `.` and 43 characters."""

Issuer = NewType("Issuer", str)
"""The exact `iss` of a token (RFC 7519 4.1.1). `OURS` stands for tokens and sessions of this project."""

Subject = NewType("Subject", str)
"""Who the issuer says it is (RFC 7519 4.1.2). Means nothing without its issuer."""

Sid = NewType("Sid", str)
"""One login of a user at an issuer (OpenID Connect `sid`). Empty: the credential names no login."""

Nonce = NewType("Nonce", str)
"""128 random bits of one handshake: what makes a retry after a lost reply different from a replay."""

ConnectionId = NewType("ConnectionId", str)
"""Names one handshake, and the socket that comes of it, in logs and frames. Not a secret."""

OURS = Issuer("")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody says they are, as far as a verified credential proves it. `users.read` says whether it still holds.

    Attributes:
        issuer: Whose rules the credential was checked by; `OURS` for this project's own.
        subject: The subject at that issuer; empty for a guest.
        sid: The login that the credential belongs to; empty where it names none.
        issued_at: Unix time in seconds at which the credential was issued; 0 where it does not say.
        expires_at: Unix time in seconds at which the credential ends; None where only the login's end counts.
        claims: The token's claims, kept only where users come from claims alone.
        password_claim: simplejwt's `CHECK_REVOKE_TOKEN` claim, empty where the token carries none.
    """

    issuer: Issuer
    subject: Subject
    sid: Sid = Sid("")
    issued_at: float = 0
    expires_at: float | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, hash=False)
    password_claim: str = ""

    @property
    def is_guest(self) -> bool:
        return not self.subject


GUEST = Identity(OURS, Subject(""))


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket stands for. The consumer finds it at `scope["ticket"]`.

    Attributes:
        identity: For whom it was issued.
        path: The only decoded path that it opens; empty for every route that takes tickets.
        address: The only client address that may use it; empty for any.
        claims: What the project added when it was issued (`TICKET_CLAIMS`).
    """

    identity: Identity
    path: str = ""
    address: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Connection:
    """An authenticated socket. The consumer finds it at `scope["ticketauth"]`.

    Attributes:
        connection_id: Names it in logs and frames.
        identity: Whose it is.
        scheme: The name of the scheme that let it in; empty for Anonymous.
        expires_at: Unix time in seconds at which it has to end; None where nothing says so.
        negotiated: Whether the client speaks `ticketauth.v1`.
    """

    connection_id: ConnectionId
    identity: Identity
    scheme: str
    expires_at: float | None
    negotiated: bool


@dataclass(frozen=True, slots=True)
class LiveSocket:
    """An open socket, as its user and operators see it. Holds no credential.

    Attributes:
        connection_id: Names it.
        issuer: Of the user: `OURS`, unless users of this issuer are made of claims alone.
        subject: The user at that issuer; empty for a guest.
        name: What the user is called, to show.
        sid: The login here; empty where there is none.
        path: The decoded path.
        scheme: The name of the scheme that let it in; empty for Anonymous.
        address: The client's, through the trusted proxies.
        label: What the client's user agent says of itself.
        since: Unix time in seconds of its handshake.
    """

    connection_id: ConnectionId
    issuer: Issuer
    subject: Subject
    name: str
    sid: Sid
    path: str
    scheme: str
    address: str
    label: str
    since: float


@dataclass(frozen=True, slots=True)
class Opening:
    """A client's opening handshake (RFC 6455 4.1), parsed once, before any I/O.

    Attributes:
        connection_id: Names this handshake in the log.
        path: The decoded path without `root_path`.
        query: The decoded query, in order, repeats kept.
        headers: Lower-case names, in order, repeats kept.
        cookies: Name and value, in order, repeats kept.
        subprotocols: What `Sec-WebSocket-Protocol` offers, in order.
        address: The client's address, through the trusted proxies.
    """

    connection_id: ConnectionId
    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    cookies: tuple[tuple[str, str], ...]
    subprotocols: tuple[str, ...]
    address: str

    def header(self, name: str) -> list[str]:
        """All values of a header, given its lower-case name."""
        return [value for key, value in self.headers if key == name]

    def parameter(self, name: str) -> list[str]:
        """All values of a query parameter."""
        return [value for key, value in self.query if key == name]

    def cookie(self, name: str) -> list[str]:
        """All values of a cookie."""
        return [value for key, value in self.cookies if key == name]


@dataclass(frozen=True, slots=True)
class SecurityScheme:
    """How one way to prove who you are stands in the AsyncAPI document.

    Attributes:
        id: Its name in the document: letters, digits, `-` and `_`.
        definition: The Security Scheme Object (AsyncAPI 3.1), with a `description` that says how to get the credential.
        name: The name of the scheme in the log.
        schema: The JSON schema of the parameter, header or cookie that carries the credential.
    """

    id: str
    definition: Mapping[str, Any]
    name: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
