"""A real Chromium, the service on a port, and the page with its panel."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, Response, sync_playwright

from tests.browser.try_it.panel import Panel
from tests.browser.try_it.parts import Parts
from tests.conftest import Service

PAGE = "/ws/docs/"


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """The modules that need no browser."""
    parts = Parts(tmp_path_factory.mktemp("parts"))
    yield parts
    parts.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of a process."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("There is no Chromium here.")
    # Playwright's synchronous half runs a loop in this thread, in which Django would not query.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    switches = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=switches)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What a browser did meanwhile that it must not do, and what must not be seen."""

    origin: str
    violations: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)
    _answers: list[Response] = field(default_factory=list)

    def on(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._request)
        page.on("response", self._response)
        page.on("websocket", lambda socket: self.sockets.append(socket.url))
        # In the browser's own world, where the page's policy does not count.
        page.add_init_script("addEventListener('securitypolicyviolation', (e) => console.error('CSP ' + e.violatedDirective + ' ' + e.blockedURI))")

    def secrets(self) -> list[str]:
        """Every credential that the service gave out."""
        bodies = [body for answer in self._answers if answer.ok and (body := _body(answer))]
        return [body[name] for body in bodies for name in ("access", "refresh", "ticket_uuid") if name in body]

    def _console(self, message: ConsoleMessage) -> None:
        if "CSP" in message.text or "Content Security Policy" in message.text or "Trusted" in message.text:
            self.violations.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.elsewhere.append(request.url)

    def _response(self, response: Response) -> None:
        if response.url.endswith(("/api/token/", "/api/tickets/")):
            self._answers.append(response)


def _body(answer: Response) -> dict[str, str]:
    try:
        body: dict[str, str] = answer.json()
    except Error:
        # The page has gone elsewhere since.
        return {}
    return body


def visible(page: Page) -> str:
    """All places of a page in which a credential must not be."""
    stored = page.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, document.title, window.name])")
    return "\n".join([page.content(), page.url, str(stored)])


@pytest.fixture
def address(service: Service, settings) -> str:
    """The service, at the address that it knows as its own."""
    origin = f"http://127.0.0.1:{service.port}"
    settings.TICKETAUTH = {**settings.TICKETAUTH, "PUBLIC_URLS": [origin]}
    settings.CSRF_COOKIE_SECURE = settings.SESSION_COOKIE_SECURE = False
    return origin


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that nobody has used."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext) -> Iterator[Callable[[str], tuple[Page, Watch]]]:
    """Opens the page at an origin. At the end nothing was against the policy, went elsewhere, or showed a credential."""
    opened: list[tuple[Page, Watch]] = []

    def open_tab(origin: str) -> tuple[Page, Watch]:
        page, watch = context.new_page(), Watch(origin)
        watch.on(page)
        page.goto(f"{origin}{PAGE}")
        opened.append((page, watch))
        return page, watch

    yield open_tab
    for page, watch in opened:
        assert (watch.violations, watch.elsewhere, watch.errors) == ([], [], [])
        shown = visible(page) if page.url.startswith(watch.origin) else ""
        assert [secret for secret in watch.secrets() if secret in shown] == []


@pytest.fixture
def watch(tab: Callable[[str], tuple[Page, Watch]], address: str) -> Watch:
    """The page, and what it does."""
    return tab(address)[1]


@pytest.fixture
def page(watch: Watch, context: BrowserContext) -> Page:
    """The page, open."""
    return context.pages[0]


@pytest.fixture
def panel(page: Page) -> Panel:
    """The panel of the events."""
    return _panel(page, "events")


@pytest.fixture
def echo(page: Page) -> Panel:
    """The panel of the echo."""
    return _panel(page, "echo")


def _panel(page: Page, channel: str) -> Panel:
    panel = Panel(page, channel)
    panel.root.scroll_into_view_if_needed()
    panel.connect_button.wait_for()
    return panel


@pytest.fixture
def session(context: BrowserContext, address: str, owner: User) -> dict[str, Any]:
    """The owner is logged in by session in this browser."""
    client = Client()
    client.force_login(owner)
    cookie: Any = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": address}
    context.add_cookies([cookie])
    return dict(client.session)
