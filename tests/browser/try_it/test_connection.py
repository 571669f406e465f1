"""The life of a connection: one socket, a way out of every state, time limits, and what is said when it ends."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.conftest import Browse
from tests.browser.try_it.conftest import REFUSALS, Watch
from tests.browser.try_it.panel import Panel
from tests.conftest import Service
from tests.served import Served, served
from tests.servers import free_port

# Pages load their modules one by one; Chromium says so where the server goes away meanwhile.
_GONE = (*REFUSALS, r"^console: Failed to load resource: net::ERR_")


class TestOneSocket:
    def test_a_double_click_opens_one(self, owner: User, panel: Panel, watch: Watch) -> None:
        panel.log_in_as_owner()
        panel.connect_button.dblclick()
        panel.is_("Open")
        panel.shows("ticketauth.ready")
        assert (len(watch.sockets), len(watch.tickets())) == (1, 1)

    def test_as_fast_as_a_script_can_click(self, owner: User, panel: Panel, watch: Watch) -> None:
        panel.log_in_as_owner()
        panel.connect_button.evaluate("button => { for (let n = 0; n < 5; n += 1) button.click(); }")
        panel.is_("Open")
        assert (len(watch.sockets), len(watch.tickets())) == (1, 1)

    def test_a_double_click_where_it_is_refused_at_once(self, panel: Panel, watch: Watch) -> None:
        panel.choose("Session cookie")
        panel.connect_button.dblclick()
        panel.is_closed("(4401)")
        assert len(watch.sockets) == 1

    def test_a_ticket_that_is_asked_for_twice(self, owner: User, panel: Panel, watch: Watch) -> None:
        panel.log_in_as_owner()
        panel.button("Get ticket").dblclick()
        expect(panel.ticket).to_contain_text("Fresh")
        assert len(watch.tickets()) == 1

    def test_panels_have_their_own(self, owner: User, panel: Panel, echo: Panel, watch: Watch) -> None:
        panel.log_in_as_owner().open()
        echo.open()
        panel.button("Disconnect").click()
        panel.is_("Closed")
        echo.is_("Open")
        assert len(watch.sockets) == 2

    def test_another_method_closes_it(self, owner: User, panel: Panel, page: Page) -> None:
        panel.log_in_as_owner()
        with page.expect_websocket() as opened:
            panel.open()
        panel.change()
        with opened.value.expect_event("close"):
            panel.choose("Session cookie")
        panel.is_("Not connected")


class TestWayOut:
    def test_while_a_ticket_is_asked_for(self, owner: User, panel: Panel, page: Page) -> None:
        panel.log_in_as_owner()
        page.route("**/api/tickets/", lambda route: None)
        panel.connect()
        panel.is_("Getting a ticket…")
        panel.button("Cancel").click()
        panel.is_refused("Cancelled")
        page.unroute("**/api/tickets/")
        panel.open()

    def test_while_it_waits_for_ready(self, owner: User, panel: Panel, page: Page) -> None:
        page.route_web_socket("**/ws/events/*", lambda socket: None)
        panel.log_in_as_owner().connect()
        panel.is_("Open, waiting for ready…")
        panel.button("Disconnect").click()
        panel.is_closed("Closed by you")

    def test_while_it_is_open(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner().open()
        panel.button("Disconnect").click()
        panel.is_closed("Closed by you (1000)")

    def test_it_is_shown_and_the_focus_stays(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner().open()
        expect(panel.button("Disconnect")).to_be_visible()
        expect(panel.connect_button).to_be_focused()
        panel.button("Disconnect").click()
        panel.is_("Closed")
        expect(panel.button("Disconnect")).to_be_focused()
        expect(panel.button("Disconnect")).to_have_attribute("aria-disabled", "true")


class TestTimeLimits:
    @pytest.fixture
    def page(self, open_page: Callable[..., Watch]) -> Page:
        """Its clock can be put forward."""
        page = open_page().page
        page.clock.install()
        page.reload()
        return page

    def test_of_a_ticket(self, owner: User, panel: Panel, page: Page) -> None:
        panel.log_in_as_owner()
        page.route("**/api/tickets/", lambda route: None)
        panel.connect()
        panel.is_("Getting a ticket…")
        page.clock.fast_forward(10_000)
        panel.is_refused("No answer within 10 seconds")

    def test_of_ready(self, owner: User, panel: Panel, page: Page) -> None:
        page.route_web_socket("**/ws/events/*", lambda socket: None)
        panel.log_in_as_owner().connect()
        panel.is_("Open, waiting for ready…")
        page.clock.fast_forward(5_000)
        panel.is_closed("Not ready within 5 seconds")

    def test_none_while_it_is_open(self, owner: User, panel: Panel, page: Page) -> None:
        panel.log_in_as_owner().open()
        page.clock.fast_forward(3_600_000)
        panel.is_("Open")
        panel.send()
        panel.shows("pong")


class TestClosed:
    @pytest.mark.parametrize(
        ("code", "reason", "words"),
        [
            (1000, "", ("Closed normally (1000)",)),
            (1011, "", ("The server failed (1011)",)),
            (1012, "", ("the server restarts (1012)", "wait, longer each time")),
            (
                4400,
                "malformed",
                ("malformed, or more than one credential (4400)", "Stop. Trying again would not help."),
            ),
            (
                4403,
                "forbidden",
                ("the login is over, or this is not permitted here (4403)", "Stop. Trying again would not help."),
            ),
            (4429, '{"code":"too_many","retry_after":7}', ("too many sockets or messages (4429)", "Try again in 7 s.")),
            (4999, "", ("A code of this application's own (4999)",)),
        ],
    )
    def test_every_code_is_explained(
        self, owner: User, panel: Panel, page: Page, code: int, reason: str, words: tuple[str, ...]
    ) -> None:
        def close(socket: WebSocketRoute) -> None:
            socket.send('{"type": "ticketauth.ready"}')
            socket.on_message(lambda message: socket.close(code=code, reason=reason))

        page.route_web_socket("**/ws/events/*", close)
        panel.log_in_as_owner().open()
        panel.send()
        panel.is_closed(*words)

    def test_a_message_that_is_too_large(self, owner: User, echo: Panel) -> None:
        echo.log_in_as_owner().open()
        echo.send("x" * 65537)
        echo.is_closed("a message is over the size limit (1009)")

    def test_a_path_that_leads_nowhere(self, session: None, open_page: Callable[..., Watch], page: Page) -> None:
        page.route("**/asyncapi.json", _with_a_parameter)
        page.reload()
        panel = Panel(page, "echo").ready()
        panel.choose("Session cookie")
        panel.root.get_by_label("room").fill("nowhere")
        panel.connect()
        panel.is_refused("Refused before the upgrade", "404: no socket at this path")

    def test_a_page_that_may_not_connect(self, owner: User, settings, open_panel: Callable[..., Panel]) -> None:
        panel = open_panel()
        settings.TICKETAUTH = {**settings.TICKETAUTH, "PUBLIC_URLS": ["https://sockets.example"]}
        panel.log_in_as_owner().connect()
        panel.is_refused("Refused before the upgrade", "is not on ALLOWED_ORIGINS. That is it, most likely.")


def _with_a_parameter(route: Any) -> None:
    """The service has no path with a parameter; its echo can be reached by one."""
    answer = route.fetch()
    document = answer.json()
    document["channels"]["echo"]["address"] = "/ws/{room}/"
    document["channels"]["echo"]["parameters"] = {"room": {"description": "Which one.", "examples": ["echo"]}}
    route.fulfill(response=answer, json=document)


class TestParameters:
    @pytest.fixture
    def room(self, page: Page) -> Panel:
        """A channel with a parameter in its path."""
        page.route("**/asyncapi.json", _with_a_parameter)
        page.reload()
        return Panel(page, "echo").ready()

    def test_are_filled_from_the_example(self, owner: User, room: Panel) -> None:
        expect(room.root.get_by_label("room")).to_have_value("echo")
        room.log_in_as_owner().open()

    def test_are_encoded_in_the_address(self, room: Panel) -> None:
        room.root.get_by_label("room").fill("a b/c")
        expect(room.root.locator(".try-address")).to_contain_text("/ws/a%20b%2Fc/")

    def test_are_needed(self, owner: User, room: Panel) -> None:
        room.log_in_as_owner()
        room.root.get_by_label("room").fill("")
        room.connect()
        expect(room.root.get_by_label("room")).to_be_focused()
        expect(room.root.get_by_label("room")).to_have_attribute("aria-invalid", "true")

    def test_a_ticket_of_another_path_is_not_taken(self, owner: User, room: Panel, page: Page) -> None:
        room.log_in_as_owner()
        room.root.get_by_label("room").fill("events")
        room.get_ticket()
        room.root.get_by_label("room").fill("echo")
        with page.expect_request("**/api/tickets/") as asked:
            room.connect()
        assert asked.value.post_data_json == {"path": "/ws/echo/"}
        room.is_("Open")

    def test_no_ticket_for_a_path_that_leads_nowhere(self, owner: User, room: Panel, browse: Browse) -> None:
        browse.expected.append(r"status of 400")
        room.log_in_as_owner()
        room.root.get_by_label("room").fill("nowhere")
        room.connect()
        room.is_refused("the path leads to no WebSocket")


class TestServerThatGoesAway:
    """A service of the test's own, which can be stopped and started."""

    @pytest.fixture
    def port(self) -> int:
        return free_port()

    @pytest.fixture
    def serve(self, service: Service, port: int) -> Callable[[], Any]:
        own = f"http://127.0.0.1:{port}"
        return lambda: served(port=port, PUBLIC_URL=own, ALLOWED_ORIGINS=own, TRY_IT_OUT="1")

    @pytest.fixture
    def browse(self, chromium: Any, port: int) -> Iterator[Browse]:
        browse = Browse(chromium, f"http://127.0.0.1:{port}", expected=list(_GONE))
        yield browse
        for context in browse.contexts:
            context.close()
        assert browse.unexpected() == []

    def test_a_restart_in_mid_session(self, owner: User, browse: Browse, serve: Callable[[], Any]) -> None:
        with serve():
            panel = Panel(browse()).ready()
            panel.log_in_as_owner().open()
        panel.is_closed("the server restarts (1012)", "Wait for a random time of up to 5 s")
        panel.connect()
        panel.is_refused("The server cannot be reached")
        with serve():
            panel.open()
            panel.send()
            panel.shows("pong")
            panel.button("Disconnect").click()
            panel.is_("Closed")

    def test_it_is_gone_between_ticket_and_handshake(
        self, owner: User, browse: Browse, serve: Callable[[], Any]
    ) -> None:
        with serve():
            panel = Panel(browse()).ready()
            panel.log_in_as_owner().get_ticket()
        panel.connect()
        panel.is_refused("The server cannot be reached", "It does not answer over HTTP either.")

    def test_a_handshake_that_gets_no_answer(self, owner: User, browse: Browse, serve: Callable[[], Any]) -> None:
        with serve() as running:
            panel = _on_a_clock(browse)
            panel.log_in_as_owner().get_ticket()
            with _frozen(running):
                panel.connect()
                panel.is_("Connecting…")
                panel.page.clock.fast_forward(10_000)
                panel.is_refused("No connection within 10 seconds")

    def test_a_handshake_that_is_cancelled(self, owner: User, browse: Browse, serve: Callable[[], Any]) -> None:
        with serve() as running:
            panel = Panel(browse()).ready()
            panel.log_in_as_owner().get_ticket()
            with _frozen(running):
                panel.connect()
                panel.is_("Connecting…")
                panel.button("Cancel").click()
                panel.is_refused("Cancelled")

    def test_a_close_that_gets_no_answer(self, owner: User, browse: Browse, serve: Callable[[], Any]) -> None:
        with serve() as running:
            panel = _on_a_clock(browse)
            panel.log_in_as_owner().open()
            with _frozen(running):
                panel.button("Disconnect").click()
                panel.is_("Closing…")
                panel.page.clock.fast_forward(3_000)
                panel.is_closed("Dropped", "The server did not confirm the close.")

    def test_a_close_that_nobody_waits_for(self, owner: User, browse: Browse, serve: Callable[[], Any]) -> None:
        with serve() as running:
            panel = Panel(browse()).ready()
            panel.log_in_as_owner().open()
            with _frozen(running):
                panel.button("Disconnect").click()
                panel.button("Drop now").click()
                panel.is_closed("Dropped")

    def test_the_document_does_not_come(self, owner: User, browse: Browse, serve: Callable[[], Any]) -> None:
        with serve():
            page = browse()
            page.route("**/asyncapi.json", lambda route: route.abort())
            page.reload()
            panel = Panel(page)
            panel.root.scroll_into_view_if_needed()
            expect(panel.root).to_contain_text("The server cannot be reached.")
            page.unroute("**/asyncapi.json")
            panel.button("Try again").click()
            expect(panel.connect_button).to_be_focused()


def _on_a_clock(browse: Browse) -> Panel:
    page = browse()
    page.clock.install()
    page.reload()
    return Panel(page).ready()


class _frozen:  # noqa: N801 -- reads as a word
    """The server keeps its connections and says nothing."""

    def __init__(self, running: Served) -> None:
        self._process = running.process

    def __enter__(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def __exit__(self, *exc: object) -> None:
        self._process.send_signal(signal.SIGCONT)


def test_waiting_is_counted_down(owner: User, open_panel: Callable[..., Panel], settings) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "RATE_PER_USER": "1/min"}
    panel = open_panel()
    panel.page.clock.install()
    panel.page.reload()
    panel.ready().log_in_as_owner().get_ticket()
    panel.button("Get ticket").click()
    expect(panel.outcome).to_contain_text(re.compile(r"Try again in \d+ s\."))
    panel.page.clock.fast_forward(61_000)
    expect(panel.outcome).to_contain_text("You can try again now.")
