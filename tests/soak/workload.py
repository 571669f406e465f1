"""The workload: tickets are issued, spent once, and replayed from every side. Ours, and the twin's beside them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from tests.servers import Topology
from ticketauth.exceptions import NotAuthenticated, Unavailable
from ticketauth.stores.base import Limit, TicketStore
from ticketauth.stores.client import Script
from ticketauth.stores.redis import RedisStore
from ticketauth.types import ConnectionId, Nonce, TicketValue

from .history import Checker, Op

TICKETS_PER_SECOND = 10
TTL = 30
LONGEST_LIFE = 12
"""Seconds in which a ticket is replayed."""

THIEVES = 6
RETRIES = 3


def seeded(seed: str) -> random.Random:
    """A generator that deals the same again."""
    return random.Random(seed)  # noqa: S311 - nothing here is secret, and it is to be repeated


_SET = Script("redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return {'ok'}")
_GETDEL = Script("return {'ok', redis.call('GETDEL', KEYS[1])}")


class GetDel(RedisStore):
    """The twin, as one would naively write it: SET with an expiry, and GETDEL. All but these two commands is ours."""

    async def put(self, ticket: TicketValue, payload: bytes, ttl: int, limits: tuple[Limit, ...]) -> None:
        await self.client.run(_SET, [self.client.key("twin", ticket)], [payload, ttl * 1000])

    async def take(self, ticket: TicketValue, nonce: Nonce, connection: ConnectionId) -> bytes:
        _, payload = await self.client.run(_GETDEL, [self.client.key("twin", ticket)], [])
        if payload is None:
            raise NotAuthenticated("unknown")
        return bytes(payload)


class Workload:
    """Tickets of one store, which is reached through every door: the service's own, and each node's.

    Args:
        topology: Where the tickets are.
        make: Makes a store of a URL.
        seed: Two workloads with one seed do the same at the same time.

    Attributes:
        over: Set it, and no more tickets are issued, and what was to come of the others comes at once.
    """

    def __init__(self, topology: Topology, make: Callable[[str], TicketStore], seed: str) -> None:
        self.checker = Checker()
        self._service = make(topology.url)
        self._nodes = {f"node {n} ({node.port})": make(node.url) for n, node in enumerate(topology.nodes)}
        self._seed = seed
        self.over = asyncio.Event()

    async def run(self) -> None:
        """Issue until it is over, and see every ticket to its end."""
        stagger = seeded(self._seed)
        async with asyncio.TaskGroup() as lives:
            for number in itertools.count():
                lives.create_task(self._live(number))
                await self._wait(stagger.expovariate(TICKETS_PER_SECOND))
                if self.over.is_set():
                    break

    async def _live(self, number: int) -> None:
        """The owner's handshake at one moment, the thieves' from then on, at any of the doors."""
        plan = seeded(f"{self._seed} ticket {number}")
        ticket = TicketValue(str(uuid.UUID(int=plan.getrandbits(128), version=4)))
        if await self._issue(ticket) == "ok":
            spent = plan.uniform(0, 2)
            handshakes = [self._spend(ticket, spent)]
            for thief in range(THIEVES):
                delay = min(spent + plan.expovariate(1 / 3), LONGEST_LIFE)
                door = plan.choice([*self._nodes, *["service"] * len(self._nodes)])
                handshakes.append(self._replay(ticket, f"thief-{thief}", door, delay))
            await asyncio.gather(*handshakes)
        self.checker.forget(ticket)

    async def _issue(self, ticket: TicketValue) -> str:
        put = self._service.put(ticket, ticket.encode(), TTL, ())
        return await self._apply("issue", ticket, "", "service", put)

    async def _spend(self, ticket: TicketValue, delay: float) -> None:
        """As a handshake does: the same nonce until there is an answer, and once more as if that had been lost."""
        await self._wait(delay)
        for _ in range(RETRIES):
            if await self._take("spend", ticket, "owner", "service") != "info":
                break
        await self._take("retry", ticket, "owner", "service")

    async def _replay(self, ticket: TicketValue, thief: str, door: str, delay: float) -> None:
        await self._wait(delay)
        await self._take("replay", ticket, thief, door)

    async def _take(self, f: Literal["spend", "retry", "replay"], ticket: TicketValue, nonce: str, door: str) -> str:
        store = self._nodes.get(door, self._service)
        return await self._apply(f, ticket, nonce, door, store.take(ticket, Nonce(nonce), ConnectionId(f"of-{nonce}")))

    async def _apply(
        self, f: Literal["issue", "spend", "retry", "replay"], ticket: str, nonce: str, door: str, call: Awaitable[Any]
    ) -> str:
        invoked = time.monotonic()
        outcome: Literal["ok", "fail", "info"] = "ok"
        reason = ""
        try:
            payload = await call
            assert payload in {None, ticket.encode()}, "this is another ticket's payload"
        except NotAuthenticated as refusal:
            outcome, reason = "fail", refusal.reason
        except Unavailable as refusal:
            outcome, reason = "info", refusal.reason
        self.checker.record(ticket, Op(f, door, nonce, outcome, reason, invoked))
        return outcome

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)
