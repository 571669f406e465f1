"""The page of the contract in a real browser."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.browser.conftest import Browse, serious

pytestmark = pytest.mark.usefixtures("without_the_panel")

WIDTHS = (390, 768, 1280, 1920)


def size(width: int) -> dict[str, Any]:
    return {"viewport": {"width": width, "height": 844}}


def too_wide(page: Any) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


def current(page: Any) -> str:
    return page.locator("#menu [aria-current]").get_attribute("href")


class TestWithoutJavaScript:
    @pytest.mark.parametrize("width", [390, 1280])
    def test_everything_can_be_read(self, browse: Browse, width: int) -> None:
        page = browse(java_script_enabled=False, **size(width))
        for text in ("Authentication", "Close codes", "ticketauth.ready", "Ticket in the query"):
            assert page.get_by_text(text).first.is_visible()
        assert page.locator("#menu a").first.is_visible()
        assert not page.locator(".menu-button").is_visible()

    def test_snippets_follow_one_another(self, browse: Browse) -> None:
        page = browse(java_script_enabled=False)
        choice = page.locator(".choice").first
        assert list(choice.locator("h4").all_inner_texts()) == [
            *("curl + websocat", "JavaScript", "Python", "Kotlin", "Swift"),
        ]
        assert all(choice.locator("pre").nth(number).is_visible() for number in range(5))

    def test_other_credentials_fold_out(self, browse: Browse) -> None:
        page = browse(java_script_enabled=False)
        second = page.locator(".choice").nth(1)
        assert not second.locator("pre").first.is_visible()
        second.locator("summary").click()
        assert second.locator("pre").first.is_visible()


class TestMenu:
    def test_it_follows_the_scroll(self, browse: Browse) -> None:
        page = browse()
        assert current(page) == "#overview"
        page.locator("#authentication").evaluate("element => element.scrollIntoView()")
        page.wait_for_selector("#menu [href='#authentication'][aria-current]")
        assert page.locator("#menu [aria-current]").count() == 1

    def test_it_knows_the_end_of_the_page(self, browse: Browse) -> None:
        page = browse()
        page.keyboard.press("Control+End")
        page.wait_for_selector("#menu [href='#stay-connected'][aria-current]")

    def test_every_link_leads_somewhere(self, browse: Browse) -> None:
        page = browse()
        for href in page.eval_on_selector_all("#menu a[href^='#']", "links => links.map(link => link.hash.slice(1))"):
            assert page.locator(f"[id='{href}']").count() == 1, href

    def test_on_a_phone_it_unfolds_and_folds(self, browse: Browse) -> None:
        page = browse(**size(390))
        button, menu = page.get_by_role("button", name="Menu"), page.locator("#menu")
        assert (menu.is_visible(), button.get_attribute("aria-expanded")) == (False, "false")
        button.click()
        assert (menu.is_visible(), button.get_attribute("aria-expanded")) == (True, "true")
        menu.get_by_role("link", name="Servers").click()
        assert not menu.is_visible()
        assert page.locator("#servers h2").is_visible()

    def test_escape_folds_it_and_gives_the_focus_back(self, browse: Browse) -> None:
        page = browse(**size(390))
        page.get_by_role("button", name="Menu").click()
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        assert not page.locator("#menu").is_visible()
        assert page.evaluate("document.activeElement.textContent") == "Menu"


class TestDeepLinks:
    def test_an_address_leads_to_its_place(self, browse: Browse) -> None:
        page = browse("/ws/docs/#operation-receiveEventsPing")
        page.wait_for_selector("#menu [href='#operation-receiveEventsPing'][aria-current]")
        assert abs(page.locator("#operation-receiveEventsPing").bounding_box()["y"]) < 200

    def test_every_heading_but_the_first_has_one_that_is_copied(self, browse: Browse) -> None:
        page = browse(permissions=["clipboard-read", "clipboard-write"])
        assert page.locator("main h2").count() == page.locator("main .heading h2 + .anchor").count()
        page.get_by_label("Link to Servers").click()
        page.wait_for_function("document.querySelector('[role=status]').textContent === 'Link copied'")
        assert page.url.endswith("/ws/docs/#servers")
        assert page.evaluate("navigator.clipboard.readText()") == page.url


class TestCopy:
    def test_a_block_is_copied_as_it_is(self, browse: Browse) -> None:
        page = browse(permissions=["clipboard-read", "clipboard-write"])
        code = page.locator(".snippet:visible .code").first
        code.get_by_role("button").click()
        code.get_by_role("button", name="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == code.locator("pre").text_content()
        assert page.get_by_role("status").text_content() == "Copied"

    def test_every_block_can_be_copied(self, browse: Browse) -> None:
        page = browse()
        assert page.locator("main pre").count() == page.locator("main .copy + pre").count()


class TestTabs:
    def test_by_keyboard(self, browse: Browse) -> None:
        page = browse()
        tabs = page.get_by_role("tablist").first
        tabs.get_by_role("tab", name="curl").focus()
        for key, expected in (("ArrowRight", "JavaScript"), ("End", "Swift"), ("ArrowRight", "curl + websocat")):
            page.keyboard.press(key)
            selected = tabs.get_by_role("tab", selected=True)
            assert selected.text_content() == expected
            assert page.evaluate("document.activeElement.textContent") == expected

    def test_one_panel_is_shown_and_it_is_named_by_its_tab(self, browse: Browse) -> None:
        page = browse()
        choice = page.locator(".choice:visible").first
        choice.get_by_role("tab", name="Python").click()
        assert choice.get_by_role("tabpanel").count() == 1
        assert "websockets.asyncio" in choice.get_by_role("tabpanel", name="Python").inner_text()

    def test_only_the_selected_one_is_a_stop_on_the_way(self, browse: Browse) -> None:
        page = browse()
        tabs = page.get_by_role("tablist").first.get_by_role("tab")
        assert [tabs.nth(number).get_attribute("tabindex") for number in range(5)] == ["0", "-1", "-1", "-1", "-1"]

    def test_a_language_is_chosen_for_the_page(self, browse: Browse) -> None:
        page = browse()
        page.get_by_role("tablist").first.get_by_role("tab", name="Python").click()
        chosen = page.get_by_role("tab", selected=True)
        assert set(chosen.all_text_contents()) == {"Python"}
        assert chosen.count() == 3

    def test_where_a_language_is_missing_the_last_one_stays(self, browse: Browse) -> None:
        page = browse()
        program = page.locator("#stay-connected")
        page.get_by_role("tablist").first.get_by_role("tab", name="Kotlin").click()
        page.get_by_role("tablist").first.get_by_role("tab", name="curl").click()
        assert program.get_by_role("tab", selected=True).text_content() == "Kotlin"
        assert "OkHttpClient" in program.get_by_role("tabpanel").inner_text()

    def test_a_credential_is_chosen_for_its_channel(self, browse: Browse) -> None:
        page = browse()
        first, second = page.get_by_label("Credential").all()
        first.select_option("JWT in a header")
        assert "Bearer $ACCESS_TOKEN" in page.locator("#channel-echo .snippet:visible pre").inner_text()
        assert second.input_value() == "Ticket in the query"

    def test_nothing_is_stored(self, browse: Browse) -> None:
        page = browse()
        page.get_by_role("tab", name="Swift").first.click()
        page.get_by_label("Credential").first.select_option("Session cookie")
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


class TestLayout:
    @pytest.mark.parametrize("width", WIDTHS)
    def test_nothing_is_wider_than_the_window(self, browse: Browse, width: int) -> None:
        assert not too_wide(browse(**size(width)))

    @pytest.mark.parametrize("width", [390, 1280])
    def test_nor_without_javascript(self, browse: Browse, width: int) -> None:
        page = browse(java_script_enabled=False, **size(width))
        assert page.locator("main").bounding_box()["width"] <= width
        assert page.locator(".scrolls").first.bounding_box()["width"] <= width

    @pytest.mark.parametrize("table", ["#servers table", "#close-codes table"])
    def test_on_a_phone_a_row_becomes_a_block(self, browse: Browse, table: str) -> None:
        cut_off = "table => table.scrollWidth > table.parentElement.clientWidth"
        assert not browse(**size(390)).locator(table).evaluate(cut_off)

    def test_on_a_phone_all_languages_are_in_sight(self, browse: Browse) -> None:
        page = browse(**size(390))
        last = page.get_by_role("tablist").first.get_by_role("tab", name="Swift").bounding_box()
        assert last["x"] + last["width"] <= 390

    def test_what_scrolls_by_itself_can_be_reached_by_keyboard(self, browse: Browse) -> None:
        page = browse(**size(390))
        page.wait_for_selector("#stay-connected pre[tabindex='0']")
        scrolls = "e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight"
        unreachable = f"found => found.filter(e => ({scrolls}) && e.tabIndex < 0).length"
        assert page.eval_on_selector_all("main .scrolls, main pre", unreachable) == 0

    def test_dark_is_dark(self, browse: Browse) -> None:
        ground = "getComputedStyle(document.documentElement).backgroundColor"
        assert browse(color_scheme="dark").evaluate(ground) == "rgb(19, 21, 26)"
        assert browse(color_scheme="light").evaluate(ground) == "rgb(251, 250, 247)"

    def test_print_is_the_text_alone_and_light(self, browse: Browse) -> None:
        page = browse(color_scheme="dark")
        page.emulate_media(media="print", color_scheme="dark")
        assert not page.locator("#menu").is_visible()
        assert not page.locator(".copy").first.is_visible()
        assert page.locator("#servers h2").is_visible()
        ground = "getComputedStyle(document.documentElement).getPropertyValue('--bg')"
        assert page.evaluate(ground) == "#fbfaf7"


class TestAccessibility:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [390, 1280])
    def test_axe_finds_nothing_serious(self, browse: Browse, axe: str, scheme: str, width: int) -> None:
        page = browse(color_scheme=scheme, **size(width))
        assert serious(page, axe) == []

    def test_the_first_stop_skips_the_menu(self, browse: Browse) -> None:
        page = browse()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('main') !== null")

    def test_headings_leave_no_level_out(self, browse: Browse) -> None:
        page = browse(java_script_enabled=False)
        levels = [
            int(heading.evaluate("element => element.tagName.slice(1)"))
            for heading in page.locator("h1, h2, h3, h4, h5, h6").all()
        ]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))

    def test_who_sends_is_said_in_words(self, browse: Browse) -> None:
        page = browse()
        assert page.locator("#operation-receiveEventsPing").get_by_text("client sends").is_visible()
        assert page.locator("#operation-sendEventsEvent").get_by_text("server sends").is_visible()
