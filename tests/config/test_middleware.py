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

from tests.conftest import PASSWORD

DJANGOS_OWN = [
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


def test_the_list_is_djangos_own() -> None:
    """So the comparisons below compare the right things."""
    from django.utils.module_loading import import_string

    for ours, theirs in zip(django_settings.MIDDLEWARE, DJANGOS_OWN, strict=True):
        assert issubclass(import_string(ours), import_string(theirs))


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
