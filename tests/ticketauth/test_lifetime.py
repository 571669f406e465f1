"""When a socket ends, by numbers alone."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from ticketauth.lifetime import JITTER, Lifetime
from ticketauth.wire import Ending

DAY = 86400


@pytest.fixture
def now() -> float:
    return time.monotonic()


def test_nothing_ends_where_nothing_says_so(settings: Any, now: float) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKET_MAX_AGE": 0}
    lifetime = Lifetime()
    lifetime.until(None)
    assert lifetime.wakes_at == math.inf
    assert lifetime.over(now + 1000 * DAY) is None


def test_sockets_that_were_opened_together_do_not_end_together(now: float) -> None:
    ages = [Lifetime().at_most - now for _ in range(200)]
    assert min(ages) >= DAY * (1 - JITTER)
    assert max(ages) <= DAY + 10
    assert max(ages) - min(ages) > DAY * JITTER / 2


def test_a_jump_of_the_clock_moves_nothing(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    lifetime = Lifetime()
    lifetime.until(time.time() + 100)
    unix = time.time
    monkeypatch.setattr(time, "time", lambda: unix() + 3600)
    assert lifetime.over(now + 90) is None
    assert lifetime.over(now + 110) is Ending.CREDENTIAL


def test_nothing_is_to_be_done_before_the_notice(now: float) -> None:
    lifetime = Lifetime()
    lifetime.until(time.time() + 100)
    assert lifetime.wakes_at == pytest.approx(now + 40, abs=5)
    assert lifetime.notices(now + 30) == []
    assert not lifetime.is_near(now + 30)


def test_each_end_is_announced_once(now: float) -> None:
    lifetime = Lifetime()
    lifetime.until(time.time() + 100)
    ((why, seconds),) = lifetime.notices(now + 50)
    assert why is Ending.CREDENTIAL
    assert seconds == pytest.approx(50, abs=5)
    assert lifetime.notices(now + 51) == []
    assert lifetime.wakes_at == lifetime.ends
    assert lifetime.prolong(lifetime.expires_at + 100 if lifetime.expires_at else None)
    assert lifetime.notices(now + 51) == []
    assert [why for why, _ in lifetime.notices(now + 150)] == [Ending.CREDENTIAL]


@pytest.mark.parametrize("earlier", [None, 1.0])
def test_no_login_is_shortened_by_reading_it_again(now: float, earlier: float | None) -> None:
    lifetime = Lifetime()
    lifetime.until(time.time() + 100)
    ends = lifetime.ends
    assert not lifetime.prolong(earlier)
    assert lifetime.ends == ends


def test_who_says_something_is_not_idle(settings: Any, now: float) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKET_IDLE": 10}
    lifetime = Lifetime()
    assert [why for why, _ in lifetime.notices(now + 6)] == [Ending.IDLE]
    lifetime.heard = now + 7
    assert lifetime.over(now + 12) is None
    assert lifetime.notices(now + 11) == []
    assert [why for why, _ in lifetime.notices(now + 13)] == [Ending.IDLE]
    assert lifetime.over(now + 17) is Ending.IDLE


def test_an_end_that_has_come_is_not_announced(now: float) -> None:
    lifetime = Lifetime()
    lifetime.until(time.time() + 1)
    assert lifetime.notices(now + 2) == []
    assert lifetime.over(now + 2) is Ending.CREDENTIAL
