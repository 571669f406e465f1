"""Health, errors, the index page."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection
from redis import Redis

from tests.conftest import Service
from ws.listener import JOIN_SECONDS


@pytest.fixture
def redis_gone(settings, valkey: Redis, tmp_path: Path) -> None:
    """The ticket store, the cache and the channel layer are at an address where nobody listens."""
    nowhere = f"unix://{tmp_path / 'nobody.sock'}?db=0"
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REDIS_URL": nowhere}
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": nowhere}}
    host = {**settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"][0], "address": nowhere}
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [host]}}
    }


class TestHealth:
    def test_alive(self, service: Service) -> None:
        answer = service.http.get("/healthz")
        assert (answer.status_code, answer.text) == (200, "ok\n")

    def test_alive_without_redis(self, service: Service, redis_gone: None) -> None:
        assert service.http.get("/healthz").status_code == 200

    def test_ready_with_a_line_per_dependency(self, service: Service) -> None:
        answer = service.http.get("/readyz")
        assert answer.status_code == 200
        assert answer.text.splitlines() == ["database ok", "tickets ok", "cache ok", "channels ok"]

    def test_not_ready_without_redis(self, service: Service, redis_gone: None) -> None:
        answer = service.http.get("/readyz")
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers
        assert answer.text.startswith("database ok\ntickets failed")

    def test_not_ready_without_our_tables(self, service: Service) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE ticketauth_login RENAME TO elsewhere")
        try:
            answer = service.http.get("/readyz")
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE elsewhere RENAME TO ticketauth_login")
        assert answer.status_code == 503
        assert answer.text.startswith("database failed")


class TestRedisGone:
    def test_no_ticket_is_given_that_was_not_stored(self, service: Service, access: str, redis_gone: None) -> None:
        answer = service.post("/api/tickets/", token=access)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["code"] == "unavailable"

    def test_a_handshake_is_503(self, service: Service, ticket: str, redis_gone: None) -> None:
        answer = service.connect(f"ticket_uuid={ticket}")
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1

    def test_a_browser_is_told_1013(self, service: Service, ticket: str, redis_gone: None) -> None:
        answer = service.connect(f"ticket_uuid={ticket}", origin="https://good.example")
        assert answer.close_code() == (1013, '{"code":"unavailable","retry_after":2}')

    def test_a_login_is_503(self, service: Service, redis_gone: None, settings) -> None:
        settings.LOGIN_RATE = "10/min"
        answer = service.post("/api/token/", {"username": "owner", "password": "x"})
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers


@pytest.fixture
def channel_layer_silent(settings) -> Iterator[None]:
    """The channel layer's Redis takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = {
            **settings.CHANNEL_LAYERS["default"]["CONFIG"]["hosts"][0],
            "address": f"redis://127.0.0.1:{server.getsockname()[1]}",
        }
        settings.CHANNEL_LAYERS = {
            "default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [host]}}
        }
        yield


def test_a_socket_that_cannot_join_its_group_is_told_in_time(
    service: Service, ticket: str, channel_layer_silent: None
) -> None:
    began = time.monotonic()
    answer = service.connect(f"ticket_uuid={ticket}", "/ws/events/", origin="https://good.example")
    assert answer.close_code() == (1013, '{"code":"unavailable","retry_after":2}')
    assert time.monotonic() - began < JOIN_SECONDS + 1


class TestErrors:
    def test_an_unknown_address_is_a_problem(self, service: Service) -> None:
        answer = service.http.get("/api/nowhere/")
        assert answer.status_code == 404
        if not django_settings.DEBUG:
            assert answer.headers["Content-Type"] == "application/problem+json"

    @pytest.mark.parametrize("path", ["/api/token/", "/api/token/refresh/", "/api/token/logout/"])
    def test_get_is_405(self, service: Service, path: str) -> None:
        answer = service.http.get(path)
        assert answer.status_code == 405
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "method_not_allowed"


def test_the_index_says_what_to_do(service: Service) -> None:
    page = service.http.get("/")
    assert page.status_code == 200
    assert "/api/tickets/" in page.text
    assert "4401" in page.text
