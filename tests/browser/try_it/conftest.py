"""The page with its panel, in a real Chromium; no credential is ever shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import BrowserContext, Error, Page, Response

from tests.browser.conftest import Browse
from tests.browser.try_it.panel import Panel
from tests.browser.try_it.parts import Parts
from tests.conftest import Service

REFUSALS = (
    r"^console: Failed to load resource: the server responded with a status of (401|403|404|409|429|503)",
    r"^console: WebSocket connection to .* failed",
)
"""What the browser itself complains of when somebody is refused."""


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """The modules that need no browser."""
    parts = Parts(tmp_path_factory.mktemp("parts"))
    yield parts
    parts.stop()


@dataclass
class Watch:
    """What a page was given, and where it connected to."""

    page: Page
    sockets: list[str] = field(default_factory=list)
    _answers: list[Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("websocket", lambda socket: self.sockets.append(socket.url))
        self.page.on("response", self._keep)

    def secrets(self) -> list[str]:
        """Every credential that the service gave out."""
        bodies = [body for answer in self._answers if answer.ok and (body := _body(answer))]
        return [body[name] for body in bodies for name in ("access", "refresh", "ticket_uuid") if name in body]

    def tickets(self) -> list[str]:
        """The tickets among them."""
        return [secret for secret in self.secrets() if "." not in secret]

    def shown(self) -> list[str]:
        """Credentials that can be seen: in the page's HTML, its address, its storage."""
        places = self.page.evaluate(
            "() => JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, document.title, name])"
        )
        seen = "\n".join([self.page.content(), self.page.url, str(places)])
        return [secret for secret in self.secrets() if secret in seen]

    def _keep(self, response: Response) -> None:
        if response.url.endswith(("/api/token/", "/api/tickets/")):
            self._answers.append(response)


def _body(answer: Response) -> dict[str, str]:
    try:
        body: dict[str, str] = answer.json()
    except Error:
        # The page has gone elsewhere since.
        return {}
    return body


@pytest.fixture
def address(site: str, settings) -> str:
    """The service, at the address that it knows as its own, which is not https."""
    settings.CSRF_COOKIE_SECURE = settings.SESSION_COOKIE_SECURE = False
    return site


@pytest.fixture
def cookies_before() -> list[Any]:
    """What the browser has before it opens the page."""
    return []


@pytest.fixture
def open_page(browse: Browse, address: str, cookies_before: list[Any]) -> Iterator[Callable[..., Watch]]:
    """Opens the page; at the end no credential is to be seen."""
    browse.expected += REFUSALS
    opened: list[Watch] = []

    def open_page(path: str = "/ws/docs/", **options: Any) -> Watch:
        watch = Watch(browse(path, storage_state={"cookies": cookies_before, "origins": []}, **options))
        opened.append(watch)
        return watch

    yield open_page
    for watch in opened:
        assert not watch.page.url.startswith(address) or watch.shown() == []


@pytest.fixture
def open_panel(open_page: Callable[..., Watch]) -> Callable[..., Panel]:
    """Opens the page, and its panel of the events."""
    return lambda **options: Panel(open_page(**options).page).ready()


@pytest.fixture
def watch(open_page: Callable[..., Watch]) -> Watch:
    """The page, and what it was given."""
    return open_page()


@pytest.fixture
def page(watch: Watch) -> Page:
    """The page, open."""
    return watch.page


@pytest.fixture
def context(page: Page) -> BrowserContext:
    """The browser that it is open in."""
    return page.context


@pytest.fixture
def panel(page: Page) -> Panel:
    """The panel of the events."""
    return Panel(page).ready()


@pytest.fixture
def echo(page: Page) -> Panel:
    """The panel of the echo."""
    return Panel(page, "echo").ready()


def session_cookie(user: User, address: str) -> dict[str, Any]:
    """A cookie of a user who is logged in by session."""
    client = Client()
    client.force_login(user)
    host = address.removeprefix("http://").partition(":")[0]
    key = client.cookies["sessionid"].value
    flags = {"expires": -1, "httpOnly": True, "secure": False, "sameSite": "Lax"}
    return {"name": "sessionid", "value": key, "domain": host, "path": "/", **flags}


@pytest.fixture
def session(cookies_before: list[Any], address: str, owner: User) -> None:
    """The owner is logged in by session in this browser."""
    cookies_before.append(session_cookie(owner, address))


@pytest.fixture
def access_cookie(cookies_before: list[Any], address: str, owner: User, service: Service) -> str:
    """An access token of the owner's, which this browser has in a cookie that no script may touch."""
    access = service.login(owner)["access"]
    cookies_before.append({**session_cookie(owner, address), "name": "access_token", "value": access})
    return access
