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
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Protocol

from django.db import Error as DatabaseError
from django.utils import timezone

from . import conf, permissions, users, wake
from .batch import LARGEST_BATCH, query
from .exceptions import Forbidden, NotAuthenticated, Refusal, Restarting, TooMany, Unavailable
from .lifetime import Lifetime
from .loops import PerLoop
from .models import Login, Revocation
from .types import GUEST, OURS, Identity, Issuer, Sid, Subject
from .wire import Ending

SOONEST = 0.1
"""Seconds between two looks at least, however often a hub is woken, and however many sockets end one after another."""

GLANCE = timedelta(seconds=5)
"""How far back a question reaches between two polls. Who is woken often must not read a minute each time."""

OVERLAP = timedelta(seconds=60)
"""How far back a poll reaches beyond the last: for another machine's clock, and a transaction that took its time."""

_ENDED = {"token_expired", "login_expired"}
"""Reasons after which the client comes back with a new ticket. After all others its user has to log in."""

_log = logging.getLogger("ticketauth")

_REASONS = {Ending.CREDENTIAL: "token_expired", Ending.AGE: "greatest_age", Ending.IDLE: "idle"}

Place = tuple[Identity, str]
"""Who is where: what `MAY_CONNECT` is asked about."""

Standings = dict[Identity, users.Standing | str | Exception]

Revoked = tuple[set[Sid], set[tuple[Issuer, Subject]]]


