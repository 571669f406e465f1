"""The life of an open socket in the panel: when it ends, what keeps it, its renewal, and a revocation elsewhere."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, Route, WebSocketRoute, expect

from tests.browser.conftest import serious
from tests.browser.try_it.conftest import Watch, session_cookie
from tests.browser.try_it.panel import Panel
from tests.browser.try_it.test_surface import tab_to
from tests.conftest import Forge, Service
from ticketauth.models import Login

POLL = 0.2


@pytest.fixture(autouse=True)
def _often(settings: Any) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": POLL}


@pytest.fixture
def token(forge: Forge) -> Callable[[int], str]:
    """A token of the owner's that names no login, and ends in so many seconds."""
    return lambda seconds: forge.token(sid=..., exp=int(time.time()) + seconds)


def swap(panel: Panel, token: str) -> None:
    """Hold another token, while the socket is open."""
    panel.change()
    panel.button("Log out here").click()
    panel.root.get_by_label("Access token").fill(token)
    panel.button("Use it").click()
    panel.button("Done").click()


class TestItsEnd:
    def test_it_is_shown_while_the_socket_is_open(self, owner: User, panel: Panel) -> None:
        expect(panel.life).to_be_hidden()
        panel.log_in_as_owner().open()
        expect(panel.life).to_contain_text(re.compile(r"Ends\s*\w+ \w+, \d\d:\d\d:\d\d"))
        panel.button("Disconnect").click()
        expect(panel.life).to_be_hidden()

    def test_where_nobody_says_when(self, owner: User, panel: Panel, echo: Panel) -> None:
        echo.log_in_as_owner().open()
        expect(echo.life).to_contain_text("not before the server says so")
        expect(echo.button("Renew")).to_be_enabled()

    def test_of_a_credential_it_is_counted_down(self, token: Callable[[int], str], panel: Panel) -> None:
        panel.paste(token(30))
        panel.open()
        expect(panel.life).to_contain_text(re.compile(r"Ends in\s*\d+ s"))
        first = re.search(r"Ends in\s*(\d+) s", panel.life.inner_text())
        assert first
        expect(panel.life).to_contain_text("Renew it with a fresh ticket.")
        expect(panel.life).not_to_contain_text(re.compile(rf"Ends in\s*{first[1]} s"))
        expect(panel.life).to_contain_text(re.compile(r"Ends in\s*\d+ s"))

    def test_of_a_credential_it_is_explained(self, token: Callable[[int], str], panel: Panel) -> None:
        panel.paste(token(8))
        panel.open()
        panel.is_closed("(4401)", "Its login or token has ended, as announced.", "Get a new credential")

    def test_of_its_age(self, owner: User, panel: Panel, settings: Any) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKET_MAX_AGE": 8, "EXPIRY_NOTICE": 6}
        panel.log_in_as_owner().open()
        expect(panel.life).to_contain_text("Open another with a new ticket, then close it.")
        panel.is_closed("(4401)", "It was open for as long as a socket may be")
        # Its token is as good as before.
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKET_MAX_AGE": 0}
        panel.open()

    def test_of_silence(self, owner: User, panel: Panel, settings: Any) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKET_IDLE": 8}
        panel.log_in_as_owner().open()
        expect(panel.life).to_contain_text("Any message keeps it.")
        panel.send()
        expect(panel.life).not_to_contain_text("Any message keeps it.")
        panel.is_closed("(4401)", "Nothing was sent for too long")

    def test_a_restart_says_how_long_to_wait(self, owner: User, panel: Panel, page: Page) -> None:
        def restart(socket: WebSocketRoute) -> None:
            socket.send('{"type": "ticketauth.ready", "reconnect_within": 7}')
            socket.on_message(lambda message: socket.close(code=1012))

        page.route_web_socket("**/ws/events/*", restart)
        panel.log_in_as_owner().open()
        panel.send()
        panel.is_closed("(1012)", "a random time of up to 7 s")


