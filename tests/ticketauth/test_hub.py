"""The hub by itself: whatever happens to it, it goes on watching."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.utils import timezone

from tests.servers import until
from ticketauth import logins, permissions, users
from ticketauth.batch import LARGEST_BATCH
from ticketauth.exceptions import Refusal
from ticketauth.hub import SOONEST, Hub
from ticketauth.lifetime import Lifetime
from ticketauth.models import Login
from ticketauth.types import OURS, Identity, Issuer, Sid, Subject


class Socket:
    """A live socket that only notes its end."""

    def __init__(self, sid: str = "a") -> None:
        self.identity = Identity(OURS, Subject("1"), Sid(sid))
        self.path = "/"
        self.lifetime = Lifetime()
        self.sending = math.inf
        self.is_busy = False
        self.ended = asyncio.Event()
        self.refusal: Refusal | None = None
        self.was_cut = False

    def notice(self, now: float) -> None:
        self.lifetime.notices(now)

    def end(self, refusal: Refusal) -> None:
        self.refusal = refusal
        self.ended.set()

    def cut(self, refusal: Refusal) -> None:
        self.was_cut = True
        self.end(refusal)


def _of_age() -> Socket:
    socket = Socket()
    socket.lifetime.at_most = 0.0
    socket.lifetime.settle()
    return socket


@pytest.fixture(autouse=True)
def _often(settings: Any) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": 0.02, "REVOCATION_SWEEP": 0.02, "BLIND_GRACE": 0.2}


@pytest.fixture
def over(monkeypatch: pytest.MonkeyPatch) -> set[Sid]:
    """The logins that are revoked, as the database says at once when it is asked."""
    over: set[Sid] = set()

    async def asked(read: Any, seconds: float) -> Any:
        return set(over), set()

    async def standings(identities: Any) -> list[users.Standing | str]:
        return ["login_revoked" if identity.sid in over else users.Standing(None, None) for identity in identities]

    monkeypatch.setattr("ticketauth.hub.query", asked)
    monkeypatch.setattr(users, "standings", standings)
    return over


async def _watched(hub: Hub, socket: Socket) -> Refusal | None:
    hub.add(socket)
    async with asyncio.timeout(5):
        await socket.ended.wait()
    hub.discard(socket)
    await hub.aclose()
    return socket.refusal


async def test_a_fault_of_ours_ends_no_watch(
    monkeypatch: pytest.MonkeyPatch, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One that never ends closes all sockets after the grace."""
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_SWEEP": 600.0}

    async def broken(read: Any, seconds: float) -> Any:
        raise RuntimeError("a fault")

    monkeypatch.setattr("ticketauth.hub.query", broken)
    refusal = await _watched(Hub(), Socket())
    assert refusal is not None
    assert (refusal.close.code, refusal.reason) == (1013, "database")
    assert "live sockets cannot be checked" in caplog.text


async def test_a_cancellation_that_nobody_meant_for_it_ends_no_watch(
    monkeypatch: pytest.MonkeyPatch, over: set[Sid]
) -> None:
    asked = 0

    async def standings(identities: Any) -> list[users.Standing | str]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise asyncio.CancelledError
        return ["login_revoked"] * len(identities)

    monkeypatch.setattr(users, "standings", standings)
    refusal = await _watched(Hub(), Socket())
    assert refusal is not None
    assert (asked, refusal.reason) == (2, "login_revoked")


async def test_one_that_cannot_be_read_harms_nobody_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def standings(identities: Any) -> list[users.Standing | str]:
        if any(identity.sid == "unreadable" for identity in identities):
            raise ValueError("a fault")
        return [users.Standing(None, None)] * len(identities)

    monkeypatch.setattr(users, "standings", standings)
    hub, others = Hub(), [Socket(str(number)) for number in range(5)]
    for other in others:
        hub.add(other)
    refusal = await _watched(hub, Socket("unreadable"))
    assert refusal is not None
    assert (refusal.close.code, refusal.reason) == (1013, "internal")
    assert not any(other.ended.is_set() for other in others)
    assert [record.message for record in caplog.records] == ["a live socket cannot be checked"]


