"""The index, the login and Swagger UI in a real Chromium."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Browse
from tests.conftest import PASSWORD

pytestmark = pytest.mark.usefixtures("owner")


def swagger_ui(browse: Browse, **options: Any) -> Any:
    """Swagger UI, drawn."""
    page = browse("/api/docs/", **options)
    page.locator(".opblock").last.wait_for()
    return page


PHONE = {"viewport": {"width": 390, "height": 844}}


def overflow(page: Any) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return width


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit(browse: Browse, scheme: str, width: int) -> None:
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    assert [overflow(browse(path, **options)) for path in ("/", "/login/")] == [0, 0]
    assert overflow(swagger_ui(browse, **options)) == 0


@pytest.mark.parametrize(("scheme", "background"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(28, 32, 34)")])
def test_swagger_ui_is_light_and_dark(browse: Browse, scheme: str, background: str) -> None:
    page = swagger_ui(browse, color_scheme=scheme)
    expect(page.locator("body")).to_have_css("background-color", background)


def log_in(page: Any, password: str) -> None:
    page.get_by_label("User name").fill("owner")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def try_tickets(page: Any) -> None:
    page.locator("#operations-tickets-issue_ticket .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()


def test_a_session_gets_a_ticket_in_swagger_ui(browse: Browse) -> None:
    page = browse("/login/?next=/api/docs/")
    log_in(page, PASSWORD)
    try_tickets(page)
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("201")


def test_a_token_gets_a_ticket_in_swagger_ui_on_a_phone(browse: Browse, access: str) -> None:
    page = swagger_ui(browse, color_scheme="dark", **PHONE)
    page.get_by_role("button", name="Authorize").click()
    page.locator(".auth-container input").first.fill(access)
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close", exact=True).last.click()
    try_tickets(page)
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("201")
    assert overflow(page) == 0


def test_a_wrong_password_is_told_where_it_was_typed(browse: Browse) -> None:
    page = browse("/login/", **PHONE)
    log_in(page, "wrong")
    expect(page.get_by_role("alert")).to_have_text("User name or password is wrong.")
    assert overflow(page) == 0


def test_one_logs_out_on_the_login_page(browse: Browse) -> None:
    page = browse("/login/?next=/login/")
    log_in(page, PASSWORD)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_without_javascript_swagger_ui_names_the_document(browse: Browse) -> None:
    page = browse("/api/docs/", java_script_enabled=False)
    expect(page.get_by_text("This page is drawn by JavaScript.")).to_be_visible()
