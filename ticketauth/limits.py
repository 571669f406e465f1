"""How many, how fast."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from .exceptions import Misconfigured

_SECONDS = {"s": 1, "min": 60, "hour": 3600}
_RATE = re.compile(r"([1-9][0-9]{0,8})/(s|min|hour)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` times in any window of `seconds` that begins with the first of them."""

    count: int
    seconds: int

    @classmethod
    def parse(cls, setting: str, text: str) -> Self | None:
        """The rate that a setting names, or None for `0`.

        Raises:
            Misconfigured: The text is neither `0` nor `N/s`, `N/min`, `N/hour`.
        """
        if text == "0":
            return None
        match = _RATE.fullmatch(text)
        if not match:
            raise Misconfigured(
                f"{setting} is {text!r}; expected a rate like '60/min' (s, min, hour), or '0' for none."
            )
        return cls(int(match[1]), _SECONDS[match[2]])


class Allowance:
    """A rate per key, in this process only, in bounded memory.

    Args:
        clock: Monotonic seconds.
        keys: How many keys are remembered at most; when there are more, nobody is allowed until the window ends.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, keys: int = 10_000) -> None:
        self._clock = clock
        self._keys = keys
        self._counts: dict[str, int] = {}
        self._window_ends = 0.0

    def take(self, key: str, rate: Rate | None) -> bool:
        """Whether one more is within the rate; counts it if so."""
        if rate is None:
            return True
        now = self._clock()
        if now >= self._window_ends:
            self._counts.clear()
            self._window_ends = now + rate.seconds
        count = self._counts.get(key, 0)
        if count >= rate.count or (not count and len(self._counts) >= self._keys):
            return False
        self._counts[key] = count + 1
        return True
