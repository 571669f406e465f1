"""What is measured: each target, how it is started, and how it is talked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scenario = Literal["issue", "handshake", "refusal", "cycle"]
SCENARIOS: dict[Scenario, str] = {
    "issue": "Issue: a token becomes a ticket",
    "handshake": "Handshake: a credential becomes a socket",
    "refusal": "Refusal: a credential is no good",
    "cycle": "Full cycle: issue and handshake",
}


@dataclass(frozen=True)
class Target:
    """A way to authenticate a socket.

    Attributes:
        name: In tables, and for `--only`.
        title: What it is.
        application: An ASGI application; none for the service, which starts itself.
        carries: What the handshake carries.
        path: Of the socket.
        parameter: The query parameter that carries it.
        method: Of the request for a ticket.
        issue: Where tickets are issued, if they are.
        field: Of the answer, that holds the ticket.
        refusal: The HTTP status by which it refuses, beside 401 and 403.
        greets: Whether the server speaks first; its user's name is in what it says.
        only: The scenarios to run, where not all that apply.
    """

    name: str
    title: str
    application: str = ""
    carries: Literal["ticket", "token", "cookie", "nothing"] = "ticket"
    path: str = "/"
    parameter: str = "ticket_uuid"
    method: str = "POST"
    issue: str = ""
    field: str = "ticket_uuid"
    refusal: int = 401
    greets: bool = False
    only: tuple[Scenario, ...] = ()

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """Those that apply."""
        if self.only:
            return self.only
        if self.issue:
            return ("issue", "handshake", "refusal", "cycle")
        return ("handshake",) if self.carries == "nothing" else ("handshake", "refusal")


OURS = "ticketauth"
_PEERS = "tests.bench.peers"
TARGETS = {
    target.name: target
    for target in (
        Target(OURS, "the service", path="/ws/echo/", issue="/api/tickets/"),
        Target(
            "events",
            "the service, its group joined and its first frame sent",
            path="/ws/events/",
            issue="/api/tickets/",
            greets=True,
            only=("handshake",),
        ),
        Target(
            "T1",
            "django-channels-jwt",
            f"{_PEERS}.channels_jwt:application",
            parameter="uuid",
            method="GET",
            issue="/ticket/",
            field="uuid",
            refusal=500,
        ),
        Target("T3", "JWT in the query", f"{_PEERS}.channels_apps:jwt_query", carries="token", parameter="token"),
        Target("T4", "session cookie", f"{_PEERS}.channels_apps:session", carries="cookie"),
        Target("T5", "Channels, no authentication", f"{_PEERS}.channels_apps:bare", carries="nothing"),
        Target("T6", "raw ASGI, GETDEL, no user", f"{_PEERS}.raw:application", issue="/"),
    )
}
IDLE = (OURS, "T5", "T6")


@dataclass(frozen=True)
class Goal:
    """What we want to reach: so many times the rate of another."""

    scenario: Scenario
    base: str
    least: float


GOALS = (Goal("refusal", "T6", 0.9), Goal("handshake", "T5", 0.6), Goal("issue", "T1", 1.1), Goal("cycle", "T1", 1.7))
GOAL_KIB = 2.0
"""Above T5, per idle socket."""
