"""What was done and what came of it; and the checker, which judges it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Op:
    """An operation that has been completed.

    Attributes:
        f: What it does.
        door: Where it was sent.
        nonce: Names the handshake.
        type: `ok`; `fail`, it was refused; or `info`: nobody knows whether it was done.
        reason: Why it was refused, or what is known.
        invoked, completed: Seconds, monotonic.
    """

    f: Literal["issue", "spend", "retry", "replay"]
    door: str
    nonce: str
    type: Literal["ok", "fail", "info"]
    reason: str
    invoked: float
    completed: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        took = (self.completed - self.invoked) * 1000
        return f"{self.f:6} {self.nonce:9} at {self.door:16} {self.type:4} {self.reason} ({took:.0f} ms)"


@dataclass(slots=True)
class Checker:
    """Counts the accepts of each ticket: more than one handshake, and it was spent twice.

    A handshake is a nonce. That the same nonce is accepted again is no fault but a promise (R15): its reply may have
    been lost. So an accepted nonce that is told `replay` breaks one as well.

    Attributes:
        counts: So far, of each `f`, and of what is in the report.
        broken: The history of every ticket with which a promise was broken.
    """

    counts: Counter[str] = field(default_factory=Counter)
    broken: dict[str, list[Op]] = field(default_factory=dict)
    _histories: dict[str, list[Op]] = field(default_factory=dict)
    _accepted: dict[str, set[str]] = field(default_factory=dict)

    def record(self, ticket: str, op: Op) -> None:
        """Add to the history of a ticket."""
        history = self._histories.setdefault(ticket, [])
        history.append(op)
        self.counts[op.f] += 1
        self.counts["refused by fence"] += op.reason == "fenced"
        self.counts["unavailable"] += op.type == "info"
        if op.type == "ok":
            if op.f == "issue":
                self.counts["tickets"] += 1
            else:
                self._accept(ticket, op.nonce)
        elif op.reason == "replay" and op.nonce in self._accepted.get(ticket, ()):
            self._break("contradicted", ticket)

    def forget(self, ticket: str) -> None:
        """The ticket has expired, or will never be asked for again."""
        self._histories.pop(ticket, None)
        self._accepted.pop(ticket, None)

    def _accept(self, ticket: str, nonce: str) -> None:
        accepted = self._accepted.setdefault(ticket, set())
        if nonce not in accepted:
            accepted.add(nonce)
            self.counts["accepts"] += len(accepted) == 1
            if len(accepted) == 2:
                self._break("spent twice", ticket)

    def _break(self, promise: str, ticket: str) -> None:
        self.counts[promise] += 1
        self.broken[ticket] = self._histories[ticket]
