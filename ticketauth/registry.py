"""Who is connected, on all workers: one registry per worker writes its sockets to Redis, under a lease.

Beside the handshake, never in its way: what opened and what closed is written together some moments later, by one task,
which renews the lease while there are sockets, and is told which of them somebody wants to end. The sockets live on
when Redis does not; what it has lost is written again.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import secrets
import time
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Protocol

from . import conf
from .address import network_of
from .exceptions import Forbidden, Refusal, TooMany, Unavailable
from .loops import PerLoop
from .stores import redis
from .stores.sockets import INDEX_LIFE, Change, SocketStore, Worker
from .types import ConnectionId, Issuer, LiveSocket, Subject

LEASE = 15
"""Seconds that the sockets of a dead worker stay, at least."""

GATHERING = 0.05
"""Seconds in which openings and closings are gathered."""

LARGEST_WRITE = 200
"""Sockets in one call."""

_log = logging.getLogger("ticketauth")

Place = tuple[str, ...]


class Live(Protocol):
    """A live socket.

    Attributes:
        socket: What is told of it.
    """

    socket: LiveSocket

    def end(self, refusal: Refusal) -> None:
        """Close it, and let nothing more through. Returns at once."""
        ...


def sockets() -> SocketStore:
    """What is known of the live sockets of all workers.

    Raises:
        Unavailable: The tickets are not in Redis, so nothing is.
    """
    store = redis.of_tickets()
    if store is None:
        raise Unavailable("no_registry")
    return SocketStore(store.client)


async def end(ids: Collection[str], owner: tuple[Issuer, Subject] | None = None) -> int:
    """Have sockets closed with 4403, by whatever workers hold them: here at once, elsewhere at the next heartbeat.

    Args:
        ids: Their connection ids.
        owner: Whose they have to be; None for anybody's.

    Returns:
        How many of them are open.

    Raises:
        Unavailable: It is not known whether they will be.
    """
    number = await sockets().end(ids, owner)
    (await of_this_loop.get()).look_now()
    return number


class Registry:
    """The sockets of a worker. Its task runs while there are any."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(8)
        self._places: dict[Place, set[Live]] = {}
        self._held: dict[Live, list[Place]] = {}
        self._live: dict[ConnectionId, Live] = {}
        self._new: set[ConnectionId] = set()
        self._changed: dict[ConnectionId, LiveSocket] = {}
        self._due: deque[ConnectionId] = deque()
        self._on_its_way: set[ConnectionId] = set()
        self._written: set[ConnectionId] = set()
        self._anew = True
        self._written_anew = 0.0
        self._fence = ""
        self._failing = False
        self._sooner = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def admit(self, live: Live) -> None:
        """Keep a place for a socket, before it is accepted.

        Raises:
            TooMany: Its user or address has as many on this worker alone as there may be on all.
        """
        places = list(_places(live.socket))
        if any(len(self._places.get(place, ())) >= limit for place, limit in places):
            raise _too_many()
        if places:
            self._held[live] = [place for place, _ in places]
        for place, _ in places:
            self._places.setdefault(place, set()).add(live)

    def opened(self, live: Live) -> None:
        """It was accepted."""
        if redis.of_tickets() is None:
            return
        self._live[live.socket.connection_id] = live
        self._new.add(live.socket.connection_id)
        self._change(live.socket)

    def discard(self, live: Live) -> None:
        """It is over, or was not accepted. Returns at once, and may be called again."""
        for place in self._held.pop(live, ()):
            self._places[place].discard(live)
            if not self._places[place]:
                del self._places[place]
        key = live.socket.connection_id
        if not self._live.pop(key, None):
            return
        if key in self._new and key not in self._on_its_way:
            # Nobody has heard of it.
            self._changed.pop(key, None)
        else:
            self._change(live.socket)
        self._new.discard(key)

    def look_now(self) -> None:
        """Somebody wants something ended: ask now, and not at the next heartbeat."""
        self._sooner.set()

    async def aclose(self) -> None:
        """Stop. What is registered goes with the lease."""
        if self._task is not None:
            self._task.cancel()

    def _change(self, socket: LiveSocket) -> None:
        self._changed[socket.connection_id] = socket
        self._sooner.set()
        if self._task is None:
            # A context of its own: the thread that a request brings along ends with that request.
            self._task = asyncio.create_task(self._keep(), context=contextvars.Context())

    async def _keep(self) -> None:
        try:
            while self._live or self._changed or self._failing:
                await self._sleep()
                await self._try_to_write()
        finally:
            self._task = None

    async def _sleep(self) -> None:
        """Until the next heartbeat, or until what has changed is gathered."""
        poll = conf.current().REVOCATION_POLL
        if self._failing:
            await asyncio.sleep(poll)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(poll):
                await self._sooner.wait()
        if self._changed:
            await asyncio.sleep(GATHERING)
        self._sooner.clear()

    async def _try_to_write(self) -> None:
        """Write what there is to be written. One line in the log when that begins to fail, and one when it works."""
        try:
            store = sockets()
            while await self._write(store):
                pass
        except Unavailable as error:
            self._failed(error.reason)
        except Exception as error:  # noqa: BLE001 -- a fault of ours must not be the end of all registering
            self._failed(type(error).__name__)
        else:
            if self._failing:
                _log.info("live sockets are registered again")
            self._failing = False

    def _failed(self, reason: str) -> None:
        if not self._failing:
            _log.warning("live sockets are not registered: %s", reason)
        # Perhaps it was written all the same.
        self._failing = self._anew = True

    async def _write(self, store: SocketStore) -> bool:
        """One call. Returns whether another is due."""
        if time.monotonic() - self._written_anew > INDEX_LIFE / 3:
            self._anew = True
        if self._anew:
            # What closed is not in it. An outage that keeps it would grow with every socket that comes and goes.
            self._changed = {key: live.socket for key, live in self._live.items()}
            self._written.clear()
            self._due.clear()
        changes = self._changes()
        given = conf.current()
        worker = Worker(
            self._name,
            lease=max(LEASE, 3 * given.REVOCATION_POLL),
            fence=self._fence,
            sockets=-1 if self._anew else len(self._written),
            per_user=given.SOCKETS_PER_USER,
            per_address=given.SOCKETS_PER_ADDRESS,
        )
        self._on_its_way = {change.socket.connection_id for change in changes}
        try:
            written = await store.write(worker, changes)
        finally:
            self._on_its_way = set()
        if written is None:
            self._anew = True
            return True
        if self._anew:
            self._anew, self._written_anew = False, time.monotonic()
        self._fence = written.fence
        for change in changes:
            self._note(change, refused=change.socket.connection_id in written.refused)
        self._end(written.refused, _too_many())
        self._end(written.unwanted, Forbidden("connection_ended"))
        return bool(self._due)

    def _changes(self) -> list[Change]:
        """The next changes: first what closed, which makes room, last what is new, for the others were there before.

        What changes while they are written, in several calls, comes after them.
        """
        if not self._due:
            self._due.extend(sorted(self._changed, key=lambda key: (key in self._live, key in self._new)))
        keys = [self._due.popleft() for _ in range(min(len(self._due), LARGEST_WRITE))]
        known = [key for key in keys if key in self._changed]
        return [Change(self._changed[key], key in self._live, key in self._new) for key in known]

    def _note(self, change: Change, *, refused: bool) -> None:
        key = change.socket.connection_id
        if change.opened and not refused:
            self._written.add(key)
            self._new.discard(key)
        else:
            self._written.discard(key)
        # It may have closed meanwhile.
        if change.opened == (key in self._live):
            self._changed.pop(key, None)

    def _end(self, keys: frozenset[ConnectionId], refusal: Refusal) -> None:
        for key in keys:
            if live := self._live.get(key):
                live.end(refusal)


def _places(socket: LiveSocket) -> Iterator[tuple[Place, int]]:
    """Where a socket takes a place, and how many there are."""
    given = conf.current()
    if socket.subject and given.SOCKETS_PER_USER:
        yield ("user", socket.issuer, socket.subject), given.SOCKETS_PER_USER
    if socket.address and given.SOCKETS_PER_ADDRESS:
        yield ("address", network_of(socket.address)), given.SOCKETS_PER_ADDRESS


def _too_many() -> TooMany:
    return TooMany("sockets", "There are too many open connections. Close some, or try again later.", retry_after=LEASE)


of_this_loop: PerLoop[Registry] = PerLoop(Registry, Registry.aclose)
