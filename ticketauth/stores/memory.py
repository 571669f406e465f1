"""A store in this process's memory, for unit tests of projects that use the library. Never for a service."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from ticketauth.exceptions import NotAuthenticated, TooMany
from ticketauth.types import ConnectionId, Nonce, TicketValue

from .base import Limit


@dataclass(slots=True)
class _Kept:
    payload: bytes
    expires_at: float
    nonce: Nonce | None = None
    connection: ConnectionId | None = None


@dataclass(slots=True)
class _Count:
    ends_at: float
    number: int = 0


class MemoryStore:
    """See `stores.base.TicketStore`; one process, one event loop at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[TicketValue, _Kept] = {}
        self._counts: dict[str, _Count] = {}

    async def put(self, ticket: TicketValue, payload: bytes, ttl: int, limits: tuple[Limit, ...]) -> None:
        now = self._clock()
        self._forget(now)
        if ticket in self._kept:
            return
        counts = [(self._counts.get(limit.key) or _Count(now + limit.rate.seconds), limit) for limit in limits]
        for count, limit in counts:
            if count.number >= limit.rate.count:
                raise TooMany("rate", retry_after=max(1, math.ceil(count.ends_at - now)))
        for count, limit in counts:
            count.number += 1
            self._counts[limit.key] = count
        self._kept[ticket] = _Kept(payload, now + ttl)

    async def take(self, ticket: TicketValue, nonce: Nonce, connection: ConnectionId) -> bytes:
        self._forget(self._clock())
        kept = self._kept.get(ticket)
        if kept is None:
            raise NotAuthenticated("unknown")
        if kept.nonce is None:
            kept.nonce, kept.connection = nonce, connection
        if kept.nonce != nonce:
            refusal = NotAuthenticated("replay")
            refusal.facts["first_connection"] = str(kept.connection)
            raise refusal
        return kept.payload

    async def ping(self) -> None:
        """Memory is always there."""

    def _forget(self, now: float) -> None:
        self._kept = {ticket: kept for ticket, kept in self._kept.items() if kept.expires_at > now}
        self._counts = {key: count for key, count in self._counts.items() if count.ends_at > now}
