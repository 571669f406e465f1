"""What a store promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ticketauth.limits import Rate
from ticketauth.types import ConnectionId, Nonce, TicketValue


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `rate` tickets for `key`."""

    key: str
    rate: Rate


class TicketStore(Protocol):
    """Keeps tickets for some seconds, and gives each away once."""

    async def put(self, ticket: TicketValue, payload: bytes, ttl: int, limits: tuple[Limit, ...]) -> None:
        """Keep a ticket for `ttl` seconds, and count it, both or neither, exact under concurrency.

        Putting the same ticket again, as a retry does, changes and counts nothing.

        Raises:
            TooMany: A limit is reached; `retry_after` says for how many seconds.
            Unavailable: The store cannot say that it has the ticket.
        """
        ...

    async def take(self, ticket: TicketValue, nonce: Nonce, connection: ConnectionId) -> bytes:
        """Give the payload away, to one nonce only, however often and wherever it is asked.

        The same nonce, as in a retry after a lost reply, gets the same answer as long as the ticket would have lived.

        Raises:
            NotAuthenticated: `reason` is `unknown`, `replay` or `fenced`.
            Unavailable: The store cannot say.
        """
        ...

    async def ping(self) -> None:
        """Say that the store can be reached and serves.

        Raises:
            Unavailable: It does not.
        """
        ...
