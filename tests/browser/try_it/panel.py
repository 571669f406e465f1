"""A panel of the page, as its user sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.conftest import PASSWORD


class Panel:
    """What can be done with a panel, and what it shows."""

    def __init__(self, page: Page, channel: str = "events") -> None:
        self.page = page
        self.root = page.locator(f"#try-{channel}")
        self.status = self.root.locator(".try-status")
        self.outcome = self.root.locator(".try-outcome")
        self.life = self.root.locator(".try-life")
        self.problems = self.root.locator(".try-problem:not([hidden])")
        self.ticket = self.root.locator(".try-ticket")
        self.entries = self.root.locator(".try-entry")
        self.editor = self.root.locator(".try-composer textarea")

    def ready(self) -> Panel:
        """Itself, once it is there: it comes when it is about to be seen."""
        self.root.scroll_into_view_if_needed()
        self.connect_button.wait_for()
        return self

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    @property
    def connect_button(self) -> Locator:
        return self.button("Connect")

    def change(self) -> None:
        """Unfold how the connection is made, which folds up while there is one."""
        self.button("Change").click()

    def choose(self, name: str) -> None:
        """A method, a source, a way to write."""
        self.root.locator("label.try-choice", has_text=name).click()

    def log_in(self, name: str = "owner", password: str = PASSWORD) -> None:
        """Fill the form, and send it."""
        self.root.get_by_label("User name", exact=True).fill(name)
        self.root.get_by_label("Password", exact=True).fill(password)
        self.button("Log in").click()

    def log_in_as_owner(self) -> Panel:
        """And see that it worked."""
        self.log_in()
        self.is_logged_in()
        return self

    def paste(self, token: str) -> None:
        """Use a token that came from elsewhere."""
        self.root.get_by_text("Paste a JWT instead").click()
        self.root.get_by_label("Access token").fill(token)
        self.button("Use it").click()

    def is_logged_in(self, name: str = "owner") -> None:
        expect(self.root.get_by_text(f"Logged in here as {name}.")).to_be_visible()

    def get_ticket(self) -> None:
        """And see that it is fresh."""
        self.button("Get ticket").click()
        expect(self.ticket).to_contain_text("Fresh")

    def connect(self) -> None:
        self.connect_button.click()

    def open(self) -> None:
        """Connect, and see that it is open."""
        self.connect()
        self.is_("Open")

    def renew(self) -> None:
        self.button("Renew").click()

    def cannot_renew(self, why: str) -> None:
        """What is open, with a sentence that says why."""
        expect(self.button("Renew")).to_have_attribute("aria-disabled", "true")
        expect(self.life).to_contain_text(why)

    def is_(self, state: str) -> None:
        expect(self.status.locator(".try-state")).to_have_text(state)

    def is_closed(self, *words: str) -> None:
        """Closed after it was open, with an explanation that holds some words."""
        self.is_("Closed")
        self.explains(*words)

    def is_refused(self, *words: str) -> None:
        """Not connected, for there never was a socket, with an explanation that holds some words."""
        self.is_("Not connected")
        self.explains(*words)

    def explains(self, *words: str) -> None:
        """How it ended."""
        for word in words:
            expect(self.outcome).to_contain_text(word)

    def send(self, text: str | None = None) -> None:
        if text is not None:
            self.editor.fill(text)
        self.button("Send").click()

    def check(self, text: str) -> None:
        """Have a message checked, while there is no connection."""
        self.editor.fill(text)
        self.button("Check").click()

    def shows(self, text: str, direction: str = "received") -> None:
        """The log has a message."""
        expect(
            self.entries.and_(self.page.locator(f'[data-direction="{direction}"]')).filter(has_text=text)
        ).to_have_count(1)

    def saved(self, folder: Path) -> dict[str, Any]:
        """What "Save as JSON" gives."""
        with self.page.expect_download() as downloading:
            self.button("Save as JSON").click()
        path = folder / downloading.value.suggested_filename
        downloading.value.save_as(path)
        saved: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return saved
