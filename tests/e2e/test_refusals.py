"""R27: refusals are alike."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from redis import Redis

from tests.conftest import Service
from tests.sockets import Handshake

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def _spent(service: Service, access: str, valkey: Redis) -> str:
    ticket = service.ticket(access)
    assert service.connect(f"ticket_uuid={ticket}").accepted
    return ticket


def _expired(service: Service, access: str, valkey: Redis) -> str:
    ticket = service.ticket(access)
    for key in valkey.scan_iter("{ticketauth}:t:*"):
        valkey.pexpire(key, 1)
    deadline = time.monotonic() + 5
    while any(valkey.scan_iter("{ticketauth}:t:*")):
        assert time.monotonic() < deadline
    return ticket


def _fenced(service: Service, access: str, valkey: Redis) -> str:
    """What a promoted primary makes of it: kept under the id of another."""
    ticket = service.ticket(access)
    for key in valkey.scan_iter("{ticketauth}:t:*"):
        kept = valkey.get(key)
        assert isinstance(kept, bytes)
        valkey.set(key, b"0" * 40 + kept[40:], keepttl=True)
    return ticket


def _inactive(service: Service, access: str, valkey: Redis) -> str:
    ticket = service.ticket(access)
    User.objects.update(is_active=False)
    return ticket


def _elsewhere(service: Service, access: str, valkey: Redis) -> str:
    return service.ticket(access, "/ws/events/")


REASONS: dict[str, Callable[[Service, str, Redis], str]] = {
    "unknown": lambda service, access, valkey: UNKNOWN,
    "spent": _spent,
    "expired": _expired,
    "fenced": _fenced,
    "inactive": _inactive,
    "for another path": _elsewhere,
}


def told(answer: Handshake) -> tuple[object, ...]:
    """All that reaches the client, but for what differs between any two answers."""
    own = {"date", "sec-websocket-accept"}
    headers = {name: value for name, value in answer.headers.items() if name not in own}
    return answer.status, headers, answer.body, answer.close_code() if answer.accepted else None


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("origin", [None, "https://good.example"])
def test_r27_no_reason_can_be_told_from_another(
    service: Service, access: str, valkey: Redis, reason: str, origin: str | None
) -> None:
    ticket = REASONS[reason](service, access, valkey)
    unknown = told(service.connect(f"ticket_uuid={UNKNOWN}", origin=origin))
    assert told(service.connect(f"ticket_uuid={ticket}", origin=origin)) == unknown


@pytest.mark.parametrize("reason", REASONS)
def test_the_log_tells_them_apart(
    service: Service, access: str, valkey: Redis, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    ticket = REASONS[reason](service, access, valkey)
    caplog.clear()
    service.connect(f"ticket_uuid={ticket}")
    (decision,) = [record for record in caplog.records if record.name == "ticketauth"]
    logged = {"spent": "replay", "expired": "unknown", "inactive": "user_inactive", "for another path": "path"}
    assert vars(decision)["reason"] == logged.get(reason, reason)
