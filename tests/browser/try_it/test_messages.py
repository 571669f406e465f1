"""What is written, checked and sent, and what the log shows of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.try_it.conftest import Watch
from tests.browser.try_it.panel import Panel

SENT = '[data-direction="sent"]'


class TestEditor:
    def test_it_is_filled_from_the_example(self, panel: Panel) -> None:
        assert json.loads(panel.editor.input_value())["type"] == "ping"

    def test_a_message_goes_and_its_answer_comes(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner().open()
        panel.send()
        panel.shows('"type": "ping"', "sent")
        panel.shows('"type": "pong"')

    def test_by_keyboard(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner().open()
        panel.editor.press("Control+Enter")
        panel.shows("pong")

    def test_a_mistake_is_not_sent(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner().open()
        panel.send('{"type": "ping", "id": 1.5}')
        expect(panel.root.locator(".try-faults")).to_have_text("/id must be text or a whole number Line 1, column 24")
        expect(panel.root.get_by_text("Not sent: one mistake.")).to_be_visible()
        expect(panel.root.locator(SENT)).to_have_count(0)

    @pytest.mark.parametrize("text", ['{"type": "ping", "id": 1.5}', "{"])
    def test_a_mistake_is_sent_where_one_insists(self, owner: User, panel: Panel, text: str) -> None:
        panel.log_in_as_owner().open()
        panel.send(text)
        panel.button("Send it all the same").click()
        panel.shows('"code": "invalid"')

    def test_nobody_insists_without_a_mistake_or_a_connection(self, owner: User, panel: Panel) -> None:
        panel.check('{"type": "ping"}')
        expect(panel.button("Send it all the same")).to_be_hidden()
        panel.log_in_as_owner().open()
        expect(panel.button("Send it all the same")).to_be_visible()
        panel.editor.fill('{"type": "ping", "id": "1"}')
        expect(panel.button("Send it all the same")).to_be_hidden()

    def test_a_mistake_is_tied_to_the_field(self, panel: Panel) -> None:
        panel.check('{"type": "ping"}')
        expect(panel.editor).to_have_attribute("aria-invalid", "true")
        described = panel.editor.get_attribute("aria-describedby")
        expect(panel.page.locator(f"#{described}")).to_contain_text('"id" is missing')

    def test_the_first_mistake_is_selected(self, panel: Panel) -> None:
        panel.check('{"type": "pig", "id": "1"}')
        expect(panel.editor).to_be_focused()
        assert _selected(panel) == '"pig"'

    def test_a_link_leads_to_each_mistake(self, panel: Panel) -> None:
        panel.check('{"type": "pig", "id": "1",\n "more": true}')
        panel.button("Line 2, column 2").click()
        assert _selected(panel) == '"more"'

    def test_a_mistake_goes_as_soon_as_it_is_repaired(self, panel: Panel) -> None:
        panel.check('{"type": "ping"}')
        panel.editor.fill('{"type": "ping", "id": "1"}')
        expect(panel.editor).not_to_have_attribute("aria-invalid", "true")
        expect(panel.root.locator(".try-faults li")).to_have_count(0)

    def test_what_is_not_json(self, panel: Panel) -> None:
        panel.check('{"type": "ping",\n "id": }')
        expect(panel.root.locator(".try-faults")).to_have_text("Not JSON Expected a value. Line 2, column 8")

    def test_before_there_is_a_connection(self, panel: Panel) -> None:
        panel.button("Check").click()
        expect(panel.root.get_by_text("It can be sent. Connect first.")).to_be_visible()


def _selected(panel: Panel) -> str:
    selected: str = panel.editor.evaluate("field => field.value.slice(field.selectionStart, field.selectionEnd)")
    return selected


class TestRaw:
    def test_text_is_not_checked(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner().open()
        panel.choose("Raw text")
        panel.send("hello")
        panel.shows('"code": "invalid"')

    def test_binary(self, owner: User, echo: Panel) -> None:
        echo.log_in_as_owner().open()
        echo.choose("Binary")
        echo.send("00 ff 41")
        echo.shows("00 ff 41")
        expect(echo.entries.last).to_contain_text("binary, 3 B")

    def test_base64(self, owner: User, echo: Panel) -> None:
        echo.log_in_as_owner().open()
        echo.choose("Binary")
        echo.root.get_by_label("Written as").select_option("Base64")
        echo.send("aGVsbG8=")
        echo.shows("68 65 6c 6c 6f")

    @pytest.mark.parametrize(("encoding", "text"), [("Hexadecimal", "0"), ("Hexadecimal", "xy"), ("Base64", "ä")])
    def test_what_are_no_bytes(self, echo: Panel, encoding: str, text: str) -> None:
        echo.choose("Binary")
        echo.root.get_by_label("Written as").select_option(encoding)
        echo.check(text)
        expect(echo.root.locator(".try-faults")).to_contain_text("Not bytes")

    def test_a_path_without_types_takes_anything(self, echo: Panel) -> None:
        expect(echo.root.locator(".try-composer label.try-choice")).to_have_text(["Raw text", "Binary"])


@pytest.fixture
def talk(owner: User, echo: Panel) -> Panel:
    """Some messages are in the log."""
    echo.log_in_as_owner().open()
    for text in ("one", "two"):
        echo.send(text)
        echo.shows(text)
    return echo


class TestLog:
    def test_direction_time_and_size_in_words(self, talk: Panel) -> None:
        expect(talk.entries.last).to_have_text(re.compile(r"Received\d\d:\d\d:\d\d\.\d{3}text, 3 Btwo"))

    def test_filter_by_text(self, talk: Panel) -> None:
        talk.root.get_by_label("Filter by text").fill("TWO")
        expect(talk.entries).to_have_count(2)

    def test_filter_by_direction(self, talk: Panel) -> None:
        talk.root.get_by_label("Show").select_option("Received")
        expect(talk.entries).to_have_count(2)
        talk.send("three")
        expect(talk.entries).to_have_count(3)

    def test_pause(self, talk: Panel) -> None:
        before = talk.entries.count()
        talk.button("Pause").click()
        talk.send("three")
        expect(talk.root.get_by_text("paused, 2 new")).to_be_visible()
        expect(talk.entries).to_have_count(before)
        talk.button("Resume").click()
        expect(talk.entries).to_have_count(before + 2)

    def test_clear(self, talk: Panel) -> None:
        talk.button("Clear").click()
        expect(talk.entries).to_have_count(0)

    def test_copy(self, talk: Panel, context: BrowserContext, page: Page) -> None:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        talk.button("Copy").click()
        expect(talk.root.get_by_text("Copied as JSON.")).to_be_visible()
        copied = json.loads(page.evaluate("() => navigator.clipboard.readText()"))
        assert [message["data"] for message in copied["messages"][-4:]] == ["one", "one", "two", "two"]

    def test_save(self, talk: Panel, tmp_path: Path) -> None:
        saved = talk.saved(tmp_path)
        assert (saved["channel"], saved["messages"][-1]["direction"]) == ("echo", "received")
        assert saved["address"].endswith("/ws/echo/?ticket_uuid=‹ticket›")

    def test_only_so_many(self, owner: User, echo: Panel) -> None:
        echo.log_in_as_owner().open()
        echo.editor.fill("again")
        echo.button("Send").evaluate("button => { for (let n = 0; n < 300; n += 1) button.click(); }")
        expect(echo.root.get_by_text("500 of at most 500")).to_be_visible()
        expect(echo.entries).to_have_count(500)


class TestNoCredential:
    def test_in_the_log_even_where_it_was_sent(self, owner: User, echo: Panel, watch: Watch, tmp_path: Path) -> None:
        echo.log_in_as_owner().open()
        secrets = watch.secrets()
        for secret in secrets:
            echo.send(f"this is {secret}, is it not")
        echo.choose("Binary")
        echo.send(secrets[0].encode().hex())
        echo.editor.fill("")
        echo.choose("Raw text")
        expect(echo.root.locator('[data-direction="received"]')).to_have_count(len(secrets) + 1)
        saved = json.dumps(echo.saved(tmp_path), ensure_ascii=False)
        log = echo.root.locator(".try-entries").inner_text()
        assert len(secrets) == 3
        assert [
            secret for secret in secrets if secret in log or secret in saved or secret.encode().hex() in saved
        ] == []

    def test_in_the_page_after_each_method(self, owner: User, panel: Panel, watch: Watch) -> None:
        panel.log_in_as_owner()
        panel.open()
        assert watch.shown() == []
        panel.change()
        panel.choose("Cookie JWT")
        panel.open()
        assert watch.shown() == []

    def test_of_the_password(self, owner: User, panel: Panel, page: Page) -> None:
        panel.log_in_as_owner()
        expect(panel.root.locator("input[type=password]").first).to_have_value("")
        assert "correct horse" not in page.content()
