"""A real Chromium on the pages of the real service; what a page must not do fails the test that opened it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import npm
from tests.conftest import Service

playwright = pytest.importorskip("playwright.sync_api", reason="There is no playwright here.")

_SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

_REPORT = "addEventListener('securitypolicyviolation', e => violated(`${e.violatedDirective} ${e.blockedURI}`))"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser for the tests of a file. No longer: an event loop runs in this thread meanwhile."""
    playwright.expect.set_options(timeout=20_000)
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("There is no Chromium here.")
    with pytest.MonkeyPatch.context() as patch, playwright.sync_playwright() as driver:
        # Django takes that loop for one that a query would block.
        patch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = driver.chromium.launch(executable_path=path, args=list(_SWITCHES))
        yield browser
        browser.close()


@pytest.fixture
def site(service: Service, settings) -> str:
    """The address of the service, which is its public one."""
    base = f"http://127.0.0.1:{service.port}"
    settings.TICKETAUTH = {**settings.TICKETAUTH, "PUBLIC_URLS": [base]}
    return base


@pytest.fixture
def without_the_panel(settings) -> None:
    """The page alone."""
    settings.TICKETAUTH = {**settings.TICKETAUTH, "TRY_IT_OUT": False}


@dataclass
class Browse:
    """Opens pages, each in a browser profile of its own, and watches them."""

    browser: Any
    site: str
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Patterns of complaints that a test provokes."""
    contexts: list[Any] = field(default_factory=list)

    def __call__(self, path: str = "/ws/docs/", **options: Any) -> Any:
        """A page, loaded.

        Args:
            path: On the service.
            options: Of Playwright's `new_context`.
        """
        given = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options}
        context = self.browser.new_context(base_url=self.site, **given)
        self.contexts.append(context)
        context.set_default_timeout(30_000)
        context.expose_binding("violated", lambda _, what: self.complaints.append(f"CSP: {what}"))
        if given.get("java_script_enabled", True):
            context.add_init_script(_REPORT)
        page = context.new_page()
        self._watch(page)
        page.goto(path)
        return page

    def _watch(self, page: Any) -> None:
        def console(message: Any) -> None:
            if message.type in {"error", "warning"}:
                self.complaints.append(f"console: {message.text}")

        page.on("console", console)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", lambda request: self._own(request.url))
        page.on("websocket", lambda socket: self._own(socket.url))

    def _own(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != urlsplit(self.site).netloc:
            self.complaints.append(f"another host: {url}")

    def unexpected(self) -> list[str]:
        """What the pages did and nobody expected."""
        return [said for said in self.complaints if not any(re.search(pattern, said) for pattern in self.expected)]


@pytest.fixture
def browse(chromium: Any, site: str) -> Iterator[Browse]:
    """Opens pages; an error on the console, a CSP violation or a request to another host fails the test."""
    browse = Browse(chromium, site)
    yield browse
    for context in browse.contexts:
        context.close()
    assert browse.unexpected() == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe, which finds what a screen reader would stumble over."""
    path: Path = npm.node_modules() / "axe-core" / "axe.min.js"
    return path.read_text(encoding="utf-8")


def serious(page: Any, axe: str) -> list[str]:
    """What axe finds serious or critical. It comes in as from the developer tools, past the policy of the page."""
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": axe})
    run = "axe.run().then(found => found.violations.map(v => [v.impact, v.id, v.nodes.map(n => n.target.join(' '))]))"
    answer = session.send("Runtime.evaluate", {"expression": run, "awaitPromise": True, "returnByValue": True})
    found = answer["result"]["value"]
    return [f"{rule}: {nodes}" for impact, rule, nodes in found if impact in {"serious", "critical"}]
