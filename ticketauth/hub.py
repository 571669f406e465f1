"""Which live sockets are over: one hub per worker asks the database for all of them at once.

Not the channel layer: a group message is lost when the capacity is full, in a reconnection gap and at a restart, and a
consumer that is busy sends on until it has time for it. The database is the truth. Every `REVOCATION_POLL` seconds one
question finds what was revoked lately; every `REVOCATION_SWEEP` seconds everybody is read again, for bulk updates tell
nobody.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

from django.db import Error as DatabaseError
from django.utils import timezone

from . import conf, users
from .batch import LARGEST_BATCH, query
from .exceptions import Forbidden, NotAuthenticated, Refusal, TooMany, Unavailable
from .lifetime import Lifetime
from .loops import PerLoop
from .models import Login, Revocation
from .types import OURS, Identity, Issuer, Sid, Subject
from .wire import Ending

OVERLAP = timedelta(seconds=60)
"""How far back a question reaches: for the clock of another machine, and a transaction that took its time."""

AT_LEAST = 0.25
"""Seconds between two looks at the sockets, however many of them end one after another."""

_ENDED = {"token_expired", "login_expired"}
"""Reasons after which the client comes back with a new ticket. After all others its user has to log in."""

_log = logging.getLogger("ticketauth")

_REASONS = {Ending.CREDENTIAL: "token_expired", Ending.AGE: "greatest_age", Ending.IDLE: "idle"}

Revoked = tuple[set[Sid], set[tuple[Issuer, Subject]]]


class Live(Protocol):
    """A live socket.

    Attributes:
        identity: Whose it is.
        lifetime: When it ends by itself.
        sending: Monotonic seconds since when a message waits for the client to read; infinite where none does.
    """

    identity: Identity
    lifetime: Lifetime
    sending: float

    def notice(self, now: float) -> None:
        """Say what is about to end it."""
        ...

    def end(self, refusal: Refusal) -> None:
        """Close it, and let nothing more through. Returns at once."""
        ...

    def cut(self, refusal: Refusal) -> None:
        """End it where its peer reads nothing."""
        ...


class Hub:
    """The live sockets of a worker, by whose they are. Runs while there are any.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._live: dict[Identity, set[Live]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._sooner = asyncio.Event()
        self._wakes_at = 0.0
        self._answered = self._swept = 0.0

    def add(self, live: Live) -> None:
        """Watch a socket: before its user is read for the last time, so that no revocation falls in between."""
        self._live.setdefault(live.identity, set()).add(live)
        if self._watching is None:
            self._answered = self._swept = self._clock()
            # A context of its own: the thread that a request brings along ends with that request.
            self._watching = asyncio.create_task(self._watch(), context=contextvars.Context())

    def discard(self, live: Live) -> None:
        """It is closed."""
        others = self._live.get(live.identity, set())
        others.discard(live)
        if not others:
            self._live.pop(live.identity, None)

    def move(self, live: Live, identity: Identity) -> None:
        """Go on watching it under a newer credential."""
        self.discard(live)
        live.identity = identity
        self.add(live)

    def time(self, live: Live) -> None:
        """See that its end is not missed."""
        if live.lifetime.wakes_at < self._wakes_at:
            self._sooner.set()

    async def aclose(self) -> None:
        """Stop watching."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        pause = AT_LEAST
        try:
            while self._live:
                await self._sleep(pause)
                pause = await self._look()
        finally:
            self._watching = None

    async def _sleep(self, at_least: float) -> None:
        """Until the next question, or until somebody's time has come."""
        now, poll = self._clock(), conf.current().REVOCATION_POLL
        due = min((live.lifetime.wakes_at for live in self._all()), default=now)
        self._wakes_at = min(now + poll, max(due, now + at_least))
        self._sooner.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._wakes_at - now):
                await self._sooner.wait()

    async def _look(self) -> float:
        """Ask, and end what is over. Returns the seconds to wait at least before the next question."""
        now = self._clock()
        self._end_by_itself(now)
        try:
            await self._ask(now)
        except (DatabaseError, TimeoutError) as error:
            _log.warning("live sockets cannot be checked: %s", type(error).__name__)
            return self._blind()
        except Exception:  # noqa: BLE001 -- sockets would live on that nobody looks at
            _log.exception("live sockets cannot be checked")
            return self._blind()
        self._answered = self._clock()
        for live in self._all():
            if live.lifetime.wakes_at <= now:
                live.notice(now)
        return AT_LEAST

    def _end_by_itself(self, now: float) -> None:
        """What needs no question: age, idle time, a token that nobody can prolong, a peer that does not read."""
        patience = conf.current().SEND_DEADLINE
        for live in self._all():
            if now - live.sending >= patience:
                self.discard(live)
                live.cut(TooMany("slow_reader"))
            elif live.lifetime.wakes_at <= now:
                why = live.lifetime.over(now)
                if why is not None and (why is not Ending.CREDENTIAL or not live.identity.sid):
                    self._end(live, NotAuthenticated(_REASONS[why]))

    async def _ask(self, now: float) -> None:
        near = {live.identity for live in self._all() if live.lifetime.wakes_at <= now and live.lifetime.is_near(now)}
        if now - self._swept >= conf.current().REVOCATION_SWEEP:
            wanted = set(self._live)
            self._swept = now
        else:
            wanted = await self._revoked_lately() | near
        for identities in _chunks([identity for identity in wanted if not identity.is_guest]):
            for identity, standing in zip(identities, await users.standings(identities), strict=True):
                self._judge(identity, standing, now)

    async def _revoked_lately(self) -> set[Identity]:
        """Those of whom something was revoked. Whether it concerns them, reading them says."""
        sids, subjects = await query(_revoked, conf.current().DATABASE_DEADLINE)
        return {
            identity
            for identity in self._live
            if (identity.issuer == OURS and identity.sid in sids) or (identity.issuer, identity.subject) in subjects
        }

    def _judge(self, identity: Identity, standing: users.Standing | str, now: float) -> None:
        for live in list(self._live.get(identity, ())):
            if isinstance(standing, str):
                self._end(live, refusal_of(standing))
            elif not live.lifetime.prolong(standing.expires_at) and live.lifetime.ends <= now:
                self._end(live, NotAuthenticated("login_expired"))

    def _blind(self) -> float:
        """Nobody knows who is still allowed: not for long."""
        if self._clock() - self._answered >= conf.current().BLIND_GRACE:
            for live in self._all():
                self._end(live, Unavailable("database"))
        return conf.current().REVOCATION_POLL

    def _end(self, live: Live, refusal: Refusal) -> None:
        """It is over, and forgotten: its consumer may take its time to hear of it, and its peer to answer."""
        self.discard(live)
        live.end(refusal)

    def _all(self) -> Iterator[Live]:
        return iter([live for lives in self._live.values() for live in lives])


def refusal_of(reason: str) -> Refusal:
    """What a socket is closed with whose user or login is read, and does not hold any more."""
    return NotAuthenticated(reason) if reason in _ENDED else Forbidden(reason)


def _revoked() -> Revoked:
    since = timezone.now() - OVERLAP
    sids = Login.objects.filter(revoked_at__gte=since).values_list("pk", flat=True)
    subjects = Revocation.objects.filter(revoked_at__gte=since).values_list("issuer", "subject")
    return set(map(Sid, sids)), {(Issuer(issuer), Subject(subject)) for issuer, subject in subjects}


def _chunks(identities: Sequence[Identity]) -> Iterable[Sequence[Identity]]:
    return (identities[start : start + LARGEST_BATCH] for start in range(0, len(identities), LARGEST_BATCH))


of_this_loop: PerLoop[Hub] = PerLoop(Hub, Hub.aclose)
