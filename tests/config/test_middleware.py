"""What a response carries is what Django's own middleware puts on it; and it is made in the event loop."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.sessions.middleware import SessionMiddleware
from django.test import AsyncClient
from django.urls import reverse
from django.utils.module_loading import import_string

from tests.conftest import PASSWORD


def _original(path: str) -> str:
    """What a middleware of ours is made of; another's as it is."""
    original = import_string(path)
    while original.__module__.startswith(("config.", "ticketauth.")):
        original = original.__bases__[-1]
    return f"{original.__module__}.{original.__qualname__}"


DJANGOS_OWN = [_original(path) for path in django_settings.MIDDLEWARE]


def test_what_is_compared_is_djangos_own() -> None:
    assert len(DJANGOS_OWN) == 8
    assert not [path for path in DJANGOS_OWN if not path.startswith(("django.", "corsheaders."))]


async def _seen(client: AsyncClient, method: str, path: str, **kwargs: Any) -> tuple[int, dict[str, str]]:
    answer = await getattr(client, method)(path, **kwargs)
    return answer.status_code, {
        name: value for name, value in answer.headers.items() if name not in {"Set-Cookie", "Expires"}
    }


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("post", "/api/tickets/", {}),
        ("post", "/api/tickets/", {"Origin": "http://testserver"}),
        ("options", "/api/tickets/", {"Origin": "http://testserver", "Access-Control-Request-Method": "POST"}),
        ("get", "/healthz", {}),
        ("get", "/healthz", {"Host": "elsewhere.example"}),
        ("get", "/admin/", {}),
        ("get", "/admin/login/", {}),
        ("post", "/admin/login/", {}),
        ("post", "/admin/login/", {"Origin": "https://evil.example"}),
        ("get", "/nowhere", {}),
    ],
)
async def test_responses_are_those_of_djangos_own(
    settings, transactional_db: None, method: str, path: str, headers: dict[str, str]
) -> None:
    ours = await _seen(AsyncClient(enforce_csrf_checks=True, headers=headers), method, path)
    settings.MIDDLEWARE = DJANGOS_OWN
    theirs = await _seen(AsyncClient(enforce_csrf_checks=True, headers=headers), method, path)
    assert ours == theirs


async def test_a_session_and_a_message_are_kept(transactional_db: None) -> None:
    """They are written in a thread: in the loop, Django would refuse."""
    await User.objects.acreate_superuser("root", password=PASSWORD)
    subject = await User.objects.acreate_user("subject", password=PASSWORD)
    client = AsyncClient()
    assert (await client.post("/admin/login/", {"username": "root", "password": PASSWORD})).status_code == 302
    assert (await client.post(reverse("admin:auth_user_delete", args=[subject.pk]), {"post": "yes"})).status_code == 302
    page = await client.get("/admin/auth/user/")
    assert b"was deleted successfully" in page.content


@pytest.mark.parametrize("in_loop", [True, False])
async def test_the_ticket_view_costs_no_thread_for_it(
    settings, transactional_db: None, monkeypatch: pytest.MonkeyPatch, in_loop: bool
) -> None:
    threads = []
    process_request = SessionMiddleware.process_request

    def noted(self: Any, request: Any) -> Any:
        threads.append(threading.current_thread())
        return process_request(self, request)

    monkeypatch.setattr(SessionMiddleware, "process_request", noted)
    if not in_loop:
        settings.MIDDLEWARE = DJANGOS_OWN
    await AsyncClient().post("/api/tickets/")
    assert (threads == [threading.current_thread()]) == in_loop
