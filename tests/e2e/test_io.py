"""What a step costs in round trips, where it waits, and what a clock may do to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.backends.utils import CursorWrapper
from redis import Redis
from redis.connection import AbstractConnection

from tests.conftest import Service
from tests.monitoring import commands


def sent(valkey: Redis, act: Callable[[], Any]) -> list[str]:
    """The names of the commands that an act takes."""
    with commands(valkey) as seen:
        act()
    return [command.split()[0] for command in seen]


class TestRoundTrips:
    def test_one_for_an_issue_with_its_rate_limits(
        self, service: Service, access: str, valkey: Redis, settings
    ) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "RATE_PER_USER": "99/min", "RATE_PER_ADDRESS": "99/min"}
        service.ticket(access)
        assert sent(valkey, lambda: service.ticket(access)) == ["EVALSHA"]

    def test_one_for_a_handshake(self, service: Service, access: str, valkey: Redis) -> None:
        service.connect(f"ticket_uuid={service.ticket(access)}")
        ticket = service.ticket(access)
        assert sent(valkey, lambda: service.connect(f"ticket_uuid={ticket}")) == ["EVALSHA"]

    def test_one_for_a_refusal(self, service: Service, ticket: str, valkey: Redis) -> None:
        service.connect(f"ticket_uuid={ticket}")
        assert sent(valkey, lambda: service.connect(f"ticket_uuid={ticket}")) == ["EVALSHA"]

    def test_none_for_health(self, service: Service, valkey: Redis) -> None:
        assert sent(valkey, lambda: service.http.get("/healthz")) == []


class TestEventLoop:
    @pytest.fixture
    def waited(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Where a synchronous client of Redis or a database waited while an event loop ran in its thread."""
        waited: list[str] = []

        def watching(cls: type, method: str) -> None:
            original = getattr(cls, method)

            def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
                with suppress(RuntimeError):
                    waited.append(f"{cls.__name__}.{method} in {asyncio.get_running_loop()}")
                return original(self, *args, **kwargs)

            monkeypatch.setattr(cls, method, watched)

        watching(AbstractConnection, "send_packed_command")
        watching(CursorWrapper, "execute")
        return waited

    def test_nothing_synchronous_waits_in_it(
        self, service: Service, owner: User, tokens: dict[str, str], waited: list[str], settings
    ) -> None:
        settings.LOGIN_RATE = "100/min"
        service.login(owner)
        ticket = service.ticket(tokens["access"])
        service.connect(f"ticket_uuid={ticket}", "/ws/events/").json()
        service.connect(f"ticket_uuid={ticket}", "/ws/events/")
        service.connect(headers=[("Authorization", f"Bearer {tokens['access']}")])
        service.connect(cookie="sessionid=unknown", origin="https://good.example").close_code()
        service.http.get("/readyz")
        service.post("/api/token/refresh/", {"refresh": tokens["refresh"]})
        service.post("/api/token/logout/", {"refresh": tokens["refresh"]})
        assert waited == []

    async def test_the_watch_sees_what_waits(self, waited: list[str], valkey: Redis) -> None:
        """The twin: a synchronous call in a coroutine."""
        valkey.ping()
        assert waited


class TestClock:
    @pytest.mark.parametrize("jump", [3600, -3600])
    def test_a_ticket_survives_a_jump_of_the_workers_clock(
        self, service: Service, ticket: str, monkeypatch: pytest.MonkeyPatch, jump: int
    ) -> None:
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        assert service.connect(f"ticket_uuid={ticket}").accepted


class TestLongRequests:
    def test_a_long_header_at_the_ticket_endpoint(self, service: Service, access: str) -> None:
        answer = service.post("/api/tickets/", token=access, **{"X-Long": "x" * 100_000})
        assert answer.status_code in {201, 431}

    def test_a_long_query_at_the_ticket_endpoint(self, service: Service, access: str) -> None:
        answer = service.post(f"/api/tickets/?x={'x' * 60_000}", token=access)
        assert answer.status_code in {201, 414}