class Live(Protocol):
    """A live socket.

    Attributes:
        identity: Whose it is.
        path: Where it is, decoded, without `root_path`.
        lifetime: When it ends by itself.
    """

    identity: Identity
    path: str
    lifetime: Lifetime

    @property
    def is_busy(self) -> bool:
        """Whether its consumer does not listen just now: nobody knows whether the client is silent."""
        ...

    @property
    def sending(self) -> float:
        """Monotonic seconds since when a message waits for the client to read; infinite where none does."""
        ...

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
        clock: Monotonic seconds. They may stand still while the machine does.
        today: The time of day, which does not.

    Attributes:
        leaving: Whether the worker is about to end: nobody comes in any more.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, today: Callable[[], datetime] = timezone.now
    ) -> None:
        self.leaving = False
        self._clock, self._today = clock, today
        self._known_until = today()
        self._live: dict[Identity, set[Live]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._sooner = asyncio.Event()
        self._wakes_at = 0.0
        self._answered = self._swept = self._polled = self._looked = 0.0
        self._woken = False
        self._named: set[tuple[Issuer, Subject]] = set()
        # In the order in which they have waited.
        self._unread: dict[Identity, None] = {}
        self._unasked: dict[Place, None] = {}
        # Of whom nobody can say whether they may stay, since when; and what of it is in the log already.
        self._unsure: dict[Live, float] = {}
        self._failing: set[str] = set()

    def add(self, live: Live) -> None:
        """Watch a socket: before its user is read for the last time, so that no revocation falls in between.

        Raises:
            Restarting: The worker began to leave after the handshake had begun.
        """
        self.refuse_if_leaving()
        self._keep(live)

    def _keep(self, live: Live) -> None:
        self._live.setdefault(live.identity, set()).add(live)
        if self._watching is None:
            self._answered = self._swept = self._polled = self._clock()
            self._known_until = self._today()
            # A context of its own: the thread that a request brings along ends with that request.
            self._watching = asyncio.create_task(self._watch(), context=contextvars.Context())

    def discard(self, live: Live) -> None:
        """It is closed."""
        others = self._live.get(live.identity, set())
        others.discard(live)
        self._unsure.pop(live, None)
        if not others:
            self._live.pop(live.identity, None)

    def move(self, live: Live, identity: Identity) -> None:
        """Go on watching it under a newer credential. What nobody could say of it, nobody can say now."""
        unsure_since, waits = self._unsure.get(live), (live.identity, live.path) in self._unasked
        self.discard(live)
        live.identity = identity
        if unsure_since is not None:
            self._unsure[live] = unsure_since
        if waits:
            self._unasked[identity, live.path] = None
        self._keep(live)

    def time(self, live: Live) -> None:
        """See that its end is not missed."""
        if live.lifetime.wakes_at < self._wakes_at:
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
        pause = SOONEST
        listening = asyncio.create_task(wake.listen(self.look_now))
        try:
            while self._live:
                await self._sleep(pause)
                pause = await self._look()
        finally:
            self._watching = None
            # At the end of the loop it is cancelled already, and a second time would cut short how it closes.
            if not listening.cancelling():
                listening.cancel()

    async def _sleep(self, at_least: float) -> None:
        """Until the next question, until somebody's time has come, or until it is woken."""
        now, poll = self._clock(), conf.current().REVOCATION_POLL
        waits = self._unread or self._unasked
        due = now if waits else min((live.lifetime.wakes_at for live in self._all()), default=now)
        polls_at = max(self._polled + poll, now + min(at_least, poll))
        self._wakes_at = min(polls_at, max(due, now + at_least))
        self._sooner.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.0 if self._woken else self._wakes_at - now):
                await self._sooner.wait()
        if self._sooner.is_set() or self._woken:
            await asyncio.sleep(self._looked + at_least - self._clock())

    async def _look(self) -> float:
        """Ask, and end what is over. Returns the seconds to wait at least before the next question."""
        now = self._looked = self._clock()
        self._woken = False
        try:
            self._end_by_itself(now)
            await self._ask(now)
        except (DatabaseError, TimeoutError) as error:
            _log.warning("live sockets cannot be checked: %s", type(error).__name__)
            return self._blind()
        except (Exception, asyncio.CancelledError) as error:
            # Sockets would live on that nobody looks at. Nor is a cancellation our end that did not mean us.
            if isinstance(error, asyncio.CancelledError) and _is_stopped():
                raise
            _log.exception("live sockets cannot be checked")
            return self._blind()
        self._answered = self._clock()
        for live in self._all():
            if live.lifetime.wakes_at <= now:
                with _alone("a live socket cannot be told of its end"):
                    live.notice(now)
        if not self._unsure:
            self._failing.clear()
        return SOONEST

    def _end_by_itself(self, now: float) -> None:
        """What needs no question: age, idle time, a token that nobody can prolong, a peer that does not read."""
        patience = conf.current().SEND_DEADLINE
        for live in self._all():
            if now - live.sending >= patience:
                self.discard(live)
                with _alone("a live socket cannot be cut"):
                    live.cut(TooMany("slow_reader"))
            elif live.lifetime.wakes_at <= now:
                if live.is_busy:
                    live.lifetime.heard = now
                why = live.lifetime.over(now)
                if why is not None and (why is not Ending.CREDENTIAL or not _goes_on(live.identity)):
                    self._end(live, NotAuthenticated(_REASONS[why]))

    async def _ask(self, now: float) -> None:
        polls = now - self._polled >= conf.current().REVOCATION_POLL
        if now - self._swept >= conf.current().REVOCATION_SWEEP:
            self._unread |= dict.fromkeys(self._live)
            self._swept = now
        elif polls:
            self._unread |= dict.fromkeys(live.identity for live in self._unsure)
        named, self._named = self._named, set()
        again = {identity for identity in self._live if named and (identity.issuer, identity.subject) in named}
        self._unasked = dict.fromkeys(self._places(again)) | self._unasked
        # All the others in parts: who is over does not wait for them.
        part = set(islice(self._unread, LARGEST_BATCH))
        due = {live.identity for live in self._all() if live.lifetime.wakes_at <= now and live.lifetime.is_near(now)}
        today = self._today()
        try:
            wanted = again | due
            # Who reads everybody need not ask for some.
            everybody = part.issuperset(self._live)
            if not everybody:
                since = min(self._known_until, today) - OVERLAP if polls else today - GLANCE
                wanted |= await self._revoked_since(since)
            if everybody or polls:
                self._polled = now
            standings = await self._read(wanted, now)
            standings |= await self._read(part.intersection(self._live) - wanted, now)
            if everybody or polls:
                self._known_until = today
        except Exception:
            self._unread |= dict.fromkeys(again)
            raise
        for identity in part:
            self._unread.pop(identity, None)
        self._unasked |= dict.fromkeys(self._places(standings))
        await self._ask_permission(standings, now)

    def _places(self, identities: Iterable[Identity]) -> Iterator[Place]:
        """Where they are, if the project says who may be there."""
        if conf.may_connect() is not None:
            for identity in identities:
                yield from ((identity, live.path) for live in self._live.get(identity, ()))

    async def _read(self, wanted: set[Identity], now: float) -> Standings:
        """Read them, and judge."""
        standings: Standings = {GUEST: await users.read(GUEST)} if GUEST in wanted else {}
        for identities in _chunks([identity for identity in wanted if not identity.is_guest]):
            read = await _standings(identities)
            for identity, standing in read.items():
                self._judge(identity, standing, now)
            standings |= read
        return standings

    async def _ask_permission(self, standings: Standings, now: float) -> None:
        """For some at a time, with their users as they are now: however many wait, who is over does not."""
        places = list(islice(self._unasked, permissions.MOST_AT_A_TIME))
        others = {identity for identity, _ in places if identity in self._live and identity not in standings}
        known = standings | await self._read(others, now)
        asked: dict[Place, Any] = {}
        for identity, path in places:
            standing = known.get(identity)
            if isinstance(standing, users.Standing) and any(self._at((identity, path))):
                asked[identity, path] = standing.user
            else:
                self._unasked.pop((identity, path), None)
        if not asked:
            return
        answers = await permissions.answers([(user, path) for (_, path), user in asked.items()])
        # Where none at all is answered, their turn would never come.
        turn_comes = any(not isinstance(answer, Exception) for answer in answers)
        for place, answer in zip(asked, answers, strict=True):
            if turn_comes and isinstance(answer, permissions.NotAsked):
                continue
            self._unasked.pop(place, None)
            for live in list(self._at(place)):
                self._permit(live, answer, now)

    def _at(self, place: Place) -> Iterator[Live]:
        identity, path = place
        return (live for live in self._live.get(identity, ()) if live.path == path)

    def _permit(self, live: Live, answer: bool | Exception, now: float) -> None:
        if isinstance(answer, Exception):
            self._doubt(live, now, "MAY_CONNECT failed for a live socket", answer, "permission")
            return
        self._unsure.pop(live, None)
        if not answer:
            self._end(live, Forbidden("not_permitted"))

    def _doubt(self, live: Live, now: float, what: str, error: Exception, reason: str) -> None:
        """Where nobody can say, not for long, and without harm to all the others; said once, however many they are."""
        if what not in self._failing:
            self._failing.add(what)
            _log.error(what, exc_info=error)
        if now - self._unsure.setdefault(live, now) >= conf.current().BLIND_GRACE:
            self._end(live, Unavailable(reason))

    async def _revoked_since(self, since: datetime) -> set[Identity]:
        """Those of whom something was revoked. Whether it concerns them, reading them says."""
        sids, subjects = await query(partial(_revoked, since), conf.current().DATABASE_DEADLINE)
        return {
            identity
            for identity in self._live
            if (identity.issuer == OURS and identity.sid in sids) or (identity.issuer, identity.subject) in subjects
        }

    def _judge(self, identity: Identity, standing: users.Standing | str | Exception, now: float) -> None:
        for live in list(self._live.get(identity, ())):
            if isinstance(standing, Exception):
                self._doubt(live, now, "a live socket cannot be checked", standing, "internal")
            elif isinstance(standing, str):
                self._end(live, refusal_of(standing))
            elif not live.lifetime.prolong(standing.expires_at) and live.lifetime.ends <= now:
                self._end(live, NotAuthenticated("login_expired"))
            elif conf.may_connect() is None:
                self._unsure.pop(live, None)

    def _blind(self) -> float:
        """Nobody knows who is still allowed: not for long."""
        if self._clock() - self._answered >= conf.current().BLIND_GRACE:
            for live in self._all():
                self._end(live, Unavailable("database"))
        return conf.current().REVOCATION_POLL

    def _end(self, live: Live, refusal: Refusal) -> None:
        """It is over, and forgotten: its consumer may take its time to hear of it, and its peer to answer."""
        self.discard(live)
        with _alone("a live socket cannot be closed"):
            try:
                live.end(refusal)
            except Exception:
                live.cut(refusal)
                raise

    def _has(self, live: Live) -> bool:
        return live in self._live.get(live.identity, ())

    def _all(self) -> Iterator[Live]:
        return iter([live for lives in self._live.values() for live in lives])