class TestRenewal:
    def test_the_socket_lives_on(self, token: Callable[[int], str], panel: Panel, watch: Watch) -> None:
        panel.paste(token(20))
        panel.open()
        expect(panel.life).to_contain_text("Ends in")
        swap(panel, token(7200))
        panel.renew()
        expect(panel.life).to_contain_text("Renewed until")
        expect(panel.life).not_to_contain_text("Ends in")
        panel.is_("Open")
        assert len(watch.sockets) == 1

    def test_its_ticket_is_not_in_the_log(self, owner: User, panel: Panel, watch: Watch) -> None:
        panel.log_in_as_owner().open()
        panel.renew()
        panel.shows('"ticket_uuid": "‹credential›"', "sent")
        panel.shows("ticketauth.renewed")
        assert len(watch.tickets()) == 2
        assert watch.shown() == []

    def test_a_double_click_asks_once(self, owner: User, panel: Panel, watch: Watch) -> None:
        panel.log_in_as_owner().open()
        panel.button("Renew").dblclick()
        expect(panel.life).to_contain_text("Renewed until")
        assert len(watch.tickets()) == 2

    def test_where_no_frame_says_that_it_is_ready(self, owner: User, echo: Panel) -> None:
        echo.log_in_as_owner().open()
        echo.renew()
        expect(echo.life).to_contain_text("Renewed until")

    def test_of_a_session(self, session: None, panel: Panel) -> None:
        panel.choose("Session cookie")
        panel.open()
        panel.renew()
        expect(panel.life).to_contain_text("Renewed until")

    def test_of_a_ticket_by_the_session(self, session: None, panel: Panel) -> None:
        panel.open()
        panel.renew()
        expect(panel.life).to_contain_text("Renewed until")

    @pytest.mark.parametrize("method", ["Cookie JWT", "Query param"])
    def test_of_a_token(self, owner: User, settings: Any, open_panel: Callable[..., Panel], method: str) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "JWT_QUERY": True}
        panel = open_panel()
        panel.choose(method)
        panel.log_in_as_owner().open()
        panel.renew()
        expect(panel.life).to_contain_text("Renewed until")


class TestWhatItWasOpenedWith:
    """It stays that, whatever is chosen or held later."""

    def test_is_what_renews_it(self, session: None, panel: Panel) -> None:
        panel.choose("User name and password")
        panel.log_in_as_owner().open()
        panel.change()
        panel.choose("My session")
        panel.renew()
        expect(panel.life).to_contain_text("Renewed until")

    def test_is_the_cookie_that_the_panel_set(self, owner: User, panel: Panel) -> None:
        panel.choose("Cookie JWT")
        panel.log_in_as_owner().open()
        panel.change()
        panel.button("Log out here").click()
        panel.button("Disconnect").click()
        # With the cookie that is still there.
        panel.open()
        panel.change()
        panel.log_in_as_owner()
        panel.cannot_renew("another login is held now")

    def test_a_session_that_is_over_costs_no_token(
        self, session: None, panel: Panel, page: Page, held: list[Route]
    ) -> None:
        panel.choose("User name and password")
        panel.log_in_as_owner()
        panel.choose("My session")
        Session.objects.all().delete()
        with page.expect_request("**/api/tickets/"):
            panel.connect()
        panel.choose("User name and password")
        held[0].continue_()
        panel.is_refused("Nobody is logged in by session (HTTP 401)")
        panel.is_logged_in()

    def test_is_whom_the_summary_names(
        self, session: None, stranger: User, panel: Panel, page: Page, held: list[Route]
    ) -> None:
        panel.choose("User name and password")
        panel.log_in("stranger")
        panel.is_logged_in("stranger")
        with page.expect_request("**/api/tickets/"):
            panel.connect()
        panel.choose("My session")
        held[0].continue_()
        panel.is_("Open")
        panel.shows('"username": "stranger"')
        expect(panel.root.locator(".try-brief")).to_contain_text("Ticket · stranger")

    def test_a_guests_end_costs_no_token(self, owner: User, page: Page) -> None:
        page.route("**/asyncapi.json", _for_guests)
        page.route_web_socket("**/ws/events/*", _end_at_a_message)
        page.reload()
        panel = Panel(page).ready().log_in_as_owner()
        panel.choose("None")
        panel.open()
        panel.send()
        panel.is_closed("(4403)")
        panel.choose("Ticket")
        panel.is_logged_in()

    @pytest.fixture
    def held(self, page: Page) -> list[Route]:
        """Requests for a ticket, which wait to be let through."""
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        page.route("**/api/tickets/", hold)
        return held


def _for_guests(route: Route) -> None:
    answer = route.fetch()
    document = answer.json()
    document["channels"]["events"]["x-anonymous"] = True
    route.fulfill(response=answer, json=document)


def _end_at_a_message(socket: WebSocketRoute) -> None:
    socket.send('{"type": "ticketauth.ready"}')
    socket.on_message(lambda message: socket.close(code=4403, reason="forbidden"))


