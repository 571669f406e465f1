"""When a socket ends by itself, and what is said ahead of it. Monotonic seconds: no jump of the clock moves them."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator

from . import conf
from .wire import Ending

JITTER = 0.1
"""Part of `SOCKET_MAX_AGE` by which sockets end earlier, so that those opened together do not end together."""


class Lifetime:
    """Of one socket.

    Attributes:
        expires_at: Unix seconds at which its login or credential ends, as last read; None where nothing says so.
        ends: The same in monotonic seconds; infinite where nothing says so.
        at_most: Monotonic seconds at which it ends at any rate.
        heard: Monotonic seconds of the client's last message.
        wakes_at: Monotonic seconds before which nothing is to be done about it.
    """

    __slots__ = ("_noticed", "at_most", "ends", "expires_at", "heard", "wakes_at")

    def __init__(self) -> None:
        now, max_age = time.monotonic(), conf.current().SOCKET_MAX_AGE
        age = max_age * (1 - JITTER * random.random())  # noqa: S311 -- to spread load
        self.expires_at: float | None = None
        self.ends = math.inf
        self.at_most = now + age if max_age else math.inf
        self.heard = now
        self._noticed: dict[Ending, float] = {}
        self.settle()

    def until(self, expires_at: float | None) -> None:
        """Its login or credential ends then, in Unix seconds."""
        self.expires_at = expires_at
        self.ends = math.inf if expires_at is None else time.monotonic() + expires_at - time.time()
        self.settle()

    def prolong(self, expires_at: float | None) -> bool:
        """Whether its login goes on for longer than was known, as after a refresh. Only the difference counts."""
        if self.expires_at is None or expires_at is None or expires_at <= self.expires_at:
            return False
        self.ends += expires_at - self.expires_at
        self.expires_at = expires_at
        self.settle()
        return True

    def over(self, now: float) -> Ending | None:
        """Why it is over, if it is."""
        return next((why for why, ends in self._endings() if ends <= now), None)

    def is_near(self, now: float) -> bool:
        """Whether its login or credential ends soon, and nobody has said so yet."""
        return self._said_at(Ending.CREDENTIAL, self.ends) <= now

    def notices(self, now: float) -> list[tuple[Ending, float]]:
        """What is to be said now, once: why it ends, and in how many seconds."""
        due = [(why, ends) for why, ends in self._endings() if now < ends and self._said_at(why, ends) <= now]
        self._noticed.update(due)
        self.settle()
        return [(why, ends - now) for why, ends in due]

    def settle(self) -> None:
        """Find anew when something is to be done. What the client sends only moves it on."""
        self.wakes_at = min(self._said_at(why, ends) for why, ends in self._endings())

    def _endings(self) -> Iterator[tuple[Ending, float]]:
        yield Ending.CREDENTIAL, self.ends
        yield Ending.AGE, self.at_most
        if idle := conf.current().SOCKET_IDLE:
            yield Ending.IDLE, self.heard + idle

    def _said_at(self, why: Ending, ends: float) -> float:
        """When an end is to be announced; when it has been, the end itself."""
        if self._noticed.get(why) == ends:
            return ends
        # A socket that is idle for a minute at most is not to be warned all the time.
        ahead = conf.current().EXPIRY_NOTICE
        return ends - (min(ahead, conf.current().SOCKET_IDLE / 2) if why is Ending.IDLE else ahead)