async def test_who_is_busy_is_not_idle(over: set[Sid], settings: Any) -> None:
    """What the client sends meanwhile waits for the consumer."""
    settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKET_IDLE": 1}
    hub, busy, silent = Hub(), Socket("busy"), Socket("silent")
    busy.is_busy = True
    hub.add(busy)
    hub.add(silent)
    for socket in (busy, silent):
        socket.lifetime.heard -= 1
        socket.lifetime.settle()
    async with asyncio.timeout(5):
        await silent.ended.wait()
    assert silent.refusal
    assert (silent.refusal.reason, busy.ended.is_set()) == ("idle", False)
    busy.is_busy = False
    busy.lifetime.heard -= 1
    busy.lifetime.settle()
    async with asyncio.timeout(5):
        await busy.ended.wait()
    await hub.aclose()


async def test_what_can_be_read_again_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, socket, faults = Hub(), Socket(), [ValueError("a fault")]

    async def standings(identities: Any) -> list[users.Standing | str]:
        if faults:
            raise faults.pop()
        return [users.Standing(None, None)] * len(identities)

    monkeypatch.setattr(users, "standings", standings)
    hub.add(socket)
    await asyncio.to_thread(until, lambda: not faults)
    await asyncio.to_thread(until, lambda: not hub._unsure)
    await hub.aclose()
    assert not socket.ended.is_set()


class Stubborn(Socket):
    """One whose end fails, and what it is told: a log handler that raises."""

    def notice(self, now: float) -> None:
        raise RuntimeError("a fault")

    def end(self, refusal: Refusal) -> None:
        if not self.was_cut:
            raise RuntimeError("a fault")
        super().end(refusal)


@pytest.mark.parametrize("what", ["at_most", "ends", "sending"])
async def test_one_that_fails_to_end_ends_no_watch(over: set[Sid], what: str) -> None:
    """It is cut then; and the others are watched."""
    hub, stubborn, other = Hub(), Stubborn("stubborn"), Socket("other")
    if what == "sending":
        stubborn.sending = 0.0
    else:
        setattr(stubborn.lifetime, what, 0.0)
        stubborn.lifetime.settle()
    hub.add(stubborn)
    hub.add(other)
    async with asyncio.timeout(5):
        await stubborn.ended.wait()
        over.add(other.identity.sid)
        await other.ended.wait()
    assert stubborn.was_cut


async def test_one_that_cannot_be_told_ends_no_watch(over: set[Sid], caplog: pytest.LogCaptureFixture) -> None:
    hub, stubborn, other = Hub(), Stubborn("stubborn"), Socket("other")
    stubborn.lifetime.until(time.time() + 30)
    hub.add(stubborn)
    hub.add(other)
    await asyncio.to_thread(until, lambda: "cannot be told" in caplog.text)
    over.add(other.identity.sid)
    async with asyncio.timeout(5):
        await other.ended.wait()
    await hub.aclose()


async def test_the_blind_end_all_though_one_fails_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(identities: Any) -> Any:
        raise DatabaseError

    monkeypatch.setattr(users, "standings", gone)
    hub, others = Hub(), [Socket("before"), Stubborn("stubborn"), Socket("after")]
    for other in others:
        hub.add(other)
    async with asyncio.timeout(5):
        await asyncio.gather(*(other.ended.wait() for other in others))


@pytest.mark.parametrize(("issuer", "sid"), [(OURS, ""), (Issuer("https://idp.example"), "s")])
async def test_what_no_refresh_prolongs_ends_without_the_database(
    monkeypatch: pytest.MonkeyPatch, settings: Any, issuer: Issuer, sid: str
) -> None:
    """A provider's `sid` is no login of ours."""
    settings.TICKETAUTH = {**settings.TICKETAUTH, "BLIND_GRACE": 600.0}

    async def gone(identities: Any) -> Any:
        raise DatabaseError

    monkeypatch.setattr(users, "standings", gone)
    socket = Socket()
    socket.identity = Identity(issuer, Subject("1"), Sid(sid))
    socket.lifetime.until(time.time() - 1)
    refusal = await _watched(Hub(), socket)
    assert refusal is not None
    assert (refusal.close.code, refusal.reason) == (4401, "token_expired")


