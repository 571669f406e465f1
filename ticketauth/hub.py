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
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

from django.db import Error as DatabaseError
from django.utils import timezone

from . import conf, users
from .batch import LARGEST_BATCH, query
from .exceptions import Forbidden, NotAuthenticated, Refusal, Restarting, Unavailable
from .loops import PerLoop
from .models import Login, Revocation
from .types import OURS, Identity, Issuer, Sid, Subject

OVERLAP = timedelta(seconds=60)
"""How far back a question reaches: for the clock of another machine, and a transaction that took its time."""

_ENDED = {"token_expired", "login_expired"}
"""Reasons after which the client comes back with a new ticket. After all others its user has to log in."""

_log = logging.getLogger("ticketauth")

Revoked = tuple[set[Sid], set[tuple[Issuer, Subject]]]


class Live(Protocol):
    """A live socket.

    Attributes:
        identity: Whose it is.
        expires_at: Unix seconds at which its login or credential ends, as last read; None where nothing says so.
        ends: The same in monotonic seconds, which no change of the clock moves; infinite where nothing says so.
        at_most: Monotonic seconds at which it ends at any rate.
    """

    identity: Identity
    expires_at: float | None
    ends: float
    at_most: float

    def end(self, refusal: Refusal) -> None:
        """Close it, and let nothing more through. Returns at once."""
        ...


class Hub:
    """The live sockets of a worker, by whose they are. Runs while there are any.

    Args:
        clock: Monotonic seconds.

    Attributes:
        leaving: Whether the worker is about to end: nobody comes in any more.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.leaving = False
        self._clock = clock
        self._live: dict[Identity, set[Live]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._sooner = asyncio.Event()
        self._wakes_at = 0.0
        self._answered = self._swept = 0.0

    def add(self, live: Live) -> None:
        """Watch a socket: before its user is read for the last time, so that no revocation falls in between.

        Raises:
            Restarting: The worker began to leave after the handshake had begun.
        """
        self.refuse_if_leaving()
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

    def time(self, live: Live) -> None:
        """See that its end is not missed."""
        if min(live.ends, live.at_most) < self._wakes_at:
            self._sooner.set()

    def refuse_if_leaving(self) -> None:
        """See that somebody may still come in.

        Raises:
            Restarting: Nobody may.
        """
        if self.leaving:
            raise _restarting()

    async def leave(self, seconds: float) -> None:
        """Let nobody in from now on, and end all sockets: each in a part of the time of its own, at random in it."""
        self.leaving = True
        began, lives = self._clock(), list(self._all())
        random.shuffle(lives)
        for number, live in enumerate(lives):
            at = began + seconds * (number + random.random()) / len(lives)  # noqa: S311 -- to spread load
            if self._has(live):
                await asyncio.sleep(at - self._clock())
            if self._has(live):
                self._end(live, _restarting())

    async def aclose(self) -> None:
        """Stop watching."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        pause = 0.0
        try:
            while self._live:
                await self._sleep(pause)
                pause = await self._look()
        finally:
            self._watching = None

    async def _sleep(self, at_least: float) -> None:
        """Until the next question, or until somebody's time is up."""
        now, poll = self._clock(), conf.current().REVOCATION_POLL
        ends = min((min(live.ends, live.at_most) for live in self._all()), default=math.inf)
        self._wakes_at = min(now + poll, max(ends, now + at_least))
        self._sooner.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._wakes_at - now)):
                await self._sooner.wait()

    async def _look(self) -> float:
        """Ask, and end what is over. Returns the seconds to wait at least before the next question."""
        now = self._clock()
        self._end_of_age(now)
        try:
            await self._ask(now)
        except (DatabaseError, TimeoutError) as error:
            _log.warning("live sockets cannot be checked: %s", type(error).__name__)
            return self._blind()
        except Exception:  # noqa: BLE001 -- sockets would live on that nobody looks at
            _log.exception("live sockets cannot be checked")
            return self._blind()
        self._answered = self._clock()
        return 0.0

    def _end_of_age(self, now: float) -> None:
        """What needs no question: the greatest age, and tokens without a login, which nobody can prolong."""
        for live in self._all():
            if live.at_most <= now:
                self._end(live, NotAuthenticated("greatest_age"))
            elif live.ends <= now and not live.identity.sid:
                self._end(live, NotAuthenticated("token_expired"))

    async def _ask(self, now: float) -> None:
        due = {live for live in self._all() if live.ends <= now}
        if now - self._swept >= conf.current().REVOCATION_SWEEP:
            wanted = set(self._live)
            self._swept = now
        else:
            wanted = await self._revoked_lately() | {live.identity for live in due}
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
                self._end(live, NotAuthenticated(standing) if standing in _ENDED else Forbidden(standing))
            elif not _prolonged(live, standing.expires_at) and live.ends <= now:
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

    def _has(self, live: Live) -> bool:
        return live in self._live.get(live.identity, ())

    def _all(self) -> Iterator[Live]:
        return iter([live for lives in self._live.values() for live in lives])


def _restarting() -> Restarting:
    """Each with a time of its own to come back after, so that not all come at once."""
    latest = max(1, conf.current().RECONNECT_WITHIN)
    return Restarting("restart", retry_after=random.randint(1, latest))  # noqa: S311 -- to spread load


def _prolonged(live: Live, expires_at: float | None) -> bool:
    """Whether the login goes on longer than was known, as after a refresh. Differences alone count: clocks jump."""
    if live.expires_at is None or expires_at is None or expires_at <= live.expires_at:
        return False
    live.ends += expires_at - live.expires_at
    live.expires_at = expires_at
    return True


def _revoked() -> Revoked:
    since = timezone.now() - OVERLAP
    sids = Login.objects.filter(revoked_at__gte=since).values_list("pk", flat=True)
    subjects = Revocation.objects.filter(revoked_at__gte=since).values_list("issuer", "subject")
    return set(map(Sid, sids)), {(Issuer(issuer), Subject(subject)) for issuer, subject in subjects}


def _chunks(identities: Sequence[Identity]) -> Iterable[Sequence[Identity]]:
    return (identities[start : start + LARGEST_BATCH] for start in range(0, len(identities), LARGEST_BATCH))


of_this_loop: PerLoop[Hub] = PerLoop(Hub, Hub.aclose)
