"""The words on the wire, once: server, documents and clients quote them. `docs/protocol.md` is their prose."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

SUBPROTOCOL: Final = "ticketauth.v1"
"""Offered by a client that understands `ticketauth.*` frames and close codes."""

SUBPROTOCOL_TICKET_PREFIX: Final = "ticketauth.ticket."
"""Precedes a ticket in `Sec-WebSocket-Protocol`. A token of RFC 9110, as RFC 6455 4.1 asks."""

FRAMES: Final = "ticketauth."
"""What the `type` of a frame of `ticketauth.v1` begins with."""

READY: Final = "ticketauth.ready"
"""First frame of a socket: from now on the client is authenticated, and may reset its back-off."""

EXPIRING: Final = "ticketauth.expiring"
"""The socket ends soon. What the client can do depends on `Ending`."""

RENEW: Final = "ticketauth.renew"
"""From the client: a fresh ticket of the same login, so that the socket lives on."""

RENEWED: Final = "ticketauth.renewed"
"""The answer: it does."""

ERROR: Final = "ticketauth.error"
"""The other answer: it does not, and ends when it was to end before."""


class Ending(Enum):
    """Why a socket ends by itself, and so what keeps it: a renewal; nothing, but another socket; any message."""

    CREDENTIAL = "credential"
    AGE = "age"
    IDLE = "idle"


class Retry(Enum):
    """What a client does after a close."""

    STOP = "stop"
    NEW_TICKET = "new ticket, reconnect"
    BACK_OFF = "back off, then new ticket"


@dataclass(frozen=True, slots=True)
class Close:
    """A close code (RFC 6455 7.4), its HTTP status before the upgrade, and what it asks of the client."""

    code: int
    status: int
    retry: Retry
    meaning: str


MALFORMED = Close(4400, 400, Retry.STOP, "malformed, or more than one credential")
NOT_AUTHENTICATED = Close(4401, 401, Retry.NEW_TICKET, "no credential, or one that is unknown, spent or expired")
FORBIDDEN = Close(4403, 403, Retry.STOP, "the login is over, or this is not permitted here")
TOO_MANY = Close(4429, 429, Retry.BACK_OFF, "too many sockets or messages")
RESTART = Close(1012, 503, Retry.BACK_OFF, "the server restarts")
UNAVAILABLE = Close(1013, 503, Retry.BACK_OFF, "a dependency is down")
UNAVAILABLE_DAPHNE = Close(
    4503, 503, Retry.BACK_OFF, "restart, or a dependency is down (daphne cannot send 1012, 1013)"
)
TOO_BIG = Close(1009, 413, Retry.STOP, "a message is over the size limit")

DAPHNE: Final = {RESTART: UNAVAILABLE_DAPHNE, UNAVAILABLE: UNAVAILABLE_DAPHNE, TOO_BIG: MALFORMED}
"""What daphne sends instead of codes that it cannot send."""

CLOSES: Final = (
    MALFORMED,
    NOT_AUTHENTICATED,
    FORBIDDEN,
    TOO_MANY,
    TOO_BIG,
    RESTART,
    UNAVAILABLE,
    UNAVAILABLE_DAPHNE,
)
