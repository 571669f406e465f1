"""The hub by itself: whatever happens to it, it goes on watching."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest

from tests.servers import until
from ticketauth import users
from ticketauth.batch import LARGEST_BATCH
from ticketauth.exceptions import Refusal
from ticketauth.hub import SOONEST, Hub
from ticketauth.lifetime import Lifetime
from ticketauth.types import OURS, Identity, Sid, Subject


class Socket:
    """A live socket that only notes its end."""

    def __init__(self, sid: str = "a") -> None:
        self.identity = Identity(OURS, Subject("1"), Sid(sid))
        self.path = "/"
        self.lifetime = Lifetime()
        self.sending = math.inf
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


async def _watched(hub: Hub, socket: Socket) -> Refusal | None:
    hub.add(socket)
    async with asyncio.timeout(5):
        await socket.ended.wait()
    hub.discard(socket)
    await hub.aclose()
    return socket.refusal


async def test_a_fault_of_ours_ends_no_watch(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """One that never ends closes all sockets after the grace."""

    async def broken(identities: Any) -> Any:
        raise RuntimeError("a fault")

    monkeypatch.setattr(users, "standings", broken)
    refusal = await _watched(Hub(), Socket())
    assert refusal is not None
    assert refusal.close.code == 1013
    assert "live sockets cannot be checked" in caplog.text


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
    while loop.time() < began + 5 * SOONEST:
        hub.look_now()
        for question in questions:
            question.set()
        await asyncio.sleep(0)
    assert 2 <= len(questions) <= 6
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
