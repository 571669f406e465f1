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
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Protocol

from django.db import Error as DatabaseError
from django.utils import timezone

from . import conf, permissions, users, wake
from .batch import LARGEST_BATCH, query
from .exceptions import Forbidden, NotAuthenticated, Refusal, Unavailable
from .loops import PerLoop
from .models import Login, Revocation
from .types import GUEST, OURS, Identity, Issuer, Sid, Subject

SOONEST = 0.1
"""Seconds between two questions at least, however often a hub is woken."""

GLANCE = timedelta(seconds=5)
"""How far back a question reaches between two polls. Who is woken often must not read a minute each time."""

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
        path: Where it is, decoded, without `root_path`.
        expires_at: Unix seconds at which its login or credential ends, as last read; None where nothing says so.
        ends: The same in monotonic seconds, which no change of the clock moves; infinite where nothing says so.
        at_most: Monotonic seconds at which it ends at any rate.
    """

    identity: Identity
    path: str
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
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._live: dict[Identity, set[Live]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._sooner = asyncio.Event()
        self._wakes_at = 0.0
        self._answered = self._swept = self._polled = self._looked = 0.0
        self._woken = False
        self._named: set[tuple[Issuer, Subject]] = set()
        self._unread: set[Identity] = set()
        self._unsure: dict[Live, float] = {}

    def add(self, live: Live) -> None:
        """Watch a socket: before its user is read for the last time, so that no revocation falls in between."""
        self._live.setdefault(live.identity, set()).add(live)
        if self._watching is None:
            self._answered = self._swept = self._polled = self._clock()
            # A context of its own: the thread that a request brings along ends with that request.
            self._watching = asyncio.create_task(self._watch(), context=contextvars.Context())

    def discard(self, live: Live) -> None:
        """It is closed."""
        others = self._live.get(live.identity, set())
        others.discard(live)
        self._unsure.pop(live, None)
        if not others:
            self._live.pop(live.identity, None)

    def time(self, live: Live) -> None:
        """See that its end is not missed."""
        if min(live.ends, live.at_most) < self._wakes_at:
            self._sooner.set()

    def look_now(self, whom: tuple[Issuer, Subject] | None = None) -> None:
        """Ask at once, not at the next poll; in a flood of these, every `SOONEST`.

        Args:
            whom: To read again, though the database does not say that anything of theirs was revoked.
        """
        if whom is not None:
            self._named.add(whom)
        self._woken = True
        self._sooner.set()

    async def aclose(self) -> None:
        """Stop watching."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        pause = 0.0
        listening = asyncio.create_task(wake.listen(self.look_now))
        try:
            while self._live:
                await self._sleep(pause)
                pause = await self._look()
        finally:
            self._watching = None
            listening.cancel()

    async def _sleep(self, at_least: float) -> None:
        """Until the next question, or until somebody's time is up."""
        now, poll = self._clock(), conf.current().REVOCATION_POLL
        ends = min((min(live.ends, live.at_most) for live in self._all()), default=math.inf)
        self._wakes_at = max(min(now if self._unread else self._polled + poll, ends), now + at_least)
        self._sooner.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.0 if self._woken else max(0.0, self._wakes_at - now)):
                await self._sooner.wait()
        if self._woken:
            await asyncio.sleep(self._looked + max(SOONEST, at_least) - self._clock())

    async def _look(self) -> float:
        """Ask, and end what is over. Returns the seconds to wait at least before the next question."""
        now = self._looked = self._clock()
        self._woken = False
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
        polls = now - self._polled >= conf.current().REVOCATION_POLL
        if now - self._swept >= conf.current().REVOCATION_SWEEP:
            self._unread = set(self._live)
            self._swept = now
        elif polls:
            self._unread |= {live.identity for live in self._unsure}
        named, self._named = self._named, set()
        again = {identity for identity in self._live if named and (identity.issuer, identity.subject) in named}
        # All the others in parts: who is over does not wait for them.
        most = LARGEST_BATCH if conf.may_connect() is None else permissions.MOST_AT_A_TIME
        part = set(islice(self._unread, most))
        due = {live.identity for live in self._all() if live.ends <= now}
        try:
            wanted = again | due
            # Who reads everybody need not ask for some.
            everybody = part.issuperset(self._live)
            if not everybody:
                wanted |= await self._revoked_lately(OVERLAP if polls else GLANCE)
            if everybody or polls:
                self._polled = now
            await self._read(wanted, now)
            await self._read(part.intersection(self._live) - wanted, now)
        except Exception:
            self._unread |= again
            raise
        self._unread -= part

    async def _read(self, wanted: set[Identity], now: float) -> None:
        """Read them, and judge."""
        for identities in _chunks([identity for identity in wanted if not identity.is_guest]):
            standings = dict(zip(identities, await users.standings(identities), strict=True))
            for identity, standing in standings.items():
                self._judge(identity, standing, now)
            await self._ask_permission(standings, now)
        if GUEST in wanted:
            await self._ask_permission({GUEST: await users.read(GUEST)}, now)

    async def _ask_permission(self, standings: Mapping[Identity, users.Standing | str], now: float) -> None:
        if conf.may_connect() is None:
            return
        asked = {
            (identity, live.path): (standing.user, live.path)
            for identity, standing in standings.items()
            for live in self._live.get(identity, ())
            if not isinstance(standing, str)
        }
        for (identity, path), answer in zip(asked, await permissions.answers(list(asked.values())), strict=True):
            for live in [live for live in self._live.get(identity, ()) if live.path == path]:
                self._permit(live, answer, now)

    def _permit(self, live: Live, answer: bool | Exception, now: float) -> None:
        """Where nobody can say, not for long, and without harm to all the others."""
        if not isinstance(answer, Exception):
            self._unsure.pop(live, None)
            if not answer:
                self._end(live, Forbidden("not_permitted"))
            return
        if live not in self._unsure:
            _log.error("MAY_CONNECT failed for a live socket", exc_info=answer)
        if now - self._unsure.setdefault(live, now) >= conf.current().BLIND_GRACE:
            self._end(live, Unavailable("permission"))

    async def _revoked_lately(self, reach: timedelta) -> set[Identity]:
        """Those of whom something was revoked. Whether it concerns them, reading them says."""
        sids, subjects = await query(partial(_revoked, reach), conf.current().DATABASE_DEADLINE)
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

    def _all(self) -> Iterator[Live]:
        return iter([live for lives in self._live.values() for live in lives])


def _prolonged(live: Live, expires_at: float | None) -> bool:
    """Whether the login goes on longer than was known, as after a refresh. Differences alone count: clocks jump."""
    if live.expires_at is None or expires_at is None or expires_at <= live.expires_at:
        return False
    live.ends += expires_at - live.expires_at
    live.expires_at = expires_at
    return True


def _revoked(reach: timedelta) -> Revoked:
    since = timezone.now() - reach
    sids = Login.objects.filter(revoked_at__gte=since).values_list("pk", flat=True)
    subjects = Revocation.objects.filter(revoked_at__gte=since).values_list("issuer", "subject")
    return set(map(Sid, sids)), {(Issuer(issuer), Subject(subject)) for issuer, subject in subjects}


def _chunks(identities: Sequence[Identity]) -> Iterable[Sequence[Identity]]:
    return (identities[start : start + LARGEST_BATCH] for start in range(0, len(identities), LARGEST_BATCH))


of_this_loop: PerLoop[Hub] = PerLoop(Hub, Hub.aclose)
