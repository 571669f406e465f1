"""The hub by itself: whatever happens to it, it goes on watching."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest

from ticketauth import users
from ticketauth.exceptions import Refusal
from ticketauth.hub import Hub
from ticketauth.lifetime import Lifetime
from ticketauth.types import OURS, Identity, Sid, Subject


class Socket:
    """A live socket that only notes its end."""

    def __init__(self, sid: str = "a") -> None:
        self.identity = Identity(OURS, Subject("1"), Sid(sid))
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