@pytest.mark.django_db(transaction=True)
async def test_a_machine_that_slept_knows_what_was_revoked_meanwhile(owner: User, settings: Any) -> None:
    """The monotonic clock stood still: a poll reaches back to the last, however long ago that was."""
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_SWEEP": 600.0}
    slept = timedelta(0)
    login = await database_sync_to_async(logins.start)(owner)
    hub, socket = Hub(today=lambda: timezone.now() + slept), Socket(login["sid"])
    socket.identity = Identity(OURS, users.subject_of(owner), Sid(login["sid"]))
    hub.add(socket)
    known = hub._known_until
    await asyncio.to_thread(until, lambda: hub._known_until > known)
    slept = timedelta(hours=1)
    revoked_at = timezone.now() + timedelta(minutes=1)
    await database_sync_to_async(Login.objects.filter(pk=login["sid"]).update)(revoked_at=revoked_at)
    async with asyncio.timeout(5):
        await socket.ended.wait()
    assert socket.refusal is not None
    assert socket.refusal.reason == "login_revoked"


async def test_the_greatest_age_needs_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "standings", None)
    refusal = await _watched(Hub(), _of_age())
    assert refusal is not None
    assert (refusal.close.code, refusal.reason) == (4401, "greatest_age")


async def test_a_jump_of_the_clock_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The login goes on an hour longer than was known: what counts is the difference."""
    hub, socket, asked = Hub(), Socket(), asyncio.Event()
    ends = time.time() + 0.05
    socket.lifetime.until(ends)

    async def prolonged(identities: Any) -> list[users.Standing | str]:
        asked.set()
        return [users.Standing(None, ends + 3600)]

    monkeypatch.setattr(users, "standings", prolonged)
    hub.add(socket)
    async with asyncio.timeout(5):
        await asked.wait()
    await asyncio.sleep(0)
    await hub.aclose()
    assert not socket.ended.is_set()


async def test_what_is_over_is_not_looked_at_any_more() -> None:
    """Its consumer may be busy for long, and its peer not answer: nobody asks the database for it meanwhile."""
    hub, socket = Hub(), _of_age()
    hub.add(socket)
    watching = hub._watching
    assert watching is not None
    async with asyncio.timeout(5):
        await watching
    assert socket.ended.is_set()


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[asyncio.Event]:
    """Those that are asked of the database which logins are over: never by themselves, each answered when it is set."""
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": 600.0, "REVOCATION_SWEEP": 600.0}
    questions: list[asyncio.Event] = []

    async def asked(read: Any, seconds: float) -> Any:
        questions.append(asyncio.Event())
        await questions[-1].wait()
        return set(), set()

    monkeypatch.setattr("ticketauth.hub.query", asked)
    return questions


async def _asked(questions: list[asyncio.Event], number: int) -> None:
    await asyncio.to_thread(until, lambda: len(questions) == number)


async def test_who_is_woken_asks_at_once(questions: list[asyncio.Event]) -> None:
    hub = Hub()
    hub.add(Socket())
    hub.look_now()
    await _asked(questions, 1)
    await hub.aclose()


async def test_who_is_woken_while_asking_asks_once_more(questions: list[asyncio.Event]) -> None:
    """The answer that is under way may be from before."""
    hub = Hub()
    hub.add(Socket())
    hub.look_now()
    await _asked(questions, 1)
    for _ in range(3):
        hub.look_now()
    questions[0].set()
    await _asked(questions, 2)
    questions[1].set()
    await asyncio.sleep(3 * SOONEST)  # Nothing is to happen: there is no event to wait for.
    assert len(questions) == 2
    await hub.aclose()


async def test_a_flood_of_wakes_is_no_load_on_the_database(questions: list[asyncio.Event]) -> None:
    hub, loop = Hub(), asyncio.get_running_loop()
    hub.add(Socket())
    began = loop.time()
    while loop.time() < began + 5 * SOONEST or len(questions) < 2:
        hub.look_now()
        for question in questions:
            question.set()
        await asyncio.sleep(0)
    assert len(questions) <= 1 + (loop.time() - began) / SOONEST
    await hub.aclose()


async def test_a_flood_of_ends_that_are_near_is_no_load_on_the_database(questions: list[asyncio.Event]) -> None:
    """Such as handshakes with a credential that ends soon."""
    hub, loop = Hub(), asyncio.get_running_loop()
    hub.add(Socket())
    began = loop.time()
    while loop.time() < began + 5 * SOONEST:
        socket = Socket("b")
        socket.lifetime.until(time.time() + 30)
        hub.add(socket)
        hub.time(socket)
        for question in questions:
            question.set()
        await asyncio.sleep(0)
        hub.discard(socket)
    assert len(questions) <= 6
    await hub.aclose()


async def test_who_is_over_does_not_wait_until_everybody_is_read(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """Between the parts of a sweep, the hub asks who is over."""
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": 600.0, "REVOCATION_SWEEP": 0.05}
    order: list[str] = []

    async def asked(read: Any, seconds: float) -> Any:
        order.append("who is over?")
        return set(), set()

    async def standings(identities: Any) -> list[users.Standing | str]:
        order.append("a part")
        return [users.Standing(None, None)] * len(identities)

    monkeypatch.setattr("ticketauth.hub.query", asked)
    monkeypatch.setattr(users, "standings", standings)
    hub = Hub()
    for number in range(3 * LARGEST_BATCH):
        hub.add(Socket(str(number)))
    await asyncio.sleep(0.05)
    hub.look_now()
    await asyncio.to_thread(until, lambda: order.count("a part") >= 3)
    await hub.aclose()
    assert order[:6] == ["who is over?", "a part"] * 3


def takes_its_time(user: Any, path: str) -> bool:
    time.sleep(0.01)
    return True


async def test_however_many_places_a_user_is_at_who_is_over_does_not_wait(over: set[Sid], settings: Any) -> None:
    """Each asks `MAY_CONNECT`: all of them at once would take 30 seconds."""
    poll = 0.5
    slow = {"REVOCATION_POLL": poll, "REVOCATION_SWEEP": 600.0, "MAY_CONNECT": f"{__name__}.takes_its_time"}
    settings.TICKETAUTH = {**settings.TICKETAUTH, **slow}
    hub, victim = Hub(), Socket("victim")
    hub.add(victim)
    for number in range(3000):
        other = Socket("other")
        other.identity, other.path = Identity(OURS, Subject("2"), Sid("other")), f"/{number}/"
        hub.add(other)
    hub.look_now((OURS, Subject("2")))
    await asyncio.to_thread(until, lambda: 0 < len(hub._unasked) < 3000)
    over.add(victim.identity.sid)
    async with asyncio.timeout(poll + 1):
        await victim.ended.wait()
    await hub.aclose()


places: list[str] = []


def notes_the_place(user: Any, path: str) -> bool:
    time.sleep(0.01)
    places.append(path)
    return True


async def test_for_whom_there_was_no_time_is_asked_at_the_next_look(over: set[Sid], settings: Any) -> None:
    """Each once, and nobody is unsure of them: it is slow for all together, and not for one."""
    rarely = {"REVOCATION_POLL": 600.0, "REVOCATION_SWEEP": 600.0, "BLIND_GRACE": 600.0}
    slow = {"MAY_CONNECT": f"{__name__}.notes_the_place", "DATABASE_DEADLINE": 0.4}
    settings.TICKETAUTH = {**settings.TICKETAUTH, **rarely, **slow}
    places.clear()
    hub, expected = Hub(), [f"/{number}/" for number in range(2 * permissions.MOST_AT_A_TIME)]
    for path in expected:
        socket = Socket()
        socket.path = path
        hub.add(socket)
    hub.look_now((OURS, Subject("1")))
    await asyncio.to_thread(until, lambda: len(places) >= len(expected))
    await asyncio.to_thread(until, lambda: not hub._unasked)
    await hub.aclose()
    assert sorted(places) == sorted(expected)
    assert not hub._unsure


def knows_nothing(user: Any, path: str) -> bool:
    raise LookupError("no idea")


async def test_renewing_gains_no_time_where_nobody_can_say(
    over: set[Sid], settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """And however many sockets there are, an outage is said once."""
    settings.TICKETAUTH = {**settings.TICKETAUTH, "MAY_CONNECT": f"{__name__}.knows_nothing"}
    hub, sockets = Hub(), [Socket("a"), Socket("b")]
    for socket in sockets:
        hub.add(socket)
    await asyncio.to_thread(until, lambda: len(hub._unsure) == 2)
    async with asyncio.timeout(5):
        while hub._unsure:
            for socket in sockets:
                if not socket.ended.is_set():
                    hub.move(socket, replace(socket.identity, issued_at=time.time()))
            await asyncio.sleep(0.01)
    assert [socket.refusal and socket.refusal.reason for socket in sockets] == ["permission"] * 2
    assert caplog.messages == ["MAY_CONNECT failed for a live socket"]
