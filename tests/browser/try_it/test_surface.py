"""By keyboard, on a phone, in the dark, for a screen reader, and without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Browse, serious
from tests.browser.try_it.conftest import Watch
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
        if focused(page) == name:
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
    panel.change()
    panel.choose("Session cookie")
    panel.connect()
    panel.is_closed("(4401)")
    assert serious(panel.page, axe) == []


def test_without_javascript(browse: Browse, address: str) -> None:
    page = browse(java_script_enabled=False)
    expect(page.locator("#try-events noscript p")).to_be_visible()
    expect(page.locator("#try-events .try-without")).to_be_hidden()
    expect(page.locator("#try-events button")).to_have_count(0)


def test_with_javascript_that_is_not_served(browse: Browse, address: str) -> None:
    browse.expected.append("Failed to load resource")
    page = browse("/healthz")
    page.route("**/try-it.js", lambda route: route.abort())
    page.goto("/ws/docs/")
    expect(page.locator("#try-events")).to_contain_text("does the server serve static files?")
    expect(page.locator("#try-events noscript")).to_be_hidden()


class TestItsPlace:
    """A link to it leads there, although the panels above are built meanwhile."""

    @staticmethod
    def top(page: Page) -> float:
        """Where the panel is once it is built and the page rests."""
        Panel(page).connect_button.wait_for(state="attached")
        page.evaluate(
            "async () => { let before; while (before !== (before = scrollY))"
            " for (let n = 0; n < 5; n += 1) await new Promise(requestAnimationFrame); }"
        )
        return float(page.locator(r"#channel-events\.try-it").evaluate("it => it.getBoundingClientRect().top"))

    @pytest.mark.parametrize(("width", "top"), [(390, 72), (1280, 28)])
    def test_from_the_menu(self, open_page: Callable[..., Watch], width: int, top: int) -> None:
        page = open_page(viewport={"width": width, "height": 900}).page
        if width < 960:
            page.get_by_role("button", name="Menu").click()
        page.locator('#menu a[href="#channel-events.try-it"]').click()
        assert self.top(page) == pytest.approx(top, abs=2)

    @pytest.mark.parametrize(("width", "top"), [(390, 72), (1280, 28)])
    def test_in_the_address(self, open_page: Callable[..., Watch], width: int, top: int) -> None:
        page = open_page(path="/ws/docs/#channel-events.try-it", viewport={"width": width, "height": 900}).page
        assert self.top(page) == pytest.approx(top, abs=2)

    def test_not_where_the_reader_has_gone_on(self, open_page: Callable[..., Watch]) -> None:
        page = open_page().page
        waiting: list[Route] = []

        def hold(route: Route) -> None:
            waiting.append(route)

        page.route("**/asyncapi.json", hold)
        page.goto("/ws/docs/?#channel-events.try-it")
        page.keyboard.press("Home")
        page.wait_for_function("() => scrollY === 0")
        waiting[0].continue_()
        Panel(page).connect_button.wait_for(state="attached")
        assert page.evaluate("() => scrollY") == 0


@pytest.mark.parametrize("size", [(390, 844), (1366, 768), (1440, 900)])
def test_bar_editor_and_log_are_seen_together(
    owner: User, open_panel: Callable[..., Panel], size: tuple[int, int]
) -> None:
    panel = open_panel(viewport={"width": size[0], "height": size[1]})
    panel.log_in_as_owner().open()
    panel.send()
    panel.shows("pong")
    for part in (panel.root.locator(".try-bar"), panel.button("Send"), panel.entries.last):
        expect(part).to_be_in_viewport(ratio=0.99)


def test_how_it_connects_steps_back_while_it_is_connected(owner: User, panel: Panel) -> None:
    panel.log_in_as_owner().open()
    expect(panel.root.locator(".try-brief")).to_contain_text("Ticket · owner")
    expect(panel.root.locator(".try-methods")).to_be_hidden()
    panel.change()
    expect(panel.root.locator(".try-methods")).to_be_visible()


def test_a_double_click_on_connect_sends_nothing(owner: User, panel: Panel) -> None:
    panel.log_in_as_owner().open()
    panel.button("Send").dispatch_event("click", {"detail": 2})
    panel.send()
    panel.shows('"type": "pong"')
    expect(panel.root.locator('[data-direction="sent"]')).to_have_count(1)


def test_where_it_is_switched_off(browse: Browse, address: str, settings) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "TRY_IT_OUT": False}
    page = browse()
    expect(page.locator("[data-try-channel]")).to_have_count(0)