class TestNoRenewal:
    def test_while_redis_is_down(self, owner: User, panel: Panel, settings: Any, tmp_path: Any) -> None:
        panel.log_in_as_owner().open()
        up = settings.TICKETAUTH
        settings.TICKETAUTH = {**up, "REDIS_URL": f"unix://{tmp_path / 'nobody.sock'}?db=0"}
        panel.renew()
        expect(panel.life).to_contain_text("Not renewed. The server cannot do it now")
        expect(panel.life).to_contain_text(re.compile(r"Try again in \d+ s\."))
        panel.is_("Open")
        settings.TICKETAUTH = up
        panel.renew()
        expect(panel.life).to_contain_text("Renewed until")
        expect(panel.life).not_to_contain_text("Not renewed.")

    def test_where_redis_goes_down_after_the_ticket(
        self, owner: User, panel: Panel, page: Page, settings: Any, tmp_path: Any
    ) -> None:
        def answer(route: Route) -> None:
            told = route.fetch()
            settings.TICKETAUTH = {**settings.TICKETAUTH, "REDIS_URL": f"unix://{tmp_path / 'nobody.sock'}?db=0"}
            route.fulfill(response=told)

        panel.log_in_as_owner().open()
        page.route("**/api/tickets/", answer)
        panel.renew()
        expect(panel.life).to_contain_text("Not renewed. Something that the server needs is down.")
        expect(panel.life).to_contain_text("Try again in")
        panel.is_("Open")

    def test_with_a_ticket_that_is_used(self, owner: User, panel: Panel, page: Page, service: Service) -> None:
        def answer(route: Route) -> None:
            told = route.fetch()
            service.connect(f"ticket_uuid={told.json()['ticket_uuid']}", path="/ws/events/")
            route.fulfill(response=told)

        panel.log_in_as_owner().open()
        page.route("**/api/tickets/", answer)
        panel.renew()
        expect(panel.life).to_contain_text("Not renewed. The ticket was unknown, used or expired.")
        panel.is_("Open")

    def test_of_another_user_it_ends_the_socket(
        self, owner: User, strangers: dict[str, str], service: Service, panel: Panel, page: Page
    ) -> None:
        def answer(route: Route) -> None:
            route.fulfill(json={"ticket_uuid": service.ticket(strangers["access"]), "expires_in": 30})

        panel.log_in_as_owner().open()
        page.route("**/api/tickets/", answer)
        panel.renew()
        panel.is_closed("(4403)", "The ticket of the renewal was another user's or another login's")
        panel.is_logged_in()
        page.unroute("**/api/tickets/")
        panel.open()

    @pytest.mark.parametrize("name", ["owner", "stranger"])
    def test_with_another_login(self, owner: User, stranger: User, panel: Panel, name: str) -> None:
        panel.log_in_as_owner().open()
        panel.change()
        panel.button("Log out here").click()
        panel.log_in(name)
        panel.is_logged_in(name)
        panel.cannot_renew("another login is held now")
        panel.is_("Open")

    def test_while_another_user_is_logged_in_by_session(
        self, session: None, stranger: User, address: str, panel: Panel, context: BrowserContext
    ) -> None:
        panel.open()
        context.add_cookies([cast("Any", session_cookie(stranger, address))])
        panel.renew()
        panel.cannot_renew("another user is logged in by session now")
        panel.is_("Open")

    def test_for_a_login_that_is_over(self, owner: User, service: Service, panel: Panel, settings: Any) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_SWEEP": 3600.0}
        panel.paste(service.login(owner)["access"])
        panel.open()
        # So long ago that the hub, which would close the socket, does not look for it any more.
        Login.objects.update(revoked_at=timezone.now() - timedelta(hours=1))
        panel.renew()
        expect(panel.life).to_contain_text("Not renewed. Your token has ended (HTTP 401).")

    def test_without_a_token(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner().open()
        panel.change()
        panel.button("Log out here").click()
        panel.cannot_renew("the page holds no token to get a ticket with")

    def test_with_a_cookie_that_no_script_can_read(self, access_cookie: str, panel: Panel) -> None:
        panel.choose("Cookie JWT")
        expect(panel.root.locator(".try-cookie")).to_contain_text("The browser's own")
        panel.open()
        expect(panel.life).to_contain_text("no script can read the browser's own cookie")

    def test_where_the_subprotocol_is_not_spoken(self, owner: User, panel: Panel, page: Page) -> None:
        page.evaluate("() => Object.defineProperty(WebSocket.prototype, 'protocol', { value: 'another' })")
        panel.log_in_as_owner().open()
        panel.cannot_renew("the application has chosen another subprotocol")

    def test_it_is_no_message_to_try(self, owner: User, panel: Panel, echo: Panel) -> None:
        expect(panel.root.get_by_label("Example", exact=True).locator("option")).to_have_text(["Ping"])
        expect(echo.root.get_by_label("Example", exact=True)).to_be_hidden()


class TestRevocation:
    """Elsewhere, while the socket is open."""

    def test_a_logout(self, owner: User, service: Service, panel: Panel) -> None:
        pair = service.login(owner)
        panel.paste(pair["access"])
        panel.open()
        service.post("/api/token/logout/", {"refresh": pair["refresh"]})
        panel.is_closed("(4403)", "Its login is over: a logout, here or elsewhere", "Log in again, then connect.")
        # The token went with its login.
        expect(panel.root.get_by_label("User name", exact=True)).to_be_visible()
        panel.log_in_as_owner().open()

    def test_a_changed_password(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner().open()
        owner.set_password("another")
        owner.save()
        panel.is_closed("(4403)", "a changed password")

    def test_an_administrator(self, session: None, owner: User, echo: Panel) -> None:
        echo.choose("Session cookie")
        echo.open()
        # On a path without ready, a socket that is closed at once might be a refusal.
        echo.send("hello")
        echo.shows("hello")
        owner.is_active = False
        owner.save()
        echo.is_closed("(4403)", "an administrator")
        expect(echo.root.get_by_text("Nobody is logged in by session.", exact=True)).to_be_visible()

    def test_its_reason_is_in_sight(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner().open()
        owner.is_active = False
        owner.save()
        panel.is_closed("(4403)")
        expect(panel.outcome).to_be_in_viewport(ratio=0.99)

    def test_who_reads_elsewhere_stays_there(self, owner: User, panel: Panel, page: Page) -> None:
        panel.log_in_as_owner().open()
        page.evaluate("() => scrollTo({ top: 0, behavior: 'instant' })")
        page.wait_for_function("() => scrollY === 0")
        owner.is_active = False
        owner.save()
        panel.is_closed("(4403)")
        assert page.evaluate("() => scrollY") == 0

    def test_too_many_messages(self, owner: User, panel: Panel, settings: Any) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "MESSAGE_RATE": "1/min"}
        panel.log_in_as_owner().open()
        panel.send()
        panel.shows("pong")
        panel.send()
        panel.is_closed("(4429)", "More messages came than the server takes", "Try again in")


class TestSurface:
    def test_by_keyboard(self, owner: User, panel: Panel, page: Page) -> None:
        panel.log_in_as_owner().open()
        expect(panel.connect_button).to_be_focused()
        tab_to(page, "Renew")
        page.keyboard.press("Enter")
        expect(panel.life).to_contain_text("Renewed until")
        expect(panel.button("Renew")).to_be_focused()

    def test_the_focus_stays_when_the_socket_ends(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner().open()
        panel.button("Renew").focus()
        owner.is_active = False
        owner.save()
        panel.is_("Closed")
        expect(panel.button("Disconnect")).to_be_focused()

    def test_only_what_does_not_count_down_is_announced(self, token: Callable[[int], str], panel: Panel) -> None:
        panel.paste(token(30))
        panel.open()
        spoken = panel.life.locator('[aria-live="polite"]')
        expect(spoken).to_contain_text("Renew it with a fresh ticket.")
        expect(spoken).not_to_contain_text(re.compile(r"\d+ s"))

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [390, 1280])
    def test_it_fits_and_can_be_read(
        self, token: Callable[[int], str], open_panel: Callable[..., Panel], axe: str, scheme: Any, width: int
    ) -> None:
        panel = open_panel(color_scheme=scheme, viewport={"width": width, "height": 844})
        panel.paste(token(30))
        panel.open()
        panel.renew()
        expect(panel.life).to_contain_text("Renewed until")
        assert serious(panel.page, axe) == []
        assert panel.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_what_a_server_says_that_knows_more(owner: User, panel: Panel, page: Page) -> None:
    frames = [
        {"type": "ticketauth.ready", "expires_at": None},
        {"type": "ticketauth.expiring", "reason": "moonrise", "expires_in": 30},
        {"type": "ticketauth.expiring"},
        {"type": "ticketauth.news", "more": [1]},
    ]

    def talk(socket: WebSocketRoute) -> None:
        for frame in frames:
            socket.send(json.dumps(frame))

    page.route_web_socket("**/ws/events/*", talk)
    panel.log_in_as_owner().open()
    panel.shows("ticketauth.news")
    expect(panel.life).to_contain_text(re.compile(r"Ends in\s*\d+ s"))
