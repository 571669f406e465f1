"""By keyboard, on a phone, in the dark, for a screen reader, and without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.browser.conftest import Browse, serious
from tests.browser.try_it.panel import Panel
from tests.conftest import PASSWORD


def focused(page: Page) -> str:
    """What has the focus: its text, label or name."""
    name: str = page.evaluate(
        "() => { const it = document.activeElement;"
        " return it.labels?.[0]?.textContent || it.textContent || it.tagName; }"
    )
    return name


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Press a key until something has the focus."""
    for _ in range(20):
        if focused(page).startswith(name):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{name} cannot be reached; {focused(page)} can")


def test_by_keyboard_alone(owner: User, panel: Panel, page: Page) -> None:
    panel.root.get_by_role("radio", name="Ticket").focus()
    tab_to(page, "User name")
    page.keyboard.type("owner")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    panel.is_logged_in()
    # The form has gone, and the focus has not.
    assert focused(page) == "Connect"
    page.keyboard.press("Enter")
    panel.is_("Open")
    tab_to(page, "Send")
    page.keyboard.press("Enter")
    panel.shows("pong")
    tab_to(page, "Disconnect", "Shift+Tab")
    page.keyboard.press("Space")
    panel.is_("Closed")
    assert focused(page) == "Disconnect"


def test_a_method_by_arrow_keys(panel: Panel, page: Page) -> None:
    panel.root.get_by_role("radio", name="Ticket").focus()
    page.keyboard.press("ArrowRight")
    expect(panel.root.get_by_role("radio", name="Session cookie")).to_be_checked()
    expect(panel.root.get_by_role("radio", name="Session cookie")).to_be_focused()


def test_the_state_is_told_to_a_screen_reader(panel: Panel) -> None:
    expect(panel.root.get_by_role("status").filter(has_text="Not connected")).to_be_visible()
    expect(panel.outcome.locator("xpath=..")).to_have_attribute("aria-live", "polite")
    expect(panel.root.get_by_role("log")).to_have_count(0)


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_nothing_is_cut_off(owner: User, open_panel: Callable[..., Panel], width: int) -> None:
    panel = open_panel(viewport={"width": width, "height": 900})
    panel.log_in_as_owner().open()
    panel.send('{"type": "ping", "id": 1.5, "' + "long" * 60 + '": 1}')
    assert panel.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert (
        panel.root.evaluate(
            "root => [...root.querySelectorAll('button, input, select, textarea, p, code, li')].filter(it => {"
            " const box = it.getBoundingClientRect(); const frame = root.getBoundingClientRect();"
            " return box.width && (box.left < frame.left - 1 || box.right > frame.right + 1); })"
            ".map(it => it.outerHTML)"
        )
        == []
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    owner: User, open_panel: Callable[..., Panel], axe: str, scheme: Any, settings
) -> None:
    panel = open_panel(color_scheme=scheme)
    assert serious(panel.page, axe) == []
    panel.log_in_as_owner().open()
    panel.send('{"type": "pig"}')
    assert serious(panel.page, axe) == []
    panel.choose("Session cookie")
    panel.connect()
    panel.is_closed("(4401)")
    assert serious(panel.page, axe) == []


def test_without_javascript(browse: Browse, address: str) -> None:
    page = browse(java_script_enabled=False)
    expect(page.locator("#try-events")).to_contain_text("The panel that connects needs JavaScript.")
    expect(page.locator("#try-events button")).to_have_count(0)


def test_where_it_is_switched_off(browse: Browse, address: str, settings) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "TRY_IT_OUT": False}
    page = browse()
    expect(page.locator("[data-try-channel]")).to_have_count(0)
