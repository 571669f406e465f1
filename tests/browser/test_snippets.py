"""The JavaScript snippets in a browser: some send what only a browser has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client

from tests.browser.conftest import Browse

pytestmark = pytest.mark.usefixtures("without_the_panel")

_TWO_MESSAGES = """(async () => {
  SNIPPET
  const seen = [];
  return new Promise((resolve) => {
    socket.addEventListener("message", ({ data }) => seen.push(data) === 2 && resolve(seen));
    socket.addEventListener("close", ({ code, reason }) => resolve([code, reason]));
  });
})()"""


@pytest.fixture
def run(browse: Browse, site: str, access: str, owner: User):
    """Runs the snippet of a scheme, as the page shows it; the first two messages."""
    client = Client()
    client.force_login(owner)
    session = client.cookies[django_settings.SESSION_COOKIE_NAME].value

    def run(scheme: str) -> list[Any]:
        page = browse()
        page.context.add_cookies(
            [
                {"name": django_settings.SESSION_COOKIE_NAME, "value": session, "url": site},
                {"name": "access_token", "value": access, "url": site},
            ]
        )
        channel = page.locator("#channel-events")
        channel.get_by_label("Credential").select_option(scheme)
        channel.get_by_role("tab", name="JavaScript").locator("visible=true").click()
        snippet = channel.get_by_role("tabpanel").locator("pre").text_content().replace("<access token>", access)
        messages: list[str] = page.evaluate(_TWO_MESSAGES.replace("SNIPPET", snippet))
        return [json.loads(message)["type"] for message in messages]

    return run


@pytest.mark.parametrize(
    "scheme", ["Ticket in the query", "Ticket in the subprotocol", "JWT in a cookie", "Session cookie"]
)
def test_it_connects_and_is_answered(run, scheme: str) -> None:
    assert run(scheme) == ["ticketauth.ready", "pong"]