def refusal_of(reason: str) -> Refusal:
    """What a socket is closed with whose user or login is read, and does not hold any more."""
    return NotAuthenticated(reason) if reason in _ENDED else Forbidden(reason)


def _is_stopped() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _goes_on(identity: Identity) -> bool:
    """Whether a refresh may prolong it, as the database says: a login of ours, and no `sid` of a provider's."""
    return identity.issuer == OURS and bool(identity.sid)


@contextmanager
def _alone(what: str) -> Iterator[None]:
    """What goes wrong with one socket is no business of the others."""
    try:
        yield
    except Exception:  # noqa: BLE001 -- a consumer's, a log handler's: nobody would watch any more
        _log.exception(what)


def _restarting() -> Restarting:
    """Each with a time of its own to come back after, so that not all come at once."""
    latest = max(1, conf.current().RECONNECT_WITHIN)
    return Restarting("restart", retry_after=random.randint(1, latest))  # noqa: S311 -- to spread load


def _revoked(since: datetime) -> Revoked:
    sids = Login.objects.filter(revoked_at__gte=since).values_list("pk", flat=True)
    subjects = Revocation.objects.filter(revoked_at__gte=since).values_list("issuer", "subject")
    return set(map(Sid, sids)), {(Issuer(issuer), Subject(subject)) for issuer, subject in subjects}


async def _standings(identities: Sequence[Identity]) -> Standings:
    """For each its standing, why it has none, or what goes wrong with it alone: that is found by halves.

    Raises:
        DatabaseError: The database cannot be asked.
        TimeoutError: It does not answer.
    """
    try:
        return dict(zip(identities, await users.standings(identities), strict=True))
    except (DatabaseError, TimeoutError):
        raise
    except Exception as error:  # noqa: BLE001 -- one that cannot be read is to be no harm to the others
        if len(identities) == 1:
            return {identities[0]: error}
    half = len(identities) // 2
    return await _standings(identities[:half]) | await _standings(identities[half:])


def _chunks(identities: Sequence[Identity]) -> Iterable[Sequence[Identity]]:
    return (identities[start : start + LARGEST_BATCH] for start in range(0, len(identities), LARGEST_BATCH))


of_this_loop: PerLoop[Hub] = PerLoop(Hub, Hub.aclose)
