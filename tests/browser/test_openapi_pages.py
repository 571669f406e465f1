"""The index, the login and Swagger UI in a real Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import PASSWORD, Service
from tests.served import served
from tests.servers import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_ALONE = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
ARGUMENTS = [*_ALONE.split(), "--disable-component-update", "--disable-sync"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="There is no Chromium here to show the pages in.")

expect.set_options(timeout=20_000)

_REPORT = "addEventListener('securitypolicyviolation', e => console.error(e.violatedDirective, e.blockedURI))"


@pytest.fixture(scope="module")
def address(django_db_setup: None) -> Iterator[str]:
    """The service in a process of its own, where one may try it out."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with served(port=port, PUBLIC_URL=base, TRY_IT_OUT="1"):
        yield base


@pytest.fixture
def browser(owner: User, address: str) -> Iterator[Browser]:
    # For one test only: while it is there, Django takes this thread for an event loop's.
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


class Visit:
    """A page, and all that its browser complains of."""

    def __init__(self, browser: Browser, address: str, scheme: str, width: int) -> None:
        self.complaints: list[str] = []
        size = {"width": width, "height": 900}
        self.page: Page = browser.new_page(base_url=address, color_scheme=scheme, viewport=size)  # type: ignore[arg-type]
        self.page.add_init_script(_REPORT)
        self.page.on("console", lambda message: self._complain(message.type in {"error", "warning"}, message.text))
        self.page.on("pageerror", lambda error: self._complain(True, str(error)))
        own = (address, "data:")
        self.page.on("request", lambda request: self._complain(not request.url.startswith(own), request.url))

    def _complain(self, really: bool, text: str) -> None:
        self.complaints += [text] if really else []

    def open(self, path: str) -> Page:
        """Go there, and wait until all of it is there."""
        self.page.goto(path)
        if path == "/api/docs/":
            self.page.locator(".opblock").last.wait_for()
        return self.page


def overflow(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return width


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit_and_the_browser_has_no_complaint(
    browser: Browser, address: str, scheme: str, width: int
) -> None:
    visit = Visit(browser, address, scheme, width)
    wide = {path: overflow(visit.open(path)) for path in ("/", "/login/", "/api/docs/")}
    assert wide == dict.fromkeys(wide, 0)
    assert visit.complaints == []


@pytest.mark.parametrize(("scheme", "background"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(28, 32, 34)")])
def test_swagger_ui_is_light_and_dark(browser: Browser, address: str, scheme: str, background: str) -> None:
    page = Visit(browser, address, scheme, 1280).open("/api/docs/")
    expect(page.locator("body")).to_have_css("background-color", background)


def log_in(page: Page, password: str) -> None:
    page.get_by_label("User name").fill("owner")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def try_tickets(page: Page) -> None:
    page.locator("#operations-tickets-issue_ticket .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()


def test_a_session_gets_a_ticket_in_swagger_ui(browser: Browser, address: str) -> None:
    visit = Visit(browser, address, "light", 1280)
    page = visit.open("/login/?next=/api/docs/")
    log_in(page, PASSWORD)
    try_tickets(page)
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("201")
    assert visit.complaints == []


def test_a_token_gets_a_ticket_in_swagger_ui_on_a_phone(browser: Browser, address: str) -> None:
    service = Service(int(address.rpartition(":")[2]))
    answer = service.post("/api/token/", {"username": "owner", "password": PASSWORD})
    service.close()
    visit = Visit(browser, address, "dark", 390)
    page = visit.open("/api/docs/")
    page.get_by_role("button", name="Authorize").click()
    page.locator(".auth-container input").first.fill(answer.json()["access"])
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").last.click()
    try_tickets(page)
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("201")
    assert overflow(page) == 0
    assert visit.complaints == []


def test_a_wrong_password_is_told_where_it_was_typed(browser: Browser, address: str) -> None:
    visit = Visit(browser, address, "light", 390)
    page = visit.open("/login/")
    log_in(page, "wrong")
    expect(page.get_by_role("alert")).to_have_text("User name or password is wrong.")
    assert overflow(page) == 0
    assert visit.complaints == []


def test_one_logs_out_on_the_login_page(browser: Browser, address: str) -> None:
    visit = Visit(browser, address, "light", 1280)
    page = visit.open("/login/?next=/login/")
    log_in(page, PASSWORD)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    assert visit.complaints == []


def test_without_javascript_swagger_ui_names_the_document(browser: Browser, address: str) -> None:
    page = browser.new_page(base_url=address, java_script_enabled=False)
    page.goto("/api/docs/")
    expect(page.get_by_text("This page is drawn by JavaScript.")).to_be_visible()
